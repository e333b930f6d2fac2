"""The store without a disk: the same promises in plain dicts, for tests and simulation. (ARCHITECTURE)

It is written apart from the SQLite one on purpose: where the two are compared, a fault in either shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.model import (
    PRESENCE_ROOM,
    ROOMS_EACH,
    Credentials,
    Head,
    Listed,
    Page,
    RoomInfo,
    Stored,
    is_party,
    is_standing,
)
from quicchat.server.ports import Accounts, Log, Rooms
from quicchat.wire.chapters.messages import Kind, Message, Post, Window, recorded
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.codec import encode_body
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User
from quicchat.wire.types import MAX_PAIRS

#: As in every store: a body fits a frame of 64 KiB again, alone in HISTORY_R, and its fields a map.
BODY_BYTES: Final = 65_024
EXTRA_PAIRS: Final = MAX_PAIRS - len(Message.SPEC.fields)


@dataclass(slots=True)
class _Seat:
    """One user in one room: where his membership began, how far he has read, what each device holds."""

    since: int
    read: int
    delivered: dict[Device, int] = field(default_factory=dict)

    def held_by(self, device: Device) -> int:
        return self.delivered.get(device, self.since)


@dataclass(slots=True)
class _Room:
    topic: str = ""
    policy: int = 0
    epoch: int = 1
    ended: bool = False
    log: list[bytes] = field(default_factory=list)
    seats: dict[User, _Seat] = field(default_factory=dict)


class _State:
    """What the three ports share."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.closed = False
        self.accounts: dict[User, Credentials] = {}
        self.devices: dict[User, set[Device]] = {}
        self.rooms: dict[Room, _Room] = {GENERAL: _Room(), ANNOUNCEMENTS: _Room()}
        self.said: dict[tuple[User, bytes], Message] = {}

    def check_open(self) -> None:
        if self.closed:
            raise Refused(Code.STORE_UNAVAILABLE)

    def room_of(self, room: Room, user: User) -> _Room | None:
        """A room, for its members."""
        found = self.rooms.get(room)
        return found if found is not None and user in found.seats else None

    def rooms_of(self, user: User) -> Iterator[tuple[Room, _Room]]:
        """The rooms a user is in, by name."""
        return ((name, room) for name, room in sorted(self.rooms.items()) if user in room.seats)

    def write(self, message: Message, body: bytes) -> Stored:
        self.rooms[Room(message.room)].log.append(body)
        self.said[User(message.sender), message.cid] = message
        return Stored(message=message)

    def record(self, kind: Kind, room: Room, user: User, cid: bytes, at: int) -> Stored:
        """Write that a user joined or left."""
        found = self.rooms[room]
        message = Message(
            room=room,
            epoch=found.epoch,
            seq=len(found.log) + 1,
            cid=cid,
            sender=user,
            kind=kind,
            ts=at,
            text=f"{user} joined" if kind is Kind.JOIN else f"{user} left",
        )
        return self.write(message, encode_body(message, version=2))

    def enter(self, room: Room, user: User, cid: bytes, at: int) -> Stored:
        found = self.rooms[room]
        found.seats[user] = _Seat(len(found.log), len(found.log) + 1)
        return self.record(Kind.JOIN, room, user, cid, at)

    def check_entry(self, user: User, cid: bytes) -> None:
        if user not in self.accounts:
            raise Refused(Code.NO_SUCH_USER)
        if sum(_is_open(name) for name, _ in self.rooms_of(user)) >= ROOMS_EACH:
            raise Refused(Code.LIMIT)
        self.check_unused(user, cid)

    def check_unused(self, user: User, cid: bytes) -> None:
        if (user, cid) in self.said:
            raise Refused(Code.CID_CONFLICT)


