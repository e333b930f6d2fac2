"""Time and randomness: the machine's own, or ones that tests and simulations set by hand. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import time
from typing import Final

#: 2025-11-21 08:00:00 UTC, in ms: where a manual clock starts unless told otherwise.
START: Final = 1_763_712_000_000


class SystemClock:
    """The port `Clock`, from the operating system. Waiting goes by monotonic time, so a changed clock is harmless."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self, size: int) -> bytes:
        return os.urandom(size)


class ManualClock:
    """The port `Clock`, standing still until `advance` is called; the same seed gives the same bytes.

    `set` changes the time of day alone, as an operator does: nobody who waits wakes earlier or later for it.
    """

    def __init__(self, now: int = START, *, seed: int = 0) -> None:
        self._offset = now
        self._elapsed = 0.0
        self._random = random.Random(seed)
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> int:
        return self._offset + round(self._elapsed * 1000)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (self._elapsed + seconds, self._count, woken))
        await woken

    def random(self, size: int) -> bytes:
        return self._random.randbytes(size)

    @property
    def next_due(self) -> float | None:
        """Seconds until the next one who waits is due, or None when nobody waits."""
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        return self._waiting[0][0] - self._elapsed if self._waiting else None

    def advance(self, seconds: float) -> None:
        """Let time pass; those who are due wake in order, at the loop's next turn, when all of it has passed."""
        self._elapsed += seconds
        while (due := self.next_due) is not None and due <= 0:
            heapq.heappop(self._waiting)[2].set_result(None)

    def set(self, now: int) -> None:
        """Change the time of day, forward or back."""
        self._offset += now - self.now()
