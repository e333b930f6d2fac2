"""What is worth a signal to somebody who looks elsewhere, and in what words: pure decisions. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from quicchat.client.state import State
from quicchat.ui.manifest import attached
from quicchat.ui.outcomes import Heard
from quicchat.ui.seals import worded
from quicchat.ui.slots import LEVELS, Level
from quicchat.ui.visible import cut
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import SAID, Kind, Message
from quicchat.wire.chapters.rooms import Invite
from quicchat.wire.names import ANNOUNCEMENTS

#: Preferences: of one room by its name behind this, and until when (Unix ms, or ON) nothing is announced.
NOTIFY: Final = "notify:"
DND: Final = "dnd"
ON: Final = "on"

#: Seconds between two signals.
EVERY: Final = 1.0
#: Seconds in which more of what was said while we were away may come, and for how long at most it is waited for.
_QUIET, _LONGEST = 1.0, 5.0
#: Letters of a signal: more is not read.
_TITLE, _TEXT = 80, 200


@dataclass(frozen=True, slots=True)
class Notice:
    """A signal in words that harm nothing; `count` things are in it, the newest one is told. `room` is its."""

    title: str
    text: str
    room: str | None = None
    count: int = 1

    @property
    def line(self) -> str:
        """All of it."""
        return f"{self.title}: {self.text}" if self.text else self.title


def level(room: str, preferences: Mapping[str, str], usual: Level) -> Level:
    """What of a room is announced: what its user chose, else all of what is said to him or to everybody."""
    chosen = preferences.get(NOTIFY + room)
    for each in LEVELS:
        if each == chosen:
            return each
    return "all" if room[:1] in ("@", ANNOUNCEMENTS) else usual


def silent_until(preferences: Mapping[str, str], now: int) -> str | None:
    """ON or until when (Unix ms) the user wants not to be disturbed; None where he may be."""
    until = preferences.get(DND, "")
    if until == ON or (until.isascii() and until.isdigit() and len(until) < 17 and int(until) > now):
        return until
    return None


def waiting(state: State, preferences: Mapping[str, str], usual: Level) -> int:
    """How many messages wait that their rooms' levels let through."""
    counts = {"all": "unread", "mentions": "mentions"}
    found = 0
    for room, view in state.rooms.items():
        which = counts.get(level(room, preferences, usual))
        found += (getattr(view, which) or 0) if which is not None else 0
    return found


def is_for(message: Message, user: str) -> bool:
    """Whether it is said to this user, of all who hear it."""
    return message.room.startswith("@") or user in (message.mentions or ())


def announced(item: object, state: State, preferences: Mapping[str, str], usual: Level) -> Notice | None:
    """What is to be told of an event or outcome of others; None where it is worth no signal."""
    match item:
        case Invite(room=room, user=user):
            return _notice(user, f"invites you to {room}", room)
        case Heard(message=message) if message.kind is Kind.LEAVE and message.by and message.sender == state.user:
            why = f": {message.text}" if message.text else ""
            return _notice(message.room, f"{message.by} put you out{why}", message.room)
        case Heard(message=message) if said(item, state):
            wanted = level(message.room, preferences, usual)
            if wanted == "all" or (wanted == "mentions" and is_for(message, state.user)):
                return _notice(_whence(message), _words(message), message.room)
    return None


def said(heard: Heard, state: State) -> bool:
    """Whether somebody else said it."""
    message = heard.message
    return message.kind in SAID and not heard.own and message.sender != state.user


class Notices:
    """Signals, one a second at most; what comes meanwhile is counted in the next one. `now` is in seconds.

    What was said while we were away is only summed up. Inputs: `add`, `missed`. Drain: `take`, once it is `due`.
    """

    def __init__(self) -> None:
        self._notice: Notice | None = None
        self._count = 0
        self._missed = self._ours = 0
        self._is_wanted = False
        self._first = self._last = 0.0
        self._free = 0.0

    def add(self, notice: Notice) -> None:
        """Something to announce."""
        self._notice = notice
        self._count += 1

    def missed(self, *, ours: bool, wanted: bool, now: float) -> None:
        """Said while we were away, to us where it is `ours`; only what is `wanted` is worth a signal."""
        self._first = self._first if self._missed else now
        self._last = now
        self._missed += 1
        self._ours += ours
        self._is_wanted |= wanted

    @property
    def due(self) -> float | None:
        """When there is something to take."""
        if self._notice is not None:
            return self._free
        if not self._missed:
            return None
        return max(self._free, min(self._last + _QUIET, self._first + _LONGEST))

    def take(self, now: float) -> Notice | None:
        """What is to be announced now."""
        if self.due is None or now < self.due:
            return None
        found = self._newest() if self._notice is not None else self._summed()
        if found is not None:
            self._free = now + EVERY
        return found

    def drop(self) -> None:
        """Nobody wants to hear of what waits."""
        self._notice, self._count = None, 0
        self._missed = self._ours = 0
        self._is_wanted = False

    def _newest(self) -> Notice | None:
        notice, count = self._notice, self._count
        self._notice, self._count = None, 0
        if notice is None or count == 1:
            return notice
        return replace(notice, text=f"{notice.text} (and {count - 1} more)", count=count)

    def _summed(self) -> Notice | None:
        missed, ours, wanted = self._missed, self._ours, self._is_wanted
        self.drop()
        if not wanted:
            return None
        text = f"{missed} message{'' if missed == 1 else 's'} while you were away"
        return Notice("quicchat", f"{text}, {ours} for you" if ours else text, count=missed)


def _notice(title: str, text: str, room: str) -> Notice:
    return Notice(cut(title, _TITLE), cut(text, _TEXT), room)


def _whence(message: Message) -> str:
    if message.room.startswith("@"):
        return message.sender
    return f"{message.sender} to everybody" if message.room == ANNOUNCEMENTS else f"{message.sender} in {message.room}"


def _words(message: Message) -> str:
    text = worded(message)
    if message.kind is Kind.FILE and message.attachments:
        return f"sends {attached(message)}"
    return f"* {message.sender} {text}" if message.kind is Kind.EMOTE else text
