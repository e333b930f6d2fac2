"""The events of every room in SQLite. (spec 06-messages)"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite import about, attachments, entries, receipts, search
from quicchat.server.adapters.store_sqlite.events import (
    FIRST,
    HEAD,
    INSERT,
    ROW,
    encoded,
    find,
    note_mentions,
)
from quicchat.server.adapters.store_sqlite.members import check_direct, place
from quicchat.server.adapters.store_sqlite.ranks import MUTED, check_voice
from quicchat.server.model import Finds, Moved, Page, Receipts, Stored, Target, Word
from quicchat.server.rules import check_sealed, filled, is_repeat, parted
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer, one_by_one
from quicchat.wire.chapters.messages import SAID, Kind, Message, Post, Window, recorded
from quicchat.wire.names import Device, Room, User, parties

_PLACES: Final = f"""
    SELECT json_group_array(json_array(asked.key, room.id, room.epoch, {HEAD}, room.policy))
    FROM json_each(?) AS asked
    CROSS JOIN room ON room.name = json_extract(asked.value, '$[0]')
    CROSS JOIN member ON member.room = room.id AND member.user = json_extract(asked.value, '$[1]')
    WHERE NOT EXISTS (SELECT 1 FROM rank WHERE rank.room = room.id AND rank.user = member.user AND {MUTED})"""
#: A body, and the handle and packet of the entry that the event has for a device.
_EVENT: Final = """
    SELECT event.body, entry.handle, entry.packet FROM event LEFT JOIN entry ON entry.room = event.room
    AND entry.epoch = event.epoch AND entry.seq = event.seq AND entry.user = ? AND entry.device = ?
    WHERE event.room = ? AND event.epoch = ?"""
_BELOW: Final = f"{_EVENT} AND event.seq <= ? ORDER BY event.seq DESC LIMIT ?"
_ABOVE: Final = f"{_EVENT} AND event.seq >= ? AND event.seq < ? ORDER BY event.seq LIMIT ?"


class _Ask(NamedTuple):
    room: Room
    sender: User
    device: Device
    post: Post
    operator: bool
    at: int


class SqliteLog:
    """The port `Log`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def append(
        self, room: Room, sender: User, device: Device, post: Post, *, operator: bool = False, at: int
    ) -> Stored:
        return await self._writer.do_together(append_all, _Ask(room, sender, device, post, operator, at))

    async def append_many(
        self, sender: User, device: Device, posts: Sequence[tuple[Room, Post]], *, operator: bool = False, at: int
    ) -> Sequence[Stored | Refused]:
        asks = [_Ask(room, sender, device, post, operator, at) for room, post in posts]
        return await self._writer.do(lambda connection: append_all(connection, asks))

    async def page(
        self,
        room: Room,
        user: User,
        *,
        window: Window,
        anchor: int,
        limit: int,
        budget: int,
        until: int = 0,
        device: Device | None = None,
    ) -> Page:
        reader = (user, device or b"")
        return await self._reader.ask(
            lambda connection: _page(connection, room, reader, window, anchor, limit, budget, until)
        )

    async def receipt(
        self,
        room: Room,
        user: User,
        device: Device,
        *,
        delivered: int | None,
        read: int | None,
        private: bool = False,
        at: int,
    ) -> Moved | None:
        return await self._writer.do(
            lambda connection: receipts.receipt(connection, room, user, device, delivered, read, private, at)
        )

    async def progress(self, room: Room, user: User) -> Receipts:
        return await self._reader.ask(lambda connection: receipts.receipts(connection, room, user))

    async def holding(self, room: Room, place: int) -> int:
        return await self._reader.ask(lambda connection: receipts.holding(connection, room, place))

    async def targets(self, user: User, *, after: Room | None, limit: int) -> Sequence[Target]:
        return await self._reader.ask(lambda connection: receipts.targets(connection, user, after, limit))

    async def search(
        self, user: User, words: Sequence[Word], *, room: Room | None, after: bytes | None, limit: int, budget: int
    ) -> Finds:
        rooms = await self._reader.ask(lambda connection: search.behind(connection, user, room))
        while rooms:
            rooms = await self._writer.do(partial(search.index, numbers=rooms))
        return await self._reader.ask(
            lambda connection: search.find(connection, user, words, room, after, limit, budget)
        )


def append_all(connection: sqlite3.Connection, asks: Sequence[_Ask]) -> list[Stored | Refused]:
    """Append posts in their order: with two statements for all of them where nothing stands in the way.

    Every step of a statement gives up the interpreter lock and has to win it back, so that few statements are
    worth more than quick ones.
    """
    outcomes: list[Stored | Refused] = []
    for plain, run in groupby(asks, key=_is_plain):
        some = list(run)
        stored = _append_plain(connection, some) if plain else None
        outcomes += (
            stored if stored is not None else one_by_one(connection, [partial(_append, ask=ask) for ask in some])
        )
    return outcomes


def _is_plain(ask: _Ask) -> bool:
    """Whether a post is about nothing else: no other event, and no file."""
    return ask.post.attachments is None and (ask.post.kind is None or ask.post.kind in SAID)


