"""Rooms and who is there: entering, leaving, listing, and being heard of. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.client import room as rooms
from quicchat.client.room import Room
from quicchat.client.session import Session
from quicchat.wire.chapters.messages import PAGE, ListTargets, Message, ReceiptList, TargetList, Window
from quicchat.wire.chapters.presence import PresenceSet, Show
from quicchat.wire.chapters.rooms import (
    ENCRYPTED,
    EPHEMERAL,
    Create,
    Join,
    Leave,
    ListRooms,
    Rank,
    RoomList,
    RoomState,
)
from quicchat.wire.chapters.session import Echo, Ok

Target = tuple[str, int, int, int, int, int]


class Places:
    """What `Chat` offers of rooms and people. All of it raises Refused where the server says no."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(
        self, room: str, *, topic: str | None = None, ephemeral: bool = False, policy: int | None = None
    ) -> RoomState:
        """Make a room and enter it. Raises Refused(ROOM_EXISTS)."""
        policy = EPHEMERAL | (policy or 0) if ephemeral else policy
        made = await self._session.requests.ask(Create(room=room, topic=topic, policy=policy), RoomState)
        if (policy or 0) & ENCRYPTED:
            # Whatever the server says that it made of it.
            self._session.provider.pin(room)
        return made

    async def join(
        self,
        room: str,
        secret: str | None = None,
        *,
        create: bool = False,
        ephemeral: bool = False,
        policy: int | None = None,
    ) -> RoomState:
        """Enter a room, making it where `create` says so. Raises Refused(NO_SUCH_ROOM), (FORBIDDEN), (BANNED)."""
        policy = EPHEMERAL | (policy or 0) if create and ephemeral else policy
        ask = Join(room=room, create=create or None, secret=secret, policy=policy)
        return await self._session.requests.ask(ask, RoomState)

    async def leave(self, room: str) -> None:
        """Leave a room. Raises Refused(NOT_MEMBER)."""
        await self._session.requests.ask(Leave(room=room), Ok)
        self._session.leave(room)

    async def rooms(self) -> Sequence[tuple[str, int, str, bool]]:
        """All rooms by name: (room, members, topic, whether we are in)."""
        found: list[tuple[str, int, str, bool]] = []
        while True:
            after = found[-1][0] if found else None
            page = await self._session.requests.ask(ListRooms(after=after), RoomList, aside=True)
            found += page.rooms
            if not page.more:
                return found

    async def targets(self) -> Sequence[Target]:
        """One's conversations by name: (room, epoch, head, read, unread, mentions)."""
        found: list[Target] = []
        while True:
            after = found[-1][0] if found else None
            page = await self._session.requests.ask(ListTargets(after=after, limit=PAGE), TargetList, aside=True)
            found += page.targets
            if not page.more:
                return found

    def room(self, name: str) -> Room:
        """One room, or the direct messages with one user, and what can be done there."""
        return Room(self._session, name)

    async def members(self, room: str) -> Sequence[tuple[str, bool, Rank]]:
        """As `Room.members`."""
        return await self.room(room).members()

    async def history(
        self, room: str, *, window: Window = Window.LATEST, anchor: int | None = None, limit: int = 50
    ) -> Sequence[Message]:
        """As `Room.history`."""
        return await self.room(room).history(window=window, anchor=anchor, limit=limit)

    async def receipts(self, room: str) -> ReceiptList:
        """As `Room.receipts`."""
        return await self.room(room).receipts()

    async def search(self, words: str, room: str | None = None, limit: int = 50) -> Sequence[Message]:
        """Messages with all of these words, newest first, in one room or all of one's rooms."""
        return await rooms.search(self._session, words, room, limit)

    async def set_room(
        self, room: str, topic: str | None = None, policy: int | None = None, secret: str | None = None
    ) -> None:
        """As `Room.set`."""
        await self.room(room).set(topic, policy, secret)

    async def invite(self, room: str, user: str) -> None:
        """As `Room.invite`."""
        await self.room(room).invite(user)

    async def kick(self, room: str, user: str, reason: str | None = None, ban: bool = False) -> None:
        """As `Room.kick`."""
        await self.room(room).kick(user, reason, ban)

    async def set_rank(self, room: str, user: str, rank: Rank) -> None:
        """As `Room.rank`."""
        await self.room(room).rank(user, rank)

    def typing(self, room: str, on: bool = True) -> None:
        """As `Room.typing`."""
        self.room(room).typing(on)

    def mark_read(self, room: str, seq: int | None = None) -> None:
        """As `Room.mark_read`."""
        self.room(room).mark_read(seq)

    def active(self) -> None:
        """The user did something: the others may know that he is at his keyboard, told once a minute."""
        self._session.whispers.active()

    async def show(self, show: Show, status: str | None = None) -> None:
        """Tell the others how available one is."""
        await self._session.requests.ask(PresenceSet(show=show, status=status), Ok)
        self._session.appear(show, status)

    async def hold(self, on: bool) -> None:
        """Be away: hear nothing of any room until this is undone; what was missed is fetched then."""
        show = Show.OFFLINE if on else Show.ONLINE
        await self._session.requests.ask(PresenceSet(show=show, hold=on), Ok)
        self._session.appear(show)

    async def echo(self, text: str) -> str:
        """What the server sends back: the same text."""
        return (await self._session.requests.ask(Echo(data=text), Echo)).data
