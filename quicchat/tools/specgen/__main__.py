"""Writes the generated part of the specification, or checks that it is up to date. (spec README)"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from quicchat.tools.specgen import output, page


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 when `--check` finds a file that is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m quicchat.tools.specgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; name the files that differ")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository (default: here)")
    parser.add_argument("--page", action="store_true", help=f"write all of it as one page, too: {page.PLACE}")
    args = parser.parse_args(argv)
    wanted = output.with_coverage(args.root)
    if not args.check:
        for name in output.write(args.root, wanted):
            print(name)
        if args.page:
            place = args.root / page.PLACE
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(page.page(args.root), encoding="utf-8")
            print(page.PLACE)
        return 0
    stale = list(output.differing(args.root, wanted))
    for name in stale:
        print(f"{name} is not up to date; run `make spec`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
