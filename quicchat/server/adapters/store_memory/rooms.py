"""Rooms and their members in memory. (spec 05-rooms)"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from itertools import islice

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory.state import Place, State
from quicchat.server.model import (
    INVITATIONS_EACH,
    OPERATOR,
    PRESENCE_ROOM,
    Entered,
    Invitation,
    Listed,
    RoomInfo,
    Stored,
    is_governed,
    is_standing,
)
from quicchat.server.rules import check_policy, encrypts, expulsion, key_digest, ranking
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import EPHEMERAL, INVITE_ONLY, Rank
from quicchat.wire.names import Room, User


class MemoryRooms:
    """The port `Rooms`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def create(
        self, room: Room, by: User, *, topic: str, policy: int, exclusive: bool = False, cid: bytes, at: int
    ) -> Entered:
        state = self._state
        state.check_open()
        if room.startswith("@"):
            raise Refused(Code.FORBIDDEN)
        before = state.rooms.get(room)
        if before is not None and not before.ended:
            raise Refused(Code.ROOM_EXISTS)
        state.check_entry(by, exclusive, cid)
        epoch = 1 if before is None else before.epoch + 1
        state.rooms[room] = Place(topic=topic, policy=policy, epoch=epoch, ranks={by: Rank.OWNER})
        stored = state.enter(room, by, cid, at)
        return Entered(info=await self.info(room, by), stored=stored)

    async def join(
        self,
        room: Room,
        user: User,
        *,
        make: int | None = None,
        member: bool = False,
        secret: str | None = None,
        operator: bool = False,
        exclusive: bool = False,
        cid: bytes,
        at: int,
    ) -> Entered:
        state = self._state
        state.check_open()
        if state.room_of(room, user) is not None:
            return Entered(info=await self.info(room, user), stored=None)
        if member:
            raise Refused(Code.NOT_MEMBER)
        found = state.rooms.get(room)
        if found is None or found.ended or not is_governed(room):
            if make is not None:
                return await self.create(room, user, topic="", policy=make, exclusive=exclusive, cid=cid, at=at)
            raise Refused(Code.NO_SUCH_ROOM)
        standing = OPERATOR if operator else found.rank(user)
        if standing == Rank.OUTCAST:
            raise Refused(Code.BANNED)
        if standing < Rank.MODERATOR and user not in found.invited:
            if found.policy & INVITE_ONLY:
                raise Refused(Code.NO_SUCH_ROOM)
            told = key_digest(state.secret, room, secret or "")
            if found.secret is not None and not hmac.compare_digest(found.secret, told):
                raise Refused(Code.FORBIDDEN)
        state.check_entry(user, exclusive, cid)
        found.invited.pop(user, None)
        stored = state.enter(room, user, cid, at)
        return Entered(info=await self.info(room, user), stored=stored)

    async def leave(self, room: Room, user: User, *, cid: bytes, at: int) -> Stored | None:
        state = self._state
        state.check_open()
        if is_standing(room):
            raise Refused(Code.FORBIDDEN)
        if state.room_of(room, user) is None:
            if room in state.rooms and state.rooms[room].invited.pop(user, None) is not None:
                return None
            raise Refused(Code.NOT_MEMBER)
        if not is_governed(room):
            raise Refused(Code.FORBIDDEN)
        state.check_unused(user, cid)
        return self._depart(room, user, cid, at, f"{user} left")

    async def change(
        self,
        room: Room,
        by: User,
        *,
        topic: str | None = None,
        policy: int | None = None,
        secret: str | None = None,
        operator: bool = False,
        cid: bytes,
        at: int,
    ) -> Stored | None:
        state = self._state
        found, standing = self._governed(room, by, operator)
        inner = policy is not None or secret is not None
        if standing < (Rank.OWNER if inner else Rank.MODERATOR) or (inner and is_standing(room)):
            raise Refused(Code.FORBIDDEN)
        if policy is not None:
            check_policy(found.policy, policy)
        state.check_unused(by, cid)
        encrypted = encrypts(found.policy, policy)
        if policy is not None:
            found.policy = policy
        if secret is not None:
            found.secret = key_digest(state.secret, room, secret) if secret else None
        told = None
        if encrypted or topic not in (None, found.topic):
            found.topic = found.topic if topic is None else topic
            facts = {"policy": policy} if encrypted else {}
            told = state.record(Kind.TOPIC, room, by, cid, at, found.topic, **facts)
        _end_if_empty(found)
        return told

    async def invite(self, room: Room, user: User, by: User, *, operator: bool = False, at: int) -> bool:
        found, standing = self._governed(room, by, operator)
        if standing < (Rank.MODERATOR if found.policy & INVITE_ONLY else Rank.MEMBER):
            raise Refused(Code.FORBIDDEN)
        if user not in self._state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        if user in found.seats or user in found.invited:
            return False
        if found.rank(user) == Rank.OUTCAST:
            raise Refused(Code.FORBIDDEN)
        if len(await self.invitations(user)) >= INVITATIONS_EACH:
            raise Refused(Code.LIMIT)
        found.invited[user] = by
        return True

    async def invitations(self, user: User) -> Sequence[Invitation]:
        self._state.check_open()
        rooms = sorted(self._state.rooms.items())
        return [Invitation(room=name, by=room.invited[user]) for name, room in rooms if user in room.invited]

    async def kick(
        self,
        room: Room,
        user: User,
        by: User,
        *,
        reason: str = "",
        ban: bool = False,
        operator: bool = False,
        cid: bytes,
        at: int,
    ) -> Sequence[Stored]:
        state = self._state
        found, standing = self._governed(room, by, operator)
        if standing < Rank.MODERATOR or is_standing(room):
            raise Refused(Code.FORBIDDEN)
        self._check_touched(found, user, by, standing)
        inside = user in found.seats
        if not inside and not ban:
            raise Refused(Code.NO_SUCH_USER)
        state.check_unused(by, cid)
        state.check_unused(user, cid)
        events = []
        if ban and found.rank(user) is not Rank.OUTCAST:
            found.ranks[user] = Rank.OUTCAST
            found.invited.pop(user, None)
            events.append(self._ranked(room, by, user, Rank.OUTCAST, cid, at))
        if inside:
            events.append(self._depart(room, user, cid, at, expulsion(by, user, reason), by))
        return events

    async def set_rank(
        self, room: Room, user: User, by: User, rank: Rank, *, operator: bool = False, cid: bytes, at: int
    ) -> Stored | None:
        found, standing = self._governed(room, by, operator)
        if standing < (Rank.MODERATOR if rank <= Rank.MEMBER else Rank.OWNER):
            raise Refused(Code.FORBIDDEN)
        self._check_touched(found, user, by, standing)
        self._state.check_unused(by, cid)
        if found.rank(user) is rank:
            return None
        found.ranks[user] = rank
        return self._ranked(room, by, user, rank, cid, at)

    async def listed(self, user: User, *, after: Room | None, limit: int, operator: bool = False) -> Sequence[Listed]:
        self._state.check_open()
        rooms = (
            Listed(room=name, members=len(room.seats), topic=room.topic, joined=user in room.seats)
            for name, room in sorted(self._state.rooms.items())
            if is_governed(name) and not room.ended and name > (after or "") and (operator or _shows(room, user))
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
            read=found.read_by(user),
            unread=found.unread_by(user),
            members=len(found.seats),
            rank=found.rank(user),
            mentions=found.mentions_of(user),
        )

    async def members(self, room: Room, user: User, *, after: User | None, limit: int) -> Mapping[User, Rank]:
        found = self._seen(room, user)
        names = [member for member in sorted(found.seats) if member > (after or "")][:limit]
        return {name: found.rank(name) for name in names}

    async def audible(self, user: User) -> frozenset[Room]:
        self._state.check_open()
        return frozenset(
            name
            for name, room in self._state.rooms_of(user)
            if len(room.seats) <= PRESENCE_ROOM and not name.startswith("@")
        )

    async def neighbours(self, user: User) -> Mapping[User, int]:
        users = {other for room in await self.audible(user) for other in self._state.rooms[room].seats}
        return {
            other: max((known.seen for known in self._state.devices[other].values()), default=0)
            for other in sorted(users)
        }

    def _seen(self, room: Room, user: User) -> Place:
        self._state.check_open()
        found = self._state.room_of(room, user)
        if found is None:
            raise Refused(Code.NO_SUCH_ROOM)
        return found

    def _governed(self, room: Room, by: User, operator: bool) -> tuple[Place, int]:
        """A room, and where somebody stands who wants to change something there."""
        self._state.check_open()
        found = self._state.rooms.get(room)
        seen = found is not None and (by in found.seats or (operator and by in self._state.accounts))
        if found is None or found.ended or not seen or not is_governed(room):
            raise Refused(Code.NO_SUCH_ROOM)
        return found, OPERATOR if operator else found.rank(by)

    def _check_touched(self, found: Place, user: User, by: User, standing: int) -> None:
        if user not in self._state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        if user == by or found.rank(user) >= standing:
            raise Refused(Code.FORBIDDEN)

    def _ranked(self, room: Room, by: User, user: User, rank: Rank, cid: bytes, at: int) -> Stored:
        text = ranking(by, user, rank)
        return self._state.record(Kind.ROLE, room, by, cid, at, text, mentions=(user,), rank=rank)

    def _depart(self, room: Room, user: User, cid: bytes, at: int, text: str, by: User | None = None) -> Stored:
        stored = self._state.record(Kind.LEAVE, room, user, cid, at, text, by=by)
        found = self._state.rooms[room]
        del found.seats[user]
        _end_if_empty(found)
        return stored


def _end_if_empty(room: Place) -> None:
    if not room.seats and room.policy & EPHEMERAL:
        room.ended = True
        room.attached.clear()
        room.invited.clear()


def _shows(room: Place, user: User) -> bool:
    if not room.policy & INVITE_ONLY or user in room.seats:
        return True
    return user in room.invited or room.rank(user) >= Rank.MODERATOR
