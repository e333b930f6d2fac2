"""What the ports of the store without a disk share. (ARCHITECTURE)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Final

from quicchat.errors import Code, Refused
from quicchat.server.model import (
    ROOMS_EACH,
    Credentials,
    DeviceKey,
    SignedList,
    Stored,
    Upload,
    is_governed,
    is_party,
    is_standing,
)
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.codec import decode_body, encode_body
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User
from quicchat.wire.types import MAX_PAIRS

#: As in every store: a body fits a frame of 64 KiB again, alone in HISTORY_R, and its fields a map.
BODY_BYTES: Final = 65_024
EXTRA_PAIRS: Final = MAX_PAIRS - len(Message.SPEC.fields)


@dataclass(slots=True)
class Seat:
    """One user in one room: where his membership began, how far he has read, what each device holds."""

    since: int
    read: int
    delivered: dict[Device, int] = field(default_factory=dict)
    #: How far others may see that he has read, and when that or what all his devices hold changed.
    shown: int = 0
    at: int = 0
    #: The places that name him.
    named: set[int] = field(default_factory=set)

    def held_by(self, device: Device) -> int:
        return self.delivered.get(device, self.since)

    @property
    def held(self) -> int:
        """What the furthest device holds."""
        return max(self.delivered.values(), default=self.since)

    @property
    def seen(self) -> int:
        """What others may see that he has read."""
        return max(self.shown, self.since)


@dataclass(slots=True)
class Known:
    """A device of an account, and the SHA-256 of its resume token."""

    name: str
    seen: int
    token: bytes | None = None
    expires: int = 0


@dataclass(slots=True)
class KeyOf:
    """The key of a device, when it came, and whether it is in the list."""

    key: DeviceKey
    at: int
    listed: bool


@dataclass(slots=True, eq=False)
class Blob:
    """One content, or an upload that is to become it; `at` is when somebody last had to do with it."""

    place: int
    file: bytes
    size: int
    chunk: int
    whole: bool
    at: int

    def upload(self) -> Upload:
        return Upload(file=self.file, size=self.size, chunk=self.chunk, whole=self.whole, place=self.place)


@dataclass(slots=True, eq=False)
class Attached:
    """A file that an event names, and what it calls it."""

    blob: Blob
    name: str
    media_type: str
    modified: int


@dataclass(slots=True)
class Place:
    topic: str = ""
    policy: int = 0
    epoch: int = 1
    ended: bool = False
    log: list[bytes] = field(default_factory=list)
    senders: list[User] = field(default_factory=list)
    seats: dict[User, Seat] = field(default_factory=dict)
    ranks: dict[User, Rank] = field(default_factory=dict)
    #: Who is invited, and by whom.
    invited: dict[User, User] = field(default_factory=dict)
    secret: bytes | None = None
    #: Which events correct a place.
    edits: dict[int, list[int]] = field(default_factory=dict)
    #: Which files a place names.
    attached: dict[int, list[Attached]] = field(default_factory=dict)
    #: The entries of KEY events by place: the handle, and the packet, for each device.
    entries: dict[int, dict[tuple[User, Device], tuple[int, bytes]]] = field(default_factory=dict)

    def rank(self, user: User) -> Rank:
        return self.ranks.get(user, Rank.MEMBER)

    def read_by(self, user: User) -> int:
        """How far a member has read, his own messages and KEY events that follow at once included."""
        place = self.seats[user].read
        while place < len(self.log) and (self.senders[place] == user or place + 1 in self.entries):
            place += 1
        return place

    def unread_by(self, user: User) -> int:
        """How many events a member has not read; KEY events are nobody's news."""
        return sum(place not in self.entries for place in range(self.read_by(user) + 1, len(self.log) + 1))

    def mentions_of(self, user: User) -> int:
        """How many places that he has not read name a member."""
        seat = self.seats[user]
        return sum(place > seat.read for place in seat.named)

    def message(self, place: int) -> Message:
        return decode_body(Message, self.log[place - 1], version=2)


