"""Flights as files: scenarios that `quicchat scenario` plays again. (spec 12-operation)"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from quicchat.errors import MEANINGS, Code, LocalProtocolError, RemoteProtocolError
from quicchat.protocol.events import Bytes, Datagram, Reset, Stopped
from quicchat.transport.masking import Mask
from quicchat.transport.recorder import MOST, Flight, Note, Recorder
from quicchat.values import dataclass
from quicchat.wire import codec, frame
from quicchat.wire.chapters.files import FileHeader
from quicchat.wire.chapters.session import StreamOpen
from quicchat.wire.frame import DEFAULT_LIMIT, FrameReader, Raw
from quicchat.wire.registry import Role
from quicchat.wire.states import State

log = logging.getLogger("quicchat.transport")

#: Files that are kept; the oldest give way.
FILES: Final = 20
#: Seconds between two files: whoever breaks the protocol on purpose shall not fill the disk.
PAUSE: Final = 5.0
_CONTROL: Final = 0
#: What is played of a frame that is none: lengths that no frame may have, never its own bytes.
_TEARS: Final = {Code.FRAME_TOO_LARGE: b"\xff" * 8, Code.DECODE: b"\0"}
#: After the login.
_IN: Final = frozenset({State.READY, State.DRAINING})


class Shelf:
    """A directory of flights, of `most` events each. Where it cannot be written, the log says so, and that is all."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._path = path
        self._most = most
        self._next = 0.0
        self._count = 0

    def recorder(self) -> Recorder:
        """For a connection that begins."""
        return Recorder(self.keep, self._most)

    def keep(self, flight: Flight) -> None:
        """Write a flight, unless the last one was written just now."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PAUSE
        self._count += 1
        at = datetime.fromtimestamp(time.time(), UTC)
        name = f"{at:%Y%m%dT%H%M%S}-{self._count:03}-{flight.code.name.lower()}.chat"
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
            handle = os.open(self._path / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in written(flight, at))
        except OSError as error:
            log.warning("a flight cannot be written", extra={"error": error.strerror or str(error)})
        else:
            log.warning("a connection ended with a fault", extra={"code": flight.code.name, "flight": name})

    def _make_room(self) -> None:
        for old in sorted(self._path.glob("*.chat"))[: -(FILES - 1)]:
            old.unlink(missing_ok=True)


def written(flight: Flight, at: datetime) -> list[str]:
    """The lines of a script. A server's flight is played against a server, a client's against a client's end."""
    who = flight.role.value
    beginning = flight.whole and not any(each.state in _IN for each in flight.notes)
    way = {Role.SERVER: ("logs in", "dials"), Role.CLIENT: ("is in", "listens")}[flight.role][beginning]
    closed = "the other end" if flight.remote else "this end"
    return [
        f"# A connection ended with {flight.code.name}: {MEANINGS[flight.code].text}",
        f"# As a {who} saw it at {at:%Y-%m-%dT%H:%M:%SZ}; {closed} closed. It tells who talks with whom and when;",
        "# of what was said there are only lengths. Play it again with: quicchat scenario FILE",
        "server",
        f"x {way}{'' if flight.version is None else f' in version {flight.version}'}",
        *_lines(flight, beginning=beginning),
        f"x is closed {flight.code.name}",
    ]


def _lines(flight: Flight, *, beginning: bool) -> Iterator[str]:
    if not flight.whole:
        yield "# What was before this is not kept."
    mask, readers = Mask(), _Readers(whole=flight.whole)
    since = flight.notes[0].at if flight.notes else 0.0
    for each in flight.notes:
        sign = "<" if each.came else ">"
        head = f"# {each.at - since:.3f} {each.state.name} {sign}"
        # Of a login only another one can be played again.
        is_played = beginning or each.state in _IN
        verb = "gives" if each.came else "said" if flight.role is Role.CLIENT else ""
        for told, played in _told(each, mask, readers):
            yield f"{head} {told}"
            if is_played and verb and played:
                yield f"x {verb} {played}"


def _told(note: Note, mask: Mask, readers: _Readers) -> Iterator[tuple[str, str]]:
    """What people are told of an event, and what is played, in pieces; nothing is played of raw bytes."""
    match note.event:
        case Bytes(sid, data, fin):
            for piece in readers.cut(note.came, sid, data):
                if isinstance(piece, Raw):
                    yield f"stream {sid}: {len(piece.data)} raw bytes", ""
                elif isinstance(piece, _Torn):
                    told = f"stream {sid}: {piece.size} bytes of a frame that is empty or too long"
                    yield told, f"bytes {sid} {_TEARS[piece.code].hex()}"
                else:
                    masked, told = mask.payload(piece)
                    yield f"stream {sid}: {told}", f"bytes {sid} {frame.wrap(masked).hex()}"
            if fin:
                yield f"stream {sid}: its end", f"end {sid}"
        case Reset(sid, code):
            yield f"stream {sid}: reset with 0x{code:x}", f"reset {sid} {code}"
        case Stopped(sid, code):
            yield f"stream {sid}: stopped with 0x{code:x}", f"stop {sid} {code}"
        case Datagram(data):
            masked, told = mask.payload(data)
            yield f"datagram: {told}", f"datagram {masked.hex()}"


@dataclass(frozen=True, slots=True)
class _Torn:
    """So many bytes among which there is what makes no frame, and why."""

    size: int
    code: Code


class _Readers:
    """Cuts the streams of a flight into frames, each way; where it is not `whole`, only those that begin in it."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._readers: dict[tuple[bool, int], FrameReader] = {}
        #: Streams that begin in the flight, or do not.
        self._begun: dict[int, bool] = {}

    def cut(self, came: bool, sid: int, data: bytes) -> Iterator[bytes | Raw | _Torn]:
        """Payloads, raw bytes, and what makes no frame."""
        if sid not in self._begun:
            # Control is cut at frames by whoever speaks; of another stream the middle may be anything.
            self._begun[sid] = self._whole or sid == _CONTROL or _is_beginning(data)
        if not self._begun[sid]:
            yield Raw(data)
            return
        reader = self._readers.get((came, sid))
        if reader is None:
            reader = self._readers[came, sid] = FrameReader(DEFAULT_LIMIT)
        try:
            for item in reader.feed(data):
                yield item
                if isinstance(item, bytes):
                    reader.raw = _follows(item)
        except RemoteProtocolError as error:
            yield _Torn(len(data), error.code)


def _is_beginning(data: bytes) -> bool:
    """Whether a stream begins with these bytes (3.7-1)."""
    try:
        first = next(FrameReader(DEFAULT_LIMIT).feed(data), None)
        return isinstance(first, bytes) and isinstance(codec.decode(first).pdu, StreamOpen)
    except (RemoteProtocolError, LocalProtocolError):
        return False


def _follows(payload: bytes) -> int:
    """Raw bytes that a PDU announces."""
    try:
        pdu = codec.decode(payload).pdu
    except (RemoteProtocolError, LocalProtocolError):
        return 0
    return pdu.follows if isinstance(pdu, FileHeader) else 0
