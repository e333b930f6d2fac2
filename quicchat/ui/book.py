"""What a screen shows of the rooms: their messages as they are now, and where something waits. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from quicchat.client.events import Progress, Reset, Sent
from quicchat.client.state import RoomView, State
from quicchat.client.view import ABOUT
from quicchat.ui.outcomes import Entered, Gone, Heard, Here, Reached, Readable
from quicchat.ui.page import Page, Row, Story, waiting
from quicchat.ui.picking import place_of
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import PAGE, Kind, Message
from quicchat.wire.names import ANNOUNCEMENTS

if TYPE_CHECKING:
    from quicchat.client.memory import Entry

__all__ = ["KEPT", "Book", "Page", "Row", "Tab"]

#: Events that are held of each room that somebody looked at, at least.
KEPT: Final = 200
#: Characters that are held at most; messages that are shorter than the other number need not be weighed.
HEAVY: Final = 8_000_000
LIGHT: Final = 1_600
_STORED: Final = frozenset({Sent.STORED, Sent.DELIVERED, Sent.READ})


@dataclass(frozen=True, slots=True)
class Tab:
    """A conversation to choose: `label` as people call it, `at` when something was last said there (Unix ms)."""

    room: str
    label: str
    direct: bool
    unread: int
    mentions: int
    at: int


class Book:
    """All rooms. It holds at most `limit` events, which makes as many rows, or fewer, and about `HEAVY` characters.

    What is beyond loses nothing: the oldest go first, of the rooms at which nobody looked for the longest time, and
    can be read again (`past`). What is new is counted elsewhere (`State`).
    """

    def __init__(self, limit: int = 5000, outbox: Callable[[], Iterable[Entry]] = tuple) -> None:
        self._limit = limit
        #: What we wrote, with its words: `desk.chat.outbox`.
        self.outbox = outbox
        self._user = ""
        #: The room that a person has before his eyes.
        self._here = ""
        #: Rooms, and those at which somebody looked, the last one last.
        self._stories: dict[str, Story] = {}
        self._looked: dict[str, None] = {}
        self._size = 0
        #: How far our own have come, of as many as rows are held.
        self._marks: dict[bytes, Sent] = {}
        self._pages: dict[str, Page] = {}
        self._version = 0

    # What happens

    def tell(self, item: object, state: State) -> set[str]:
        """Something happened; the rooms whose page looks different now."""
        self._user = state.user
        match item:
            case Heard():
                self._bridge(item.message)
                return self._changed(item.message.room) if self._take(item) else set()
            case Readable(room, events):
                held = [each for each in events if self._story(room).holds(each.message.seq)]
                return self._changed(room) if [each for each in held if self._take(each)] else set()
            case Reached(progress):
                return self._reached(progress, held=item.held)
            case Progress():
                return self._reached(item)
            case Entered():
                for room, view in state.rooms.items():
                    # What is noted from now on stands behind what was said, also where that is read later.
                    self._story(room).head = max(self._story(room).head, view.head)
                waits = [each for each in self.outbox() if each.state < Sent.STORED]
                return {room for each in waits for room in self._wrote(each)}
            case Reset(room):
                self._begin_anew(room)
                return self._changed(room)
            case Here(room):
                self._story(room)
                return self._changed(room)
            case Gone(room):
                self._begin_anew(room)
                del self._stories[room]
                self._looked.pop(room, None)
                return self._changed(room)
        return set()

    def past(self, room: str, events: Sequence[Heard], more: bool) -> None:
        """Older events of a room; `more` where there are still older ones."""
        story = self._story(room)
        story.more = more
        for each in events:
            self._take(each)
        self._changed(room)

    def look(self, room: str, state: State) -> None:
        """A person looks at this room from now on, or with an empty name at none."""
        before = self._stories.get(self._here)
        view = state.rooms.get(self._here)
        if before is not None and self._here != room and (view is None or not _waits(view)):
            before.new_after = None
            self._changed(self._here)
        self._here = room
        if not room:
            return
        story, view = self._story(room), state.rooms.get(room)
        self._looked.pop(room, None)
        self._looked[room] = None
        # Who has read nothing yet needs no line above all that there is.
        if story.new_after is None and view is not None and view.read and _waits(view):
            story.new_after = view.read
        self._changed(room)

    def note(self, room: str, text: str, cid: bytes) -> set[str]:
        """A line for who looks at a room, behind what is there by now; nothing of it is in the log."""
        story = self._story(room)
        story.wrote(Row(seq=None, cid=cid, at=0, sender="", kind=Kind.NOTICE, text=text), story.head)
        return self._changed(room)

    # What is shown

    def oldest(self, room: str) -> int | None:
        """The oldest place that is held of a room."""
        return self._story(room).oldest

    def page(self, room: str) -> Page:
        """The room as it is now; the same page as long as nothing changes."""
        if (known := self._pages.get(room)) is not None:
            return known
        story = self._stories.get(room)
        if story is None:
            return Page(room)
        rows = story.page(self._user, self._marks)
        # A page that is read to fill it up must not push itself out again.
        full = story.more and story.size + PAGE > self._limit
        self._version += 1
        page = Page(room, rows, self._version, story.more and not full, full, story.new_after)
        self._pages[room] = page
        return page

    def tabs(self, state: State) -> list[Tab]:
        """Rooms, then conversations with one, then announcements; of each those first where something happened last."""
        directs = [room for room in self._stories if room.startswith("@")]
        rooms = dict.fromkeys([*state.rooms, *directs, *filter(None, [self._here])])
        tabs = [self._tab(room, state) for room in rooms]
        return sorted(tabs, key=lambda tab: (tab.room == ANNOUNCEMENTS, tab.direct, -tab.at, tab.label))

    def _tab(self, room: str, state: State) -> Tab:
        view, story = state.rooms.get(room, RoomView(room=room)), self._stories.get(room)
        label = "announcements" if room == ANNOUNCEMENTS else place_of(room, state.user)
        at = story.at if story is not None else 0
        return Tab(room, label, room.startswith("@"), _unread(view), view.mentions or 0, at)

    # The rooms

    def _story(self, room: str) -> Story:
        return self._stories.setdefault(room, Story(room))

    def _changed(self, room: str) -> set[str]:
        self._pages.pop(room, None)
        return {room}

    def _take(self, heard: Heard) -> bool:
        """Put an event in; whether that changed anything."""
        event = heard.message
        story = self._story(event.room)
        if event.epoch is not None and event.epoch != story.epoch:
            if event.epoch < story.epoch:
                return False
            if story.epoch:
                story = self._begin_anew(event.room)
            story.epoch = event.epoch
        before = story.size
        if not story.take(event, own=event.sender == self._user, late=heard.late):
            return False
        self._size += story.size - before
        while self._size > self._limit and (longest := self._longest()) is not None:
            self._drop(longest)
        while len(event.text or "") > LIGHT and (heaviest := self._heaviest()) is not None:
            self._drop(heaviest)
        return True

    def _drop(self, story: Story) -> None:
        story.drop()
        self._size -= 1
        self._pages.pop(story.room, None)

    def _heaviest(self) -> Story | None:
        """The room that gives up its oldest event where all of them together are too heavy; None where they are not."""
        stories = [each for each in self._stories.values() if each.size > 1]
        is_heavy = sum(each.weight for each in self._stories.values()) > HEAVY
        return max(stories, key=lambda each: each.weight) if is_heavy and stories else None

    def _bridge(self, event: Message) -> None:
        """Who enters a room again has missed something: it is read again from where he left."""
        newest = self._story(event.room).newest
        if event.kind is Kind.JOIN and event.sender == self._user and newest is not None and newest < event.seq - 1:
            self._begin_anew(event.room)

    def _begin_anew(self, room: str) -> Story:
        """What was held of a room is no longer true; what waits to be sent still waits."""
        old, new = self._story(room), Story(room)
        for row in old.waiting:
            new.wrote(row)
        new.epoch = old.epoch
        self._size -= old.size
        self._stories[room] = new
        return new

    def _longest(self) -> Story | None:
        """The room that gives up its oldest event: nobody looked at it for the longest time."""
        never = [each for room, each in self._stories.items() if room not in self._looked and each.size]
        if never:
            return max(never, key=lambda each: each.size)
        looked = [self._stories[room] for room in self._looked if room in self._stories]
        others = [each for each in looked if each.size > KEPT and each.room != self._here]
        here = [each for each in looked if each.size > KEPT]
        return next(iter(others or here), None)

    # Our own

    def recall(self, entries: Iterable[Entry]) -> None:
        """How far our own had come when the last run ended."""
        self._marks |= {each.cid: each.state for each in entries if each.state in _STORED}

    def _reached(self, progress: Progress, *, held: bool = False) -> set[str]:
        """A message of ours came further."""
        cid, reached = progress.cid, progress.state
        known = self._marks.get(cid)
        if known is not None and reached < known and known in _STORED:
            return set()
        self._marks[cid] = reached
        if len(self._marks) > self._limit:
            del self._marks[next(iter(self._marks))]
        story = self._story(progress.room)
        if story.marked(cid):
            return self._changed(progress.room)
        if reached in _STORED and not story.is_loose(cid):
            return set()
        entry = next((each for each in self.outbox() if each.cid == cid), None)
        if entry is None:
            return set()
        return self._wrote(replace(entry, state=reached, reason=progress.reason if held else entry.reason))

    def _wrote(self, entry: Entry) -> set[str]:
        """A message of ours that is not in the log, as far as this is known."""
        if entry.post.kind in ABOUT:
            return set()
        story = self._story(entry.room)
        failed = entry.state is Sent.FAILED
        story.wrote(waiting(entry, self._user), story.head if failed else None)
        return self._changed(entry.room)


def _waits(view: RoomView) -> bool:
    """Whether something in a room is not read."""
    return _unread(view) > 0


def _unread(view: RoomView) -> int:
    """As the server counts; of what began since we came it has not told yet, and all of it is new."""
    return view.unread if view.unread is not None else max(0, view.head - view.read)
