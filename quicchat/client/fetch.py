"""Fetching what push did not bring, and telling the server what arrived. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from quicchat.client.requests import Requests
from quicchat.client.sync import Timeline
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.wire import codec
from quicchat.wire.chapters.messages import PAGE, History, HistoryPage, Message, Receipt, Window

#: Receipts of one room are sent at most once in this many seconds.
_COALESCE = 0.3
#: Ms until a page is asked for again that was refused for the moment.
_RETRY = 1000
#: Timers fire so much early, by rounding; what is due then is due now.
_HAIR = 1e-6


class Fetch:
    """The timelines of all rooms, and the one task (`run`) that closes their gaps."""

    def __init__(self, requests: Requests, give_out: Callable[[Message], None]) -> None:
        self._requests = requests
        self._give_out = give_out
        self._loop = asyncio.get_running_loop()
        self._timelines: dict[str, Timeline] = {}
        self._receipts: dict[str, int] = {}
        self._receipts_at: float | None = None
        self._wake = asyncio.Event()

    def begin(self, heads: Iterable[tuple[str, int, int, int]]) -> None:
        """After login: [room, epoch, head, place delivered to this device]."""
        for room, epoch, head, delivered in heads:
            self._timelines[room] = Timeline(delivered, epoch=epoch)
            self.know(room, epoch, head)

    def enter(self, room: str, epoch: int, head: int) -> None:
        """We entered a room whose log stands at `head`: what was before is not ours."""
        self._timelines.setdefault(room, Timeline(head, epoch=epoch))

    def leave(self, room: str) -> None:
        """We left a room."""
        self._timelines.pop(room, None)
        self._receipts.pop(room, None)

    def know(self, room: str, epoch: int, head: int) -> None:
        """The server says how far a log goes."""
        timeline = self._timelines.get(room)
        if timeline is not None:
            timeline.know(epoch, head, self._loop.time())
            self._wake.set()

    def take(self, message: Message) -> None:
        """An event came, or was stored by us."""
        timeline = self._timelines.get(message.room)
        if timeline is None:
            # A direct message begins at its first event; a room that another device entered, at that event.
            # Version 1 sends in unbroken order from where it left off.
            direct = message.room.startswith("@") and message.epoch is not None
            timeline = Timeline(0 if direct else message.seq - 1, epoch=message.epoch or 1)
            self._timelines[message.room] = timeline
        self._give(timeline, [message])

    async def run(self) -> None:
        """Close gaps and send receipts until cancelled, or until the connection is lost."""
        while self._requests.lost is None:
            self._wake.clear()
            now = self._loop.time()
            waits = [self._receipts_at - now] if self._receipts_at is not None else []
            for room, timeline in list(self._timelines.items()):
                wait = timeline.gap(now)
                if wait is not None and wait <= _HAIR:
                    await self._fill(room, timeline)
                    waits.append(0.0)
                elif wait is not None:
                    waits.append(wait)
            self._send_receipts()
            try:
                async with asyncio.timeout(min(waits) if waits else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _fill(self, room: str, timeline: Timeline) -> None:
        """Fetch a page after the last place given out."""
        try:
            ask = History(room=room, window=Window.AFTER, anchor=timeline.seq, limit=PAGE)
            page = await self._requests.ask(ask, HistoryPage, aside=True)
        except Refused as refusal:
            if refusal.code in (Code.NO_SUCH_ROOM, Code.NOT_MEMBER):
                self.leave(room)
            else:
                await asyncio.sleep((refusal.retry_after or _RETRY) / 1000)
            return
        except (LinkLost, LocalProtocolError):
            # The end is near, and nothing can be asked on this connection any more.
            await asyncio.shield(self._requests.ended)
            return
        timeline.know(page.epoch, page.head, self._loop.time())
        timeline.skip(page.first)
        version = self._requests.connection.version or 0
        events = [codec.decode_body(Message, body, version=version) for body in page.events]
        if not events:
            timeline.seq = max(timeline.seq, page.head)
        self._give(timeline, events)

    def _give(self, timeline: Timeline, events: list[Message]) -> None:
        for message in timeline.take(events, self._loop.time()):
            self._give_out(message)
            self._receipts[message.room] = message.seq
        if self._receipts and self._receipts_at is None:
            self._receipts_at = self._loop.time() + _COALESCE
        self._wake.set()

    def _send_receipts(self) -> None:
        if self._receipts_at is None or self._loop.time() + _HAIR < self._receipts_at:
            return
        self.flush_receipts()

    def flush_receipts(self) -> None:
        """Tell the server now what this device holds (version 1 knows no receipts)."""
        self._receipts_at = None
        if (self._requests.connection.version or 0) > 1:
            for room, seq in self._receipts.items():
                self._requests.tell(Receipt(room=room, delivered=seq))
        self._receipts.clear()
