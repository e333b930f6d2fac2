"""Disks that do not do as they should: stuck ones, and those that fail at their n-th use. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from typing import Any

from quicchat.server.adapters.blobs_memory import MemoryBlobs
from quicchat.server.content import Content, Sink
from quicchat.server.model import Upload


class Stuck(MemoryBlobs):
    """Chunks that are never stored."""

    async def begin(self, upload: Upload) -> Sink:
        return _Waiting(upload)

    async def held(self, upload: Upload) -> tuple[()]:
        return ()


class _Waiting:
    def __init__(self, upload: Upload) -> None:
        self.file, self.size, self.chunk = upload.file, upload.size, upload.chunk

    async def put_leaves(self, leaves: bytes) -> None:
        await asyncio.Event().wait()

    async def put(self, index: int, data: bytes) -> None:
        await asyncio.Event().wait()

    def close(self) -> None:
        pass


class Failing(MemoryBlobs):
    """Blobs of which the n-th use fails, in one way or another."""

    def __init__(self, at: int, error: Exception) -> None:
        super().__init__()
        self.left = at
        self.error = error

    def use(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error

    async def begin(self, upload: Upload) -> Sink:
        self.use()
        return _FailingSink(self, await super().begin(upload))

    async def seal(self, upload: Upload) -> Any:
        self.use()
        return await super().seal(upload)

    async def open(self, upload: Upload) -> Content:
        self.use()
        return _FailingContent(self, await super().open(upload))


class _FailingSink:
    def __init__(self, blobs: Failing, sink: Sink) -> None:
        self._blobs, self._sink = blobs, sink
        self.file, self.size, self.chunk = sink.file, sink.size, sink.chunk
        self.close = sink.close

    async def put_leaves(self, leaves: bytes) -> None:
        self._blobs.use()
        await self._sink.put_leaves(leaves)

    async def put(self, index: int, data: bytes) -> None:
        self._blobs.use()
        await self._sink.put(index, data)


class _FailingContent:
    def __init__(self, blobs: Failing, content: Content) -> None:
        self._blobs, self._content = blobs, content
        self.file, self.size, self.chunk = content.file, content.size, content.chunk
        self.name: str | None = None
        self.modified: int | None = None
        self.close = content.close

    async def leaves(self, offset: int = 0, size: int | None = None) -> bytes:
        self._blobs.use()
        return await self._content.leaves(offset, size)

    async def read(self, offset: int, size: int) -> bytes:
        self._blobs.use()
        return await self._content.read(offset, size)
