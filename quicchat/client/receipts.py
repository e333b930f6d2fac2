"""Telling how far one has come: durable up-to places, a few at a time. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from quicchat.wire.chapters.messages import Receipt

#: Receipts of one room are sent at most once in this many seconds.
COALESCE: Final = 0.3


class Receipts:
    """Places to be told, a moment later, by `tell`. With `private` nobody else learns what was read.

    `count` is called behind them where something was read in part: only the server can tell what is left.
    What is learned between `lost` and `begin` waits; what was read is told anew then, for nothing answers a RECEIPT.
    """

    def __init__(self, tell: Callable[[Receipt], None], count: Callable[[], None], *, private: bool = False) -> None:
        self._tell = tell
        self._count = count
        self._private = private
        self._loop = asyncio.get_running_loop()
        self._delivered: dict[str, int] = {}
        #: What was told on the connection of the moment.
        self._told: dict[str, int] = {}
        self._told_read: dict[str, int] = {}
        self._read: dict[str, int] = {}
        self._in_part: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._online = False

    def begin(self) -> None:
        """A new connection: what was told on the last one may have been lost with it, and is told again."""
        self._online = True
        self._delivered = {**self._told, **self._delivered}
        self._read = {**self._told_read, **self._read}
        if self._delivered or self._read:
            self._start()

    def lost(self) -> None:
        """There is nobody to tell it to."""
        self._online = False
        self._stop()

    def delivered(self, room: str, seq: int) -> None:
        """This device holds everything up to here."""
        if seq > max(self._told.get(room, 0), self._delivered.get(room, 0)):
            self._delivered[room] = seq
            self._start()

    def read(self, room: str, seq: int, *, left: bool = False) -> None:
        """The user has read everything up to here; whether something is `left`."""
        self._read[room] = max(seq, self._read.get(room, 0))
        (self._in_part.add if left else self._in_part.discard)(room)
        self._start()

    def forget(self, room: str) -> None:
        """There is nothing to tell of this room any more."""
        self._delivered.pop(room, None)
        self._read.pop(room, None)
        self._in_part.discard(room)
        self._told.pop(room, None)
        self._told_read.pop(room, None)

    def flush(self) -> None:
        """Tell now."""
        if not self._online:
            return
        self._stop()
        for room in {**self._delivered, **self._read}:
            read = self._read.get(room)
            private = (read is not None and self._private) or None
            self._tell(Receipt(room=room, delivered=self._delivered.get(room), read=read, private=private))
        self._told.update(self._delivered)
        self._told_read.update(self._read)
        self._delivered.clear()
        self._read.clear()

    def _start(self) -> None:
        if self._timer is None and self._online:
            self._timer = self._loop.call_later(COALESCE, self._due)

    def _due(self) -> None:
        self.flush()
        if self._in_part:
            self._in_part.clear()
            self._count()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
