"""Writing behind: what the client learned goes into its memory, and only then counts as held. (spec 06-messages)"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from quicchat.client.memory import WAITING, Change, Cursor, Entry, Held, Kept, Memory, Token
from quicchat.errors import Refused
from quicchat.wire.chapters.messages import Message

log = logging.getLogger("quicchat.client")

#: Seconds until what could not be written is tried again.
_AGAIN: Final = 1.0


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
        self._events: list[Held] = []
        self._moved: set[str] = set()
        self._dropped: set[str] = set()
        self._entries: dict[bytes, Entry] = {}
        self._gone: set[bytes] = set()
        self._receipts: dict[tuple[str, str], tuple[str, str, int, int, int]] = {}
        self._loop = asyncio.get_running_loop()
        self._work: asyncio.Task[None] | None = None
        self._is_dirty = False

    @property
    def behind(self) -> int:
        """Events that are not being written yet."""
        return len(self._events)

    # What is learned

    def hold(self, held: Held) -> None:
        """An event is here."""
        event = held.event
        cursor = self.cursors.get(event.room, Cursor(epoch=event.epoch or 1, given=event.seq - 1))
        self._events.append(held)
        self._move(event.room, replace(cursor, epoch=event.epoch or cursor.epoch, seq=event.seq))

    def given(self, event: Message) -> None:
        """The application has it."""
        cursor = self.cursors.get(event.room)
        if cursor is not None and cursor.given < event.seq and event.epoch in (None, cursor.epoch):
            self._move(event.room, replace(cursor, given=event.seq))

    def read(self, room: str, seq: int) -> bool:
        """The user has read so far; whether that is news."""
        cursor = self.cursors.get(room, Cursor())
        if seq <= cursor.read:
            return False
        self._move(room, replace(cursor, read=seq))
        return True

    def drop(self, room: str) -> None:
        """Nothing of this room is true or ours any more."""
        self.cursors.pop(room, None)
        self._events = [each for each in self._events if each.event.room != room]
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

    # Writing

    async def now(self, entry: Entry) -> None:
        """Write a message before it is sent. Raises Refused(STORE_UNAVAILABLE)."""
        await self.memory.keep(Change(entries=[entry]))

    async def credit(self, token: Token | None) -> None:
        """Write the token of the next login, or that there is none, before anything else is asked."""
        self.token = token
        try:
            await self.memory.keep(Change(token=token, spent=token is None))
        except Refused as refusal:
            log.warning("token cannot be kept", extra={"error": refusal.text})

    async def ignore(self, user: str, on: bool) -> None:
        """Hear nothing more of a user, or hear of him again. Raises Refused(STORE_UNAVAILABLE)."""
        await self.memory.keep(Change(ignored={user: on}))
        (self.ignored.add if on else self.ignored.discard)(user)

    async def flush(self) -> None:
        """Write what is left, once."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._write()

    async def _run(self) -> None:
        while self._is_dirty:
            if not await self._write():
                await asyncio.sleep(_AGAIN)

    async def _write(self) -> bool:
        self._is_dirty = False
        change = self._take()
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
        self._on_kept(change.cursors)
        return True

    def _take(self) -> Change:
        change = Change(
            dropped=list(self._dropped),
            entries=list(self._entries.values()),
            gone=list(self._gone),
            events=self._events,
            cursors={room: self.cursors[room] for room in self._moved if room in self.cursors},
            receipts=list(self._receipts.values()),
        )
        self._events = []
        for held in (self._dropped, self._entries, self._gone, self._moved, self._receipts):
            held.clear()
        return change

    def _put_back(self, change: Change) -> None:
        """It is tried again; what came since counts where both speak of the same."""
        self._events = [each for each in change.events if each.event.room not in self._dropped] + self._events
        del self._events[:-WAITING]
        self._dropped.update(change.dropped)
        self._gone.update(change.gone)
        self._moved.update(room for room in change.cursors if room in self.cursors)
        self._entries = {**{each.cid: each for each in change.entries}, **self._entries}
        self._receipts = {**{row[:2]: row for row in change.receipts}, **self._receipts}
        self._is_dirty = True

    def _move(self, room: str, cursor: Cursor) -> None:
        self.cursors[room] = cursor
        self._moved.add(room)
        self._touch()

    def _touch(self) -> None:
        self._is_dirty = True
        if self._work is None or self._work.done():
            self._work = self._loop.create_task(self._run())
