"""The entries of KEY events in SQLite: what of them is for one device alone. (spec 15-keys)"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Final

from quicchat.server.rules import check_entries
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import Device, Room, User, parties

Entries = Mapping[tuple[User, Device], tuple[int, bytes]]
#: The listed devices with one of these handles, of members of a room, or of the users of one that is yet to be opened.
_READERS: Final = """
    SELECT key_device.user, key_device.device, key_device.handle FROM json_each(?) AS asked
    CROSS JOIN key_device ON key_device.listed = 1 AND key_device.handle = asked.value
    WHERE key_device.user IN (SELECT few.value FROM json_each(?) AS few)
    OR EXISTS (SELECT 1 FROM member WHERE member.room = ? AND member.user = key_device.user)"""


def chosen(connection: sqlite3.Connection, number: int | None, room: Room, entries: Mapping[int, bytes]) -> Entries:
    """For which devices entries are. Raises Refused(KEYS_STALE) where one is for none."""
    if not entries:
        return {}
    both = sorted(parties(room) or ()) if number is None else []
    asked = json.dumps([written(handle) for handle in entries])
    rows = connection.execute(_READERS, (asked, json.dumps(both), number)).fetchall()
    found = {(User(user), Device(device)): int(handle, 16) for user, device, handle in rows}
    check_entries(entries, found)
    return {device: (handle, entries[handle]) for device, handle in found.items()}


def put(connection: sqlite3.Connection, number: int, message: Message, entries: Entries) -> None:
    """The event is in the log."""
    connection.execute("INSERT INTO quiet (room, epoch, seq) VALUES (?, ?, ?)", (number, message.epoch, message.seq))
    for (user, device), (handle, packet) in entries.items():
        connection.execute(
            "INSERT INTO entry (room, epoch, seq, user, device, handle, packet) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, message.epoch, message.seq, user, device, written(handle), packet),
        )


def given(connection: sqlite3.Connection, message: Message) -> dict[int, bytes]:
    """The entries of an event by their handles, as they were posted."""
    rows = connection.execute(
        "SELECT entry.handle, entry.packet FROM room JOIN entry ON entry.room = room.id"
        " WHERE room.name = ? AND entry.epoch = ? AND entry.seq = ?",
        (message.room, message.epoch, message.seq),
    )
    return {int(handle, 16): packet for handle, packet in rows}


def written(handle: int) -> str:
    """A handle as it is stored."""
    return f"{handle:016x}"
