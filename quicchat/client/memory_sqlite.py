"""The memory of a device in a file of its own, that only its user may read: SQLite. (spec 06-messages)"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from quicchat.client.events import Sent
from quicchat.client.memory import (
    PLENTY,
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
from quicchat.errors import UsageError
from quicchat.sqlite.database import CLIENT_FILE, migrations, open_database
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Message, Post

_PUT_ENTRY: Final = (
    "INSERT INTO outbox (cid, number, room, body, whole, state, epoch, seq, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (cid) DO UPDATE SET number = excluded.number, body = excluded.body, state = excluded.state,"
    " room = excluded.room, epoch = excluded.epoch,"
    " seq = excluded.seq, reason = excluded.reason, whole = excluded.whole"
)
_ENTRIES: Final = "SELECT number, body, room, state, whole, seq, epoch, reason FROM outbox ORDER BY number"
_NOT_GIVEN: Final = (
    "SELECT body, whole FROM cursor JOIN event ON event.room = cursor.room AND event.seq > cursor.given"
    " ORDER BY event.room, event.seq LIMIT ?"
)
_LAST: Final = "SELECT body, whole FROM event WHERE room = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
#: The server keeps the log; here are the last events of each room, and what the application has not had.
_FORGET: Final = (
    "DELETE FROM event WHERE room = ? AND seq <= ? AND seq <= (SELECT given FROM cursor WHERE cursor.room = ?)"
)
_ALL_PLACES: Final = 2**62


class SqliteMemory:
    """One file; every `keep` is on the disk when it returns, and those at the same time share a transaction."""

    def __init__(self, writer: Writer, reader: Reader, lock: int | None = None) -> None:
        self._writer = writer
        self._reader = reader
        self._lock = lock

    async def load(self) -> Kept:
        return await self._reader.ask(_load)

    async def keep(self, change: Change) -> None:
        await self._writer.do(lambda connection: _keep(connection, change))

    async def page(self, room: str, *, before: int | None = None, limit: int = 50) -> Sequence[Held]:
        bounds = (room, _ALL_PLACES if before is None else before, limit)
        rows = await self._reader.ask(lambda connection: connection.execute(_LAST, bounds).fetchall())
        return [_held(row) for row in reversed(rows)]

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_memory(data: Path, place: str, user: str) -> SqliteMemory:
    """The memory of a user at a server (`host:port`, or what else names it) below a data directory.

    Raises UsageError, with one line that names the file, where it cannot be used.
    """
    folder = data / "memory"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            folder.chmod(0o700)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}") from None
    # Whatever a place may hold, and however long it is, its file has a short name that is easy to find.
    mark = hashlib.sha256(place.encode()).hexdigest()[:12]
    readable = "".join(each if each.isalnum() or each in ".-" else "_" for each in place)[:64]
    return open_file(folder / f"{user}@{readable}-{mark}.db")


def open_file(path: Path) -> SqliteMemory:
    """The memory in that file, for one at a time. Raises UsageError."""
    scripts = migrations("quicchat.client")
    lock = _reserved(path)
    try:
        writing, reading = open_database(path.absolute(), scripts, readers=1, application=CLIENT_FILE)
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise
    return SqliteMemory(Writer(writing), Reader(reading), lock)


def _reserved(path: Path) -> int | None:
    """A lock that ends with its handle, or with this program; None where the system has no such locks.

    Two programs with one memory would use up each other's token, and the places of each other's outbox.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    handle: int | None = None
    try:
        handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if handle is not None:
            os.close(handle)
        if isinstance(error, BlockingIOError):
            raise UsageError(
                f"{path} is in use: another quicchat is logged in as this user; end it, or name another --data"
            ) from None
        raise UsageError(f"{path}: {error.strerror}") from None
    return handle


def _load(connection: sqlite3.Connection) -> Kept:
    cursors = connection.execute("SELECT room, epoch, seq, given, read FROM cursor").fetchall()
    token = connection.execute("SELECT value, expires, salt, iterations FROM token").fetchone()
    return Kept(
        cursors={room: Cursor(*rest) for room, *rest in cursors},
        entries=[requeued(_entry(row)) for row in connection.execute(_ENTRIES)],
        waiting=[_held(row) for row in connection.execute(_NOT_GIVEN, (WAITING,))],
        token=_token(token) if token is not None else None,
        receipts=connection.execute("SELECT room, user, delivered, read, at FROM receipt").fetchall(),
        ignored=frozenset(user for (user,) in connection.execute("SELECT user FROM ignored")),
        uploads=[_upload(row) for row in connection.execute("SELECT body, chunk, paths FROM upload ORDER BY number")],
    )


def _keep(connection: sqlite3.Connection, change: Change) -> None:
    for room in change.dropped:
        for table in ("event", "cursor", "receipt"):
            connection.execute(f"DELETE FROM {table} WHERE room = ?", (room,))
    connection.executemany(_PUT_ENTRY, map(_row, change.entries))
    connection.executemany("DELETE FROM outbox WHERE cid = ?", [(cid,) for cid in change.gone])
    connection.executemany(
        "INSERT OR REPLACE INTO event (room, seq, body, whole) VALUES (?, ?, ?, ?)",
        [
            (each.event.room, each.event.seq, codec.encode_body(each.event, version=2), each.whole)
            for each in change.events
        ],
    )
    latest = {each.event.room: each.event.seq for each in change.events}
    connection.executemany(_FORGET, [(room, seq - PLENTY, room) for room, seq in latest.items()])
    connection.executemany(
        "INSERT OR REPLACE INTO cursor (room, epoch, seq, given, read) VALUES (?, ?, ?, ?, ?)",
        [(room, each.epoch, each.seq, each.given, each.read) for room, each in change.cursors.items()],
    )
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
    connection.executemany(
        "INSERT OR REPLACE INTO upload (cid, body, chunk, paths) VALUES (?, ?, ?, ?)",
        [(each.cid, packed(each.post), each.chunk, json.dumps(each.paths)) for each in change.uploads],
    )
    connection.executemany("DELETE FROM upload WHERE cid = ?", [(cid,) for cid in change.uploaded])


def _row(entry: Entry) -> tuple[object, ...]:
    where = entry.epoch, entry.seq
    return (entry.cid, entry.order, entry.room, packed(entry.post), entry.whole, int(entry.state), *where, entry.reason)


def _entry(row: tuple[int, bytes, str, int, bytes | None, int | None, int | None, str | None]) -> Entry:
    order, body, room, state, whole, seq, epoch, reason = row
    post = codec.decode_body(Post, body, version=2)
    return Entry(order=order, post=post, room=room, state=Sent(state), whole=whole, seq=seq, epoch=epoch, reason=reason)


def _upload(row: tuple[bytes, int, str]) -> Upload:
    body, chunk, paths = row
    return Upload(codec.decode_body(Post, body, version=2), chunk, tuple(tuple(each) for each in json.loads(paths)))


def _token(row: tuple[bytes, int, bytes | None, int | None]) -> Token:
    value, expires, salt, iterations = row
    return Token(value, expires, Salt(salt, iterations or 0) if salt is not None else None)


def _held(row: tuple[bytes, str | None]) -> Held:
    return Held(codec.decode_body(Message, row[0], version=2), row[1])
