"""How fast the kit calls: as fast as it can, until a server closes connections for their rate. (spec 08-limits)"""

from __future__ import annotations

import asyncio
from typing import Final

#: Seconds between two connections: the first guess, the rate of 8.3 with some room, and the slowest.
FIRST: Final = 0.06
SLOWEST: Final = 2.0
#: Signs within this time are one: they belong to connections that were begun together.
_ONE_SIGN: Final = 1.0


class Pace:
    """Lets connections begin one after the other, `gap` seconds apart, once somebody has complained."""

    def __init__(self) -> None:
        self.gap = 0.0
        self._next = 0.0
        self._told = float("-inf")

    def slow_down(self) -> None:
        """Somebody complained; what was begun before that may still bring more complaints, which tell nothing new."""
        now = asyncio.get_running_loop().time()
        if now - self._told >= _ONE_SIGN + self.gap:
            self._told = now
            self.gap = min(max(self.gap * 1.5, FIRST), SLOWEST)
        self._next = max(self._next, now + self.gap)

    async def turn(self) -> None:
        """Return when the next connection may begin."""
        if not self.gap:
            return
        now = asyncio.get_running_loop().time()
        at = self._next = max(self._next + self.gap, now)
        await asyncio.sleep(at - now)
