"""All chance of a simulation, drawn from its seed; and what it did, as a trace. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import hashlib
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from quicchat.client.chance import Surroundings
from quicchat.server import app

#: Unix time in seconds at which every simulation begins.
START: Final = 1_800_000_000
_UNIT: Final = 2.0**32


class Draws(random.Random):
    """What one part of a simulation draws; parts do not disturb each other's numbers."""

    def __init__(self, seed: int, part: str) -> None:
        super().__init__(f"{seed} {part}")

    def token_bytes(self, size: int) -> bytes:
        """As `secrets.token_bytes`."""
        return self.randbytes(size)

    def randbits(self, bits: int) -> int:
        """As `secrets.randbits`."""
        return self.getrandbits(bits)

    def one_in(self, count: int) -> bool:
        """True as often as that."""
        return self.randrange(count) == 0


class Dice:
    """Numbers from 0 to 1 for the n-th packet on a path: none depends on what happened to other packets."""

    def __init__(self, seed: int, path: str) -> None:
        self._base = hashlib.blake2b(f"{seed} {path}".encode(), digest_size=16)

    def roll(self, number: int) -> tuple[float, float, float, float]:
        """Four numbers."""
        state = self._base.copy()
        state.update(b"%d" % number)
        one, two, three, four = struct.unpack("<4I", state.digest())
        return one / _UNIT, two / _UNIT, three / _UNIT, four / _UNIT


class LoopClock:
    """The server's port `Clock` on the loop's time."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws

    def now(self) -> int:
        return START * 1000 + round(asyncio.get_running_loop().time() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self, size: int) -> bytes:
        return self._draws.randbytes(size)


class Trace:
    """What happened, in order; two runs of a seed have the same `digest`. Packets are kept on demand only."""

    def __init__(self, *, packets: bool = False) -> None:
        self.lines: list[str] = []
        self._packets = packets
        self._hash = hashlib.blake2b(digest_size=16)
        self._loop = asyncio.get_running_loop()

    @property
    def digest(self) -> str:
        """What tells this run from any other."""
        return self._hash.hexdigest()

    def note(self, who: str, what: str) -> None:
        """Something that a reader wants to see."""
        line = f"{self._loop.time():9.4f}  {who:8} {what}"
        self.lines.append(line)
        self._hash.update(line.encode())

    def packet(self, path: str, number: int, size: int, fate: str) -> None:
        """A packet was sent."""
        line = f"{self._loop.time():9.4f}  {path:8} packet {number}, {size} bytes{fate}"
        self._hash.update(line.encode())
        if self._packets:
            self.lines.append(line)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While the block runs, what the server would draw from the system, besides its clock's, comes from the seed."""
    with patch.object(app, "secrets", Draws(seed, "app")):
        yield


def surroundings(draws: Draws) -> Surroundings:
    """The chance and the time of day of a client."""
    return Surroundings(chance=draws.randbytes, wall=lambda: START + asyncio.get_running_loop().time())
