"""The rows of `spec/hostile.md` beside the tests that play them. (spec README)

A test plays a row when it quotes its id in its docstring; those below `tests/hostile` do so against a server process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from quicchat.tools import matrix
from quicchat.values import dataclass

_ROW: Final = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \|", re.MULTILINE)
_ID: Final = re.compile(r"\b[A-Z]\d{1,2}\b")
_ARENA: Final = "tests/hostile/"
_NO_PLACE: Final = "the server has no part in it"
_RESTARTS: Final = "the server itself is killed, or does not start: nobody can stand by"
#: Rows that are not played beside others who talk, and why.
APART: Final = {
    "Q15": "a server process speaks one ALPN only",
    "Q16": "what is refused is early data, which looks from outside like a longer way",
    "Q23": "100,000 packets between two ends with a virtual clock",
    "Q25": "it is the client who notices",
    "Q27": "the bug has to be planted in the server's process",
    "A5": "passwords do not travel; what is sent instead has its limits under W20",
    "A10": _NO_PLACE,
    "A11": _NO_PLACE,
    "A12": _NO_PLACE,
    "A13": _RESTARTS,
    "A14": "it takes two servers of different policy, one after the other",
    "Z7": _NO_PLACE,
    "X8": _NO_PLACE,
    "U9": _NO_PLACE,
    "U10": _NO_PLACE,
    "D1": _RESTARTS,
    "D2": _RESTARTS,
    "D4": "everybody waits for the disk, those who stand by too",
    "D6": _RESTARTS,
    "D7": "the clock is the server's own, and an argument of what is tested",
    "D9": "a log so long is made below the server",
    "C10": _RESTARTS,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row, what is done in it, and the tests that do it."""

    id: str
    text: str
    played: Sequence[str]
    others: Sequence[str]


def rows(root: Path) -> list[Row]:
    """The rows in the order of the page; none where there is no page."""
    page = root / "spec" / "hostile.md"
    if not page.exists():
        return []
    quoted = quotes(root)
    found = []
    for number, text in _ROW.findall(page.read_text(encoding="utf-8")):
        tests = quoted.get(number, [])
        played = [each for each in tests if each.startswith(_ARENA)]
        found.append(Row(number, text, played, [each for each in tests if each not in played]))
    return found


def quotes(root: Path) -> Mapping[str, Sequence[str]]:
    """Id -> the tests that quote it, as pytest names them."""
    found: dict[str, list[str]] = {}
    for test, docstring in matrix.docstrings(root):
        for number in dict.fromkeys(_ID.findall(docstring)):
            found.setdefault(number, []).append(test)
    return found


def faults(found: Sequence[Row]) -> list[str]:
    """Rows that are not played, rows that are and need not, reasons for rows that do not exist."""
    wrong = [f"{row.id} is not played, and nobody says why" for row in found if not row.played and row.id not in APART]
    wrong += [f"{row.id} is tested nowhere" for row in found if not row.played and not row.others]
    wrong += [f"{row.id} is played, so it is not apart" for row in found if row.played and row.id in APART]
    wrong += [f"{number} stands twice" for number in {row.id for row in found} if _count(found, number) > 1]
    return wrong + [f"{number} is no row" for number in APART if found and not _count(found, number)]


def _count(found: Sequence[Row], number: str) -> int:
    return sum(row.id == number for row in found)


def markdown(root: Path) -> str:
    """The rows beside their tests, as a page."""
    found = rows(root)
    lines = [
        "<!-- Generated from spec/hostile.md and the tests; do not edit. -->\n",
        "# Hostile rows and their tests\n",
    ]
    played = sum(bool(row.played) for row in found)
    lines.append(f"{played} of {len(found)} rows are played against a server process, beside a pair that talks.\n")
    lines.append("| row | | played by | other tests |\n| --- | --- | --- | --- |")
    for row in found:
        here = "<br/>".join(f"`{each.removeprefix(_ARENA)}`" for each in row.played) or APART.get(row.id, "")
        others = f"`{row.others[0]}`" if row.others else ""
        more = f" and {len(row.others) - 1} more" if len(row.others) > 1 else ""
        lines.append(f"| [{row.id}](../hostile.md) | {row.text} | {here} | {others}{more} |")
    return "\n".join([*lines, ""])
