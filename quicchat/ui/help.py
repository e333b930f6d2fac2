"""The command table as people read it: a list under headings, or all there is to say of one. (spec 12-operation)"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from quicchat.ui.outcomes import Help
from quicchat.ui.slots import RANKS
from quicchat.ui.words import Command
from quicchat.wire.chapters.rooms import Rank

#: Columns of a terminal that help fits, and of those, what the usage takes.
_WIDTH: Final = 80
_USAGE: Final = 26
#: A blank at which no line ends.
_FIXED: Final = "\u00a0"
#: Those who have a rank.
THOSE: Final = {Rank.MODERATOR: "moderators", Rank.OWNER: "owners"}
#: What may stand in a slot, and an example of it.
SLOTS: Final[Mapping[str, tuple[str, str]]] = {
    "code": ("the recovery code", ""),
    "command": ("a command, with its slash or without", "join"),
    "current": ("the password of now", ""),
    "again": ("the new one once more", ""),
    "new": ("the new password", ""),
    "device": ("the name of a device, or the id of its key", "laptop"),
    "digits": ("the safety number that was typed over, or yes where it was compared", "yes"),
    "emoji": ("a word or an emoji", "+1"),
    "file": ("a name, #12, shared/NAME, ROOM/NAME, @USER/NAME", "photo.jpg"),
    "files": ("paths, in quotation marks where they have blanks; @USER before them", "photo.jpg"),
    "level": ("all, mentions or none", "mentions"),
    "number": ("the number of a transfer; /transfers lists them", "1"),
    "onoff": ("on or off", "off"),
    "past": ("ROOM, @USER or *; how many; before, after or around #12", "20 before #12"),
    "place": ("a room, @USER, or shared", "shared"),
    "rank": (", ".join(RANKS), "moderator"),
    "reason": ("why, for all to read", "too loud"),
    "room": ("a room: a-z, 0-9, _ and -", "garden"),
    "secret": ("the word that lets one in", "sesame"),
    "seq": ("a message by its place, as #12; /history shows places", "#12"),
    "session": ("the number of a session; /sessions lists them", "7"),
    "span": ("on, off, or for how long, as 30m, 2h, 1d", "30m"),
    "status": ("what the others read beside your name", "at lunch"),
    "text": ("what to say, to the end of the line", "hello there"),
    "topic": ("what the room is about", "flowers and trees"),
    "user": ("a user's name, with @ or without", "bob"),
    "where": ("a room, @USER or *", "@bob"),
    "words": ("words of the message, the beginning of one as moon*", "blue moon*"),
}
#: What the groups of commands are about.
HEADINGS: Final = {
    "talk": "Talking",
    "rooms": "Rooms",
    "files": "Files",
    "keys": "Keys and encryption",
    "oneself": "Yourself and the connection",
}


def commands(item: Help) -> Iterator[str]:
    """The lines of help: of all commands, or all about one or two."""
    if item.single:
        for each in item.commands:
            yield from explained(each, item.style)
        return
    for group, heading in HEADINGS.items():
        yield f"{heading}:"
        for each in item.commands:
            if each.group == group:
                yield from _row(each, item.style)
    yield "/help COMMAND tells more of one."
    yield "What begins with no slash is said here; // says what begins with one."


def explained(command: Command, style: str) -> Iterator[str]:
    """How it is typed, what each argument is, who may, its other words, an example."""
    yield command.usage
    yield from _wrapped("  ", f"{command.about[0].upper()}{command.about[1:]}.")
    for slot, typed in zip(command.slots, command.arguments.split(), strict=True):
        if not command.hidden:
            left_out = " (may be left out)" if typed.startswith("[") else ""
            yield from _wrapped(f"  {slot:<9}", f"{SLOTS[slot][0]}{left_out}")
    if command.rank in THOSE:
        yield f"  For {THOSE[command.rank]} of the room."
    if words := command.words(style):
        yield from _wrapped("  Also ", _kept(words))
    if command.slots and not command.hidden:
        yield f"  Example: {example(command)}"


def example(command: Command) -> str:
    """A line as it might be typed."""
    return f"/{command.name} {' '.join(SLOTS[slot][1] for slot in command.slots)}".rstrip()


def about(command: Command) -> str:
    """What it does, and for whom."""
    return command.about + (f"; for {THOSE[command.rank]}" if command.rank in THOSE else "")


def _row(command: Command, style: str) -> Iterator[str]:
    words = command.words(style)
    also = f" (also {_kept(words)})" if words else ""
    usage = f"  {command.usage}"
    if len(usage) > _USAGE - 1:
        yield usage
        usage = ""
    yield from _wrapped(f"{usage:<{_USAGE}}", about(command) + also)


def _wrapped(first: str, text: str) -> Iterator[str]:
    """Hanging lines, as many as it takes."""
    for line in textwrap.wrap(
        text,
        _WIDTH - 1,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield line.replace(_FIXED, " ")


def _kept(words: list[str]) -> str:
    """Words with commas; of two, such as `mystic pm`, none is parted from the other."""
    return ", ".join(word.replace(" ", _FIXED) for word in words)
