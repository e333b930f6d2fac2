"""The reminder: one thing that is looked at again after a time, or sooner. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Reminder:
    """Calls `look` once, at the earliest of the times it was told; after `stop` never again."""

    __slots__ = ("_look", "_loop", "_stopped", "_timer")

    def __init__(self, look: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def within(self, seconds: float) -> None:
        """Look in so many seconds, or sooner."""
        at = self._loop.time() + seconds
        if self._stopped or (self._timer is not None and self._timer.when() <= at):
            return
        self.cancel()
        self._timer = self._loop.call_at(at, self._due)

    def cancel(self) -> None:
        """It was looked at just now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """There is nothing to look at any more."""
        self._stopped = True
        self.cancel()

    def _due(self) -> None:
        self._timer = None
        self._look()
