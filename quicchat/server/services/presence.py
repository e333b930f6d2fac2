"""Presence: who came, went or changed, told to those who share a room with him. (spec 07-presence)"""

from __future__ import annotations

from quicchat.server.effects import Arrived, Deliver, Departed, Effect, Effects, InRooms, Reply
from quicchat.server.handler import handles
from quicchat.server.model import PRESENCE_ROOM, Actor, Policy
from quicchat.server.ports import Clock, Rooms, Roster
from quicchat.wire.chapters.presence import Presence, PresenceSet, PresenceSnapshot, Show
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import User

_ROWS = 512


class PresenceService:
    """Keeps the roster and tells of its changes; nothing here is ever stored."""

    def __init__(self, rooms: Rooms, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._rooms = rooms
        self._roster = roster
        self._clock = clock
        self._policy = policy

    @handles(Arrived)
    async def arrived(self, actor: Actor, pdu: Arrived) -> Effects:
        first = not self._roster.sessions(actor.name)
        self._roster.arrive(actor, at=self._clock.now())
        effects: list[Effect] = [Reply(await self._snapshot(actor))]
        if first:
            effects.append(await self._changed(actor))
        return effects

    @handles(Departed)
    async def departed(self, actor: Actor, pdu: Departed) -> Effects:
        if actor.user is None or not self._roster.sessions(actor.user):
            return []
        self._roster.depart(actor.session)
        if self._roster.sessions(actor.user):
            return []
        return [await self._changed(actor, pdu.reason)]

    @handles(PresenceSet)
    async def set(self, actor: Actor, pdu: PresenceSet) -> Effects:
        self._roster.set(actor.name, pdu.show, pdu.status, at=self._clock.now())
        return [Reply(Ok()), await self._changed(actor)]

    async def _changed(self, actor: Actor, reason: str | None = None) -> Deliver:
        standing = self._roster.standing(actor.name)
        told = Presence(
            user=actor.name,
            show=standing.show,
            status=standing.status,
            since=standing.since or self._clock.now(),
            address=standing.address if self._policy.show_addresses else None,
            reason=reason or None,
        )
        return Deliver(told, InRooms(await self._rooms.audible(actor.name)), but=actor.session)

    async def _snapshot(self, actor: Actor) -> PresenceSnapshot:
        """All who share a room that is small enough to hear of each other."""
        users: set[User] = {actor.name}
        for room in await self._rooms.audible(actor.name):
            users |= set(await self._rooms.members(room, actor.name, after=None, limit=PRESENCE_ROOM))
        return PresenceSnapshot(users=tuple(self._row(user) for user in sorted(users)[:_ROWS]))

    def _row(self, user: User) -> tuple[str, bool, str]:
        standing = self._roster.standing(user)
        address = standing.address if self._policy.show_addresses else None
        return user, standing.show is not Show.OFFLINE, address or ""
