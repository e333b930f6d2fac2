"""Events about other events in SQLite: corrections, reactions, pins, and what is taken back. (spec 06-messages)"""

from __future__ import annotations

import sqlite3

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite import search
from quicchat.server.adapters.store_sqlite.attachments import detach
from quicchat.server.adapters.store_sqlite.events import encoded, event_at
from quicchat.server.adapters.store_sqlite.ranks import rank_of
from quicchat.server.rules import check_about, is_blank
from quicchat.wire.chapters.messages import ABOUT, Kind, Message, Post, blanked
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import User


def check(
    connection: sqlite3.Connection,
    number: int | None,
    epoch: int,
    head: int,
    sender: User,
    post: Post,
    *,
    operator: bool,
) -> None:
    """Whether the place answered is taken, and the event that a post is about allows it. Raises Refused."""
    if post.reply is not None and not 0 < post.reply <= head:
        raise Refused(Code.NO_SUCH_MESSAGE)
    kind = post.kind or Kind.TEXT
    if kind not in ABOUT:
        return
    refs = post.refs or ()
    target = event_at(connection, number, epoch, refs[0]) if number is not None and len(refs) == 1 else None
    direct = target is not None and target.room.startswith("@")
    moderator = operator or (number is not None and rank_of(connection, number, sender) >= Rank.MODERATOR)
    check_about(kind, sender, target, direct=direct, moderator=moderator)


def apply(connection: sqlite3.Connection, number: int, message: Message) -> None:
    """Do what an event that is now in the log says about another one."""
    assert message.epoch is not None
    target = message.refs[0] if message.refs else 0
    if message.kind is Kind.EDIT:
        connection.execute(
            "INSERT INTO edit (room, epoch, target, seq) VALUES (?, ?, ?, ?)",
            (number, message.epoch, target, message.seq),
        )
    elif message.kind is Kind.RETRACT:
        edits = connection.execute(
            "SELECT seq FROM edit WHERE room = ? AND epoch = ? AND target = ?", (number, message.epoch, target)
        )
        for seq in (target, *(seq for (seq,) in edits.fetchall())):
            detach(connection, number, message.epoch, seq)
            _blank(connection, number, message.epoch, seq)


def _blank(connection: sqlite3.Connection, number: int, epoch: int, seq: int) -> None:
    message = event_at(connection, number, epoch, seq)
    assert message is not None
    if is_blank(message):
        return
    search.forget(connection, number, epoch, seq, message.text or "")
    for user in message.mentions or ():
        connection.execute(
            "DELETE FROM mention WHERE user = ? AND room = ? AND epoch = ? AND seq = ?", (user, number, epoch, seq)
        )
    connection.execute(
        "UPDATE event SET body = ? WHERE room = ? AND epoch = ? AND seq = ?",
        (encoded(blanked(message)), number, epoch, seq),
    )
