"""Uploads: what a client sends of a file, gathered into chunks and put where it belongs. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.content import Sink
from quicchat.server.effects import Receive, Uploaded
from quicchat.server.model import FIRST_CREDIT
from quicchat.transport.driver import Driver
from quicchat.wire import leaves
from quicchat.wire.chapters.files import RANGES, FileAck, FileHeader, Part, Range

#: The most bytes that one stream may carry beyond those that were taken; what goes beyond the first credit is lent.
WINDOW: Final = 1_048_576
LENT: Final = 3 * WINDOW
#: Parts of a file that are announced before the first of them is taken.
_PARTS: Final = 1_024
#: Bytes of leaves that are taken at once.
_LEAVES: Final = 65_536
#: Verified bytes that are told at once, even while more are waiting.
_TOLD: Final = 262_144
#: How long an upload may bring nothing, in seconds.
STALL: Final = 60.0


class Pool:
    """What all uploads of a session may have under way beyond the first credit of each."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = LENT

    def borrow(self) -> int:
        """As much as one may have, or as there is."""
        lent = min(self._left, WINDOW - FIRST_CREDIT)
        self._left -= lent
        return lent

    def give_back(self, lent: int) -> None:
        """An upload is over."""
        self._left += lent


class Upload:
    """Takes in one stream: `run`; what comes is handed to `raw`, `part` and `end`. It holds a chunk and a window."""

    def __init__(self, sid: int, driver: Driver, pool: Pool) -> None:
        self._pool = pool
        self._window = FIRST_CREDIT
        self._sid = sid
        self._driver = driver
        self._parts: deque[FileHeader] = deque()
        self._bytes = bytearray()
        #: Raw bytes that came, that were taken out of `_bytes`, and that the client may have sent.
        self._came = 0
        self._taken = 0
        self._credit = FIRST_CREDIT
        #: How many had come when it began to wait for others, and until when it does.
        self._stood = -1
        self._latest = 0.0
        self._verified: list[Range] = []
        self._refused = False
        #: Whether all has come.
        self.ended = False
        self._news = asyncio.Event()

    # What comes

    def raw(self, data: bytes) -> None:
        """Raw bytes. Raises Refused(LIMIT) for more than there was credit for."""
        self._came += len(data)
        if self._came > self._credit:
            raise Refused(Code.LIMIT)
        if not self._refused:
            self._bytes += data
            self._news.set()

    def part(self, header: FileHeader) -> None:
        """Another part is about to come. Raises Refused(LIMIT) for too many at once."""
        if len(self._parts) >= _PARTS:
            raise Refused(Code.LIMIT)
        if not self._refused:
            self._parts.append(header)
            self._news.set()

    def end(self) -> None:
        """No more comes."""
        self.ended = True
        self._news.set()

    def refuse(self) -> None:
        """Nobody wants it: what is under way may still come, and is dropped."""
        self._refused = True
        self._bytes.clear()
        self._parts.clear()

    # What becomes of it

    async def run(self, effect: Receive) -> Uploaded:
        """Take all that comes. Raises Refused as the sink does, and where the parts make no sense (RANGE, ...)."""
        lent = self._pool.borrow()
        self._window += lent
        try:
            return await self._take(effect.header, effect.sink)
        finally:
            self._pool.give_back(lent)

    async def _take(self, first: FileHeader, sink: Sink) -> Uploaded:
        header: FileHeader | None = first
        carried = 0
        self._tell()
        while header is not None:
            carried += await self._take_part(header, sink)
            header = await self._next_part()
        if self._verified:
            self._tell()
        return Uploaded(sink.file, carried)

    async def _next_part(self) -> FileHeader | None:
        while not self._parts:
            if self.ended:
                return None
            await self._more()
        return self._parts.popleft()

    async def _take_part(self, header: FileHeader, sink: Sink) -> int:
        """One part; returns how many bytes of the file it brought."""
        start, size = header.range
        _check(header, sink)
        if header.part is Part.LEAVES:
            for at in range(0, size, _LEAVES):
                await sink.put_leaves(await self._gather(min(_LEAVES, size - at)))
            return 0
        for at in range(start, start + size, sink.chunk):
            data = await self._gather(min(sink.chunk, sink.size - at))
            await sink.put(at // sink.chunk, data)
            self._note(at, len(data))
        return size

    async def _gather(self, size: int) -> bytes:
        """The next bytes, which make room for others as they are taken."""
        gathered = bytearray()
        while (missing := size - len(gathered)) > 0:
            if not self._bytes:
                await self._more()
            taken = self._bytes[:missing]
            del self._bytes[: len(taken)]
            gathered += taken
            self._taken += len(taken)
        return bytes(gathered)

    def _note(self, at: int, size: int) -> None:
        """A chunk is stored."""
        if self._verified and sum(self._verified[-1]) == at:
            at, size = self._verified[-1][0], self._verified.pop()[1] + size
        self._verified.append((at, size))
        if size >= _TOLD or len(self._verified) >= RANGES:
            self._tell()

    async def _more(self) -> None:
        """Wait for more, after saying how far we are. Raises Refused(LIMIT) where nothing comes for too long."""
        if self._verified or 2 * (self._taken + self._window - self._credit) >= self._window:
            self._tell()
        if self._came > self._stood:
            # Parts without bytes bring nothing.
            self._stood, self._latest = self._came, self._driver.now + STALL
        self._news.clear()
        try:
            async with asyncio.timeout_at(self._latest):
                await self._news.wait()
        except TimeoutError:
            raise Refused(Code.LIMIT, "The upload has stopped.") from None

    def _tell(self) -> None:
        self._credit = max(self._credit, self._taken + self._window)
        verified, self._verified = tuple(self._verified), []
        self._driver.send(FileAck(verified=verified or None, credit=self._credit), sid=self._sid)


def _check(header: FileHeader, sink: Sink) -> None:
    """Whether a part can be one of this file. Raises Refused (STREAM_MISUSE), (DIGEST), (RANGE)."""
    start, size = header.range
    end = start + size
    if header.file != sink.file or header.part is Part.PIECES:
        raise Refused(Code.STREAM_MISUSE)
    if (header.size, header.chunk) != (sink.size, sink.chunk):
        raise Refused(Code.DIGEST)
    if header.part is Part.LEAVES:
        if header.range != (0, leaves.LEAF * leaves.count(sink.size, sink.chunk)):
            raise Refused(Code.RANGE)
    elif end > sink.size or start % sink.chunk or (end % sink.chunk and end != sink.size):
        raise Refused(Code.RANGE)
