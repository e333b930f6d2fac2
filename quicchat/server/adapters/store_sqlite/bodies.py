"""Long bodies in SQLite: put aside in pieces, then owned by the event that names them. (spec 06-messages)"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.members import is_account, place
from quicchat.server.model import ASIDE, ASIDE_LEAST, ASIDE_TIME, PIECE_LEAST, Piece
from quicchat.wire.chapters.messages import PIECE, Attachments
from quicchat.wire.names import Room, User

#: Old ones of others forgotten by one put, so that it does not take long.
_SWEPT: Final = 16
_OLD: Final = "SELECT id FROM body WHERE room IS NULL AND at < ? ORDER BY at LIMIT ?"
_OWN_OLD: Final = "SELECT id FROM body WHERE user = ? AND room IS NULL AND at < ?"
_USED: Final = f"SELECT coalesce(sum(max(size, {ASIDE_LEAST})), 0) FROM body WHERE user = ? AND room IS NULL"


def put(
    connection: sqlite3.Connection, user: User, digest: bytes, size: int, offset: int, data: bytes, at: int
) -> Refused | None:
    """Take a piece. What is refused is returned: that old bodies were forgotten is not to be undone."""
    if not is_account(connection, user):
        return Refused(Code.NO_SUCH_USER)
    for (old,) in connection.execute(_OLD, (at - ASIDE_TIME, _SWEPT)).fetchall():
        _drop(connection, old)
    for (old,) in connection.execute(_OWN_OLD, (user, at - ASIDE_TIME)).fetchall():
        _drop(connection, old)
    try:
        _take(connection, user, digest, size, offset, data, at)
    except Refused as refusal:
        return refusal
    return None


def _take(
    connection: sqlite3.Connection, user: User, digest: bytes, size: int, offset: int, data: bytes, at: int
) -> None:
    found = connection.execute(
        "SELECT id, size, held FROM body WHERE user = ? AND digest = ? AND room IS NULL", (user, digest)
    ).fetchone()
    number, expected, held = found or (None, size, 0)
    end = offset + len(data)
    if size != expected or end > size or offset > held or offset < held < end:
        raise Refused(Code.RANGE)
    if len(data) < PIECE_LEAST and end < size:
        raise Refused(Code.RANGE, f"A piece that is not the last has {PIECE_LEAST} bytes at least.")
    if end <= held:
        return
    if number is None:
        ((used,),) = connection.execute(_USED, (user,))
        if used + max(size, ASIDE_LEAST) > ASIDE:
            raise Refused(Code.QUOTA)
    if end == size and _digest(connection, number, data) != digest:
        _drop(connection, number)
        raise Refused(Code.DIGEST)
    if number is None:
        number = connection.execute(
            "INSERT INTO body (user, digest, size, held, at) VALUES (?, ?, ?, 0, ?)", (user, digest, size, at)
        ).lastrowid
    connection.execute("INSERT INTO piece (body, offset, data) VALUES (?, ?, ?)", (number, offset, data))
    connection.execute("UPDATE body SET held = ?, at = ? WHERE id = ?", (end, at, number))


def check(connection: sqlite3.Connection, user: User, attachments: Attachments) -> None:
    """Raises Refused(NO_SUCH_FILE) unless the user has put aside all of them, whole."""
    for digest, size, _ in attachments:
        found = connection.execute(
            "SELECT 1 FROM body WHERE user = ? AND digest = ? AND room IS NULL AND size = ? AND held = size",
            (user, digest, size),
        )
        if found.fetchone() is None:
            raise Refused(Code.NO_SUCH_FILE)


def own(
    connection: sqlite3.Connection, user: User, attachments: Attachments, number: int, epoch: int, seq: int
) -> None:
    """What was put aside belongs to an event now."""
    for digest, *_ in attachments:
        connection.execute(
            "UPDATE body SET room = ?, epoch = ?, seq = ? WHERE user = ? AND digest = ? AND room IS NULL",
            (number, epoch, seq, user, digest),
        )


def get(
    connection: sqlite3.Connection, room: Room, user: User, seq: int, digest: bytes, offset: int, limit: int
) -> Piece:
    """The port's `body`."""
    where = place(connection, room, user)
    if where is None:
        raise Refused(Code.NO_SUCH_ROOM)
    found = connection.execute(
        "SELECT id, size FROM body WHERE room = ? AND epoch = ? AND seq = ? AND digest = ?",
        (where[0], where[1], seq, digest),
    ).fetchone()
    if found is None:
        raise Refused(Code.NO_SUCH_FILE)
    number, size = found
    if offset > size:
        raise Refused(Code.RANGE)
    rows = connection.execute(
        "SELECT offset, data FROM piece WHERE body = ? AND offset > ? AND offset < ? ORDER BY offset",
        (number, offset - PIECE, offset + limit),
    ).fetchall()
    skipped = offset - rows[0][0] if rows else 0
    return Piece(size=size, data=b"".join(data for _, data in rows)[skipped : skipped + limit])


def forget(connection: sqlite3.Connection, number: int, epoch: int, seq: int) -> None:
    """What an event named is gone."""
    bodies = connection.execute("SELECT id FROM body WHERE room = ? AND epoch = ? AND seq = ?", (number, epoch, seq))
    for (body,) in bodies.fetchall():
        _drop(connection, body)


def _drop(connection: sqlite3.Connection, number: int | None) -> None:
    connection.execute("DELETE FROM piece WHERE body = ?", (number,))
    connection.execute("DELETE FROM body WHERE id = ?", (number,))


def _digest(connection: sqlite3.Connection, number: int | None, last: bytes) -> bytes:
    whole = hashlib.sha256()
    for (data,) in connection.execute("SELECT data FROM piece WHERE body = ? ORDER BY offset", (number,)):
        whole.update(data)
    whole.update(last)
    return whole.digest()
