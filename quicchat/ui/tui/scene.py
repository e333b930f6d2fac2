"""What the screen shows, whatever shows it: rooms, the way to the server, files, notices. (spec 12-operation)"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from quicchat.client.events import KeyNews
from quicchat.client.events import Sent as Reach
from quicchat.client.state import State
from quicchat.client.traces import Trace
from quicchat.errors import LinkLost, LocalProtocolError, Refused
from quicchat.ui.book import Book
from quicchat.ui.desk import Desk
from quicchat.ui.identities import Approvals, Keyed, Numbers, Recovery
from quicchat.ui.outcomes import (
    Devices,
    Done,
    Encrypted,
    Entered,
    Files,
    Found,
    Freight,
    Heard,
    Help,
    Late,
    Lost,
    Members,
    NotResponding,
    Past,
    People,
    Reached,
    Readable,
    Receipts,
    Rooms,
    Sent,
    Transfers,
    Unfinished,
    Unread,
    Unsent,
)
from quicchat.ui.page import Row
from quicchat.ui.picking import place_of
from quicchat.ui.render import Text
from quicchat.ui.tui.freight import Hold
from quicchat.ui.tui.members import Member
from quicchat.ui.tui.title import TLS, Facts, Way
from quicchat.ui.visible import cut
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot
from quicchat.wire.names import ANNOUNCEMENTS

#: What the screen shows by itself: no line tells it besides.
_SHOWN: Final = (Heard, Late, Presence, PresenceSnapshot, Readable, Encrypted)
#: What a command brings as a list, and what its page is called.
_LISTS: Final = {
    Help: "Commands",
    Rooms: "Rooms",
    Members: "Members",
    People: "People",
    Past: "History",
    Found: "Found",
    Files: "Files",
    Transfers: "Transfers",
    Devices: "Sessions",
    Receipts: "Receipts",
    Trace: "Trace",
    Unread: "Unread",
    Keyed: "Keys",
    Numbers: "Safety number",
    Approvals: "Waiting devices",
    Recovery: "Recovery code",
}
#: What has a page of its own anyway: what was said, and what nobody is to read over one's shoulder later.
_PAGES: Final = (Past, Numbers, Recovery)
#: Lines of a list that stand among the messages; longer ones get a page of their own.
_FEW: Final = 6
#: Letters of why something is held back that the title has room for.
_WHY: Final = 60
#: Events that change who is in a room, or what he is there.
_MEMBERSHIP: Final = (Kind.JOIN, Kind.LEAVE, Kind.ROLE)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Lines to be read apart from the messages; `picture` has rows of half blocks, light on dark."""

    heading: str
    lines: Sequence[str]
    picture: Sequence[str] = ()


