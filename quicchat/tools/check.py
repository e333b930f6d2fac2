"""What no linter checks: sizes, module docstrings, and what may lie in the repository. (ARCHITECTURE)

`python -m quicchat.tools.check` prints a line for each fault and exits 1 if there is any. It looks at all that git
tracks or would track, so that a fault shows before it is committed.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from quicchat.values import dataclass

FILE_LINES: Final = 400
FUNCTION_LINES: Final = 40
CLASS_METHODS: Final = 25

TOP_LEVEL: Final = frozenset(
    {
        ".ci",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "certs",
        "echo.py",
        "pyproject.toml",
        "quicchat",
        "spec",
        "tests",
    }
)

KEY_SUFFIXES: Final = frozenset({".crt", ".csr", ".der", ".jks", ".key", ".p12", ".pem", ".pfx"})

#: What no text may hold, and what it is. The patterns are written so that they do not match themselves.
BANNED_TEXT: Final = {
    re.compile(r"-{5}BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)-{5}"): "a key or certificate: made on first run",
    re.compile(r"(?<![\w-])--(?:extra-)?index-url\b|\bindex[_]url\s*="): "a package index: that is the user's choice",
    re.compile(r"https?://[^\s\"'<>]*(?:/simple\b|pythonhosted)"): "a package index: that is the user's choice",
    re.compile(r"(?<![\w.~}])[/](?:root|(?:home|Users)/[a-z][\w-]*)/"): "a path in somebody's home",
}

REFERENCE: Final = re.compile(r"\((?:spec (\d\d-[a-z-]+|README)|(ARCHITECTURE))\)$")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend, and where; line 0 is the file as a whole."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def sizes(path: str, source: str) -> Iterator[Fault]:
    """Files, functions and classes beyond their limit. Docstrings, comments and blank lines are no code."""
    if (lines := len(source.splitlines())) > FILE_LINES:
        yield Fault(path, 0, f"{lines} lines, the limit is {FILE_LINES}")
    tree = ast.parse(source, path)
    code = _lines_of_code(source) - _lines_of_docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, Function):
            count = sum(node.lineno <= line <= (node.end_lineno or 0) for line in code)
            if count > FUNCTION_LINES:
                yield Fault(path, node.lineno, f"{node.name} has {count} lines of code, the limit is {FUNCTION_LINES}")
        elif isinstance(node, ast.ClassDef):
            count = sum(isinstance(member, Function) for member in node.body)
            if count > CLASS_METHODS:
                yield Fault(path, node.lineno, f"{node.name} has {count} methods, the limit is {CLASS_METHODS}")


def _lines_of_code(source: str) -> set[int]:
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {line for it in tokens if it.type not in silent for line in range(it.start[0], it.end[0] + 1)}


def _lines_of_docstrings(tree: ast.Module) -> set[int]:
    owners = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | Function))
    first = (node.body[0] for node in owners if node.body and ast.get_docstring(node, clean=False) is not None)
    return {line for text in first for line in range(text.lineno, (text.end_lineno or 0) + 1)}


def docstring(path: str, source: str, documents: Collection[str]) -> Iterator[Fault]:
    """A module says why it exists and where the spec speaks of it; `documents` are the pages that there are.

    Only an empty module may be silent.
    """
    if not source.strip():
        return
    first, *_ = (ast.get_docstring(ast.parse(source, path)) or "").splitlines() or [""]
    found = REFERENCE.search(first)
    if found is None:
        yield Fault(path, 1, 'the docstring\'s first line must end with its chapter, as "(spec 05-rooms)"')
    elif (page := f"spec/{found[1] or found[2]}.md") not in documents:
        yield Fault(path, 1, f"the docstring refers to {page}, which does not exist")


def contents(path: str, text: str) -> Iterator[Fault]:
    """Keys, package indexes and private paths, which belong to a machine and not to the repository."""
    if Path(path).suffix in KEY_SUFFIXES:
        yield Fault(path, 0, "the name of a key or certificate: made on first run")
    for number, line in enumerate(text.splitlines(), 1):
        yield from (Fault(path, number, reason) for pattern, reason in BANNED_TEXT.items() if pattern.search(line))


def top_level(paths: Iterable[str]) -> Iterator[Fault]:
    """The first folder is a fixed list, so that a newcomer takes it in at one glance; dot files are free."""
    names = {path.split("/", 1)[0] for path in paths}
    yield from (Fault(name, 0, "is missing") for name in sorted(TOP_LEVEL - names))
    strangers = sorted(name for name in names - TOP_LEVEL if not name.startswith("."))
    yield from (Fault(name, 0, "does not belong in the top folder") for name in strangers)


def tracked(root: Path) -> list[str]:
    """What git tracks, or would track if it were added; an owner other than ours is no reason to refuse."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({name for name in names if name and (root / name).is_file()})


def check(root: Path) -> list[Fault]:
    """Every fault of a checkout."""
    paths = tracked(root)
    faults = list(top_level(paths))
    for path in paths:
        text = (root / path).read_bytes().decode(errors="replace")
        faults += contents(path, text)
        if path.endswith(".py"):
            faults += sizes(path, text)
        if path.endswith(".py") and path.startswith("quicchat/"):
            faults += docstring(path, text, paths)
    return faults


def main() -> int:
    """Check the checkout in the current folder."""
    try:
        faults = check(Path.cwd())
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        print(f"quicchat: this needs git and a checkout: {detail.strip()}", file=sys.stderr)
        return 2
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
