"""Plays seeds, and tells how to see one again that broke a promise. (spec 12-operation)"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from functools import partial

from quicchat.tools.sim.plants import PLANTS
from quicchat.tools.sim.play import Outcome, play

_COMMAND = "python -m quicchat.tools.sim"
#: Seconds between two lines of progress.
_PROGRESS = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Play the seeds; exit 1 if a promise was broken, and with a plant if none was."""
    options = _parser().parse_args(arguments)
    if options.list:
        for name, plant in PLANTS.items():
            print(f"{name:28} {plant.__doc__}")
        return 0
    if options.seed is not None:
        outcome = play(options.seed, plant=options.plant, packets=options.verbose > 1)
        if options.verbose:
            print(*outcome.trace, sep="\n")
        _tell(outcome, options.plant)
        print(f"seed {outcome.seed}, trace {outcome.digest}")
        return _verdict(len(outcome.violations), options.plant)
    first, _, last = options.seeds.partition("..")
    return _many(range(int(first), int(last or first) + 1), options.plant, options.jobs)


def _many(seeds: range, plant: str | None, jobs: int) -> int:
    begun = told = time.monotonic()
    broken = 0
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for done, outcome in enumerate(pool.imap_unordered(partial(play, plant=plant), seeds, chunksize=8), 1):
            if outcome.violations:
                broken += 1
                _tell(outcome, plant)
            if time.monotonic() - told > _PROGRESS:
                told = time.monotonic()
                print(f"{done} of {len(seeds)} seeds, {broken} broken, {told - begun:.0f} s", flush=True)
    print(f"{len(seeds)} seeds, {broken} broken, {time.monotonic() - begun:.0f} s")
    return _verdict(broken, plant)


def _verdict(broken: int, plant: str | None) -> int:
    return int((broken > 0) is (plant is None))


def _tell(outcome: Outcome, plant: str | None) -> None:
    """What was broken, and the command that plays it again."""
    for violation in outcome.violations:
        print(violation)
    if outcome.violations:
        print(f"    {command(outcome.seed, plant)}", flush=True)


def command(seed: int, plant: str | None = None) -> str:
    """What to type to see a seed again."""
    return f"{_COMMAND} --seed {seed} -v" + (f" --plant {plant}" if plant else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_COMMAND, description="Plays a server and its clients from seeds.")
    parser.add_argument("--seeds", default="0..99", metavar="A..B", help="the seeds to play (default 0..99)")
    parser.add_argument("--seed", type=int, metavar="N", help="play one seed")
    parser.add_argument("--plant", choices=PLANTS, metavar="NAME", help="plant a fault, which has to be found")
    parser.add_argument("--list", action="store_true", help="list the faults that can be planted")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one for each core)")
    parser.add_argument("-v", dest="verbose", action="count", default=0, help="print the trace; -vv with all packets")
    return parser


if __name__ == "__main__":
    sys.exit(main())
