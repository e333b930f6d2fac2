"""All generated files of the specification, and what differs from those that are there. (spec README)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from quicchat.tools import hostile, matrix
from quicchat.tools.specgen import (
    book,
    cddl,
    diagrams,
    drawing,
    manual,
    notation,
    registries,
    shells,
    tables,
    vectors,
    walkthrough,
    words,
)
from quicchat.wire import codec
from quicchat.wire.machine import Machine
from quicchat.wire.machines import CHAPTERS, Chapter, connection_machine
from quicchat.wire.registry import REGISTRY, Registry
from quicchat.wire.states import State

#: Directories that hold nothing but generated files.
OWNED: Final = ("spec/generated", "spec/vectors", "quicchat/tools/completion")


def generate(
    registry: Registry = REGISTRY, chapters: tuple[Chapter, ...] = CHAPTERS, machine: Machine[State] | None = None
) -> dict[str, str]:
    """Path below the repository -> text, of all that follows from the vocabulary."""
    machine = machine or connection_machine(chapters)
    files = {
        "pdus.md": tables.all_pdus(registry),
        "errors.md": tables.errors(),
        "limits.md": tables.limits(),
        "states.md": tables.states(machine),
        "states.mmd": diagrams.mermaid(machine),
        "states.dot": diagrams.graphviz(machine),
        "states.svg": drawing.svg(machine),
        "registries.md": registries.registries(registry),
        "records.md": tables.records(),
        "versions.md": registries.versions(registry),
        "examples.md": examples(registry),
        "walkthrough.md": walkthrough.walkthrough(),
        "commands.md": words.commands(),
        "json.md": words.events(),
        # Where pip puts it, below the directory in which Python is installed.
        "installed/share/man/man1/quicchat.1": manual.manual(),
    }
    files |= {f"{tables.short_name(each)}.md": tables.chapter(each, registry) for each in chapters}
    golden = {
        "framing": vectors.framing(),
        "login": vectors.scram(),
        "leaves": vectors.files(),
        "sealed": vectors.sealed(),
        "safety": vectors.safety(),
        "parcels": vectors.parcels(),
    }
    golden |= {tables.short_name(each): vectors.chapter(each, registry) for each in chapters}
    return {
        "spec/quicchat.cddl": cddl.cddl(registry),
        **{f"spec/generated/{name}": text for name, text in files.items()},
        **{f"spec/vectors/{name}.json": text for name, text in golden.items()},
        **{f"quicchat/tools/completion/{name}": text for name, text in shells.completions().items()},
    }


def examples(registry: Registry = REGISTRY) -> str:
    """An instance of every PDU in diagnostic notation."""
    parts = [tables.NOTICE, "# Examples, in CBOR diagnostic notation\n"]
    parts.append("Every field is there, so as a whole not every one of these makes sense as a request.\n")
    for cls in registry:
        *_, (_, pdu, version) = [each for each in vectors.good(cls) if each[0] == "full"]
        outer = {codec.VERSION: version, codec.TYPE: cls.SPEC.number, codec.ID: 1}
        body = [
            f"    {field.key}: {notation.diagnostic(value)}, / {field.name} /"
            for field in cls.SPEC.fields
            if (value := notation.body(pdu, version).get(field.key)) is not None
        ]
        lines = [f"  {key}: {value}, / {name} /" for (key, value), name in zip(outer.items(), _OUTER, strict=True)]
        inner = ["  5: {", *body, "  }"] if body else ["  5: {}"]
        parts.append("\n".join([f"## {cls.SPEC.name}\n", "```", "{", *lines, *inner, "}", "```\n"]))
    return "\n".join(parts)


_OUTER: Final = ("version", "type", "id")


def with_coverage(root: Path) -> dict[str, str]:
    """All files as they should be, those included that follow from other files of this repository."""
    pages = {name: words.with_block((root / name).read_text("utf-8")) for name in words.PAGES if (root / name).exists()}
    vocabulary = book.book(matrix.rules(root))
    return {
        **generate(),
        **pages,
        "spec/generated/coverage.md": matrix.markdown(root),
        "spec/generated/hostile.md": hostile.markdown(root),
        "spec/quicchat.json": vocabulary,
        # The kit has it with it, wherever it is installed.
        "quicchat/tools/conform/quicchat.json": vocabulary,
    }


def differing(root: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    """Files that are missing, differ, or should not be there; in the order of their names."""
    found = {
        path.relative_to(root).as_posix(): path
        for folder in OWNED
        for path in (root / folder).rglob("*")
        if path.is_file()
    }
    found |= {name: root / name for name in wanted if (root / name).is_file()}
    for name in sorted({*wanted, *found}):
        if name not in wanted or name not in found or found[name].read_bytes() != wanted[name].encode():
            yield name


def write(root: Path, wanted: Mapping[str, str]) -> list[str]:
    """Make the files what they should be, and remove those that should not be there; returns what changed."""
    changed = list(differing(root, wanted))
    for name in changed:
        path = root / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[name].encode())
        else:
            path.unlink()
    return changed
