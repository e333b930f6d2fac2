"""Shared files in memory, for tests and for servers that share nothing. (spec 14-files)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quicchat.errors import Code, Refused
from quicchat.server.content import Content
from quicchat.server.model import Shared
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Standing


class MemoryShare:
    """The port `Share` over texts by name; whoever holds `files` may change it at any time."""

    def __init__(self, files: Mapping[str, bytes] | None = None, *, modified: int = 0) -> None:
        self.files = dict(files or {})
        self.modified = modified

    async def listed(self, *, after: str | None, limit: int) -> Sequence[Shared]:
        names = sorted(name for name in self.files if after is None or name > after)
        return [self._shared(name) for name in names[:limit]]

    async def open(self, name: str | None, file: bytes | None) -> Content:
        for each, data in self.files.items():
            if name in (None, each) and (name is not None or leaves.of(data)[0] == file):
                content = MemoryContent(self, each, data)
                if file not in (None, content.file):
                    raise Refused(Code.FILE_CHANGED)
                return content
        raise Refused(Code.NO_SUCH_FILE)

    def _shared(self, name: str) -> Shared:
        data = self.files[name]
        return Shared(
            name=name,
            size=len(data),
            modified=self.modified,
            media_type="application/octet-stream",
            file=leaves.of(data)[0],
            standing=Standing.WHOLE,
        )


class MemoryContent:
    """The port `Content`, which ends when the file has other bytes; one that was taken away is read to the end."""

    def __init__(self, share: MemoryShare, name: str, data: bytes) -> None:
        self.file, self._leaves = leaves.of(data)
        self.size = len(data)
        self.chunk = leaves.CHUNK
        self.name: str | None = name
        self.modified: int | None = share.modified
        self._share = share
        self._data: bytes | None = data

    async def leaves(self, offset: int = 0, size: int | None = None) -> bytes:
        self._bytes()
        return self._leaves[offset : None if size is None else offset + size]

    async def read(self, offset: int, size: int) -> bytes:
        found = self._bytes()[offset : offset + size]
        if len(found) < size:
            raise Refused(Code.FILE_CHANGED)
        return found

    def close(self) -> None:
        self._data = None

    def _bytes(self) -> bytes:
        if self._data is None:
            raise Refused(Code.NO_SUCH_FILE)
        if self._share.files.get(self.name or "", self._data) != self._data:
            raise Refused(Code.FILE_CHANGED)
        return self._data
