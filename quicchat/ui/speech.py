"""What was said and is not yet stored: who waits for it, and who need not. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, Final

from quicchat.ui.hope import Hope, Hopeless

#: Messages that were typed and are not yet stored, at most; all of them are on the disk.
_SAID: Final = 1024


class Speech:
    """Messages under way, by their ids. Those that are `kept_back` for want of somebody's keys hold up nothing.

    `broken` fails with what no command may fail with.
    """

    def __init__(self, hope: Hope, kept_back: Collection[bytes]) -> None:
        self._hope = hope
        self._kept_back = kept_back
        self._tasks: dict[asyncio.Task[bool], bytes] = {}
        self._hopeless: Hopeless | None = None
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def room(self) -> None:
        """One more may be said. Raises Hopeless."""
        await self._hope.until(lambda: self._moving < _SAID)

    async def begin(self, cid: bytes, work: Coroutine[Any, Any, bool]) -> None:
        """Say it; nobody waits for its answer, and it stays in its order."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = cid
        task.add_done_callback(self._was_said)
        await asyncio.sleep(0)

    async def stored(self) -> None:
        """What was said before is stored, refused, or kept back. Raises Hopeless."""
        await self._hope.until(lambda: not self._moving)
        if self._hopeless is not None:
            raise self._hopeless

    async def close(self) -> None:
        """Nobody hears any more what becomes of it."""
        tasks: list[asyncio.Future[Any]] = [self.broken, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def left(self) -> int:
        """How many are kept back."""
        return len(self._tasks) - self._moving

    @property
    def _moving(self) -> int:
        return sum(cid not in self._kept_back for cid in self._tasks.values())

    def _was_said(self, task: asyncio.Task[bool]) -> None:
        self._tasks.pop(task, None)
        self._hope.news()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, Hopeless):
            self._hopeless = error
        elif not self.broken.done():
            self.broken.set_exception(error)
