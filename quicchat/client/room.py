"""One room, or direct messages with one user: what can be done there. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.client.e2ee.provider import read
from quicchat.client.session import Session
from quicchat.wire import codec
from quicchat.wire.chapters.messages import (
    Found,
    History,
    HistoryPage,
    ListReceipts,
    Message,
    ReceiptList,
    Search,
    Window,
)
from quicchat.wire.chapters.rooms import ENCRYPTED, Invite, Kick, ListMembers, MemberList, Rank, SetRank, SetRoom
from quicchat.wire.chapters.session import Ok


class Room:
    """What `Chat.room(name)` offers. All of it raises Refused where the server says no."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self.name = name

    async def set(self, topic: str | None = None, policy: int | None = None, secret: str | None = None) -> None:
        """Change the room; what is None stays."""
        await self._session.requests.ask(SetRoom(room=self.name, topic=topic, policy=policy, secret=secret), Ok)
        if (policy or 0) & ENCRYPTED:
            self._session.provider.pin(self.name)

    async def invite(self, user: str) -> None:
        """Let somebody in."""
        await self._session.requests.ask(Invite(room=self.name, user=user), Ok)

    async def kick(self, user: str, reason: str | None = None, ban: bool = False) -> None:
        """Put somebody out, with `ban` for good."""
        await self._session.requests.ask(Kick(room=self.name, user=user, reason=reason, ban=ban or None), Ok)

    async def rank(self, user: str, rank: Rank) -> None:
        """Change what somebody may do here."""
        await self._session.requests.ask(SetRank(room=self.name, user=user, rank=rank), Ok)

    async def members(self) -> Sequence[tuple[str, bool, Rank]]:
        """The members by name: (user, whether online, rank)."""
        found: list[tuple[str, bool, Rank]] = []
        while True:
            ask = ListMembers(room=self.name, after=found[-1][0] if found else None)
            page = await self._session.requests.ask(ask, MemberList, aside=True)
            found += page.members
            if not page.more:
                return found

    async def history(
        self,
        *,
        window: Window = Window.LATEST,
        anchor: int | None = None,
        limit: int = 50,
        until: int | None = None,
    ) -> Sequence[Message]:
        """A page of the log, ascending; it does not move what this device has."""
        ask = History(room=self.name, window=window, anchor=anchor, limit=limit, until=until)
        page = await self._session.requests.ask(ask, HistoryPage, aside=True)
        events = [codec.decode_body(Message, body, version=2) for body in page.events]
        return await read(self._session.provider, events)

    async def search(self, words: str, limit: int = 50) -> Sequence[Message]:
        """Messages with all of these words, newest first."""
        return await search(self._session, words, self.name, limit)

    async def receipts(self) -> ReceiptList:
        """How far the others have come."""
        return await self._session.requests.ask(ListReceipts(room=self.name), ReceiptList, aside=True)

    def typing(self, on: bool = True) -> None:
        """Tell that the user is writing, until it is said that he is not; may be lost."""
        self._session.whispers.typing(self.name, on)

    def mark_read(self, seq: int | None = None) -> None:
        """The user has read everything up to a place, or all that this device holds."""
        self._session.read(self.name, seq)


async def search(session: Session, words: str, room: str | None = None, limit: int = 50) -> Sequence[Message]:
    """Messages with all of these words that the server finds, newest first, page by page. Raises Refused.

    Of a conversation that is encrypted it is not asked: the words would tell it what is said there. There
    `Past.search_here` finds.
    """
    if room is not None and session.provider.standing(room).state != "plain":
        return []
    found: list[Message] = []
    after: bytes | None = None
    while len(found) < limit:
        ask = Search(words=words, room=room, after=after, limit=min(200, limit - len(found)))
        page = await session.requests.ask(ask, Found, aside=True)
        events = [codec.decode_body(Message, body, version=2) for body in page.events]
        found += await read(session.provider, events)
        after = page.next
        if after is None or not page.events:
            break
    return found
