"""How far people have come, in SQLite: receipts, what is unread, conversations. (spec 06-messages)"""

from __future__ import annotations

import sqlite3
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import HEAD, MENTIONS, QUIET, READ
from quicchat.server.adapters.store_sqlite.members import place
from quicchat.server.model import BY_NAME, CONCERNED, COUNTED, Moved, Progress, Receipts, Target, Unread
from quicchat.wire.names import Device, Room, User

_HELD: Final = """coalesce(
    (SELECT max(cursor.delivered) FROM cursor WHERE cursor.user = member.user AND cursor.room = member.room),
    member.since)"""
_STANDING: Final = f"""
    SELECT {_HELD}, max(member.shown, member.since), member.at, {READ}, room.members
    FROM member JOIN room ON room.id = member.room WHERE member.room = ? AND member.user = ?"""
_DELIVERED: Final = """
    INSERT INTO cursor (user, room, device, delivered)
    SELECT user, room, ?, max(since, min(?, ?)) FROM member WHERE room = ? AND user = ?
    ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered)"""
_LEFT: Final = f"""
    SELECT {READ}, {HEAD}, {QUIET}, {MENTIONS} FROM member JOIN room ON room.id = member.room
    WHERE member.room = ? AND member.user = ?"""
_SENDERS: Final = """
    SELECT DISTINCT said.sender FROM (
        SELECT sender FROM event WHERE room = ? AND epoch = ? AND seq > ? AND seq <= ? ORDER BY seq DESC LIMIT ?
    ) AS said JOIN member ON member.room = ? AND member.user = said.sender"""
_PEOPLE: Final = f"""
    SELECT user, {_HELD}, max(shown, since), at FROM member WHERE room = ? AND user <> ? ORDER BY user"""
_HOLDING: Final = f"SELECT count(*) FROM member WHERE room = ? AND {_HELD} >= ?"
_TARGETS: Final = f"""
    SELECT room.name, room.epoch, {HEAD}, {READ}, {QUIET}, {MENTIONS} FROM (
        SELECT member.room AS number FROM member JOIN room ON room.id = member.room
        WHERE member.user = ? AND room.name > ? ORDER BY room.name LIMIT ?
    ) AS few CROSS JOIN room ON room.id = few.number
    CROSS JOIN member ON member.room = few.number AND member.user = ? ORDER BY room.name"""


def receipt(
    connection: sqlite3.Connection,
    room: Room,
    user: User,
    device: Device,
    delivered: int | None,
    read: int | None,
    private: bool,
    at: int,
) -> Moved | None:
    """The port's `receipt`."""
    found = place(connection, room, user)
    if found is None:
        return None
    number, epoch, head = found
    was_held, was_shown, was_at, was_read, members = connection.execute(_STANDING, (number, user)).fetchone()
    if delivered is not None:
        connection.execute(_DELIVERED, (device, delivered, head, number, user))
    held = max(was_held, min(delivered or 0, head))
    now_read = max(was_read, min(read or 0, head))
    shown = was_shown if private else max(was_shown, min(read or 0, head))
    visible = (held, shown) != (was_held, was_shown)
    if not visible and now_read == was_read:
        return Moved(own=None, shown=None, members=members, senders=frozenset())
    connection.execute(
        "UPDATE member SET read = max(read, ?), shown = ?, at = ? WHERE room = ? AND user = ?",
        (now_read, shown, at if visible else was_at, number, user),
    )
    own = None
    if now_read > was_read:
        connection.execute("DELETE FROM mention WHERE user = ? AND room = ? AND seq <= ?", (user, number, now_read))
        seen, head, quiet, mentions = connection.execute(_LEFT, (number, user)).fetchone()
        own = Unread(read=seen, unread=head - seen - quiet, mentions=mentions)
    return Moved(
        own=own,
        shown=Progress(user=user, delivered=held, read=shown, at=at) if visible else None,
        members=members,
        senders=_senders(connection, number, epoch, user, ((was_held, held), (was_shown, shown)))
        if visible and members <= COUNTED
        else frozenset(),
    )


def _senders(
    connection: sqlite3.Connection, number: int, epoch: int, user: User, moves: tuple[tuple[int, int], ...]
) -> frozenset[User]:
    """The other members whose messages lie where somebody has come to, the last ones first looked at."""
    senders: set[User] = set()
    for before, after in moves:
        if after > before:
            rows = connection.execute(_SENDERS, (number, epoch, before, after, CONCERNED, number))
            senders.update(sender for (sender,) in rows)
    return frozenset(senders - {user})


def receipts(connection: sqlite3.Connection, room: Room, user: User) -> Receipts:
    """The port's `progress`."""
    found = place(connection, room, user)
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    number, _, head = found
    ((members,),) = connection.execute("SELECT members FROM room WHERE id = ?", (number,))
    if members > COUNTED:
        return Receipts()
    if members > BY_NAME:
        return Receipts(count=connection.execute(_HOLDING, (number, head)).fetchone()[0])
    return Receipts(
        people=tuple(
            Progress(user=other, delivered=held, read=shown, at=at)
            for other, held, shown, at in connection.execute(_PEOPLE, (number, user))
        )
    )


def holding(connection: sqlite3.Connection, room: Room, seq: int) -> int:
    """The port's `holding`."""
    row = connection.execute("SELECT id FROM room WHERE name = ?", (room,)).fetchone()
    return 0 if row is None else int(connection.execute(_HOLDING, (row[0], seq)).fetchone()[0])


def targets(connection: sqlite3.Connection, user: User, after: Room | None, limit: int) -> list[Target]:
    """The port's `targets`."""
    return [
        Target(room=room, epoch=epoch, head=head, read=read, unread=head - read - quiet, mentions=mentions)
        for room, epoch, head, read, quiet, mentions in connection.execute(_TARGETS, (user, after or "", limit, user))
    ]
