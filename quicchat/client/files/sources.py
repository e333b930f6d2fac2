"""Where the bytes of an upload come from. (spec 14-files)"""

from __future__ import annotations

import mimetypes
import os
import stat
import threading
from pathlib import Path
from typing import Protocol

from quicchat.errors import Code, Refused, UsageError


class Source(Protocol):
    """Something to upload; `modified` is Unix ms, 0 where nobody knows. Its bytes stay the same while it is open."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def modified(self) -> int: ...
    @property
    def media_type(self) -> str: ...

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from there on; called in a thread. Raises Refused(FILE_CHANGED), OSError."""

    def close(self) -> None:
        """It is not read any more."""


class PathSource:
    """A regular file, as it is now. Raises UsageError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # A pipe without a writer would hold us up for ever.
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        found = os.fstat(self._handle)
        if not stat.S_ISREG(found.st_mode):
            os.close(self._handle)
            raise UsageError(f"{path}: not a file")
        self.stamp = found.st_size, found.st_mtime_ns
        self._lock = threading.Lock()
        self._is_open = True
        self.name = path.name
        self.size = found.st_size
        self.modified = max(0, found.st_mtime_ns // 1_000_000)
        self.media_type = _media_type(path.name)

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            os.lseek(self._handle, offset, os.SEEK_SET)
            data = b""
            while len(data) < size and (piece := os.read(self._handle, size - len(data))):
                data = data + piece if data else piece
            now = os.fstat(self._handle)
        if len(data) < size or (now.st_size, now.st_mtime_ns) != self.stamp:
            raise Refused(Code.FILE_CHANGED, f"{self.name} changed while it was read.")
        return data

    def close(self) -> None:
        with self._lock:
            if self._is_open:
                self._is_open = False
                os.close(self._handle)


class BytesSource:
    """Bytes in memory."""

    def __init__(self, name: str, data: bytes, *, modified: int = 0, media_type: str = "") -> None:
        self.name = name
        self.size = len(data)
        self.modified = modified
        self.media_type = media_type or _media_type(name)
        self._data = data

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    def close(self) -> None:
        """There is nothing to close."""


def _media_type(name: str) -> str:
    return (mimetypes.guess_type(name)[0] or "application/octet-stream")[:64]
