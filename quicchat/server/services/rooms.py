"""Rooms: making, entering, leaving, listing and changing them, and who may do what there. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from quicchat.errors import Code, Refused
from quicchat.server import model, rules
from quicchat.server.effects import Arrived, Deliver, Effects, InRooms, OfUsers, Reply
from quicchat.server.handler import handles
from quicchat.server.model import Actor, Entered, Listed, Policy, RoomInfo, SessionId, Stored
from quicchat.server.ports import Clock, Rooms, Roster
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import (
    Create,
    Invite,
    Join,
    Kick,
    Leave,
    ListMembers,
    ListRooms,
    MemberList,
    Rank,
    RoomList,
    RoomState,
    SetRank,
    SetRoom,
)
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Room, User

_PAGE = 100
#: Bytes of a page of rooms, and of a row of it without its topic, at most.
_BUDGET, _ROW = 48 * 1024, 96


class RoomService:
    """Rooms that people make; direct messages and standing rooms are not made, entered or left."""

    def __init__(self, rooms: Rooms, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._rooms = rooms
        self._roster = roster
        self._clock = clock
        self._policy = policy

    @handles(Create)
    async def create(self, actor: Actor, pdu: Create) -> Effects:
        room = _made_by_people(pdu.room)
        cid, now = self._clock.random(16), self._clock.now()
        topic, policy = pdu.topic or "", pdu.policy or 0
        exclusive = self._policy.exclusive_groups
        entered = await self._rooms.create(
            room, actor.name, topic=topic, policy=policy, exclusive=exclusive, cid=cid, at=now
        )
        return self._entered(actor, entered)

    @handles(Join)
    async def join(self, actor: Actor, pdu: Join) -> Effects:
        room = _made_by_people(pdu.room)
        make = (pdu.policy or 0) if pdu.create else None
        cid, now = self._clock.random(16), self._clock.now()
        entered = await self._rooms.join(
            room,
            actor.name,
            make=make,
            member=bool(pdu.member),
            secret=pdu.secret,
            operator=self._is_operator(actor.name),
            exclusive=self._policy.exclusive_groups,
            cid=cid,
            at=now,
        )
        return self._entered(actor, entered)

    @handles(Leave)
    async def leave(self, actor: Actor, pdu: Leave) -> Effects:
        cid, now = self._clock.random(16), self._clock.now()
        stored = await self._rooms.leave(Room(pdu.room), actor.name, cid=cid, at=now)
        return [Reply(Ok()), _told(stored, but=actor.session)] if stored is not None else [Reply(Ok())]

    @handles(SetRoom)
    async def change(self, actor: Actor, pdu: SetRoom) -> Effects:
        room, operator = _governed(pdu.room), self._is_operator(actor.name)
        cid, now = self._clock.random(16), self._clock.now()
        stored = await self._rooms.change(
            room,
            actor.name,
            topic=pdu.topic,
            policy=pdu.policy,
            secret=pdu.secret,
            operator=operator,
            cid=cid,
            at=now,
        )
        return [_told(stored), Reply(Ok())] if stored is not None else [Reply(Ok())]

    @handles(Invite)
    async def invite(self, actor: Actor, pdu: Invite) -> Effects:
        room, user, operator = _governed(pdu.room), User(pdu.user), self._is_operator(actor.name)
        if not await self._rooms.invite(room, user, actor.name, operator=operator, at=self._clock.now()):
            return [Reply(Ok())]
        return [Reply(Ok()), Deliver(Invite(room=room, user=actor.name), OfUsers(frozenset({user})))]

    @handles(Arrived)
    async def arrived(self, actor: Actor, pdu: Arrived) -> Effects:
        """Invitations wait until they are used; version 1 knows none."""
        if actor.version == 1:
            return []
        return [Reply(Invite(room=each.room, user=each.by)) for each in await self._rooms.invitations(actor.name)]

    @handles(Kick)
    async def kick(self, actor: Actor, pdu: Kick) -> Effects:
        return await self._put_out(actor, pdu, ban=bool(pdu.ban))

    @handles(SetRank)
    async def rank(self, actor: Actor, pdu: SetRank) -> Effects:
        if pdu.rank is Rank.OUTCAST:
            return await self._put_out(actor, Kick(room=pdu.room, user=pdu.user), ban=True)
        room, user, operator = _governed(pdu.room), self._touchable(pdu.user), self._is_operator(actor.name)
        cid, now = self._clock.random(16), self._clock.now()
        stored = await self._rooms.set_rank(room, user, actor.name, pdu.rank, operator=operator, cid=cid, at=now)
        return [_told(stored), Reply(Ok())] if stored is not None else [Reply(Ok())]

    @handles(ListRooms)
    async def listed(self, actor: Actor, pdu: ListRooms) -> Effects:
        limit = pdu.limit or _PAGE
        after = None if pdu.after is None else Room(pdu.after)
        operator = self._is_operator(actor.name)
        found = await self._rooms.listed(actor.name, after=after, limit=limit + 1, operator=operator)
        fitting = _fitting(found[:limit])
        rows = tuple((each.room, each.members, each.topic, each.joined) for each in fitting)
        return [Reply(RoomList(rooms=rows, more=len(found) > len(rows)))]

    @handles(ListMembers)
    async def members(self, actor: Actor, pdu: ListMembers) -> Effects:
        limit = pdu.limit or _PAGE
        after = None if pdu.after is None else User(pdu.after)
        found = await self._rooms.members(Room(pdu.room), actor.name, after=after, limit=limit + 1)
        rows = tuple(
            (user, self._roster.standing(user).show is not Show.OFFLINE, self._shown(user, rank))
            for user, rank in list(found.items())[:limit]
        )
        return [Reply(MemberList(room=pdu.room, members=rows, more=len(found) > limit))]

    def _entered(self, actor: Actor, entered: Entered) -> Effects:
        """No question is asked after the store's answer: what it wrote next could be told before this.

        Of a JOIN and the LEAVE that undoes it, the later one must be told last, or who is out goes on hearing.
        """
        state = Reply(self._state(entered.info, actor.name))
        return [state] if entered.stored is None else [state, _told(entered.stored, but=actor.session)]

    def _state(self, info: RoomInfo, user: User) -> RoomState:
        return RoomState(
            room=info.room,
            topic=info.topic,
            epoch=info.epoch,
            first=info.first,
            head=info.head,
            read=info.read,
            unread=info.unread,
            mentions=info.mentions,
            members=info.members,
            policy=info.policy,
            rank=self._shown(user, info.rank),
        )

    async def _put_out(self, actor: Actor, pdu: Kick, *, ban: bool) -> Effects:
        room, user, operator = _governed(pdu.room), self._touchable(pdu.user), self._is_operator(actor.name)
        cid, now = self._clock.random(16), self._clock.now()
        events = await self._rooms.kick(
            room, user, actor.name, reason=pdu.reason or "", ban=ban, operator=operator, cid=cid, at=now
        )
        return [*map(_told, events), Reply(Ok())]

    def _is_operator(self, user: User) -> bool:
        return user in self._policy.operators

    def _shown(self, user: User, rank: Rank) -> Rank:
        """A rank as it is told: operators appear as owners of every room."""
        return Rank.OWNER if self._is_operator(user) else rank

    def _touchable(self, name: str) -> User:
        user = User(name)
        if self._is_operator(user):
            raise Refused(Code.FORBIDDEN, "Nobody ranks above an operator.")
        return user


def _fitting(rooms: Sequence[Listed]) -> Sequence[Listed]:
    """As many rooms as fit a frame of the default limit, topics included."""
    sizes = accumulate(_ROW + len(each.topic.encode()) for each in rooms)
    return [each for each, size in zip(rooms, sizes, strict=True) if size <= _BUDGET]


def _made_by_people(name: str) -> Room:
    room = Room(name)
    if model.is_standing(room) or room.startswith("@"):
        raise Refused(Code.FORBIDDEN, "This room is not made, entered or left.")
    return room


def _governed(name: str) -> Room:
    room = Room(name)
    if not model.is_governed(room):
        raise Refused(Code.FORBIDDEN, "Nobody ranks in this room.")
    return room


def _told(stored: Stored, *, but: SessionId | None = None) -> Deliver:
    """The event, for all in the room; but not for a session whose answer tells it."""
    message = stored.message
    room = frozenset({Room(message.room)})
    return Deliver(message, InRooms(room), older=rules.in_version_1(message), but=but)
