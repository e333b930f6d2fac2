"""Mutants: each still fits the server that it breaks; and some are played, for a kit could notice nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quicchat.tools.conform.cases import every
from tests.mutants import matrix
from tests.mutants.__main__ import near
from tests.mutants.catalogue import MUTANTS
from tests.mutants.host import judged

CASES = [case for case in every() if not case.slow and not case.thorough and "control" not in case.needs]
#: One of nearly each chapter.
SOME = (
    "2.2-1/indefinite",
    "3.2-1/another-nonce",
    "10.1-2/READY-forgives",
    *(next(each.name for each in MUTANTS if each.name.startswith(f"{section}-")) for section in ("4.2", "5.2", "6.2")),
)


def test_there_are_enough_and_they_are_told_apart() -> None:
    """Issue 7, item 4: at least 60 deliberate faults, each with a sentence that says what is wrong."""
    assert len({each.name for each in MUTANTS}) == len(MUTANTS) >= 60
    assert [each.name for each in MUTANTS if not each.about] == []


def test_each_fits_the_server() -> None:
    """Issue 7, item 4: what a mutant changes stands where it looks for it; one that is out of date is no fault."""
    done = subprocess.run([sys.executable, "-m", "tests.mutants.fit"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


@pytest.mark.socket
@pytest.mark.parametrize("name", SOME)
def test_a_fault_is_noticed(name: str) -> None:
    """Issue 7, item 4: by every case that is about it, and a healthy server passes these."""
    (mutant,) = [each for each in MUTANTS if each.name == name]
    cases = near(mutant, CASES)
    healthy = judged(None, cases)
    assert {id: found for id, found in healthy.items() if found[0] in matrix.BAD} == {}
    row = matrix.row(mutant, judged(mutant, cases), healthy)
    assert row.noticed
    assert row.missed == row.stumbled == frozenset()
