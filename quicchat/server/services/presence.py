"""Presence: who came, went or changed, told to those who share a room with him. (spec 07-presence)"""

from __future__ import annotations

from quicchat.errors import Refused
from quicchat.server.effects import Arrived, Deliver, Departed, Effect, Effects, Hold, InRooms, Reply
from quicchat.server.handler import handles
from quicchat.server.model import PRESENCE_ROOM, Actor, Policy, SessionId
from quicchat.server.ports import Clock, Rooms, Roster
from quicchat.values import dataclass
from quicchat.wire.chapters.presence import Presence, PresenceSet, PresenceSnapshot, Show, Tick, Typing
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Room, User

_ROWS = 512
#: How long it is believed that a session may be heard in a room, and how many rooms are remembered of each, in ms.
_BELIEVED, _ROOMS = 5_000, 64
#: The least time between two TYPING of a session in a room, and between two TICK of a user, that are passed on, in ms.
_TYPING_EVERY, _TICK_EVERY = 250, 10_000


@dataclass(slots=True)
class _Voice:
    """What a session may do in a room as somebody who types, and what he did last."""

    until: int
    heard: bool
    told: int = 0
    typing: bool = False


class PresenceService:
    """Keeps the roster and tells of its changes; nothing here is ever stored."""

    def __init__(self, rooms: Rooms, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._rooms = rooms
        self._roster = roster
        self._clock = clock
        self._policy = policy
        self._voices: dict[SessionId, dict[Room, _Voice]] = {}
        self._ticked: dict[User, int] = {}

    @handles(Arrived)
    async def arrived(self, actor: Actor, pdu: Arrived) -> Effects:
        before = self._roster.standing(actor.name).show
        self._roster.arrive(actor, at=self._clock.now())
        told: list[Effect] = []
        if self._roster.standing(actor.name).show is not before:
            told = [self._changed(actor, await self._rooms.audible(actor.name))]
        # The snapshot last: whoever comes while something is waited for is told of before it, and stands in it.
        return [Reply(await self._snapshot(actor)), *told]

    @handles(Departed)
    async def departed(self, actor: Actor, pdu: Departed) -> Effects:
        self._voices.pop(actor.session, None)
        if actor.user is None:
            return []
        before = self._roster.standing(actor.user).show
        self._roster.depart(actor.session)
        if not self._roster.sessions(actor.user):
            self._ticked.pop(actor.user, None)
        if self._roster.standing(actor.user).show is before:
            return []
        return [self._changed(actor, await self._rooms.audible(actor.user), pdu.reason)]

    @handles(PresenceSet)
    async def set(self, actor: Actor, pdu: PresenceSet) -> Effects:
        audible = await self._rooms.audible(actor.name)
        now = self._clock.now()
        effects: list[Effect] = [Reply(Ok())]
        if pdu.hold is not None and self._roster.hold(actor.session, pdu.hold, at=now):
            effects.append(Hold(pdu.hold))
        if not (pdu.hold and pdu.show is Show.OFFLINE):
            # Who only holds this session says nothing of his others.
            self._roster.set(actor.name, pdu.show, pdu.status, at=now)
        return [*effects, self._changed(actor, audible)]

    @handles(Typing)
    async def typing(self, actor: Actor, pdu: Typing) -> Effects:
        room, now = Room(pdu.room), self._clock.now()
        voice = await self._voice(actor, room, now)
        stops = pdu.ttl == 0
        if not voice.heard or (not voice.typing if stops else now < voice.told + _TYPING_EVERY):
            return []
        voice.told, voice.typing = now, not stops
        told = Typing(room=room, user=actor.name, counter=pdu.counter, ttl=pdu.ttl)
        return [Deliver(told, InRooms(frozenset({room})), but=actor.session)]

    @handles(Tick)
    async def tick(self, actor: Actor, pdu: Tick) -> Effects:
        now = self._clock.now()
        if self._roster.standing(actor.name).show is Show.OFFLINE:
            return []
        if now < self._ticked.get(actor.name, -_TICK_EVERY) + _TICK_EVERY:
            return []
        self._ticked[actor.name] = now
        try:
            audible = await self._rooms.audible(actor.name)
        except Refused:  # nobody waits for an answer
            return []
        return [Deliver(Tick(user=actor.name, counter=pdu.counter, ttl=pdu.ttl), InRooms(audible), but=actor.session)]

    async def _voice(self, actor: Actor, room: Room, now: int) -> _Voice:
        """What is known of a session in a room, asked anew when it is no longer believed."""
        voices = self._voices.setdefault(actor.session, {})
        voice = voices.get(room)
        if voice is not None and now < voice.until:
            return voice
        if len(voices) >= _ROOMS:
            voices.clear()
        try:
            heard = (await self._rooms.info(room, actor.name)).members <= PRESENCE_ROOM
        except Refused:  # no member of it, or nobody knows: a datagram is not answered
            heard = False
        before = voices.get(room, _Voice(0, False))
        voices[room] = _Voice(now + _BELIEVED, heard, before.told, before.typing)
        return voices[room]

    def _changed(self, actor: Actor, audible: frozenset[Room], reason: str | None = None) -> Deliver:
        standing = self._roster.standing(actor.name)
        told = Presence(
            user=actor.name,
            show=standing.show,
            status=standing.status,
            since=standing.since or self._clock.now(),
            address=standing.address if self._policy.show_addresses else None,
            reason=reason or None,
        )
        return Deliver(told, InRooms(audible), but=actor.session)

    async def _snapshot(self, actor: Actor) -> PresenceSnapshot:
        """All who share a room that is small enough to hear of each other; of too many, those who are here."""
        seen = {actor.name: 0, **await self._rooms.neighbours(actor.name)}
        urgent = sorted(seen, key=lambda user: (user != actor.name, not self._roster.present(user), user))
        users = sorted(urgent[:_ROWS])
        return PresenceSnapshot(
            users=tuple(self._row(user) for user in users),
            standings=tuple(self._standing(user, seen[user]) for user in users),
        )

    def _row(self, user: User) -> tuple[str, bool, str]:
        standing = self._roster.standing(user)
        address = standing.address if self._policy.show_addresses else None
        return user, standing.show is not Show.OFFLINE, address or ""

    def _standing(self, user: User, seen: int) -> tuple[Show, int]:
        standing = self._roster.standing(user)
        return standing.show, standing.since or seen
