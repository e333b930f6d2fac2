"""What a screen shows of one room: its rows in their order, however they came; pure. (spec 12-operation)"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from quicchat.client.events import Sent
from quicchat.client.seal import Opened, Seal
from quicchat.client.view import ABOUT, Fold, Said
from quicchat.ui import seals
from quicchat.ui.manifest import called, caption, how_to_get
from quicchat.ui.seals import is_unread, seal_of
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import SAID, Kind, Message

if TYPE_CHECKING:
    from quicchat.client.memory import Entry

#: How far a message of ours has come, in one sign: waits, under way, stored or held by another, read, failed.
MARKS: Final[Mapping[Sent, str]] = {
    Sent.DRAFT: ".",
    Sent.QUEUED: ".",
    Sent.SENT: ">",
    Sent.STORED: "v",
    Sent.DELIVERED: "v",
    Sent.READ: "V",
    Sent.FAILED: "!",
}

#: Characters of a message that stand above its answer, at most.
EXCERPT: Final = 200
#: Notes, and messages that failed, that are kept of one room.
BESIDE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A message as it is now, or something that happened; texts are as they came, not yet made harmless.

    `seq` is None as long as it has no place, `at` is when it was stored (Unix ms; 0 where nobody knows). `reply` is
    [place, sender, text], the latter empty where it is not held; `reactions` are [word, how many, whether we],
    `files` [name, bytes]; `get` is what is typed to fetch them. `reason` says why it failed, or is kept back,
    `seal` what encryption tells of it; of words that are not known, in their place.
    """

    seq: int | None
    cid: bytes
    at: int
    sender: str
    kind: Kind
    text: str
    own: bool = False
    mark: str = ""
    edited: bool = False
    retracted: bool = False
    pinned: bool = False
    named: bool = False
    late: bool = False
    reply: tuple[int, str, str] | None = None
    reactions: tuple[tuple[str, int, bool], ...] = ()
    files: tuple[tuple[str, int], ...] = ()
    get: str = ""
    reason: str = ""
    seal: str = ""

    @property
    def said(self) -> bool:
        """Whether somebody said it, as opposed to what happened, and to notes of our own."""
        return self.kind in SAID and bool(self.sender)


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a room, ascending. With `more` there are older ones that could be had; `full` where there are, and
    this is all that is kept in view. Whoever looks had read everything up to `new_after`; None where nothing is new.
    """

    room: str = ""
    rows: Sequence[Row] = ()
    version: int = 0
    more: bool = False
    full: bool = False
    new_after: int | None = None


#: Stands for a row that is made when somebody asks for it.
_UNMADE: Final = Row(seq=None, cid=b"", at=0, sender="", kind=Kind.NOTICE, text="")


class Story:
    """One room: events go in, in any order, and rows come out in theirs.

    `take` and `wrote` put things in, `drop` takes the oldest event out; `page` is what a screen shows now.
    """

    def __init__(self, room: str) -> None:
        self.room = room
        self.more = True
        #: The place after which everything is new to who looks at it.
        self.new_after: int | None = None
        #: When something was last said (Unix ms), how far the log is known, and which log that is.
        self.at = self.head = self.epoch = 0
        self._fold = Fold()
        #: The places of all events held, and how many characters each has; then the places of those that are rows,
        #: and the rows, of which the stale ones are still to be made.
        self._held: list[int] = []
        self._weights: list[int] = []
        self.weight = 0
        self._places: list[int] = []
        self._rows: list[Row] = []
        #: Rows that may look different now, by place; who answers a place; what was said while we were away.
        self._stale: set[int] = set()
        self._answers: dict[int, set[int]] = {}
        self._late: set[int] = set()
        #: The places of those whose words are not known, and why.
        self._unread: dict[int, Seal] = {}
        #: Where our own messages stand, by their ids.
        self._own: dict[bytes, int] = {}
        #: What has no place: ours that waits, at the end (None), and what failed, after what was there by then.
        self._loose: dict[bytes, tuple[int | None, Row]] = {}

    # Getters

    @property
    def size(self) -> int:
        """Events that are held."""
        return len(self._held)

    @property
    def oldest(self) -> int | None:
        """The first place that is held."""
        return self._held[0] if self._held else None

    @property
    def newest(self) -> int | None:
        """The last place that is held."""
        return self._held[-1] if self._held else None

    @property
    def waiting(self) -> list[Row]:
        """Ours that are not stored."""
        return [row for after, row in self._loose.values() if after is None]

    def page(self, user: str, marks: Mapping[bytes, Sent]) -> list[Row]:
        """The rows as they are now to `user`, ascending; `marks` tells how far his own have come."""
        for seq in self._stale:
            where = bisect_left(self._places, seq)
            if where < len(self._places) and self._places[where] == seq:
                self._rows[where] = self._row(seq, user, marks)
        self._stale.clear()
        rows: list[Row] = self._rows.copy()
        fixed = [(after, row) for after, row in self._loose.values() if after is not None]
        for after, row in reversed(fixed):
            rows.insert(bisect_right(self._places, after), row)
        rows += self.waiting
        return rows

    # Inputs

    def take(self, event: Message, *, own: bool = False, late: bool = False) -> bool:
        """An event of the log; False where it is here already, and says no more than it did."""
        seq = event.seq
        where = bisect_left(self._held, seq)
        is_here = self.holds(seq)
        seal = event.seal if isinstance(event, Opened) else None
        if is_here and self._unread.get(seq) in (None, seal):
            return False
        if is_here:
            self._reopen(where)
        self._held.insert(where, seq)
        self._weights.insert(where, len(event.text or ""))
        self.weight += len(event.text or "")
        self.head = max(self.head, seq)
        if seal is not None and not seal.opened:
            self._unread[seq] = seal
        if event.kind is Kind.KEY:
            return True  # for programs: there is no row, and nothing happened
        self.at = max(self.at, event.ts)
        self._loose.pop(event.cid, None)
        if event.kind not in ABOUT:
            where = bisect_left(self._places, seq)
            self._places.insert(where, seq)
            self._rows.insert(where, _UNMADE)
            if event.reply is not None:
                self._answers.setdefault(event.reply, set()).add(seq)
            if late:
                self._late.add(seq)
            if own:
                self._own[event.cid] = seq
        if (touched := self._fold.take(event)) is not None:
            self._touch(touched)
        return True

    def wrote(self, row: Row, after: int | None = None) -> None:
        """Ours, which has no place yet, or never gets one."""
        self._loose[row.cid] = (after, row)
        beside = [cid for cid, (after, _) in self._loose.items() if after is not None]
        for cid in beside[:-BESIDE]:
            del self._loose[cid]

    def holds(self, seq: int) -> bool:
        """Whether there is an event at this place."""
        where = bisect_left(self._held, seq)
        return where < len(self._held) and self._held[where] == seq

    def is_loose(self, cid: bytes) -> bool:
        """Whether it is shown without a place."""
        return cid in self._loose

    def marked(self, cid: bytes) -> bool:
        """A message of ours came further; False where it is not held."""
        if (seq := self._own.get(cid)) is None:
            return False
        self._stale.add(seq)
        return True

    def drop(self) -> None:
        """Forget the oldest event; it can be had again."""
        seq = self._held.pop(0)
        self.weight -= self._weights.pop(0)
        self.more = True
        self._unread.pop(seq, None)
        if self._places and self._places[0] == seq:
            del self._places[0], self._rows[0]
            event = self._fold.said[seq].event
            if event is not None:
                self._own.pop(event.cid, None)
                if event.reply is not None:
                    self._unanswer(event.reply, seq)
            self._late.discard(seq)
            self._stale.discard(seq)
            self._stale.update(self._answers.get(seq, ()))
        self._fold.drop(seq)
        for cid in [cid for cid, (after, _) in self._loose.items() if after is not None and after <= seq]:
            del self._loose[cid]

    def _reopen(self, where: int) -> None:
        """The event held there comes again, with its words."""
        seq = self._held.pop(where)
        self.weight -= self._weights.pop(where)
        self._unread.pop(seq, None)
        where = bisect_left(self._places, seq)
        if where < len(self._places) and self._places[where] == seq:
            del self._places[where], self._rows[where]

    def _touch(self, seq: int) -> None:
        where = bisect_left(self._places, seq)
        if where < len(self._places) and self._places[where] == seq:
            self._stale.add(seq)
            self._stale.update(self._answers.get(seq, ()))

    def _unanswer(self, seq: int, answer: int) -> None:
        answers = self._answers[seq]
        answers.discard(answer)
        if not answers:
            del self._answers[seq]

    # Rows

    def _row(self, seq: int, user: str, marks: Mapping[bytes, Sent]) -> Row:
        said = self._fold.said[seq]
        event = said.event
        assert event is not None
        own = event.sender == user and event.kind in SAID and seal_of(event) is not Seal.FORGED
        is_gone = said.retracted is not None
        unread = is_unread(event) and not is_gone
        sent = MARKS[marks.get(event.cid, Sent.STORED)] if own else ""
        files = event.attachments or () if event.kind is Kind.FILE else ()
        return Row(
            seq=seq,
            cid=event.cid,
            at=event.ts,
            sender=event.sender,
            kind=event.kind,
            text=_words(said, event),
            own=own,
            mark=sent if is_gone else sent if own and not unread else seals.mark(event),
            edited=said.edited is not None,
            retracted=is_gone or (event.kind in SAID and not event.text and not files and not unread),
            pinned=said.pinned,
            named=not own and user in (event.mentions or ()),
            late=seq in self._late,
            reply=self._reply(event.reply) if event.reply is not None and not is_gone else None,
            reactions=tuple((word, len(users), user in users) for word, users in said.reactions.items()),
            files=tuple((called(name, kind), size) for _, size, kind, name, _ in files),
            get=how_to_get(event, user) if files else "",
            seal=seals.told(event) if not is_gone else "",
        )

    def _reply(self, seq: int) -> tuple[int, str, str]:
        """The message that is answered, as far as it is held."""
        said = self._fold.said.get(seq)
        if said is None or said.event is None:
            return (seq, "", "")
        event = said.event
        files = event.attachments or () if event.kind is Kind.FILE else ()
        told = (seals.told(event) if is_unread(event) else _words(said, event)) or ", ".join(
            called(name, kind) for _, _, kind, name, _ in files
        )
        return (seq, event.sender, told[:EXCERPT])


def waiting(entry: Entry, user: str) -> Row:
    """A message of ours that has no place yet."""
    post = entry.post
    text = entry.whole.decode(errors="replace") if entry.whole is not None else post.text
    return Row(
        seq=None,
        cid=post.cid,
        at=post.sent or 0,
        sender=user,
        kind=post.kind or Kind.TEXT,
        text=text,
        own=True,
        mark=MARKS[entry.state],
        reply=(post.reply, "", "") if post.reply is not None else None,
        files=tuple((called(name, kind), size) for _, size, kind, name, _ in post.attachments or ()),
        reason=entry.reason or "",
    )


def _words(said: Said, event: Message) -> str:
    """What is said, or what happened."""
    match event.kind:
        case Kind.JOIN:
            return f"{event.sender} joined"
        case Kind.LEAVE if event.by is not None:
            return event.text or f"{event.by} put {event.sender} out"
        case Kind.LEAVE:
            return f"{event.sender} left"
        case Kind.TOPIC if seals.encrypts(event):
            return f"{event.sender} encrypts what is said here from end to end; that stays so"
        case Kind.TOPIC:
            return f"{event.sender} changes what it is about: {event.text or ''}"
        case Kind.FILE if said.retracted is None and said.edited is None:
            return caption(event)
        case _:
            return said.text or ""