class _Lines:
    """A paper that keeps what is written, for one item."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        #: The rows of a picture that stands below them.
        self.drawn: Sequence[str] = ()

    def show(self, line: str) -> None:
        self.lines.append(line)

    def note(self, line: str) -> None:
        # What is dim among the messages needs no dashes.
        self.lines.append(line.removeprefix("-- "))

    def picture(self, rows: Sequence[str]) -> None:
        self.drawn = rows

    def pictured(self) -> Sequence[str]:
        drawn, self.drawn = self.drawn, ()
        return drawn

    def taken(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


class Scene:
    """All that is told becomes what there is to see. `place` is the server's, `times` a strftime format.

    `changed` is called whenever the screen may look different; it is to do little.
    """

    def __init__(self, place: str, times: str) -> None:
        self.book = Book()
        self.way = Way(place)
        self.hold = Hold()
        self._told = State()
        self.desk: Desk | None = None
        #: Rooms whose members are to be asked for again.
        self.memberships: set[str] = set()
        #: Lists that wait to be read.
        self.sheets: list[Sheet] = []
        #: Whether what is typed next must not be seen.
        self.secret = False
        #: What is to be said once the screen is gone.
        self.parting: list[str] = []
        self.times = times
        self.changed: Callable[[], None] = _nobody
        self._notes = itertools.count()
        #: How far people are trusted, as far as somebody asked; and the members of whom all of it is known.
        self._trusted: dict[str, str] = {}
        self._judged: tuple[Sequence[Member], Mapping[str, str]] | None = None
        self._paper = _Lines()
        self._text = Text(self._paper, "default", times)

    @property
    def state(self) -> State:
        """What is known: by now, where somebody is logged in, else as it was told."""
        return self.desk.chat.state if self.desk is not None else self._told

    @property
    def here(self) -> str:
        """The room that plain text goes to; empty where nobody is logged in or in no room."""
        return self.desk.room if self.desk is not None else ""

    def sit(self, desk: Desk) -> None:
        """Somebody is logged in, and works at this desk."""
        self.desk = desk
        self.book.outbox = lambda: desk.chat.outbox
        self.book.recall(desk.chat.outbox)
        self.changed()

    def tell(self, item: object, state: State, now: float) -> None:
        """Something happened, at `now` seconds."""
        self._told = state
        self.way.hear(item, now)
        self.book.tell(item, state)
        match item:
            case Heard(message) if message.kind in _MEMBERSHIP:
                self.memberships.add(message.room)
            case Entered():
                self.memberships.update(state.rooms)
            case Freight():
                self.hold.hear(item, now)
            case KeyNews() | Done():
                # Whoever was just verified is to be seen so.
                self._trusted.clear()
                self._judged = None
        if not self._is_shown(item):
            self._write(item, state)
        self.changed()

    def note(self, text: str) -> None:
        """A line for the person, where he is."""
        self.book.note(self.here, text, b"note" + next(self._notes).to_bytes(8, "big"))
        self.changed()

    def read(self, heading: str, events: Sequence[Heard]) -> None:
        """Messages of a log, apart from those of the room."""
        self._text.tell(Past(self.here, events), self.state)
        self.sheets.append(Sheet(heading, self._paper.taken()))
        self.changed()

    # What is asked of it

    def label(self, room: str) -> str:
        """A room as people call it."""
        return "announcements" if room == ANNOUNCEMENTS else place_of(room, self.state.user)

    def facts(self, room: str, now: float) -> Facts:
        """What the title says while a room is shown."""
        view = self.state.rooms.get(room)
        rtt = self.desk.chat.rtt if self.desk is not None else None
        topic = view.topic if view is not None else ""
        kept, held = self._kept(room)
        way = self.way.text(now, rtt, kept)
        return Facts(self.label(room) if room else "quicchat", topic, way, held or not self.way.online)

    def _kept(self, room: str) -> tuple[str, bool]:
        """What protects what is said in a room, and whether it is held back."""
        if self.desk is None or not room:
            return TLS, False
        state, why = self.desk.encryption(room)
        match state:
            case "held":
                return f"held: {cut(why, _WHY)}", True
            case "encrypted":
                peer = self.desk.peer(room)
                is_verified = peer is not None and peer != self.state.user and self._trust(peer) == "verified"
                return "end-to-end, verified" if is_verified else "end-to-end", False
            case _:
                return TLS, False

    def trusts(self, members: Sequence[Member]) -> Mapping[str, str]:
        """Of these, how far those are trusted of whom there is something to say; the same ones until that changes."""
        if self._judged is None or self._judged[0] is not members:
            me = self.state.user
            found = {user: self._trust(user) for user, _, _ in members if user != me}
            self._judged = (members, {user: word for user, word in found.items() if word})
        return self._judged[1]

    def _trust(self, user: str) -> str:
        """How far somebody is trusted; empty where nothing is known of his keys."""
        if user not in self._trusted:
            self._trusted[user] = self.desk.trust(user) if self.desk is not None else ""
        return self._trusted[user]

    def last_own(self, room: str) -> Row | None:
        """The last message of one's own that one can edit."""
        rows = reversed(self.book.page(room).rows)
        found = (row for row in rows if row.own and row.seq is not None and not row.retracted and not row.files)
        return next(found, None)

    def _is_shown(self, item: object) -> bool:
        match item:
            case Reached(progress, held=held):
                # What is held back of another conversation, nobody would see there.
                return progress.state is not Reach.FAILED and not (held and progress.room != self.here)
            case Sent(posted):
                return posted.room == self.here
            case Freight(step=step):
                return step == "moves"  # that is what its bar shows
            case _:
                return isinstance(item, _SHOWN)

    def _is_parting(self, item: object) -> bool:
        match item:
            case Lost(retry=retry):
                return not retry
            case Unfinished():
                # Told to who comes, too; to who leaves only while something is on its way.
                return self.desk is not None and self.desk.cargo.busy
            case _:
                return isinstance(item, Unsent | NotResponding)

    def _write(self, item: object, state: State) -> None:
        self._text.tell(item, state)
        lines = self._paper.taken()
        heading = _LISTS.get(type(item))
        if heading is not None and (len(lines) > _FEW or isinstance(item, _PAGES)):
            self.sheets.append(Sheet(heading, lines, self._paper.pictured()))
            return
        if self._is_parting(item):
            self.parting += lines
        for line in lines:
            self.note(line)


def _nobody() -> None:
    """Nothing shows it yet."""


def told(error: BaseException) -> str:
    """What to say of something that was wanted and failed."""
    match error:
        case Refused(text=text) | LocalProtocolError(text=text):
            return text
        case LinkLost(reason=reason):
            return f"there is no connection{f': {reason}' if reason else ''}"
        case _:
            return f"this failed: {type(error).__name__}: {error}"
