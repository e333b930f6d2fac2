"""Plays cases against a mutant: the server in one process, the kit in another, both forked off a warm one."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, Final

from quicchat.server.adapters.share_memory import MemoryShare
from quicchat.tools.conform import main
from quicchat.tools.conform.bench import Target
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import FEATURES, Case
from quicchat.tools.conform.features import NoLogin, examine
from quicchat.tools.conform.quic import Unreachable
from quicchat.tools.conform.runner import Result, play
from quicchat.tools.conform.verdict import Deviation
from quicchat.transport.endpoint import listen
from tests.conformance.house import AUTHORITY, _open
from tests.mutants.mutant import Mutant
from tests.processes import CHEAP

_fork: Final = multiprocessing.get_context("fork")
#: What the servers here have not got.
WITHOUT: Final = frozenset({"control"})
#: What the servers here share.
SHARED: Final = {"one.txt": b"one" * 5_000, "three.bin": bytes(300_000), "two.txt": b"two"}
#: How long a whole run may take, in seconds.
LONGEST: Final = 120.0

Found = dict[str, tuple[str, str]]


def judged(mutant: Mutant | None, cases: Sequence[Case], *, at_once: int = 16) -> Found:
    """Case id -> verdict and text, of a fresh server with this fault, or with none. Raises RuntimeError."""
    with _child(_serve, mutant) as server:
        port = _told(server, 20, f"{mutant and mutant.name}: the server does not start")
        with _child(_play, port, list(cases), at_once) as kit:
            return _heard(kit, time.monotonic() + LONGEST)


def _heard(kit: Connection, until: float) -> Found:
    """What came of the cases, as far as they were played in time: who waits for what is broken may wait long."""
    found: Found = {}
    while kit.poll(max(0.0, until - time.monotonic())):
        told: tuple[str, str, str] | None = kit.recv()
        if told is None:
            break
        found[told[0]] = told[1:]
    return found


def controlled(mutant: Mutant | None, cases: Sequence[Case]) -> Found:
    """As `judged`, of a program that the cases start and kill. Raises RuntimeError."""
    name = "none" if mutant is None else mutant.name
    command = f"{sys.executable} -m tests.mutants.program {name} server -l 127.0.0.1 -p {{port}} --data {{data}}"

    async def run() -> Found:
        target = Target("127.0.0.1", 0, features=frozenset())
        async with main.controlled(f"{command} {' '.join(CHEAP)}", target):
            await examine(target)
            results = await play(cases, target, at_once=1)
            return {each.case.id: (each.verdict.value, each.text) for each in results}

    return asyncio.run(run())


def _told(pipe: Connection, patience: float, otherwise: str) -> Any:
    """What a child says within some seconds. Raises RuntimeError where it says nothing, or ends before."""
    with suppress(EOFError):
        if pipe.poll(patience):
            return pipe.recv()
    raise RuntimeError(otherwise)


@contextmanager
def _child(run: Callable[..., None], *words: Any) -> Iterator[Connection]:
    """A forked process that says something through a pipe; killed at the end."""
    ours, theirs = _fork.Pipe(duplex=False)
    process = _fork.Process(target=run, args=(theirs, *words), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve(pipe: Connection, mutant: Mutant | None) -> None:
    if mutant is not None:
        mutant.break_()
        # What it says about its own faults helps nobody.
        logging.disable()

    async def serve() -> None:
        rules = {"share": MemoryShare(SHARED)} | ({} if mutant is None else dict(mutant.rules))
        async with _open(None, **rules) as (_, door):
            endpoint = await listen([("127.0.0.1", 0)], AUTHORITY.issue(), door.accept)
            pipe.send(endpoint.addresses[0][1])
            await asyncio.Event().wait()

    asyncio.run(serve())


def _play(pipe: Connection, port: int, cases: list[Case], at_once: int) -> None:
    def tell(result: Result) -> None:
        pipe.send((result.case.id, result.verdict.value, result.text))

    async def run() -> None:
        target = Target("127.0.0.1", port, features=frozenset())
        # What a mutant breaks is not to be taken for what a server has not got.
        with suppress(Unreachable, Deviation, NoLogin):
            await examine(target)
        target.features = frozenset(FEATURES) - WITHOUT
        target.versions = target.versions or book().versions
        # What is bad is what is looked for, and nothing is played twice.
        await play(cases, target, at_once=at_once, tell=tell, doubts=0)

    asyncio.run(run())
    pipe.send(None)
