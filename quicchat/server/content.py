"""Content: where the bytes of a file come from and go to, while they are under way. (spec 14-files)"""

from __future__ import annotations

from typing import Protocol


class Content(Protocol):
    """A file that is read, while it may still be coming in. `close` gives back what it holds."""

    file: bytes
    size: int
    chunk: int
    #: What the server shares has a name and a time of its last change, Unix ms.
    name: str | None
    modified: int | None

    async def leaves(self, offset: int = 0, size: int | None = None) -> bytes:
        """The digests of all chunks one after the other, or these bytes of them. Raises as `read`."""

    async def read(self, offset: int, size: int) -> bytes:
        """Exactly these bytes; those of a chunk that is still to be uploaded are waited for.

        Raises Refused(NO_SUCH_FILE) once the upload is given up, or brought nothing for too long; (FILE_CHANGED) where
        another content took its place; (STORE_UNAVAILABLE) where the disk fails.
        """

    def close(self) -> None:
        """Whoever read it is done."""


class Sink(Protocol):
    """A file that is written, chunk by chunk in any order. `close` gives back what it holds."""

    file: bytes
    size: int
    chunk: int

    async def put_leaves(self, leaves: bytes) -> None:
        """Take the digests of all chunks, before the first chunk, at once or in pieces.

        Raises Refused(DIGEST) with the last of them where they do not give the file, and where there are too many.
        """

    async def put(self, index: int, data: bytes) -> None:
        """Take a whole chunk. Raises Refused(DIGEST) where it is another or the leaves are not here yet,
        (NO_SUCH_FILE) once the upload is given up, (STORE_UNAVAILABLE) where the disk fails.
        """

    def close(self) -> None:
        """Whoever wrote it is done."""
