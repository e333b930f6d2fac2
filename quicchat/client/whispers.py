"""What may be lost without harm: that somebody is writing, that somebody is there. (spec 07-presence)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from quicchat.wire.chapters.presence import TICK_TTL, TYPING_TTL, Tick, Typing
from quicchat.wire.registry import Pdu

#: Seconds between two of the same, so that one that is lost does not matter.
REPEAT: Final = 3.0
TICKS: Final = 60.0


class Whispers:
    """Sends datagrams by `whisper`; the counter grows over all connections of this program."""

    def __init__(self, whisper: Callable[[Pdu], None], counter: int) -> None:
        self._whisper = whisper
        self._loop = asyncio.get_running_loop()
        #: Begins at the time of day (ms), so that it grows over the runs of the program too.
        self._counter = counter
        self._typing: dict[str, asyncio.TimerHandle] = {}
        self._ticked: float | None = None

    def typing(self, room: str, on: bool) -> None:
        """The user began to write in a room, or stopped."""
        timer = self._typing.pop(room, None)
        if timer is not None:
            timer.cancel()
        if on:
            self._type(room)
        elif timer is not None:
            self._whisper(Typing(room=room, counter=self._next(), ttl=0))

    def active(self) -> None:
        """The user is at his keyboard: tell it, but not at every key."""
        now = self._loop.time()
        if self._ticked is None or now - self._ticked >= TICKS:
            self._ticked = now
            self._whisper(Tick(counter=self._next(), ttl=TICK_TTL))

    def close(self) -> None:
        """Say nothing any more."""
        for timer in self._typing.values():
            timer.cancel()
        self._typing.clear()

    def _type(self, room: str) -> None:
        self._whisper(Typing(room=room, counter=self._next(), ttl=TYPING_TTL))
        self._typing[room] = self._loop.call_later(REPEAT, self._type, room)

    def _next(self) -> int:
        self._counter += 1
        return self._counter
