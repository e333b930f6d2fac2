"""Device lists, the keys of devices, and backups in SQLite. (spec 15-keys)"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.entries import written
from quicchat.server.adapters.store_sqlite.members import is_account
from quicchat.server.model import (
    KEYS_SIZE,
    PRESENCE_ROOM,
    WAITING_EACH,
    WAITING_LIFE,
    Backup,
    DeviceKey,
    Published,
    SignedList,
    UserKeys,
)
from quicchat.server.rules import told
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer
from quicchat.wire.chapters.rooms import ENCRYPTED
from quicchat.wire.names import Device, Room, User

_FINGERPRINT: Final = 20
_LIST: Final = "SELECT serial, identity, devices, signature, fingerprints FROM key_list WHERE user = ?"
_LISTED: Final = "SELECT fingerprint, certificate FROM key_device WHERE user = ? AND listed = 1"
_WAITING: Final = """
    SELECT key_device.device, key_device.fingerprint, key_device.handle, key_device.name, key_device.certificate
    FROM key_device JOIN device ON device.user = key_device.user AND device.device = key_device.device
    WHERE key_device.user = ? AND key_device.listed = 0 AND device.token IS NOT NULL AND device.seen > ?
    ORDER BY key_device.at DESC, key_device.device LIMIT ?"""
_CONCERNED: Final = f"""
    SELECT room.name FROM member JOIN room ON room.id = member.room
    WHERE member.user = ? AND (room.kind = 'direct' OR room.policy & {ENCRYPTED} OR room.members <= {PRESENCE_ROOM})"""
_KEY: Final = """
    INSERT INTO key_device (user, device, fingerprint, handle, name, certificate, at, listed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (user, device) DO UPDATE SET fingerprint = excluded.fingerprint, handle = excluded.handle,
        name = excluded.name, certificate = excluded.certificate, at = excluded.at, listed = excluded.listed"""


class SqliteKeys:
    """The port `Keys`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def publish(self, user: User, key: DeviceKey, signed: SignedList | None, *, at: int) -> Published:
        return await self._writer.do(lambda connection: _publish(connection, user, key, signed, at))

    async def of(self, users: Sequence[tuple[User, int]], *, budget: int) -> Sequence[UserKeys]:
        return await self._reader.ask(lambda connection: _page(connection, users, budget))

    async def waiting(self, user: User, *, at: int) -> Sequence[DeviceKey]:
        return await self._reader.ask(lambda connection: _waiting(connection, user, at))

    async def concerned(self, user: User) -> frozenset[Room]:
        rows = await self._reader.ask(lambda connection: connection.execute(_CONCERNED, (user,)).fetchall())
        return frozenset(Room(name) for (name,) in rows)

    async def back_up(self, user: User, generation: int, part: int, data: bytes, *, most: int) -> None:
        await self._writer.do(lambda connection: _back_up(connection, user, generation, part, data, most))

    async def restore(self, user: User, part: int) -> Backup:
        return await self._reader.ask(lambda connection: _restore(connection, user, part))


def _publish(
    connection: sqlite3.Connection, user: User, key: DeviceKey, signed: SignedList | None, at: int
) -> Published:
    if not is_account(connection, user):
        raise Refused(Code.NO_SUCH_USER)
    earlier = _list(connection, user)
    if signed is None or signed == earlier:
        now, fresh = earlier, False
    elif earlier is not None and signed.serial <= earlier.serial:
        raise Refused(Code.KEYS_STALE)
    else:
        now, fresh = signed, True
    fingerprints = () if now is None else now.fingerprints
    facts = (key.fingerprint, written(key.handle), key.name, key.certificate)
    own = connection.execute(
        "SELECT fingerprint, handle, name, certificate FROM key_device WHERE user = ? AND device = ?",
        (user, key.device),
    ).fetchone()
    other = connection.execute(
        "SELECT certificate FROM key_device WHERE user = ? AND fingerprint = ? AND device <> ?",
        (user, key.fingerprint, key.device),
    ).fetchone()
    if other is not None and other[0] != key.certificate:
        raise Refused(Code.FORBIDDEN, "Another device has this key.")
    _check_size(connection, user, key, now)
    listed = key.fingerprint in fingerprints
    if fresh and now is not None:
        _put_list(connection, user, now)
    if fresh or own != facts:
        connection.execute(
            "DELETE FROM key_device WHERE user = ? AND fingerprint = ? AND device <> ?",
            (user, key.fingerprint, key.device),
        )
        connection.execute(_KEY, (user, key.device, *facts, at, listed))
        _forget_oldest(connection, user, key.device)
    return Published(news=fresh or own != facts, listed=listed, serial=0 if now is None else now.serial)


def _check_size(connection: sqlite3.Connection, user: User, key: DeviceKey, signed: SignedList | None) -> None:
    """Raises Refused(LIMIT) where what would be told of the user fits no frame."""
    if signed is None:
        return
    certificates = dict(
        connection.execute(
            "SELECT fingerprint, certificate FROM key_device WHERE user = ? AND device <> ?", (user, key.device)
        ).fetchall()
    )
    certificates[key.fingerprint] = key.certificate
    if told(user, signed, certificates).size > KEYS_SIZE:
        raise Refused(Code.LIMIT, "Fewer devices, or shorter certificates.")


def _list(connection: sqlite3.Connection, user: User) -> SignedList | None:
    row = connection.execute(_LIST, (user,)).fetchone()
    if row is None:
        return None
    serial, identity, devices, signature, prints = row
    return SignedList(
        serial=serial,
        identity=identity,
        devices=devices,
        signature=signature,
        fingerprints=tuple(prints[at : at + _FINGERPRINT] for at in range(0, len(prints), _FINGERPRINT)),
    )


def _put_list(connection: sqlite3.Connection, user: User, signed: SignedList) -> None:
    """A new list: what was listed and is so no more is forgotten, what waited and stands there now is listed."""
    connection.execute(
        "INSERT OR REPLACE INTO key_list (user, serial, identity, devices, signature, fingerprints)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (user, signed.serial, signed.identity, signed.devices, signed.signature, b"".join(signed.fingerprints)),
    )
    rows = connection.execute("SELECT device, fingerprint, listed FROM key_device WHERE user = ?", (user,)).fetchall()
    for device, fingerprint, listed in rows:
        if fingerprint in signed.fingerprints:
            connection.execute("UPDATE key_device SET listed = 1 WHERE user = ? AND device = ?", (user, device))
        elif listed:
            connection.execute("DELETE FROM key_device WHERE user = ? AND device = ?", (user, device))


def _forget_oldest(connection: sqlite3.Connection, user: User, but: Device) -> None:
    rows = connection.execute(
        "SELECT device FROM key_device WHERE user = ? AND listed = 0 ORDER BY device <> ?, at DESC, device"
        " LIMIT -1 OFFSET ?",
        (user, but, WAITING_EACH),
    ).fetchall()
    for (device,) in rows:
        connection.execute("DELETE FROM key_device WHERE user = ? AND device = ?", (user, device))


def _page(connection: sqlite3.Connection, users: Sequence[tuple[User, int]], budget: int) -> list[UserKeys]:
    found: list[UserKeys] = []
    for user, held in users:
        signed = _list(connection, user)
        if signed is None:
            keys = UserKeys(user=user)
        elif signed.serial == held:
            keys = UserKeys(user=user, serial=held)
        else:
            keys = told(user, signed, dict(connection.execute(_LISTED, (user,)).fetchall()))
        budget -= keys.size
        if budget < 0 and found:
            break
        found.append(keys)
    return found


def _waiting(connection: sqlite3.Connection, user: User, at: int) -> list[DeviceKey]:
    return [
        DeviceKey(device=device, fingerprint=prints, handle=int(handle, 16), name=name, certificate=certificate)
        for device, prints, handle, name, certificate in connection.execute(
            _WAITING, (user, at - WAITING_LIFE, WAITING_EACH)
        )
    ]


def _back_up(connection: sqlite3.Connection, user: User, generation: int, part: int, data: bytes, most: int) -> None:
    if not is_account(connection, user):
        raise Refused(Code.NO_SUCH_USER)
    before, count = _standing(connection, user)
    if generation < before:
        raise Refused(Code.KEYS_STALE, "There is a newer backup.")
    anew = generation > before
    if part > (0 if anew else count):
        raise Refused(Code.SCHEMA, "The parts before this one are missing.")
    ((others,),) = connection.execute(
        "SELECT coalesce(sum(length(data)), 0) FROM backup WHERE user = ? AND part <> ?", (user, part)
    )
    if len(data) + (0 if anew else others) > most:
        raise Refused(Code.QUOTA)
    if anew:
        connection.execute("DELETE FROM backup WHERE user = ?", (user,))
    connection.execute(
        "INSERT OR REPLACE INTO backup (user, part, generation, data) VALUES (?, ?, ?, ?)",
        (user, part, generation, data),
    )


def _standing(connection: sqlite3.Connection, user: User) -> tuple[int, int]:
    """Generation and number of parts of a backup."""
    found: tuple[int, int] = connection.execute(
        "SELECT coalesce(max(generation), 0), count(*) FROM backup WHERE user = ?", (user,)
    ).fetchone()
    return found


def _restore(connection: sqlite3.Connection, user: User, part: int) -> Backup:
    generation, count = _standing(connection, user)
    row = connection.execute("SELECT data FROM backup WHERE user = ? AND part = ?", (user, part)).fetchone()
    return Backup(generation=generation, count=count, data=b"" if row is None else row[0])