class MemoryAccounts:
    """The port `Accounts`."""

    def __init__(self, state: _State) -> None:
        self._state = state

    async def secret(self) -> bytes:
        self._state.check_open()
        return self._state.secret

    async def is_empty(self) -> bool:
        self._state.check_open()
        return not self._state.accounts

    async def sign_up(self, user: User, credentials: Credentials, *, at: int) -> tuple[Stored, ...]:
        state = self._state
        state.check_open()
        if user in state.accounts:
            raise Refused(Code.NAME_TAKEN)
        state.accounts[user] = credentials
        state.devices[user] = set()
        announced = len(state.rooms[ANNOUNCEMENTS].log)
        state.rooms[ANNOUNCEMENTS].seats[user] = _Seat(announced, announced)
        cid = hashlib.sha256(b"quicchat entry " + user.encode()).digest()[:16]
        return (state.enter(GENERAL, user, cid, at),)

    async def credentials(self, user: User) -> Credentials | None:
        self._state.check_open()
        return self._state.accounts.get(user)

    async def set_credentials(self, user: User, credentials: Credentials) -> None:
        self._state.check_open()
        if user not in self._state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        self._state.accounts[user] = credentials

    async def admit(self, user: User, device: Device, name: str, *, at: int) -> tuple[Head, ...]:
        state = self._state
        state.check_open()
        if user not in state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        seats = [(found, room, room.seats[user]) for found, room in state.rooms_of(user)]
        if device not in state.devices[user]:
            state.devices[user].add(device)
            for _, _, seat in seats:
                if seat.delivered:
                    seat.delivered[device] = max(seat.delivered.values())
        return tuple(
            Head(room=found, epoch=room.epoch, head=len(room.log), delivered=seat.held_by(device))
            for found, room, seat in seats
        )


class MemoryRooms:
    """The port `Rooms`."""

    def __init__(self, state: _State) -> None:
        self._state = state

    async def create(self, room: Room, by: User, *, topic: str, policy: int, cid: bytes, at: int) -> Stored:
        state = self._state
        state.check_open()
        if room.startswith("@"):
            raise Refused(Code.FORBIDDEN)
        before = state.rooms.get(room)
        if before is not None and not before.ended:
            raise Refused(Code.ROOM_EXISTS)
        state.check_entry(by, cid)
        state.rooms[room] = _Room(topic=topic, policy=policy, epoch=1 if before is None else before.epoch + 1)
        return state.enter(room, by, cid, at)

    async def join(self, room: Room, user: User, *, make: int | None = None, cid: bytes, at: int) -> Stored | None:
        state = self._state
        state.check_open()
        if state.room_of(room, user) is not None:
            return None
        found = state.rooms.get(room)
        if found is None or found.ended or not _is_open(room):
            if make is not None:
                return await self.create(room, user, topic="", policy=make, cid=cid, at=at)
            raise Refused(Code.NO_SUCH_ROOM)
        state.check_entry(user, cid)
        return state.enter(room, user, cid, at)

    async def leave(self, room: Room, user: User, *, cid: bytes, at: int) -> Stored:
        state = self._state
        state.check_open()
        if is_standing(room):
            raise Refused(Code.FORBIDDEN)
        found = state.room_of(room, user)
        if found is None:
            raise Refused(Code.NOT_MEMBER)
        if not _is_open(room):
            raise Refused(Code.FORBIDDEN)
        state.check_unused(user, cid)
        stored = state.record(Kind.LEAVE, room, user, cid, at)
        del found.seats[user]
        found.ended = not found.seats and bool(found.policy & EPHEMERAL)
        return stored

    async def listed(self, user: User, *, after: Room | None, limit: int) -> Sequence[Listed]:
        self._state.check_open()
        rooms = (
            Listed(room=name, members=len(room.seats), topic=room.topic, joined=user in room.seats)
            for name, room in sorted(self._state.rooms.items())
            if _is_open(name) and not room.ended and name > (after or "")
        )
        return list(islice(rooms, limit))

    async def info(self, room: Room, user: User) -> RoomInfo:
        found = self._seen(room, user)
        return RoomInfo(
            room=room,
            topic=found.topic,
            policy=found.policy,
            epoch=found.epoch,
            first=1,
            head=len(found.log),
            read=found.seats[user].read,
            members=len(found.seats),
        )

    async def members(self, room: Room, user: User, *, after: User | None, limit: int) -> Sequence[User]:
        found = self._seen(room, user)
        return [member for member in sorted(found.seats) if member > (after or "")][:limit]

    async def audible(self, user: User) -> frozenset[Room]:
        self._state.check_open()
        return frozenset(
            name
            for name, room in self._state.rooms_of(user)
            if len(room.seats) <= PRESENCE_ROOM and not name.startswith("@")
        )

    def _seen(self, room: Room, user: User) -> _Room:
        self._state.check_open()
        found = self._state.room_of(room, user)
        if found is None:
            raise Refused(Code.NO_SUCH_ROOM)
        return found


