"""The states of a transfer, and which follows which; pure. (spec 14-files)

OFFERED --> TRANSFERRING <--> PAUSED          OFFERED --> VERIFYING: what is here already comes first
                 |  ^                         any interruption is PAUSED; what is verified stays
                 v  |
              VERIFYING --> DONE              from all but the last three: FAILED, CANCELLED
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Direction(Enum):
    """Which way a file goes."""

    UP = "up"
    DOWN = "down"


class Phase(Enum):
    """How far a transfer has come."""

    OFFERED = "offered"
    TRANSFERRING = "transferring"
    PAUSED = "paused"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: After these comes nothing.
FINAL: Final = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED})

_ENDS: Final = frozenset({Phase.FAILED, Phase.CANCELLED})
MOVES: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.OFFERED: _ENDS | {Phase.TRANSFERRING, Phase.VERIFYING, Phase.PAUSED},
    Phase.TRANSFERRING: _ENDS | {Phase.VERIFYING, Phase.PAUSED},
    Phase.PAUSED: _ENDS | {Phase.OFFERED, Phase.TRANSFERRING},
    Phase.VERIFYING: _ENDS | {Phase.TRANSFERRING, Phase.PAUSED, Phase.DONE},
    Phase.DONE: frozenset(),
    Phase.FAILED: frozenset(),
    Phase.CANCELLED: frozenset(),
}
