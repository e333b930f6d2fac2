"""One measured figure, and a table of medians over several runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with its unit, and what else was seen in that run."""

    name: str
    value: float
    unit: str
    note: str = ""


def medians(runs: Iterable[Iterable[Row]]) -> list[str]:
    """Lines of a table: the median of each figure, its spread, and the note of the median run."""
    by_name: dict[str, list[Row]] = {}
    for run in runs:
        for row in run:
            by_name.setdefault(row.name, []).append(row)
    lines = [f"{'what':34} {'median':>12} {'unit':12} {'min - max':>23}  note"]
    for name, found in by_name.items():
        ordered = sorted(found, key=lambda row: row.value)
        middle = ordered[(len(ordered) - 1) // 2]
        median = statistics.median(row.value for row in found)
        spread = f"{ordered[0].value:,.2f} - {ordered[-1].value:,.2f}"
        lines.append(f"{name:34} {median:12,.2f} {middle.unit:12} {spread:>23}  {middle.note}")
    return lines
