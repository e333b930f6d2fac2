"""What happened, as JSON: one object to a line, for scripts; the keys stay as they are. (spec 12-operation)

Every object has `event`, which tells the keys that follow it (`KEYS`); a value that nobody told is null. All times
are Unix milliseconds: `sent` by the sender's clock, `stored` by the server's, `received` by ours. Ids are
hexadecimal. The lines are ASCII, with everything else escaped, so nothing in them reaches a terminal raw.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from quicchat.client.events import KeyNews, Line, Reset
from quicchat.client.state import State
from quicchat.client.traces import Step, Trace
from quicchat.ui.identities import Approvals, Device, Keyed, Numbers, Recovery
from quicchat.ui.notices import Notice
from quicchat.ui.outcomes import (
    Denied,
    Devices,
    Done,
    Echoed,
    Encrypted,
    Entered,
    Files,
    Found,
    Freight,
    Gone,
    Heard,
    Help,
    Here,
    Hints,
    Lost,
    Members,
    Note,
    NotResponding,
    Past,
    People,
    Reached,
    Readable,
    Receipts,
    Rooms,
    Rtt,
    Sent,
    Shown,
    Status,
    Transfers,
    Unfinished,
    Unpacked,
    Unread,
    Unsent,
    Waiting,
)
from quicchat.ui.seals import is_unread, seal_of
from quicchat.ui.words import Asks, Choice, Command, Unclear
from quicchat.wire.chapters.messages import Kind, ReceiptEvent
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Tick, Typing
from quicchat.wire.chapters.rooms import Invite, RoomState
from quicchat.wire.chapters.session import Bye, Goaway

if TYPE_CHECKING:
    from quicchat.client.files.api import Listed

_MESSAGE: Final = (
    *("room", "epoch", "seq", "cid", "from", "kind", "text", "sent", "stored", "received"),
    *("topic", "reply", "refs", "mentions", "expires", "by", "rank", "files", "seal", "policy"),
)
_TRANSFER: Final = (
    *("number", "name", "direction", "mode", "state", "room", "size", "done", "resumed", "rate", "eta", "rates"),
    *("pieces", "missing", "lost", "seconds", "path", "reason"),
)

#: The schema: each event with its keys, in the order in which they are written.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "entered": ("user", "server", "version", "session", "welcome", "again"),
    "message": (*_MESSAGE, "own", "late"),
    "presence": ("user", "show", "status", "since", "address", "reason"),
    "people": ("people",),
    "posted": ("room", "epoch", "seq", "cid", "to", "stored", "duplicate", "recipient"),
    "progress": ("room", "seq", "cid", "state", "by", "at", "count", "reason"),
    "receipt": ("room", "user", "delivered", "read", "at", "unread", "mentions", "count"),
    "typing": ("room", "user", "ttl"),
    "tick": ("user", "ttl"),
    "invite": ("room", "user"),
    "reset": ("room",),
    "line": ("state", "retry_in", "reason", "early"),
    "here": ("room", "topic", "members", "encryption"),
    "left": ("room", "now"),
    "encrypted": ("room",),
    "rooms": ("rooms",),
    "members": ("room", "members"),
    "history": ("room", "messages"),
    "readable": ("room", "messages"),
    "found": ("words", "messages"),
    "unread": ("rooms",),
    "receipts": ("room", "people", "count"),
    "trace": ("room", "seq", "cid", "from", "own", "sent", "steps"),
    "sessions": ("sessions", "devices"),
    "keys": ("user", "trust", "identity", "devices"),
    "key": ("kind", "user", "text"),
    "numbers": ("user", "digits"),
    "approvals": ("devices",),
    "recovery": ("code",),
    "files": ("room", "files"),
    "transfer": _TRANSFER,
    "transfers": ("transfers",),
    "unpacked": ("name", "path", "files", "left_out", "reason"),
    "unfinished": ("files",),
    "status": ("user", "server", "version", "session", "ms", "outbox"),
    "done": ("command", "facts"),
    "echo": ("text",),
    "ping": ("ms",),
    "show": ("show",),
    "help": ("commands",),
    "error": ("code", "text", "line"),
    "lost": ("code", "reason", "retry"),
    "waiting": ("server", "reason"),
    "unsent": ("lines", "kept"),
    "notice": ("text", "room", "count"),
    "gone": (),
    "hints": (),
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
    found = _event(item) or _result(item) or _fact(item) or _carried(item)
    if found is None:
        return None
    name, values = found
    return {"event": name, **dict(zip(KEYS[name], values, strict=True))}


_Row = tuple[str, tuple[Any, ...]]


def _event(item: object) -> _Row | None:
    """What others did."""
    match item:
        case Heard() if item.message.kind is Kind.KEY:
            return None
        case Heard():
            return "message", (*_message(item), item.own, item.late)
        case Presence():
            show = item.show.name.lower()
            return "presence", (item.user, show, item.status, item.since, item.address, item.reason)
        case PresenceSnapshot():
            rows = [
                {"user": user, "online": online, "address": address or None} for user, online, address in item.users
            ]
            return "people", (rows,)
        case ReceiptEvent():
            reached = (item.room, item.user, item.delivered, item.read, item.at)
            return "receipt", (*reached, item.unread, item.mentions, item.count)
        case Typing():
            return "typing", (item.room, item.user, item.ttl)
        case Tick():
            return "tick", (item.user, item.ttl)
        case Invite():
            return "invite", (item.room, item.user)
        case RoomState():
            return "here", (item.room, item.topic, item.members, None)
        case KeyNews():
            return "key", (item.kind, item.user, item.text)
        case Bye() | Goaway():
            return "notice", (item.reason or "the server says goodbye", None, 1)
    return None


def _result(item: object) -> _Row | None:
    """What a command brought."""
    match item:
        case Sent(posted, user):
            recipient = None if posted.recipient is None else posted.recipient.name.lower()
            where = (posted.room, posted.epoch, posted.seq, posted.cid.hex())
            return "posted", (*where, user, posted.ts, bool(posted.dup), recipient)
        case Reached(progress):
            whose = (progress.room, progress.seq, progress.cid.hex(), progress.state.name.lower())
            return "progress", (*whose, progress.by, progress.at, progress.count, progress.reason)
        case Done():
            return "done", (item.command, dict(item.facts))
        case Here():
            return "here", (item.room, item.topic or None, item.members, item.encryption[0])
        case Gone():
            return "left", (item.room, item.now)
        case Past():
            return "history", (item.room, _messages(item.events))
        case Encrypted(room):
            return "encrypted", (room,)
        case Readable():
            return "readable", (item.room, _messages(item.events))
        case Found():
            return "found", (item.words, _messages(item.events))
        case Echoed(text):
            return "echo", (text,)
        case Rtt(seconds):
            return "ping", (round(seconds * 1000, 3),)
        case Shown(show):
            return "show", (show.name.lower(),)
    return _listed(item)


def _listed(item: object) -> _Row | None:
    """What a command listed."""
    match item:
        case Rooms():
            return "rooms", (_rows(item.rows, "room", "members", "topic", "joined"),)
        case Members():
            rows = [(user, online, rank.name.lower()) for user, online, rank in item.rows]
            return "members", (item.room, _rows(rows, "user", "online", "rank"))
        case People():
            return "people", ([_person(item, user) for user in sorted(item.people)],)
        case Unread():
            return "unread", (_rows(item.rows, "room", "unread", "mentions"),)
        case Receipts():
            return "receipts", (item.room, _rows(item.rows, "user", "delivered", "read", "at"), item.count)
        case Trace():
            steps = [(each.what, each.at, each.whose, each.connection or None, *_rest(each)) for each in item.steps]
            names = ("step", "at", "clock", "connection", "stream", "by", "count", "note")
            whose = (item.room, item.seq, item.cid.hex(), item.sender, item.own, item.sent)
            return "trace", (*whose, _rows(steps, *names))
        case Devices():
            devices = [(session, device.hex(), *rest) for session, device, *rest in item.rows]
            sessions = _rows(devices, "session", "device", "name", "address", "since", "own")
            return "sessions", (sessions, _keyed(item.keyed) or None)
        case Status():
            where = (item.user, item.place, item.version, item.session)
            return "status", (*where, None if item.rtt is None else round(item.rtt * 1000, 3), item.outbox)
        case Help():
            return "help", ([_command(each) for each in item.commands],)
    return _of_keys(item)


def _of_keys(item: object) -> _Row | None:
    """What a command told of keys; what a picture shows is in its digits."""
    match item:
        case Keyed():
            identity = None if item.identity is None else item.identity.hex()
            return "keys", (item.user, item.trust, identity, _keyed(item.devices))
        case Numbers():
            return "numbers", (item.user, item.digits)
        case Approvals():
            return "approvals", (_rows([(mark.hex(), name) for mark, name in item.rows], "fingerprint", "name"),)
        case Recovery(code):
            return "recovery", (code,)
    return None


def _rest(step: Step) -> tuple[Any, ...]:
    stream = "control" if step.connection and step.stream is None else step.stream
    return stream, step.by, step.count, step.note


def _keyed(rows: Iterable[Device]) -> list[dict[str, Any]]:
    named = [(mark.hex(), name, what, flaw or None) for mark, name, what, flaw in rows]
    return _rows(named, "fingerprint", "name", "state", "flaw")


def _carried(item: object) -> _Row | None:
    """What there is of files, and what became of them."""
    match item:
        case Files():
            rows = [_listing(each) for each in item.rows]
            names = ("name", "size", "modified", "media_type", "file", "standing", "from", "seq")
            return "files", (item.room, _rows(rows, *names))
        case Freight():
            return "transfer", _freight(item)
        case Transfers():
            return "transfers", (_rows(map(_freight, item.rows), *_TRANSFER),)
        case Unpacked():
            return "unpacked", (item.name, item.path, item.files, item.left_out, item.reason or None)
        case Unfinished(rows) if rows:
            return "unfinished", (_rows(rows, "name", "size", "done"),)
    return None


def _listing(item: Listed) -> tuple[Any, ...]:
    file = item.file.hex() if item.file else None
    facts = (item.name, item.size, item.modified, item.media_type, file)
    return (*facts, item.standing.name.lower(), item.sender or None, item.seq)


def _freight(item: Freight) -> tuple[Any, ...]:
    which = (item.number, item.name, item.direction, item.mode, item.state, item.room)
    rates = {mode: round(rate) for mode, rate in item.rates.items()}
    eta = None if item.eta is None else round(item.eta, 1)
    how_far = (item.size, item.done, item.resumed, round(item.rate), eta, rates)
    return (
        *which,
        *how_far,
        *(item.pieces, item.missing, item.lost, round(item.seconds, 3), item.path, item.reason or None),
    )


def _rows(rows: Iterable[Sequence[Any]], *names: str) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _messages(events: Iterable[Heard]) -> list[dict[str, Any]]:
    return _rows((_message(each) for each in events if each.message.kind is not Kind.KEY), *_MESSAGE)


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
        case Choice():
            return "error", ("USAGE", item.question, item.yes.line)
        case Lost():
            return "lost", (item.code, item.reason, item.retry)
        case Line():
            return "line", (item.state, item.retry_in, item.reason, item.early)
        case Reset(room):
            return "reset", (room,)
        case Waiting():
            return "waiting", (item.place, item.reason)
        case Unsent(count, kept):
            return "unsent", (count, kept)
        case Note(text):
            return "notice", (text, None, 1)
        case Notice():
            return "notice", (item.line, item.room, item.count)
        case NotResponding():
            return "gone", ()
        case Hints():
            return "hints", ()
    return None


def _message(heard: Heard) -> tuple[Any, ...]:
    message = heard.message
    where = (message.room, message.epoch, message.seq, message.cid.hex())
    what = (message.sender, message.kind.name.lower(), message.text if not is_unread(message) else None)
    about = (message.topic, message.reply, message.refs, message.mentions, message.expires, message.by)
    rank = None if message.rank is None else message.rank.name.lower()
    files = [(file.hex(), *rest) for file, *rest in message.attachments or ()]
    attached = _rows(files, "file", "size", "media_type", "name", "modified") or None
    seal = seal_of(message)
    told = (rank, attached, None if seal is None else seal.name.lower(), message.policy)
    return (*where, *what, message.sent, message.ts, heard.received, *about, *told)


def _command(each: Command) -> dict[str, Any]:
    rank = None if each.rank is None else each.rank.name.lower()
    what = {"usage": each.usage, "about": each.about, "name": each.name, "group": each.group, "rank": rank}
    return {**what, "words": each.words("default"), "since": each.since}


def _person(item: People, user: str) -> dict[str, Any]:
    person = item.people[user]
    return {"user": user, "online": person.show.name != "OFFLINE", "address": person.address}
