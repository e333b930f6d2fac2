"""Where a client's chance comes from: the system, or a seed where a run is to be repeated. (ARCHITECTURE)"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from quicchat.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from quicchat.transport.shelf import Shelf

#: So many random bytes.
Chance = Callable[[int], bytes]


def number(chance: Chance, size: int = 4) -> int:
    """A random number of so many bytes."""
    return int.from_bytes(chance(size), "big")


def fraction(chance: Chance) -> float:
    """A random number from 0 to 1, 1 excluded."""
    return (number(chance, 8) >> 11) / (1 << 53)


def wall() -> float:
    """Unix time in seconds: told to the server and shown to people, never relied on."""
    return time.time()  # noqa: TID251 - the one place where a client reads the time of day


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Chance and the time of day; a simulation gives its own."""

    chance: Chance = secrets.token_bytes
    wall: Callable[[], float] = wall
    #: Where connections that ended with a fault are kept, if anywhere.
    flights: Shelf | None = None
    #: Where each connection leaves what it did on the level of QUIC, if anywhere.
    qlog: Path | None = None


#: This machine's own.
HERE: Final = Surroundings()
