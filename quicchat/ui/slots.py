"""What may stand in a slot of a command, checked as the protocol wants it. (spec 12-operation)"""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from quicchat.values import dataclass
from quicchat.wire.chapters.messages import LONGEST, Window
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import ROOM_NAME_PATTERN, USER_PATTERN

#: What is announced of a room.
Level = Literal["all", "mentions", "none"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)

#: Longest text of a message, in UTF-8 bytes (protocol §7.11).
TEXT_BYTES: Final = LONGEST
#: Longest line that is shown beside something: a topic, a reason, a status.
_LINE_BYTES: Final = 256
_ONE_LINE: Final = frozenset({"topic", "reason", "status", "words", "emoji", "device"})
#: Most events that /history shows at once.
MOST: Final = 200

_USER: Final = re.compile(USER_PATTERN)
_ROOM: Final = re.compile(ROOM_NAME_PATTERN)
_SEQ: Final = re.compile(r"#?([1-9][0-9]{0,15})")
_WINDOWS: Final = {"before": Window.BEFORE, "after": Window.AFTER, "around": Window.AROUND}
#: What the ranks of a room are called.
RANKS: Final = {rank.name.lower(): rank for rank in Rank}
#: Digits of a safety number; what is typed instead of them by somebody who compared them with his eyes.
DIGITS: Final = 60
YES: Final = "yes"


def checked(name: str, value: str) -> str:
    """An argument as the protocol wants it. Raises ValueError, which says what is wrong."""
    match name:
        case "user":
            return user_name(value)
        case "room":
            return room_name(value)
        case "seq":
            return str(place_of(value))
        case "past":
            Span.of(value)
        case "rank" if value.lower() not in RANKS:
            raise ValueError(f"{value!r} is no rank; those are {', '.join(RANKS)}")
        case "text" if (size := len(value.encode())) > TEXT_BYTES:
            raise ValueError(f"a message has at most {TEXT_BYTES} bytes, this one has {size}")
        case _ if name in _ONE_LINE and (size := len(value.encode())) > _LINE_BYTES:
            raise ValueError(f"the {name} has at most {_LINE_BYTES} bytes, this one has {size}")
        case "digits":
            return safety_digits(value)
        case "session" if not (value.isascii() and value.isdigit() and 0 < int(value) < 2**53):
            raise ValueError(f"{value!r} is no session; /sessions lists them")
        case "number" if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise ValueError(f"{value!r} is no number of a transfer; /transfers lists them")
        case "level" if value.lower() not in LEVELS:
            raise ValueError(f"{value!r} is no level; those are {', '.join(LEVELS)}")
        case "onoff" if value.lower() not in ("on", "off"):
            raise ValueError(f"{value!r} is neither on nor off")
    return value


def safety_digits(value: str) -> str:
    """A safety number however it is grouped, or the word of somebody who compared it. Raises ValueError."""
    found = "".join(each for each in value if not each.isspace() and each not in "-.")
    if found.lower() == YES:
        return YES
    if not (found.isascii() and found.isdigit() and len(found) == DIGITS):
        raise ValueError(f"a safety number has {DIGITS} digits; type them all, or {YES} once you have compared them")
    return found


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a log /history shows; `where` is a room, `@user`, `*`, or None for here."""

    where: str | None = None
    count: int | None = None
    window: Window = Window.LATEST
    anchor: int | None = None

    @classmethod
    def of(cls, typed: str) -> Span:
        """`[where] [count] [before|after|around #place]`. Raises ValueError."""
        words = typed.split()
        window, anchor, count = Window.LATEST, None, None
        if len(words) > 1 and words[-2].lower() in _WINDOWS:
            window, anchor = _WINDOWS[words[-2].lower()], place_of(words[-1])
            del words[-2:]
        # What has digits only, and stands last, is how many.
        if words and words[-1].isascii() and words[-1].isdigit():
            count = _count(words.pop())
        where = _where(words.pop(0)) if words else None
        if words:
            raise ValueError(f"{words[0]!r} is too much")
        return cls(where, count, window, anchor)


def _count(value: str) -> int:
    if len(value) > 8 or not 0 < int(value) <= MOST:
        raise ValueError(f"{value!r} is not a number from 1 to {MOST}")
    return int(value)


def _where(value: str) -> str:
    return value if value == "*" else f"@{user_name(value)}" if value.startswith("@") else room_name(value)


def place_of(value: str) -> int:
    """The place of a message, typed as `#12` or `12`. Raises ValueError."""
    found = _SEQ.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is no place of a message, such as #12")
    return int(found[1])


def user_name(value: str) -> str:
    """A user's name in lower case. Raises ValueError."""
    found = _lower(value.removeprefix("@"))
    if not _USER.fullmatch(found):
        raise ValueError(f"{value!r} is no user's name: those have 1 to 32 characters of a-z, 0-9, _ and -")
    return found


def room_name(value: str) -> str:
    """A room's name in lower case. Raises ValueError."""
    found = _lower(value.removeprefix("#"))
    if not _ROOM.fullmatch(found):
        raise ValueError(f"{value!r} is no room's name: those have 1 to 64 characters of a-z, 0-9, _ and -")
    return found


def _lower(name: str) -> str:
    return name.lower() if name.isascii() else name  # more than ASCII would turn the Kelvin sign into a k
