"""What happened, as lines of text: messages and results on one stream, notices on the other. (spec 12-operation)"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

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
    Menu,
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
from quicchat.ui.styles import STYLES
from quicchat.ui.visible import visible
from quicchat.ui.words import Asks, Command, Style, Unclear
from quicchat.wire.chapters.messages import Kind, Message, Recipient
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show
from quicchat.wire.chapters.session import Bye, Goaway
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Room, User, parties

_SPEECH: Final = {Kind.TEXT: "text", Kind.CODE: "text", Kind.EMOTE: "emote"}
_SHOWS: Final = {Show.OFFLINE: "offline", Show.ONLINE: "online", Show.AWAY: "away", Show.BUSY: "busy"}
#: Stands for a time that nobody told, or that no calendar has.
_NO_TIME: Final = "-"


class Paper(Protocol):
    """Where lines go; they hold no control characters."""

    def show(self, line: str) -> None:
        """A message, or what a command brought."""

    def note(self, line: str) -> None:
        """Anything else."""


class Text:
    """Tells everything in the words of a style. `times` is a strftime format."""

    def __init__(self, paper: Paper, style: Style, times: str) -> None:
        self._paper = paper
        self._style = style
        self._templates = STYLES[style]
        self._times = times

    def tell(self, item: object, state: State) -> None:
        """Print what there is to say about an event or an outcome; `state` is what the client knows now."""
        match item:
            case Heard():
                self._heard(item)
            case Presence() | PresenceSnapshot() | Bye() | Goaway():
                self._happened(item, state)
            case Sent():
                self._sent(item)
            case Entered() | Lost() | Waiting() | Unsent() | Denied() | Unclear() | Asks() | Note() | Menu():
                self._noted(item)
            case _:
                self._result(item)

    # What others did

    def _heard(self, heard: Heard) -> None:
        message = heard.message
        values = self._values(message)
        match message.kind:
            case Kind.JOIN:
                self._note("joined", **values)
            case Kind.LEAVE:
                self._note("left", **values)
            case _ if not heard.own:
                name = f"{_SPEECH.get(message.kind, 'notice')}.{_place(message.room)}"
                name = name if name in self._templates else f"text.{_place(message.room)}"
                self._paper.show(self._templates[name].format_map(values))

    def _happened(self, event: Presence | PresenceSnapshot | Bye | Goaway, state: State) -> None:
        match event:
            case Presence(show=Show.OFFLINE):
                self._note("went", user=event.user, reason=event.reason or "offline")
            case Presence():
                show = _SHOWS[event.show] + (f" ({event.status})" if event.status else "")
                self._note("came", user=event.user, show=show)
            case PresenceSnapshot():
                self._note("present", users=", ".join(user for user, online, _ in event.users if online))
            case Bye() | Goaway():
                self._note("note", text=f"the server says: {event.reason or 'goodbye'}")
        if isinstance(event, Presence | PresenceSnapshot) and self._templates["table"]:
            self._note("table")
            for line in _people(state):
                self._paper.note(line)

    # What we did

    def _sent(self, sent: Sent) -> None:
        posted = sent.posted
        name = _place(posted.room)
        if sent.user is not None and posted.recipient is Recipient.OFFLINE:
            name = "offline"
        name = f"stored.{'room' if name == 'general' else name}"
        self._note(name, user=sent.user or posted.room, stored=self._time(posted.ts))

    def _result(self, item: object) -> None:
        match item:
            case Here():
                self._note("here.topic" if item.topic else "here", room=item.room, topic=item.topic)
            case Gone():
                self._note("gone", room=item.room, now=item.now)
            case Shown(show):
                name = "shown.offline" if show is Show.OFFLINE and "shown.offline" in self._templates else "shown"
                self._note(name, show=_SHOWS[show], Show=_SHOWS[show].capitalize())
            case Echoed(text):
                self._print("echo", text=text)
            case Rtt(seconds):
                self._print("ping", ms=f"{seconds * 1000:.1f}")
            case Rooms():
                self._lines(_room(row, item.here) for row in item.rows)
            case Members():
                self._lines(f"{user}{'' if online else ' (offline)'}" for user, online in item.rows)
            case People():
                self._lines(_people(item))
            case Past():
                self._lines(self._past(each) for each in item.events)
            case Help():
                self._lines(_explained(each, item.style) for each in item.commands)

    def _past(self, heard: Heard) -> str:
        message = heard.message
        values = self._values(message) | {"text": visible(message.text or f"({message.kind.name.lower()})")}
        times = {"sent": message.sent, "stored": message.ts, "received": heard.received}
        values |= {name: self._time(at) for name, at in times.items()}
        return self._templates["past"].format_map(values)

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
            case Unsent(count):
                self._note("unsent", count=f"{count} line{'' if count == 1 else 's'}")
            case Denied():
                self._note("denied", text=item.text)
            case Unclear(text):
                self._note("unclear", text=text)
            case Asks():
                self._note("asks", text=item.question)
            case Menu():
                self._note("menu", text=", ".join(_plain_words(item)))
            case Note(text):
                self._note("note", text=text)

    # The ways to print

    def _note(self, name: str, **values: str) -> None:
        if template := self._templates[name]:
            self._paper.note(template.format_map({key: visible(value) for key, value in values.items()}))

    def _print(self, name: str, **values: str) -> None:
        self._paper.show(self._templates[name].format_map({key: visible(value) for key, value in values.items()}))

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._paper.show(visible(line))

    def _values(self, message: Message) -> dict[str, str]:
        both = parties(Room(message.room)) or frozenset()
        others = sorted(both - {User(message.sender)})
        values = {
            "room": message.room,
            "seq": str(message.seq),
            "user": message.sender,
            "peer": others[0] if others else message.sender,
            "text": message.text or "",
            "time": self._time(message.ts),
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


def _place(room: str) -> str:
    match room:
        case _ if room == GENERAL:
            return "general"
        case _ if room == ANNOUNCEMENTS:
            return "broadcast"
        case _:
            return "direct" if room.startswith("@") else "room"


def _room(row: tuple[str, int, str, bool], here: str) -> str:
    room, members, topic, joined = row
    mark = "*" if room == here else "+" if joined else " "
    return f"{mark} {room} ({members}){f'  {topic}' if topic else ''}"


def _people(known: State | People) -> list[str]:
    lines = []
    for user, person in sorted(known.people.items()):
        status = f" ({person.status})" if person.status else ""
        address = f" {person.address}" if person.address else ""
        lines.append(visible(f"{user} {_SHOWS[person.show]}{status}{address}"))
    return lines


def _plain_words(menu: Menu) -> Iterator[str]:
    for each in menu.commands:
        needed = f" {each.arguments}" if each.arguments.startswith("<") else ""
        yield from (f"{word}{needed}" for word in each.classic)


def _explained(command: Command, style: str) -> str:
    words = {"classic": command.classic, "mystic": tuple(f"mystic {word}" for word in command.mystic)}
    others = [*(f"/{word}" for word in command.aliases), *words.get(style, ())]
    return f"{command.usage:<24} {command.about}" + (f" (also {', '.join(others)})" if others else "")
