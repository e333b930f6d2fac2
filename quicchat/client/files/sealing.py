"""What is sent into an encrypted conversation: any source, in a parcel. (spec 15-keys)"""

from __future__ import annotations

from typing import Final

from quicchat.client.e2ee.parcels import CHUNK, HEAD, TAG, Parcel, plain_size, sealed_size
from quicchat.client.files.landing import Leaves
from quicchat.client.files.sources import Source
from quicchat.errors import Code, Refused
from quicchat.wire.leaves import LEAF, count, leaf

#: Chunks that are read at once.
_READ: Final = 16


class SealedSource:
    """A source in its parcel. Each chunk is sealed as it was when it was read first, or not at all.

    For two texts under one nonce would give away both, and what proves them. With the `root` that it had in an earlier
    run nothing is sealed before all of it was read, and is that still.
    """

    def __init__(self, source: Source, secret: bytes, root: bytes | None = None) -> None:
        self.source = source
        self.secret = secret
        self.size = sealed_size(source.size)
        self.name, self.modified, self.media_type = source.name, source.modified, source.media_type
        self._parcel = Parcel(secret, source.size)
        self._leaves = Leaves(b"", source.size, CHUNK)
        self._learned = 0
        self._due = root

    def read(self, offset: int, size: int) -> bytes:
        """A part of the parcel. Raises Refused(FILE_CHANGED), OSError."""
        self._prove()
        end = min(offset + size, self.size)
        first = max(0, offset - HEAD) // (CHUNK + TAG)
        stop = -(-max(0, end - HEAD) // (CHUNK + TAG))
        begin = 0 if offset < HEAD else HEAD + first * (CHUNK + TAG)
        pieces = [] if begin else [self._parcel.head]
        if stop > first:
            self.learn(first * CHUNK)
            pieces += self._sealed(first, stop)
        return b"".join(pieces)[offset - begin : max(0, end - begin)]

    def learn(self, upto: int) -> None:
        """See what the source is like up to there, which `read` does as well, but all at once. Raises as it does."""
        stop = count(min(upto, self.source.size), CHUNK)
        while self._learned < stop:
            data = memoryview(self._plain(self._learned, min(stop, self._learned + _READ)))
            self._keep([data[at : at + CHUNK] for at in range(0, len(data), CHUNK)])

    def root(self) -> bytes:
        """Of all plain bytes (`FileKey.root`). Raises as `read`."""
        self.learn(self.source.size)
        return self._leaves.root()

    def close(self) -> None:
        self.source.close()
        self._leaves.close()

    def _prove(self) -> None:
        if self._due is not None:
            if self.root() != self._due:
                raise self._changed()
            self._due = None

    def _sealed(self, first: int, stop: int) -> list[bytes]:
        data = memoryview(self._plain(first, stop))
        pieces = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
        known = self._leaves.read(first * LEAF, max(0, min(stop, self._learned) - first) * LEAF)
        for at in range(0, len(known), LEAF):
            if leaf(pieces[at // LEAF]) != known[at : at + LEAF]:
                raise self._changed()
        self._keep(pieces[len(known) // LEAF :])
        # An empty file has a chunk, too.
        return [self._parcel.seal(first + at, piece) for at, piece in enumerate(pieces or [data])]

    def _keep(self, pieces: list[memoryview]) -> None:
        if pieces:
            self._leaves.append(b"".join(map(leaf, pieces)))
            self._learned += len(pieces)

    def _plain(self, first: int, stop: int) -> bytes:
        due = min(stop * CHUNK, self.source.size) - first * CHUNK
        data = self.source.read(first * CHUNK, due) if due else b""
        if len(data) != due:
            raise self._changed()
        return data

    def _changed(self) -> Refused:
        return Refused(Code.FILE_CHANGED, f"{self.name} changed since it was read first; send it again.")


def within(source: Source, size: int) -> int:
    """How many bytes that people know of so many of a source stand for."""
    return plain_size(size) if isinstance(source, SealedSource) else size
