"""Accounts, their proofs and their devices in SQLite. (spec 04-accounts)"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import FIRST, HEAD, entry_cid
from quicchat.server.adapters.store_sqlite.members import enter, enter_visibly, is_account
from quicchat.server.gaps import Gaps, judged, lost
from quicchat.server.model import (
    TOKEN_SLACK,
    Credentials,
    Head,
    Installation,
    Stored,
)
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User

_HEADS: Final = f"""
    SELECT room.name, room.epoch, {HEAD}, coalesce(cursor.delivered, member.since)
    FROM member JOIN room ON room.id = member.room
    LEFT JOIN cursor ON cursor.user = member.user AND cursor.room = member.room AND cursor.device = ?
    WHERE member.user = ? ORDER BY room.name"""

_GAPS: Final = f"""
    SELECT room.name, room.epoch, {FIRST}, {HEAD}, member.since, coalesce(cursor.delivered, member.since)
    FROM member JOIN room ON room.id = member.room
    LEFT JOIN cursor ON cursor.user = member.user AND cursor.room = member.room AND cursor.device = ?
    WHERE member.user = ? ORDER BY room.name"""
_BEARER: Final = "SELECT user FROM device WHERE token = ? AND device = ? AND expires > ?"


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

    async def set_credentials(
        self, user: User, credentials: Credentials, *, current: bytes | None = None, keep: Device | None = None
    ) -> None:
        await self._writer.do(lambda connection: _set_credentials(connection, user, credentials, current, keep))

    async def admit(
        self,
        user: User,
        device: Device,
        name: str,
        *,
        token: bytes | None = None,
        expires: int = 0,
        proven: bytes | None = None,
        at: int,
    ) -> tuple[Head, ...]:
        def step(connection: sqlite3.Connection) -> None:
            _check(connection, user, proven)
            _record_device(connection, user, device, name, at)
            if token is not None:
                _set_token(connection, user, device, token, expires)

        await self._writer.do(step)
        # Outside the transaction: the heads of many rooms would keep all writers waiting.
        return await self._reader.ask(lambda connection: _heads(connection, user, device))

    async def bearer(self, token: bytes, device: Device, *, at: int) -> User:
        return await self._reader.ask(lambda connection: _bearer(connection, token, device, at))

    async def gaps(
        self, user: User, device: Device, *, have: Mapping[Room, tuple[int, int]], outstanding: Sequence[bytes]
    ) -> Gaps:
        return await self._reader.ask(lambda connection: _gaps(connection, user, device, have, outstanding))

    async def rotate(
        self, old: bytes, new: bytes, device: Device, name: str, *, expires: int, at: int
    ) -> tuple[Head, ...]:
        user = await self._writer.do(lambda connection: _rotate(connection, old, new, device, name, expires, at))
        return await self._reader.ask(lambda connection: _heads(connection, user, device))

    async def seen(self, user: User, device: Device, *, at: int) -> None:
        await self._writer.do(lambda connection: _note(connection, user, device, at))

    async def devices(self, user: User, *, limit: int) -> Sequence[Installation]:
        return await self._reader.ask(lambda connection: _devices(connection, user, limit))

    async def revoke(self, user: User, device: Device) -> None:
        await self._writer.do(lambda connection: _revoke(connection, user, device))


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


def _set_credentials(
    connection: sqlite3.Connection,
    user: User,
    credentials: Credentials,
    current: bytes | None,
    keep: Device | None,
) -> None:
    _check(connection, user, current)
    connection.execute(
        "UPDATE account SET salt = ?, iterations = ?, stored_key = ?, server_key = ? WHERE name = ?",
        (credentials.salt, credentials.iterations, credentials.stored_key, credentials.server_key, user),
    )
    connection.execute("UPDATE device SET token = NULL, expires = 0 WHERE user = ? AND device IS NOT ?", (user, keep))
    connection.execute("DELETE FROM key_device WHERE user = ? AND listed = 0 AND device IS NOT ?", (user, keep))


def _check(connection: sqlite3.Connection, user: User, stored_key: bytes | None) -> None:
    """Raises Refused unless there is such a user, and this is his key where one is given."""
    row = connection.execute("SELECT stored_key FROM account WHERE name = ?", (user,)).fetchone()
    if row is None:
        raise Refused(Code.NO_SUCH_USER)
    if stored_key not in (None, row[0]):
        raise Refused(Code.AUTH_FAILED)


def _record_device(connection: sqlite3.Connection, user: User, device: Device, name: str, at: int) -> None:
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
        " ON CONFLICT DO UPDATE SET name = excluded.name",
        (user, device, name, at),
    )
    _note(connection, user, device, at)


def _note(connection: sqlite3.Connection, user: User, device: Device, at: int) -> None:
    """Record that a device was here."""
    found = connection.execute(
        "UPDATE device SET seen = max(seen, ?) WHERE user = ? AND device = ?", (at, user, device)
    )
    if found.rowcount:
        connection.execute("UPDATE account SET seen = max(seen, ?) WHERE name = ?", (at, user))


def _set_token(connection: sqlite3.Connection, user: User, device: Device, token: bytes | None, expires: int) -> None:
    connection.execute(
        "UPDATE device SET token = ?, expires = ? WHERE user = ? AND device = ?", (token, expires, user, device)
    )


def _revoke(connection: sqlite3.Connection, user: User, device: Device) -> None:
    _set_token(connection, user, device, None, 0)
    connection.execute("DELETE FROM key_device WHERE user = ? AND device = ? AND listed = 0", (user, device))


def _bearer(connection: sqlite3.Connection, token: bytes, device: Device, at: int) -> User:
    row = connection.execute(_BEARER, (token, device, at - TOKEN_SLACK)).fetchone()
    if row is None:
        raise Refused(Code.TOKEN_EXPIRED)
    return User(row[0])


def _rotate(
    connection: sqlite3.Connection, old: bytes, new: bytes, device: Device, name: str, expires: int, at: int
) -> User:
    user = _bearer(connection, old, device, at)
    _set_token(connection, user, device, new, expires)
    _note(connection, user, device, at)
    if name:
        connection.execute("UPDATE device SET name = ? WHERE user = ? AND device = ?", (name, user, device))
    return user


def _gaps(
    connection: sqlite3.Connection,
    user: User,
    device: Device,
    have: Mapping[Room, tuple[int, int]],
    outstanding: Sequence[bytes],
) -> Gaps:
    gaps = [
        judged(room, epoch=epoch, first=first, head=head, since=since, delivered=delivered, held=have.get(room))
        for room, epoch, first, head, since, delivered in connection.execute(_GAPS, (device, user))
    ]
    seen = {gap.room for gap in gaps}
    gaps += [lost(room, epoch) for room, (epoch, _) in have.items() if room not in seen]
    holders = ", ".join("?" * len(outstanding))
    stored = dict(
        connection.execute(
            f"SELECT cid, seq FROM event WHERE sender = ? AND cid IN ({holders})", (user, *outstanding)
        ).fetchall()
    )
    known = {cid: stored[cid] for cid in outstanding if cid in stored}
    return Gaps(rooms=tuple(gaps), known=tuple(known.items()))


def _devices(connection: sqlite3.Connection, user: User, limit: int) -> list[Installation]:
    rows = connection.execute(
        "SELECT device, name, seen, expires FROM device WHERE user = ? ORDER BY seen DESC, device LIMIT ?",
        (user, limit),
    )
    return [Installation(device=device, name=name, seen=seen, expires=expires) for device, name, seen, expires in rows]


def _heads(connection: sqlite3.Connection, user: User, device: Device) -> tuple[Head, ...]:
    return tuple(
        Head(room=room, epoch=epoch, head=head, delivered=delivered)
        for room, epoch, head, delivered in connection.execute(_HEADS, (device, user))
    )
