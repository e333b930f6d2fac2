"""Who is in a room, and how one comes and goes, in SQLite. (spec 05-rooms)"""

from __future__ import annotations

import sqlite3

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import HEAD, record
from quicchat.server.adapters.store_sqlite.ranks import forget
from quicchat.server.model import Stored
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.names import Room, User, direct, parties


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


def check_direct(connection: sqlite3.Connection, room: Room, sender: User) -> None:
    """Raises Refused unless the room is a direct message of this sender that has only to be opened."""
    both = parties(room) or frozenset()
    if sender not in both or len(both) > 2 or direct(min(both), max(both)) != room:
        raise Refused(Code.NOT_MEMBER)
    if not all(is_account(connection, user) for user in both):
        raise Refused(Code.NO_SUCH_USER)


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
    stored = record(connection, Kind.JOIN, number, user, cid, at, f"{user} joined")
    connection.execute("UPDATE member SET read = ? WHERE room = ? AND user = ?", (stored.message.seq, number, user))
    return stored


def depart(
    connection: sqlite3.Connection, number: int, user: User, cid: bytes, at: int, text: str, by: User | None = None
) -> Stored:
    """Take a user out of a room, and write it into the log; `by` is who made him go, where it was another."""
    stored = record(connection, Kind.LEAVE, number, user, cid, at, text, by=by)
    connection.execute("DELETE FROM member WHERE room = ? AND user = ?", (number, user))
    connection.execute("DELETE FROM cursor WHERE room = ? AND user = ?", (number, user))
    connection.execute("UPDATE room SET members = members - 1 WHERE id = ?", (number,))
    end_if_empty(connection, number)
    return stored


def end_if_empty(connection: sqlite3.Connection, number: int) -> None:
    """End an ephemeral room that nobody is in any more."""
    ended = connection.execute(
        f"UPDATE room SET kind = 'ended' WHERE id = ? AND members = 0 AND policy & {EPHEMERAL}", (number,)
    )
    if ended.rowcount:
        forget(connection, number)
        connection.execute("DELETE FROM attachment WHERE room = ?", (number,))
