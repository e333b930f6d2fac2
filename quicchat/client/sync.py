"""Timelines: a room's events in unbroken order, whatever came late, twice or not at all; pure. (spec 06-messages)"""

from __future__ import annotations

from collections.abc import Iterable

from quicchat.errors import Code, RemoteProtocolError
from quicchat.wire import codec
from quicchat.wire.chapters.messages import HistoryPage, Message

#: Events held while one before them is missing, and for how many seconds, until the gap is fetched.
HELD = 64
PATIENCE = 1.0
#: Events held at most; those beyond, the latest, are fetched once their turn comes.
MOST_HELD = 256


class Timeline:
    """One room as this device has it. `take` what came, `gap` tells what to fetch and when."""

    __slots__ = ("_held", "_since", "epoch", "head", "seq")

    def __init__(self, seq: int, *, epoch: int = 1) -> None:
        self.epoch = epoch
        #: The last place that was given out; everything up to it was, or is gone for good (`skip`).
        self.seq = seq
        #: The last place that is known to be taken.
        self.head = seq
        self._held: dict[int, Message] = {}
        self._since: float | None = None

    def take(self, events: Iterable[Message], now: float) -> list[Message]:
        """The events that are in order now; doubles vanish, early ones wait.

        An event of a later epoch starts the room anew; one of an earlier epoch is a late double.
        """
        for event in events:
            epoch = event.epoch or self.epoch
            if epoch > self.epoch:
                self.reset(epoch)
            if epoch == self.epoch and event.seq > self.seq:
                self._held[event.seq] = event
                self.head = max(self.head, event.seq)
        # Those before `seq` were held when `skip` passed them by.
        ready = [self._held.pop(seq) for seq in sorted(self._held) if seq <= self.seq]
        while (event_ready := self._held.pop(self.seq + 1, None)) is not None:
            ready.append(event_ready)
            self.seq += 1
        for seq in sorted(self._held)[MOST_HELD:]:
            del self._held[seq]
        if self.seq >= self.head:
            self._since = None
        elif self._since is None or ready:
            self._since = now
        return ready

    def know(self, epoch: int, head: int, now: float) -> None:
        """The server says how far the log goes."""
        if epoch < self.epoch:
            return
        if epoch > self.epoch:
            self.reset(epoch)
        self.head = max(self.head, head)
        if self.seq < self.head and self._since is None:
            self._since = now

    def skip(self, first: int) -> None:
        """The log is kept only from `first` on: what is missing before it cannot be fetched any more."""
        self.seq = max(self.seq, first - 1)
        self.head = max(self.head, self.seq)

    def reset(self, epoch: int) -> None:
        """The log was replaced: nothing that was held belongs to it."""
        self.epoch = epoch
        self.seq = self.head = 0
        self._held.clear()
        self._since = None

    def missing(self) -> int:
        """The last place of the first gap: what follows it is held, or not known to be taken."""
        return min(self._held) - 1 if self._held else self.head

    def gap(self, now: float) -> float | None:
        """Seconds until what is missing should be fetched (0: now), or None when nothing is missing."""
        if self._since is None or self.seq >= self.head:
            return None
        if not self._held or len(self._held) > HELD:
            return 0.0
        return max(0.0, self._since + PATIENCE - now)


def unbroken(room: str, page: HistoryPage) -> list[Message]:
    """The events of a page: one after the other in the log that it is of. Raises RemoteProtocolError."""
    events = [codec.decode_body(Message, body, version=2) for body in page.events]
    first = events[0].seq if events else 1
    for seq, event in enumerate(events, start=first):
        if (event.room, event.epoch or page.epoch, event.seq) != (room, page.epoch, seq) or not 0 < seq <= page.head:
            raise RemoteProtocolError(Code.SCHEMA, "HISTORY_R is no page of the log that was asked for.")
    return events
