"""What a device remembers of one user at one server: the port, and the adapter in plain dicts. (spec 06-messages)

A client reads it once, at its start, and writes behind itself; what it must not lose (outbox, token) it awaits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final, Protocol

from quicchat.client.events import Sent
from quicchat.values import dataclass
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Kind, Message, Post, blanked
from quicchat.wire.search import SEARCHED, Word, has

#: Events that were stored here and not yet given out, at most: as many as may wait for the application.
WAITING: Final = 4_096
#: Events of a room that a memory keeps after they were given out: one that ends with the program, and one on the disk.
PLENTY: Final = 256
KEEPS: Final = 20_000
#: Messages of one's own that are remembered after they were stored, to tell how far they come.
OWN: Final = 1_024


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a room is held (`seq`), was given to the application, and was read by the user.

    All that is held from `first` to `seq` is kept, without a gap; `first` is `seq` + 1 where that is nothing.
    """

    epoch: int = 1
    seq: int = 0
    given: int = 0
    read: int = 0
    first: int = 1


@dataclass(frozen=True, slots=True)
class Salt:
    """What the user's password is salted with, as the server told it."""

    salt: bytes
    iterations: int


@dataclass(frozen=True, slots=True)
class Token:
    """What logs this device in again, until `expires` (Unix ms); with it, the salt of the login that began it."""

    value: bytes = field(repr=False)
    expires: int
    salt: Salt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message of one's own, from its writing on. `whole` is a long text, of which `post` holds the beginning."""

    order: int
    post: Post
    room: str
    state: Sent = Sent.DRAFT
    whole: bytes | None = field(default=None, repr=False)
    #: What is sent instead of it, once it is sealed; the same for every retry.
    sealed: Post | None = field(default=None, repr=False)
    seq: int | None = None
    epoch: int | None = None
    reason: str | None = None

    @property
    def cid(self) -> bytes:
        """Its id, the same for every retry."""
        return self.post.cid


@dataclass(frozen=True, slots=True)
class Upload:
    """Files of one's own that are on their way: the message that names them, and where each is: [path, size, ns].

    `chunk` is how many bytes a chunk of theirs has, of which their ids tell nothing.
    """

    post: Post
    chunk: int
    paths: tuple[tuple[str, int, int], ...]

    @property
    def cid(self) -> bytes:
        """That of the message."""
        return self.post.cid


@dataclass(frozen=True, slots=True)
class Held:
    """An event as it is stored in the log, or as it was opened (`seal.Opened`); its whole text where it names one."""

    event: Message
    whole: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be remembered, in one transaction: first `dropped` rooms go, then the rest is put.

    `events` are those of the log as they came, `past` are older ones that were asked for. What lies before `first`
    of a cursor is forgotten, but for what the application has not had. Secrets go by drawer and name (`e2ee.keyring`);
    one that is None, or a preference, is none any more.
    """

    dropped: Sequence[str] = ()
    entries: Sequence[Entry] = ()
    gone: Sequence[bytes] = ()
    events: Sequence[Held] = ()
    past: Sequence[Held] = ()
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    preferences: Mapping[str, str | None] = field(default_factory=dict)
    token: Token | None = None
    spent: bool = False
    ignored: Mapping[str, bool] = field(default_factory=dict)
    receipts: Sequence[tuple[str, str, int, int, int]] = ()
    uploads: Sequence[Upload] = ()
    uploaded: Sequence[bytes] = ()
    secrets: Mapping[tuple[str, bytes], bytes | None] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All that a client needs at its start: `receipts` are [room, user, delivered, read, when]."""

    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    waiting: Sequence[Held] = ()
    token: Token | None = None
    receipts: Sequence[tuple[str, str, int, int, int]] = ()
    ignored: frozenset[str] = frozenset()
    uploads: Sequence[Upload] = ()
    preferences: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[tuple[str, bytes], bytes] = field(default_factory=dict, repr=False)


class Memory(Protocol):
    """The memory of a device. What `keep` was given is durable when it returns, whatever happens then.

    `keep`, `page` and `search` raise Refused(STORE_UNAVAILABLE) where it cannot be used. What a RETRACT that it keeps
    took back has no words any more, on no page and in no search.
    """

    @property
    def keeps(self) -> int:
        """How many events of a room it is to keep after they were given out."""

    @property
    def lasting(self) -> bool:
        """Whether it outlives the program: a key that would be gone with it is not made."""

    async def load(self) -> Kept:
        """What is remembered; entries that were sent count as queued again."""

    async def keep(self, change: Change) -> None:
        """Remember."""

    async def page(self, room: str, *, before: int | None = None, limit: int = 50) -> Sequence[Held]:
        """Events of a room, ascending, from where its cursor says on: the last ones, or the last below a place."""

    async def search(self, words: Sequence[Word], *, room: str | None = None, limit: int = 50) -> Sequence[Held]:
        """Events with all of these words, the newest first. Raises Refused(UNSUPPORTED) where it cannot search."""

    async def forget(self) -> None:
        """Keep nothing but what is still to be sent, whom the user ignores, and keys; on the disk once it is closed."""

    async def close(self) -> None:
        """Finish what was asked."""


