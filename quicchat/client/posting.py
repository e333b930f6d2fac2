"""Posting: what the user says, from his word to the last reader's receipt, over all connections. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from quicchat.client.bodies import attached
from quicchat.client.e2ee.provider import Provider
from quicchat.client.events import Progress, Sent
from quicchat.client.flusher import Flusher
from quicchat.client.inbox import Inbox
from quicchat.client.lanes import Lanes
from quicchat.client.memory import Entry, Kept, packed
from quicchat.client.outbox import Outbox
from quicchat.client.requests import Requests
from quicchat.client.scribe import Scribe
from quicchat.client.tracker import Tracker
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.wire.chapters.messages import ListReceipts, Message, Post, Posted, ReceiptEvent, ReceiptList, recorded
from quicchat.wire.chapters.session import Error
from quicchat.wire.names import User, direct

#: The longest text, in bytes, that travels in the message itself, whatever was agreed (a BODY field's limit).
IN_PLACE = 32_768


class Posting:
    """The outbox and those who wait for it; `stored` is told of each event that a message of ours became."""

    def __init__(
        self,
        scribe: Scribe,
        inbox: Inbox,
        kept: Kept,
        provider: Provider,
        on_stored: Callable[[Message, str | None], None],
    ) -> None:
        self.outbox = Outbox(kept.entries)
        self.tracker = Tracker(self.outbox, kept.receipts)
        self._scribe = scribe
        self._inbox = inbox
        self._provider = provider
        self._on_stored = on_stored
        self._loop = asyncio.get_running_loop()
        self._flusher: Flusher | None = None
        self._answers: dict[bytes, asyncio.Future[Posted]] = {}
        self._over: LinkLost | None = None

    # What is said

    async def post(self, post: Post, sender: str) -> Posted:
        """Keep a message, send it, and wait until it is stored.

        Raises Refused for a refusal, LocalProtocolError for what cannot be said at all, LinkLost once there is no
        connection any more, when nobody knows whether it was stored.
        """
        future = self._answers.setdefault(post.cid, self._loop.create_future())
        try:
            await self.keep(post, sender)
        except BaseException:
            if self.outbox.get(post.cid) is None:
                self._answers.pop(post.cid, None)
            raise
        return await asyncio.shield(future)

    async def keep(self, post: Post, sender: str) -> Entry:
        """Put a message into the outbox, where it is durable. Raises as `post`."""
        if self._over is not None:
            raise self._over
        whole = None
        if len(data := post.text.encode(errors="surrogatepass")) > IN_PLACE:
            beginning, attachments = attached(data)
            post = replace(post, text=beginning, attachments=(*(post.attachments or ()), *attachments))
            whole = data
        packed(post)
        room = post.room or direct(User(sender), User(post.user or ""))
        entry = self.outbox.draft(post, room, whole)
        if entry.state is not Sent.DRAFT:
            return entry
        try:
            await self._scribe.now([replace(entry, state=Sent.QUEUED)])
        except BaseException:
            # It may be written all the same, if this was only not waited for.
            self.outbox.drop(entry.cid)
            self._scribe.entries([], [entry.cid])
            raise
        self._tell(self.outbox.queued(entry.cid))
        if self._flusher is not None:
            self._flusher.wake()
        return self.outbox.get(entry.cid) or entry

    def withdraw(self, cid: bytes) -> bool:
        """Give up a message that waits; whether that was possible. Whoever waits for it hears a refusal."""
        entry = self.outbox.withdraw(cid)
        if entry is not None:
            self._changed(entry, Refused(Code.NO_SUCH_MESSAGE, entry.reason or ""))
        return entry is not None

    # Connections

    async def carry(self, requests: Requests, lanes: Lanes) -> None:
        """Send over a connection until it is lost, or this is cancelled."""
        self._flusher = flusher = Flusher(self.outbox, requests, lanes, self._provider, self._changed)
        try:
            await flusher.run()
        finally:
            if self._flusher is flusher:
                self._flusher = None

    def release(self) -> None:
        """What held messages back may be gone."""
        if self._flusher is not None:
            self._flusher.release()

    async def ask_receipts(self, requests: Requests) -> None:
        """While we were away the others may have come further, and nobody told us."""
        for room in self.tracker.unfinished():
            try:
                await requests.ask(ListReceipts(room=room), ReceiptList, aside=True)
            except Refused:
                # Not a member any more, or a server that is busy: what is told later makes up for it.
                continue
            except (LinkLost, LocalProtocolError):
                return

    def lost(self) -> None:
        """The connection is gone."""
        if self._flusher is not None:
            self._flusher.wake()
            self._flusher = None
        for entry in self.outbox.lost():
            self._tell(entry)

    def resumed(self, known: Iterable[tuple[bytes, int]]) -> None:
        """RESUMED says which of those that were never acknowledged are stored, and where; they come back as events."""
        for entry in self.outbox.known(dict(known)):
            answer = _again(entry)
            self._settled(entry, answer, told=False)

    def over(self, lost: LinkLost) -> None:
        """There will be no other connection: nobody waits any longer."""
        self._over = lost
        for future in self._answers.values():
            if not future.done():
                future.set_exception(lost)
                future.exception()

    # What comes

    def stored(self, answer: Posted, sender: str) -> None:
        """MSG_ACK."""
        known = self.outbox.get(answer.cid)
        entry = self.outbox.stored(answer)
        if known is None or entry is None:
            return
        self._settled(entry, answer)
        outer = entry.sealed or entry.post
        event = recorded(outer, room=answer.room, epoch=answer.epoch, seq=answer.seq, sender=sender, ts=answer.ts)
        if entry.sealed is not None:
            event = self._provider.said(event, entry.post)
        self._on_stored(event, known.whole.decode() if known.whole is not None else None)

    def refused(self, cid: bytes, error: Error) -> None:
        """An ERROR that names a message."""
        if self._flusher is not None:
            self._flusher.answered(cid, error)

    def heard(self, pdu: ReceiptEvent | ReceiptList) -> None:
        """Others have come further."""
        if isinstance(pdu, ReceiptEvent):
            news = self.tracker.heard(pdu)
            users = [pdu.user] if pdu.user is not None else []
        else:
            news = self.tracker.listed(pdu)
            users = [user for user, *_ in pdu.people]
        for row in self.tracker.rows(pdu.room):
            if row[1] in users:
                self._scribe.receipt(row)
        self._progress(news)

    # The rest

    def _changed(self, entry: Entry, failure: Refused | None) -> None:
        """It came further, or did not: `failure` says why."""
        self._tell(entry if failure is None else replace(entry, reason=failure.text))
        if entry.state is Sent.FAILED:
            self._scribe.entries([entry], self.outbox.forgotten())
            future = self._answers.pop(entry.cid, None)
            if future is not None and not future.done():
                future.set_exception(failure or Refused(Code.INTERNAL))
                future.exception()

    def _settled(self, entry: Entry, answer: Posted, *, told: bool = True) -> None:
        """A message is stored."""
        self._inbox.traces.stored(entry, answer, told=told)
        self._tell(entry)
        self._scribe.entries([entry], self.outbox.forgotten())
        future = self._answers.pop(entry.cid, None)
        if future is not None and not future.done():
            future.set_result(answer)
        self._progress(self.tracker.stored(entry))
        if self._flusher is not None:
            self._flusher.wake()

    def _tell(self, entry: Entry | None) -> None:
        if entry is not None:
            way = self._flusher.way(entry.room) if self._flusher is not None else (0, None)
            self._inbox.traces.moved(entry, *way)
            self._inbox.put(Progress(entry.cid, entry.room, entry.seq, entry.state, reason=entry.reason))

    def _progress(self, news: Iterable[Progress]) -> None:
        changed: Mapping[bytes, None] = dict.fromkeys(each.cid for each in news)
        for each in news:
            self._inbox.traces.reached(each)
            self._inbox.put(each)
        entries = [entry for cid in changed if (entry := self.outbox.get(cid)) is not None]
        if entries:
            self._scribe.entries(entries)


def _again(entry: Entry) -> Posted:
    """The acknowledgement of a message that was stored before; when that was, nobody remembers."""
    return Posted(
        cid=entry.cid, room=entry.room, seq=entry.seq or 0, ts=entry.post.sent or 0, dup=True, epoch=entry.epoch
    )
