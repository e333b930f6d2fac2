"""What happened, as lines of text: messages and results on one stream, notices on the other. (spec 12-operation)"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from quicchat.client import events
from quicchat.client.events import KeyNews, Line, Progress, Reset, Unsealed
from quicchat.client.state import State
from quicchat.ui import manifest, tables
from quicchat.ui.identities import Numbers
from quicchat.ui.outcomes import (
    Denied,
    Done,
    Echoed,
    Encrypted,
    Entered,
    Found,
    Freight,
    Gone,
    Heard,
    Here,
    Hints,
    Late,
    Lost,
    Menu,
    Note,
    NotResponding,
    Past,
    Reached,
    Readable,
    Rtt,
    Sent,
    Shown,
    Transfers,
    Unfinished,
    Unpacked,
    Unsent,
    Waiting,
)
from quicchat.ui.picking import place_of
from quicchat.ui.seals import encrypts, told, worded
from quicchat.ui.styles import HINTS, NOT_RESPONDING, STYLES
from quicchat.ui.tables import SHOWS
from quicchat.ui.visible import visible
from quicchat.ui.words import Asks, Choice, Style, Unclear
from quicchat.wire.chapters.messages import POSTABLE, SAID, Kind, Message, ReceiptEvent, Recipient
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show, Tick, Typing
from quicchat.wire.chapters.rooms import Invite, RoomState
from quicchat.wire.chapters.session import Bye, Goaway
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, PARROT, Room, User, parties

_SPEECH: Final = {Kind.TEXT: "text", Kind.EMOTE: "emote", Kind.CODE: "text", Kind.FILE: "text"}
#: Kinds that are about another message, or about the room, and the templates that tell them.
_ABOUT: Final = {Kind.EDIT: "edit", Kind.RETRACT: "retract", Kind.REACT: "react", Kind.PIN: "pin"}
_FACTS: Final = {Kind.TOPIC: "topic", Kind.ROLE: "fact"}
#: Stands for what somebody said and took back before it was fetched.
_TAKEN_BACK: Final = "(taken back)"
#: Stands for a time that nobody told, or that no calendar has.
_NO_TIME: Final = "-"


class Paper(Protocol):
    """Where lines go; they hold no control characters."""

    def show(self, line: str) -> None:
        """A message, or what a command brought."""

    def note(self, line: str) -> None:
        """Anything else."""

    def picture(self, rows: Sequence[str]) -> None:
        """Half blocks that are light on dark, where they can be drawn so; else nothing."""


class Text:
    """Tells everything in the words of a style. `times` is a strftime format."""

    def __init__(self, paper: Paper, style: Style, times: str) -> None:
        self._paper = paper
        self._style = style
        self._templates = STYLES[style]
        self._times = times
        self._user = ""

    def tell(self, item: object, state: State) -> None:
        """Print what there is to say about an event or an outcome; `state` is what the client knows now."""
        self._user = state.user
        match item:
            case Heard():
                self._heard(item)
            case Encrypted(room):
                self._note("encrypted", room=place_of(room, self._user))
            case Readable(_, events):
                for each in events:
                    self._opened(each)
            case Presence() | PresenceSnapshot() | Bye() | Goaway() | Invite() | Reset() | Late():
                self._happened(item, state)
            case Sent():
                self._sent(item)
            case Reached():
                self._reached(item)
            case Entered() | Lost() | Waiting() | Unsent() | Denied() | Unclear() | Asks() | Choice() | Note() | Menu():
                self._noted(item)
            case NotResponding() | Hints():
                for line in NOT_RESPONDING if isinstance(item, NotResponding) else HINTS[self._style]:
                    self._paper.note(line)
                if isinstance(item, Hints) and item.keyed:
                    self._note("hint.keys")
            case KeyNews():
                self._note(f"keys.{item.kind}" if f"keys.{item.kind}" in self._templates else "note", text=item.text)
            case Freight() | Transfers() | Unpacked() | Unfinished():
                self._carried(item)
            case Line(state="moved"):
                self._note("moved")
            case Line() | Progress() | Typing() | Tick() | ReceiptEvent() | RoomState() | Unsealed():
                """For scripts, or told by the front end in other words."""
            case _:
                self._result(item)

    # What others did

    def _heard(self, heard: Heard) -> None:
        message = heard.message
        values = self._values(message)
        match message.kind:
            case Kind.JOIN:
                self._note("joined", **values)
            case Kind.LEAVE if message.by is not None:
                self._note("put.out.why" if message.text else "put.out", **values)
            case Kind.LEAVE:
                self._note("left", **values)
            case Kind.TOPIC if encrypts(message):
                self._note("secured", **values)
            case Kind.TOPIC | Kind.ROLE:
                self._note(_FACTS[message.kind], **values)
            case Kind.KEY:
                """Keys of sessions are for programs."""
            case _ if not heard.own:
                self._said(heard, values)

    def _said(self, heard: Heard, values: dict[str, str]) -> None:
        message = heard.message
        if (about := _ABOUT.get(message.kind)) is not None and message.refs:
            self._paper.show(self._templates[about].format_map(values))
            return
        place = _place(message.room)
        if message.kind is Kind.FILE and message.attachments:
            self._paper.show(self._templates[f"file.{place}"].format_map(values))
            return
        late = f"late.{place}"
        name = late if heard.late and late in self._templates else f"{_SPEECH.get(message.kind, 'notice')}.{place}"
        template = self._templates.get(name) or self._templates[f"text.{place}"]
        if message.kind is Kind.EMOTE and name == late:
            values = values | {"text": f"* {values['text']}"}
        if message.kind is not Kind.CODE:
            self._paper.show(template.format_map(values))
            return
        # Each line behind a mark of its own, so that none of them can pass for another's words.
        self._paper.show(template.format_map(values | {"text": told(message)}).rstrip())
        for line in (message.text or "").split("\n"):
            self._paper.show(self._templates["code.line"].format(text=visible(line)))

    def _opened(self, heard: Heard) -> None:
        """What was told here without its words has them now; of when it was said not every style tells."""
        if heard.received is None or heard.own or heard.message.kind not in POSTABLE:
            return
        message = heard.message
        values = self._values(message)
        template = self._templates.get(f"text.{_place(message.room)}", "")
        if "{time}" not in template:
            values["text"] = f"({values['time']}) {values['text']}"
        self._said(replace(heard, late=False), values)

    def _happened(self, event: object, state: State) -> None:
        match event:
            case Presence(show=Show.OFFLINE):
                self._note("went", user=event.user, reason=event.reason or "offline")
            case Presence():
                show = SHOWS[event.show] + (f" ({event.status})" if event.status else "")
                self._note("came", user=event.user, show=show)
            case PresenceSnapshot():
                self._note("present", users=", ".join(user for user, online, _ in event.users if online))
            case Bye() | Goaway():
                self._note("note", text=f"the server says: {event.reason or 'goodbye'}")
            case Invite():
                self._note("invited", user=event.user, room=event.room)
            case Reset():
                self._note("reset", room=event.room)
            case Late():
                self._note("late")
        if isinstance(event, Presence | PresenceSnapshot) and self._templates["table"]:
            self._note("table")
            clients = {user: person for user, person in state.people.items() if user != PARROT}
            for line in tables.people(clients):
                self._paper.note(visible(line))

    # What we did

    def _sent(self, sent: Sent) -> None:
        posted = sent.posted
        name = _place(posted.room)
        if sent.user is not None and posted.recipient is Recipient.OFFLINE:
            name = "offline"
        elif name == "direct" and sent.sealed:
            name = "sealed"
        name = f"stored.{'room' if name == 'general' else name}"
        self._note(name, user=sent.user or posted.room, stored=self._time(posted.ts))
        if sent.answers is not None:
            self._note("answers", seq=str(sent.answers[0]), sender=sent.answers[1])

    def _reached(self, item: Reached) -> None:
        """How far a direct message has come; of a room's it would be a line for each member."""
        progress = item.progress
        if item.held:
            self._note("held", room=place_of(progress.room, self._user), reason=progress.reason or "")
        elif progress.state is events.Sent.FAILED and not item.waited:
            self._note("failed", room=progress.room, reason=progress.reason or "refused")
        elif item.user is not None:
            name = "reached.offline" if item.offline else "reached"
            self._note(name, user=item.user, stored=self._time(item.stored))

    def _result(self, item: object) -> None:
        match item:
            case Here(room=room) if room.startswith("@"):
                self._note("here.direct", user=place_of(room, self._user).removeprefix("@"))
                self._kept(item)
            case Here():
                self._note("here.topic" if item.topic else "here", room=item.room, topic=item.topic)
                self._kept(item)
            case Gone():
                self._note("gone", room=item.room, now=item.now)
            case Shown(show):
                self._note("shown", show=SHOWS[show])
            case Done(chosen=(_, sender)):
                self._note(f"done.{item.command}.last", **item.facts, sender=sender)
            case Done():
                self._note(f"done.{item.command}", **item.facts)
            case Echoed(text):
                self._print("echo", text=text)
            case Rtt(seconds):
                self._print("ping", ms=f"{seconds * 1000:.1f}")
            case Past():
                self._lines(self._past(each) for each in item.events)
            case Found():
                self._lines(self._templates["found"].format_map(self._values(each.message)) for each in item.events)
            case _:
                self._listed(item)

    def _kept(self, here: Here) -> None:
        """What protects what is said there, where that is more than the connection."""
        state, why = here.encryption
        if state != "plain":
            self._note(f"here.{state}", room=place_of(here.room, self._user), reason=why)

    def _listed(self, item: object) -> None:
        lines = tables.listed(item, self._time, self._times)
        if lines is not None:
            self._lines(lines)
        if isinstance(item, Numbers):
            self._paper.picture(item.picture)

    def _past(self, heard: Heard) -> str:
        message = heard.message
        values = self._values(message) | {"text": visible(_past(message))}
        times = {"sent": message.sent, "stored": message.ts, "received": heard.received}
        values |= {name: self._time(at) for name, at in times.items()}
        return self._templates["past"].format_map(values)

    # Files

    def _carried(self, item: object) -> None:
        """What became of files; of most steps only scripts want to know."""
        match item:
            case Freight(step=step) if step:
                self._note(f"file.{step}", **manifest.facts(item))
            case Transfers(rows) if all(each.step == "listed" for each in rows):
                self._lines(tables.transfers(item))
            case Transfers(rows):
                for each in rows:
                    self._carried(replace(each, step=f"begins.{each.direction}"))
            case Unpacked():
                self._note("file.unpacked" if not item.reason else "file.packed", **manifest.unpacked(item))
            case Unfinished(rows) if rows:
                self._note("file.unfinished", files=manifest.unfinished(item))

    # What became of the connection, and of what was typed

    def _noted(self, item: object) -> None:
        match item:
            case Entered():
                values = {"user": item.user, "place": item.place, "version": str(item.version)}
                self._note("again" if item.again else "entered", **values)
                for line in (item.welcome or "").splitlines() if not item.again else ():
                    self._note("note", text=line)
            case Lost():
                reason = item.reason or item.code
                self._note("lost" if item.retry else "lost.for.good", reason=reason)
            case Waiting():
                self._note("waiting", place=item.place, reason=item.reason)
            case Unsent(count, kept):
                self._note("unsent.kept" if kept else "unsent", count=f"{count} line{'' if count == 1 else 's'}")
            case Denied():
                # Several lines may be on their way; in the other styles the words are given.
                is_named = self._style == "default" and item.call.command.name != "say"
                self._note("denied", what=f"/{item.call.command.name} " if is_named else "", text=item.text)
            case Unclear(text):
                self._note("unclear", text=text)
            case Asks() | Choice():
                self._note("asks", text=item.question)
            case Menu():
                self._note("menu", text=", ".join(tables.plain_words(item)))
            case Note(text):
                self._note("note", text=text)

    # The ways to print

    def _note(self, name: str, /, **values: str) -> None:
        if template := self._templates[name]:
            self._paper.note(template.format_map({key: visible(value) for key, value in values.items()}))

    def _print(self, name: str, /, **values: str) -> None:
        self._paper.show(self._templates[name].format_map({key: visible(value) for key, value in values.items()}))

    def _lines(self, lines: Iterable[str]) -> None:
        found = [visible(line) for line in lines]
        for line in found:
            self._paper.show(line)
        if not found:
            self._note("nothing")

    def _values(self, message: Message) -> dict[str, str]:
        both = parties(Room(message.room)) or frozenset()
        others = sorted(both - {User(message.sender)})
        values = {
            "room": message.room,
            "seq": str(message.seq),
            "user": message.sender,
            "peer": others[0] if others else message.sender,
            "text": worded(message) or (_TAKEN_BACK if message.kind in POSTABLE - {Kind.RETRACT} else ""),
            "time": self._time(message.ts),
            "by": message.by or "",
            "ref": str(message.refs[0]) if message.refs else "?",
            "re": self._templates["re"].format(ref=message.reply) if message.reply is not None else "",
            "files": " ".join(filter(None, (told(message), manifest.attached(message)))),
            "get": manifest.how_to_get(message, self._user),
        }
        return {name: visible(value) for name, value in values.items()}

    def _time(self, at: int | None) -> str:
        """Local time of Unix ms; the server may have told any number."""
        if at is None:
            return _NO_TIME
        try:
            return visible(time.strftime(self._times, time.localtime(at / 1000)))
        except (OverflowError, ValueError, OSError):
            return _NO_TIME


def _past(message: Message) -> str:
    """An event in a list of those of a log: what it is about, where it is about another, and its text."""
    about = f"({message.kind.name.lower()} of #{message.refs[0]})" if message.refs else ""
    said = worded(message) or (_TAKEN_BACK if message.kind in SAID else "")
    return " ".join(filter(None, (about, said))) or f"({message.kind.name.lower()})"


def _place(room: str) -> str:
    match room:
        case _ if room == GENERAL:
            return "general"
        case _ if room == ANNOUNCEMENTS:
            return "broadcast"
        case _:
            return "direct" if room.startswith("@") else "room"
