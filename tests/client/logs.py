"""Rooms as the server has them, to compare what a device shows with."""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.client.api import Chat
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Message, Window
from quicchat.wire.names import Room, User
from tests.server.house import World

GENERAL = "general"


async def log_of(here: World, room: str, user: str = "alice") -> list[Message]:
    """The server's log, as a member reads it."""
    found: list[Message] = []
    while True:
        page = await here.store.log.page(
            Room(room), User(user), window=Window.AFTER, anchor=len(found), limit=200, budget=1 << 30
        )
        if not page.events:
            return found
        found += [codec.decode_body(Message, body, version=2) for body in page.events]


async def whole_past(chat: Chat, room: str, limit: int = 100) -> list[Message]:
    """All that was said in a room, from the last page to the first."""
    found: list[Message] = []
    while page := await chat.past(room, found[0].seq if found else None, limit):
        found[:0] = page
    return found


def plain(events: Sequence[Message]) -> list[tuple[object, ...]]:
    """What people see of events; what is strewn in (2.5-7), and whose device it was, is not compared."""
    return [
        (each.room, each.epoch, each.seq, each.cid, each.sender, each.kind, each.text, each.refs) for each in events
    ]


def seqs(events: Sequence[Message]) -> list[int]:
    return [each.seq for each in events]


async def say(chat: Chat, count: int, room: str = GENERAL, word: str = "") -> None:
    for number in range(count):
        await chat.post(room, f"{word}{number}")
