"""The rules and values that services share: who acts, what a room is, what may be done. (spec 05-rooms)"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv6Network
from typing import Final, Literal, NewType

from quicchat.errors import Code, Refused
from quicchat.protocol.scram import Credentials as Credentials
from quicchat.values import dataclass
from quicchat.wire.chapters import files
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User, parties
from quicchat.wire.search import SEARCHED as SEARCHED
from quicchat.wire.search import Word as Word

SessionId = NewType("SessionId", int)

#: Rooms above this many members get presence only on demand (protocol §7.8).
PRESENCE_ROOM: Final = 200
#: Rooms one user may be in (protocol §7.11).
ROOMS_EACH: Final = 500
#: Invitations that may wait for one user.
INVITATIONS_EACH: Final = 100
#: Where an operator stands: above the owners of every room.
OPERATOR: Final = Rank.OWNER + 1
#: How long a resume token is good, in ms, and how much longer because clocks differ.
TOKEN_LIFE: Final = 30 * 86_400_000
TOKEN_SLACK: Final = 60_000

#: Places remembered; the longest unheard-of is forgotten first, so that an attacker cannot fill the memory.
_PLACES: Final = 10_000
_SPAN: Final = 600_000
_LONGEST: Final = 5.0
#: In rooms of up to so many members receipts are told by name, in larger ones as a count, beyond that not at all.
BY_NAME: Final = 32
COUNTED: Final = 1_000
#: Events before each place that a receipt moves which are looked at for those who are to hear of it.
CONCERNED: Final = 32
#: Raw bytes that each stream of an upload may carry before its first FILE_ACK.
FIRST_CREDIT: Final = 65_536
#: How long a file is kept that no event names, in ms.
UNNAMED: Final = 24 * 3600 * 1000
#: How much longer, in ms, an unfinished upload is kept, though events name it, that nobody goes on with.
ABANDONED: Final = 6 * UNNAMED
#: Devices of a user that may wait to be let into his list, and for how long after they were last seen, in ms.
WAITING_EACH: Final = 16
WAITING_LIFE: Final = 30 * 86_400_000
#: Bytes of all that is told of one user's keys, so that it fits a frame (spec 15-keys).
KEYS_SIZE: Final = 48 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks: made by the session from the connection, never from a field of a PDU.

    `user` is None before login. `binding` is certificate hash and transcript, for the login proof. `page` is agreed on.
    """

    session: SessionId
    address: str
    version: int
    device: Device
    binding: bytes
    user: User | None = None
    page: int = 200

    @property
    def network(self) -> str:
        """What rate limits before login go by."""
        return network(self.address)

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
class Installation:
    """A device of a user: when it was last here, and until when its token is good, 0 where it has none."""

    device: Device
    name: str
    seen: int
    expires: int


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
    unread: int
    members: int
    rank: Rank
    mentions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A room as it stands in a list, seen by one user."""

    room: Room
    members: int
    topic: str
    joined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Somebody let a user into a room that he is not in yet."""

    room: Room
    by: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A message in the log; `dup` when it was there before, and nothing was written.

    `entries` is what of a KEY event is for one device alone: the handle of its key, and the packet.
    """

    message: Message
    dup: bool = False
    entries: Mapping[tuple[User, Device], tuple[int, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A room as its new member finds it, and his JOIN event, or None where he was in already."""

    info: RoomInfo
    stored: Stored | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a log, ascending: bodies of MSG as stored."""

    epoch: int
    first: int
    head: int
    events: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a member has come in a room, as others may see it: with any of his devices, and when it changed."""

    user: User
    delivered: int
    read: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """How far a user has read a room, what is left, and how much of that names him."""

    read: int
    unread: int
    mentions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a receipt changed: for the user himself, and for others; None where nothing did.

    `senders` are those of the messages that it is about, as far as they are to hear of it.
    """

    own: Unread | None
    shown: Progress | None
    members: int
    senders: frozenset[User]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """How far the members of a room have come: by name, as a count, or neither, as its size allows."""

    people: tuple[Progress, ...] = ()
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One of a user's conversations. `read` counts his own messages that follow at once as read."""

    room: Room
    epoch: int
    head: int
    read: int
    unread: int
    mentions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finds:
    """Bodies of messages found, newest first; `next` leads to the following page."""

    events: tuple[bytes, ...]
    next: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one user may upload: bytes and files in all, uploads at once."""

    size: int
    files: int
    uploads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file of the store; `whole` once all of it is here. `place` numbers where its bytes are, and is never reused."""

    file: bytes
    size: int
    chunk: int
    whole: bool
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A file as it is listed. `file` is empty while it is unknown; `sender` and `seq` are of the event naming it."""

    name: str
    size: int
    modified: int
    media_type: str
    file: bytes
    standing: files.Standing
    sender: User | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKey:
    """The key of a device, as the device made it known; `handle` is what key packets name it by."""

    device: Device
    fingerprint: bytes
    handle: int
    name: str
    certificate: bytes

    @property
    def size(self) -> int:
        """Bytes of it in a page, about."""
        return 64 + len(self.name.encode()) + len(self.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedList:
    """A device list as its user signed it, and the fingerprints that stand in it."""

    serial: int
    identity: bytes
    devices: bytes
    signature: bytes
    fingerprints: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserKeys:
    """What is told of a user's keys; serial 0 for one who has none, and nothing but the serial that is held."""

    user: User
    serial: int = 0
    identity: bytes = b""
    devices: bytes = b""
    signature: bytes = b""
    certificates: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of it in a page, about."""
        parts = (self.identity, self.devices, self.signature, *self.certificates)
        return 64 + sum(4 + len(each) for each in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of a device's key: whether anything is new, whether it is listed, and the serial of the list now."""

    news: bool
    listed: bool
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A part of a backup, of how many, and of which generation, 0 where there is none."""

    generation: int = 0
    count: int = 0
    data: bytes = b""


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
    operators: frozenset[User] = frozenset()
    exclusive_groups: bool = False
    echo_only: bool = False
    welcome: str | None = None
    quota: Quota = Quota(size=1 << 30, files=1_000, uploads=5)
    #: Bytes of one user's backup of keys.
    backup: int = 8 << 20


def network(address: str) -> str:
    """An address without its port, an IPv6 one cut to its /64."""
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    return str(IPv6Network((host, 64), strict=False).network_address) if ":" in host else host


class Patience:
    """How often something went wrong from one place lately: times (Unix ms) by place."""

    def __init__(self) -> None:
        self._mishaps: OrderedDict[str, list[int]] = OrderedDict()

    def add(self, place: str, now: int) -> None:
        """Something went wrong there."""
        recent = [at for at in self._mishaps.pop(place, []) if at > now - _SPAN]
        self._mishaps[place] = [*recent, now][-20:]
        while len(self._mishaps) > _PLACES:
            self._mishaps.popitem(last=False)

    def count(self, place: str, *, since: int) -> int:
        """Mishaps there after `since`."""
        return sum(at > since for at in self._mishaps.get(place, ()))

    def delay(self, place: str, now: int) -> float:
        """Seconds to wait before the next answer: none at first, doubling from the second mishap on."""
        mishaps = self.count(place, since=now - _SPAN)
        return 0.0 if mishaps == 0 else min(_LONGEST, 0.125 * 2.0**mishaps)


def is_standing(room: Room) -> bool:
    """Whether everybody is in this room from the start and nobody can leave it."""
    return room in (GENERAL, ANNOUNCEMENTS)


def is_party(user: User, room: Room) -> bool:
    """Whether a direct-message room is this user's; true for every other room."""
    both = parties(room)
    return both is None or user in both


def is_governed(room: Room) -> bool:
    """Whether people rank in this room, and may change it: the announcements and direct messages have no owner."""
    return room != ANNOUNCEMENTS and not room.startswith("@")
