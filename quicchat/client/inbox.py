"""What waits for the application: events in order, and bounded, for push is only a hint. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from quicchat.client.events import Happening
from quicchat.client.memory import WAITING
from quicchat.client.traces import Traces
from quicchat.wire.chapters.messages import Message
from quicchat.wire.registry import Pdu

Event = Pdu | Happening


def _nothing(message: Message) -> None:
    """Nobody counts."""


class Inbox:
    """A queue for one reader. While it is `full` nothing of any log may be put in: it is fetched later.

    What is left of the room belongs to events that are not in any log; of those the oldest give way. `traces`
    remembers how messages came here, and how those of one's own went.
    """

    def __init__(self, traces: Traces, *, most: int = WAITING) -> None:
        self.traces = traces
        self._most = most
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._closed = False
        #: Told of each message that the application was given, and when there is room again.
        self.on_given: Callable[[Message], None] = _nothing
        self.on_room: Callable[[], None] = lambda: None

    @property
    def full(self) -> bool:
        """Whether the application is so far behind that nothing more is queued for it."""
        return len(self._events) >= self._most

    @property
    def room(self) -> int:
        """How many events may still be put in."""
        return max(0, self._most - len(self._events))

    def put(self, event: Event) -> None:
        """Queue an event."""
        if self._closed:
            return
        if len(self._events) >= 2 * self._most:
            self._forget_one()
        self._events.append(event)
        self._news.set()

    def close(self) -> None:
        """Nothing more comes: the reader ends when he has all."""
        self._closed = True
        self._news.set()

    async def next(self) -> Event | None:
        """The next event; None at the end."""
        while not self._events:
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        event = self._events.popleft()
        if isinstance(event, Message):
            self.traces.shown(event)
            self.on_given(event)
        if len(self._events) == self._most // 2:
            self.on_room()
        return event

    def _forget_one(self) -> None:
        for index, event in enumerate(self._events):
            if not isinstance(event, Message):
                del self._events[index]
                return
