"""Shared files: digested once, then read piece by piece, as long as they stay what they are. (spec 14-files)"""

from __future__ import annotations

import asyncio
import os
import threading
from asyncio import Future
from collections.abc import Callable, Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, TypeVar

from quicchat.errors import Code, Refused
from quicchat.server.adapters.share_local.folder import Stamp, used
from quicchat.server.adapters.share_local.index import Digest, Index
from quicchat.server.descriptor import Descriptor
from quicchat.wire import leaves
from quicchat.wire.fields import MILLISECONDS

T = TypeVar("T")

#: What to tell whoever asks for a file that is being copied into the folder, in ms; as long it must have been quiet.
SETTLING: Final = 2_000
#: Threads that digest: one for what appears, the others for those who wait.
_THREADS: Final = 3
#: How many may wait for digests, each with a file open, also those whose connection is gone meanwhile.
WAITING: Final = 256


class Digests:
    """Digests each version of a file once, however many ask for it; one chunk of it is in memory at a time."""

    def __init__(self, index: Index, readers: Executor) -> None:
        self._index = index
        self._readers = readers
        self._running: dict[Stamp, Future[Digest]] = {}
        self._waiting = 0
        self._threads = ThreadPoolExecutor(_THREADS, "share-digest")
        self._stopped = threading.Event()

    def known(self, stamp: Stamp) -> bytes | None:
        """The id of that version, where nothing has to be read for it."""
        return self._index.file(stamp)

    def versions(self, file: bytes) -> Collection[Stamp]:
        """Those that are known to be that file."""
        return self._index.versions(file)

    async def file(self, descriptor: Descriptor, stamp: Stamp) -> bytes:
        """Its id. Raises as `digest`, and Refused(OVERLOADED) where too many wait already."""
        file = self._index.file(stamp)
        if file is not None:
            return file
        if self._waiting >= WAITING:
            raise Refused(Code.OVERLOADED, "Too many wait for files to be read.", retry_after=SETTLING)
        self._waiting += 1
        try:
            found = await self.digest(descriptor, stamp)
        finally:
            self._waiting -= 1
        await self._index.keep([found])
        return found.file

    async def kept(self, stamp: Stamp, part: slice) -> bytes | None:
        """These bytes of its leaves, where nothing has to be read for them."""
        return await self._index.leaves(stamp, part)

    async def leaves(self, descriptor: Descriptor, stamp: Stamp, file: bytes) -> bytes:
        """Its leaves, all over again. Raises as `digest`, and Refused(FILE_CHANGED) where it is another file now."""
        try:
            found = await self.digest(descriptor, stamp)
        except Refused as refused:
            raise Refused(Code.FILE_CHANGED) if refused.code is Code.OVERLOADED else refused from refused
        if found.file != file:
            raise Refused(Code.FILE_CHANGED)
        await self._index.keep([found])
        return found.leaves

    async def digest(self, descriptor: Descriptor, stamp: Stamp) -> Digest:
        """Read all of it. Raises Refused(OVERLOADED) where it changes meanwhile, and as `used`."""
        running = self._running.get(stamp)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(
                self._threads, used, descriptor, lambda fd: self._digest(fd, stamp)
            )
            self._running[stamp] = running
            running.add_done_callback(lambda done: self._finished(stamp, done))
        # Others may wait for it, too, and what is found is worth keeping anyway.
        return await asyncio.shield(running)

    async def read(self, descriptor: Descriptor, work: Callable[[int], T]) -> T:
        """Do something with an open file, in a thread. Raises as `used`."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, used, descriptor, work)

    async def close(self) -> None:
        """Stop what is running."""
        self._stopped.set()
        await asyncio.to_thread(self._threads.shutdown)

    def _finished(self, stamp: Stamp, done: Future[Digest]) -> None:
        del self._running[stamp]
        # Perhaps nobody waits for it any more; and whoever comes next is not to begin again.
        if not done.cancelled() and done.exception() is None:
            self._index.learn(done.result())

    def _digest(self, fd: int, stamp: Stamp) -> Digest:
        chunk = chunk_of(stamp.size)
        buffer = memoryview(bytearray(min(chunk, stamp.size)))
        found = bytearray()
        for offset in range(0, stamp.size, chunk):
            if self._stopped.is_set():
                raise Refused(Code.DRAINING)
            part = buffer[: min(chunk, stamp.size - offset)]
            if _fill(fd, part, offset) < len(part):
                break
            found += leaves.leaf(part)
        if not _is_still(fd, stamp) or len(found) != leaves.LEAF * leaves.count(stamp.size, chunk):
            raise changing()
        return Digest(stamp, leaves.root(stamp.size, chunk, bytes(found)), bytes(found))


class SharedContent:
    """The port `Content`: one version of a file in the folder, which stays open when another takes its place."""

    def __init__(self, digests: Digests, descriptor: Descriptor, name: str, stamp: Stamp, file: bytes) -> None:
        self.file = file
        self.size = stamp.size
        self.chunk = chunk_of(stamp.size)
        self.name: str | None = name
        self.modified: int | None = milliseconds(stamp.modified)
        self._digests = digests
        self._descriptor = descriptor
        self._stamp = stamp
        #: Only where they could not be kept: they are as large as an eight-thousandth of the file.
        self._leaves: bytes | None = None
        self._open = True

    async def leaves(self, offset: int = 0, size: int | None = None) -> bytes:
        self._check()
        part = slice(offset, leaves.LEAF * leaves.MOST if size is None else offset + size)
        if self._leaves is None:
            kept = await self._digests.kept(self._stamp, part)
            if kept is not None:
                return kept
            self._leaves = await self._digests.leaves(self._descriptor, self._stamp, self.file)
        return self._leaves[part]

    async def read(self, offset: int, size: int) -> bytes:
        self._check()
        return await self._digests.read(self._descriptor, lambda fd: self._read(fd, offset, size))

    def close(self) -> None:
        if self._open:
            self._open = False
            self._descriptor.close()

    def _check(self) -> None:
        if not self._open:
            raise Refused(Code.NO_SUCH_FILE)

    def _read(self, fd: int, offset: int, size: int) -> bytes:
        data = os.pread(fd, size, offset)
        while len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
            data += more
        if len(data) < size or not _is_still(fd, self._stamp):
            raise Refused(Code.FILE_CHANGED)
        return data


def chunk_of(size: int) -> int:
    """Bytes to a chunk of a file: more than usual only where it would have too many leaves."""
    chunk = leaves.CHUNK
    while leaves.count(size, chunk) > leaves.MOST:
        chunk *= 2
    return chunk


def milliseconds(nanoseconds: int) -> int:
    """A time as the wire has it, which knows none before 1970."""
    return min(max(0, nanoseconds // 1_000_000), MILLISECONDS.most)


def changing() -> Refused:
    """Somebody is writing to the file."""
    return Refused(Code.OVERLOADED, "The file is being changed; try again later.", retry_after=SETTLING)


def _fill(fd: int, buffer: memoryview, offset: int) -> int:
    """Read until the buffer is full or the file ends; how much there was."""
    filled = 0
    while filled < len(buffer) and (count := os.preadv(fd, [buffer[filled:]], offset + filled)):
        filled += count
    return filled


def _is_still(fd: int, stamp: Stamp) -> bool:
    """Whether what was read before this is that version.

    The kernel's own time is of no use here: it moves when another file takes the name, too.
    """
    now = os.fstat(fd)
    return (now.st_size, now.st_mtime_ns) == (stamp.size, stamp.modified)