class MemoryLog:
    """The port `Log`."""

    def __init__(self, state: _State) -> None:
        self._state = state

    async def append(self, room: Room, sender: User, device: Device, post: Post, *, at: int) -> Stored:
        state = self._state
        state.check_open()
        kind = post.kind or Kind.TEXT
        earlier = state.said.get((sender, post.cid))
        if earlier is not None:
            if (earlier.room, earlier.kind, earlier.text) != (room, kind, post.text):
                raise Refused(Code.CID_CONFLICT)
            return Stored(message=earlier, dup=True)
        found = state.room_of(room, sender) or self._unopened(room, sender)
        place = len(found.log) + 1
        message = recorded(post, room=room, epoch=found.epoch, seq=place, sender=sender, device=device, ts=at)
        if len(post.extra or ()) > EXTRA_PAIRS or len(body := encode_body(message, version=2)) > BODY_BYTES:
            raise Refused(Code.MSG_TOO_LARGE)
        state.rooms.setdefault(room, found)
        return state.write(message, body)

    def _unopened(self, room: Room, sender: User) -> _Room:
        """A direct-message room that is to come into being."""
        names = room[1:].split(",") if room.startswith("@") else []
        if len(names) != 2 or names != sorted(names) or not is_party(sender, room):
            raise Refused(Code.NOT_MEMBER)
        both = [User(name) for name in names]
        if not all(user in self._state.accounts for user in both):
            raise Refused(Code.NO_SUCH_USER)
        return _Room(seats={user: _Seat(0, 0) for user in both})

    async def page(self, room: Room, user: User, *, window: Window, anchor: int, limit: int, budget: int) -> Page:
        self._state.check_open()
        found = self._state.room_of(room, user)
        if found is None:
            raise Refused(Code.NO_SUCH_ROOM)
        head = len(found.log)
        places = _by_nearness(window, anchor, head, limit)
        kept: list[int] = []
        for place in islice(places, limit):
            budget -= len(found.log[place - 1])
            if budget < 0 and kept:
                break
            kept.append(place)
        events = tuple(found.log[place - 1] for place in sorted(kept))
        return Page(epoch=found.epoch, first=1, head=head, events=events)

    async def receipt(self, room: Room, user: User, device: Device, *, delivered: int | None, read: int | None) -> None:
        self._state.check_open()
        found = self._state.room_of(room, user)
        if found is None:
            return
        seat = found.seats[user]
        head = len(found.log)
        if delivered is not None:
            seat.delivered[device] = max(seat.held_by(device), min(delivered, head))
        if read is not None:
            seat.read = max(seat.read, min(read, head))


class MemoryStore:
    """Accounts, rooms and log in memory. Give a secret of your own wherever the users are real."""

    def __init__(self, secret: bytes = bytes(range(32))) -> None:
        self._state = _State(secret)
        self.accounts: Accounts = MemoryAccounts(self._state)
        self.rooms: Rooms = MemoryRooms(self._state)
        self.log: Log = MemoryLog(self._state)

    async def close(self) -> None:
        """From now on everything is refused."""
        self._state.closed = True


def _is_open(room: Room) -> bool:
    return room != ANNOUNCEMENTS and not room.startswith("@")


def _by_nearness(window: Window, anchor: int, head: int, limit: int) -> Sequence[int]:
    """The places a window shows, the nearest to its anchor first, and the later of two that are equally near."""
    match window:
        case Window.BEFORE:
            return range(min(anchor - 1, head), 0, -1)
        case Window.AFTER:
            return range(anchor + 1, head + 1)
        case Window.AROUND:
            middle = min(anchor, head)
            near = range(max(1, middle - limit), min(middle + limit, head) + 1)
            return sorted(near, key=lambda place: (abs(place - middle), -place))
        case Window.LATEST:
            return range(head, 0, -1)
