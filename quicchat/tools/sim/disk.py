"""The server's disk: writes are grouped, committed late, and lost by a crash before that. (ARCHITECTURE)

What counts is the list of transactions that were committed; a store that is mounted after a crash is made from it.
Everybody reads what is committed, and a writer hears of his transaction after its commit, as with SQLite.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from quicchat.errors import Refused
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.ports import Accounts, Files, Keys, Log, Rooms
from quicchat.tools.sim.chance import Draws, Trace
from quicchat.values import dataclass

#: The methods of the ports that only look; whatever else there is goes the way of writes.
READS: Final = frozenset(
    {
        "accounts.secret",
        "accounts.is_empty",
        "accounts.credentials",
        "accounts.bearer",
        "accounts.gaps",
        "accounts.devices",
        "rooms.listed",
        "rooms.info",
        "rooms.members",
        "rooms.audible",
        "rooms.neighbours",
        "rooms.invitations",
        "log.page",
        "log.progress",
        "log.holding",
        "log.targets",
        "log.search",
        "files.uploading",
        "files.readable",
        "files.listed",
        "keys.of",
        "keys.waiting",
        "keys.concerned",
        "keys.restore",
    }
)
#: Seconds that a commit and a read take, at most.
_COMMIT, _READ = 0.004, 0.001
#: Transactions committed at once, at most.
_GROUP: Final = 64


@dataclass(frozen=True, slots=True)
class Job:
    """One transaction: a method of a port with its arguments."""

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]

    def run(self, store: MemoryStore) -> Any:
        """Carry it out at once. Raises Refused."""
        port, method = self.name.split(".")
        work: Coroutine[Any, Any, Any] = getattr(getattr(store, port), method)(*self.args, **self.options)
        try:
            work.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("the store in memory waited for something")


Outcome = Callable[[], Any]
Waiting = tuple[Job, asyncio.Future[Any]]


class Disk:
    """Keeps what was committed over crashes; `mount` gives the store of one life of the server."""

    def __init__(self, draws: Draws, trace: Trace) -> None:
        self.committed: list[Job] = []
        #: Seconds that a commit takes longer than usual, at most.
        self.slowness = 0.0
        self.draws = draws
        self.trace = trace

    def mount(self) -> Volume:
        """A store that holds all that was committed."""
        return Volume(self, self.recovered())

    def recovered(self) -> MemoryStore:
        """What is found after a crash."""
        store = MemoryStore()
        for job in self.committed:
            job.run(store)
        return store

    def commit_time(self) -> float:
        """Seconds that the next commit takes."""
        return self.draws.uniform(0.0005, _COMMIT) + self.draws.random() * self.slowness


class Volume:
    """The port `Store` of one life of the server; after `crash` nobody who waits for it hears anything more."""

    def __init__(self, disk: Disk, store: MemoryStore) -> None:
        self.disk = disk
        self.store = store
        self.accounts = cast(Accounts, _Port(self, "accounts"))
        self.rooms = cast(Rooms, _Port(self, "rooms"))
        self.log = cast(Log, _Port(self, "log"))
        self.files = cast(Files, _Port(self, "files"))
        self.keys = cast(Keys, _Port(self, "keys"))
        self.dead = False
        self._loop = asyncio.get_running_loop()
        self._queue: list[Waiting] = []
        self._group: list[Waiting] = []

    async def close(self) -> None:
        """Nothing to do: a store that is closed in good order has nothing left to write."""

    def crash(self) -> None:
        """The machine stops. What was being written is there afterwards, or is not."""
        self.dead = True
        kept = self._group and self.disk.draws.one_in(2)
        if kept:
            self._apply(self._group)
        lost = len(self._queue) + (0 if kept else len(self._group))
        self.disk.trace.note("disk", f"{lost} transactions lost" + (", the last group kept" if kept else ""))

    async def read(self, job: Job) -> Any:
        """Look at what is committed."""
        await self._pause(_READ)
        result = job.run(self.store)
        if self.disk.draws.one_in(4):
            await self._pause(_READ)
        return result

    async def write(self, job: Job) -> Any:
        """Have a transaction committed with the next group. Raises Refused."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.append((job, future))
        self._begin()
        return (await future)()

    async def _pause(self, most: float) -> None:
        await asyncio.sleep(self.disk.draws.uniform(0.0, most))
        if self.dead:
            await self._loop.create_future()

    def _begin(self) -> None:
        if self._queue and not self._group and not self.dead:
            self._group, self._queue = self._queue[:_GROUP], self._queue[_GROUP:]
            self._loop.call_later(self.disk.commit_time(), self._end)

    def _end(self) -> None:
        if self.dead:
            return
        outcomes = self._apply(self._group)
        for (_, future), outcome in zip(self._group, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
        self._group = []
        self._begin()

    def _apply(self, group: list[Waiting]) -> list[Outcome]:
        """Commit a group. Refused transactions write nothing."""
        outcomes: list[Outcome] = []
        for job, _ in group:
            try:
                result = job.run(self.store)
            except Refused as refusal:
                outcomes.append(_raising(refusal))
            else:
                self.disk.committed.append(job)
                outcomes.append(_giving(result))
        return outcomes


class _Port:
    """Any port of the store: each method becomes a job."""

    def __init__(self, volume: Volume, name: str) -> None:
        self._volume = volume
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        name = f"{self._name}.{method}"
        way = self._volume.read if name in READS else self._volume.write

        def ask(*args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
            return way(Job(name, args, options))

        return ask


def _giving(result: Any) -> Outcome:
    return lambda: result


def _raising(refusal: Refused) -> Outcome:
    def tell() -> Any:
        raise refusal

    return tell
