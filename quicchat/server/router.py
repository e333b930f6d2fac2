"""The router: which sessions hear a room or a user, and one encoding for all of them. (ARCHITECTURE)

Membership follows the log: a JOIN that is delivered makes the user's sessions hear the room, a LEAVE is the
last they hear of it. Direct messages and announcements need no entry: the room's name tells who hears them.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Iterable, Iterator
from typing import Protocol

from quicchat.errors import Code
from quicchat.server.effects import Audience, Deliver, OfUsers
from quicchat.server.model import SessionId
from quicchat.wire import codec, frame
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.names import ANNOUNCEMENTS, Room, User, parties
from quicchat.wire.registry import Pdu


class Listener(Protocol):
    """What the router needs of a session."""

    id: SessionId
    version: int
    #: Done when the session is over.
    over: Future[None]

    def push(self, pdu: Pdu, framed: bytes) -> None:
        """Take one PDU, already encoded for `version`."""

    def close(self, code: Code, reason: str = "") -> None:
        """End the session, telling it why."""

    def drain(self, reason: str) -> None:
        """Announce that the server is about to stop, and end the session when it has its answers."""


class Router:
    """Sessions by user and by room, in the order in which they came."""

    def __init__(self) -> None:
        self._by_id: dict[SessionId, Listener] = {}
        self._by_user: dict[User, dict[Listener, None]] = {}
        self._by_room: dict[Room, dict[Listener, None]] = {}
        self._rooms: dict[Listener, set[Room]] = {}
        self._users: dict[Listener, User] = {}

    def add(self, listener: Listener) -> None:
        """A session began; it hears nothing before it is admitted."""
        self._by_id[listener.id] = listener

    def __iter__(self) -> Iterator[Listener]:
        return iter(list(self._by_id.values()))

    def admit(self, listener: Listener, user: User, rooms: Iterable[Room]) -> None:
        """From now on the listener is this user's, and hears these rooms; unless it has ended meanwhile."""
        if listener.id not in self._by_id:
            return
        self._users[listener] = user
        self._rooms[listener] = set()
        self._by_user.setdefault(user, {})[listener] = None
        for room in rooms:
            self._enter(listener, room)

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
        pdu = effect.pdu
        event = pdu if isinstance(pdu, Message) else None
        if event is not None and event.kind is Kind.JOIN:
            for listener in self._by_user.get(User(event.sender), ()):
                self._enter(listener, Room(event.room))
        versions: dict[int, tuple[Pdu, bytes] | None] = {}
        for listener in list(self._audience(effect.to)):
            if listener.id == effect.but:
                continue
            version = listener.version
            if version not in versions:
                versions[version] = _encoded(effect, version)
            if (encoded := versions[version]) is not None:
                listener.push(*encoded)
        if event is not None and event.kind is Kind.LEAVE:
            for listener in self._by_user.get(User(event.sender), ()):
                self._exit(listener, Room(event.room))

    def _audience(self, to: Audience) -> Iterator[Listener]:
        if isinstance(to, OfUsers):
            for user in to.users:
                yield from self._by_user.get(user, ())
        elif len(to.rooms) == 1:
            yield from self._hearers(next(iter(to.rooms)))
        else:
            yield from dict.fromkeys(listener for room in to.rooms for listener in self._hearers(room))

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


def _encoded(effect: Deliver, version: int) -> tuple[Pdu, bytes] | None:
    pdu = effect.pdu if version > 1 else effect.older
    return None if pdu is None else (pdu, frame.wrap(codec.encode(pdu, version=version)))