def _append_plain(connection: sqlite3.Connection, asks: Sequence[_Ask]) -> list[Stored] | None:
    """All of them, or None and nothing, when one is not the first try of a member who may speak."""
    pairs = list(dict.fromkeys((ask.room, ask.sender) for ask in asks))
    (found,) = connection.execute(_PLACES, (json.dumps(pairs),)).fetchone()
    places = {pairs[index]: tuple(place) for index, *place in json.loads(found)}
    if len(places) < len(pairs):
        return None
    heads = {number: head for number, _, head, _ in places.values()}
    values: list[object] = []
    stored: list[Stored] = []
    naming: list[tuple[int, Message]] = []
    for room, sender, device, post, _, at in asks:
        number, epoch, _, policy = places[room, sender]
        heads[number] = seq = heads[number] + 1
        if post.reply is not None and not 0 < post.reply < seq:
            return None
        message = recorded(post, room=room, epoch=epoch, seq=seq, sender=sender, device=device, ts=at)
        try:
            check_sealed(policy, post)
            values += (number, epoch, seq, sender, post.cid, encoded(message))
        except Refused:
            return None
        stored.append(Stored(message=message))
        if post.mentions:
            naming.append((number, message))
    try:
        connection.execute(INSERT + ", ".join([ROW] * len(asks)), values)
    except sqlite3.IntegrityError:  # a cid was used before, or twice in this batch; the statement is undone
        return None
    for number, message in naming:
        note_mentions(connection, number, message)
    return stored


def _append(connection: sqlite3.Connection, ask: _Ask) -> Stored:
    room, sender, device, whole, operator, at = ask
    post, packets = parted(whole)
    earlier = find(connection, sender, post.cid)
    if earlier is not None:
        if not is_repeat(earlier, room, post) or (packets and entries.given(connection, earlier) != packets):
            raise Refused(Code.CID_CONFLICT)
        return Stored(message=earlier, dup=True)
    found = place(connection, room, sender)
    if found is None:
        check_direct(connection, room, sender)
    elif not operator:
        check_voice(connection, found[0], sender)
    number, epoch, head = found or (None, 1, 0)
    check_sealed(_policy(connection, number), post)
    about.check(connection, number, epoch, head, sender, post, operator=operator)
    message = recorded(post, room=room, epoch=epoch, seq=head + 1, sender=sender, device=device, ts=at)
    places = attachments.chosen(connection, message)
    readers = entries.chosen(connection, number, room, packets)
    body = encoded(message)
    if number is None:
        number = _open_direct(connection, room)
    connection.execute(INSERT + ROW, (number, epoch, head + 1, sender, post.cid, body))
    note_mentions(connection, number, message)
    attachments.attach(connection, number, message, places)
    about.apply(connection, number, message)
    if message.kind is Kind.KEY:
        entries.put(connection, number, message, readers)
    return Stored(message=message, entries=readers)


def _policy(connection: sqlite3.Connection, number: int | None) -> int:
    row = connection.execute("SELECT policy FROM room WHERE id = ?", (number,)).fetchone()
    return 0 if row is None else int(row[0])


def _open_direct(connection: sqlite3.Connection, room: Room) -> int:
    both = parties(room) or frozenset()
    made = connection.execute("INSERT INTO room (name, kind, members) VALUES (?, 'direct', ?)", (room, len(both)))
    assert made.lastrowid is not None
    for user in both:
        connection.execute("INSERT INTO member (room, user, since, read) VALUES (?, ?, 0, 0)", (made.lastrowid, user))
    return made.lastrowid


def _page(
    connection: sqlite3.Connection,
    room: Room,
    reader: tuple[User, bytes],
    window: Window,
    anchor: int,
    limit: int,
    budget: int,
    until: int,
) -> Page:
    found = connection.execute(
        f"SELECT room.id, room.epoch, {FIRST}, {HEAD} FROM room"
        " JOIN member ON member.room = room.id AND member.user = ? WHERE room.name = ?",
        (reader[0], room),
    ).fetchone()
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    number, epoch, first, head = found
    log = (*reader, number, epoch)
    below, above, end = {
        Window.BEFORE: (anchor - 1, head + 1, head + 1),
        Window.AFTER: (0, anchor + 1, head + 1),
        Window.AROUND: (anchor, anchor + 1, head + 1),
        Window.LATEST: (head, head + 1, head + 1),
        Window.BETWEEN: (0, anchor + 1, until),
    }[window]
    events = _nearest(
        connection.execute(_BELOW, (*log, below, limit)),
        connection.execute(_ABOVE, (*log, above, end, limit)),
        limit,
        budget,
    )
    return Page(epoch=epoch, first=first, head=head, events=events)


_Row = tuple[bytes, str | None, bytes | None]


def _nearest(below: Iterable[_Row], above: Iterable[_Row], limit: int, budget: int) -> tuple[bytes, ...]:
    """Take from both sides by turns, from the anchor outwards, until a limit is met; the result ascends."""
    earlier: list[bytes] = []
    later: list[bytes] = []
    sides = [(iter(below), earlier), (iter(above), later)]
    while sides and len(earlier) + len(later) < limit:
        rows, taken = sides.pop(0)
        row = next(rows, None)
        if row is None:
            continue
        body, handle, packet = row
        if handle is not None and packet is not None:
            body = filled(body, int(handle, 16), packet)
        budget -= len(body)
        if budget < 0 and (earlier or later):
            break
        taken.append(body)
        sides.append((rows, taken))
    return (*reversed(earlier), *later)
