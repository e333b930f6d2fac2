"""Requests: those of one session that wait for their turn, in the order in which they came. (spec 08-limits)"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from quicchat.values import dataclass
from quicchat.wire.registry import Pdu

#: Bytes that requests of one session may hold while they run or wait for their turn; more are refused.
HELD: Final = 1_048_576
#: What a request holds beyond its texts, about.
_OVERHEAD: Final = 512
#: What a list or a place in it holds, about.
_PLACE: Final = 32


@dataclass(frozen=True, slots=True)
class Request:
    """Where an answer goes: the stream and the id that it answers; neither for what nobody asked.

    `silent` is what came as a datagram, or happened by itself: nobody waits to be told that it was refused.
    """

    sid: int | None = None
    id: int | None = None
    size: int = 0
    silent: bool = False


#: For what nobody asked: it answers nothing, and nobody is told that it failed.
UNASKED: Final = Request(silent=True)
Waiting = tuple[Pdu, Request]


class Queue:
    """Requests start in order; but one on a query stream of its own may pass those that have to wait."""

    __slots__ = ("_lanes", "_number", "delay", "held", "running")

    def __init__(self) -> None:
        #: Handlers at work, and the bytes that they and those who wait hold.
        self.running = 0
        self.held = 0
        #: After `take` found none that may start: in how many seconds to look again; for ever, if only news helps.
        self.delay = inf
        self._lanes: tuple[deque[tuple[int, Waiting]], ...] = (deque(), deque())
        self._number = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def fits(self, request: Request) -> bool:
        """Whether one more may wait."""
        return self.held + request.size <= HELD

    def add(self, pdu: Pdu, request: Request, *, aside: bool) -> None:
        """A request came; `aside` on a query stream."""
        self._number += 1
        self.held += request.size
        self._lanes[aside].append((self._number, (pdu, request)))

    def take(self, wait: Callable[[Pdu], float]) -> Waiting | None:
        """The next that may start; `wait` says how many seconds one has to wait yet."""
        self.delay = inf
        for lane in sorted(filter(None, self._lanes), key=lambda each: each[0][0]):
            delay = wait(lane[0][1][0])
            if delay <= 0:
                return lane.popleft()[1]
            self.delay = min(self.delay, delay)
        return None

    def clear(self) -> None:
        """Forget those who wait."""
        for lane in self._lanes:
            self.held -= sum(request.size for _, (_, request) in lane)
            lane.clear()


def size(pdu: Pdu) -> int:
    """Bytes that a request holds in memory, about; unknown keys, which may be anything, too."""
    held = _OVERHEAD
    nested: list[object] = [pdu.extra] if pdu.extra else []
    for field in pdu.SPEC.fields:
        value = getattr(pdu, field.name)
        kind = type(value)
        if kind is str or kind is bytes:
            held += len(value)
        elif kind is tuple:
            nested.append(value)
    return held + _nested(nested) if nested else held


def _nested(level: list[object]) -> int:
    """Bytes that lists and maps hold. Level by level: a call for each of 65,000 lists would hold up the loop."""
    held = 0
    while level:
        inner: list[object] = []
        for each in level:
            if isinstance(each, (str, bytes)):
                held += len(each)
            elif isinstance(each, (tuple, list, Mapping)):
                held += _PLACE * (1 + len(each))
                inner += each.values() if isinstance(each, Mapping) else each
        level = inner
    return held
