"""Where a file lands: the port, and the landings in memory and in a stream. (spec 14-files)"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import field
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Protocol

from quicchat.client.e2ee.parcels import Opening, opened
from quicchat.errors import Code, Refused
from quicchat.values import dataclass
from quicchat.wire.leaves import LEAF, begin, count, length

if TYPE_CHECKING:
    from quicchat.wire.sealed import FileKey

#: Bytes of leaves that are held in memory; those of larger files wait on the disk.
_SPOOL: Final = 131_072
_READ: Final = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a file once its leaves are: `file` is its id, and `shared` where a server shares it by name.

    `fast` is how it was wanted at first. A `sealed` one is a parcel, which `key` opens when all of it is here.
    """

    file: bytes
    size: int
    chunk: int
    name: str
    modified: int | None = None
    media_type: str = ""
    shared: bool = False
    fast: bool = False
    sealed: bool = False
    key: FileKey | None = field(default=None, repr=False)

    @property
    def chunks(self) -> int:
        """How many chunks it has."""
        return count(self.size, self.chunk)

    def span(self, index: int) -> tuple[int, int]:
        """Where a chunk begins, and how many bytes it has."""
        return index * self.chunk, length(index, self.size, self.chunk)


class Leaves:
    """All leaves of a file, which prove each of its chunks; fed as they come, and `check`ed before they are used."""

    def __init__(self, file: bytes, size: int, chunk: int) -> None:
        self.file = file
        self._root = begin(size, chunk)
        self._due = LEAF * count(size, chunk)
        self._lock = threading.Lock()
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115 - lives as its file does

    def add(self, data: bytes) -> None:
        """The next bytes of them. Raises OSError."""
        self._due -= len(data)
        self._root.update(data)
        self._spool.write(data)

    def append(self, data: bytes) -> None:
        """As `add`, of leaves that are read meanwhile."""
        with self._lock:
            self._spool.seek(0, 2)
            self.add(data)

    def check(self) -> None:
        """Raises Refused(DIGEST) where they are not those of the file."""
        if self._due or self.root() != self.file:
            raise Refused(Code.DIGEST, "The leaves are not those of the file.")

    def root(self) -> bytes:
        """The id that they make together."""
        return self._root.digest()

    def copy(self, to: BinaryIO) -> None:
        """Write all of them there. Raises OSError."""
        self._spool.seek(0)
        while data := self._spool.read(_READ):
            to.write(data)

    def read(self, offset: int, size: int) -> bytes:
        """Some of them; also in several threads at once."""
        with self._lock:
            self._spool.seek(offset)
            return self._spool.read(size)

    def __getitem__(self, index: int) -> bytes:
        return self.read(index * LEAF, LEAF)

    def close(self) -> None:
        self._spool.close()


class Landing(Protocol):
    """Takes the chunks of one file. All but the attributes is used in threads, and raises OSError."""

    #: One byte for each chunk: 1 where it is here, verified.
    marks: bytearray
    #: Where it is now, if it is in a file.
    path: Path | None
    #: Whether chunks are kept in order only.
    ordered: bool

    @property
    def known(self) -> Known: ...

    def leaf(self, index: int) -> bytes:
        """The digest of a chunk."""

    def keep(self, index: int, data: bytes) -> None:
        """A verified chunk."""

    def put(self, offset: int, data: bytes | bytearray) -> None:
        """Bytes that are not verified yet."""

    def read(self, offset: int, size: int) -> bytes:
        """What was put or kept there."""

    def finish(self) -> None:
        """All of it is here. Raises Refused(DIGEST) where it is a parcel that cannot be opened."""

    def leave(self) -> None:
        """It goes on another time."""

    def discard(self) -> None:
        """It is not wanted any more."""


class MemoryLanding:
    """A small file in memory."""

    path: Path | None = None
    ordered = False

    def __init__(self, known: Known, leaves: Leaves) -> None:
        self.known = known
        self.marks = bytearray(known.chunks)
        self.data = bytearray(known.size)
        self._leaves = leaves

    def leaf(self, index: int) -> bytes:
        return self._leaves[index]

    def keep(self, index: int, data: bytes) -> None:
        self.put(index * self.known.chunk, data)
        self.marks[index] = 1

    def put(self, offset: int, data: bytes | bytearray) -> None:
        self.data[offset : offset + len(data)] = data

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.data[offset : offset + size])

    def finish(self) -> None:
        self._leaves.close()
        if self.known.key is not None:
            self.data = bytearray(opened(bytes(self.data), self.known.key))

    def leave(self) -> None:
        self._leaves.close()

    discard = leave


class StreamLanding:
    """A file that is written on as it comes, such as into a pipe; of a parcel, each chunk once it has proved itself."""

    path: Path | None = None
    ordered = True

    def __init__(self, known: Known, leaves: Leaves, out: BinaryIO) -> None:
        self.known = known
        self.marks = bytearray(known.chunks)
        self._leaves = leaves
        self._out = out
        self._opening = Opening(known.key) if known.key is not None else None

    def leaf(self, index: int) -> bytes:
        return self._leaves[index]

    def keep(self, index: int, data: bytes) -> None:
        assert index == 0 or self.marks[index - 1], "out of order"
        self._out.write(self._opening.feed(data) if self._opening is not None else data)
        self.marks[index] = 1

    def put(self, offset: int, data: bytes | bytearray) -> None:
        raise OSError("what is written into a pipe comes in order")

    def read(self, offset: int, size: int) -> bytes:
        raise OSError("nothing is read from a pipe")

    def finish(self) -> None:
        self._out.flush()
        self._leaves.close()
        if self._opening is not None:
            self._opening.end()

    def leave(self) -> None:
        self._leaves.close()

    discard = leave
