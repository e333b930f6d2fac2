"""What passes of files on a client's links, counted on the wire: the client above is not asked, and not believed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from quicchat.protocol.events import Bytes, Datagram, LinkEvent, Reset
from quicchat.transport.link import Link
from quicchat.wire import codec
from quicchat.wire.chapters.files import FileAck, FileChunk, FileHeader, GetFile, Grant, Mode, Part, Range
from quicchat.wire.frame import HARD_LIMIT, FrameReader, Raw
from quicchat.wire.registry import Pdu

Chunk = tuple[bytes, int]


@dataclass(slots=True, eq=False)
class Flow:
    """Bytes of files in one direction, without their leaves."""

    raw: int = 0
    #: How often each chunk went by from its beginning to its end.
    whole: Counter[Chunk] = field(default_factory=Counter)

    def take(self, header: FileHeader, at: int, size: int) -> None:
        """So many bytes, from `at` on in the file, of what the header announced."""
        if header.part is not Part.DATA:
            return
        self.raw += size
        for index in range(at // header.chunk, -(-(at + size) // header.chunk)):
            begin, end = index * header.chunk, min((index + 1) * header.chunk, header.size)
            if begin >= header.range[0] and at < end <= at + size:
                self.whole[header.file, index] += 1

    @property
    def twice(self) -> list[int]:
        """The numbers of the chunks that went by more than once."""
        return sorted(index for (_, index), times in self.whole.items() if times > 1)


class Ledger:
    """The account of all links of a client; `until` waits for something in it."""

    def __init__(self) -> None:
        self.down = Flow()
        self.up = Flow()
        self.asked: list[GetFile] = []
        self.grants: list[Grant] = []
        #: FILE_CHUNK datagrams that came.
        self.pieces = 0
        self.links: list[Meter] = []
        #: Told of every PDU about a transfer, in either direction.
        self.on_pdu: Callable[[Pdu], None] = lambda _: None
        #: Ranges that were sent although the server had said that it has them.
        self.needless: list[Range] = []
        #: The most bytes that were allowed and had not come, over all downloads of a link.
        self.allowed = 0
        self._news = asyncio.Event()

    @property
    def repairs(self) -> list[Range]:
        """What was asked for on streams, range by range."""
        return [each for get in self.asked if get.mode is Mode.RELIABLE for each in get.ranges or ()]

    async def until(self, done: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until something is so; it is looked at whenever something passes."""
        async with asyncio.timeout(seconds):
            while not done():
                self._news.clear()
                await self._news.wait()

    def heard(self, pdu: Pdu) -> None:
        """A PDU passed."""
        match pdu:
            case GetFile():
                self.asked.append(pdu)
            case Grant():
                self.grants.append(pdu)
            case FileChunk():
                self.pieces += 1
        self.on_pdu(pdu)

    def sends(self, header: FileHeader) -> None:
        """A range begins on its way up."""
        have = [grant.have for grant in self.grants if grant.file == header.file]
        at, size = header.range
        if header.part is Part.DATA and have:
            self.needless += [(b, n) for b, n in have[-1] if at < b + n and b < at + size]

    def passed(self) -> None:
        """Something passed."""
        self._news.set()


class Meter:
    """A link that writes down what passes of files; everything else it leaves to the link inside."""

    def __init__(self, link: Link, ledger: Ledger) -> None:
        self._link = link
        self._ledger = ledger
        self._up: dict[int, _Track] = {}
        self._down: dict[int, _Track] = {}
        #: By the handle of each download: bytes that were allowed, and that came.
        self._credit: dict[int, list[int]] = {}
        self._handles: dict[int, int] = {}
        self._tell: Callable[[list[LinkEvent]], None] = lambda _: None
        ledger.links.append(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    @property
    def on_events(self) -> Callable[[list[LinkEvent]], None]:
        return self._tell

    @on_events.setter
    def on_events(self, tell: Callable[[list[LinkEvent]], None]) -> None:
        self._tell = tell
        self._link.on_events = self._hear

    def send(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        ledger = self._ledger
        for pdu in self._up.setdefault(sid, _Track(ledger.up)).feed(data):
            ledger.heard(pdu)
            match pdu:
                case FileHeader():
                    ledger.sends(pdu)
                case GetFile():
                    self._handles[sid] = pdu.handle
                    self._credit[pdu.handle] = [pdu.credit, 0]
                case FileAck(handle=int() as handle) if handle in self._credit:
                    self._credit[handle][0] = pdu.credit
        if fin:
            self._up.pop(sid)
        self._weigh()
        ledger.passed()
        self._link.send(sid, data, fin=fin)

    def _hear(self, events: list[LinkEvent]) -> None:
        ledger = self._ledger
        for event in events:
            match event:
                case Bytes(sid, data, fin):
                    track = self._down.setdefault(sid, _Track(ledger.down))
                    before = track.raw
                    for pdu in track.feed(data):
                        ledger.heard(pdu)
                    if sid in self._handles:
                        self._credit[self._handles[sid]][1] += track.raw - before
                    if fin:
                        del self._down[sid]
                        self._over(sid)
                case Reset(sid):
                    self._over(sid)
                case Datagram(data):
                    piece = codec.decode(data).pdu
                    if isinstance(piece, FileChunk):
                        ledger.heard(piece)
                        if piece.handle in self._credit:
                            self._credit[piece.handle][1] += len(piece.data)
        self._weigh()
        ledger.passed()
        self._tell(events)

    def stop(self, sid: int, code: int) -> None:
        self._over(sid)
        self._link.stop(sid, code)

    def _over(self, sid: int) -> None:
        """Nothing more comes there, whatever was allowed."""
        self._credit.pop(self._handles.pop(sid, -1), None)

    def _weigh(self) -> None:
        open_ = sum(max(0, allowed - came) for allowed, came in self._credit.values())
        self._ledger.allowed = max(self._ledger.allowed, open_)


class _Track:
    """One direction of one stream."""

    def __init__(self, flow: Flow) -> None:
        self.raw = 0
        self._flow = flow
        self._reader = FrameReader(HARD_LIMIT)
        self._header: FileHeader | None = None
        self._at = 0

    def feed(self, data: bytes) -> Iterator[Pdu]:
        """The PDUs that are complete; raw bytes go to the flow."""
        for item in self._reader.feed(data):
            if isinstance(item, Raw):
                assert self._header is not None
                self._flow.take(self._header, self._at, len(item.data))
                self._at += len(item.data)
                self.raw += len(item.data)
                continue
            said = codec.decode(item).pdu
            if isinstance(said, FileHeader):
                self._header, self._at, self._reader.raw = said, said.range[0], said.follows
            if isinstance(said, Pdu):
                yield said
