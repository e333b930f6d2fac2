"""What the tests of both renderers share: one of everything that there is to tell, and texts that harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from quicchat.client.events import KeyNews, Line, Progress, Reset, Unsealed
from quicchat.client.events import Sent as Reach
from quicchat.client.files.api import Listed
from quicchat.client.seal import Seal, opened
from quicchat.client.state import Person, State
from quicchat.client.traces import Step, Trace
from quicchat.errors import Code
from quicchat.ui.commands import COMMANDS
from quicchat.ui.identities import Approvals, Device, Keyed, Numbers, Recovery
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
    Late,
    Lost,
    Members,
    Menu,
    Note,
    NotResponding,
    Past,
    People,
    Quit,
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
from quicchat.ui.render import Text
from quicchat.ui.seals import seen
from quicchat.ui.styles import STYLES
from quicchat.ui.words import Asks, Call, Choice, Style, Unclear
from quicchat.wire.chapters.files import Standing
from quicchat.wire.chapters.messages import Kind, Message, Posted, ReceiptEvent, Recipient
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show, Tick, Typing
from quicchat.wire.chapters.rooms import ENCRYPTED, Invite, Rank, RoomState
from quicchat.wire.chapters.session import Bye, Goaway
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL

#: 2027-01-14 11:04:20 UTC, in ms.
STORED = 1_799_924_660_000
STATE = State(user="alice", people={"bob": Person(show=Show.ONLINE), "x": Person(show=Show.OFFLINE)})
CALL = Call(COMMANDS[1], {"text": "hi"}, b"c" * 16, "hi")


@dataclass
class Sheet:
    """Keeps what is printed."""

    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)

    def show(self, line: str) -> None:
        self.out.append(line)

    def note(self, line: str) -> None:
        self.err.append(line)

    def picture(self, rows: Sequence[str]) -> None:
        self.drawn += rows


def message(text: str = "hi", room: str = GENERAL, sender: str = "bob", **facts: Any) -> Message:
    usual: dict[str, Any] = {"epoch": 1, "seq": 5, "cid": b"\x01" * 16, "kind": Kind.TEXT, "ts": STORED}
    return Message(room=room, sender=sender, text=text, **(usual | facts))


def sealed(text: str = "hi", seal: Seal = Seal.PINNED, *args: Any, **facts: Any) -> Heard:
    """A message of an encrypted conversation, as the faces get it."""
    return Heard(seen(opened(message(text, *args, **facts), seal)), STORED + 2000)


def heard(*args: Any, own: bool = False, late: bool = False, **facts: Any) -> Heard:
    return Heard(message(*args, **facts), STORED + 2000, own, late)


#: A direct message that came as far as it can.
PROGRESS = [Progress(b"c" * 16, "@alice,bob", 9, state, by="bob", at=STORED) for state in (Reach.DELIVERED, Reach.READ)]


def told(item: object, style: Style = "default", times: str = "%H:%M:%S") -> tuple[list[str], list[str]]:
    """What goes to standard output, and to standard error."""
    sheet = Sheet()
    Text(sheet, style, times).tell(item, STATE)
    return sheet.out, sheet.err


def shown(item: object, style: Style = "default") -> list[str]:
    out, err = told(item, style)
    assert err == []
    return out


def noted(item: object, style: Style = "default") -> list[str]:
    out, err = told(item, style)
    assert out == []
    return err


#: What people are told of a file on its way.
STEPS = [name.removeprefix("file.") for name in STYLES["default"] if name.startswith("file.")]
STEPS = [step for step in STEPS if step not in ("general", "room", "direct", "broadcast")]
STEPS = [step for step in STEPS if not step.startswith(("un", "packed"))]


def listed(name: str = "notes.pdf", **facts: Any) -> Listed:
    usual = {"size": 1_234_567, "modified": STORED, "media_type": "application/pdf", "file": b"f" * 32}
    return Listed(name=name, **{**usual, "standing": Standing.COMING, "sender": "bob", "seq": 5, **facts})


def freight(name: str = "notes.pdf", **facts: Any) -> Freight:
    """A file whose way is half behind it, in both modes."""
    usual: dict[str, Any] = {"number": 3, "direction": "down", "mode": "fast", "state": "transferring"}
    usual |= {"size": 2_000_000, "done": 1_000_000, "resumed": 200_000, "rate": 250_000.0, "eta": 4.0, "seconds": 4.0}
    usual |= {"pieces": 1954, "missing": 12, "lost": 20, "rates": {"fast": 500_000.0, "reliable": 90_000.0}}
    return Freight(name=name, **{**usual, "path": f"/home/{name}", "reason": name, **facts})


def posted(room: str = GENERAL, **facts: Any) -> Posted:
    return Posted(room=room, cid=b"c" * 16, seq=9, ts=STORED, epoch=1, **facts)


_TRUSTS = ("own", "verified", "first_use", "changed", "blocked")


def _keyed(text: str) -> list[Device]:
    """A device of each kind."""
    return [(b"d" * 20, text, what, flaw) for what in _STATES for flaw in ("", text)] + [(b"e" * 20, "", "waits", "")]


_STATES = ("this", "outside", "listed", "unusable", "waits")


def everything(text: str) -> list[object]:
    """One of everything that there is to tell, all texts in it by somebody else."""
    return [*_happened(text), *_sent(text), *_brought(text), *_fared(text)]


def _happened(text: str) -> list[object]:
    """What others did."""
    rooms = (GENERAL, "r1", "@alice,bob", ANNOUNCEMENTS)
    return [
        *(heard(text, room, kind=kind, refs=(3,), reply=2, by="x") for room in rooms for kind in Kind),
        *(sealed(text, seal, room, kind=kind, refs=(3,)) for seal in Seal for room in rooms for kind in Kind),
        *(KeyNews(kind, "bob", text) for kind in ("pinned", "changed", "waiting")),
        Unsealed("r1", (5,)),
        Readable("r1", [sealed(text, seal, "r1") for seal in Seal]),
        heard(text, "r1", late=True),
        heard(text, "r1", kind=Kind.TOPIC, policy=ENCRYPTED),
        heard(text, own=True),
        heard("", "r1", kind=Kind.FILE, attachments=((b"f" * 32, 1_234_567, "image/jpeg", text, STORED),)),
        Late(),
        Presence(user="bob", show=Show.AWAY, status=text, address=text),
        Presence(user="bob", show=Show.OFFLINE, reason=text),
        PresenceSnapshot(users=(("bob", True, text),)),
        ReceiptEvent(room="r1", user="bob", delivered=3),
        Typing(room="r1", user="bob", counter=1, ttl=6000),
        Tick(user="bob", counter=1, ttl=6000),
        Invite(room="r1", user="bob"),
        RoomState(room="r1", topic=text, epoch=1, first=1, head=1),
        Bye(reason=text),
        Goaway(code=int(Code.DRAINING), reason=text),
    ]


def _sent(text: str) -> list[object]:
    """What became of what we said."""
    return [
        Sent(posted()),
        Sent(posted("r1")),
        Sent(posted("r1"), answers=(5, text)),
        Sent(posted(ANNOUNCEMENTS)),
        Sent(posted("@alice,bob", recipient=Recipient.ONLINE), "bob"),
        Sent(posted("@alice,bob", recipient=Recipient.ONLINE), "bob", sealed=True),
        Sent(posted("@alice,bob", recipient=Recipient.OFFLINE, dup=True), "bob"),
        *(Reached(each, "bob", STORED, offline=offline) for each in PROGRESS for offline in (True, False)),
        Reached(Progress(b"c" * 16, "r1", None, Reach.FAILED, reason=text)),
        Reached(Progress(b"c" * 16, "r1", None, Reach.QUEUED, reason=text), held=True),
    ]


def _brought(text: str) -> list[object]:
    """What commands brought."""
    return [
        Here("r1", text, 3),
        Here("r1"),
        *(Here(room, text, 3, (state, text)) for room in ("r1", "@alice,bob") for state in ("encrypted", "held")),
        *(Keyed("bob", trust, b"i" * 20, _keyed(text)) for trust in _TRUSTS),
        Keyed("bob", "unknown", None, ()),
        Numbers("alice", "bob", "12345 " * 12, ("\u2588\u2580", "\u2584 ")),
        Approvals([(b"d" * 20, text), (b"e" * 20, "")]),
        Recovery("1234 " * 9),
        Gone("r1", GENERAL),
        *(Encrypted(room) for room in ("r1", "@alice,bob")),
        Rooms([("r1", 2, text, True)], "r1"),
        Members("r1", [("bob", True, Rank.OWNER), ("x", False, Rank.MEMBER)]),
        People({"bob": Person(show=Show.BUSY, status=text, address=text)}),
        Past("r1", [heard(text), Heard(message(text), None)]),
        Found(text, [heard(text, "r1")]),
        Unread([("r1", 3, 1)]),
        Receipts("r1", [("bob", 3, 2, STORED)], 5),
        *(_trace(text, seq) for seq in (5, None)),
        Devices([(7, b"d" * 16, text, text, STORED, True), (0, b"e" * 16, "", "", STORED, False)]),
        Devices([(7, b"d" * 16, text, text, STORED, True)], _keyed(text)),
        Files("r1", [listed(text), listed(text, sender="", seq=0, file=None, modified=0)]),
        Transfers([freight(text, step="begins"), freight(text, step="begins", direction="up")]),
        Transfers([freight(text, step="listed")]),
        Status(user="alice", place=text, version=2, session=7, rtt=0.0123, outbox=2),
        Done("ban", {"user": "bob", "room": "r1"}),
        *(Done(name, {"seq": "5", "room": "r1"}, (5, text)) for name in ("edit", "retract", "react", "pin")),
        Echoed(text),
        Rtt(0.0123456),
        *(Shown(show) for show in Show),
        Help(COMMANDS, "default"),
        Help(COMMANDS, "mystic", single=True),
        Quit(text),
    ]


def _fared(text: str) -> list[object]:
    """What became of the connection, and of what was typed."""
    return [
        *(freight(text, step=step) for step in STEPS),
        freight(text),
        Unpacked(text, text, 3, 1),
        Unpacked(text, text, 0, 0, text),
        Unfinished([(text, 100, 94)]),
        Unfinished([]),
        Choice(text, CALL, CALL),
        Menu(COMMANDS),
        Hints(),
        Hints(keyed=True),
        NotResponding(),
        Denied(Code.FORBIDDEN, text, CALL),
        Unclear(text, text),
        Asks(CALL, "", text),
        Entered(user="alice", place="localhost:1", version=2, session=7, welcome=text),
        Entered(user="alice", place="localhost:1", version=2, session=7, again=True),
        Line("waiting", 2.5, text),
        Line("moved"),
        Reset("r1"),
        Lost("INTERNAL", text, True),
        Lost("INTERNAL", text, False),
        Waiting("localhost:1", text),
        Unsent(2),
        Unsent(2, 1),
        Note(text),
    ]


NASTY = {
    "clear screen": "\x1b[2J",
    "title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;bHM=\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "device control": "\x1bP$q\x1b\\",
    "enquiry": "\x05",
    "eight-bit CSI": "\x9b2J",
    "rxvt answer": "\x1bGQ",
    "carriage return": "hello\r[SERVER] you are banned",
    "backspace": "bob\x08\x08\x08[SERVER]",
    "new line": "hello\n[SERVER] you are banned",
    "vertical": "\x0b\x0c\x85\u2028\u2029",
    "null and delete": "\x00\x7f",
    "right to left": "\u202eetalumis\u202c \u2066x\u2069 \u200f\u200e\u061c",
    "zero width": "\u200b\ufeff\u2060\u00ad\u180e",
    "tags": "\U000e0041\U000e007f\U000e0001",
    "fillers": "\u3164\u115f\u1160\uffa0\u034f",
    "piles": "Z" + "\u0335\u0322\u0489" * 40,
}


def _trace(text: str, seq: int | None) -> Trace:
    steps = (
        Step("typed", STORED),
        Step("held", STORED, note=text),
        Step("sent", STORED, connection=2),
        Step("sent", STORED, connection=3, stream=4),
        Step("delivered", STORED, "server", by=text),
        Step("read", None, "server", count=3),
    )
    return Trace(room="r1", seq=seq, cid=b"c" * 16, sender=text, own=True, sent=2, steps=steps)
