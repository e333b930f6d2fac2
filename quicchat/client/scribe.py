"""Writing behind: what the client learned goes into its memory, and only then counts as held. (spec 06-messages)"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from quicchat.client.memory import WAITING, Change, Cursor, Entry, Held, Kept, Memory, Token
from quicchat.errors import Refused
from quicchat.wire.chapters.messages import Message

log = logging.getLogger("quicchat.client")

#: Seconds until what could not be written is tried again.
_AGAIN: Final = 1.0
#: Seconds between two writings, unless somebody waits for it or so many events do: each costs as much as many events.
_PAUSE: Final = 0.1
_MANY: Final = 256
_NOTHING: Final[Mapping[tuple[str, bytes], bytes]] = {}


class Scribe:
    """Where the device stands in each room, and what of it has still to be written, which happens by itself.

    `on_kept` hears of places that are durable.
    """

    def __init__(self, memory: Memory, kept: Kept, on_kept: Callable[[Mapping[str, Cursor]], None]) -> None:
        self.memory = memory
        self.cursors: dict[str, Cursor] = dict(kept.cursors)
        self.token = kept.token
        #: Users of whom nothing is given out, and who are told of nothing.
        self.ignored: set[str] = set(kept.ignored)
        self._on_kept = on_kept
        #: What the user chose, by name.
        self.preferences: dict[str, str] = dict(kept.preferences)
        self._events: list[Held] = []
        self._past: list[Held] = []
        self._unwanted: set[str] = set()
        #: By room: places that the application is not to have, behind one that it has not had yet.
        self._passed: dict[str, set[int]] = {}
        #: Rooms of which version 1 tells: in other words than the log has.
        self._bare: set[str] = set()
        #: Who waits until what is known now is written.
        self._waiting: list[asyncio.Future[None]] = []
        self._moved: set[str] = set()
        self._dropped: set[str] = set()
        self._entries: dict[bytes, Entry] = {}
        self._gone: set[bytes] = set()
        #: Keys and what is known of those of others, by drawer and name.
        self.secrets: dict[tuple[str, bytes], bytes] = dict(kept.secrets)
        self._secrets: dict[tuple[str, bytes], bytes | None] = {}
        self._receipts: dict[tuple[str, str], tuple[str, str, int, int, int]] = {}
        self._loop = asyncio.get_running_loop()
        self._work: asyncio.Task[None] | None = None
        self._is_dirty = False
        #: When the next writing is due, and what makes it due at once.
        self._due = 0.0
        self._hurry = asyncio.Event()

    @property
    def behind(self) -> int:
        """Events that are not being written yet."""
        return len(self._events)

    # What is learned

    def hold(self, held: Held) -> None:
        """An event is here."""
        event = held.event
        cursor = self.cursors.get(event.room, Cursor(epoch=event.epoch or 1))
        if not cursor.seq:
            # What was before on this device, nobody is to be given.
            cursor = replace(cursor, seq=event.seq - 1, given=event.seq - 1, first=event.seq)
        bare = event.epoch is None
        # Where something is missing, or was told in other words, what is kept begins anew.
        follows = event.seq == cursor.seq + 1 and bare == (event.room in self._bare)
        (self._bare.add if bare else self._bare.discard)(event.room)
        first = cursor.first if follows else event.seq
        self._events.append(held)
        if len(self._events) >= _MANY:
            self._hurry.set()
        cursor = replace(cursor, epoch=event.epoch or cursor.epoch, seq=event.seq, first=first)
        self._move(event.room, _trimmed(cursor, self.memory.keeps))

    def hold_past(self, room: str, epoch: int, page: Sequence[Held], place: int) -> None:
        """Older events are here, unbroken; they are kept where they join what is, and no more than there is room for.

        `place` is how far the room was told of, of which nothing need be held.
        """
        cursor = self.cursors.get(room)
        if (cursor is None or not cursor.seq) and place:
            read = cursor.read if cursor is not None else 0
            cursor = Cursor(epoch=epoch, seq=place, given=place, read=read, first=place + 1)
        if cursor is None or cursor.epoch != epoch or not page or room in self._bare:
            return
        if not cursor.first - 1 <= page[-1].event.seq <= cursor.seq:
            return
        fitting = [each for each in page if each.event.seq > cursor.seq - self.memory.keeps]
        if fitting:
            self._past += fitting
            self._move(room, replace(cursor, first=min(cursor.first, fitting[0].event.seq)))

    def rewrite(self, held: Held) -> None:
        """More is known by now of an event that is held."""
        place = held.event.room, held.event.seq
        cursor = self.cursors.get(held.event.room)
        if cursor is None or not cursor.first <= held.event.seq <= cursor.seq:
            return
        for pending in (self._events, self._past):
            for at, each in enumerate(pending):
                if (each.event.room, each.event.seq) == place:
                    pending[at] = held
                    return
        self._past.append(held)
        self._touch()

    def given(self, event: Message) -> None:
        """The application has it."""
        self._give(event, event.seq)

    def passed(self, event: Message) -> None:
        """The application is not to have it: it counts as given once all before it is."""
        self._passed.setdefault(event.room, set()).add(event.seq)
        self._give(event, 0)

    def read(self, room: str, seq: int) -> bool:
        """The user has read so far; whether that is news."""
        cursor = self.cursors.get(room, Cursor())
        if seq <= cursor.read:
            return False
        self._move(room, replace(cursor, read=seq))
        return True

    def drop(self, room: str, *, choices: bool = False) -> None:
        """Nothing of this room is true or ours any more.

        With `choices`, what the user chose for it (`NAME:ROOM`), or was writing there, goes with it.
        """
        for name in [name for name in self.preferences if choices and name.partition(":")[2] == room]:
            del self.preferences[name]
            self._unwanted.add(name)
        self.cursors.pop(room, None)
        self._events = [each for each in self._events if each.event.room != room]
        self._past = [each for each in self._past if each.event.room != room]
        self._bare.discard(room)
        self._passed.pop(room, None)
        self._receipts = {key: row for key, row in self._receipts.items() if key[0] != room}
        self._moved.discard(room)
        self._dropped.add(room)
        self._touch()

    def entries(self, entries: Iterable[Entry], gone: Iterable[bytes] = ()) -> None:
        """Messages of one's own have come further, or need not be remembered any more."""
        self._entries.update({each.cid: each for each in entries})
        self._gone.update(gone)
        self._touch()

    def receipt(self, row: tuple[str, str, int, int, int]) -> None:
        """Somebody has come so far: [room, user, delivered, read, when]."""
        self._receipts[row[:2]] = row
        self._touch()

    def secret(self, drawer: str, name: bytes, value: bytes | None) -> None:
        """Remember a secret, or with None not any more; in one transaction with the events that came with it."""
        self.secrets.pop((drawer, name), None)
        self.secrets.update({(drawer, name): value} if value is not None else {})
        self._secrets[drawer, name] = value
        self._touch()

    # Writing

    async def now(self, entries: Sequence[Entry], secrets: Mapping[tuple[str, bytes], bytes] = _NOTHING) -> None:
        """Write messages before they are sent, and the keys to go on with where they are sealed.

        Raises Refused(STORE_UNAVAILABLE); nobody knows then whether it is written.
        """
        waiting = {place: self._secrets.pop(place) for place in secrets if place in self._secrets}
        try:
            await self.memory.keep(Change(entries=entries, secrets=secrets))
        except BaseException:
            # What was to be written in any case still is.
            self._secrets = {**waiting, **self._secrets}
            self._touch()
            raise
        self.secrets.update(secrets)

    async def credit(self, token: Token | None) -> None:
        """Write the token of the next login, or that there is none, before anything else is asked."""
        self.token = token
        try:
            await self.memory.keep(Change(token=token, spent=token is None))
        except Refused as refusal:
            log.warning("token cannot be kept", extra={"error": refusal.text})

    async def prefer(self, name: str, value: str | None) -> None:
        """The user chooses something, or with None nothing any more. Raises Refused(STORE_UNAVAILABLE)."""
        self._unwanted.discard(name)
        await self.memory.keep(Change(preferences={name: value}))
        self.preferences.pop(name, None)
        self.preferences.update({name: value} if value is not None else {})

    async def written(self) -> None:
        """Wait until what is known now is written, or cannot be."""
        if self._is_dirty or (self._work is not None and not self._work.done()):
            future = self._loop.create_future()
            self._waiting.append(future)
            self._hurry.set()
            self._touch()
            await future

    async def flush(self) -> None:
        """Write what is left, once."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._write()

    async def _run(self) -> None:
        while self._is_dirty:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._due):
                    await self._hurry.wait()
            if not await self._write():
                await asyncio.sleep(_AGAIN)

    async def _write(self) -> bool:
        self._is_dirty = False
        self._hurry.clear()
        self._due = self._loop.time() + _PAUSE
        change = self._take()
        waiting, self._waiting = self._waiting, []
        try:
            await self.memory.keep(change)
        except Refused as refusal:
            log.warning("memory cannot be written", extra={"error": refusal.text})
            self._put_back(change)
            return False
        except asyncio.CancelledError:
            # It may be written all the same; twice does no harm.
            self._put_back(change)
            raise
        finally:
            for future in waiting:
                if not future.done():
                    future.set_result(None)
        self._on_kept(change.cursors)
        return True

    def _take(self) -> Change:
        change = Change(
            dropped=sorted(self._dropped),
            entries=list(self._entries.values()),
            gone=sorted(self._gone),
            events=self._events,
            past=self._past,
            cursors={room: self.cursors[room] for room in sorted(self._moved) if room in self.cursors},
            preferences=dict.fromkeys(sorted(self._unwanted)),
            receipts=list(self._receipts.values()),
            secrets=dict(self._secrets),
        )
        self._events, self._past = [], []
        kept = (self._unwanted, self._dropped, self._entries, self._gone, self._moved, self._receipts, self._secrets)
        for held in kept:
            held.clear()
        return change

    def _put_back(self, change: Change) -> None:
        """It is tried again; what came since counts where both speak of the same."""
        self._events = [each for each in change.events if each.event.room not in self._dropped] + self._events
        self._past = [each for each in change.past if each.event.room not in self._dropped] + self._past
        self._give_up(self._events[:-WAITING])
        del self._events[:-WAITING]
        if len(self._past) > WAITING:
            self._give_up(self._past)
            self._past = []
        self._dropped.update(change.dropped)
        self._gone.update(change.gone)
        self._unwanted.update(change.preferences.keys() - self.preferences.keys())
        self._moved.update(room for room in change.cursors if room in self.cursors)
        self._entries = {**{each.cid: each for each in change.entries}, **self._entries}
        self._secrets = {**change.secrets, **self._secrets}
        self._receipts = {**{row[:2]: row for row in change.receipts}, **self._receipts}
        self._is_dirty = True

    def _give(self, event: Message, upto: int) -> None:
        cursor, passed = self.cursors.get(event.room), self._passed.get(event.room, set())
        if cursor is None or event.epoch not in (None, cursor.epoch):
            return
        upto = max(upto, cursor.given)
        while upto + 1 in passed:
            upto += 1
        if upto > cursor.given:
            passed.difference_update([seq for seq in passed if seq <= upto])
            self._move(event.room, _trimmed(replace(cursor, given=upto), self.memory.keeps))

    def _give_up(self, lost: Sequence[Held]) -> None:
        """These are held no more: what is kept of their rooms begins behind them."""
        for each in lost:
            cursor = self.cursors.get(each.event.room)
            if cursor is not None and cursor.first <= each.event.seq:
                self.cursors[each.event.room] = replace(cursor, first=each.event.seq + 1)
                self._moved.add(each.event.room)

    def _move(self, room: str, cursor: Cursor) -> None:
        self.cursors[room] = cursor
        self._moved.add(room)
        self._touch()

    def _touch(self) -> None:
        self._is_dirty = True
        if self._work is None or self._work.done():
            self._work = self._loop.create_task(self._run())


def _trimmed(cursor: Cursor, keeps: int) -> Cursor:
    """As many events are kept as the memory says; what the application has not had, in any case."""
    least = min(cursor.seq - keeps, cursor.given) + 1
    return cursor if least <= cursor.first else replace(cursor, first=least)
