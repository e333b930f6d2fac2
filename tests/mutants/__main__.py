"""`make mutants`: every mutant against the kit; writes spec/mutants.md, and fails where a mutant lives."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from quicchat.tools.conform.case import Case
from quicchat.tools.conform.cases import every
from quicchat.tools.conform.runner import chosen
from tests.mutants import matrix
from tests.mutants.catalogue import MUTANTS
from tests.mutants.host import controlled, judged
from tests.mutants.mutant import Mutant

PAGE = Path(__file__).resolve().parents[2] / "spec" / "mutants.md"


def _kind(case: Case) -> str:
    return "control" if "control" in case.needs else "slow" if case.slow else ""


def _waits(mutant: Mutant) -> str:
    """`slow` where all cases that have to notice it wait for a deadline."""
    return "slow" if all(case.slow for case in every() if mutant.must_kill(case.id)) else ""


def near(mutant: Mutant, cases: Sequence[Case]) -> list[Case]:
    """Those of its section, and those that have to notice it."""
    section = mutant.name.partition("-")[0]
    return [case for case in cases if case.sentence.partition("-")[0] == section or mutant.must_kill(case.id)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("names", nargs="*", help="mutants, or beginnings of their names; all by default")
    parser.add_argument("--only", nargs="*", default=[], help="play these cases only")
    parser.add_argument("--kind", choices=("slow", "control"), default="", help="such cases, and what only they notice")
    parser.add_argument("--all", action="store_true", help="play each against all cases, not only those of its section")
    parser.add_argument("-j", type=int, default=2, help="mutants at a time")
    options = parser.parse_args()
    mutants = [each for each in MUTANTS if not options.names or each.name.startswith(tuple(options.names))]
    mutants = [each for each in mutants if (each.only or _waits(each)) == options.kind]
    cases = [case for case in chosen(every(), options.only) if _kind(case) == options.kind]
    judge = controlled if options.kind == "control" else judged
    healthy = judge(None, cases)
    for id, (verdict, text) in healthy.items():
        if verdict in matrix.BAD:
            print(f"a healthy server: {verdict} {id} {text}")

    def one(mutant: Mutant) -> matrix.Row:
        row = matrix.row(mutant, judge(mutant, cases if options.all else near(mutant, cases)), healthy)
        print(f"{mutant.name}: noticed by {len(row.noticed)}", *sorted(row.noticed)[:4], flush=True)
        return row

    with ThreadPoolExecutor(options.j) as pool:
        rows = list(pool.map(one, mutants))
    wrong = list(matrix.faults(rows, cases, healthy))
    if not options.names and not options.only and not options.kind:
        PAGE.write_text(matrix.markdown(rows, cases))
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
