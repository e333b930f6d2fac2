"""Accounts, their proofs and their devices in SQLite. (spec 04-accounts)"""

from __future__ import annotations

import sqlite3
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import HEAD, entry_cid
from quicchat.server.adapters.store_sqlite.reader import Reader
from quicchat.server.adapters.store_sqlite.rooms import enter, enter_visibly, is_account
from quicchat.server.adapters.store_sqlite.writer import Writer
from quicchat.server.model import Credentials, Head, Stored
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, User

_HEADS: Final = f"""
    SELECT room.name, room.epoch, {HEAD}, coalesce(cursor.delivered, member.since)
    FROM member JOIN room ON room.id = member.room
    LEFT JOIN cursor ON cursor.user = member.user AND cursor.room = member.room AND cursor.device = ?
    WHERE member.user = ? ORDER BY room.name"""


class SqliteAccounts:
    """The port `Accounts`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def secret(self) -> bytes:
        return await self._reader.ask(_secret)

    async def is_empty(self) -> bool:
        return await self._reader.ask(_is_empty)

    async def sign_up(self, user: User, credentials: Credentials, *, at: int) -> tuple[Stored, ...]:
        return await self._writer.do(lambda connection: _sign_up(connection, user, credentials, at))

    async def credentials(self, user: User) -> Credentials | None:
        return await self._reader.ask(lambda connection: _credentials(connection, user))

    async def set_credentials(self, user: User, credentials: Credentials) -> None:
        await self._writer.do(lambda connection: _set_credentials(connection, user, credentials))

    async def admit(self, user: User, device: Device, name: str, *, at: int) -> tuple[Head, ...]:
        await self._writer.do(lambda connection: _record_device(connection, user, device, name, at))
        # Outside the transaction: the heads of many rooms would keep all writers waiting.
        return await self._reader.ask(lambda connection: _heads(connection, user, device))


def _secret(connection: sqlite3.Connection) -> bytes:
    secret: bytes = connection.execute("SELECT secret FROM store").fetchone()[0]
    return secret


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM account LIMIT 1").fetchone() is None


def _sign_up(connection: sqlite3.Connection, user: User, credentials: Credentials, at: int) -> tuple[Stored, ...]:
    if is_account(connection, user):
        raise Refused(Code.NAME_TAKEN)
    connection.execute(
        "INSERT INTO account (name, salt, iterations, stored_key, server_key) VALUES (?, ?, ?, ?, ?)",
        (user, credentials.salt, credentials.iterations, credentials.stored_key, credentials.server_key),
    )
    numbers = dict(
        connection.execute("SELECT name, id FROM room WHERE name IN (?, ?)", (GENERAL, ANNOUNCEMENTS)).fetchall()
    )
    enter(connection, numbers[ANNOUNCEMENTS], user)
    return (enter_visibly(connection, numbers[GENERAL], user, entry_cid(user), at),)


def _credentials(connection: sqlite3.Connection, user: User) -> Credentials | None:
    row = connection.execute(
        "SELECT salt, iterations, stored_key, server_key FROM account WHERE name = ?", (user,)
    ).fetchone()
    if row is None:
        return None
    salt, iterations, stored_key, server_key = row
    return Credentials(salt=salt, iterations=iterations, stored_key=stored_key, server_key=server_key)


def _set_credentials(connection: sqlite3.Connection, user: User, credentials: Credentials) -> None:
    changed = connection.execute(
        "UPDATE account SET salt = ?, iterations = ?, stored_key = ?, server_key = ? WHERE name = ?",
        (credentials.salt, credentials.iterations, credentials.stored_key, credentials.server_key, user),
    )
    if changed.rowcount == 0:
        raise Refused(Code.NO_SUCH_USER)


def _record_device(connection: sqlite3.Connection, user: User, device: Device, name: str, at: int) -> None:
    if not is_account(connection, user):
        raise Refused(Code.NO_SUCH_USER)
    known = connection.execute("SELECT 1 FROM device WHERE user = ? AND device = ?", (user, device)).fetchone()
    if known is None:
        # A new device starts where the user's furthest one stands; where none has a row, `since` is that place.
        connection.execute(
            "INSERT OR REPLACE INTO cursor (user, room, device, delivered)"
            " SELECT user, room, ?, max(delivered) FROM cursor WHERE user = ? GROUP BY room",
            (device, user),
        )
    connection.execute(
        "INSERT INTO device (user, device, name, seen) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET name = excluded.name, seen = excluded.seen",
        (user, device, name, at),
    )


def _heads(connection: sqlite3.Connection, user: User, device: Device) -> tuple[Head, ...]:
    return tuple(
        Head(room=room, epoch=epoch, head=head, delivered=delivered)
        for room, epoch, head, delivered in connection.execute(_HEADS, (device, user))
    )
