"""The store of one machine: SQLite with a write-ahead log, one writing thread, group commit. (ARCHITECTURE)"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from quicchat.server.adapters.store_sqlite.accounts import SqliteAccounts
from quicchat.server.adapters.store_sqlite.files import SqliteFiles
from quicchat.server.adapters.store_sqlite.keys import SqliteKeys
from quicchat.server.adapters.store_sqlite.log import SqliteLog
from quicchat.server.adapters.store_sqlite.rooms import SqliteRooms
from quicchat.server.ports import Accounts, Files, Keys, Log, Rooms
from quicchat.sqlite.database import migrations, open_database
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer

__all__ = ["SqliteStore", "open_store"]


class SqliteStore:
    """Accounts, rooms, log, files and keys over one database file."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self.accounts: Accounts = SqliteAccounts(writer, reader)
        self.rooms: Rooms = SqliteRooms(writer, reader)
        self.log: Log = SqliteLog(writer, reader)
        self.files: Files = SqliteFiles(writer, reader)
        self.keys: Keys = SqliteKeys(writer, reader)

    async def close(self) -> None:
        """Finish what was asked; from now on everything is refused."""
        await self._writer.close()
        await self._reader.close()


def open_store(
    path: str | os.PathLike[str], *, readers: int = 2, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> SqliteStore:
    """Open the database at `path`, or make it; `factory` is the class of its connections, for fault injection.

    Raises UsageError, with one line that names the file, where it cannot be used: not a database, damaged, of
    another program or a newer quicchat, or not ours to write.
    """
    writing, reading = open_database(Path(path).absolute(), migrations(__name__), factory=factory, readers=readers)
    return SqliteStore(Writer(writing), Reader(reading))
