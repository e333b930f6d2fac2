"""Fetching what push did not bring: gaps, backlogs, and a tail that was lost without a trace. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from quicchat.client.delivery import Delivery
from quicchat.client.memory import Cursor
from quicchat.client.requests import Requests, answered
from quicchat.client.sync import Timeline, unbroken
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused, RemoteProtocolError
from quicchat.wire.chapters.accounts import HAVE, HEADS, Verdict
from quicchat.wire.chapters.messages import PAGE, History, HistoryPage, ListTargets, Message, TargetList, Window
from quicchat.wire.digest import digest
from quicchat.wire.registry import Pdu

#: Pages under way at the same time.
DEEP: Final = 4
#: Ms until a page is asked for again that was refused for the moment.
_RETRY: Final = 1000
#: Timers fire so much early, by rounding; what is due then is due now.
_HAIR: Final = 1e-6
#: Seconds that what a server pushes behind RESUMED may take to come, before it is asked for.
_PUSHED: Final = 0.1
#: The least events to a page, where the server's pages hold few because they are long.
_FEW: Final = 8


class Fetch:
    """The timelines of all rooms over all connections, and the one task (`run`) that closes their gaps.

    `on_reset` is told of rooms whose log was replaced, `on_left` of those that are ours no more.
    """

    def __init__(
        self,
        delivery: Delivery,
        cursors: Mapping[str, Cursor],
        *,
        on_reset: Callable[[str, int], None],
        on_left: Callable[[str], None],
    ) -> None:
        self._delivery = delivery
        self._on_reset = on_reset
        self._on_left = on_left
        self._loop = asyncio.get_running_loop()
        self._timelines = {room: Timeline(each.seq, epoch=each.epoch) for room, each in cursors.items() if each.seq}
        self._wake = asyncio.Event()
        self._quiet_until = 0.0
        #: AUTH_OK or RESUMED had no place for all rooms: those it left out have no news.
        self.cut = False
        self._doubts = 0

    # Where we are

    def have(self) -> tuple[tuple[str, int, int], ...]:
        """What RESUME tells: the rooms in which something happened last, as many as it holds."""
        rows = [(room, each.epoch, each.seq) for room, each in self._timelines.items()]
        return tuple(rows[-HAVE:])

    def place(self, room: str) -> int:
        """The last place held of a room."""
        timeline = self._timelines.get(room)
        return timeline.seq if timeline is not None else 0

    def epoch(self, room: str) -> int | None:
        """Which log of a room it is; None where nothing is known."""
        timeline = self._timelines.get(room)
        return timeline.epoch if timeline is not None else None

    def begin(self, heads: Iterable[tuple[str, int, int, int]]) -> None:
        """After a login: [room, epoch, head, place delivered to this device]."""
        rows = tuple(heads)
        self.cut = len(rows) >= HEADS
        self._forget_others({row[0] for row in rows})
        for room, epoch, head, delivered in rows:
            if room not in self._timelines:
                self._timelines[room] = Timeline(delivered, epoch=epoch)
            self.know(room, epoch, head)

    def resumed(self, rooms: Iterable[tuple[str, int, int, int, Verdict]]) -> None:
        """After RESUMED: [room, epoch, head, place to go on from, verdict]."""
        rows = tuple(rooms)
        self.cut = len(rows) >= HEADS
        self._forget_others({row[0] for row in rows})
        self._quiet_until = self._loop.time() + _PUSHED
        for room, epoch, head, place, verdict in rows:
            timeline = self._timelines.get(room)
            if verdict is Verdict.GONE:
                self.leave(room)
                self._on_left(room)
                continue
            if timeline is None:
                timeline = self._timelines[room] = Timeline(place, epoch=epoch)
            elif verdict is Verdict.RESET or epoch != timeline.epoch:
                self._reset(room, timeline, epoch)
                timeline.skip(place + 1)
            elif verdict is Verdict.TRUNCATED:
                timeline.skip(place + 1)
            self.know(room, epoch, head)

    def enter(self, room: str, epoch: int, head: int) -> None:
        """We entered a room whose log stands at `head`: what was before is not ours."""
        timeline = self._timelines.get(room)
        if timeline is None or timeline.epoch < epoch:
            self._timelines[room] = Timeline(head, epoch=epoch)

    def leave(self, room: str) -> None:
        """We left a room."""
        self._timelines.pop(room, None)

    # What comes

    def know(self, room: str, epoch: int, head: int) -> None:
        """The server says how far a log goes."""
        timeline = self._timelines.get(room)
        if timeline is None and self.cut:
            timeline = self._timelines[room] = Timeline(head - 1, epoch=epoch)
        elif timeline is None and room.startswith("@"):
            # Somebody began to talk to us, and none of it was pushed.
            timeline = self._timelines[room] = Timeline(0, epoch=epoch)
        if timeline is not None:
            if epoch > timeline.epoch:
                self._reset(room, timeline, epoch)
            timeline.know(epoch, head, self._loop.time())
            self._wake.set()

    def take(self, message: Message, whole: str | None = None) -> None:
        """An event came, or was stored by us; `whole` is its long text where that is known here."""
        timeline = self._timelines.get(message.room)
        if timeline is None:
            # A direct message begins at its first event; a room that another device entered, at that event.
            # Version 1 sends in unbroken order from where it left off.
            direct = message.room.startswith("@") and message.epoch is not None and not self.cut
            timeline = Timeline(0 if direct else message.seq - 1, epoch=message.epoch or 1)
        else:
            # The last to be spoken in is the last in the dict: `have` tells of those first.
            del self._timelines[message.room]
        self._timelines[message.room] = timeline
        if message.epoch is not None and message.epoch > timeline.epoch:
            self._reset(message.room, timeline, message.epoch)
        if message.epoch is not None and not self._delivery.room:
            # Push is only a hint: the application is behind, and this is fetched when it is not.
            timeline.know(message.epoch, message.seq, self._loop.time())
        else:
            self._give(timeline, [message], {message.seq: whole} if whole is not None else {})
        self._wake.set()

    def said(self, message: Message, whole: str | None) -> None:
        """What we said was stored; in a room that we have left since, nobody is shown it any more."""
        if message.room in self._timelines or message.room.startswith("@"):
            self.take(message, whole)

    def wake(self) -> None:
        """The application has read: there is room again."""
        self._wake.set()

    def doubt(self, theirs: bytes) -> bool:
        """A PONG told a digest of the heads; whether it differed twice in a row, so that TARGETS is to be asked."""
        ours = digest((room, each.epoch, each.head) for room, each in self._timelines.items())
        self._doubts = 0 if ours == theirs else self._doubts + 1
        if self._doubts < 2:
            return False
        self._doubts = 0
        return True

    async def compare(self, requests: Requests, *, aside: bool = True) -> None:
        """Ask for all heads, and know them from now on; a room that is not among them is ours no more."""
        after: str | None = None
        missing = dict(self._timelines)
        while True:
            page = await requests.ask(ListTargets(after=after, limit=PAGE), TargetList, aside=aside)
            for room, epoch, head, _, _, _ in page.targets:
                missing.pop(room, None)
                if room not in self._timelines:
                    self._timelines[room] = Timeline(0 if room.startswith("@") and not self.cut else head, epoch=epoch)
                self.know(room, epoch, head)
            if not page.more or not page.targets:
                break
            after = page.targets[-1][0]
        for room, timeline in missing.items():
            # Whoever left it and came back meanwhile has another one.
            if self._timelines.get(room) is timeline:
                self.leave(room)
                self._on_left(room)

    # What is asked for

    async def run(self, requests: Requests) -> None:
        """Close gaps until cancelled, or until the connection is lost."""
        while requests.lost is None:
            self._wake.clear()
            now = self._loop.time()
            waits = []
            for room, timeline in list(self._timelines.items()):
                wait = timeline.gap(now)
                if wait is None or not self._delivery.room:
                    continue
                wait = max(wait, self._quiet_until - now)
                if wait <= _HAIR:
                    await self._fill(requests, room, timeline)
                    wait = 0.0
                waits.append(wait)
            try:
                async with asyncio.timeout(min(waits) if waits else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _fill(self, requests: Requests, room: str, timeline: Timeline) -> None:
        """Fetch what is missing of a room, page by page, as far as there is room for it."""
        try:
            await self._pages(requests, room, timeline)
        except Refused as refusal:
            if refusal.code in (Code.NO_SUCH_ROOM, Code.NOT_MEMBER):
                if self._timelines.get(room) is timeline:  # and we have not come back since
                    self.leave(room)
                    self._on_left(room)
            else:
                await asyncio.sleep((refusal.retry_after or _RETRY) / 1000)
        except RemoteProtocolError as error:
            # A page with an event in it that is none: as if it had been sent by itself.
            requests.driver.fail(error.code, error.text)
        except (LinkLost, LocalProtocolError):
            # The end is near, and nothing can be asked on this connection any more.
            await asyncio.shield(requests.ended)

    async def _pages(self, requests: Requests, room: str, timeline: Timeline) -> None:
        """Several pages at a time, taken in order; what a page has no place for is asked for before the next."""
        under_way: deque[tuple[History, asyncio.Future[Pdu]]] = deque()
        epoch, size, asked = timeline.epoch, PAGE, timeline.seq
        try:
            while timeline.epoch == epoch and self._timelines.get(room) is timeline:
                end, asked = timeline.missing(), max(asked, timeline.seq)
                while asked < end and len(under_way) < DEEP and self._delivery.room > size * (len(under_way) + 1):
                    ask = _between(room, asked, min(end, asked + size))
                    under_way.append((ask, _begin(requests, ask)))
                    asked += ask.limit or 0
                if not under_way:
                    if timeline.seq >= end or asked > timeline.seq or not self._delivery.room:
                        return
                    size = max(1, min(size, self._delivery.room))
                    ask = _between(room, asked, min(end, asked + size))
                    under_way.append((ask, _begin(requests, ask)))
                    asked += ask.limit or 0
                ask, future = under_way.popleft()
                page = answered(ask, await future, HistoryPage)
                count = await self._page(requests, room, timeline, ask, page)
                if 0 < count < (ask.limit or 0):
                    size = max(_FEW, count)
        finally:
            for _, future in under_way:
                future.cancel()

    async def _page(self, requests: Requests, room: str, timeline: Timeline, ask: History, page: HistoryPage) -> int:
        """Take a page, and the rest of what it was to bring; how many events were in the first of them."""
        last = (ask.anchor or 0) + (ask.limit or 0)
        count = self._take_page(room, timeline, page)
        while count and page.events and timeline.epoch == page.epoch and timeline.seq < min(last, page.head):
            rest = _between(room, timeline.seq, last)
            page = answered(rest, await _begin(requests, rest), HistoryPage)
            self._take_page(room, timeline, page)
        return count

    def _take_page(self, room: str, timeline: Timeline, page: HistoryPage) -> int:
        if self._timelines.get(room) is not timeline:
            # We have left meanwhile, and perhaps come back.
            return 0
        events = unbroken(room, page)
        if page.epoch > timeline.epoch:
            self._reset(room, timeline, page.epoch)
        timeline.know(page.epoch, page.head, self._loop.time())
        timeline.skip(page.first)
        if not events and page.epoch == timeline.epoch:
            # Where the server has nothing, there is nothing to wait for.
            timeline.skip(timeline.missing() + 1)
        self._give(timeline, events, {})
        return len(events)

    def _give(self, timeline: Timeline, events: list[Message], wholes: Mapping[int, str]) -> None:
        for message in timeline.take(events, self._loop.time()):
            self._delivery.give(message, wholes.get(message.seq))

    def _forget_others(self, rooms: Collection[str]) -> None:
        """A login names all rooms, unless there are too many: the others were left meanwhile."""
        if not self.cut:
            for room in [room for room in self._timelines if room not in rooms]:
                self.leave(room)
                self._on_left(room)

    def _reset(self, room: str, timeline: Timeline, epoch: int) -> None:
        timeline.reset(epoch)
        self._delivery.drop(room)
        self._on_reset(room, epoch)


def _between(room: str, after: int, last: int) -> History:
    """Asks for the events after one place, up to another, which is the last one wanted."""
    return History(room=room, window=Window.BETWEEN, anchor=after, until=last + 1, limit=last - after)


def _begin(requests: Requests, ask: History) -> asyncio.Future[Pdu]:
    """A page on a query stream of its own."""
    sid = requests.open_query()
    future = requests.begin(ask, sid=sid)
    requests.driver.finish(sid)
    return future
