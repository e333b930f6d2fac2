"""Downloads: one file on its way to a client, as fast as he takes it and never ahead of his chat. (spec 14-files)"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.effects import Serve
from quicchat.server.requests import Request
from quicchat.transport.driver import Driver
from quicchat.wire.chapters.files import PIECE, FileChunk, FileEnd, FileHeader, Mode, Part
from quicchat.wire.leaves import LEAF, count
from quicchat.wire.registry import Pdu

#: Bytes of a stream, or in datagrams, that wait to be sent: chat waits behind no more. It is filled up from the half.
AHEAD: Final = 65_536
_LOW: Final = AHEAD // 2
#: Bytes of files that a client may leave unacknowledged: on one stream, and on all.
UNREAD: Final = 1_048_576
UNREAD_IN_ALL: Final = 4 * UNREAD
#: Bytes of leaves that are read at once.
_LEAVES: Final = 65_536
#: How often a client that leaves so much is looked at again, in seconds: often at first, then less and less.
_RECHECK: Final = 0.005, 0.1
#: How long a download may stand still because its client takes no more, in seconds.
PAUSE: Final = 600.0
#: How much of a limited rate is sent at once, in seconds.
_BURST: Final = 0.05


class Download:
    """Sends what was asked for, a chunk at a time: `run`; the others tell it what has changed meanwhile."""

    def __init__(self, effect: Serve, request: Request, driver: Driver) -> None:
        assert request.sid is not None
        self.handle = effect.get.handle
        #: Whether the request has had the first word of its answer.
        self.answered = False
        self._sid = request.sid
        self._re = request.id
        self._get = effect.get
        self._content = effect.content
        self._driver = driver
        self._fast = effect.get.mode is Mode.FAST
        self._credit = effect.get.credit
        self._used = 0
        self._due = 0.0
        #: What had been given to the link with our last piece.
        self._last = 0
        #: What the link was asked to report room for: the stream, or None for datagrams.
        self._watched: set[int | None] = set()
        self._patience = _RECHECK[0]
        self._news = asyncio.Event()

    def allow(self, credit: int) -> None:
        """The client takes so many bytes in all."""
        self._credit = max(self._credit, credit)
        self._news.set()

    def writable(self, sid: int | None) -> None:
        """There is room on the stream, or for datagrams."""
        self._watched.discard(sid)
        self._news.set()

    async def run(self) -> None:
        """Send it, up to the end of our half of the stream. Raises Refused as the content fails."""
        content, carried = self._content, 0
        if self._get.leaves:
            await self._send_leaves(LEAF * count(content.size, content.chunk))
        # No ranges at all means all of it; an empty list, that only the leaves are wanted.
        for start, size in ((0, content.size),) if self._get.ranges is None else self._get.ranges:
            part = Part.PIECES if self._fast else Part.DATA
            steps = self._steps(start, size)
            # What cannot be read at all is refused before anything is announced.
            data = await content.read(*next(steps)) if size else b""
            self._announce(part, start, size)
            await self._pass(start, data)
            for at, length in steps:
                await self._pass(at, await content.read(at, length))
            carried += size
        if self._fast:
            await self._left()
        self._say(FileEnd(status=0, carried=carried))
        self._driver.finish(self._sid)

    async def _send_leaves(self, size: int) -> None:
        data = await self._content.leaves(0, min(size, _LEAVES))
        self._announce(Part.LEAVES, 0, size)
        await self._send(data, counts=not self._fast)
        for at in range(_LEAVES, size, _LEAVES):
            await self._send(await self._content.leaves(at, min(size - at, _LEAVES)), counts=not self._fast)

    def _announce(self, part: Part, start: int, size: int) -> None:
        content, first = self._content, not self.answered
        self._say(
            FileHeader(
                file=content.file,
                size=content.size,
                chunk=content.chunk,
                range=(start, size),
                part=part,
                name=content.name if first else None,
                modified=content.modified if first else None,
            )
        )

    def _say(self, pdu: Pdu) -> None:
        self._driver.send(pdu, sid=self._sid, re=None if self.answered else self._re)
        self.answered = True

    def _steps(self, start: int, size: int) -> Iterator[tuple[int, int]]:
        """Where a range is cut, so that no more than a chunk of it is held, and pieces stay whole."""
        step = self._content.chunk // PIECE * PIECE if self._fast else self._content.chunk
        end = start + size
        while start < end:
            length = min(step - start % step, end - start)
            yield start, length
            start += length

    async def _pass(self, at: int, data: bytes) -> None:
        if self._fast:
            await self._send_pieces(at // PIECE, data)
        else:
            await self._send(data)

    async def _send(self, data: bytes, *, counts: bool = True) -> None:
        """Raw bytes, on the stream."""
        view = memoryview(data)
        while view:
            room = await self._room(1, counts=counts)
            self._driver.raw(self._sid, bytes(view[:room]))
            self._spend(len(view[:room]), counts=counts)
            view = view[room:]

    async def _send_pieces(self, index: int, data: bytes) -> None:
        """A piece to a datagram."""
        pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        while pieces:
            many = await self._room(len(pieces[0])) // PIECE or 1
            now, pieces = pieces[:many], pieces[many:]
            self._last = self._driver.bulk(
                [FileChunk(handle=self.handle, index=index + at, data=now[at]) for at in range(len(now))]
            )
            self._spend(sum(map(len, now)))
            index += len(now)

    def _spend(self, size: int, *, counts: bool = True) -> None:
        if counts:
            self._used += size
        if self._get.rate is not None:
            self._due = max(self._due, self._driver.now) + size / self._get.rate

    async def _room(self, least: int, *, counts: bool = True) -> int:
        """How many bytes may be sent now, `least` or more; waits until few enough are ahead of the chat.

        Raises Refused(LIMIT) where that takes too long.
        """
        lane = None if self._fast and counts else self._sid
        latest = self._driver.now + PAUSE
        while self._driver.now < latest:
            self._news.clear()
            credit = self._credit - self._used if counts else AHEAD
            ahead = self._driver.unsent(lane)
            late = self._due - self._driver.now
            if ahead >= _LOW:
                self._watch(lane, _LOW)
                await self._change(latest)
            elif credit < least:
                await self._change(latest)
            elif late > 0:
                await asyncio.sleep(late)
            elif (unread := self._unread()) <= 0:
                await asyncio.sleep(self._patience)
                self._patience = min(2 * self._patience, _RECHECK[1])
            else:
                self._patience = _RECHECK[0]
                paced = max(least, int(self._get.rate * _BURST)) if self._get.rate is not None else AHEAD
                return min(credit, AHEAD - ahead, unread, paced)
        raise Refused(Code.LIMIT, "The download has stopped.")

    async def _left(self) -> None:
        """Until our last piece has left, whatever others have sent since. Raises Refused(LIMIT) as `_room`."""
        driver = self._driver
        latest = driver.now + PAUSE
        while driver.unsent(None) > driver.behind(self._last):
            if driver.now >= latest:
                raise Refused(Code.LIMIT, "The download has stopped.")
            self._news.clear()
            self._watch(None, driver.behind(self._last) + 1)
            await self._change(latest)

    def _watch(self, lane: int | None, below: int) -> None:
        if lane not in self._watched:
            self._watched.add(lane)
            self._driver.watch(lane, below)

    async def _change(self, latest: float) -> None:
        """Until something has changed, or it is too late."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(latest):
                await self._news.wait()

    def _unread(self) -> int:
        """How many bytes more the client may leave unacknowledged."""
        unread = self._driver.unread
        return min(UNREAD - unread(self._sid), UNREAD_IN_ALL - unread(None))
