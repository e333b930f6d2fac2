"""Session: negotiation, health, errors and leave-taking, on which every other chapter stands. (spec 03-session)"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from quicchat.errors import MEANINGS, Code
from quicchat.wire.fields import LINE, MILLISECONDS, ROOM, SEQ, SHORT
from quicchat.wire.registry import BOTH, CLIENT, SERVER, Pdu, Role, Via, key, pdu
from quicchat.wire.states import LOGIN, Rows, State, move, stay
from quicchat.wire.types import Array, Bool, Bytes, Choice, Text, Uint, UintMap

_VERSION = Uint(255)
_CAPABILITIES = Array(Uint(0xFFFF_FFFF), 64)
_LIMITS = UintMap(Uint(2**53))
_CODE = Uint(0xFFFF_FFFF)
_ANY_STREAM = Via.CONTROL | Via.ROOM | Via.QUERY | Via.FILE


class Limit(IntEnum):
    """Keys of the `limits` maps; the smaller of both ends' values counts."""

    FRAME = 1
    TEXT = 2
    ROOM_STREAMS = 3
    PIPELINE = 4
    PAGE = 5
    PING = 6


class Purpose(IntEnum):
    """What a stream other than control is for."""

    ROOM = 1
    QUERY = 2
    FILE = 3


@pdu(0x01, "VERSION_REQUEST", by=CLIENT, via=Via.CONTROL, section="3.1", replay_safe=True)
class VersionRequest(Pdu):
    """The first PDU of a connection: what the client speaks; answered by VERSION_RESPONSE."""

    versions: tuple[int, ...] = key(1, Array(_VERSION, 32), "versions offered, best first")
    agent: str | None = key(2, SHORT, "name and version of the program", default=None)
    capabilities: tuple[int, ...] | None = key(3, _CAPABILITIES, "optional features understood", default=None)
    limits: Mapping[int, int] | None = key(4, _LIMITS, "limits of this end", default=None)
    device: bytes = key(5, Bytes(16, 16), "random, kept by the installation")


@pdu(0x02, "VERSION_RESPONSE", by=SERVER, via=Via.CONTROL, section="3.1", outcome=("accepted", "rejected"))
class VersionResponse(Pdu):
    """The second PDU of a connection: the version that all later PDUs carry, or none."""

    version: int = key(1, _VERSION, "highest common version; 0 when there is none")
    versions: tuple[int, ...] = key(2, Array(_VERSION, 32), "versions the server speaks")
    capabilities: tuple[int, ...] | None = key(3, _CAPABILITIES, "optional features understood", default=None)
    limits: Mapping[int, int] | None = key(4, _LIMITS, "limits of this end", default=None)
    time: int | None = key(5, MILLISECONDS, "the server's clock, Unix ms", default=None)
    mechanisms: tuple[str, ...] | None = key(6, Array(SHORT, 8), "ways to log in", default=None)
    node: str | None = key(7, SHORT, "the server's name for itself", default=None)

    @property
    def outcome(self) -> str:
        return "accepted" if self.version else "rejected"


@pdu(0x03, "PING", by=BOTH, via=Via.CONTROL, section="3.2", replay_safe=True)
class Ping(Pdu):
    """Asks for a sign of life; answered at once by PONG with the same nonce."""

    nonce: int = key(1, Uint(), "chosen by the sender")


@pdu(0x04, "PONG", by=BOTH, via=Via.CONTROL, section="3.2")
class Pong(Pdu):
    """The answer to PING; all that its sender wrote before it on this stream stands before it."""

    nonce: int = key(1, Uint(), "of the PING")
    time: int | None = key(2, MILLISECONDS, "the sender's clock, Unix ms", default=None)
    digest: bytes | None = key(3, Bytes(32, 8), "of the room heads, to find a lost tail", default=None, since=2)


