"""The matrix: which case notices which mutant, whether every mutant is noticed, and whether every case can fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from quicchat.tools.conform.case import Case
from quicchat.tools.conform.runner import MISTAKE
from quicchat.tools.conform.verdict import Verdict
from tests.mutants.host import Found
from tests.mutants.mutant import Mutant

BAD: Final = frozenset(each.value for each in Verdict if each.is_bad or each is Verdict.NON_STRICT)
#: What more than this share of the cases notices, and more than so many, proves those of its own sentence only.
SPECIFIC: Final = 0.15
FEW: Final = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One mutant and what came of it: the cases that noticed, those that had to and did not, those that stumbled."""

    mutant: Mutant
    noticed: frozenset[str]
    missed: frozenset[str]
    stumbled: frozenset[str]
    played: int

    @property
    def proved(self) -> frozenset[str]:
        """The cases that have been seen to fail for a reason of their own: this fault is in their sentence, or rare."""
        if len(self.noticed) <= max(FEW, SPECIFIC * self.played):
            return self.noticed
        sentence = f"QC-{self.mutant.name.partition('/')[0]}/"
        return frozenset(id for id in self.noticed if id.startswith(sentence))


def row(mutant: Mutant, found: Found, healthy: Found) -> Row:
    """Compare a mutant with the healthy server; what is bad there says nothing here."""
    noticed = frozenset(id for id, (verdict, _) in found.items() if verdict in BAD and healthy[id][0] not in BAD)
    due = frozenset(id for id in found if mutant.must_kill(id) and healthy[id][0] != Verdict.UNIMPLEMENTED.value)
    stumbled = frozenset(id for id, (_, text) in found.items() if text.startswith(MISTAKE))
    return Row(mutant, noticed, due - noticed, stumbled, len(found))


def faults(rows: Sequence[Row], cases: Iterable[Case], healthy: Found) -> Iterator[str]:
    """What is wrong with kit or mutants, a line each."""
    for each in rows:
        if not each.noticed:
            yield f"{each.mutant.name} lives: no case notices that {each.mutant.about}"
        elif each.missed:
            yield f"{each.mutant.name} is not noticed by {', '.join(sorted(each.missed))}"
        if each.stumbled:
            yield f"{each.mutant.name} is not judged but stumbled over by {', '.join(sorted(each.stumbled))}"
    proved = {id for each in rows for id in each.proved}
    for case in cases:
        if case.id not in proved and healthy[case.id][0] not in (*BAD, *_IDLE):
            yield f"{case.id} is noticed by no specific mutant: can it fail?"


_IDLE: Final = (Verdict.UNIMPLEMENTED.value, Verdict.INFORMATIONAL.value)


def markdown(rows: Sequence[Row], cases: Sequence[Case]) -> str:
    """The matrix as a page: for each mutant what it does wrong and who notices, families of cases in one word."""
    lines = [
        "<!-- Written by `make mutants`; do not edit. -->\n",
        "# Mutants\n",
        f"{len(rows)} servers with one deliberate fault each, and which of {len(cases)} cases of the kit notice.\n",
        "| mutant | what is wrong | noticed by |",
        "| --- | --- | --- |",
    ]
    for each in sorted(rows, key=lambda one: [int(part) for part in _numbers(one.mutant.name)]):
        lines.append(f"| {each.mutant.name} | {each.mutant.about} | {', '.join(_families(each.noticed))} |")
    return "\n".join([*lines, ""])


def _numbers(name: str) -> Iterator[str]:
    return iter(name.partition("/")[0].replace("-", ".").split("."))


def _families(ids: Iterable[str], most: int = 6) -> list[str]:
    """Ids; where a sentence has many, how many."""
    of: dict[str, list[str]] = {}
    for id in sorted(ids):
        of.setdefault(id.partition("/")[0], []).append(id)
    found = [f"{name} ({len(each)})" if len(each) > 3 else ", ".join(each) for name, each in of.items()]
    return found if len(found) <= most else [*found[:most], f"{len(found) - most} more"]
