"""Who may do what in which room, and who is invited, in SQLite. (spec 05-rooms)"""

from __future__ import annotations

import sqlite3
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import record
from quicchat.server.model import INVITATIONS_EACH, Invitation, Stored
from quicchat.server.rules import ranking
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import INVITE_ONLY, Rank
from quicchat.wire.names import Room, User

#: A row of `rank` whose user may not speak.
MUTED: Final = f"rank.rank < {int(Rank.MEMBER)}"
#: The condition of a room in a list that a user, named three times, may see; or the fourth parameter is true.
SHOWN: Final = f"""(room.policy & {INVITE_ONLY} = 0
    OR EXISTS (SELECT 1 FROM member WHERE member.room = room.id AND member.user = ?)
    OR EXISTS (SELECT 1 FROM invitation WHERE invitation.user = ? AND invitation.room = room.id)
    OR EXISTS (SELECT 1 FROM rank WHERE rank.room = room.id AND rank.user = ? AND rank.rank >= {int(Rank.MODERATOR)})
    OR ?)"""


def rank_of(connection: sqlite3.Connection, number: int, user: User) -> Rank:
    """What a user is in a room, whether he is in or not."""
    row = connection.execute("SELECT rank FROM rank WHERE room = ? AND user = ?", (number, user)).fetchone()
    return Rank.MEMBER if row is None else Rank(row[0])


def check_voice(connection: sqlite3.Connection, number: int, user: User) -> None:
    """Raises Refused(FORBIDDEN) where a member is muted."""
    if rank_of(connection, number, user) < Rank.MEMBER:
        raise Refused(Code.FORBIDDEN, "You are muted in this room.")


def give(connection: sqlite3.Connection, number: int, user: User, rank: Rank) -> None:
    """From now on the user is that."""
    if rank is Rank.MEMBER:
        connection.execute("DELETE FROM rank WHERE room = ? AND user = ?", (number, user))
        return
    connection.execute(
        "INSERT INTO rank (room, user, rank) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rank = excluded.rank",
        (number, user, rank),
    )


def give_visibly(
    connection: sqlite3.Connection, number: int, by: User, user: User, rank: Rank, cid: bytes, at: int
) -> Stored:
    """As `give`, and write it into the log."""
    give(connection, number, user, rank)
    text = ranking(by, user, rank)
    return record(connection, Kind.ROLE, number, by, cid, at, text, mentions=(user,), rank=rank)


def forget(connection: sqlite3.Connection, number: int) -> None:
    """The room has ended: the next one of its name begins with no ranks, no invitations and no key."""
    connection.execute("DELETE FROM rank WHERE room = ?", (number,))
    connection.execute("DELETE FROM invitation WHERE room = ?", (number,))
    connection.execute("UPDATE room SET secret = NULL WHERE id = ?", (number,))


def is_invited(connection: sqlite3.Connection, number: int, user: User) -> bool:
    """Whether an invitation waits for him."""
    found = connection.execute("SELECT 1 FROM invitation WHERE user = ? AND room = ?", (user, number)).fetchone()
    return found is not None


def add_invitation(connection: sqlite3.Connection, number: int, user: User, by: User, at: int) -> None:
    """Raises Refused(LIMIT) where too many wait for him."""
    ((waiting,),) = connection.execute("SELECT count(*) FROM invitation WHERE user = ?", (user,))
    if waiting >= INVITATIONS_EACH:
        raise Refused(Code.LIMIT, f"Too many invitations wait for {user}.")
    connection.execute("INSERT INTO invitation (user, room, inviter, at) VALUES (?, ?, ?, ?)", (user, number, by, at))


def drop_invitation(connection: sqlite3.Connection, number: int, user: User) -> None:
    """It is used, or void."""
    connection.execute("DELETE FROM invitation WHERE user = ? AND room = ?", (user, number))


def decline(connection: sqlite3.Connection, room: Room, user: User) -> bool:
    """Drop what waits for a user by the name of the room; whether anything did."""
    dropped = connection.execute(
        "DELETE FROM invitation WHERE user = ? AND room = (SELECT id FROM room WHERE name = ?)", (user, room)
    )
    return dropped.rowcount > 0


def invitations(connection: sqlite3.Connection, user: User) -> list[Invitation]:
    """What waits for a user, by room."""
    rows = connection.execute(
        "SELECT room.name, invitation.inviter FROM invitation JOIN room ON room.id = invitation.room"
        " WHERE invitation.user = ? ORDER BY room.name",
        (user,),
    )
    return [Invitation(room=room, by=by) for room, by in rows]
