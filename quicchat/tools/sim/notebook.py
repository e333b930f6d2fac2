"""What a client keeps: a memory that is written to until the program is killed, on a disk that loses. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from quicchat.client.memory import Change, Held, Kept, PlainMemory
from quicchat.errors import Code, Refused
from quicchat.tools.sim.chance import Draws
from quicchat.wire.search import Word

#: Seconds that a commit takes, at most.
_COMMIT: Final = 0.02
_LEAST: Final = 0.0005


class Notebook:
    """A memory that a program writes to until it is killed; `wrote` hears of each writing before it is durable.

    With `draws` that takes a while, and of what was on its way when the program was killed some is there afterwards:
    as much as was to be written first.
    """

    def __init__(
        self, memory: PlainMemory, draws: Draws | None = None, wrote: Callable[[], None] | None = None
    ) -> None:
        self._memory = memory
        self._draws = draws
        self._wrote = wrote
        self._loop = asyncio.get_running_loop()
        self._queue: list[tuple[Change, asyncio.Future[None]]] = []
        self._closed = False

    @property
    def keeps(self) -> int:
        return self._memory.keeps

    @property
    def lasting(self) -> bool:
        return self._memory.lasting

    async def load(self) -> Kept:
        return await self._memory.load()

    async def keep(self, change: Change) -> None:
        if self._closed:
            raise Refused(Code.STORE_UNAVAILABLE)
        if self._draws is None:
            await self._memory.keep(change)
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.append((change, future))
        if len(self._queue) == 1:
            self._loop.call_later(self._draws.uniform(_LEAST, _COMMIT), self._commit)
        if self._wrote is not None:
            self._wrote()
        await future

    async def page(self, room: str, *, before: int | None = None, limit: int = 50) -> Sequence[Held]:
        return await self._memory.page(room, before=before, limit=limit)

    async def search(self, words: Sequence[Word], *, room: str | None = None, limit: int = 50) -> Sequence[Held]:
        return await self._memory.search(words, room=room, limit=limit)

    async def forget(self) -> None:
        await self._memory.forget()

    async def close(self) -> None:
        """Nothing to do: the memory outlives the program."""

    def cut(self) -> None:
        """The program is killed."""
        self._closed = True
        queue, self._queue = self._queue, []
        kept = self._draws.randint(0, len(queue)) if self._draws is not None else 0
        for at, (change, future) in enumerate(queue):
            if at < kept:
                self._write(change)
            if not future.done():
                future.set_exception(Refused(Code.STORE_UNAVAILABLE))
                future.exception()

    def _commit(self) -> None:
        queue, self._queue = self._queue, []
        for change, future in queue:
            self._write(change)
            if not future.done():
                future.set_result(None)

    def _write(self, change: Change) -> None:
        try:
            self._memory.keep(change).send(None)
        except StopIteration:
            return
        raise AssertionError("the memory waited for something")
