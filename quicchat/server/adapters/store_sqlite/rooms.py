"""Rooms and their members in SQLite. (spec 05-rooms)"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import FIRST, HEAD, check_unused, record
from quicchat.server.adapters.store_sqlite.reader import Reader
from quicchat.server.adapters.store_sqlite.writer import Writer
from quicchat.server.model import PRESENCE_ROOM, ROOMS_EACH, Listed, RoomInfo, Stored, is_standing
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.names import Room, User

_INFO: Final = f"""
    SELECT room.topic, room.policy, room.epoch, {FIRST}, {HEAD}, member.read, room.members
    FROM room JOIN member ON member.room = room.id AND member.user = ? WHERE room.name = ?"""
_LISTED: Final = """
    SELECT name, members, topic, EXISTS (SELECT 1 FROM member WHERE member.room = room.id AND member.user = ?)
    FROM room WHERE kind = 'open' AND name > ? ORDER BY name LIMIT ?"""


class SqliteRooms:
    """The port `Rooms`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def create(self, room: Room, by: User, *, topic: str, policy: int, cid: bytes, at: int) -> Stored:
        return await self._writer.do(lambda connection: _create(connection, room, by, topic, policy, cid, at))

    async def join(self, room: Room, user: User, *, make: int | None = None, cid: bytes, at: int) -> Stored | None:
        return await self._writer.do(lambda connection: _join(connection, room, user, make, cid, at))

    async def leave(self, room: Room, user: User, *, cid: bytes, at: int) -> Stored:
        return await self._writer.do(lambda connection: _leave(connection, room, user, cid, at))

    async def listed(self, user: User, *, after: Room | None, limit: int) -> Sequence[Listed]:
        return await self._reader.ask(lambda connection: _listed(connection, user, after, limit))

    async def info(self, room: Room, user: User) -> RoomInfo:
        return await self._reader.ask(lambda connection: _info(connection, room, user))

    async def members(self, room: Room, user: User, *, after: User | None, limit: int) -> Sequence[User]:
        return await self._reader.ask(lambda connection: _members(connection, room, user, after, limit))

    async def audible(self, user: User) -> frozenset[Room]:
        return await self._reader.ask(lambda connection: _audible(connection, user))


def place(connection: sqlite3.Connection, room: Room, user: User) -> tuple[int, int, int] | None:
    """A room's number, epoch and head, for its members."""
    found: tuple[int, int, int] | None = connection.execute(
        f"SELECT room.id, room.epoch, {HEAD} FROM room"
        " JOIN member ON member.room = room.id AND member.user = ? WHERE room.name = ?",
        (user, room),
    ).fetchone()
    return found


def is_account(connection: sqlite3.Connection, user: User) -> bool:
    """Whether there is such a user."""
    return connection.execute("SELECT 1 FROM account WHERE name = ?", (user,)).fetchone() is not None


def enter(connection: sqlite3.Connection, number: int, user: User) -> None:
    """Make a user a member of a room, from its present head on."""
    connection.execute(
        f"INSERT INTO member (room, user, since, read) SELECT id, ?, {HEAD}, {HEAD} FROM room WHERE id = ?",
        (user, number),
    )
    connection.execute("UPDATE room SET members = members + 1 WHERE id = ?", (number,))


def enter_visibly(connection: sqlite3.Connection, number: int, user: User, cid: bytes, at: int) -> Stored:
    """As `enter`, and write it into the log; the user has read it, but his devices are yet to be given it."""
    enter(connection, number, user)
    stored = record(connection, Kind.JOIN, number, user, cid, at)
    connection.execute("UPDATE member SET read = ? WHERE room = ? AND user = ?", (stored.message.seq, number, user))
    return stored


