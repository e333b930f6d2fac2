"""What a connection of the kit hears: PDUs, raw bytes, ends of streams; and a record. (spec 02-framing)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from quicchat.tools.conform.book import Pdu, annotated, book, parse, unframed
from quicchat.tools.conform.quic import (
    DatagramFrameReceived,
    Line,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from quicchat.tools.conform.verdict import Failed
from quicchat.values import dataclass

T = TypeVar("T")
#: How long anything that is demanded may take, in seconds.
PATIENCE: Final = 5.0
#: Where a datagram comes and goes, as if it were a stream.
DATAGRAM: Final = -1
#: The `part` of a FILE_HEADER whose bytes come in datagrams.
PIECES: Final = 3


@dataclass(frozen=True, slots=True)
class Heard:
    """One PDU and where it came: the id of a stream, or DATAGRAM."""

    sid: int
    pdu: Pdu

    def __getitem__(self, field: str) -> Any:
        """A field of the PDU by its name."""
        return self.pdu[field]


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that was said or heard, for the report: seconds since the connection began, who, where, what.

    Bytes are a PDU, which is put into words only for whoever reads them: of most cases nobody does.
    """

    at: float
    by: str
    sid: int
    said: str | bytes

    @property
    def text(self) -> str:
        return self.said if isinstance(self.said, str) else annotated(self.said)


class Ear:
    """Hears one line. `until` and `hear` wait for what is demanded; what is taken by `hear` is heard once."""

    def __init__(self, line: Line, *, peer: str = "server") -> None:
        self.line = line
        #: Who speaks there, and who is told at once of each PDU and each stream that ended.
        self.peer = peer
        self.on_pdu: Callable[[Heard], None] = lambda heard: None
        self.on_fin: Callable[[int], None] = lambda sid: None
        #: Is told of what is no PDU; where nobody is, `garbage` tells it.
        self.on_broken: Callable[[int, bytes, ValueError], None] | None = None
        self.heard: list[Heard] = []
        #: The raw bytes of each stream (2.6), and how many are still due.
        self.raw: dict[int, bytearray] = {}
        self._due: dict[int, int] = {}
        self.given_up: dict[int, int] = {}
        self.stopped: dict[int, int] = {}
        self.ended: set[int] = set()
        self.track: list[Turn] = []
        #: The code of a fatal ERROR that came, and whether its stream went on after it (3.3-1).
        self.fatal: int | None = None
        self.is_talkative = False
        #: Whether something was refused, or all of it ended, for a rate (8.3).
        self.is_limited = False
        #: What came and is no PDU.
        self.garbage = ""
        self._last = 0
        self._buffers: dict[int, bytearray] = {}
        self._news = asyncio.Event()
        self._began = asyncio.get_running_loop().time()
        line.on_event = self._take

    async def until(self, look: Callable[[], T | None], what: str, *, patience: float = PATIENCE) -> T:
        """What `look` finds, as soon as it finds something. Raises Failed when it takes too long, or the end comes."""
        try:
            async with asyncio.timeout(patience):
                while (found := look()) is None:
                    if self.garbage:
                        raise Failed(f"{self.garbage} came instead of {what}")
                    if self.line.closed is not None:
                        raise Failed(f"the connection was closed ({self.end()}) instead of {what}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Failed(f"no {what} within {patience:g} s") from None
        return found

    async def hear(
        self, name: str, test: Callable[[Heard], bool] = lambda _: True, *, patience: float = PATIENCE
    ) -> Heard:
        """The first PDU of a kind that is not yet taken; it is taken now."""
        try:
            found = await self.until(
                lambda: self.find(lambda each: each.pdu.name == name and test(each)), name, patience=patience
            )
        except Failed as error:
            if not (others := self.all(name)):
                raise
            last = annotated(others[-1].pdu.data)
            raise Failed(f"{error}; {len(others)} that do not fit came, the last: {last}") from None
        self.heard.remove(found)
        return found

    def all(self, name: str) -> list[Heard]:
        """All PDUs of a kind that came and were not taken."""
        return [each for each in self.heard if each.pdu.name == name]

    async def quietly(self, look: Callable[[], object | None], patience: float) -> None:
        """Wait for something that may not come."""
        try:
            async with asyncio.timeout(patience):
                while look() is None and self.line.closed is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return

    def end(self) -> str:
        closed = self.line.closed
        assert closed is not None
        name = book().code(closed.code) if closed.by_application else f"transport error 0x{closed.code:x}"
        return f"{name} {closed.reason}".strip()

    def find(self, test: Callable[[Heard], bool]) -> Heard | None:
        return next((each for each in self.heard if test(each)), None)

    def forget(self) -> None:
        """Be as one that has heard nothing yet; streams go on."""
        for each in (self.heard, self.raw, self.given_up, self.stopped, self.ended, self.track):
            each.clear()
        self.is_limited = False

    # What comes

    def _take(self, event: QuicEvent) -> None:
        match event:
            case StreamDataReceived(stream_id=sid, data=data, end_stream=fin):
                self._bytes(sid, data, fin=fin)
            case DatagramFrameReceived(data=data):
                self._pdu(DATAGRAM, data)
            case StreamReset(stream_id=sid, error_code=code):
                self.given_up[sid] = code
                self.note(self.peer, sid, f"RESET_STREAM {book().code(code)}")
            case StopSendingReceived(stream_id=sid, error_code=code):
                self.stopped[sid] = code
                self.note(self.peer, sid, f"STOP_SENDING {book().code(code)}")
        if self.line.closed is not None and (not self.track or self.track[-1].by != "end"):
            self.note("end", 0, f"closed: {self.end()}")
            self.is_limited |= self.line.closed.code == book().codes["RATE_LIMITED"]
        self._news.set()

    def _bytes(self, sid: int, data: bytes, *, fin: bool) -> None:
        buffer = self._buffers.setdefault(sid, bytearray())
        buffer += data
        while buffer:
            if due := self._due.get(sid, 0):
                self.raw[sid] += buffer[:due]
                self._due[sid] -= len(buffer[:due])
                del buffer[:due]
            elif (found := unframed(buffer)) is not None:
                del buffer[: found[1]]
                self._pdu(sid, found[0])
            else:
                break
        if fin:
            self.ended.add(sid)
            self.note(self.peer, sid, "FIN")
            self.on_fin(sid)

    def _pdu(self, sid: int, data: bytes) -> None:
        self.note(self.peer, sid, data)
        try:
            pdu = parse(data)
        except ValueError as error:
            if self.on_broken is None:
                self.garbage = self.garbage or f"what is no PDU ({error})"
            else:
                self.on_broken(sid, data, error)
            return
        self.heard.append(heard := Heard(sid, pdu))
        self.on_pdu(heard)
        if self.fatal is not None and sid == self._last:
            self.is_talkative = True
        elif pdu.name == "ERROR":
            self.is_limited |= pdu["code"] == book().codes["RATE_LIMITED"]
            if pdu["fatal"]:
                self.fatal, self._last = pdu["code"], sid
        if pdu.name == "FILE_HEADER" and pdu["part"] != PIECES:
            self.raw.setdefault(sid, bytearray())
            self._due[sid] = pdu["range"][1]

    def note(self, by: str, sid: int, said: str | bytes) -> None:
        self.track.append(Turn(asyncio.get_running_loop().time() - self._began, by, sid, said))
