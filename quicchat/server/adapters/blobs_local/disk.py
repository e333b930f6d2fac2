"""What is done to the files of blobs; by threads, since a disk may take its time. (spec 14-files)"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from quicchat.errors import Code, Refused
from quicchat.server.descriptor import Descriptor
from quicchat.server.model import Upload
from quicchat.wire import leaves

_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
#: Bytes of a disk that uploads leave to others, above all to the database and its log: this part, within bounds.
_SPARE_PART: Final = 16
_SPARE: Final = 16_777_216, 268_435_456
#: Leaves read at once, when a whole file of them is.
_BLOCK: Final = 2_048


class Folder:
    """The directory of all blobs; everything in it is opened from it, and by nobody else."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        self.path = path
        self._number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """To be called when no thread uses it any more."""
        os.close(self._number)

    def make(self, name: str) -> None:
        """Make a directory, durably, unless it is there."""
        try:
            os.mkdir(name, 0o700, dir_fd=self._number)
        except FileExistsError:
            return
        os.fsync(self._number)

    def sync(self, name: str) -> None:
        """Make durable which files are in a directory."""
        with self.opened(name, os.O_RDONLY | os.O_DIRECTORY) as number:
            os.fsync(number)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor. Raises OSError."""
        return os.open(name, flags | _FLAGS, 0o600, dir_fd=self._number)

    @contextlib.contextmanager
    def opened(self, name: str, flags: int = os.O_RDONLY) -> Iterator[int]:
        """A descriptor for a while."""
        number = self.open(name, flags)
        try:
            yield number
        finally:
            os.close(number)

    def has(self, name: str, size: int | None = None) -> bool:
        """Whether there is a regular file of this name, and size."""
        try:
            found = os.stat(name, dir_fd=self._number, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and size in (None, found.st_size)

    def rename(self, old: str, new: str) -> None:
        """Replace what is there."""
        os.rename(old, new, src_dir_fd=self._number, dst_dir_fd=self._number)

    def unlink(self, name: str) -> None:
        """Silent where there is none."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._number)


class Files:
    """The files of one upload."""

    def __init__(self, folder: Folder, upload: Upload) -> None:
        digest = upload.file.hex()
        self._folder = folder
        self._upload = upload
        self._shelf = digest[:2]
        self._whole = f"{self._shelf}/{digest}.{upload.place}"
        self._part = self._whole + ".part"
        self._leaves = self._whole + ".leaves"
        self._lock = threading.Lock()

    def make(self) -> None:
        """Have a place for the bytes."""
        self._folder.make(self._shelf)
        if not self._folder.has(self._whole):
            with self._folder.opened(self._part, os.O_WRONLY | os.O_CREAT):
                pass

    def found(self) -> tuple[bool, bytes] | None:
        """Whether the leaves are here, and a byte for each chunk, 1 where it is; None where there is nothing."""
        upload = self._upload
        if self._folder.has(self._whole, upload.size):
            return True, b"\1" * leaves.count(upload.size, upload.chunk)
        if not self._folder.has(self._part):
            return None
        if not self._judged():
            self._folder.unlink(self._leaves)
            return False, b""
        with self._folder.opened(self._part) as part, self._folder.opened(self._leaves) as judges:
            return True, self._verified(part, judges)

    def keep_leaves(self, source: IO[bytes]) -> None:
        """Put the leaves beside the part, unless they are there. Raises OSError, also where the part is gone."""
        with self._lock:
            if self._judged():
                return
            if not self._folder.has(self._part):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            source.seek(0)
            fresh = self._leaves + ".new"
            with open(self._folder.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as target:
                shutil.copyfileobj(source, target)
            self._folder.rename(fresh, self._leaves)

    def leaves(self, offset: int, size: int) -> bytes:
        """These bytes of the leaves."""
        with self._folder.opened(self._leaves) as judges:
            return read(judges, offset, size)

    def check(self, index: int, data: bytes) -> None:
        """Raises Refused(DIGEST) where this is not the chunk."""
        if leaves.leaf(data) != self.leaves(index * leaves.LEAF, leaves.LEAF):
            raise Refused(Code.DIGEST)

    def put(self, index: int, data: bytes) -> None:
        """Write a chunk if it is right. Raises Refused(DIGEST); OSError, and then no more is there than before."""
        self.check(index, data)
        with self._folder.opened(self._part, os.O_WRONLY) as part, self._lock:
            end = os.fstat(part).st_size
            _find_room(part, len(data))
            try:
                _write(part, index * self._upload.chunk, data)
            except OSError:
                if os.fstat(part).st_size > end:
                    os.ftruncate(part, end)
                raise

    def seal(self) -> None:
        """The part is whole now, durably."""
        if self._folder.has(self._whole):
            return
        for name in (self._part, self._leaves):
            with self._folder.opened(name) as number:
                os.fsync(number)
        self._folder.rename(self._part, self._whole)
        self._folder.sync(self._shelf)

    def open(self) -> Descriptor:
        """The whole or the part, to read from."""
        try:
            return Descriptor(self._folder.open(self._whole))
        except FileNotFoundError:
            return Descriptor(self._folder.open(self._part))

    def remove(self) -> None:
        """The part first: once it is gone it cannot become the whole, and its leaves are not kept any more."""
        with self._lock:
            for name in (self._part, self._whole, self._leaves, self._leaves + ".new"):
                self._folder.unlink(name)

    def _judged(self) -> bool:
        """Whether all leaves are here, and give the file."""
        upload = self._upload
        size = leaves.LEAF * leaves.count(upload.size, upload.chunk)
        if not self._folder.has(self._leaves, size):
            return False
        state = leaves.begin(upload.size, upload.chunk)
        with self._folder.opened(self._leaves) as judges:
            for offset in range(0, size, _BLOCK * leaves.LEAF):
                state.update(os.pread(judges, _BLOCK * leaves.LEAF, offset))
        return state.digest() == upload.file

    def _verified(self, part: int, judges: int) -> bytes:
        """Which chunks of the part are what they should be; holes are passed over unread."""
        size, chunk = self._upload.size, self._upload.chunk
        here = bytearray(leaves.count(size, chunk))
        block = b""
        for index in range(len(here)):
            if index % _BLOCK == 0:
                block = os.pread(judges, _BLOCK * leaves.LEAF, index * leaves.LEAF)
            length = leaves.length(index, size, chunk)
            if not _is_hole(part, index * chunk, length):
                data = os.pread(part, length, index * chunk)
                at = index % _BLOCK * leaves.LEAF
                here[index] = len(data) == length and leaves.leaf(data) == block[at : at + leaves.LEAF]
        return bytes(here)


def _find_room(number: int, size: int) -> None:
    """Raises OSError where so many bytes more would leave too few on the disk."""
    disk = os.fstatvfs(number)
    least, most = _SPARE
    spare = max(least, min(most, disk.f_blocks * disk.f_frsize // _SPARE_PART))
    if disk.f_bavail * disk.f_frsize < size + spare:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_hole(number: int, offset: int, size: int) -> bool:
    try:
        return os.lseek(number, offset, os.SEEK_DATA) >= offset + size
    except OSError:  # nothing follows, or the disk does not tell; the first read past the end is short
        return False


def read(number: int, offset: int, size: int) -> bytes:
    """Exactly these bytes. Raises OSError."""
    parts: list[bytes] = []
    while size:
        part = os.pread(number, size, offset)
        if not part:
            raise OSError("the file is shorter than it was")
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write(number: int, offset: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(number, rest, offset)
        offset, rest = offset + written, rest[written:]
