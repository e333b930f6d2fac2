"""The flight recorder: the last that was said on a connection, until it is known how that ends. (spec 12-operation)"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from quicchat.errors import Code
from quicchat.protocol.connection import Connection, Lost
from quicchat.protocol.events import Bytes, Closed, Datagram, LinkEvent
from quicchat.values import dataclass
from quicchat.wire.registry import Role
from quicchat.wire.states import State

#: What is kept of one connection: events, and bytes of each on average; a server, which has many, keeps fewer.
MOST: Final = 200
FEW: Final = 64
EACH: Final = 320
#: The ends that are worth a file: somebody broke the protocol, or made a mistake.
FAULTS: Final = frozenset(
    {
        *(Code.NEGOTIATION_TIMEOUT, Code.FRAME_TOO_LARGE, Code.DECODE, Code.SCHEMA, Code.STATE, Code.UNSUPPORTED),
        *(Code.VERSION, Code.STREAM_MISUSE, Code.LIMIT, Code.INTERNAL),
    }
)
_WITH_DATA: Final = (Bytes, Datagram)


@dataclass(frozen=True, slots=True)
class Note:
    """One event: when (seconds on the loop's clock), in which state, and whether it came or was sent."""

    at: float
    state: State
    came: bool
    event: LinkEvent


@dataclass(frozen=True, slots=True)
class Flight:
    """A connection that ended with a fault, as `role` saw it; it is `whole` where nothing was thrown away."""

    role: Role
    version: int | None
    code: Code
    remote: bool
    notes: Sequence[Note]
    whole: bool


class Recorder:
    """Keeps what passes over one link; `land` gets it where it ended with a fault."""

    __slots__ = ("_bytes", "_kept", "_land", "_most", "_size", "_whole")

    def __init__(self, land: Callable[[Flight], None], most: int = MOST) -> None:
        self._land = land
        self._most = most
        self._bytes = most * EACH
        self._kept: deque[tuple[float, State, bool, LinkEvent]] = deque()
        self._size = 0
        self._whole = True

    def note(self, at: float, state: State, came: bool, event: LinkEvent) -> None:
        """Something passed."""
        kept = self._kept
        kept.append((at, state, came, event))
        if isinstance(event, _WITH_DATA):
            self._size += len(event.data)
        if self._size > self._bytes or len(kept) > self._most:
            self._shed()

    def end(self, connection: Connection, end: Lost | Closed) -> None:
        """The connection is over."""
        if end.code in FAULTS:
            notes = [Note(*each) for each in self._kept]
            self._land(Flight(connection.role, connection.version, Code(end.code), end.remote, notes, self._whole))
        self._kept.clear()
        self._size = 0

    def _shed(self) -> None:
        # A quarter at once: this is on the way of every PDU. The last event stays, however large: it may be the fault.
        kept = self._kept
        while len(kept) > 1 and (self._size > self._bytes * 3 // 4 or len(kept) > self._most * 3 // 4):
            self._whole = False
            event = kept.popleft()[3]
            if isinstance(event, _WITH_DATA):
                self._size -= len(event.data)
