"""The events of every room in SQLite. (spec 06-messages)"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import (
    FIRST,
    HEAD,
    INSERT,
    ROW,
    encoded,
    find,
    is_repeat,
)
from quicchat.server.adapters.store_sqlite.reader import Reader
from quicchat.server.adapters.store_sqlite.rooms import is_account, place
from quicchat.server.adapters.store_sqlite.writer import Writer, one_by_one
from quicchat.server.model import Page, Stored
from quicchat.wire.chapters.messages import Post, Window, recorded
from quicchat.wire.names import Device, Room, User, direct, parties

_PLACES: Final = f"""
    SELECT json_group_array(json_array(asked.key, room.id, room.epoch, {HEAD}))
    FROM json_each(?) AS asked
    CROSS JOIN room ON room.name = json_extract(asked.value, '$[0]')
    CROSS JOIN member ON member.room = room.id AND member.user = json_extract(asked.value, '$[1]')"""
_BELOW: Final = "SELECT body FROM event WHERE room = ? AND epoch = ? AND seq <= ? ORDER BY seq DESC LIMIT ?"
_ABOVE: Final = "SELECT body FROM event WHERE room = ? AND epoch = ? AND seq >= ? ORDER BY seq LIMIT ?"
_DELIVERED: Final = """
    INSERT INTO cursor (user, room, device, delivered)
    SELECT user, room, ?, max(since, min(?, ?)) FROM member WHERE room = ? AND user = ?
    ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered)"""
_READ: Final = "UPDATE member SET read = max(read, min(?, ?)) WHERE room = ? AND user = ?"


class _Ask(NamedTuple):
    room: Room
    sender: User
    device: Device
    post: Post
    at: int


class SqliteLog:
    """The port `Log`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def append(self, room: Room, sender: User, device: Device, post: Post, *, at: int) -> Stored:
        return await self._writer.do_together(append_all, _Ask(room, sender, device, post, at))

    async def page(self, room: Room, user: User, *, window: Window, anchor: int, limit: int, budget: int) -> Page:
        return await self._reader.ask(lambda connection: _page(connection, room, user, window, anchor, limit, budget))

    async def receipt(self, room: Room, user: User, device: Device, *, delivered: int | None, read: int | None) -> None:
        await self._writer.do(lambda connection: _receipt(connection, room, user, device, delivered, read))


def append_all(connection: sqlite3.Connection, asks: Sequence[_Ask]) -> list[Stored | Refused]:
    """Append posts in their order: with two statements for all of them where nothing stands in the way.

    Every step of a statement gives up the interpreter lock and has to win it back, so that few statements are
    worth more than quick ones.
    """
    stored = _append_plain(connection, asks)
    if stored is not None:
        return [*stored]
    return one_by_one(connection, [partial(_append, ask=ask) for ask in asks])


def _append_plain(connection: sqlite3.Connection, asks: Sequence[_Ask]) -> list[Stored] | None:
    """All of them, or None and nothing, when one is not a member's first try in a room that exists."""
    pairs = list(dict.fromkeys((ask.room, ask.sender) for ask in asks))
    (found,) = connection.execute(_PLACES, (json.dumps(pairs),)).fetchone()
    places = {pairs[index]: (number, epoch, head) for index, number, epoch, head in json.loads(found)}
    if len(places) < len(pairs):
        return None
    heads = {number: head for number, _, head in places.values()}
    values: list[object] = []
    stored: list[Stored] = []
    for room, sender, device, post, at in asks:
        number, epoch, _ = places[room, sender]
        heads[number] = seq = heads[number] + 1
        message = recorded(post, room=room, epoch=epoch, seq=seq, sender=sender, device=device, ts=at)
        try:
            values += (number, epoch, seq, sender, post.cid, encoded(message))
        except Refused:
            return None
        stored.append(Stored(message=message))
    try:
        connection.execute(INSERT + ", ".join([ROW] * len(asks)), values)
    except sqlite3.IntegrityError:  # a cid was used before, or twice in this batch; the statement is undone
        return None
    return stored