class PlainMemory:
    """A memory that lasts as long as the program; of old events it keeps the last ones of each room.

    Where somebody else takes care of it, it may be said to be `lasting`.
    """

    def __init__(self, keeps: int = PLENTY, *, lasting: bool = False) -> None:
        self.keeps = keeps
        self.lasting = lasting
        self._preferences: dict[str, str] = {}
        self._cursors: dict[str, Cursor] = {}
        self._entries: dict[bytes, Entry] = {}
        self._events: dict[str, dict[int, Held]] = {}
        self._token: Token | None = None
        self._receipts: dict[tuple[str, str], tuple[str, str, int, int, int]] = {}
        self._ignored: set[str] = set()
        self._uploads: dict[bytes, Upload] = {}
        self._secrets: dict[tuple[str, bytes], bytes] = {}

    async def load(self) -> Kept:
        waiting = [
            each
            for room, events in self._events.items()
            for seq, each in sorted(events.items())
            if seq > self._cursors.get(room, Cursor()).given
        ]
        return Kept(
            cursors=dict(self._cursors),
            entries=[requeued(each) for each in sorted(self._entries.values(), key=lambda each: each.order)],
            waiting=waiting[:WAITING],
            token=self._token,
            receipts=list(self._receipts.values()),
            ignored=frozenset(self._ignored),
            uploads=list(self._uploads.values()),
            preferences=dict(self._preferences),
            secrets=dict(self._secrets),
        )

    async def keep(self, change: Change) -> None:
        for room in change.dropped:
            self._events.pop(room, None)
            self._cursors.pop(room, None)
        for entry in change.entries:
            self._entries[entry.cid] = entry
        for cid in change.gone:
            self._entries.pop(cid, None)
        self._put(change.events, change.past)
        self._cursors.update(change.cursors)
        for room, cursor in change.cursors.items():
            _trim(self._events.get(room, {}), min(cursor.first - 1, cursor.given))
        for name, value in change.preferences.items():
            self._preferences.pop(name, None)
            self._preferences.update({name: value} if value is not None else {})
        if change.token is not None or change.spent:
            self._token = change.token
        self._receipts.update({row[:2]: row for row in change.receipts})
        for user, on in change.ignored.items():
            (self._ignored.add if on else self._ignored.discard)(user)
        self._uploads.update({each.cid: each for each in change.uploads})
        for cid in change.uploaded:
            self._uploads.pop(cid, None)
        for place, secret in change.secrets.items():
            self._secrets.pop(place, None)
            self._secrets.update({place: secret} if secret is not None else {})

    async def page(self, room: str, *, before: int | None = None, limit: int = 50) -> Sequence[Held]:
        return [each for each in self._run(room) if before is None or each.event.seq < before][-limit:]

    async def search(self, words: Sequence[Word], *, room: str | None = None, limit: int = 50) -> Sequence[Held]:
        rooms = [name for name in self._events if room in (None, name)]
        said = [each for name in rooms for each in self._run(name) if each.event.kind in SEARCHED]
        found = [each for each in said if has(each.whole or each.event.text or "", words)]
        return sorted(found, key=lambda each: (each.event.ts, each.event.seq), reverse=True)[:limit]

    async def forget(self) -> None:
        for held in (self._events, self._cursors, self._receipts, self._preferences):
            held.clear()
        self._token = None
        self._entries = {cid: each for cid, each in self._entries.items() if each.state < Sent.STORED}

    async def close(self) -> None:
        """There is nothing to finish."""

    def _run(self, room: str) -> list[Held]:
        first = self._cursors.get(room, Cursor()).first
        return [each for seq, each in sorted(self._events.get(room, {}).items()) if seq >= first]

    def _put(self, events: Sequence[Held], past: Sequence[Held]) -> None:
        for each in (*past, *events):
            self._events.setdefault(each.event.room, {})[each.event.seq] = each
        for each in events:
            if each.event.kind is Kind.RETRACT and each.event.refs:
                _take_back(self._events[each.event.room], each.event.refs[0])
        # The page may have been read from the log before something of it was taken back, and come here after that.
        for each in past:
            room = self._events[each.event.room]
            gone = {about(one.event) for one in room.values() if one.event.kind is Kind.RETRACT}
            for place in gone & {each.event.seq, about(each.event)}:
                _take_back(room, place or 0)


def requeued(entry: Entry) -> Entry:
    """An entry as a new connection finds it: nobody knows what became of it."""
    return replace(entry, state=Sent.QUEUED) if entry.state in (Sent.DRAFT, Sent.SENT) else entry


def wholes(events: Iterable[Message]) -> list[Held]:
    """Events that have no long text."""
    return [Held(each) for each in events]


def packed(post: Post) -> bytes:
    """The body of a post, as it is kept. Raises LocalProtocolError for one that no server could read."""
    return codec.encode_body(post, version=2)


def about(event: Message) -> int | None:
    """The place that an event corrects or takes back."""
    return event.refs[0] if event.kind in (Kind.EDIT, Kind.RETRACT) and event.refs else None


def _trim(events: dict[int, Held], upto: int) -> None:
    """Forget the oldest."""
    for seq in [seq for seq in events if seq <= upto]:
        del events[seq]


def _take_back(events: dict[int, Held], target: int) -> None:
    """Nobody reads any more what an event, and every correction of it, said."""
    for seq, each in list(events.items()):
        if seq == target or (each.event.kind is Kind.EDIT and about(each.event) == target):
            events[seq] = Held(blanked(each.event))
