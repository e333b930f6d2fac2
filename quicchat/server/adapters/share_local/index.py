"""What shared files were found to be, kept over restarts so that none is read again for it. (spec 14-files)"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import struct
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from quicchat.errors import Refused
from quicchat.server.adapters.share_local.folder import Stamp
from quicchat.sqlite.database import INDEX_FILE, Unreadable, migrations, open_database
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer

#: Inodes and devices are unsigned, and SQLite has no such numbers of 64 bits.
_STAMP: Final = struct.Struct(">QQQqq")

log = logging.getLogger("quicchat.server.share")

_LEAVES: Final = "SELECT substr(leaves, ?, ?) FROM digest WHERE stamp = ?"


class Digest(NamedTuple):
    """One version of a file, its id and its leaves."""

    stamp: Stamp
    file: bytes
    leaves: bytes


class Index:
    """The ids of all versions that are there are in memory, their leaves on the disk.

    Where the disk is full or fails, less is remembered and more is read again; nothing else happens.
    """

    def __init__(self, writer: Writer, reader: Reader, files: dict[Stamp, bytes]) -> None:
        self._writer = writer
        self._reader = reader
        self._files = files
        self._stamps: dict[bytes, set[Stamp]] = {}
        for stamp, file in files.items():
            self._stamps.setdefault(file, set()).add(stamp)

    def file(self, stamp: Stamp) -> bytes | None:
        """What that version is, as far as it is known."""
        return self._files.get(stamp)

    def versions(self, file: bytes) -> Collection[Stamp]:
        """Those that are known to be that file."""
        return self._stamps.get(file, ())

    async def leaves(self, stamp: Stamp, part: slice) -> bytes | None:
        """These bytes of its leaves, as far as they are known."""
        asked = (part.start + 1, part.stop - part.start, _packed(stamp))

        def found(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(_LEAVES, asked).fetchone()
            return row[0] if row else None

        with contextlib.suppress(Refused):
            return await self._reader.ask(found)
        return None

    def learn(self, digest: Digest) -> None:
        """From now on this is known, if only until the end of the process."""
        self._files[digest.stamp] = digest.file
        self._stamps.setdefault(digest.file, set()).add(digest.stamp)

    async def keep(self, digests: Sequence[Digest]) -> None:
        """Remember what was learnt."""
        rows = [(_packed(each.stamp), each.file, each.leaves) for each in digests]
        await self._write("INSERT OR REPLACE INTO digest VALUES (?, ?, ?)", rows)

    def stamps(self) -> set[Stamp]:
        """All versions that are known."""
        return set(self._files)

    async def forget(self, stamps: Collection[Stamp]) -> None:
        """These are not there any more."""
        for stamp in stamps:
            file = self._files.pop(stamp, b"")
            self._stamps.get(file, set()).discard(stamp)
            if not self._stamps.get(file):
                self._stamps.pop(file, None)
        if stamps:
            await self._write("DELETE FROM digest WHERE stamp = ?", [(_packed(stamp),) for stamp in stamps])

    async def close(self) -> None:
        """Finish what was begun, then close."""
        await self._writer.close()
        await self._reader.close()

    async def _write(self, statement: str, rows: Sequence[tuple[bytes, ...]]) -> None:
        # The writer has told the log; whoever asks for the file has no use for it.
        with contextlib.suppress(Refused):
            await self._writer.do(lambda connection: connection.executemany(statement, rows).rowcount)


def open_index(path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection) -> Index:
    """Open the file of the index, or make it, anew where it cannot be read: all of it follows from the files.

    `factory` is for fault injection. Raises UsageError.
    """
    try:
        return _opened(path, factory)
    except Unreadable as unreadable:
        log.warning("index made anew: shared files are read once more", extra={"error": str(unreadable)})
    for each in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        each.unlink(missing_ok=True)
    return _opened(path, factory)


def _opened(path: Path, factory: type[sqlite3.Connection]) -> Index:
    writing, reading = open_database(
        path, migrations("quicchat.server.adapters.share_local"), factory=factory, readers=1, application=INDEX_FILE
    )
    try:
        rows = writing.execute("SELECT stamp, file FROM digest").fetchall()
    except sqlite3.Error as error:
        for each in (writing, *reading):
            each.close()
        # One so large that it was not searched for damage when it was opened.
        raise Unreadable(f"{path} is damaged ({error})") from error
    files = {Stamp(*_STAMP.unpack(stamp)): file for stamp, file in rows}
    return Index(Writer(writing), Reader(reading), files)


def _packed(stamp: Stamp) -> bytes:
    return _STAMP.pack(*stamp)