def _create(
    connection: sqlite3.Connection, room: Room, by: User, topic: str, policy: int, cid: bytes, at: int
) -> Stored:
    if room.startswith("@"):
        raise Refused(Code.FORBIDDEN, "A direct message needs no room to be made.")
    found = connection.execute("SELECT id, kind FROM room WHERE name = ?", (room,)).fetchone()
    if found is not None and found[1] != "ended":
        raise Refused(Code.ROOM_EXISTS)
    _check_entry(connection, by, cid)
    if found is None:
        made = connection.execute(
            "INSERT INTO room (name, kind, topic, policy) VALUES (?, 'open', ?, ?)", (room, topic, policy)
        )
        number = made.lastrowid
        assert number is not None
    else:
        number = found[0]
        connection.execute(
            "UPDATE room SET kind = 'open', topic = ?, policy = ?, epoch = epoch + 1 WHERE id = ?",
            (topic, policy, number),
        )
    return enter_visibly(connection, number, by, cid, at)


def _join(
    connection: sqlite3.Connection, room: Room, user: User, make: int | None, cid: bytes, at: int
) -> Stored | None:
    if place(connection, room, user) is not None:
        return None
    found = connection.execute("SELECT id FROM room WHERE name = ? AND kind = 'open'", (room,)).fetchone()
    if found is None and make is not None:
        return _create(connection, room, user, "", make, cid, at)
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    _check_entry(connection, user, cid)
    return enter_visibly(connection, found[0], user, cid, at)


def _check_entry(connection: sqlite3.Connection, user: User, cid: bytes) -> None:
    if not is_account(connection, user):
        raise Refused(Code.NO_SUCH_USER)
    ((rooms,),) = connection.execute(
        "SELECT count(*) FROM member JOIN room ON room.id = member.room WHERE member.user = ? AND room.kind = 'open'",
        (user,),
    )
    if rooms >= ROOMS_EACH:
        raise Refused(Code.LIMIT, f"You are in {rooms} rooms; leave one first.")
    check_unused(connection, user, cid)


def _leave(connection: sqlite3.Connection, room: Room, user: User, cid: bytes, at: int) -> Stored:
    if is_standing(room):
        raise Refused(Code.FORBIDDEN, "Nobody can leave this room.")
    found = place(connection, room, user)
    if found is None:
        raise Refused(Code.NOT_MEMBER)
    if room.startswith("@"):
        raise Refused(Code.FORBIDDEN, "Nobody can leave a direct message.")
    check_unused(connection, user, cid)
    number = found[0]
    stored = record(connection, Kind.LEAVE, number, user, cid, at)
    connection.execute("DELETE FROM member WHERE room = ? AND user = ?", (number, user))
    connection.execute("DELETE FROM cursor WHERE room = ? AND user = ?", (number, user))
    connection.execute("UPDATE room SET members = members - 1 WHERE id = ?", (number,))
    connection.execute(
        f"UPDATE room SET kind = 'ended' WHERE id = ? AND members = 0 AND policy & {EPHEMERAL}", (number,)
    )
    return stored


def _listed(connection: sqlite3.Connection, user: User, after: Room | None, limit: int) -> list[Listed]:
    return [
        Listed(room=room, members=members, topic=topic, joined=bool(joined))
        for room, members, topic, joined in connection.execute(_LISTED, (user, after or "", limit))
    ]


def _info(connection: sqlite3.Connection, room: Room, user: User) -> RoomInfo:
    row = connection.execute(_INFO, (user, room)).fetchone()
    if row is None:
        raise Refused(Code.NO_SUCH_ROOM)
    topic, policy, epoch, first, head, read, members = row
    return RoomInfo(
        room=room, topic=topic, policy=policy, epoch=epoch, first=first, head=head, read=read, members=members
    )


def _members(connection: sqlite3.Connection, room: Room, user: User, after: User | None, limit: int) -> list[User]:
    found = place(connection, room, user)
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    rows = connection.execute(
        "SELECT user FROM member WHERE room = ? AND user > ? ORDER BY user LIMIT ?", (found[0], after or "", limit)
    )
    return [member for (member,) in rows]


def _audible(connection: sqlite3.Connection, user: User) -> frozenset[Room]:
    rows = connection.execute(
        "SELECT room.name FROM member JOIN room ON room.id = member.room"
        " WHERE member.user = ? AND room.kind <> 'direct' AND room.members <= ?",
        (user, PRESENCE_ROOM),
    )
    return frozenset(name for (name,) in rows)
