"""`make bench`: every figure, medians over several runs in one go. Figures are compared, never asserted."""

from __future__ import annotations

import argparse

from tests.bench import (
    bench_chat,
    bench_faces,
    bench_files,
    bench_keys,
    bench_link,
    bench_many,
    bench_memory,
    bench_parcels,
    bench_resume,
    bench_rooms,
    bench_store,
    bench_wire,
)
from tests.bench.table import medians


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("-n", "--runs", type=int, default=5, help="runs of each measurement (default 5)")
    parser.add_argument("--only", help="name of a module, such as chat, resume, store or wire")
    arguments = parser.parse_args()
    every = (
        *(bench_wire, bench_store, bench_link, bench_chat, bench_many),
        *(bench_resume, bench_rooms, bench_files, bench_parcels, bench_memory, bench_keys, bench_faces),
    )
    for module in every:
        if arguments.only in (None, module.__name__.rpartition("_")[2]):
            print("\n".join(medians(module.rows() for _ in range(arguments.runs))), flush=True)


if __name__ == "__main__":
    main()
