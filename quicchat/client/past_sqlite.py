"""The events that a device keeps, in SQLite: put, trimmed, taken back, and found by their words. (spec 06-messages)"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from quicchat.client.memory import Held, about
from quicchat.client.seal import Opened, Seal, opened
from quicchat.errors import Code, Refused
from quicchat.sqlite.words import has_fts, phrase
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Kind, Message, blanked
from quicchat.wire.search import SEARCHED, Word

#: Events taken into the index by one transaction, so that others get their turn between two.
SLICE: Final = 500
#: An id is the time (Unix ms, cut) and a running number, so that ids order what is found.
_RUNNING: Final = 1 << 21
_LATEST: Final = (1 << 42) - 1
_TABLE: Final = """
    CREATE VIRTUAL TABLE IF NOT EXISTS words
    USING fts5(text, content = '', tokenize = 'unicode61 remove_diacritics 2')"""
_PUT: Final = "INSERT OR REPLACE INTO event (room, seq, body, whole, seal, about) VALUES (?, ?, ?, ?, ?, ?)"
_LAST: Final = """
    SELECT body, whole, seal FROM event WHERE room = ?1 AND seq < ?2
    AND seq >= coalesce((SELECT first FROM cursor WHERE cursor.room = ?1), 1) ORDER BY seq DESC LIMIT ?3"""
#: Below the run, but for what the application has not had.
_OLD: Final = "room = ? AND seq < ? AND seq <= (SELECT given FROM cursor WHERE cursor.room = event.room)"
_BEHIND: Final = """
    SELECT cursor.room FROM cursor LEFT JOIN indexed ON indexed.room = cursor.room
    WHERE ? IN ('', cursor.room) AND cursor.first <= cursor.seq
    AND (indexed.room IS NULL OR indexed.low > cursor.first OR indexed.high < cursor.seq)"""
_FOUND: Final = """
    SELECT event.body, event.whole, event.seal FROM words CROSS JOIN searchable ON searchable.id = words.rowid
    CROSS JOIN event ON event.room = searchable.room AND event.seq = searchable.seq
    JOIN cursor ON cursor.room = event.room AND event.seq >= cursor.first
    WHERE words MATCH ? AND ? IN ('', searchable.room) ORDER BY words.rowid DESC LIMIT ?"""
_ALL_PLACES: Final = 2**62


def held(row: tuple[bytes, str | None, int | None]) -> Held:
    """An event from [body, whole, seal]."""
    event = codec.decode_body(Message, row[0], version=2)
    return Held(event if row[2] is None else opened(event, Seal(row[2])), row[1])


def page(connection: sqlite3.Connection, room: str, before: int | None, limit: int) -> list[Held]:
    """The port's `page`."""
    rows = connection.execute(_LAST, (room, _ALL_PLACES if before is None else before, limit)).fetchall()
    return [held(row) for row in reversed(rows)]


def put(connection: sqlite3.Connection, events: Sequence[Held], past: Sequence[Held]) -> None:
    """Keep what comes at the end of rooms, and what is fetched before; what was taken back loses its words."""
    for room in {each.event.room for each in past}:
        _begin_index(connection, room, max(each.event.seq for each in past if each.event.room == room))
    connection.executemany(
        _PUT,
        [
            (each.event.room, each.event.seq, _body(each.event), each.whole, _seal(each.event), about(each.event))
            for each in (*past, *events)
        ],
    )
    for each in events:
        if each.event.kind is Kind.RETRACT and each.event.refs:
            _take_back(connection, each.event.room, each.event.refs[0])
    # The page may have been read from the log before something of it was taken back, and come here after that.
    for room, seq in {(each.event.room, at) for each in past for at in (each.event.seq, about(each.event)) if at}:
        rows = connection.execute("SELECT body FROM event WHERE room = ? AND about = ?", (room, seq))
        if any(_message(body).kind is Kind.RETRACT for (body,) in rows.fetchall()):
            _take_back(connection, room, seq)


def trim(connection: sqlite3.Connection, room: str, first: int) -> None:
    """Forget what lies before the run of a room."""
    entry = connection.execute("SELECT low FROM indexed WHERE room = ?", (room,)).fetchone()
    if entry is not None and entry[0] < first:
        _unindex(connection, room, connection.execute(f"SELECT body, whole FROM event WHERE {_OLD}", (room, first)))
        connection.execute("UPDATE indexed SET low = ? WHERE room = ?", (first, room))
    connection.execute(f"DELETE FROM event WHERE {_OLD}", (room, first))


def drop(connection: sqlite3.Connection, room: str) -> None:
    """Forget a room."""
    _begin_index(connection, room, _ALL_PLACES)
    connection.execute("DELETE FROM event WHERE room = ?", (room,))


