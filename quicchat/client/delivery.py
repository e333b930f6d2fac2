"""From the timelines to the application: long texts made whole, all of it remembered, in order. (spec 06-messages)"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from quicchat.client.bodies import whole_of
from quicchat.client.e2ee.provider import AT_ONCE, Provider, reads
from quicchat.client.inbox import Inbox
from quicchat.client.memory import Held
from quicchat.client.scribe import Scribe
from quicchat.client.seal import Opened
from quicchat.errors import MEANINGS, LinkLost, LocalProtocolError, Refused
from quicchat.wire.chapters.messages import POSTABLE, WHOLE, Message

log = logging.getLogger("quicchat.client")

#: Events that wait behind a long text, in all rooms together.
_BEHIND: Final = 256
#: How often a long text is asked for that is refused for the moment, and the longest wait in between, in seconds.
_ATTEMPTS: Final = 8
_LONGEST: Final = 60.0


class Delivery:
    """Takes the events of each room in order, and gives them out in the same order.

    What is sealed is opened by the `provider`, and `opened` is told of it. `unfold` fetches a long text; while that
    is done, or keys are asked for, what follows in that room waits. Where a text cannot be had, the beginning is given
    out as it came; where the connection is lost, all of it waits for `resume`.
    """

    def __init__(
        self,
        scribe: Scribe,
        inbox: Inbox,
        provider: Provider,
        unfold: Callable[[Message], Awaitable[str]],
        opened: Callable[[Message], None],
    ) -> None:
        self._scribe = scribe
        self._inbox = inbox
        self._provider = provider
        self._unfold = unfold
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, deque[Held]] = {}
        #: Sealed events that were opened in this turn of the loop.
        self._in_turn = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def room(self) -> int:
        """How many events may come at the moment; 0 where application or disk are too far behind."""
        behind = sum(map(len, self._waiting.values()))
        return 0 if behind >= _BEHIND else max(0, self._inbox.room - self._scribe.behind)

    def waits(self, room: str) -> bool:
        """Whether events of a room wait for a long text."""
        return room in self._waiting

    def give(self, event: Message, whole: str | None = None) -> None:
        """The next event of its room; `whole` where a long text is known already."""
        said = self._provider.open(event) if event.room not in self._waiting and self._has_time(event) else None
        if said is None or (whole is None and whole_of(said) is not None):
            self._waiting.setdefault(event.room, deque()).append(Held(said or event, whole))
            self._start(event.room)
        else:
            self._give(Held(said, whole))

    def resume(self) -> None:
        """There is a connection again."""
        for room in self._waiting:
            self._start(room)

    def drop(self, room: str) -> None:
        """What waits of a room is not true any more."""
        self._waiting.pop(room, None)
        if (task := self._tasks.pop(room, None)) is not None:
            task.cancel()

    def close(self) -> None:
        """Nothing is given out any more."""
        for room in list(self._tasks):
            self.drop(room)

    def _has_time(self, event: Message) -> bool:
        """Whether it can be opened now, or others are to have their turn first."""
        if event.sealed is None:
            return True
        if not self._in_turn:
            self._loop.call_soon(self._next_turn)
        self._in_turn += 1
        return self._in_turn <= AT_ONCE

    def _next_turn(self) -> None:
        self._in_turn = 0

    def _start(self, room: str) -> None:
        if room not in self._tasks:
            self._tasks[room] = self._loop.create_task(self._work(room))

    async def _work(self, room: str) -> None:
        waiting = self._waiting[room]
        try:
            while waiting:
                held = waiting[0]
                # The key of one that waits may be in the one before it.
                if not self._has_time(held.event):
                    await asyncio.sleep(0)
                held = replace(held, event=await reads(self._provider, held.event))
                if held.whole is None and whole_of(held.event) is not None:
                    held = await self._whole(held)
                waiting.popleft()
                self._give(held)
            del self._waiting[room]
        except (LinkLost, LocalProtocolError):
            # It is asked for again on the next connection; if there is none, on the next start.
            return
        finally:
            if self._tasks.get(room) is asyncio.current_task():
                del self._tasks[room]

    async def _whole(self, held: Held) -> Held:
        event = held.event
        for attempt in range(_ATTEMPTS):
            try:
                return Held(event, await self._unfold(event))
            except Refused as refusal:
                where = {"room": event.room, "seq": event.seq, "error": refusal.text}
                log.warning("the whole of a message cannot be had", extra=where)
                if not MEANINGS[refusal.code].temporary:
                    break
                await asyncio.sleep(min(_LONGEST, max(2.0**attempt, (refusal.retry_after or 0) / 1000)))
        return held

    def _give(self, held: Held) -> None:
        self._inbox.traces.given(held.event)
        self._scribe.hold(held)
        self._provider.held(held.event)
        if isinstance(held.event, Opened):
            self._opened(held.event)
        self.show(held)

    def show(self, held: Held) -> None:
        """Give out what is held, unless it is somebody's whom the user ignores."""
        if held.event.sender in self._scribe.ignored and held.event.kind in POSTABLE:
            self._scribe.passed(held.event)
        else:
            self._inbox.put(shown(held))


def shown(held: Held) -> Message:
    """An event as people see it: with its whole text, and without the attachment that stood for it."""
    if held.whole is None:
        return held.event
    others = tuple(each for each in held.event.attachments or () if each[2] != WHOLE)
    return replace(held.event, text=held.whole, attachments=others or None)
