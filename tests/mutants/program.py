"""`python -m tests.mutants.program MUTANT server ...`: a mutant as a program, for who starts and kills servers."""

from __future__ import annotations

import sys

from quicchat.__main__ import main
from tests.mutants.catalogue import MUTANTS

if __name__ == "__main__":
    for each in MUTANTS:
        if each.name == sys.argv[1]:
            each.break_()
    sys.exit(main(sys.argv[2:]))
