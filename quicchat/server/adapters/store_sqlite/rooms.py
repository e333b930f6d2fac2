"""Rooms and their members in SQLite. (spec 05-rooms)"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite import moderation
from quicchat.server.adapters.store_sqlite.events import FIRST, HEAD, MENTIONS, QUIET, READ, check_unused
from quicchat.server.adapters.store_sqlite.members import depart, enter_visibly, is_account, place
from quicchat.server.adapters.store_sqlite.moderation import Act
from quicchat.server.adapters.store_sqlite.ranks import (
    SHOWN,
    decline,
    drop_invitation,
    give,
    invitations,
    is_invited,
    rank_of,
)
from quicchat.server.model import (
    OPERATOR,
    PRESENCE_ROOM,
    ROOMS_EACH,
    Entered,
    Invitation,
    Listed,
    RoomInfo,
    Stored,
    is_standing,
)
from quicchat.server.rules import key_digest
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer
from quicchat.wire.chapters.rooms import INVITE_ONLY, Rank
from quicchat.wire.names import GENERAL, Room, User

_INFO: Final = f"""
    SELECT room.topic, room.policy, room.epoch, {FIRST}, {HEAD}, {READ}, {QUIET}, {MENTIONS}, room.members,
        coalesce(rank.rank, 2)
    FROM room JOIN member ON member.room = room.id AND member.user = ?
    LEFT JOIN rank ON rank.room = member.room AND rank.user = member.user WHERE room.name = ?"""
_LISTED: Final = f"""
    SELECT name, members, topic, EXISTS (SELECT 1 FROM member WHERE member.room = room.id AND member.user = ?)
    FROM room WHERE kind = 'open' AND name > ? AND {SHOWN} ORDER BY name LIMIT ?"""
_MEMBERS: Final = """
    SELECT member.user, coalesce(rank.rank, 2) FROM member
    LEFT JOIN rank ON rank.room = member.room AND rank.user = member.user
    WHERE member.room = ? AND member.user > ? ORDER BY member.user LIMIT ?"""


class _Entry(NamedTuple):
    """Somebody who wants to be in a room, in which he is not."""

    user: User
    exclusive: bool
    cid: bytes
    at: int


_NEIGHBOURS: Final = """
    SELECT DISTINCT other.user, account.seen
    FROM member AS own JOIN room ON room.id = own.room
    JOIN member AS other ON other.room = room.id JOIN account ON account.name = other.user
    WHERE own.user = ? AND room.kind <> 'direct' AND room.members <= ? ORDER BY other.user"""


class SqliteRooms:
    """The port `Rooms`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def create(
        self, room: Room, by: User, *, topic: str, policy: int, exclusive: bool = False, cid: bytes, at: int
    ) -> Entered:
        entry = _Entry(by, exclusive, cid, at)
        return await self._writer.do(lambda connection: _create(connection, room, entry, topic, policy))

    async def join(
        self,
        room: Room,
        user: User,
        *,
        make: int | None = None,
        member: bool = False,
        secret: str | None = None,
        operator: bool = False,
        exclusive: bool = False,
        cid: bytes,
        at: int,
    ) -> Entered:
        entry = _Entry(user, exclusive, cid, at)
        if member:
            return await self._writer.do(lambda connection: _seen(connection, room, user))
        return await self._writer.do(lambda connection: _join(connection, room, entry, make, secret, operator))

    async def leave(self, room: Room, user: User, *, cid: bytes, at: int) -> Stored | None:
        return await self._writer.do(lambda connection: _leave(connection, room, user, cid, at))

    async def change(
        self,
        room: Room,
        by: User,
        *,
        topic: str | None = None,
        policy: int | None = None,
        secret: str | None = None,
        operator: bool = False,
        cid: bytes,
        at: int,
    ) -> Stored | None:
        act = Act(room, by, operator, cid, at)
        return await self._writer.do(lambda connection: moderation.change(connection, act, topic, policy, secret))

    async def invite(self, room: Room, user: User, by: User, *, operator: bool = False, at: int) -> bool:
        return await self._writer.do(lambda connection: moderation.invite(connection, room, user, by, operator, at))

    async def invitations(self, user: User) -> Sequence[Invitation]:
        return await self._reader.ask(lambda connection: invitations(connection, user))

    async def kick(
        self,
        room: Room,
        user: User,
        by: User,
        *,
        reason: str = "",
        ban: bool = False,
        operator: bool = False,
        cid: bytes,
        at: int,
    ) -> Sequence[Stored]:
        act = Act(room, by, operator, cid, at)
        return await self._writer.do(lambda connection: moderation.kick(connection, act, user, reason, ban))

    async def set_rank(
        self, room: Room, user: User, by: User, rank: Rank, *, operator: bool = False, cid: bytes, at: int
    ) -> Stored | None:
        act = Act(room, by, operator, cid, at)
        return await self._writer.do(lambda connection: moderation.set_rank(connection, act, user, rank))

    async def listed(self, user: User, *, after: Room | None, limit: int, operator: bool = False) -> Sequence[Listed]:
        return await self._reader.ask(lambda connection: _listed(connection, user, after, limit, operator))

    async def info(self, room: Room, user: User) -> RoomInfo:
        return await self._reader.ask(lambda connection: _info(connection, room, user))

    async def members(self, room: Room, user: User, *, after: User | None, limit: int) -> Mapping[User, Rank]:
        return await self._reader.ask(lambda connection: _members(connection, room, user, after, limit))

    async def audible(self, user: User) -> frozenset[Room]:
        return await self._reader.ask(lambda connection: _audible(connection, user))

    async def neighbours(self, user: User) -> Mapping[User, int]:
        return await self._reader.ask(lambda connection: _neighbours(connection, user))


