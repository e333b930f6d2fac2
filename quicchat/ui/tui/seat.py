"""What the screen asks of the library for the one who sits at it: older messages, members, drafts. (spec 12-operation)

All that asks raises Refused, LinkLost, LocalProtocolError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from quicchat.client.state import Person
from quicchat.errors import LinkLost, Refused
from quicchat.ui.book import Book
from quicchat.ui.desk import Desk
from quicchat.ui.outcomes import Heard
from quicchat.ui.tui.hand import Hand
from quicchat.ui.tui.members import Member, without_list
from quicchat.ui.tui.switcher import Goal
from quicchat.wire.chapters.messages import PAGE, Message, Window

#: Events to a page that is scrolled to, and pages that are loaded to get to one message.
_PAGE: Final = 100
_PAGES: Final = 10
#: Messages around one that is too far away to load all between.
_AROUND: Final = 60
#: Seconds for each member that a list of members is good, although somebody came or went.
_REST: Final = 0.01


class Seat:
    """At this desk; older messages go into the book."""

    def __init__(self, desk: Desk, book: Book) -> None:
        self.desk = desk
        self.hand = Hand(desk)
        self._book = book
        #: The rooms of which something was loaded, and those that are being loaded.
        self._begun: set[str] = set()
        self._loading: set[str] = set()
        #: Who is in a room, and when that was asked (seconds).
        self._members: dict[str, Sequence[Member]] = {}
        self._mustered: dict[str, float] = {}
        #: Of the room that has no list: which, who was known then, and who may be there.
        self._guessed: tuple[str, Mapping[str, Person], Sequence[Member]] = ("", {}, ())
        self._drafts: dict[str, str] = {}

    # Messages

    def is_loading(self, room: str) -> bool:
        """Whether older ones are on their way."""
        return room in self._loading

    def begun(self, room: str) -> bool:
        """Whether something was loaded of it."""
        return room in self._begun

    async def older(self, room: str, limit: int = _PAGE) -> bool:
        """Load one page more; False where there is none, or one is being loaded already."""
        view = self.desk.chat.state.rooms.get(room)
        if room in self._loading or not self._book.page(room).more or view is None:
            return False  # a conversation that nobody has begun has no log
        self._loading.add(room)
        try:
            before = self._book.oldest(room)
            events = await self.desk.chat.past(room, before, limit)
        except Refused:
            self._begun.add(room)  # once is enough to be told so
            raise
        finally:
            self._loading.discard(room)
        if before is not None and self._book.oldest(room) != before:
            return False  # the book let go of what these would stand before
        if not events and before is None and view.head:
            return False  # what was said is still to come; what was said before that is found then
        self._begun.add(room)
        self._book.past(room, self.desk.heard(events), more=bool(events) and events[0].seq > 1)
        return bool(events)

    async def reach(self, room: str, seq: int) -> bool:
        """Load until a place is in the book; False where that is too far."""
        for _ in range(_PAGES):
            oldest = self._book.oldest(room)
            if (oldest is not None and oldest <= seq) or not await self.older(room, PAGE):
                break
        return any(row.seq == seq for row in self._book.page(room).rows)

    async def around(self, room: str, seq: int) -> list[Heard]:
        """What was said around a place."""
        events = await self.desk.chat.history(room, window=Window.AROUND, anchor=seq, limit=_AROUND)
        return self.desk.heard(events)

    async def search(self, words: str, room: str | None, limit: int, *, online: bool) -> Sequence[Message]:
        """Messages with all of these words, newest first; without a connection, those that this device keeps."""
        if online and self.desk.chat.version > 1:
            return await self.desk.search(words, room, limit)
        return await self.desk.chat.search_here(words, room, limit)

    # People and places

    def may_muster(self, room: str) -> bool:
        """Whether its members may be asked for again: a crowd comes and goes all the time, and its list is long."""
        rest = _REST * len(self._members.get(room, ()))
        return asyncio.get_running_loop().time() >= self._mustered.get(room, 0.0) + rest

    async def muster(self, room: str) -> None:
        """Have the members of a room told."""
        chat = self.desk.chat
        if chat.version < 2 or room[:1] in ("", "@", "*"):
            return
        self._mustered[room] = asyncio.get_running_loop().time()
        try:
            self._members[room] = await chat.members(room)
        except Refused:
            self._members.pop(room, None)
        except LinkLost:
            """It is asked again on the next connection."""

    def members(self, room: str) -> Sequence[Member]:
        """Who is in a room, as far as it is known."""
        if (found := self._members.get(room)) is not None:
            return found
        state = self.desk.chat.state
        known, people, found = self._guessed
        if known != room or people is not state.people:
            found = without_list(room, state.user, state.people)
            self._guessed = (room, state.people, found)
        return found

    async def strangers(self, hear: Callable[[Sequence[Goal]], None]) -> None:
        """Tell of the rooms in which one is not."""
        if self.desk.chat.version < 2:
            return
        rooms = await self.desk.chat.rooms()
        hear(
            [Goal(room, f"{count} in it  {topic}", f"/join {room}") for room, count, topic, is_in in rooms if not is_in]
        )

    # What was not said yet

    def draft(self, room: str) -> str:
        """What was typed in a room and not submitted, in this run or an earlier one."""
        kept = self.desk.chat.preferences.get(f"draft:{room}", "")
        return self._drafts.get(room, kept)

    async def keep(self, room: str, draft: str) -> None:
        """Keep what was typed in a room; half a command, which may be a secret, not longer than this run."""
        if draft != self.draft(room):
            self._drafts[room] = draft
            await self.desk.chat.prefer(f"draft:{room}", draft if draft and not draft.startswith("/") else None)
