"""The journal: what was delivered lately, for those whose login overtook it. (spec 03-session)

A login reads from the store where its user is a member, and only then begins to hear. What is delivered between
the two stands here, so that no JOIN, LEAVE or message falls into the gap.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from quicchat.server.effects import Deliver, OfUsers
from quicchat.server.requests import size
from quicchat.wire.chapters.messages import Message, ReceiptEvent

#: Deliveries, and bytes that they hold, that are remembered.
ENTRIES: Final = 4_096
SIZE: Final = 8_388_608


class Journal:
    """The last deliveries in order, by a running number."""

    __slots__ = ("_first", "_kept", "_size", "entries", "size")

    def __init__(self, entries: int = ENTRIES, size: int = SIZE) -> None:
        self.entries = entries
        self.size = size
        #: Each delivery, and the bytes that it holds.
        self._kept: deque[tuple[Deliver, int]] = deque()
        self._first = 0
        self._size = 0

    def mark(self) -> int:
        """Now, as a number."""
        return self._first + len(self._kept)

    def add(self, effect: Deliver) -> None:
        """Remember a delivery. What is told to whole rooms and stored nowhere is not worth it, nor are hints."""
        if not isinstance(effect.pdu, Message) and not isinstance(effect.to, OfUsers):
            return
        if isinstance(effect.pdu, ReceiptEvent):
            return
        held = size(effect.pdu) + sum(map(size, effect.own.values()))
        self._kept.append((effect, held))
        self._size += held
        while len(self._kept) > self.entries or self._size > self.size:
            self._size -= self._kept.popleft()[1]
            self._first += 1

    def since(self, mark: int) -> list[Deliver] | None:
        """What was delivered since; None when not all of it is remembered any more."""
        if mark < self._first:
            return None
        return [self._kept[index][0] for index in range(mark - self._first, len(self._kept))]
