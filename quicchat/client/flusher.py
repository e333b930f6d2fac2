"""Carries the outbox over a connection: in order, as fast as the server takes it. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from quicchat.client import bodies
from quicchat.client.lanes import Lanes
from quicchat.client.memory import Entry, packed
from quicchat.client.outbox import Outbox
from quicchat.client.requests import Requests, refusal
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.wire.chapters.messages import LONGEST, MANY, PostMany
from quicchat.wire.chapters.session import Error
from quicchat.wire.registry import Pdu

#: Bytes of bodies in one MSG_SEND_MANY, and of a body that is small.
_TOGETHER: Final = 32_768
_SMALL: Final = 4_096


class Flusher:
    """One connection's share of the outbox. `changed` is told of each entry that comes further or fails."""

    def __init__(
        self, outbox: Outbox, requests: Requests, lanes: Lanes, changed: Callable[[Entry, Refused | None], None]
    ) -> None:
        self._outbox = outbox
        self._requests = requests
        self._lanes = lanes
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._put_aside: set[bytes] = set()
        #: Whether the server takes several at once.
        self._many = requests.version > 1
        #: By room: on which stream its messages are under way, and how many.
        self._paths: dict[str, tuple[int | None, int]] = {}

    def wake(self) -> None:
        """There is something new to send, or an answer came."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled, or until the connection is lost."""
        while self._requests.lost is None:
            self._wake.clear()
            try:
                await self._send(self._outbox.next(self._loop.time()))
            except (LinkLost, LocalProtocolError):
                await asyncio.shield(self._requests.ended)
                return
            wait = self._outbox.wait(self._loop.time())
            try:
                async with asyncio.timeout(wait or None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def answered(self, cid: bytes, error: Error) -> None:
        """An ERROR that names a message: one of a MSG_SEND_MANY."""
        self._refused(cid, refusal(error))

    async def _send(self, entries: Sequence[Entry]) -> None:
        """In order: small ones that follow each other go together."""
        for small, run in groupby(entries, key=self._is_small):
            group = list(run)
            if small and len(group) > 1:
                self._send_many(group)
                continue
            for entry in group:
                if entry.whole is not None and entry.cid not in self._put_aside:
                    await self._put(entry, entry.whole)
                    # Meanwhile it may have been withdrawn, or one before it refused: `next` knows what is to be sent.
                    self._wake.set()
                    return
                self._send_one(entry)

    def _is_small(self, entry: Entry) -> bool:
        if not self._many or entry.whole is not None or self._path(entry) is not None:
            return False
        return len(packed(entry.post)) <= _SMALL

    def _send_one(self, entry: Entry) -> None:
        sid = self._path(entry)
        try:
            future = self._requests.begin(entry.post, sid=sid)
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
            size = len(packed(entry.post))
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
        many = PostMany(posts=tuple(packed(each.post) for each in batch))
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
        entry = self._outbox.refused(cid, failure, self._loop.time())
        if entry is not None:
            self._changed(entry, failure)
        self._wake.set()

    def _fail(self, entry: Entry, failure: Refused) -> None:
        self._outbox.sent(entry.cid)
        self._refused(entry.cid, failure)

    async def _put(self, entry: Entry, whole: bytes) -> None:
        """Put the whole of a long text aside, before its message is sent."""
        if self._requests.version < 2:
            self._fail(entry, Refused(Code.MSG_TOO_LARGE, f"This server takes no texts of {len(whole)} bytes."))
            return
        assert len(whole) <= LONGEST
        try:
            await bodies.put(self._requests, whole)
        except Refused as failure:
            self._fail(entry, failure)
        else:
            self._put_aside.add(entry.cid)
