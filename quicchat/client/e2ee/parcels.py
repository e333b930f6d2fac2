"""Parcels: a file sealed in chunks, each of which proves its place and what it belongs to; pure. (spec 15-keys)

    parcel = head || chunk 0 || chunk 1 ...
    head   = "quicchat sealed1" || id, 16 bytes || plain size, 8 bytes
    id     = HMAC-SHA256(secret, "quicchat sealed1")[:16]
    chunk  = AES-256-GCM(secret, 65,536 plain bytes, AAD = head, nonce = id[:7] || number, 4 bytes || 1 if last, else 0)

The last chunk is as long as what is left; an empty file has one empty chunk. The same bytes under the same secret are
the same parcel, so that an upload goes on after a crash; other bytes must never be sealed under it (`SealedSource`).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from quicchat.errors import Code, Refused
from quicchat.wire import leaves

if TYPE_CHECKING:
    from quicchat.wire.sealed import FileKey

#: Plain bytes to a chunk: its leaves (`FileKey.root`) are cut alike, however large the file is.
CHUNK: Final = 65_536
#: Bytes that a chunk grows by.
TAG: Final = 16
MAGIC: Final = b"quicchat sealed1"
HEAD: Final = 40
_ID: Final = 16
_PREFIX: Final = 7


def sealed_size(size: int) -> int:
    """Bytes of the parcel of so many."""
    return HEAD + size + TAG * chunks(size)


def plain_size(sealed: int) -> int:
    """Plain bytes in so many of a parcel, from its beginning; of a whole one, those of the file."""
    whole, rest = divmod(max(0, sealed - HEAD), CHUNK + TAG)
    return whole * CHUNK + max(0, rest - TAG)


def chunks(size: int) -> int:
    """How many chunks so many plain bytes have."""
    return max(1, leaves.count(size, CHUNK))


class Parcel:
    """The parcel of so many plain bytes under a secret of 32 bytes."""

    def __init__(self, secret: bytes, size: int) -> None:
        # What encrypts is imported when something is: every client imports this.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.size = size
        self._invalid = InvalidTag
        self._cipher = AESGCM(secret)
        name = hmac.digest(secret, MAGIC, "sha256")[:_ID]
        self.head = MAGIC + name + size.to_bytes(8, "big")
        self._prefix = name[:_PREFIX]
        self._last = chunks(size) - 1

    @property
    def chunks(self) -> int:
        """How many it has."""
        return self._last + 1

    def length(self, index: int) -> int:
        """Plain bytes of a chunk."""
        return leaves.length(index, self.size, CHUNK)

    def seal(self, index: int, plain: bytes | memoryview) -> bytes:
        """A chunk, sealed."""
        return self._cipher.encrypt(self._nonce(index), plain, self.head)

    def open(self, index: int, sealed: bytes | memoryview) -> bytes:
        """A chunk, plain. Raises Refused(DIGEST)."""
        try:
            return self._cipher.decrypt(self._nonce(index), sealed, self.head)
        except self._invalid:
            raise Refused(
                Code.DIGEST, f"Chunk {index + 1} of {self.chunks} of the file is not what was sealed."
            ) from None

    def _nonce(self, index: int) -> bytes:
        return self._prefix + index.to_bytes(4, "big") + (b"\1" if index == self._last else b"\0")


class Opening:
    """Opens a parcel as it comes: `feed` all of it in order, then `end`. Both raise Refused(DIGEST)."""

    def __init__(self, key: FileKey) -> None:
        self._key = key
        self._parcel = Parcel(key.secret, key.size)
        self._root = leaves.begin(key.size, CHUNK)
        self._index = -1
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The next bytes of it; what could be opened with them."""
        parcel, at = self._parcel, 0
        data = self._rest + data if self._rest else data
        view, opened = memoryview(data), []
        while self._index < parcel.chunks and len(data) - at >= (due := self._due()):
            if self._index >= 0:
                plain = parcel.open(self._index, view[at : at + due])
                if plain:
                    self._root.update(leaves.leaf(plain))
                opened.append(plain)
            elif view[:due] != parcel.head:
                raise Refused(Code.DIGEST, "The file is not what its message says: its key opens another one.")
            self._index += 1
            at += due
        self._rest = data[at:]
        if self._rest and self._index == parcel.chunks:
            raise Refused(Code.DIGEST, "The file is longer than its message says.")
        return b"".join(opened)

    def end(self) -> None:
        """All of it came."""
        if self._index < self._parcel.chunks:
            raise Refused(Code.DIGEST, "The file is shorter than its message says.")
        if not hmac.compare_digest(self._root.digest(), self._key.root):
            raise Refused(Code.DIGEST, "The file is not what its message says.")

    def _due(self) -> int:
        return HEAD if self._index < 0 else self._parcel.length(self._index) + TAG


def sealed(data: bytes, secret: bytes) -> bytes:
    """The parcel of what is in memory."""
    parcel, view = Parcel(secret, len(data)), memoryview(data)
    rest = (parcel.seal(index, view[index * CHUNK : (index + 1) * CHUNK]) for index in range(parcel.chunks))
    return b"".join((parcel.head, *rest))


def opened(data: bytes, key: FileKey) -> bytes:
    """What is in a parcel in memory. Raises Refused(DIGEST)."""
    opening = Opening(key)
    plain = opening.feed(data)
    opening.end()
    return plain
