"""The router: which sessions hear a room or a user, and one encoding for all of them. (ARCHITECTURE)

Membership follows the log: a JOIN that is delivered makes the user's sessions hear the room, a LEAVE is the
last they hear of it. Direct messages and announcements need no entry: the room's name tells who hears them.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from quicchat.errors import Code
from quicchat.server.effects import Audience, Deliver, OfUsers
from quicchat.server.journal import Journal
from quicchat.server.model import SessionId
from quicchat.wire import codec, frame
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.digest import digest
from quicchat.wire.names import ANNOUNCEMENTS, Device, Room, User, parties
from quicchat.wire.registry import Pdu, Via

#: Pushes in one loop turn: about 20 ms, so that a burst in a large room holds up nobody for longer.
TURN: Final = 2_000


class Listener(Protocol):
    """What the router needs of a session."""

    id: SessionId
    version: int
    device: Device
    #: Done when the session is over.
    over: Future[None]

    def push(self, pdu: Pdu, encoded: bytes) -> None:
        """Take one PDU, already encoded for `version`: a frame, or the datagram where it travels as one."""

    def left(self, room: Room, last: Message | None) -> None:
        """The session hears a room no more; `last` is the LEAVE that it was to be pushed, if it was."""

    def close(self, code: Code, reason: str = "") -> None:
        """End the session, telling it why."""

    def drain(self, reason: str) -> None:
        """Announce that the server is about to stop, and end the session when it has its answers."""


class Router:
    """Sessions by user and by room, in the order in which they came.

    With `soon`, which calls back in the next loop turn, one turn makes about `TURN` pushes at most; what is beyond
    waits, and everything behind it, so that the order stays.
    """

    def __init__(self, soon: Callable[[Callable[[], None]], object] | None = None) -> None:
        self._soon = soon
        self._waiting: deque[Deliver] = deque()
        self._spent = 0
        self._by_id: dict[SessionId, Listener] = {}
        self._by_user: dict[User, dict[Listener, None]] = {}
        self._by_room: dict[Room, dict[Listener, None]] = {}
        self._rooms: dict[Listener, set[Room]] = {}
        self._users: dict[Listener, User] = {}
        #: Of every room that somebody hears, as far as known: epoch and head.
        self._heads: dict[Room, tuple[int, int]] = {}
        self._journal = Journal()

    def add(self, listener: Listener) -> None:
        """A session began; it hears nothing before it is admitted."""
        self._by_id[listener.id] = listener

    def __iter__(self) -> Iterator[Listener]:
        return iter(list(self._by_id.values()))

    def mark(self) -> int:
        """Now: what is delivered from here on can be heard by who is admitted later."""
        return self._journal.mark()

    def admit(
        self,
        listener: Listener,
        user: User,
        rooms: Iterable[Room],
        *,
        heads: Mapping[Room, tuple[int, int]] | None = None,
        since: int | None = None,
    ) -> bool:
        """From now on the listener is this user's, and hears these rooms; unless it has ended meanwhile.

        What was delivered after the mark `since` it hears at once, perhaps for the second time. False where that
        is not remembered: then nothing has changed.
        """
        if listener.id not in self._by_id:
            return True
        missed = [] if since is None else self._journal.since(since)
        if missed is None:
            return False
        self._users[listener] = user
        self._rooms[listener] = set()
        self._by_user.setdefault(user, {})[listener] = None
        for room in rooms:
            self._enter(listener, room)
        for room, place in (heads or {}).items():
            self._advance(room, place)
        for effect in missed:
            self._deliver(effect, only=listener)
        return True

    def hears(self, listener: Listener, room: Room) -> bool:
        """Whether what is said in a room reaches this listener."""
        both = parties(room)
        if both is not None:
            return self._users.get(listener) in both
        return room in self._rooms.get(listener, ())

    def head(self, room: Room) -> int | None:
        """The last place of a room that somebody hears; None where it is not known."""
        return self._heads[room][1] if room in self._heads else None

    def digest(self, listener: Listener) -> bytes | None:
        """The digest of the heads of all that a listener hears; None while one of them is not known."""
        rooms = self._rooms.get(listener, ())
        if any(room not in self._heads for room in rooms):
            return None
        return digest((room, *self._heads[room]) for room in rooms)

    def remove(self, listener: Listener) -> None:
        """The session is over."""
        self._by_id.pop(listener.id, None)
        user = self._users.pop(listener, None)
        if user is None:
            return
        for room in list(self._rooms[listener]):
            self._exit(listener, room)
        del self._rooms[listener]
        del self._by_user[user][listener]
        if not self._by_user[user]:
            del self._by_user[user]

    def close(self, session: SessionId, code: Code, reason: str) -> None:
        """End a session, if it is still there."""
        if (listener := self._by_id.get(session)) is not None:
            listener.close(code, reason)

    def deliver(self, effect: Deliver) -> None:
        """Push to everybody concerned; each protocol version is encoded once, when somebody needs it."""
        self._journal.add(effect)
        if self._soon is None:
            self._deliver(effect)
            return
        if not self._spent:
            self._soon(self._turn)
        self._waiting.append(effect)
        self._spread()

    def _turn(self) -> None:
        """Another loop turn."""
        self._spent = 0
        if self._waiting and self._soon is not None:
            self._soon(self._turn)
            self._spread()

    def _spread(self) -> None:
        while self._waiting and self._spent < TURN:
            self._spent += 1 + self._deliver(self._waiting.popleft())

    def _deliver(self, effect: Deliver, only: Listener | None = None) -> int:
        """Push to everybody concerned, or to one listener if he is concerned; to how many."""
        event = effect.pdu if isinstance(effect.pdu, Message) else None
        if event is not None:
            self._follow(event, only)
        versions: dict[int, tuple[Pdu, bytes] | None] = {}
        if only is None:
            audience = list(self._audience(effect.to))
        else:
            audience = [only] if self._concerns(effect.to, only) else []
        for listener in audience:
            if listener.id == effect.but:
                continue
            version = listener.version
            own = effect.own.get((self._users[listener], listener.device)) if effect.own and version > 1 else None
            if own is not None:
                listener.push(own, frame.wrap(codec.encode(own, version=version)))
                continue
            if version not in versions:
                versions[version] = _encoded(effect, version)
            if (encoded := versions[version]) is not None:
                listener.push(*encoded)
        if event is not None and event.kind is Kind.LEAVE:
            for listener in list(self._sessions(User(event.sender), only)):
                self._exit(listener, Room(event.room))
                listener.left(Room(event.room), None if listener.id == effect.but else event)
        return len(audience)

    def _follow(self, event: Message, only: Listener | None) -> None:
        """Who hears a room, and how far it has come, follow from what is delivered there."""
        room = Room(event.room)
        if event.kind is Kind.JOIN or (event.kind is Kind.LEAVE and only is not None):
            # Who is admitted later than his LEAVE is no member any more, and has to hear of it all the same.
            for listener in self._sessions(User(event.sender), only):
                self._enter(listener, room)
        elif room[0] == "@":
            # A conversation of two begins with its first message.
            for user in parties(room) or ():
                for listener in self._sessions(user, only):
                    self._enter(listener, room)
        self._advance(room, (event.epoch or 1, event.seq))

    def _sessions(self, user: User, only: Listener | None) -> Iterable[Listener]:
        if only is not None:
            return (only,) if self._users.get(only) == user else ()
        return self._by_user.get(user, ())

    def _advance(self, room: Room, place: tuple[int, int]) -> None:
        if room in self._by_room and place > self._heads.get(room, (0, 0)):
            self._heads[room] = place

    def _audience(self, to: Audience) -> Iterator[Listener]:
        if isinstance(to, OfUsers):
            for user in sorted(to.users):
                yield from self._by_user.get(user, ())
        elif len(to.rooms) == 1:
            yield from self._hearers(next(iter(to.rooms)))
        else:
            yield from dict.fromkeys(listener for room in sorted(to.rooms) for listener in self._hearers(room))

    def _concerns(self, to: Audience, listener: Listener) -> bool:
        """Whether a listener is one of the audience, without looking at all the others."""
        if isinstance(to, OfUsers):
            return self._users.get(listener) in to.users
        return any(room == ANNOUNCEMENTS or self.hears(listener, room) for room in to.rooms)

    def _hearers(self, room: Room) -> Iterable[Listener]:
        if room == ANNOUNCEMENTS:
            return self._users
        both = parties(room)
        if both is None:
            return self._by_room.get(room, ())
        return [listener for user in sorted(both) for listener in self._by_user.get(user, ())]

    def _enter(self, listener: Listener, room: Room) -> None:
        self._by_room.setdefault(room, {})[listener] = None
        self._rooms[listener].add(room)

    def _exit(self, listener: Listener, room: Room) -> None:
        self._rooms[listener].discard(room)
        hearers = self._by_room.get(room, {})
        hearers.pop(listener, None)
        if not hearers:
            self._by_room.pop(room, None)
            self._heads.pop(room, None)


def _encoded(effect: Deliver, version: int) -> tuple[Pdu, bytes] | None:
    pdu = effect.pdu if version > 1 else effect.older
    if pdu is None:
        return None
    payload = codec.encode(pdu, version=version)
    return pdu, payload if pdu.SPEC.via is Via.DATAGRAM else frame.wrap(payload)
