"""Which files events name, in SQLite. (spec 14-files)"""

from __future__ import annotations

import sqlite3
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import WHOLE, Message

#: Whether an event of a room's present log names what is at a place.
NAMED: Final = """
    SELECT 1 FROM attachment JOIN room ON room.id = attachment.room AND room.epoch = attachment.epoch
    WHERE attachment.place = blob.place"""
#: What a user has of a file: all of it before what is still to come, his own before another's, the oldest.
CHOSEN: Final = """
    SELECT blob.file, blob.size, blob.chunk, blob.whole, blob.place FROM blob
    LEFT JOIN upload ON upload.user = :user AND upload.file = :file AND upload.place = blob.place
    WHERE blob.file = :file AND (:size IS NULL OR blob.size = :size) AND (upload.place IS NOT NULL OR EXISTS (
        SELECT 1 FROM attachment JOIN room ON room.id = attachment.room AND room.epoch = attachment.epoch
        JOIN member ON member.room = room.id AND member.user = :user
        WHERE attachment.place = blob.place))
    ORDER BY blob.whole DESC, upload.place IS NULL, blob.place LIMIT 1"""


def chosen(connection: sqlite3.Connection, message: Message) -> list[int]:
    """Where the files are that a message names, as its sender may name them. Raises Refused(NO_SUCH_FILE)."""
    places: list[int] = []
    for file, size, media_type, _, _ in message.attachments or ():
        row = connection.execute(CHOSEN, {"user": message.sender, "file": file, "size": size}).fetchone()
        if row is None or (media_type == WHOLE and not row[3]):
            raise Refused(Code.NO_SUCH_FILE)
        places.append(row[4])
    return places


def attach(connection: sqlite3.Connection, number: int, message: Message, places: list[int]) -> None:
    """The message is in the log, and names what is there."""
    for order, (where, (_, _, media_type, name, modified)) in enumerate(
        zip(places, message.attachments or (), strict=True)
    ):
        connection.execute(
            "INSERT INTO attachment (room, epoch, seq, number, place, name, media_type, modified)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, message.epoch, message.seq, order, where, name, media_type, modified),
        )


def detach(connection: sqlite3.Connection, number: int, epoch: int, seq: int) -> None:
    """An event names nothing any more."""
    connection.execute("DELETE FROM attachment WHERE room = ? AND epoch = ? AND seq = ?", (number, epoch, seq))