@pdu(0x05, "ERROR", by=BOTH, via=_ANY_STREAM, section="3.3", outcome=("refused", "fatal"))
class Error(Pdu):
    """Answers one request, or announces that the sender closes the connection."""

    code: int = key(1, _CODE, "see the error codes")
    text: str | None = key(2, LINE, "for a person", default=None)
    retry_after: int | None = key(3, MILLISECONDS, "ms to wait before trying again", default=None)
    fatal: bool | None = key(4, Bool(), "the connection closes", default=None)
    detail: bytes | None = key(5, Bytes(1024), "for programs: see 3.3", default=None)

    @property
    def outcome(self) -> str:
        return "fatal" if self.fatal else "refused"

    @classmethod
    def about(cls, code: Code, text: str = "", *, retry_after: int | None = None, fatal: bool = False) -> Error:
        """An ERROR whose text is that of its code where none is given."""
        words = (text or MEANINGS[code].text).encode()[:512].decode(errors="ignore")
        return cls(code=int(code), text=words, retry_after=retry_after, fatal=fatal or None)


@pdu(0x06, "OK", by=BOTH, via=_ANY_STREAM, section="3.4")
class Ok(Pdu):
    """A request was carried out and has no other result."""


@pdu(0x07, "GOAWAY", by=SERVER, via=Via.CONTROL, section="3.5", since=2)
class Goaway(Pdu):
    """The server is about to stop: no new work; what runs is finished."""

    code: int = key(1, _CODE, "why")
    reason: str | None = key(2, LINE, "for a person", default=None)
    reconnect: bool | None = key(3, Bool(), "whether coming back is worth trying", default=None)
    after: int | None = key(4, MILLISECONDS, "ms to wait before coming back", default=None)
    alternatives: tuple[str, ...] | None = key(5, Array(Text(256), 8), "other addresses", default=None)


@pdu(0x08, "BYE", by=BOTH, via=Via.CONTROL, section="3.5")
class Bye(Pdu):
    """The sender leaves of its own will and sends nothing after this."""

    reason: str | None = key(1, LINE, "for a person", default=None)


@pdu(0x0B, "ECHO", by=BOTH, via=Via.CONTROL, section="3.6")
class Echo(Pdu):
    """Comes back unchanged; answered by ECHO."""

    data: str = key(1, Text(32_768), "sent back as it is")


@pdu(0x0C, "STREAM_OPEN", by=CLIENT, via=Via.ROOM | Via.QUERY | Via.FILE, section="3.7", since=2, replay_safe=True)
class StreamOpen(Pdu):
    """The first PDU of every stream but control: what the stream is for."""

    kind: Purpose = key(1, Choice(Purpose), "1 room, 2 query, 3 file")
    room: str | None = key(2, ROOM, "the room of a room stream", default=None)
    file: bytes | None = key(
        3, Bytes(32), "of a file stream: which file, if that is known; it is not looked at", default=None
    )
    have: int | None = key(4, SEQ, "last place held of that room", default=None)


_LIVE = (*LOGIN, State.READY)

ROWS: Rows = (
    move(State.START, Role.CLIENT, VersionRequest, State.NEGOTIATING),
    move(State.NEGOTIATING, Role.SERVER, VersionResponse, State.AUTHENTICATING, outcome="accepted"),
    move(State.NEGOTIATING, Role.SERVER, VersionResponse, State.CLOSED, outcome="rejected"),
    move(State.EARLY, Role.SERVER, VersionResponse, State.RESUMING, outcome="accepted"),
    move(State.EARLY, Role.SERVER, VersionResponse, State.CLOSED, outcome="rejected"),
    *stay(_LIVE, Ping, Pong),
    *stay((State.READY,), Ok, Echo, StreamOpen),
    # Any end may declare the connection dead, at any time.
    *(
        move(state, by, Error, State.CLOSED, outcome="fatal")
        for state in (State.START, State.NEGOTIATING, State.EARLY, *_LIVE)
        for by in Role
    ),
    *(move(State.READY, by, Error, State.READY, outcome="refused") for by in Role),
    *(move(state, Role.SERVER, Goaway, State.DRAINING) for state in _LIVE),
    *(move(state, by, Bye, State.DRAINING) for state in _LIVE for by in Role),
)
