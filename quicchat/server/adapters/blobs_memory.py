"""The bytes of files without a disk: the same promises in memory, for tests and simulation. (spec 14-files)"""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.errors import Code, Refused
from quicchat.server.chunks import PATIENCE, Chunks
from quicchat.server.content import Content, Sink
from quicchat.server.model import Upload
from quicchat.wire.chapters.files import Range
from quicchat.wire.leaves import LEAF, count, leaf, length, root


class MemoryBlobs:
    """The port `Blobs`."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._blobs: dict[int, _Blob] = {}
        self._gone: set[int] = set()

    async def begin(self, upload: Upload) -> Sink:
        if upload.place in self._gone:
            raise Refused(Code.NO_SUCH_FILE)
        blob = self._blobs.setdefault(upload.place, _Blob(upload, self._patience))
        return _Sink(blob)

    async def held(self, upload: Upload) -> Sequence[Range]:
        blob = self._blobs.get(upload.place)
        return () if blob is None else blob.chunks.ranges()

    async def seal(self, upload: Upload) -> Sequence[Range]:
        return self._begun(upload).chunks.ranges(missing=True)

    async def open(self, upload: Upload) -> Content:
        return _Content(self._begun(upload))

    def _begun(self, upload: Upload) -> _Blob:
        blob = self._blobs.get(upload.place)
        if blob is None and (upload.size or upload.place in self._gone):
            raise Refused(Code.NO_SUCH_FILE)
        return blob or _Blob(upload, self._patience)

    async def remove(self, upload: Upload) -> None:
        self._gone.add(upload.place)
        blob = self._blobs.pop(upload.place, None)
        if blob is not None:
            blob.chunks.end()


class _Blob:
    """One file, or what came of it."""

    def __init__(self, upload: Upload, patience: float) -> None:
        self.upload = upload
        self.leaves = b""
        self.chunks = Chunks(upload.size, upload.chunk, patience)
        self.data: dict[int, bytes] = {}
        if not upload.size:
            self.chunks.add()


class _Sink:
    """The port `Sink`."""

    def __init__(self, blob: _Blob) -> None:
        self._blob = blob
        self._leaves = b""
        self.file, self.size, self.chunk = blob.upload.file, blob.upload.size, blob.upload.chunk

    async def put_leaves(self, leaves: bytes) -> None:
        self._check_kept()
        self._leaves += leaves
        wanted = LEAF * count(self.size, self.chunk)
        if len(self._leaves) < wanted:
            return
        given, self._leaves = self._leaves, b""
        if len(given) > wanted or root(self.size, self.chunk, given) != self.file:
            raise Refused(Code.DIGEST)
        self._blob.leaves = given
        self._blob.chunks.add()

    async def put(self, index: int, data: bytes) -> None:
        blob = self._blob
        self._check_kept()
        here = 0 <= index < count(self.size, self.chunk) and len(data) == length(index, self.size, self.chunk)
        if not here or leaf(data) != blob.leaves[index * LEAF : index * LEAF + LEAF]:
            raise Refused(Code.DIGEST)
        blob.data[index] = bytes(data)
        blob.chunks.add(index)

    def close(self) -> None:
        self._leaves = b""

    def _check_kept(self) -> None:
        if self._blob.chunks.ended:
            raise Refused(Code.NO_SUCH_FILE)


class _Content:
    """The port `Content`."""

    name: str | None = None
    modified: int | None = None

    def __init__(self, blob: _Blob) -> None:
        self._blob = blob
        self.file, self.size, self.chunk = blob.upload.file, blob.upload.size, blob.upload.chunk

    async def leaves(self, offset: int = 0, size: int | None = None) -> bytes:
        await self._blob.chunks.wait_judged()
        return self._blob.leaves[offset : None if size is None else offset + size]

    async def read(self, offset: int, size: int) -> bytes:
        await self._blob.chunks.wait(offset, size)
        first = offset // self.chunk
        some = b"".join(self._blob.data[index] for index in range(first, count(offset + size, self.chunk)))
        return some[offset - first * self.chunk :][:size]

    def close(self) -> None:
        pass