def behind(connection: sqlite3.Connection, room: str | None) -> list[str]:
    """The rooms that are not wholly indexed. Raises Refused(UNSUPPORTED)."""
    if not has_fts(connection):
        raise Refused(Code.UNSUPPORTED, "This device cannot search.")
    return [name for (name,) in connection.execute(_BEHIND, (room or "",))]


def index(connection: sqlite3.Connection, rooms: Sequence[str]) -> list[str]:
    """Take a slice of these rooms into the index; returns those that are not done yet."""
    connection.execute(_TABLE)
    left = SLICE
    for done, room in enumerate(rooms):
        left -= _index_room(connection, room, left)
        if left <= 0:
            return list(rooms[done:])
    return []


def find(connection: sqlite3.Connection, words: Sequence[Word], room: str | None, limit: int) -> list[Held]:
    """The port's `search`, once the index is up to date."""
    match = " AND ".join(map(phrase, words))
    return [held(row) for row in connection.execute(_FOUND, (match, room or "", limit))]


def _take_back(connection: sqlite3.Connection, room: str, target: int) -> None:
    """Nobody finds or reads any more what an event, and every correction of it, said."""
    where = "room = ? AND (seq = ? OR about = ?)"
    rows = connection.execute(f"SELECT body, whole FROM event WHERE {where}", (room, target, target)).fetchall()
    for body, whole in rows:
        event = _message(body)
        if event.seq == target or event.kind is Kind.EDIT:
            _unindex(connection, room, [(body, whole)])
            connection.execute(_PUT, (room, event.seq, _body(blanked(event)), None, None, about(event)))


def _index_room(connection: sqlite3.Connection, room: str, limit: int) -> int:
    """How many events were looked at: first those above what the index has, then those below."""
    known = connection.execute("SELECT first, seq FROM cursor WHERE room = ?", (room,)).fetchone()
    if known is None:
        return 0
    first, last = known
    entry = connection.execute("SELECT low, high FROM indexed WHERE room = ?", (room,)).fetchone()
    low, high = entry or (first, first - 1)
    high = max(high, first - 1)
    select = "SELECT body, whole FROM event WHERE room = ? AND seq"
    above = connection.execute(f"{select} > ? ORDER BY seq LIMIT ?", (room, high, limit)).fetchall()
    wanted = limit - len(above)
    below = connection.execute(
        f"{select} < ? AND seq >= ? ORDER BY seq DESC LIMIT ?", (room, low, first, wanted)
    ).fetchall()
    for body, whole in (*above, *below):
        _enter(connection, _message(body), whole)
    high = max(last, high) if wanted else _message(above[-1][0]).seq
    low = _message(below[-1][0]).seq if below and len(below) == wanted else low if not wanted else min(low, first)
    connection.execute("INSERT OR REPLACE INTO indexed (room, low, high) VALUES (?, ?, ?)", (room, low, high))
    return len(above) + len(below)


def _enter(connection: sqlite3.Connection, event: Message, whole: str | None) -> None:
    text = whole or event.text
    if not text or event.kind not in SEARCHED:
        return
    first = min(event.ts, _LATEST) * _RUNNING
    last = connection.execute(
        "SELECT id FROM searchable WHERE id < ? ORDER BY id DESC LIMIT 1", (first + _RUNNING,)
    ).fetchone()
    chosen = max(first, last[0] + 1) if last else first
    connection.execute("INSERT INTO searchable (id, room, seq) VALUES (?, ?, ?)", (chosen, event.room, event.seq))
    connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (chosen, text))


def _unindex(connection: sqlite3.Connection, room: str, rows: Iterable[tuple[bytes, str | None]]) -> None:
    """The words of these events are in the index no more."""
    for body, whole in rows:
        event = _message(body)
        where = (room, event.seq)
        entry = connection.execute("SELECT id FROM searchable WHERE room = ? AND seq = ?", where).fetchone()
        if entry is not None:
            connection.execute("DELETE FROM searchable WHERE id = ?", entry)
            gone = "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)"
            connection.execute(gone, (entry[0], whole or event.text))


def _begin_index(connection: sqlite3.Connection, room: str, upto: int) -> None:
    """Have a room indexed anew of which something is replaced, up to a place, that the index has."""
    entry = connection.execute("SELECT low FROM indexed WHERE room = ?", (room,)).fetchone()
    if entry is not None and entry[0] <= upto:
        _unindex(connection, room, connection.execute("SELECT body, whole FROM event WHERE room = ?", (room,)))
        connection.execute("DELETE FROM indexed WHERE room = ?", (room,))


def _body(event: Message) -> bytes:
    return codec.encode_body(event, version=2)


def _message(body: bytes) -> Message:
    return codec.decode_body(Message, body, version=2)


def _seal(event: Message) -> int | None:
    return int(event.seal) if isinstance(event, Opened) else None
