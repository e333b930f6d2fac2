"""A transfer as its user sees it: how far it is, how fast, and what he wishes of it. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from quicchat.client.files.phase import FINAL, MOVES, Direction, Phase
from quicchat.errors import LinkLost, Refused
from quicchat.values import dataclass
from quicchat.wire.chapters.files import Mode
from quicchat.wire.leaves import CHUNK

#: Seconds between two tellings of a transfer that only moves on.
_TELL: Final = 0.25
#: Seconds over which the rate is smoothed.
_SMOOTH: Final = 2.0


@dataclass(frozen=True, slots=True)
class Leg:
    """What came one way, and in how many seconds."""

    carried: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.carried / self.seconds if self.seconds > 0 else 0.0


class Transfer:
    """One file on its way here, or some on their way to the server.

    `done` and `resumed` are bytes that are verified where they go, `resumed` those that were there at the start.
    Of a fast one `missing` of its `pieces` are not here at the moment, and `lost` never came by themselves.
    `words` say what there is to say about it now; `failure` is why it stands still, where only `resume` would help
    or nothing does. `legs` tell the rates of both modes apart. `path` is where it is now.
    """

    def __init__(
        self,
        number: int,
        name: str,
        size: int | None,
        direction: Direction,
        *,
        room: str | None = None,
        mode: Mode = Mode.RELIABLE,
        tell: Callable[[Transfer], None],
    ) -> None:
        self.number = number
        self.name = name
        self.size = size
        self.direction = direction
        self.room = room
        self.mode = mode
        self.state = Phase.OFFERED
        self.done = self.resumed = self.hashed = 0
        self._rate = 0.0
        self.missing = self.pieces = self.lost = 0
        self.legs: dict[Mode, Leg] = {}
        self.words = ""
        self.failure: Refused | LinkLost | None = None
        self.path: Path | None = None
        #: Whether its user wants it to stand still.
        self.held = False
        #: Set when there is a wish, and at each change of state.
        self.wish = asyncio.Event()
        self._changed = asyncio.Event()
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._told = self._sampled = self._loop.time()
        self._since = 0

    # Getters

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINAL

    @property
    def rate(self) -> float:
        """Bytes a second at the moment; of what nothing is heard, no more came than one chunk that is not whole."""
        silent = self._loop.time() - self._sampled
        return self._rate if silent <= _SMOOTH else min(self._rate, (self._since + CHUNK) / silent)

    @property
    def eta(self) -> float | None:
        """Seconds that are left, as it goes at the moment."""
        if self.size is None or self.state is not Phase.TRANSFERRING or self.rate <= 0:
            return None
        return max(0.0, (self.size - self.done) / self.rate)

    async def finished(self) -> None:
        """Wait until it is done, or cancelled.

        Raises Refused or LinkLost as it failed, or where it stands still and only `resume` helps.
        """
        while not (self.state is Phase.DONE or self.state is Phase.CANCELLED):
            if self.failure is not None:
                raise self.failure
            self._changed.clear()
            await self._changed.wait()

    # Wishes

    def pause(self) -> None:
        """Stand still; what is verified stays."""
        if not (self.over or self.held):
            self.held = True
            self.move(Phase.PAUSED)

    def resume(self) -> None:
        """Go on, also after a failure that stopped it."""
        if not self.over and (self.held or self.failure is not None):
            self.held = False
            self.failure = None
            self.say("")

    def cancel(self) -> None:
        """Give it up; what is here of it goes."""
        self.move(Phase.CANCELLED)

    # What becomes of it

    def move(self, to: Phase, words: str = "") -> None:
        """Change its state, where that may follow; a final one stays."""
        if to is self.state:
            if words:
                self.say(words)
        elif to in MOVES[self.state]:
            self.state = to
            self.words = words
            self._rate = 0.0
            self._sampled, self._since = self._loop.time(), 0
            self._wake()

    def fail(self, failure: Refused | LinkLost, *, for_good: bool = True) -> None:
        """It failed, or stands still until somebody wants it to go on."""
        if not self.over:
            self.failure = failure
            words = failure.text if isinstance(failure, Refused) else str(failure)
            self.move(Phase.FAILED if for_good else Phase.PAUSED, words)
            self._wake()

    def say(self, words: str) -> None:
        """Something to know of it."""
        self.words = words
        self._wake()

    def gain(self, size: int) -> None:
        """So many bytes more are verified."""
        self.done += size
        self._since += size
        self.touch()

    def touch(self) -> None:
        """It moved on; told now and then."""
        now = self._loop.time()
        if now - self._told < _TELL:
            return
        elapsed = now - self._sampled
        if elapsed > 0:
            weight = min(1.0, elapsed / _SMOOTH) if self._rate else 1.0
            self._rate += weight * (self._since / elapsed - self._rate)
            self._sampled, self._since = now, 0
        self._told = now
        self._tell(self)

    def spent(self, mode: Mode, carried: int, seconds: float) -> None:
        """So much came that way."""
        leg = self.legs.get(mode, Leg())
        self.legs[mode] = Leg(leg.carried + carried, leg.seconds + seconds)

    def _wake(self) -> None:
        self._told = self._loop.time()
        self.wish.set()
        self._changed.set()
        self._tell(self)
