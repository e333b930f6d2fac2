"""Files as the kit has them: chunks, leaves, and the id that they give. (spec 14-files)"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final

from quicchat.values import dataclass

LEAF: Final = 32


def root(size: int, chunk: int, leaves: bytes) -> bytes:
    """The id of a file (14.1), whatever the leaves."""
    head = b"quicchat file 1\x00" + size.to_bytes(8, "big") + chunk.to_bytes(4, "big")
    return hashlib.sha256(head + leaves).digest()


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file: its bytes, and how they are cut."""

    data: bytes
    chunk: int = 4096

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def leaves(self) -> bytes:
        """All leaves, one after the other."""
        return b"".join(
            hashlib.sha256(self.data[start : start + self.chunk]).digest() for start in range(0, self.size, self.chunk)
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What every PDU about it says."""
        return {"file": self.id, "size": self.size, "chunk": self.chunk}

    @property
    def id(self) -> bytes:
        return root(self.size, self.chunk, self.leaves)


def some(size: int = 20_000, chunk: int = 4096) -> Parcel:
    """A file that nobody has."""
    return Parcel(os.urandom(size), chunk)
