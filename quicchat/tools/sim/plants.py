"""Faults to plant, each of which the simulation has to find, or its finding none means nothing. (spec 12-operation)

A plant replaces a function or two of the program under test while a run lasts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch
from weakref import WeakKeyDictionary

from quicchat.client.e2ee.members import Members
from quicchat.client.e2ee.pins import Pins
from quicchat.client.fetch import Fetch
from quicchat.client.sync import Timeline
from quicchat.server.adapters.store_memory.accounts import MemoryAccounts
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.effects import Deliver, InRooms
from quicchat.server.feed import Feed
from quicchat.server.router import Router
from quicchat.server.session import Session
from quicchat.tools.sim.device import Device
from quicchat.tools.sim.disk import Disk, Job, Volume
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.names import Room
from quicchat.wire.sealed import packed

Change = tuple[type, str, Callable[..., Any]]


# The disk


def acknowledged_before_commit() -> Iterable[Change]:
    """A write is answered at once, and committed later."""

    async def write(self: Volume, job: Job) -> Any:
        result = job.run(self.store)
        _keep_later(self, job)
        return result

    return [(Volume, "write", write)]


def uncommitted_read() -> Iterable[Change]:
    """Everybody reads what is not committed yet; the writer is answered after the commit."""

    async def write(self: Volume, job: Job) -> Any:
        result = job.run(self.store)
        committed = asyncio.Event()
        _keep_later(self, job, committed.set)
        await committed.wait()
        return result

    return [(Volume, "write", write)]


def last_of_group_unsynced() -> Iterable[Change]:
    """The last transaction of a group reaches the disk with the next group only."""
    before = Volume._apply
    late: dict[Volume, Job] = {}

    def apply(self: Volume, group: list[Any]) -> list[Any]:
        committed = self.disk.committed
        if self in late:
            committed.append(late.pop(self))
        start = len(committed)
        outcomes = before(self, group)
        if len(committed) > start:
            late[self] = committed.pop()
        return outcomes

    return [(Volume, "_apply", apply)]


def places_in_memory_only() -> Iterable[Change]:
    """The next place of a room is counted in memory and noted at every fourth: after a crash places are reused."""
    before = Disk.mount

    def mount(self: Disk) -> Volume:
        written = Counter(job.args[0] for job in self.committed if job.name == "log.append")
        kept: Counter[Room] = Counter()
        jobs, self.committed = self.committed, []
        for job in jobs:
            if job.name == "log.append":
                kept[job.args[0]] += 1
                if kept[job.args[0]] > written[job.args[0]] // 4 * 4:
                    continue
            self.committed.append(job)
        return before(self)

    return [(Disk, "mount", mount)]


# The server


def no_deduplication() -> Iterable[Change]:
    """A post that comes again is stored again."""
    before = MemoryLog.append

    async def append(self: MemoryLog, *args: Any, **options: Any) -> Any:
        self._state.said.clear()
        return await before(self, *args, **options)

    return [(MemoryLog, "append", append)]


def cursor_one_too_far() -> Iterable[Change]:
    """At login each cursor is told one place further than the device has come."""
    before = MemoryAccounts.admit

    async def admit(self: MemoryAccounts, *args: Any, **options: Any) -> Any:
        heads = await before(self, *args, **options)
        return tuple(_moved(each, min(each.head, each.delivered + 1)) for each in heads)

    return [(MemoryAccounts, "admit", admit)]


def cursor_moved_by_sending() -> Iterable[Change]:
    """A device counts as having all that was ever sent to its user."""
    before = MemoryAccounts.admit

    async def admit(self: MemoryAccounts, *args: Any, **options: Any) -> Any:
        heads = await before(self, *args, **options)
        return tuple(_moved(each, each.head if each.delivered else 0) for each in heads)

    return [(MemoryAccounts, "admit", admit)]


def told_before_commit() -> Iterable[Change]:
    """A message is pushed to the room before it is committed."""
    before = Volume.write

    async def write(self: Volume, job: Job) -> Any:
        if job.name == "log.append":
            room, sender, _, post = job.args
            found = self.store._state.rooms.get(room)
            place = 1 + (len(found.log) if found else 0)
            place += sum(each.name == "log.append" and each.args[0] == room for each, _ in self._group + self._queue)
            if (sender, post.cid) not in self.store._state.said and found is not None and sender in found.seats:
                early = Message(
                    room=room,
                    epoch=found.epoch,
                    seq=place,
                    cid=post.cid,
                    sender=sender,
                    kind=Kind.TEXT,
                    ts=job.options["at"],
                    text=post.text,
                )
                for router in _ROUTERS:
                    router.deliver(Deliver(early, InRooms(frozenset({room}))))
        return await before(self, job)

    return [(Volume, "write", write), *_known_routers()]


def push_forgotten() -> Iterable[Change]:
    """Every seventh push of a message is dropped, and the client ignores the digest that would tell."""
    before = Feed.admits
    pushed = [0]

    def admits(self: Feed, pdu: Any, version: int) -> bool:
        if isinstance(pdu, Message):
            pushed[0] += 1
            if pushed[0] % 7 == 0:
                return False
        return before(self, pdu, version)

    return [(Feed, "admits", admits), (Fetch, "doubt", lambda self, theirs: False)]


def leave_not_heard() -> Iterable[Change]:
    """Who has left a room goes on hearing it."""

    def keep(self: Router, listener: Any, room: Room) -> None:
        pass

    return [(Router, "_exit", keep)]


def newest_first() -> Iterable[Change]:
    """Requests of one session are started in reverse order, where several came at once."""
    before = Session._on_events

    def on_events(self: Session, events: Any) -> None:
        before(self, [*reversed([e for e in events if _is_post(e)]), *(e for e in events if not _is_post(e))])

    return [(Session, "_on_events", on_events)]


def push_lost_when_slow() -> Iterable[Change]:
    """A slow client is not told where the log stands once it can take more again, and ignores the digest."""
    return [(Feed, "recover", lambda self: self.behind.clear() or {}), (Fetch, "doubt", lambda self, theirs: False)]


# The client


def gap_not_fetched() -> Iterable[Change]:
    """The client waits for what is missing, and never asks."""
    return [(Timeline, "gap", lambda self, now: None)]


def shown_as_it_comes() -> Iterable[Change]:
    """The client shows what comes in the order in which it comes."""

    def take(self: Timeline, events: Iterable[Message], now: float) -> list[Message]:
        shown = list(events)
        for event in shown:
            self.seq = max(self.seq, event.seq)
            self.head = max(self.head, event.seq)
        return shown

    return [(Timeline, "take", take)]


def retried_under_a_new_id() -> Iterable[Change]:
    """What was not acknowledged is said again as if it were something else."""

    def cid(self: Device, said: Any) -> bytes:
        return self.draws.randbytes(16)

    return [(Device, "cid", cid)]


def shown_again() -> Iterable[Change]:
    """What comes a second time is shown a second time."""
    before = Timeline.take

    def take(self: Timeline, events: Iterable[Message], now: float) -> list[Message]:
        given = list(events)
        return [event for event in given if event.seq <= self.seq] + before(self, given, now)

    return [(Timeline, "take", take)]


# Encryption


def session_kept_late() -> Iterable[Change]:
    """A message leaves before the session that follows is on the disk, and what came back of it is not looked at."""
    from quicchat.client.e2ee.sealing import Sealing

    before = Sealing._keep

    async def keep(self: Sealing, voice: Any, entries: Any, session: Any = None) -> None:
        if not entries:
            return await before(self, voice, entries, session)
        await self._scribe.now(entries)
        self._scribe.secrets["voice", voice.conversation.encode()] = packed(voice)
        return None

    return [(Sealing, "_keep", keep), (Sealing, "_is_old", lambda self, voice: False)]


def newcomer_without_key() -> Iterable[Change]:
    """Who enters a room is not noticed by those who speak there."""
    return [(Members, "heard", _heedless_of(Kind.JOIN))]


def session_kept_after_a_leave() -> Iterable[Change]:
    """A session goes on when somebody leaves who has it."""
    from quicchat.client.e2ee.sealing import Sealing

    return [(Members, "heard", _heedless_of(Kind.LEAVE)), (Sealing, "left", lambda self, event: None)]


def plain_until_told() -> Iterable[Change]:
    """A conversation counts as plain until somebody says otherwise: nobody asks."""

    def is_plain(self: Pins, room: str) -> bool:
        return not self.pinned(room)

    return [(Pins, "is_plain", is_plain)]


def early_keys_forgotten() -> Iterable[Change]:
    """Of a session a device keeps what opens the next message, and not what opened those before."""
    from quicchat.client.e2ee.ratchet import Session

    before = Session.open

    def opens(self: Session, sealed: Any, cid: bytes) -> Any:
        after, content = before(self, sealed, cid)
        index, chain = after.near
        return replace(after, key=replace(after.key, index=index, chain=chain)), content

    return [(Session, "open", opens)]


def places_not_compared() -> Iterable[Change]:
    """What was said once is taken for said again, at whatever place it comes."""
    from quicchat.client.e2ee.ratchet import Session

    return [(Session, "saw", lambda self, index, epoch, seq: self)]


def _heedless_of(kind: Kind) -> Callable[[Members, Message], bool]:
    before = Members.heard

    def heard(self: Members, event: Message) -> bool:
        return event.kind is not kind and before(self, event)

    return heard


PLANTS: Final[dict[str, Callable[[], Iterable[Change]]]] = {
    plant.__name__.replace("_", "-"): plant
    for plant in (
        acknowledged_before_commit,
        uncommitted_read,
        last_of_group_unsynced,
        places_in_memory_only,
        no_deduplication,
        cursor_one_too_far,
        cursor_moved_by_sending,
        told_before_commit,
        push_forgotten,
        push_lost_when_slow,
        leave_not_heard,
        newest_first,
        gap_not_fetched,
        shown_as_it_comes,
        shown_again,
        retried_under_a_new_id,
        session_kept_late,
        newcomer_without_key,
        session_kept_after_a_leave,
        plain_until_told,
        early_keys_forgotten,
        places_not_compared,
    )
}

#: Those that show only where there are keys.
SEALED: Final = frozenset(list(PLANTS)[list(PLANTS).index("session-kept-late") :])


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """While the block runs, the program has this fault."""
    patches = [patch.object(*change) for change in (PLANTS[name]() if name else ())]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


_ROUTERS: Final[list[Router]] = []
_LAST: Final[WeakKeyDictionary[Volume, float]] = WeakKeyDictionary()


def _known_routers() -> Iterable[Change]:
    """The router that is made last becomes known."""
    before = Router.__init__

    def init(self: Router, *args: Any) -> None:
        before(self, *args)
        _ROUTERS[:] = [self]

    return [(Router, "__init__", init)]


def _keep_later(volume: Volume, job: Job, done: Callable[[], None] | None = None) -> None:
    """Commit a transaction by itself, after those before it."""
    loop = asyncio.get_running_loop()
    at = max(loop.time() + volume.disk.commit_time(), _LAST.get(volume, 0.0))
    _LAST[volume] = at

    def keep() -> None:
        if not volume.dead:
            volume.disk.committed.append(job)
            if done is not None:
                done()

    loop.call_at(at, keep)


def _moved(head: Any, delivered: int) -> Any:
    return type(head)(room=head.room, epoch=head.epoch, head=head.head, delivered=delivered)


def _is_post(event: Any) -> bool:
    return isinstance(getattr(getattr(event, "envelope", None), "pdu", None), Post)
