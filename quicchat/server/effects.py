"""What a handler wants done: values, carried out by session and router after its one store call. (ARCHITECTURE)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quicchat.errors import Code
from quicchat.server.model import Actor, SessionId
from quicchat.wire.names import Room, User
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
class Deliver:
    """A PDU for many sessions, encoded once; `older` is what version-1 sessions get instead, None for nothing."""

    pdu: Pdu
    to: Audience
    older: Pdu | None = None
    but: SessionId | None = None


@dataclass(frozen=True, slots=True)
class Admit:
    """The session is now this user's, and hears these rooms; each with the place delivered to his device."""

    user: User
    rooms: Mapping[Room, int]


@dataclass(frozen=True, slots=True)
class Close:
    """End a session, after telling it why; by default the one that asked."""

    code: Code
    reason: str = ""
    session: SessionId | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """Handled like a PDU: the session's user is logged in and has had his answer."""


@dataclass(frozen=True, slots=True)
class Departed:
    """Handled like a PDU: the session is over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lagging:
    """Handled like a PDU: the session can take more again, but was not sent what follows these places."""

    after: Mapping[Room, int]


@dataclass(frozen=True, slots=True)
class Then:
    """Handle this as if that actor had asked, after everything else: more pages, the built-in user's answer."""

    actor: Actor
    pdu: Pdu | Lagging


Effect = Reply | Deliver | Admit | Then | Close
Effects = Sequence[Effect]
