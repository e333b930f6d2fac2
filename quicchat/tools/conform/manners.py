"""Judges each PDU that a client says by the rows and fields of the book. (spec 10-states)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from quicchat.tools.conform import cbor
from quicchat.tools.conform.book import BODY, EXT, ID, RE, TS, TYPE, VERSION, Kind, Pdu, book
from quicchat.tools.conform.ear import DATAGRAM, Heard
from quicchat.tools.conform.schema import faults
from quicchat.values import dataclass

_LAST_CORE: Final = 127
_MOST: Final = 1 << 64
#: What `STREAM_OPEN.kind` makes of a stream.
_PLACES: Final = {1: "room", 2: "query", 3: "file"}
_LETTERS: Final = {(row.state, row.by, row.pdu, row.outcome): row.to for row in book().rows}


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence that was broken, and how."""

    sentence: str
    text: str


class Manners:
    """The automaton of one connection, moved by what either end says; `faults` are those of the client."""

    def __init__(self) -> None:
        self.state = "START"
        #: The version that was chosen, 0 before.
        self.version = 0
        self.faults: list[Fault] = []
        #: What each stream is for.
        self.places: dict[int, str] = {}
        self._ids: set[tuple[int, object]] = set()
        #: The PDU after which the client was to say nothing.
        self._last = ""

    def said(self, name: str, outcome: str | None = None) -> None:
        """We said a PDU. One for which there is no row moves nothing."""
        self.state = _LETTERS.get((self.state, "server", name, outcome), self.state)

    def broken(self, data: bytes, error: ValueError) -> None:
        """The client said what is no PDU."""
        self._note("2.2-1", f"{len(data)} bytes are no PDU: {error}")

    def heard(self, heard: Heard) -> None:
        """The client said a PDU."""
        pdu, kind = heard.pdu, book().kinds.get(heard.pdu.name)
        for sentence, text in (*self._frame(heard), *_envelope(pdu)):
            self._note(sentence, text)
        if kind is None:
            number = cbor.load(pdu.data)[TYPE]
            if number <= _LAST_CORE or number % 2 == 0:
                self._note("10.1-1", f"type {number} is none that anybody may send")
            return
        for sentence, text in (
            *self._version(pdu, kind),
            *faults(kind, pdu.body, self.version or 1 + (kind.since > 1)),
        ):
            self._note(sentence, text)
        self._place(heard, kind)
        self._number(heard, kind)
        self._move(heard)

    def _frame(self, heard: Heard) -> Iterator[tuple[str, str]]:
        size = len(heard.pdu.data)
        if heard.sid == DATAGRAM and size > book().limits["datagram"]:
            yield "3.9-1", f"a datagram of {size} bytes"
        if size > book().limits["frame"]:
            yield "2.1-7", f"a frame of {size} bytes"

    def _version(self, pdu: Pdu, kind: Kind) -> Iterator[tuple[str, str]]:
        if pdu.name == "VERSION_REQUEST":
            if pdu.version != 1:
                yield "3.1-3", f"VERSION_REQUEST in an envelope of version {pdu.version}"
        elif pdu.name == "RESUME" and self.state in ("NEGOTIATING", "AUTHENTICATING"):
            # It may have left before the answer came.
            if pdu.version != 2:
                yield "3.1-11", f"RESUME in an envelope of version {pdu.version}"
        elif pdu.version != (self.version or 1):
            yield "2.3-1", f"{pdu.name} in version {pdu.version}, and {self.version} was chosen"
        elif kind.since > (self.version or 1):
            yield "1.2-1", f"{pdu.name} is of version {kind.since}, and {self.version} was chosen"

    def _place(self, heard: Heard, kind: Kind) -> None:
        sid, known = heard.sid, self.places.get(heard.sid)
        if sid == DATAGRAM:
            known = "datagram"
        elif known is None and kind.name == "VERSION_REQUEST":
            known = self.places[sid] = "control"
        elif known is None and kind.name == "STREAM_OPEN":
            self.places[sid] = _PLACES.get(heard["kind"], "room")
            return
        elif known is None:
            # Streams may overtake the one that negotiates, but then they begin otherwise, too.
            known = self.places[sid] = "control" if not self.places else "room"
            self._note("3.7-1" if len(self.places) > 1 else "3.1-1", f"a stream began with {kind.name}")
        if known not in kind.on or kind.name == "STREAM_OPEN":
            self._note(
                "3.7-3", f"{kind.name} came on a {known} stream" if sid != DATAGRAM else f"{kind.name} whispered"
            )

    def _number(self, heard: Heard, kind: Kind) -> None:
        if kind.answer is None or self.state in ("START", "NEGOTIATING") or heard.sid == DATAGRAM:
            return
        if heard.pdu.id is None:
            if kind.name not in ("PING", "PONG"):
                self._note("2.3-5", f"{kind.name} without an id")
        elif (heard.sid, heard.pdu.id) in self._ids:
            self._note("2.3-5", f"the id {heard.pdu.id} a second time on one stream")
        self._ids.add((heard.sid, heard.pdu.id))

    def _move(self, heard: Heard) -> None:
        pdu = heard.pdu
        # Streams are not ordered among each other: elsewhere it may have been said before.
        if self._last and self.places.get(heard.sid) == "control":
            self._note("3.3-1" if self._last == "ERROR" else "3.5-1", f"{pdu.name} after its {self._last}")
        outcome = ("fatal" if pdu["fatal"] else "refused") if pdu.name == "ERROR" else None
        if self.state != "CLOSED":
            to = _LETTERS.get((self.state, "client", pdu.name, outcome))
            if to is None:
                self._note("10.1-1", f"{pdu.name} in {self.state}")
            self.state = to or self.state
        if outcome == "fatal" or pdu.name == "BYE":
            self._last = pdu.name

    def _note(self, sentence: str, text: str) -> None:
        self.faults.append(Fault(sentence, text))


def _envelope(pdu: Pdu) -> Iterator[tuple[str, str]]:
    outer = cbor.load(pdu.data)
    if not 1 <= (outer.get(VERSION) if type(outer.get(VERSION)) is int else 0) <= 255:
        yield "2.3-2", f"the version is {outer.get(VERSION)!r}"
    for key, name in ((ID, "id"), (RE, "re"), (TS, "ts")):
        if key in outer and not (type(outer[key]) is int and 0 <= outer[key] < _MOST):
            yield "2.3-2", f"{name} is {outer[key]!r}"
    ext = outer.get(EXT, {})
    if type(ext) is not dict or any(type(each) is not bytes for each in ext.values()):
        yield "2.3-2", "ext is no map to byte strings"
    if strange := outer.keys() - {VERSION, TYPE, ID, RE, TS, BODY, EXT}:
        yield "2.3-2", f"the envelope has the keys {sorted(strange)}"