def _append(connection: sqlite3.Connection, ask: _Ask) -> Stored:
    room, sender, device, post, at = ask
    earlier = find(connection, sender, post.cid)
    if earlier is not None:
        if not is_repeat(earlier, room, post):
            raise Refused(Code.CID_CONFLICT)
        return Stored(message=earlier, dup=True)
    found = place(connection, room, sender)
    if found is None:
        _check_direct(connection, room, sender)
    number, epoch, head = found or (None, 1, 0)
    message = recorded(post, room=room, epoch=epoch, seq=head + 1, sender=sender, device=device, ts=at)
    body = encoded(message)
    if number is None:
        number = _open_direct(connection, room)
    connection.execute(INSERT + ROW, (number, epoch, head + 1, sender, post.cid, body))
    return Stored(message=message)


def _check_direct(connection: sqlite3.Connection, room: Room, sender: User) -> None:
    """Raises Refused unless the room is a direct message of this sender that has only to be opened."""
    both = parties(room) or frozenset()
    if sender not in both or len(both) > 2 or direct(min(both), max(both)) != room:
        raise Refused(Code.NOT_MEMBER)
    if not all(is_account(connection, user) for user in both):
        raise Refused(Code.NO_SUCH_USER)


def _open_direct(connection: sqlite3.Connection, room: Room) -> int:
    both = parties(room) or frozenset()
    made = connection.execute("INSERT INTO room (name, kind, members) VALUES (?, 'direct', ?)", (room, len(both)))
    assert made.lastrowid is not None
    for user in both:
        connection.execute("INSERT INTO member (room, user, since, read) VALUES (?, ?, 0, 0)", (made.lastrowid, user))
    return made.lastrowid


def _page(
    connection: sqlite3.Connection, room: Room, user: User, window: Window, anchor: int, limit: int, budget: int
) -> Page:
    found = connection.execute(
        f"SELECT room.id, room.epoch, {FIRST}, {HEAD} FROM room"
        " JOIN member ON member.room = room.id AND member.user = ? WHERE room.name = ?",
        (user, room),
    ).fetchone()
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    number, epoch, first, head = found
    below, above = {
        Window.BEFORE: (anchor - 1, head + 1),
        Window.AFTER: (0, anchor + 1),
        Window.AROUND: (anchor, anchor + 1),
        Window.LATEST: (head, head + 1),
    }[window]
    events = _nearest(
        connection.execute(_BELOW, (number, epoch, below, limit)),
        connection.execute(_ABOVE, (number, epoch, above, limit)),
        limit,
        budget,
    )
    return Page(epoch=epoch, first=first, head=head, events=events)


def _nearest(
    below: Iterable[tuple[bytes]], above: Iterable[tuple[bytes]], limit: int, budget: int
) -> tuple[bytes, ...]:
    """Take from both sides by turns, from the anchor outwards, until a limit is met; the result ascends."""
    earlier: list[bytes] = []
    later: list[bytes] = []
    sides = [(iter(below), earlier), (iter(above), later)]
    while sides and len(earlier) + len(later) < limit:
        rows, taken = sides.pop(0)
        row = next(rows, None)
        if row is None:
            continue
        budget -= len(row[0])
        if budget < 0 and (earlier or later):
            break
        taken.append(row[0])
        sides.append((rows, taken))
    return (*reversed(earlier), *later)


def _receipt(
    connection: sqlite3.Connection,
    room: Room,
    user: User,
    device: Device,
    delivered: int | None,
    read: int | None,
) -> None:
    found = place(connection, room, user)
    if found is None:
        return
    number, _, head = found
    if delivered is not None:
        connection.execute(_DELIVERED, (device, delivered, head, number, user))
    if read is not None:
        connection.execute(_READ, (read, head, number, user))
