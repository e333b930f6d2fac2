"""Chunks: which of a file are here while it is uploaded, and waiting for the others. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.wire import leaves
from quicchat.wire.chapters.files import RANGES, Range

#: Seconds that whoever reads what is still being uploaded waits for the next of it.
PATIENCE: Final = 60.0


class Chunks:
    """Which chunks of a file are here, and waiting for the others."""

    def __init__(self, size: int, chunk: int, patience: float) -> None:
        self._size = size
        self._chunk = chunk
        self._patience = patience
        self._here = bytearray(leaves.count(size, chunk))
        self._left = len(self._here)
        self._ended = False
        self._news = asyncio.Event()
        #: Whether the leaves are here, by which chunks are judged.
        self.judged = False

    def has(self, index: int) -> bool:
        """Whether this chunk is here."""
        return bool(self._here[index])

    def add(self, *indexes: int) -> None:
        """These chunks are here now, or, with none, the leaves."""
        for index in indexes:
            self._left -= not self._here[index]
            self._here[index] = 1
        self._judged()

    def found(self, here: bytes) -> None:
        """The leaves are here, and so is each chunk whose byte is 1."""
        self._here[:] = here
        self._left = here.count(0)
        self._judged()

    def end(self) -> None:
        """No more will come."""
        self._ended = True
        self._tell()

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        return self._ended

    def ranges(self, *, missing: bool = False) -> tuple[Range, ...]:
        """The bytes that are here, or those that are not, in as few pieces as may be: the first that fit into a PDU.

        There may be half a million of them, and to look for all would hold up everybody.
        """
        wanted, others = (b"\0", b"\1") if missing else (b"\1", b"\0")
        found: list[Range] = []
        first = self._here.find(wanted)
        while first >= 0 and len(found) < RANGES:
            end = self._here.find(others, first)
            end = len(self._here) if end < 0 else end
            found.append((first * self._chunk, min(end * self._chunk, self._size) - first * self._chunk))
            first = self._here.find(wanted, end)
        return tuple(found)

    async def wait(self, offset: int, size: int) -> None:
        """Until these bytes are here. Raises Refused(NO_SUCH_FILE) when none will come, or none came for too long."""
        span = range(offset // self._chunk, leaves.count(offset + size, self._chunk))
        await self._until(lambda: not self._left or all(self._here[index] for index in span))

    async def wait_judged(self) -> None:
        """Until the leaves are here. Raises as `wait`."""
        await self._until(lambda: self.judged)

    async def _until(self, done: Callable[[], bool]) -> None:
        # What was given up is given to nobody; of what had come whole, those who read it get the rest.
        while (self._ended and self._left) or not done():
            if self._ended:
                raise Refused(Code.NO_SUCH_FILE)
            try:
                async with asyncio.timeout(self._patience):
                    await self._news.wait()
            except TimeoutError:
                raise Refused(Code.NO_SUCH_FILE, "Its sender sends no more of it.") from None

    def _judged(self) -> None:
        self.judged = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
