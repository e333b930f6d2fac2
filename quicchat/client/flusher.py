"""Carries the outbox over a connection: in order, as fast as the server takes it. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from quicchat.client import bodies
from quicchat.client.e2ee.provider import Provider
from quicchat.client.lanes import Lanes
from quicchat.client.memory import Entry, packed
from quicchat.client.outbox import Outbox
from quicchat.client.requests import Requests, refusal
from quicchat.errors import MEANINGS, Code, LinkLost, LocalProtocolError, Refused
from quicchat.wire.chapters.messages import LONGEST, MANY, WHOLE, Post, PostMany
from quicchat.wire.chapters.session import Error
from quicchat.wire.registry import Pdu

if TYPE_CHECKING:
    from quicchat.wire.sealed import FileKey

#: Seconds until the sealing of a room is begun again that was refused for the moment.
_AGAIN: Final = 1.0
#: Bytes of bodies in one MSG_SEND_MANY, and of a body that is small.
_TOGETHER: Final = 32_768
_SMALL: Final = 4_096


class Flusher:
    """One connection's share of the outbox. `changed` is told of each entry that comes further or fails."""

    def __init__(
        self,
        outbox: Outbox,
        requests: Requests,
        lanes: Lanes,
        provider: Provider,
        changed: Callable[[Entry, Refused | None], None],
    ) -> None:
        self._outbox = outbox
        self._provider = provider
        self._requests = requests
        self._lanes = lanes
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        #: Long texts that are put aside, by message, and whether sealed: that is another file.
        self._put_aside: set[tuple[bytes, bool]] = set()
        #: Whether the server takes several at once.
        self._many = requests.version > 1
        #: By room: on which stream its messages are under way, and how many.
        self._paths: dict[str, tuple[int | None, int]] = {}
        #: Rooms in which something is being sealed, and those in which nothing can be at the moment, with the reason.
        self._sealing: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, str] = {}

    def way(self, room: str) -> tuple[int, int | None]:
        """Which connection of this run this is, and on which stream the messages of a room are under way on it."""
        return self._requests.number, self._paths.get(room, (None, 0))[0]

    def wake(self) -> None:
        """There is something new to send, or an answer came."""
        self._wake.set()

    def release(self) -> None:
        """What held something may be gone."""
        self._held.clear()
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled, or until the connection is lost."""
        try:
            while self._requests.lost is None:
                self._wake.clear()
                try:
                    # A server that is about to stop is asked nothing new (3.5-6).
                    await self._send(() if self._requests.draining else self._ready())
                except (LinkLost, LocalProtocolError):
                    await asyncio.shield(self._requests.ended)
                    return
                wait = self._outbox.wait(self._loop.time())
                try:
                    async with asyncio.timeout(wait or None):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            for task in (tasks := list(self._sealing.values())):
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def answered(self, cid: bytes, error: Error) -> None:
        """An ERROR that names a message: one of a MSG_SEND_MANY."""
        self._refused(cid, refusal(error))

    def _ready(self) -> list[Entry]:
        """What can be sent as it is; of the rest, the sealing is begun. Order within a room stays."""
        for room, reason in self._held.items():
            for entry in self._outbox.waiting(room):
                if (told := self._outbox.hold(entry.cid, reason)) is not None:
                    self._changed(told, None)
        found: list[Entry] = []
        for entry in self._outbox.next(self._loop.time(), self._held.keys() | self._sealing.keys()):
            room = entry.room
            if room in self._sealing:
                continue
            if self._provider.is_plain(room) or (entry.sealed is not None and self._requests.version > 1):
                found.append(entry)
            else:
                self._sealing[room] = self._loop.create_task(self._seal(room))
        return found

    async def _seal(self, room: str) -> None:
        """Have all sealed that waits in a room; where that is impossible, it waits on, and holds up no other room."""
        reason: str | None = "It could not be sealed."
        try:
            reason = await self._provider.seal(room, self._requests, self._outbox, self._fail)
        except Refused as refusal:
            reason = None
            if MEANINGS[refusal.code].temporary:
                await asyncio.sleep(_AGAIN if refusal.retry_after is None else refusal.retry_after / 1000)
            else:
                for entry in self._outbox.waiting(room):
                    self._fail(entry, refusal)
        except (LinkLost, LocalProtocolError):
            # The end of the connection is the end of this.
            await asyncio.shield(self._requests.ended)
        finally:
            del self._sealing[room]
            if reason is not None:
                self._held[room] = reason
            self._wake.set()

    async def _send(self, entries: Sequence[Entry]) -> None:
        """In order: small ones that follow each other go together."""
        for small, run in groupby(entries, key=self._is_small):
            group = list(run)
            if small and len(group) > 1:
                self._send_many(group)
                continue
            for entry in group:
                if entry.whole is not None and (entry.cid, entry.sealed is not None) not in self._put_aside:
                    await self._put(entry, entry.whole)
                    # Meanwhile it may have been withdrawn, or one before it refused: `next` knows what is to be sent.
                    self._wake.set()
                    return
                self._send_one(entry)

    def _is_small(self, entry: Entry) -> bool:
        if not self._many or entry.whole is not None or self._path(entry) is not None:
            return False
        return len(packed(_outer(entry))) <= _SMALL

    def _send_one(self, entry: Entry) -> None:
        sid = self._path(entry)
        try:
            future = self._requests.begin(_outer(entry), sid=sid)
        except LocalProtocolError as error:
            if self._requests.lost is not None or error.code is Code.STATE:
                raise
            self._fail(entry, Refused(error.code, error.text))
            return
        self._depart(entry, sid)
        future.add_done_callback(lambda done: self._done([entry], sid, done))

    def _send_many(self, entries: Sequence[Entry]) -> None:
        total = 0
        batch: list[Entry] = []
        for entry in entries:
            size = len(packed(_outer(entry)))
            if batch and (total + size > _TOGETHER or len(batch) == MANY):
                self._send_batch(batch)
                total, batch = 0, []
            batch.append(entry)
            total += size
        self._send_batch(batch)

    def _send_batch(self, batch: list[Entry]) -> None:
        if len(batch) == 1:
            self._send_one(batch[0])
            return
        many = PostMany(posts=tuple(packed(_outer(each)) for each in batch))
        future = self._requests.begin(many, many=True)
        for entry in batch:
            self._depart(entry, None)
        future.add_done_callback(lambda done: self._done(batch, None, done))

    def _path(self, entry: Entry) -> int | None:
        """The stream of the room, unless messages of this room are under way elsewhere and might be overtaken."""
        sid = self._lanes.get(entry.room)
        used, count = self._paths.get(entry.room, (sid, 0))
        return used if count else sid

    def _depart(self, entry: Entry, sid: int | None) -> None:
        _, count = self._paths.get(entry.room, (sid, 0))
        self._paths[entry.room] = sid, count + 1
        if entry.sealed is None:
            self._provider.departs(entry.room)
        if (sent := self._outbox.sent(entry.cid)) is not None:
            self._changed(sent, None)

    def _done(self, entries: Sequence[Entry], sid: int | None, future: asyncio.Future[Pdu]) -> None:
        """A request was answered; who was stored is settled by its own MSG_ACK."""
        self._wake.set()
        for entry in entries:
            _, count = self._paths.pop(entry.room, (sid, 1))
            if count > 1:
                self._paths[entry.room] = sid, count - 1
        if future.cancelled():
            return
        failure = future.exception()
        if isinstance(failure, LinkLost):
            return
        if isinstance(failure, Refused):
            # The stream ended under it: nobody knows whether it was stored, and asking again does no harm.
            failure = Refused(Code.OVERLOADED, failure.text)
        elif failure is None:
            got = future.result()
            if isinstance(got, Error) and got.code == Code.UNSUPPORTED and len(entries) > 1:
                # An older server of the same version: one by one, then.
                self._many = False
                for entry in entries:
                    self._outbox.again(entry.cid)
                return
            failure = refusal(got) if isinstance(got, Error) else Refused(Code.OVERLOADED, "No answer came.")
        for entry in entries:
            # Nothing happens to those that are stored, and those that were refused by themselves.
            self._refused(entry.cid, failure if isinstance(failure, Refused) else Refused(Code.INTERNAL))

    def _refused(self, cid: bytes, failure: Refused) -> None:
        known = self._outbox.get(cid)
        if failure.code is Code.SEALED_ONLY and known is not None and known.sealed is None:
            # The room has become encrypted, and nobody has told us.
            self._provider.pin(known.room)
            self._outbox.again(cid)
            self._wake.set()
            return
        entry = self._outbox.refused(cid, failure, self._loop.time())
        if entry is not None:
            self._changed(entry, failure)
        self._wake.set()

    def _fail(self, entry: Entry, failure: Refused) -> None:
        self._outbox.sent(entry.cid)
        self._refused(entry.cid, failure)

    def _key(self, entry: Entry) -> FileKey | None:
        """What a long text is sealed with."""
        rows = (entry.sealed.attachments if entry.sealed is not None else None) or ()
        keys = [self._provider.file_key(file) for file, *_ in rows]
        return next((key for key in keys if key is not None and key.media_type == WHOLE), None)

    async def _put(self, entry: Entry, whole: bytes) -> None:
        """Put the whole of a long text aside, before its message is sent."""
        if self._requests.version < 2:
            self._fail(entry, Refused(Code.MSG_TOO_LARGE, f"This server takes no texts of {len(whole)} bytes."))
            return
        assert len(whole) <= LONGEST
        try:
            await bodies.put(self._requests, whole, self._key(entry))
        except Refused as failure:
            self._fail(entry, failure)
        else:
            self._put_aside.add((entry.cid, entry.sealed is not None))


def _outer(entry: Entry) -> Post:
    """What is sent of it."""
    return entry.post if entry.sealed is None else entry.sealed
