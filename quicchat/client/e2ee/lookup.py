"""Device lists as the server has them now: asked for once, by whoever needs them first. (spec 15-keys)"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from quicchat.client.e2ee.asking import check_answer
from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.lists import Row
from quicchat.client.e2ee.openpgp import Certificate
from quicchat.client.e2ee.people import People
from quicchat.errors import MEANINGS, Refused
from quicchat.wire.chapters.keys import ASKED, GetKeys, KeyList
from quicchat.wire.registry import Pdu

A = TypeVar("A", bound=Pdu)
T = TypeVar("T")
#: Seconds until what the server cannot do now is tried again, where somebody waits for it.
SOON: Final = (1.0, 5.0)
#: So often a list that changes while it is fetched is fetched again.
_ROUNDS: Final = 4


class Ask(Protocol):
    """A request on the connection of the moment, as `Requests.ask`. Raises Refused, LinkLost."""

    def __call__(self, pdu: Pdu, answer: type[A], /) -> Awaitable[A]: ...


class Lookup:
    """Calling order: `fresh`; `heard` and `lost` say that what was fetched may have changed."""

    def __init__(self, people: People, ask: Ask) -> None:
        self._people = people
        self._ask = ask
        #: Whose lists were compared on this connection, or are being fetched.
        self._fresh: set[str] = set()
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def heard(self, user: str) -> None:
        """His list has changed."""
        self._fresh.discard(user)

    def is_stale(self, user: str) -> bool:
        """Whether his list may be another one by now."""
        return user not in self._fresh or user in self._asked

    def lost(self) -> None:
        """Nobody tells us any more of changes."""
        self._fresh.clear()
        self._asked.clear()

    async def close(self) -> None:
        """Nobody waits any more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def fresh(self, users: Collection[str], *, again: bool = False) -> None:
        """Have the lists of these users as the server has them now; with `again`, whatever was fetched before.

        Raises Refused, LinkLost.
        """
        if again:
            self._fresh.difference_update(users)
        for _ in range(_ROUNDS):
            missing = sorted(filter(self.is_stale, set(users)))
            if not missing:
                return
            new = [user for user in missing if user not in self._asked]
            if new:
                self._begin(new)
            for task in dict.fromkeys(self._asked[user] for user in missing):
                await asyncio.shield(task)

    def _begin(self, users: Sequence[str]) -> None:
        """Whoever waits may give up; the others go on waiting for the same."""
        # Before it is asked: what changes from here on is heard of.
        self._fresh.update(users)
        task = asyncio.get_running_loop().create_task(self._fetch(users))
        self._tasks.add(task)
        self._asked.update(dict.fromkeys(users, task))
        task.add_done_callback(lambda done: self._done(done, users))

    def _done(self, task: asyncio.Task[None], users: Sequence[str]) -> None:
        self._tasks.discard(task)
        failed = task.cancelled() or task.exception() is not None
        for user in users:
            if self._asked.get(user) is task:
                del self._asked[user]
                if failed:
                    self._fresh.discard(user)

    async def _fetch(self, users: Sequence[str]) -> None:
        first: list[str] = []
        while users:
            asked = tuple(users[:ASKED])
            held = tuple(map(self._people.held, asked))
            pdu = GetKeys(users=asked, serials=held)
            rows = (await patiently(partial(self._ask, pdu, KeyList), SOON)).users
            check_answer(rows, asked)
            for row, serial in zip(rows, held, strict=False):
                await _read(row)
                if serial and row[1] == serial and not row[3]:
                    self._people.refused.pop(row[0], None)
                elif self._people.take(row):
                    first.append(row[0])
            users = users[len(rows) :]
        self._people.tell_first(first)


async def _read(row: Row) -> None:
    """Certificates are kept as they were read; each takes a millisecond, and there may be a thousand in an answer."""
    for data in (row[2], *row[5]):
        with contextlib.suppress(BadKey):
            Certificate.of(data)
        await asyncio.sleep(0)


async def patiently(call: Callable[[], Awaitable[T]], pauses: Sequence[float]) -> T:
    """Do it, and after each pause (seconds) again where the server cannot do it now. Raises Refused, as the call."""
    for pause in pauses:
        try:
            return await call()
        except Refused as refusal:
            if not MEANINGS[refusal.code].temporary:
                raise
            await asyncio.sleep(max(pause, (refusal.retry_after or 0) / 1000))
    return await call()
