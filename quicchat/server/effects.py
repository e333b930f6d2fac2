"""What a handler wants done: values, carried out by session and router after its one store call. (ARCHITECTURE)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from quicchat.errors import Code
from quicchat.server.content import Content, Sink
from quicchat.server.model import Actor, Head, SessionId
from quicchat.values import dataclass
from quicchat.wire.chapters.files import FileHeader, GetFile
from quicchat.wire.names import Device, Room, User
from quicchat.wire.registry import Pdu


@dataclass(frozen=True, slots=True)
class InRooms:
    """The sessions of all members of these rooms, each once."""

    rooms: frozenset[Room]


@dataclass(frozen=True, slots=True)
class OfUsers:
    """The sessions of these users."""

    users: frozenset[User]


Audience = InRooms | OfUsers


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the request."""

    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Tell:
    """Something for the session that asked which answers nothing."""

    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Deliver:
    """A PDU for many sessions, encoded once; `older` is what version-1 sessions get instead, None for nothing.

    One that may travel as a datagram does. `own` is what these devices get instead, each for itself.
    """

    pdu: Pdu
    to: Audience
    older: Pdu | None = None
    but: SessionId | None = None
    own: Mapping[tuple[User, Device], Pdu] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admit:
    """The session is now this user's, and hears these rooms; each with the place delivered to his device.

    `heads` is the epoch and the head of each of them, for the digest of PONG.
    """

    user: User
    rooms: Mapping[Room, int]
    heads: Mapping[Room, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def into(cls, user: User, rooms: Iterable[Head]) -> Admit:
        """The session is this user's, and hears all these rooms."""
        heads = {each.room: each for each in rooms}
        return cls(
            user,
            {room: each.delivered for room, each in heads.items()},
            {room: (each.epoch, each.head) for room, each in heads.items()},
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """The session that asked is sent no events of any log until this is undone; then it is told what it missed."""

    on: bool


@dataclass(frozen=True, slots=True)
class Close:
    """End a session, after telling it why; by default the one that asked."""

    code: Code
    reason: str = ""
    session: SessionId | None = None


@dataclass(frozen=True, slots=True)
class Disown:
    """Nothing that saves the asker's devices a round trip when they come back is good any more."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Handled like a PDU: the session's user is logged in and has had his answer."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """Handled like a PDU: a token was answered by RESUMED, and the handshake is complete, so that it may be used up.

    `old` and `new` are the hashes of both tokens; `heads` is what RESUMED told.
    """

    user: User
    old: bytes
    new: bytes
    expires: int
    device_name: str
    heads: Mapping[Room, int]


@dataclass(frozen=True, slots=True)
class Settle:
    """Handle this once the handshake is complete: what came before it may be a replay. Until then nothing else runs."""

    event: Resumption


@dataclass(frozen=True, slots=True)
class Departed:
    """Handled like a PDU: the session is over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lagging:
    """Handled like a PDU: the session can take more again, but was not sent what follows these places."""

    after: Mapping[Room, int]


@dataclass(frozen=True, slots=True)
class Tidings:
    """Handled like a PDU: those concerned are to hear how far members of this room have come."""

    room: Room


@dataclass(frozen=True, slots=True)
class Serve:
    """Send what was asked for of a file on the stream of the request, as fast as its client takes it."""

    get: GetFile
    content: Content


@dataclass(frozen=True, slots=True)
class Receive:
    """Take what the request announces, and what else comes on its stream, into this file."""

    header: FileHeader
    sink: Sink


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Handled like a PDU: the stream of an upload has ended, after so many bytes of it were verified and stored."""

    file: bytes
    carried: int


@dataclass(frozen=True, slots=True)
class Then:
    """Handle this as if that actor had asked, after everything else: more pages, the built-in user's answer."""

    actor: Actor
    pdu: Pdu | Lagging | Tidings


Effect = Reply | Tell | Deliver | Admit | Settle | Hold | Serve | Receive | Then | Close | Disown
Effects = Sequence[Effect]
