"""The bytes of files on a local disk, each chunk verified before it is written. (spec 14-files)

Of an upload there are `aa/FILE.PLACE.part` and `aa/FILE.PLACE.leaves`; once it is sealed the first has lost its
ending. What of a part is right is found out from the leaves, and whether they are right from the name: so there is no
other record of it that a crash could make a lie. Names are made of digests and numbers only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Final, TypeVar

from quicchat.errors import Code, Refused, UsageError
from quicchat.server.adapters.blobs_local.disk import Files, Folder, read
from quicchat.server.chunks import PATIENCE, Chunks
from quicchat.server.content import Content, Sink
from quicchat.server.descriptor import Descriptor
from quicchat.server.model import Upload
from quicchat.sqlite.threads import be_prompt
from quicchat.wire.chapters.files import Range
from quicchat.wire.leaves import LEAF, begin, count, length

__all__ = ["LocalBlobs"]

#: Parts of which it is remembered which chunks they have, when nobody uses them.
_KEPT: Final = 256
#: Places remembered as removed, so that nobody who comes late begins there again.
_GONE: Final = 10_000
_THREADS: Final = 4
#: Bytes of leaves that wait in memory for the others; more wait on the disk.
_SPOOL: Final = 65_536
_EXIT_CODE: Final = 3

log = logging.getLogger("quicchat.server.blobs")

T = TypeVar("T")


class LocalBlobs:
    """The port `Blobs`. Raises UsageError where the directory cannot be used."""

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        try:
            self._folder = Folder(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be used for files: {error.strerror}", _EXIT_CODE) from error
        self._patience = patience
        self._parts: OrderedDict[int, _Part] = OrderedDict()
        self._gone: OrderedDict[int, None] = OrderedDict()
        self._work = _Work()

    async def close(self) -> None:
        """Finish what was asked; to be called when nobody reads or writes any more."""
        await self._work.close()
        self._folder.close()

    async def begin(self, upload: Upload) -> Sink:
        async with self._using(upload, make=True) as part:
            return _Sink(part, self._work, self._folder.path)

    async def held(self, upload: Upload) -> Sequence[Range]:
        try:
            async with self._using(upload) as part:
                return part.chunks.ranges()
        except Refused as refusal:
            if refusal.code is Code.NO_SUCH_FILE:
                return ()
            raise

    async def seal(self, upload: Upload) -> Sequence[Range]:
        async with self._using(upload) as part, part.lock:
            missing = part.chunks.ranges(missing=True)
            if upload.size and not missing:
                await self._work.do(part.files.seal)
            return missing

    async def open(self, upload: Upload) -> Content:
        async with self._using(upload) as part:
            descriptor = await self._work.do(part.files.open) if upload.size else None
            return _Content(part, descriptor, self._work)

    async def remove(self, upload: Upload) -> None:
        self._gone[upload.place] = None
        while len(self._gone) > _GONE:
            self._gone.popitem(last=False)
        part = self._parts.pop(upload.place, None) or self._new(upload)
        part.chunks.end()
        async with part.lock:
            await self._work.do(part.files.remove)

    @asynccontextmanager
    async def _using(self, upload: Upload, *, make: bool = False) -> AsyncIterator[_Part]:
        """What is known of an upload, after a look at the disk. Raises Refused."""
        if upload.place in self._gone:
            raise Refused(Code.NO_SUCH_FILE)
        part = self._parts.setdefault(upload.place, self._new(upload))
        self._parts.move_to_end(upload.place)
        part.users += 1
        try:
            async with part.lock:
                if not part.chunks.ended and upload.size:
                    await self._look(part, make)
            if part.chunks.ended:
                raise Refused(Code.NO_SUCH_FILE)
            yield part
        finally:
            part.users -= 1
            self._tidy()

    async def _look(self, part: _Part, make: bool) -> None:
        if make:
            await self._work.do(part.files.make)
        if part.known:
            return
        found = await self._work.do(part.files.found)
        if found is None:
            raise Refused(Code.NO_SUCH_FILE)
        part.known = True
        judged, chunks = found
        if judged:
            part.chunks.found(chunks)

    def _new(self, upload: Upload) -> _Part:
        return _Part(upload, Files(self._folder, upload), self._patience)

    def _tidy(self) -> None:
        """Forget what is known of the parts that nobody used for the longest time."""
        if len(self._parts) > _KEPT:
            idle = [place for place, part in self._parts.items() if not part.users]
            for place in idle[: len(self._parts) - _KEPT]:
                del self._parts[place]


class _Part:
    """One upload: what is known of it, and how many use that."""

    def __init__(self, upload: Upload, files: Files, patience: float) -> None:
        self.upload = upload
        self.files = files
        self.chunks = Chunks(upload.size, upload.chunk, patience)
        self.lock = asyncio.Lock()
        self.known = False
        self.users = 0
        if not upload.size:
            self.chunks.add()


class _Sink:
    """The port `Sink`."""

    def __init__(self, part: _Part, work: _Work, folder: Path) -> None:
        part.users += 1
        self._part = part
        self._work = work
        self._open = True
        self._leaves = SpooledTemporaryFile(_SPOOL, dir=str(folder))  # noqa: SIM115 - closed by `close`
        self._root = begin(part.upload.size, part.upload.chunk)
        self._left = LEAF * count(part.upload.size, part.upload.chunk)
        self.file, self.size, self.chunk = part.upload.file, part.upload.size, part.upload.chunk

    async def put_leaves(self, leaves: bytes) -> None:
        self._check_kept()
        self._left -= len(leaves)
        self._root.update(leaves)
        if self._left < 0 or (self._left == 0 and self._root.digest() != self.file):
            raise Refused(Code.DIGEST)
        if not self._part.chunks.judged:
            await self._work.do(lambda: self._leaves.write(leaves))
        if not self._left and not self._part.chunks.judged:
            await self._work.do(lambda: self._part.files.keep_leaves(self._leaves))
            self._part.chunks.add()

    async def put(self, index: int, data: bytes) -> None:
        part = self._part
        self._check_kept()
        here = 0 <= index < count(self.size, self.chunk) and len(data) == length(index, self.size, self.chunk)
        if not here or not part.chunks.judged:
            raise Refused(Code.DIGEST)
        step = part.files.check if part.chunks.has(index) else part.files.put
        await self._work.do(lambda: step(index, data))
        part.chunks.add(index)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._part.users -= 1
            self._leaves.close()

    def _check_kept(self) -> None:
        if self._part.chunks.ended:
            raise Refused(Code.NO_SUCH_FILE)


class _Content:
    """The port `Content`."""

    name: str | None = None
    modified: int | None = None

    def __init__(self, part: _Part, descriptor: Descriptor | None, work: _Work) -> None:
        part.users += 1
        self._part = part
        self._descriptor = descriptor
        self._work = work
        self._open = True
        self.file, self.size, self.chunk = part.upload.file, part.upload.size, part.upload.chunk

    async def leaves(self, offset: int = 0, size: int | None = None) -> bytes:
        await self._part.chunks.wait_judged()
        rest = LEAF * count(self.size, self.chunk) - offset
        wanted = rest if size is None else min(size, rest)
        return await self._work.do(lambda: self._part.files.leaves(offset, wanted)) if wanted > 0 else b""

    async def read(self, offset: int, size: int) -> bytes:
        await self._part.chunks.wait(offset, size)
        descriptor = self._descriptor
        if descriptor is None or not size:
            return b""
        return await self._work.do(lambda: descriptor.use(lambda number: read(number, offset, size)))

    def close(self) -> None:
        if self._open:
            self._open = False
            self._part.users -= 1
            if self._descriptor is not None:
                self._descriptor.close()


class _Work:
    """Threads for the disk. What fails there is refused, and logged once when it begins and when it ends."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "blobs", be_prompt)
        self._trouble = False

    async def do(self, step: Callable[[], T]) -> T:
        """Raises Refused(NO_SUCH_FILE) for a file that is gone, (STORE_UNAVAILABLE) for what else a disk says."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, step)
        except FileNotFoundError as error:
            raise Refused(Code.NO_SUCH_FILE) from error
        except OSError as error:
            if not self._trouble:
                self._trouble = True
                log.error("blobs cannot be used", extra={"error": str(error)})
            raise Refused(Code.STORE_UNAVAILABLE) from error
        if self._trouble:
            self._trouble = False
            log.warning("blobs can be used again")
        return result

    async def close(self) -> None:
        """Finish what was asked."""
        await asyncio.to_thread(self._threads.shutdown)
