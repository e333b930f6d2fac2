"""The file streams of one connection: what comes on each in order, and how much may still come. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from quicchat.errors import MEANINGS, Code, LinkLost, Refused
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Event, Received
from quicchat.protocol.events import Writable
from quicchat.protocol.news import RawReceived
from quicchat.transport.driver import Driver
from quicchat.wire.chapters.files import FileAck, FileChunk
from quicchat.wire.registry import Pdu

#: Bytes that the server may have sent and we have not dealt with, over all streams, and of one of them.
UNREAD: Final = 4_194_304
_WINDOW: Final = 1_048_576
#: Credit is given in portions of so many bytes, where there is so much to come.
_PORTION: Final = 262_144
#: A stream begins with so many bytes, or what it needs, and not with less.
_LEAST: Final = 32_768
#: Bytes that wait in the link for a stream of an upload, so that chat goes first.
UNSENT: Final = 65_536
#: Streams at the same time; a server may allow no more than a few beyond.
_STREAMS: Final = 12
#: Seconds until a stream is tried again where there was no place for it, at first and at most.
_PLACE: Final = 0.02
_LONGEST: Final = 2.0


class Streams:
    """All file streams of a connection. `tell` sends on control; `begin` opens one and gives its id and a free number.

    `UNREAD` holds for all together: streams share it equally as they come and go.
    """

    def __init__(self, driver: Driver, tell: Callable[[Pdu], None], begin: Callable[[], tuple[int, int]]) -> None:
        self.driver = driver
        self.lost: LinkLost | None = None
        self._tell = tell
        self._begin = begin
        self._streams: dict[int, Stream] = {}
        self._handles: dict[int, Stream] = {}
        self._room = asyncio.Semaphore(_STREAMS)
        self._free = UNREAD
        self._freed = asyncio.Event()
        self._members = 0

    @property
    def unread(self) -> int:
        """Bytes that the server may have sent and we have not dealt with."""
        return UNREAD - self._free

    async def open(self) -> Stream:
        """A new stream; whoever opens it closes it. Raises as `Requests.open_stream`."""
        await self._room.acquire()
        try:
            sid, number = await self._opened()
        except BaseException:
            self._room.release()
            raise
        self._members += 1
        stream = Stream(self, sid, number)
        self._streams[sid] = stream
        self._handles[number] = stream
        return stream

    async def _opened(self) -> tuple[int, int]:
        """Those that ended free their places a little later. Raises as `open`."""
        wait = _PLACE
        while True:
            if self.lost is not None:
                raise self.lost
            try:
                return self._begin()
            except Refused as refusal:
                if refusal.code is not Code.LIMIT or wait > _LONGEST:
                    raise
            await asyncio.sleep(wait)
            wait *= 2

    def take(self, event: Event) -> bool:
        """Something happened; whether it was to one of these streams."""
        match event:
            case RawReceived(sid) | Writable(int() as sid) | Ended(sid):
                stream = self._streams.get(sid)
            case Received(None, envelope) if isinstance(envelope.pdu, FileChunk):
                stream = self._handles.get(envelope.pdu.handle)
            case Received(int() as sid, envelope) if isinstance(envelope.pdu, Pdu):
                stream = self._streams.get(sid)
            case _:
                return False
        if stream is not None:
            stream.take(event)
        return stream is not None

    def over(self, lost: LinkLost) -> None:
        """The connection is gone."""
        self.lost = lost
        self._freed.set()
        for stream in list(self._streams.values()):
            stream.over(lost)

    def acknowledge(self, handle: int, credit: int) -> None:
        """So much may have been sent since the transfer began."""
        self._tell(FileAck(handle=handle, credit=credit))

    # Credit

    def share(self) -> int:
        """What one stream may have at the moment."""
        return min(_WINDOW, UNREAD // max(1, self._members))

    def borrow(self, size: int, least: int) -> int:
        """Take of what is free, of which half stays for streams that come later; 0 where that is less than `least`."""
        taken = min(size, self._free, max(_LEAST, self._free // 2))
        if taken < least:
            return 0
        self._free -= taken
        return taken

    def bring(self, size: int) -> None:
        """So many bytes are free again."""
        if size:
            self._free += size
            self._freed.set()

    async def freed(self) -> None:
        """Wait until some are. Raises LinkLost."""
        self._freed.clear()
        await self._freed.wait()
        if self.lost is not None:
            raise self.lost

    def leave(self, stream: Stream) -> None:
        """A stream is closed."""
        del self._streams[stream.sid]
        del self._handles[stream.handle]
        self._members -= 1
        self._room.release()


class Stream:
    """One file stream; `handle` is a number that no other stream of the connection has.

    Calling order for a download: `allow`, send the request, `next` until it gives None; `used` after each part that
    was taken, which lets more come. In any case `close` at the end.
    """

    def __init__(self, streams: Streams, sid: int, handle: int) -> None:
        self._streams = streams
        self._driver = streams.driver
        self.sid = sid
        self.handle = handle
        #: Bytes that may have been sent since the beginning, that came, that were dealt with, and that ever may come.
        self.credit = self._received = self._used = 0
        self._most = 0
        self._items: deque[Pdu | bytes] = deque()
        self._waiting = 0
        self._failure: Refused | LinkLost | None = None
        self._ended = False
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._closed = False

    # What comes

    async def next(self, *, beyond: bool = False) -> Pdu | bytes | None:
        """A PDU, or raw bytes; None after the last, or `beyond` that a datagram that was late.

        Raises Refused where the server gave the stream up, LinkLost.
        """
        while not self._items:
            if self._failure is not None:
                raise self._failure
            if self._ended and not beyond:
                return None
            if not self._ended and self._most > self.credit == self._used:
                await self._more()
            self._news.clear()
            await self._news.wait()
        return self.now()

    def now(self) -> Pdu | bytes | None:
        """As `next`, of what is here already; None where nothing is."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, FileChunk):
            self._waiting -= len(item.data)
        return self._joined(item) if isinstance(item, bytes) and self._items else item

    def take(self, event: Event) -> None:
        """Something happened here."""
        match event:
            case RawReceived(_, data):
                self._received += len(data)
                if self._received > self.credit:
                    self._fail(Refused(Code.LIMIT, "The server sent more than it was allowed to."))
                elif self._failure is None:
                    self._items.append(data)
            case Received(_, envelope) if isinstance(envelope.pdu, Pdu):
                self._pdu(envelope.pdu)
            case Writable():
                self._writable.set()
            case Ended(_, code):
                self._end(code)
        self._news.set()

    def over(self, lost: LinkLost) -> None:
        """The connection is gone."""
        self._failure = self._failure or lost
        self._news.set()
        self._writable.set()

    def _joined(self, first: bytes) -> bytes:
        """All raw bytes that wait: packets are small, and each turn has its price."""
        pieces = [first]
        while self._items and isinstance(piece := self._items[0], bytes):
            pieces.append(piece)
            self._items.popleft()
        return b"".join(pieces)

    def _pdu(self, pdu: Pdu) -> None:
        if isinstance(pdu, FileChunk):
            # Doubled on the way they may be more than were sent; a rude server must not fill our memory with them.
            if self._waiting + len(pdu.data) > 2 * _WINDOW:
                return
            self._waiting += len(pdu.data)
        self._items.append(pdu)

    def _end(self, code: int | None) -> None:
        self._ended = True
        if code is not None:
            # What came before is good all the same.
            self._failure = self._failure or refused(code)
        self._writable.set()

    def _fail(self, failure: Refused) -> None:
        self._items.clear()
        self._failure = self._failure or failure
        self._driver.finish(self.sid, failure.code)

    # What may come

    async def allow(self, most: int) -> None:
        """At most so many bytes will come in all, as far as we know; wait until some of them may."""
        self._most = max(self._most, most)
        if not self.credit:
            await self._more()

    def used(self, upto: int) -> None:
        """All up to there, counted from the beginning, is dealt with, or will never come."""
        upto = min(upto, self.credit)
        if upto > self._used:
            self._streams.bring(upto - self._used)
            self._used = upto
        share = self._streams.share()
        room = min(share - (self.credit - self._used), self._most - self.credit)
        if room >= min(_PORTION, share // 4) or 0 < room == self._most - self.credit:
            self._extend(room)

    @property
    def dealt(self) -> int:
        """Bytes that were dealt with."""
        return self._used

    async def _more(self) -> None:
        """Wait for some credit; the rest comes with `used`."""
        while True:
            wanted = min(self._streams.share(), self._most - self.credit)
            if wanted <= 0 or self._extend(wanted, least=min(_LEAST, wanted)):
                return
            await self._streams.freed()

    def _extend(self, size: int, least: int = 1) -> bool:
        taken = self._streams.borrow(size, least)
        if not taken:
            return False
        first = self.credit == 0
        self.credit += taken
        if not first:
            self._streams.acknowledge(self.handle, self.credit)
        return True

    # What goes

    def send(self, pdu: Pdu, *, asks: bool = False) -> None:
        """Send a PDU, with an id where it asks for an answer, which comes by `next`. Raises as `Connection.send`."""
        self._driver.send(pdu, sid=self.sid, id=self.handle if asks else None)

    async def write(self, data: bytes) -> None:
        """Send raw bytes that were announced, as soon as few enough wait. Raises as `next`."""
        while self._driver.unsent(self.sid) + len(data) > UNSENT:
            self._check()
            self._writable.clear()
            self._driver.watch(self.sid, UNSENT - len(data) + 1)
            await self._writable.wait()
        self._check()
        self._driver.raw(self.sid, data)

    def finish(self) -> None:
        """Nothing more is sent."""
        self._driver.finish(self.sid)

    def close(self, code: Code = Code.NO_ERROR) -> None:
        """Have nothing more to do with it; what has not ended is given up both ways."""
        if self._closed:
            return
        self._closed = True
        if self._ended:
            self._driver.finish(self.sid)
        elif self._streams.lost is None:
            self._driver.finish(self.sid, code)
        self._streams.bring(self.credit - self._used)
        self._used = self.credit
        self._streams.leave(self)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise Refused(Code.INTERNAL, "The server ended the transfer without a word.")


def refused(code: int, text: str = "") -> Refused:
    """What a code says, whoever knows it."""
    try:
        known = Code(code)
    except ValueError:
        return Refused(Code.INTERNAL, text or f"The server gave it up with 0x{code:x}.")
    if known is Code.NO_ERROR:
        return Refused(Code.OVERLOADED, text or "The server gave it up.")
    return Refused(known, text or MEANINGS[known].text)
