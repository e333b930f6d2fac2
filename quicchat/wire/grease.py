"""GREASE: reserved odd numbers that every sender sprinkles, so that peers keep ignoring the unknown. (spec 02-framing)

After RFC 8701. The numbers come from a seed, so that a run can be repeated; they protect nothing.
"""

from __future__ import annotations

from typing import Final

from quicchat.wire import cbor
from quicchat.wire.cbor import head
from quicchat.wire.registry import FIRST_EXTENSION_KEY, LAST_CORE_TYPE

_MODULUS: Final = 2**32


class Grease:
    """A stream of odd types, keys and capabilities from `seed`; seed 0 gives them too, but sprinkles nothing."""

    def __init__(self, seed: int, every: int = 32) -> None:
        self._state = seed % _MODULUS
        self._every = every
        #: Whether anything is to be sprinkled at all.
        self.sprinkles = self._state != 0

    def due(self) -> bool:
        """Whether to sprinkle now: about once in `every` times."""
        return self.sprinkles and self._draw() % self._every == 0

    def capability(self) -> int:
        """A capability that nobody has."""
        return 0x1000 + self._draw() % 0x1000 * 2 + 1

    def key(self) -> int:
        """A body key that nobody knows."""
        return FIRST_EXTENSION_KEY + self._draw() % 64 * 2 + 1

    def pdu(self, version: int) -> bytes:
        """A PDU of a type that nobody knows, encoded, with an empty body."""
        number = LAST_CORE_TYPE + 2 + self._draw() % 64 * 2
        pairs = (0, version), (1, number)
        outer = b"".join(head(cbor.UINT, key) + head(cbor.UINT, value) for key, value in pairs)
        return head(cbor.MAP, 3) + outer + head(cbor.UINT, 5) + head(cbor.MAP, 0)

    def _draw(self) -> int:
        # Numerical Recipes' constants; the low bits have short periods, so only the high ones are used.
        self._state = (self._state * 1664525 + 1013904223) % _MODULUS or 1
        return self._state >> 8
