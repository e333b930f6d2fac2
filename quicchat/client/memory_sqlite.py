"""The memory of a device in a file of its own, that only its user may read: SQLite. (spec 06-messages)"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from quicchat.client import past_sqlite
from quicchat.client.events import Sent
from quicchat.client.memory import (
    KEEPS,
    WAITING,
    Change,
    Cursor,
    Entry,
    Held,
    Kept,
    Salt,
    Token,
    Upload,
    packed,
    requeued,
)
from quicchat.client.reserve import file_of, reserved
from quicchat.errors import UsageError
from quicchat.sqlite.database import CLIENT_FILE, migrations, open_database
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Post
from quicchat.wire.search import Word

log = logging.getLogger("quicchat.client")

_PUT_ENTRY: Final = (
    "INSERT INTO outbox (cid, number, room, body, whole, sealed, state, epoch, seq, reason)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (cid) DO UPDATE SET number = excluded.number, body = excluded.body, state = excluded.state,"
    " room = excluded.room, epoch = excluded.epoch,"
    " seq = excluded.seq, reason = excluded.reason, whole = excluded.whole, sealed = excluded.sealed"
)
_ENTRIES: Final = "SELECT number, body, room, state, whole, sealed, seq, epoch, reason FROM outbox ORDER BY number"
_NOT_GIVEN: Final = (
    "SELECT body, whole, seal FROM cursor JOIN event ON event.room = cursor.room AND event.seq > cursor.given"
    " ORDER BY event.room, event.seq LIMIT ?"
)


class SqliteMemory:
    """One file; every `keep` is on the disk when it returns, and those at the same time share a transaction."""

    lasting: Final = True

    def __init__(self, path: Path, writer: Writer, reader: Reader, lock: int | None = None, keeps: int = KEEPS) -> None:
        self.keeps = keeps
        self._path = path
        self._forgets = False
        self._writer = writer
        self._reader = reader
        self._lock = lock

    async def load(self) -> Kept:
        return await self._reader.ask(_load)

    async def keep(self, change: Change) -> None:
        await self._writer.do(lambda connection: _keep(connection, change))

    async def page(self, room: str, *, before: int | None = None, limit: int = 50) -> Sequence[Held]:
        return await self._reader.ask(lambda connection: past_sqlite.page(connection, room, before, limit))

    async def search(self, words: Sequence[Word], *, room: str | None = None, limit: int = 50) -> Sequence[Held]:
        rooms = await self._reader.ask(lambda connection: past_sqlite.behind(connection, room))
        while rooms := await self._writer.do(partial(past_sqlite.index, rooms=rooms)):
            pass
        return await self._reader.ask(lambda connection: past_sqlite.find(connection, words, room, limit))

    async def forget(self) -> None:
        await self._writer.do(_forget)
        self._forgets = True

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()
        if self._forgets:
            try:
                await asyncio.to_thread(_wipe, self._path)
            except sqlite3.Error as error:
                log.warning("what was forgotten may still be in the file", extra={"error": str(error)})
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_memory(data: Path, place: str, user: str, *, keeps: int = KEEPS) -> SqliteMemory:
    """The memory of a user at a server (`host:port`, or what else names it) below a data directory.

    Of each room it keeps the last `keeps` events.
    Raises UsageError, with one line that names the file, where it cannot be used.
    """
    folder = data / "memory"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            folder.chmod(0o700)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}") from None
    return open_file(file_of(folder, place, user), keeps=keeps)


def open_file(path: Path, *, keeps: int = KEEPS) -> SqliteMemory:
    """The memory in that file, for one at a time. Raises UsageError."""
    scripts = migrations("quicchat.client")
    lock = reserved(path)
    try:
        writing, reading = open_database(path.absolute(), scripts, readers=1, application=CLIENT_FILE)
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise
    return SqliteMemory(path.absolute(), Writer(writing), Reader(reading), lock, keeps)


def _load(connection: sqlite3.Connection) -> Kept:
    cursors = connection.execute("SELECT room, epoch, seq, given, read, first FROM cursor").fetchall()
    token = connection.execute("SELECT value, expires, salt, iterations FROM token").fetchone()
    return Kept(
        cursors={room: Cursor(*rest) for room, *rest in cursors},
        entries=[requeued(_entry(row)) for row in connection.execute(_ENTRIES)],
        waiting=[past_sqlite.held(row) for row in connection.execute(_NOT_GIVEN, (WAITING,))],
        token=_token(token) if token is not None else None,
        receipts=connection.execute("SELECT room, user, delivered, read, at FROM receipt").fetchall(),
        ignored=frozenset(user for (user,) in connection.execute("SELECT user FROM ignored")),
        uploads=[_upload(row) for row in connection.execute("SELECT body, chunk, paths FROM upload ORDER BY number")],
        preferences=dict(connection.execute("SELECT name, value FROM preference").fetchall()),
        secrets={
            (drawer, name): value
            for drawer, name, value in connection.execute(
                "SELECT drawer, name, value FROM keyring ORDER BY drawer, name"
            )
        },
    )


def _keep(connection: sqlite3.Connection, change: Change) -> None:
    for room in change.dropped:
        past_sqlite.drop(connection, room)
        for table in ("cursor", "receipt"):
            connection.execute(f"DELETE FROM {table} WHERE room = ?", (room,))
    connection.executemany(_PUT_ENTRY, map(_row, change.entries))
    connection.executemany("DELETE FROM outbox WHERE cid = ?", [(cid,) for cid in change.gone])
    past_sqlite.put(connection, change.events, change.past)
    connection.executemany(
        "INSERT OR REPLACE INTO cursor (room, epoch, seq, given, read, first) VALUES (?, ?, ?, ?, ?, ?)",
        [(room, each.epoch, each.seq, each.given, each.read, each.first) for room, each in change.cursors.items()],
    )
    for room, cursor in change.cursors.items():
        past_sqlite.trim(connection, room, cursor.first)
    _keep_choices(connection, change)
    connection.executemany(
        "INSERT OR REPLACE INTO upload (cid, body, chunk, paths) VALUES (?, ?, ?, ?)",
        [(each.cid, packed(each.post), each.chunk, json.dumps(each.paths)) for each in change.uploads],
    )
    connection.executemany("DELETE FROM upload WHERE cid = ?", [(cid,) for cid in change.uploaded])


def _keep_choices(connection: sqlite3.Connection, change: Change) -> None:
    """What the user and the server have settled."""
    if change.token is not None:
        token = change.token
        salt = (token.salt.salt, token.salt.iterations) if token.salt is not None else (None, None)
        put = "INSERT OR REPLACE INTO token (one, value, expires, salt, iterations) VALUES (1, ?, ?, ?, ?)"
        connection.execute(put, (token.value, token.expires, *salt))
    elif change.spent:
        connection.execute("DELETE FROM token")
    put_receipt = "INSERT OR REPLACE INTO receipt (room, user, delivered, read, at) VALUES (?, ?, ?, ?, ?)"
    connection.executemany(put_receipt, change.receipts)
    for user, on in change.ignored.items():
        put = "INSERT OR IGNORE INTO ignored (user) VALUES (?)" if on else "DELETE FROM ignored WHERE user = ?"
        connection.execute(put, (user,))
    for name, value in change.preferences.items():
        if value is None:
            connection.execute("DELETE FROM preference WHERE name = ?", (name,))
        else:
            connection.execute("INSERT OR REPLACE INTO preference (name, value) VALUES (?, ?)", (name, value))
    for place, secret in change.secrets.items():
        if secret is None:
            connection.execute("DELETE FROM keyring WHERE drawer = ? AND name = ?", place)
        else:
            put = "INSERT OR REPLACE INTO keyring (drawer, name, value) VALUES (?, ?, ?)"
            connection.execute(put, (*place, secret))


def _forget(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE IF EXISTS words")
    for table in ("event", "cursor", "receipt", "preference", "token", "indexed", "searchable"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("DELETE FROM outbox WHERE state >= ?", (int(Sent.STORED),))


def _wipe(path: Path) -> None:
    """What was deleted is still in the free pages of the file, until it is written anew."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _row(entry: Entry) -> tuple[object, ...]:
    sealed = packed(entry.sealed) if entry.sealed is not None else None
    what = packed(entry.post), entry.whole, sealed
    return (entry.cid, entry.order, entry.room, *what, int(entry.state), entry.epoch, entry.seq, entry.reason)


def _entry(row: tuple[int, bytes, str, int, bytes | None, bytes | None, int | None, int | None, str | None]) -> Entry:
    order, body, room, state, whole, sealed, seq, epoch, reason = row
    return Entry(
        order=order,
        post=codec.decode_body(Post, body, version=2),
        room=room,
        state=Sent(state),
        whole=whole,
        sealed=codec.decode_body(Post, sealed, version=2) if sealed is not None else None,
        seq=seq,
        epoch=epoch,
        reason=reason,
    )


def _upload(row: tuple[bytes, int, str]) -> Upload:
    body, chunk, paths = row
    return Upload(codec.decode_body(Post, body, version=2), chunk, tuple(tuple(each) for each in json.loads(paths)))


def _token(row: tuple[bytes, int, bytes | None, int | None]) -> Token:
    value, expires, salt, iterations = row
    return Token(value, expires, Salt(salt, iterations or 0) if salt is not None else None)
