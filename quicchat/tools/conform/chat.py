"""What cases say to each other, and how they read what was said. (spec 06-messages)"""

from __future__ import annotations

import os
from typing import Any, Final

from quicchat.tools.conform.book import Pdu, bare, choices
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, same

KIND: Final = choices("MSG", "kind")
WINDOW: Final = choices("HISTORY", "window")
#: Who may do what in a room (5.9), and the bits of its policy (5.2, 5.3, 5.10).
RANK: Final = choices("ROLE", "rank")
VANISHES, HIDDEN, ENCRYPTED = 1, 2, 4


def cid() -> bytes:
    """Names one message (6.1-3)."""
    return os.urandom(16)


async def post(talk: Talk, text: str = "a word", *, sid: int | None = None, **fields: Any) -> Heard:
    """Say something that is stored; its MSG_ACK."""
    wanted = {"cid": cid(), "text": text, **fields}
    found = await talk.done("MSG_SEND", sid=sid, **wanted)
    same(found["cid"], wanted["cid"], "the cid of MSG_ACK")
    return found


async def told(talk: Talk, ack: Heard) -> Heard:
    """The MSG of what was acknowledged to another one."""
    return await talk.hear("MSG", lambda each: each["room"] == ack["room"] and each["seq"] == ack["seq"])


async def event(talk: Talk, room: str, kind: str, **fields: Any) -> Heard:
    """The next MSG of this kind, with these fields."""

    def fits(each: Heard) -> bool:
        return (each["room"], each["kind"]) == (room, KIND[kind]) and all(
            each[name] == value for name, value in fields.items()
        )

    return await talk.hear("MSG", fits)


def heard(talk: Talk, room: str) -> list[Heard]:
    """All MSG of a room that came and were not taken."""
    return [each for each in talk.all("MSG") if each["room"] == room]


async def page(talk: Talk, room: str, window: str = "AFTER", **fields: Any) -> list[Pdu]:
    """One page of a log, by default its first."""
    if window in ("AFTER", "BETWEEN"):
        fields = {"anchor": 0, **fields}
    found = await talk.done("HISTORY", room=room, window=WINDOW[window], **fields)
    same(found["room"], room, "the room of HISTORY_R")
    try:
        return [bare("MSG", each) for each in found["events"]]
    except ValueError as error:
        raise Failed(f"an event of HISTORY_R is no body of MSG: {error}") from None


async def standing(talk: Talk, room: str) -> Heard:
    """The ROOM_STATE of a room that one is in."""
    return await talk.done("ROOM_JOIN", room=room, member=True)


async def settled(talk: Talk, *others: Talk) -> None:
    """Return when whatever was pushed because of what `talk` did has most likely reached the others.

    So that nobody waits for what must not come: what follows it in a direct message has come.
    """
    for other in others:
        await told(other, await post(talk, "settled", user=other.user))
