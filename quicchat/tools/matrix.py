"""The coverage matrix: every rule of the specification beside the tests that quote its id. (spec README)

A rule is a sentence that begins with its id in bold, `**[3.1-2]**`, in a chapter of `spec/`; a test quotes it as
`[3.1-2]` in its docstring.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from quicchat.values import dataclass

_ID: Final = re.compile(r"\*\*\[(\d+)\.(\d+)-(\d+)\]\*\*\s*")
_QUOTE: Final = re.compile(r"\[(\d+\.\d+-\d+)\]")
_HEADING: Final = re.compile(r"^## (\d+\.\d+)\b", re.MULTILINE)
_CODE: Final = re.compile(r"`[^`]*`")
_DEMAND: Final = re.compile(r"\b(?:MUST|SHOULD|MAY|SHALL|REQUIRED|RECOMMENDED|OPTIONAL)\b")
_STRENGTHS: Final = ("MUST", "SHOULD", "MAY")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule with an id. `strength` is the strongest of its key words (RFC 2119), empty where there is none."""

    id: str
    chapter: str
    section: str
    strength: str
    text: str

    @property
    def is_binding(self) -> bool:
        """Whether a test has to prove it."""
        return self.strength == "MUST"


def rules(root: Path) -> list[Rule]:
    """The rules of all chapters, in the order of the text."""
    found: list[Rule] = []
    for path in sorted((root / "spec").glob("[0-9][0-9]-*.md")):
        found += _rules_of(path.name, path.read_text(encoding="utf-8"))
    return found


def _rules_of(chapter: str, text: str) -> Iterator[Rule]:
    headings = [(match.start(), match[1]) for match in _HEADING.finditer(text)]
    marks = list(_ID.finditer(text))
    for mark in marks:
        rest = text[mark.end() :]
        end = min(at for at in (_end(rest), *_start_of_next(rest)) if at >= 0)
        sentence = " ".join(rest[:end].split())
        strength = next((word for word in _STRENGTHS if re.search(rf"\b{word}\b", sentence)), "")
        section = next((number for at, number in reversed(headings) if at < mark.start()), "")
        number = f"{mark[1]}.{mark[2]}-{mark[3]}"
        yield Rule(number, chapter, section, strength, sentence)


def _end(text: str) -> int:
    """Where the paragraph or list item ends."""
    found = re.search(r"\n\s*\n|\n(?=[-*#|] )", text)
    return found.start() if found else len(text)


def _start_of_next(text: str) -> Iterator[int]:
    found = _ID.search(text)
    if found:
        yield found.start()


def quotes(root: Path) -> dict[str, list[str]]:
    """Id -> the tests that quote it, as pytest names them."""
    found: dict[str, list[str]] = {}
    for test, docstring in docstrings(root):
        for number in dict.fromkeys(_QUOTE.findall(docstring)):
            found.setdefault(number, []).append(test)
    return found


def docstrings(root: Path) -> Iterator[tuple[str, str]]:
    """Every test, as pytest names it, with what it says of itself."""
    for path in sorted((root / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, docstring in _tests(tree):
            yield f"{path.relative_to(root).as_posix()}::{name}", docstring


def _tests(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield prefix + node.name, ast.get_docstring(node) or ""


def faults(found: Sequence[Rule], quoted: Mapping[str, Sequence[str]]) -> list[str]:
    """What is wrong: rules without a test, quotes of rules that do not exist, ids out of place or given twice."""
    wrong: list[str] = []
    seen: dict[str, Rule] = {}
    for rule in found:
        if rule.id in seen:
            wrong.append(f"[{rule.id}] stands twice: in {seen[rule.id].chapter} and in {rule.chapter}")
        seen[rule.id] = rule
        place = rule.id.partition("-")[0]
        if place != rule.section or int(rule.chapter[:2]) != int(place.partition(".")[0]):
            wrong.append(f"[{rule.id}] stands in section {rule.section or '?'} of {rule.chapter}")
        if not rule.strength:
            wrong.append(f"[{rule.id}] says neither MUST nor SHOULD nor MAY")
        if rule.is_binding and not quoted.get(rule.id):
            wrong.append(f"[{rule.id}] is proved by no test: {rule.text}")
    wrong += [
        f"[{number}] is quoted by {tests[0]}, but is no rule" for number, tests in quoted.items() if number not in seen
    ]
    return wrong


def unmarked(root: Path) -> list[str]:
    """Paragraphs of a chapter that use a key word of RFC 2119 without an id."""
    wrong = []
    for path in sorted((root / "spec").glob("[0-9][0-9]-*.md")):
        for block in re.split(r"\n\s*\n|\n(?=[-*#|] )", path.read_text(encoding="utf-8")):
            before = _CODE.sub("", _ID.split(block, maxsplit=1)[0])
            if _DEMAND.search(before):
                wrong.append(f"{path.name}: no id before {' '.join(before.split())[:60]!r}")
    return wrong


def markdown(root: Path) -> str:
    """The matrix as a page."""
    found, quoted = rules(root), quotes(root)
    lines = [
        "<!-- Generated from the chapters and the tests; do not edit. -->\n",
        "# Rules and the tests that prove them\n",
    ]
    binding = [rule for rule in found if rule.is_binding]
    proved = sum(bool(quoted.get(rule.id)) for rule in binding)
    lines.append(f"{proved} of {len(binding)} rules with MUST are proved; {len(found)} rules in all.\n")
    lines.append("| rule | strength | tests |\n| --- | --- | --- |")
    for rule in found:
        tests = "<br/>".join(f"`{test}`" for test in quoted.get(rule.id, ()))
        lines.append(f"| [{rule.id}](../{rule.chapter}) | {rule.strength} | {tests} |")
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the matrix; exit code 1 when something is wrong with it."""
    parser = argparse.ArgumentParser(prog="python -m quicchat.tools.matrix", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository (default: here)")
    root: Path = parser.parse_args(argv).root
    print(markdown(root), end="")
    wrong = [*faults(rules(root), quotes(root)), *unmarked(root)]
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
