"""Leaves: a file's chunks, their digests, and the root that names it, so that each chunk proves itself. (spec 14-files)

    leaf = SHA-256(chunk)
    file = SHA-256("quicchat file 1" || 0 || size, 8 bytes || chunk size, 4 bytes || leaf || leaf ...)

The last chunk is as long as what is left; an empty file has no leaves.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Protocol

#: Bytes to a chunk, where nothing speaks for another size.
CHUNK: Final = 262_144
#: Bytes to a leaf, and to a file's id.
LEAF: Final = 32
#: The most leaves a file may have.
MOST: Final = 1_048_576

_TAG: Final = b"quicchat file 1\0"


class Hash(Protocol):
    """A digest in the making."""

    def update(self, data: bytes, /) -> None:
        """Take more of what is digested."""

    def digest(self) -> bytes:
        """Of all that was taken."""


def count(size: int, chunk: int) -> int:
    """How many chunks a file of `size` bytes has."""
    return -(-size // chunk)


def length(index: int, size: int, chunk: int) -> int:
    """How many bytes the chunk with this number has, from 0 on."""
    return min(chunk, size - index * chunk)


def leaf(data: bytes | memoryview) -> bytes:
    """The digest of a chunk."""
    return sha256(data).digest()


def root(size: int, chunk: int, leaves: bytes) -> bytes:
    """The id of a file, from all its leaves one after the other. Raises ValueError where there are too few or many."""
    if len(leaves) != LEAF * count(size, chunk):
        raise ValueError(f"{len(leaves)} bytes are not the leaves of {count(size, chunk)} chunks")
    state = begin(size, chunk)
    state.update(leaves)
    return state.digest()


def begin(size: int, chunk: int) -> Hash:
    """What becomes the root as it is given the leaves one after the other."""
    return sha256(b"".join((_TAG, size.to_bytes(8, "big"), chunk.to_bytes(4, "big"))))


def of(data: bytes, chunk: int = CHUNK) -> tuple[bytes, bytes]:
    """Id and leaves of what is in memory."""
    leaves = b"".join(leaf(data[at : at + chunk]) for at in range(0, len(data), chunk))
    return root(len(data), chunk, leaves), leaves
