"""Rooms: making, entering, leaving and listing them. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from quicchat.errors import Code, Refused
from quicchat.server import model
from quicchat.server.effects import Deliver, Effects, InRooms, Reply
from quicchat.server.handler import handles
from quicchat.server.model import Actor, Listed, Stored
from quicchat.server.ports import Clock, Rooms, Roster
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Create, Join, Leave, ListMembers, ListRooms, MemberList, RoomList, RoomState
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Room, User

_PAGE = 100
#: Bytes of a page of rooms, and of a row of it without its topic, at most.
_BUDGET, _ROW = 48 * 1024, 96


class RoomService:
    """Rooms that people make; direct messages and standing rooms are not made, entered or left."""

    def __init__(self, rooms: Rooms, roster: Roster, clock: Clock) -> None:
        self._rooms = rooms
        self._roster = roster
        self._clock = clock

    @handles(Create)
    async def create(self, actor: Actor, pdu: Create) -> Effects:
        room = _made_by_people(pdu.room)
        cid, now = self._clock.random(16), self._clock.now()
        topic, policy = pdu.topic or "", pdu.policy or 0
        stored = await self._rooms.create(room, actor.name, topic=topic, policy=policy, cid=cid, at=now)
        return [Reply(await self._state(room, actor.name)), _told(stored, actor)]

    @handles(Join)
    async def join(self, actor: Actor, pdu: Join) -> Effects:
        room = _made_by_people(pdu.room)
        make = (pdu.policy or 0) if pdu.create else None
        cid, now = self._clock.random(16), self._clock.now()
        stored = await self._rooms.join(room, actor.name, make=make, cid=cid, at=now)
        state = Reply(await self._state(room, actor.name))
        return [state, _told(stored, actor)] if stored is not None else [state]

    @handles(Leave)
    async def leave(self, actor: Actor, pdu: Leave) -> Effects:
        cid, now = self._clock.random(16), self._clock.now()
        stored = await self._rooms.leave(Room(pdu.room), actor.name, cid=cid, at=now)
        return [Reply(Ok()), _told(stored, actor)]

    @handles(ListRooms)
    async def listed(self, actor: Actor, pdu: ListRooms) -> Effects:
        limit = pdu.limit or _PAGE
        after = None if pdu.after is None else Room(pdu.after)
        found = await self._rooms.listed(actor.name, after=after, limit=limit + 1)
        fitting = _fitting(found[:limit])
        rows = tuple((each.room, each.members, each.topic, each.joined) for each in fitting)
        return [Reply(RoomList(rooms=rows, more=len(found) > len(rows)))]

    @handles(ListMembers)
    async def members(self, actor: Actor, pdu: ListMembers) -> Effects:
        limit = pdu.limit or _PAGE
        after = None if pdu.after is None else User(pdu.after)
        found = await self._rooms.members(Room(pdu.room), actor.name, after=after, limit=limit + 1)
        rows = tuple((user, self._roster.standing(user).show is not Show.OFFLINE) for user in found[:limit])
        return [Reply(MemberList(room=pdu.room, members=rows, more=len(found) > limit))]

    async def _state(self, room: Room, user: User) -> RoomState:
        info = await self._rooms.info(room, user)
        return RoomState(
            room=room,
            topic=info.topic,
            epoch=info.epoch,
            first=info.first,
            head=info.head,
            read=info.read,
            unread=max(0, info.head - info.read),
            members=info.members,
            policy=info.policy,
        )


def _fitting(rooms: Sequence[Listed]) -> Sequence[Listed]:
    """As many rooms as fit a frame of the default limit, topics included."""
    sizes = accumulate(_ROW + len(each.topic.encode()) for each in rooms)
    return [each for each, size in zip(rooms, sizes, strict=True) if size <= _BUDGET]


def _made_by_people(name: str) -> Room:
    room = Room(name)
    if model.is_standing(room) or room.startswith("@"):
        raise Refused(Code.FORBIDDEN, "This room is not made, entered or left.")
    return room


def _told(stored: Stored, actor: Actor) -> Deliver:
    message = stored.message
    room = frozenset({Room(message.room)})
    return Deliver(message, InRooms(room), older=model.in_version_1(message), but=actor.session)
