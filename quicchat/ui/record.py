"""What happened, as JSON: one object to a line, for scripts; the keys stay as they are. (spec 12-operation)

Every object has `event`, which tells the keys that follow it (`KEYS`); a value that nobody told is null. All times
are Unix milliseconds: `sent` by the sender's clock, `stored` by the server's, `received` by ours. Ids are
hexadecimal. The lines are ASCII, with everything else escaped, so nothing in them reaches a terminal raw.
"""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

from quicchat.client.state import State
from quicchat.ui.outcomes import (
    Denied,
    Echoed,
    Entered,
    Gone,
    Heard,
    Help,
    Here,
    Lost,
    Members,
    Note,
    Past,
    People,
    Rooms,
    Rtt,
    Sent,
    Shown,
    Unsent,
    Waiting,
)
from quicchat.ui.words import Asks, Unclear
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot
from quicchat.wire.chapters.session import Bye, Goaway

_MESSAGE: Final = ("room", "epoch", "seq", "cid", "from", "kind", "text", "sent", "stored", "received")

#: The schema: each event with its keys, in the order in which they are written.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "entered": ("user", "server", "version", "session", "welcome", "again"),
    "message": (*_MESSAGE, "own"),
    "presence": ("user", "show", "status", "since", "address", "reason"),
    "people": ("people",),
    "posted": ("room", "epoch", "seq", "cid", "to", "stored", "duplicate", "recipient"),
    "here": ("room", "topic", "members"),
    "left": ("room", "now"),
    "rooms": ("rooms",),
    "members": ("room", "members"),
    "history": ("room", "messages"),
    "echo": ("text",),
    "ping": ("ms",),
    "show": ("show",),
    "help": ("commands",),
    "error": ("code", "text", "line"),
    "lost": ("code", "reason", "retry"),
    "waiting": ("server", "reason"),
    "unsent": ("lines",),
    "notice": ("text",),
}


class Tape(Protocol):
    """Where the lines go."""

    def show(self, line: str) -> None:
        """One object."""


class Json:
    """Tells everything as JSON."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def tell(self, item: object, state: State) -> None:
        """Write what there is to say about an event or an outcome."""
        found = record(item)
        if found is not None:
            self._tape.show(json.dumps(found, ensure_ascii=True, separators=(",", ":")))


def record(item: object) -> dict[str, Any] | None:
    """The object for an event or an outcome; None for what only people need."""
    found = _event(item) or _result(item) or _fact(item)
    if found is None:
        return None
    name, values = found
    return {"event": name, **dict(zip(KEYS[name], values, strict=True))}


_Row = tuple[str, tuple[Any, ...]]


def _event(item: object) -> _Row | None:
    """What others did."""
    match item:
        case Heard():
            return "message", (*_message(item), item.own)
        case Presence():
            return "presence", (
                item.user,
                item.show.name.lower(),
                item.status,
                item.since,
                item.address,
                item.reason,
            )
        case PresenceSnapshot():
            rows = [
                {"user": user, "online": online, "address": address or None} for user, online, address in item.users
            ]
            return "people", (rows,)
        case Bye() | Goaway():
            return "notice", (item.reason or "the server says goodbye",)
    return None


def _result(item: object) -> _Row | None:
    """What a command brought."""
    match item:
        case Sent(posted, user):
            recipient = None if posted.recipient is None else posted.recipient.name.lower()
            cid = posted.cid.hex()
            return "posted", (
                posted.room,
                posted.epoch,
                posted.seq,
                cid,
                user,
                posted.ts,
                bool(posted.dup),
                recipient,
            )
        case Here():
            return "here", (item.room, item.topic or None, item.members)
        case Gone():
            return "left", (item.room, item.now)
        case Rooms():
            names = ("room", "members", "topic", "joined")
            return "rooms", ([dict(zip(names, row, strict=True)) for row in item.rows],)
        case Members():
            return "members", (item.room, [{"user": user, "online": online} for user, online in item.rows])
        case People():
            return "people", ([_person(item, user) for user in sorted(item.people)],)
        case Past():
            return "history", (item.room, [dict(zip(_MESSAGE, _message(each), strict=True)) for each in item.events])
        case Echoed(text):
            return "echo", (text,)
        case Rtt(seconds):
            return "ping", (round(seconds * 1000, 3),)
        case Shown(show):
            return "show", (show.name.lower(),)
        case Help():
            return "help", ([{"usage": each.usage, "about": each.about} for each in item.commands],)
    return None


def _fact(item: object) -> _Row | None:
    """What became of the connection, and of what was typed."""
    match item:
        case Entered():
            return "entered", (item.user, item.place, item.version, item.session, item.welcome, item.again)
        case Denied():
            return "error", (item.code.name, item.text, item.call.line)
        case Unclear():
            return "error", ("USAGE", item.text, item.line)
        case Asks():
            return "error", ("USAGE", item.question, item.call.line)
        case Lost():
            return "lost", (item.code, item.reason, item.retry)
        case Waiting():
            return "waiting", (item.place, item.reason)
        case Unsent(count):
            return "unsent", (count,)
        case Note(text):
            return "notice", (text,)
    return None


def _message(heard: Heard) -> tuple[Any, ...]:
    message = heard.message
    where = (message.room, message.epoch, message.seq, message.cid.hex())
    return (
        *where,
        message.sender,
        message.kind.name.lower(),
        message.text,
        message.sent,
        message.ts,
        heard.received,
    )


def _person(item: People, user: str) -> dict[str, Any]:
    person = item.people[user]
    return {"user": user, "online": person.show.name != "OFFLINE", "address": person.address}
