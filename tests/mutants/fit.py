"""Names the mutants that do not fit the server any more; each is tried in a process of its own, forked off this one."""

from __future__ import annotations

import os
import sys
import traceback

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant


def fits(mutant: Mutant) -> bool:
    """Whether it finds what it changes."""
    child = os.fork()
    if child == 0:
        try:
            mutant.break_()
        except Exception:  # noqa: BLE001 - whatever it is, the mutant is out of date
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main() -> int:
    """Print a name a line."""
    found = [each.name for each in MUTANTS if not fits(each)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