class State:
    """What the ports share."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.closed = False
        self.accounts: dict[User, Credentials] = {}
        self.devices: dict[User, dict[Device, Known]] = {}
        self.rooms: dict[Room, Place] = {GENERAL: Place(), ANNOUNCEMENTS: Place()}
        self.said: dict[tuple[User, bytes], Message] = {}
        #: Of KEY events the entries by their handles, as they were posted.
        self.packets: dict[tuple[User, bytes], Mapping[int, bytes]] = {}
        self.lists: dict[User, SignedList] = {}
        self.keys: dict[User, dict[Device, KeyOf]] = {}
        #: Of each backup its generation and its parts.
        self.backups: dict[User, tuple[int, list[bytes]]] = {}
        self.last_place = 0
        self.blobs: dict[int, Blob] = {}
        self.uploads: dict[tuple[User, bytes], Blob] = {}
        #: What is forgotten, while its bytes may still be there.
        self.garbage: dict[int, Blob] = {}

    def forget_waiting(self, user: User, device: Device) -> None:
        """A device that waits to be let into the list does so no more."""
        keys = self.keys.get(user, {})
        if device in keys and not keys[device].listed:
            del keys[device]

    def check_open(self) -> None:
        if self.closed:
            raise Refused(Code.STORE_UNAVAILABLE)

    def room_of(self, room: Room, user: User) -> Place | None:
        """A room, for its members."""
        found = self.rooms.get(room)
        return found if found is not None and user in found.seats else None

    def room_to_post(self, room: Room, sender: User) -> Place:
        """A room of this user, or one of direct messages that is to come into being."""
        return self.room_of(room, sender) or self._unopened(room, sender)

    def _unopened(self, room: Room, sender: User) -> Place:
        names = room[1:].split(",") if room.startswith("@") else []
        if len(names) != 2 or names != sorted(names) or not is_party(sender, room):
            raise Refused(Code.NOT_MEMBER)
        both = [User(name) for name in names]
        if not all(user in self.accounts for user in both):
            raise Refused(Code.NO_SUCH_USER)
        return Place(seats={user: Seat(0, 0) for user in both})

    def rooms_of(self, user: User) -> Iterator[tuple[Room, Place]]:
        """The rooms a user is in, by name."""
        return ((name, room) for name, room in sorted(self.rooms.items()) if user in room.seats)

    def write(self, message: Message, body: bytes) -> Stored:
        found = self.rooms[Room(message.room)]
        found.log.append(body)
        found.senders.append(User(message.sender))
        self.said[User(message.sender), message.cid] = message
        return Stored(message=message)

    def record(self, kind: Kind, room: Room, sender: User, cid: bytes, at: int, text: str, **facts: Any) -> Stored:
        """Write what happened to a room or to those in it."""
        found = self.rooms[room]
        message = Message(
            room=room,
            epoch=found.epoch,
            seq=len(found.log) + 1,
            cid=cid,
            sender=sender,
            kind=kind,
            ts=at,
            text=text,
            **facts,
        )
        return self.write(message, encode_body(message, version=2))

    def enter(self, room: Room, user: User, cid: bytes, at: int) -> Stored:
        found = self.rooms[room]
        found.seats[user] = Seat(len(found.log), len(found.log) + 1)
        return self.record(Kind.JOIN, room, user, cid, at, f"{user} joined")

    def check_entry(self, user: User, exclusive: bool, cid: bytes) -> None:
        if user not in self.accounts:
            raise Refused(Code.NO_SUCH_USER)
        rooms = [name for name, _ in self.rooms_of(user) if is_governed(name)]
        if exclusive and not all(map(is_standing, rooms)):
            raise Refused(Code.ONE_GROUP_ONLY)
        if len(rooms) >= ROOMS_EACH:
            raise Refused(Code.LIMIT)
        self.check_unused(user, cid)

    def check_unused(self, user: User, cid: bytes) -> None:
        if (user, cid) in self.said:
            raise Refused(Code.CID_CONFLICT)
