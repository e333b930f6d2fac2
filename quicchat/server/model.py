"""The rules and values that services share: who acts, what a room is, what may be done. (spec 05-rooms)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NewType

from quicchat.errors import Code, Refused
from quicchat.protocol.scram import Credentials as Credentials
from quicchat.wire.chapters.messages import KINDS_OF_VERSION_1, Kind, Message
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User, parties

SessionId = NewType("SessionId", int)

#: Rooms above this many members get presence only on demand (protocol §7.8).
PRESENCE_ROOM: Final = 200
#: Rooms one user may be in (protocol §7.11).
ROOMS_EACH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks: made by the session from the connection, never from a field of a PDU.

    `user` is None before login. `binding` is certificate hash and negotiation transcript, for the login proof.
    """

    session: SessionId
    address: str
    version: int
    device: Device
    binding: bytes
    user: User | None = None

    @property
    def network(self) -> str:
        """The address without its port, an IPv6 one cut to its /64: what rate limits before login go by."""
        host = self.address.rpartition(":")[0].strip("[]")
        return ":".join(host.split(":")[:4]) if ":" in host else host

    @property
    def name(self) -> User:
        """The logged-in user. Raises Refused(AUTH_REQUIRED) before login."""
        if self.user is None:
            raise Refused(Code.AUTH_REQUIRED)
        return self.user


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a room's log stands, and how far it was delivered to one device."""

    room: Room
    epoch: int
    head: int
    delivered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomInfo:
    """A room as its state is told to a member."""

    room: Room
    topic: str
    policy: int
    epoch: int
    first: int
    head: int
    read: int
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A room as it stands in a list, seen by one user."""

    room: Room
    members: int
    topic: str
    joined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A message in the log; `dup` when it was there before, and nothing was written."""

    message: Message
    dup: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a log, ascending: bodies of MSG as stored."""

    epoch: int
    first: int
    head: int
    events: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a user appears to others. `since` is Unix ms, 0 for somebody who was not here since the start."""

    show: Show = Show.OFFLINE
    status: str | None = None
    since: int = 0
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator allows."""

    signup: Literal["open", "invite", "closed"] = "closed"
    invites: frozenset[str] = frozenset()
    sessions: Literal["multi", "single"] = "multi"
    least_iterations: int = 600_000
    blind_clients: bool = False
    show_addresses: bool = False
    announcers: frozenset[User] | None = None
    echo_only: bool = False
    welcome: str | None = None


def is_standing(room: Room) -> bool:
    """Whether everybody is in this room from the start and nobody can leave it."""
    return room in (GENERAL, ANNOUNCEMENTS)


def is_party(user: User, room: Room) -> bool:
    """Whether a direct-message room is this user's; true for every other room."""
    both = parties(room)
    return both is None or user in both


def in_version_1(message: Message) -> Message | None:
    """The message as a version-1 client is told it, or None where he is told nothing (spec 06-messages)."""
    if message.room not in (GENERAL, ANNOUNCEMENTS) and not message.room.startswith("@"):
        return None
    kind = message.kind if message.kind in KINDS_OF_VERSION_1 else Kind.NOTICE
    return Message(
        room=message.room,
        seq=message.seq,
        cid=message.cid,
        sender=message.sender,
        kind=kind,
        ts=message.ts,
        text=message.text,
        sent=message.sent,
    )
