"""Who is in a conversation, and is to read what is said there. (spec 15-keys)"""

from __future__ import annotations

from quicchat.client.requests import Requests
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.rooms import ListMembers, MemberList
from quicchat.wire.names import Room, parties


class Members:
    """Asked for once on each connection, and again when somebody came or went."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}
        #: How often somebody came or went, by room.
        self._moves: dict[str, int] = {}
        self._came: set[tuple[str, str]] = set()

    async def of(self, room: str, requests: Requests) -> frozenset[str]:
        """The users in it. Raises Refused, LinkLost, LocalProtocolError."""
        if (both := parties(Room(room))) is not None:
            return frozenset(both)
        if (known := self._known.get(room)) is not None:
            return known
        before = self._moves.get(room, 0)
        found: set[str] = set()
        after: str | None = None
        while True:
            page = await requests.ask(ListMembers(room=room, after=after), MemberList, aside=True)
            found.update(user for user, *_ in page.members)
            if not page.more or not page.members:
                break
            after = page.members[-1][0]
        if self._moves.get(room, 0) == before:
            self._known[room] = frozenset(found)
        return frozenset(found)

    def heard(self, event: Message) -> bool:
        """An event of a room; whether it says that somebody came or went."""
        if event.kind not in (Kind.JOIN, Kind.LEAVE):
            return False
        (self._came.add if event.kind is Kind.JOIN else self._came.discard)((event.room, event.sender))
        self.forget(event.room)
        return True

    def came(self, room: str, user: str) -> bool:
        """Whether all in a room could see that he came."""
        return (room, user) in self._came

    def is_known(self, room: str) -> bool:
        """Whether the members need not be asked for."""
        return room.startswith("@") or room in self._known

    def forget(self, room: str) -> None:
        """What was known of a room is not true any more."""
        self._moves[room] = self._moves.get(room, 0) + 1
        self._known.pop(room, None)

    def lost(self) -> None:
        """Nobody tells us any more who comes and goes."""
        self._known.clear()
