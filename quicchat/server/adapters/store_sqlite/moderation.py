"""What those do who rank in a room: change it, invite, put out and rank others; in SQLite. (spec 05-rooms)"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import check_unused, record
from quicchat.server.adapters.store_sqlite.members import depart, end_if_empty, is_account, place
from quicchat.server.adapters.store_sqlite.ranks import (
    add_invitation,
    drop_invitation,
    give_visibly,
    is_invited,
    rank_of,
)
from quicchat.server.model import OPERATOR, Stored, is_standing
from quicchat.server.rules import check_policy, encrypts, expulsion, key_digest
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import INVITE_ONLY, Rank
from quicchat.wire.names import Room, User


class Act(NamedTuple):
    """Who does something to a room, or to somebody there."""

    room: Room
    by: User
    operator: bool
    cid: bytes
    at: int


class _Place(NamedTuple):
    """Number and policy of a room, and where the one who acts stands there."""

    number: int
    policy: int
    standing: int


def _governed(connection: sqlite3.Connection, room: Room, by: User, operator: bool) -> _Place:
    row = connection.execute(
        "SELECT id, policy, EXISTS (SELECT 1 FROM member WHERE member.room = room.id AND member.user = ?)"
        " FROM room WHERE name = ? AND kind = 'open'",
        (by, room),
    ).fetchone()
    if row is None or not (row[2] or (operator and is_account(connection, by))):
        raise Refused(Code.NO_SUCH_ROOM)
    return _Place(row[0], row[1], OPERATOR if operator else rank_of(connection, row[0], by))


def _touched(connection: sqlite3.Connection, found: _Place, user: User, by: User) -> Rank:
    """The rank of a user, who is below the one who acts. Raises Refused(NO_SUCH_USER), (FORBIDDEN)."""
    if not is_account(connection, user):
        raise Refused(Code.NO_SUCH_USER)
    rank = rank_of(connection, found.number, user)
    if user == by or rank >= found.standing:
        raise Refused(Code.FORBIDDEN, f"You do not rank above {user} in this room.")
    return rank


def change(
    connection: sqlite3.Connection, act: Act, topic: str | None, policy: int | None, secret: str | None
) -> Stored | None:
    """`Rooms.change`."""
    found = _governed(connection, act.room, act.by, act.operator)
    inner = policy is not None or secret is not None
    if inner and is_standing(act.room):
        raise Refused(Code.FORBIDDEN, "This room stays open to everybody.")
    if found.standing < (Rank.OWNER if inner else Rank.MODERATOR):
        raise Refused(Code.FORBIDDEN, f"Only {'owners' if inner else 'moderators'} may change this.")
    if policy is not None:
        check_policy(found.policy, policy)
    check_unused(connection, act.by, act.cid)
    if policy is not None:
        connection.execute("UPDATE room SET policy = ? WHERE id = ?", (policy, found.number))
    if secret is not None:
        ((own,),) = connection.execute("SELECT secret FROM store")
        key = key_digest(own, act.room, secret) if secret else None
        connection.execute("UPDATE room SET secret = ? WHERE id = ?", (key, found.number))
    told, changed = None, encrypts(found.policy, policy)
    if topic is not None:
        other = connection.execute(
            "UPDATE room SET topic = ? WHERE id = ? AND topic <> ?", (topic, found.number, topic)
        )
        changed |= other.rowcount > 0
    if changed:
        ((now,),) = connection.execute("SELECT topic FROM room WHERE id = ?", (found.number,))
        facts = {"policy": policy} if encrypts(found.policy, policy) else {}
        told = record(connection, Kind.TOPIC, found.number, act.by, act.cid, act.at, now, **facts)
    end_if_empty(connection, found.number)
    return told


def invite(connection: sqlite3.Connection, room: Room, user: User, by: User, operator: bool, at: int) -> bool:
    """`Rooms.invite`."""
    found = _governed(connection, room, by, operator)
    if found.standing < (Rank.MODERATOR if found.policy & INVITE_ONLY else Rank.MEMBER):
        raise Refused(Code.FORBIDDEN, "You may not invite anybody here.")
    if not is_account(connection, user):
        raise Refused(Code.NO_SUCH_USER)
    if place(connection, room, user) is not None or is_invited(connection, found.number, user):
        return False
    if rank_of(connection, found.number, user) is Rank.OUTCAST:
        raise Refused(Code.FORBIDDEN, f"{user} is banned from this room.")
    add_invitation(connection, found.number, user, by, at)
    return True


def kick(connection: sqlite3.Connection, act: Act, user: User, reason: str, ban: bool) -> list[Stored]:
    """`Rooms.kick`."""
    room, by, operator, cid, at = act
    found = _governed(connection, room, by, operator)
    if is_standing(room):
        raise Refused(Code.FORBIDDEN, "Nobody leaves this room.")
    if found.standing < Rank.MODERATOR:
        raise Refused(Code.FORBIDDEN, "Only moderators may do this.")
    rank = _touched(connection, found, user, by)
    inside = place(connection, room, user) is not None
    if not inside and not ban:
        raise Refused(Code.NO_SUCH_USER, f"{user} is not in this room.")
    check_unused(connection, by, cid)
    check_unused(connection, user, cid)
    events = []
    if ban and rank is not Rank.OUTCAST:
        drop_invitation(connection, found.number, user)
        events.append(give_visibly(connection, found.number, by, user, Rank.OUTCAST, cid, at))
    if inside:
        events.append(depart(connection, found.number, user, cid, at, expulsion(by, user, reason), by))
    return events


def set_rank(connection: sqlite3.Connection, act: Act, user: User, rank: Rank) -> Stored | None:
    """`Rooms.set_rank`."""
    found = _governed(connection, act.room, act.by, act.operator)
    if found.standing < (Rank.MODERATOR if rank <= Rank.MEMBER else Rank.OWNER):
        raise Refused(Code.FORBIDDEN, f"Only {'moderators' if rank <= Rank.MEMBER else 'owners'} may do this.")
    before = _touched(connection, found, user, act.by)
    check_unused(connection, act.by, act.cid)
    if before is rank:
        return None
    return give_visibly(connection, found.number, act.by, user, rank, act.cid, act.at)