def _create(connection: sqlite3.Connection, room: Room, entry: _Entry, topic: str, policy: int) -> Entered:
    if room.startswith("@"):
        raise Refused(Code.FORBIDDEN, "A direct message needs no room to be made.")
    found = connection.execute("SELECT id, kind FROM room WHERE name = ?", (room,)).fetchone()
    if found is not None and found[1] != "ended":
        raise Refused(Code.ROOM_EXISTS)
    _check_entry(connection, entry)
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
    give(connection, number, entry.user, Rank.OWNER)
    return _entered(connection, number, room, entry)


def _seen(connection: sqlite3.Connection, room: Room, user: User) -> Entered:
    """A room as a member sees it, in its order with all that enters and leaves."""
    if place(connection, room, user) is None:
        raise Refused(Code.NOT_MEMBER)
    return Entered(info=_info(connection, room, user), stored=None)


def _join(
    connection: sqlite3.Connection, room: Room, entry: _Entry, make: int | None, secret: str | None, operator: bool
) -> Entered:
    if place(connection, room, entry.user) is not None:
        return Entered(info=_info(connection, room, entry.user), stored=None)
    found = connection.execute("SELECT id FROM room WHERE name = ? AND kind = 'open'", (room,)).fetchone()
    if found is None and make is not None:
        return _create(connection, room, entry, "", make)
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    number = found[0]
    standing = OPERATOR if operator else rank_of(connection, number, entry.user)
    if standing == Rank.OUTCAST:
        raise Refused(Code.BANNED)
    if standing < Rank.MODERATOR and not is_invited(connection, number, entry.user):
        _check_key(connection, number, room, secret)
    _check_entry(connection, entry)
    drop_invitation(connection, number, entry.user)
    return _entered(connection, number, room, entry)


def _entered(connection: sqlite3.Connection, number: int, room: Room, entry: _Entry) -> Entered:
    stored = enter_visibly(connection, number, entry.user, entry.cid, entry.at)
    return Entered(info=_info(connection, room, entry.user), stored=stored)


def _check_key(connection: sqlite3.Connection, number: int, room: Room, secret: str | None) -> None:
    """Raises Refused unless an uninvited user may come in with this."""
    policy, key, own = connection.execute(
        "SELECT room.policy, room.secret, store.secret FROM room, store WHERE room.id = ?", (number,)
    ).fetchone()
    if policy & INVITE_ONLY:
        raise Refused(Code.NO_SUCH_ROOM)
    if key is not None and not hmac.compare_digest(key, key_digest(own, room, secret or "")):
        raise Refused(Code.FORBIDDEN, "That is not this room's key." if secret else "This room asks for a key.")


def _check_entry(connection: sqlite3.Connection, entry: _Entry) -> None:
    if not is_account(connection, entry.user):
        raise Refused(Code.NO_SUCH_USER)
    rooms, made = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE room.name <> ?) FROM member JOIN room ON room.id = member.room"
        " WHERE member.user = ? AND room.kind = 'open'",
        (GENERAL, entry.user),
    ).fetchone()
    if entry.exclusive and made:
        raise Refused(Code.ONE_GROUP_ONLY)
    if rooms >= ROOMS_EACH:
        raise Refused(Code.LIMIT, f"You are in {rooms} rooms; leave one first.")
    check_unused(connection, entry.user, entry.cid)


def _leave(connection: sqlite3.Connection, room: Room, user: User, cid: bytes, at: int) -> Stored | None:
    if is_standing(room):
        raise Refused(Code.FORBIDDEN, "Nobody can leave this room.")
    found = place(connection, room, user)
    if found is None:
        if decline(connection, room, user):
            return None
        raise Refused(Code.NOT_MEMBER)
    if room.startswith("@"):
        raise Refused(Code.FORBIDDEN, "Nobody can leave a direct message.")
    check_unused(connection, user, cid)
    return depart(connection, found[0], user, cid, at, f"{user} left")


def _listed(connection: sqlite3.Connection, user: User, after: Room | None, limit: int, operator: bool) -> list[Listed]:
    return [
        Listed(room=room, members=members, topic=topic, joined=bool(joined))
        for room, members, topic, joined in connection.execute(
            _LISTED, (user, after or "", user, user, user, operator, limit)
        )
    ]


def _info(connection: sqlite3.Connection, room: Room, user: User) -> RoomInfo:
    row = connection.execute(_INFO, (user, room)).fetchone()
    if row is None:
        raise Refused(Code.NO_SUCH_ROOM)
    topic, policy, epoch, first, head, read, quiet, mentions, members, rank = row
    return RoomInfo(
        room=room,
        topic=topic,
        policy=policy,
        epoch=epoch,
        first=first,
        head=head,
        read=read,
        unread=head - read - quiet,
        members=members,
        rank=Rank(rank),
        mentions=mentions,
    )


def _members(
    connection: sqlite3.Connection, room: Room, user: User, after: User | None, limit: int
) -> dict[User, Rank]:
    found = place(connection, room, user)
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    return {member: Rank(rank) for member, rank in connection.execute(_MEMBERS, (found[0], after or "", limit))}


def _audible(connection: sqlite3.Connection, user: User) -> frozenset[Room]:
    rows = connection.execute(
        "SELECT room.name FROM member JOIN room ON room.id = member.room"
        " WHERE member.user = ? AND room.kind <> 'direct' AND room.members <= ?",
        (user, PRESENCE_ROOM),
    )
    return frozenset(name for (name,) in rows)


def _neighbours(connection: sqlite3.Connection, user: User) -> dict[User, int]:
    return dict(connection.execute(_NEIGHBOURS, (user, PRESENCE_ROOM)))
