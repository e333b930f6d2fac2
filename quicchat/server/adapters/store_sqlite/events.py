"""Events as rows: how facts become messages of a room's log, and where they are put. (spec 06-messages)"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any, Final

from quicchat.errors import Code, Refused, RemoteProtocolError
from quicchat.server.model import Stored
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.codec import decode_body, encode_body
from quicchat.wire.names import User
from quicchat.wire.types import MAX_PAIRS

#: What is stored must fit a frame of 64 KiB again, alone in HISTORY_R, and its fields a map.
BODY_BYTES: Final = 65_024
EXTRA_PAIRS: Final = MAX_PAIRS - len(Message.SPEC.fields)
#: Version in which bodies are stored.
VERSION: Final = 2

HEAD: Final = """coalesce(
    (SELECT max(event.seq) FROM event WHERE event.room = room.id AND event.epoch = room.epoch), 0)"""
FIRST: Final = """coalesce(
    (SELECT min(event.seq) FROM event WHERE event.room = room.id AND event.epoch = room.epoch), 1)"""
#: How far a member has read: his own messages that follow at once are not unread to him, and no KEY event is.
READ: Final = f"""coalesce(
    (SELECT event.seq - 1 FROM event WHERE event.room = room.id AND event.epoch = room.epoch
     AND event.seq > member.read AND event.sender <> member.user AND NOT EXISTS (
        SELECT 1 FROM quiet WHERE quiet.room = event.room AND quiet.epoch = event.epoch AND quiet.seq = event.seq)
     ORDER BY event.seq LIMIT 1), {HEAD})"""
#: How many events after that are nobody's news.
QUIET: Final = f"""(SELECT count(*) FROM quiet WHERE quiet.room = room.id AND quiet.epoch = room.epoch
    AND quiet.seq > {READ})"""
#: How many events after that name him.
MENTIONS: Final = """(SELECT count(*) FROM mention WHERE mention.user = member.user AND mention.room = room.id
    AND mention.epoch = room.epoch AND mention.seq > member.read)"""
INSERT: Final = "INSERT INTO event (room, epoch, seq, sender, cid, body) VALUES "
ROW: Final = "(?, ?, ?, ?, ?, ?)"


def encoded(message: Message) -> bytes:
    """The body to store. Raises Refused(MSG_TOO_LARGE) for what could not be fetched again."""
    if len(message.extra or ()) > EXTRA_PAIRS or len(body := encode_body(message, version=VERSION)) > BODY_BYTES:
        raise Refused(Code.MSG_TOO_LARGE)
    return body


def decoded(body: bytes) -> Message:
    """A stored body as the message it was. Raises Refused(STORE_UNAVAILABLE) where it is damaged."""
    try:
        return decode_body(Message, body, version=VERSION)
    except RemoteProtocolError as error:
        raise Refused(Code.STORE_UNAVAILABLE) from error


def find(connection: sqlite3.Connection, sender: User, cid: bytes) -> Message | None:
    """The event that a sender stored under a cid, in whatever room and epoch."""
    row = connection.execute("SELECT body FROM event WHERE sender = ? AND cid = ?", (sender, cid)).fetchone()
    return None if row is None else decoded(row[0])


def entry_cid(user: User) -> bytes:
    """The cid of an account's first event; it needs no randomness, since the account has sent nothing else."""
    return hashlib.sha256(b"quicchat entry " + user.encode()).digest()[:16]


def check_unused(connection: sqlite3.Connection, user: User, cid: bytes) -> None:
    """Raises Refused(CID_CONFLICT): an event of the server's own is never a retry."""
    if find(connection, user, cid) is not None:
        raise Refused(Code.CID_CONFLICT)


def record(
    connection: sqlite3.Connection, kind: Kind, number: int, sender: User, cid: bytes, at: int, text: str, **facts: Any
) -> Stored:
    """Write what happened to a room or to those in it, at the next place of its log."""
    name, epoch, head = connection.execute(
        f"SELECT room.name, room.epoch, {HEAD} FROM room WHERE room.id = ?", (number,)
    ).fetchone()
    message = Message(
        room=name, epoch=epoch, seq=head + 1, cid=cid, sender=sender, kind=kind, ts=at, text=text, **facts
    )
    connection.execute(INSERT + ROW, (number, epoch, head + 1, sender, cid, encoded(message)))
    return Stored(message=message)


def event_at(connection: sqlite3.Connection, number: int, epoch: int, seq: int) -> Message | None:
    """The event at a place, or None where there is none."""
    row = connection.execute(
        "SELECT body FROM event WHERE room = ? AND epoch = ? AND seq = ?", (number, epoch, seq)
    ).fetchone()
    return None if row is None else decoded(row[0])


def note_mentions(connection: sqlite3.Connection, number: int, message: Message) -> None:
    """Remember whom a message names, for the members among them."""
    for user in sorted({*(message.mentions or ())} - {message.sender}):
        connection.execute(
            "INSERT INTO mention (user, room, epoch, seq) SELECT user, room, ?, ? FROM member"
            " WHERE room = ? AND user = ?",
            (message.epoch, message.seq, number, user),
        )
