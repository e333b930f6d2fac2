"""Search in SQLite: the index is made when somebody searches, so that posts cost nothing. (spec 06-messages)"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.events import HEAD, decoded
from quicchat.server.adapters.store_sqlite.members import place
from quicchat.server.model import SEARCHED, Finds, Word
from quicchat.sqlite.words import has_fts, phrase
from quicchat.wire.names import Room, User

#: Events taken into the index by one transaction, so that others get their turn between two.
SLICE: Final = 500
#: An id is the time (Unix ms, cut) and a running number: ids order what is found by time, and are what pages go by.
_RUNNING: Final = 1 << 21
_LATEST: Final = (1 << 42) - 1
#: `place` holds one word, made of the room's number and the epoch. Nothing is kept but the index itself.
_TABLE: Final = """
    CREATE VIRTUAL TABLE IF NOT EXISTS words
    USING fts5(place, text, content = '', tokenize = 'unicode61 remove_diacritics 2')"""
_BEHIND: Final = f"""
    SELECT room.id FROM member JOIN room ON room.id = member.room LEFT JOIN indexed ON indexed.room = room.id
    WHERE member.user = ? AND ? IN ('', room.name)
    AND (coalesce(indexed.epoch, 0) <> room.epoch OR indexed.seq < {HEAD})"""
_FOUND: Final = """
    SELECT words.rowid, event.body FROM words CROSS JOIN searchable ON searchable.id = words.rowid
    CROSS JOIN event ON event.room = searchable.room AND event.epoch = searchable.epoch AND event.seq = searchable.seq
    WHERE words MATCH ? AND words.rowid < ? ORDER BY words.rowid DESC LIMIT ?"""


def behind(connection: sqlite3.Connection, user: User, room: Room | None) -> list[int]:
    """The numbers of the rooms that are not indexed up to their heads. Raises Refused."""
    if room is not None and place(connection, room, user) is None:
        raise Refused(Code.NO_SUCH_ROOM)
    if not has_fts(connection):
        raise Refused(Code.UNSUPPORTED, "This server cannot search.")
    return [number for (number,) in connection.execute(_BEHIND, (user, room or ""))]


def index(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[int]:
    """Take a slice of these rooms into the index; returns those that are not done yet."""
    connection.execute(_TABLE)
    left = SLICE
    for done, number in enumerate(numbers):
        left -= _index_room(connection, number, left)
        if left <= 0:
            return list(numbers[done:])
    return []


def _index_room(connection: sqlite3.Connection, number: int, limit: int) -> int:
    ((epoch,),) = connection.execute("SELECT epoch FROM room WHERE id = ?", (number,))
    found = connection.execute(
        "SELECT seq, latest FROM indexed WHERE room = ? AND epoch = ?", (number, epoch)
    ).fetchone()
    seq, latest = found or (0, 0)
    rows = connection.execute(
        "SELECT body FROM event WHERE room = ? AND epoch = ? AND seq > ? ORDER BY seq LIMIT ?",
        (number, epoch, seq, limit),
    ).fetchall()
    for (body,) in rows:
        message = decoded(body)
        seq, latest = message.seq, max(latest, min(message.ts, _LATEST))
        if message.text and message.kind in SEARCHED:
            _enter(connection, number, epoch, seq, latest, message.text)
    connection.execute(
        "INSERT OR REPLACE INTO indexed (room, epoch, seq, latest) VALUES (?, ?, ?, ?)", (number, epoch, seq, latest)
    )
    return len(rows)


def _enter(connection: sqlite3.Connection, number: int, epoch: int, seq: int, time: int, text: str) -> None:
    first = time * _RUNNING
    last = connection.execute(
        "SELECT id FROM searchable WHERE id < ? ORDER BY id DESC LIMIT 1", (first + _RUNNING - 1,)
    ).fetchone()
    chosen = max(first, last[0] + 1) if last else first
    connection.execute(
        "INSERT INTO searchable (id, room, epoch, seq) VALUES (?, ?, ?, ?)", (chosen, number, epoch, seq)
    )
    connection.execute(
        "INSERT INTO words (rowid, place, text) VALUES (?, ?, ?)", (chosen, _place_word(number, epoch), text)
    )


def forget(connection: sqlite3.Connection, number: int, epoch: int, seq: int, text: str) -> None:
    """An event is not found any more, and its words are in the index no more."""
    where = (number, epoch, seq)
    row = connection.execute("SELECT id FROM searchable WHERE room = ? AND epoch = ? AND seq = ?", where).fetchone()
    if row is None:
        return
    connection.execute("DELETE FROM searchable WHERE id = ?", row)
    if has_fts(connection):
        connection.execute(
            "INSERT INTO words (words, rowid, place, text) VALUES ('delete', ?, ?, ?)",
            (row[0], _place_word(number, epoch), text),
        )


def find(
    connection: sqlite3.Connection,
    user: User,
    words: Sequence[Word],
    room: Room | None,
    after: bytes | None,
    limit: int,
    budget: int,
) -> Finds:
    """The port's `search`, once the index is up to date."""
    if after is not None and len(after) != 8:
        raise Refused(Code.SCHEMA, "No search returned this place.")
    below = 2**63 - 1 if after is None else struct.unpack(">q", after)[0]
    rooms = connection.execute(
        "SELECT room.id, room.epoch FROM member JOIN room ON room.id = member.room"
        " WHERE member.user = ? AND ? IN ('', room.name)",
        (user, room or ""),
    ).fetchall()
    if not rooms:
        return Finds(events=())
    where = " OR ".join(_place_word(*each) for each in rooms)
    match = f"text : ({' AND '.join(map(phrase, words))}) AND place : ({where})"
    rows = connection.execute(_FOUND, (match, below, limit + 1)).fetchall()
    kept = 0
    for _, body in rows[:limit]:
        budget -= len(body)
        if budget < 0 and kept:
            break
        kept += 1
    more = struct.pack(">q", rows[kept - 1][0]) if kept < len(rows) else None
    return Finds(events=tuple(body for _, body in rows[:kept]), next=more)


def _place_word(number: int, epoch: int) -> str:
    return f"r{number}e{epoch}"
