"""From a typed line to a command and its arguments; what is not understood is never sent. (spec 12-operation)"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, field
from difflib import get_close_matches
from typing import Any, Final, Literal

from quicchat.ui.slots import checked
from quicchat.values import dataclass
from quicchat.wire.chapters.rooms import Rank

Style = Literal["default", "mystic", "classic"]

_MYSTIC: Final = "mystic"
_MARKED: Final = re.compile(r"#-?[0-9]+")


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table.

    `arguments` is what help shows and the parser goes by: `<name>` is one word, `<name...>` the rest of the line,
    brackets make it optional. What is called `user`, `room`, `text`, `seq` (the place of a message, `#12`) and so on
    is checked as such; `[seq]` before others takes a word only if it looks like `#12`. `aliases` are further slash
    words; `classic` and `mystic` the plain words of these styles. `run` gets the desk and the call: an outcome.
    """

    name: str
    arguments: str
    about: str
    run: Callable[[Any, Call], Awaitable[Any]]
    _: KW_ONLY
    #: Under which heading help lists it.
    group: str = ""
    aliases: tuple[str, ...] = ()
    classic: tuple[str, ...] = ()
    mystic: tuple[str, ...] = ()
    #: The protocol version that it needs.
    since: int = 2
    #: The only style that has it; None for all.
    only: Style | None = None
    #: Whether it changes the room that plain text goes to.
    enters: bool = False
    #: In style classic, what is missing is asked for, and the next line answers.
    asks: bool = False
    #: What it needs must not be seen: it is asked for, word by word, and never typed on the line.
    hidden: bool = False
    #: What one has to be in the room.
    rank: Rank | None = None
    #: It says something, which waits on the disk where there is no connection; nothing waits for it.
    says: bool = False
    #: Nothing comes after it.
    ends: bool = False
    #: It asks the server for nothing: it is carried out at once, and without a connection, too.
    local: bool = False
    #: Without a connection it is answered from what this device keeps.
    kept: bool = False

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"/{self.name} {'' if self.hidden else self.arguments}".rstrip()

    @property
    def slots(self) -> list[str]:
        """What its arguments are called."""
        return [slot.strip("<>[].").lower() for slot in self.arguments.split()]

    def words(self, style: str) -> list[str]:
        """Its other words, as they are typed in a style."""
        plain = {"classic": self.classic, "mystic": tuple(f"mystic {word}" for word in self.mystic)}
        return [*(f"/{word}" for word in self.aliases), *plain.get(style, ())]


@dataclass(frozen=True, slots=True)
class Call:
    """A command with its arguments. `cid` marks the message it may send, so that trying again never doubles it."""

    command: Command
    given: Mapping[str, str] = field(default_factory=dict)
    cid: bytes = b""
    line: str = ""
    #: The room that it is for; None for the one in which one is by then.
    room: str | None = None

    def __getitem__(self, name: str) -> str:
        return self.given[name]

    def get(self, name: str) -> str | None:
        """An argument that may be left out."""
        return self.given.get(name)

    @property
    def is_about_the_last(self) -> bool:
        """Whether it is about a message that was not named: the last one that fits."""
        return "[seq]" in self.command.arguments and "seq" not in self.given


@dataclass(frozen=True, slots=True)
class Unclear:
    """A line that is no command, though it was meant as one: why, for the person who typed it."""

    text: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class Asks:
    """A command that waits for the rest of its arguments; the next line is to be put behind `begun`.

    `hidden` where the next line must not be seen while it is typed.
    """

    call: Call
    begun: str
    question: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A question to a person: the calls that follow from yes and no; an empty line means `usual`."""

    question: str
    yes: Call
    no: Call
    usual: bool = True

    def answer(self, line: str) -> Call | None:
        """What follows from a line; None where it answers nothing."""
        usual = self.yes if self.usual else self.no
        return {"": usual, "y": self.yes, "yes": self.yes, "n": self.no, "no": self.no}.get(line.strip().lower())


Parsed = Call | Unclear | Asks


class Vocabulary:
    """The command words of one style. `random` gives bytes for message ids."""

    def __init__(self, commands: Sequence[Command], style: Style, random: Callable[[int], bytes]) -> None:
        self.commands = [each for each in commands if each.only in (None, style)]
        self.style = style
        self._random = random
        self._slash = {word.lower(): each for each in self.commands for word in (each.name, *each.aliases)}
        for each in self.commands:
            for word in each.classic:
                self._slash.setdefault(word.lower(), each)
        #: In any case: what was meant for one must not be told to all for a capital letter.
        plain = self.commands if style == "classic" else ()
        self._classic = {word.lower(): each for each in plain for word in each.classic}
        self._mystic = {word: each for each in self.commands for word in each.mystic}

    def parse(self, line: str) -> Parsed | None:
        """What a line says; None for a blank one."""
        word, rest = _first_word(line)
        if not word:
            return None
        if word.startswith("//"):
            return self._said(line.replace("//", "/", 1))
        if word.startswith("/"):
            return self._slashed(word[1:], rest, line)
        if self.style == _MYSTIC and word.lower() == _MYSTIC:
            return self._of_mystic(rest, line)
        command = self._classic.get(word.lower())
        # `EX` ends the session, `EX please` is something to say.
        if command is not None and (command.arguments.startswith("<") or not rest):
            return self._call(command, word, rest, line)
        return self._said(line)

    def called(self, word: str) -> list[Command]:
        """The commands that a word names behind a slash, or in this style without one."""
        mystic = word.removeprefix(f"{_MYSTIC} ") if word.startswith(f"{_MYSTIC} ") or self.style == _MYSTIC else ""
        found = [self._slash.get(word), self._classic.get(word), self._mystic.get(mystic)]
        return [each for each in dict.fromkeys(found) if each is not None]

    def near(self, word: str) -> str | None:
        """The slash word that is most like this one."""
        return next(iter(get_close_matches(word.lower(), self._slash, 1)), None)

    def answered(self, asks: Asks, line: str) -> Parsed | None:
        """The line that follows a question: what was missing, unless it is another command."""
        command = asks.call.command
        if asks.hidden:
            return self._told(asks, line)
        word, _ = _first_word(line)
        if not word or word.startswith("/"):
            return self.parse(line)
        return self._call(command, command.name, f"{asks.begun} {line}", line)

    def begun(self, line: str) -> tuple[Command, str] | None:
        """The command whose words a line begins with, and what stands behind them; None before the blank there."""
        word, rest = _first_word(line)
        found: Command | None = None
        if word.lower() in (f"/{_MYSTIC}", *((_MYSTIC,) if self.style == _MYSTIC else ())):
            first, others = _first_word(rest)
            second, more = _first_word(others)
            for name, left in ((f"{first} {second}", more), (first, others)):
                if found is None and (found := self._mystic.get(name.lower())) is not None:
                    rest = left
        elif word.startswith("/") and not word.startswith("//"):
            found = self._slash.get(word[1:].lower())
        else:
            found = self._classic.get(word.lower())
        return (found, rest) if found is not None and (rest or line[-1].isspace()) else None

    def _said(self, text: str) -> Parsed:
        return self._call(self._slash["say"], "", text, text)

    def _slashed(self, word: str, rest: str, line: str) -> Parsed:
        if word.lower() == _MYSTIC:
            return self._of_mystic(rest, line)
        command = self._slash.get(word.lower())
        if command is None:
            near = self.near(word)
            hint = f"did you mean /{near}?" if near else "/help lists all; //text sends text that begins with /"
            return Unclear(f"/{word} is no command; {hint}", line)
        return self._call(command, f"/{word}", rest, line)

    def _of_mystic(self, rest: str, line: str) -> Parsed:
        first, others = _first_word(rest)
        second, more = _first_word(others)
        for name, left in ((f"{first} {second}", more), (first, others)):
            if (command := self._mystic.get(name.lower())) is not None:
                return self._call(command, f"{_MYSTIC} {name}", left, line)
        near = get_close_matches(f"{first} {second}".strip(), self._mystic, 1)
        hint = f"did you mean mystic {near[0]}?" if near else "mystic help lists all"
        return Unclear(f"mystic {first} is no command; {hint}" if first else hint, line)

    def _told(self, asks: Asks, line: str) -> Parsed:
        """One more thing that nobody must see; an empty line ends it."""
        slots = asks.call.command.slots
        given = {**asks.call.given, slots[len(asks.call.given)]: line}
        command = asks.call.command
        if not line:
            return Unclear(f"/{command.name} is given up")
        call = Call(command, given, self._random(16), f"/{command.name}")
        return call if len(given) == len(slots) else self._ask_hidden(call)

    def _ask_hidden(self, call: Call) -> Asks:
        return Asks(call, "", f"{call.command.slots[len(call.given)]}?", hidden=True)

    def _call(self, command: Command, word: str, rest: str, line: str) -> Parsed:
        if command.hidden:
            if rest:
                return Unclear(f"{word} asks for what it needs; nothing of it belongs on this line", f"/{command.name}")
            return self._ask_hidden(Call(command, {}, b"", line))
        given: dict[str, str] = {}
        left = rest
        slots = command.arguments.split()
        for name, slot in zip(command.slots, slots, strict=True):
            value, left = _cut(slot, left, slots[-1])
            if value:
                try:
                    given[name] = checked(name, value)
                except ValueError as error:
                    return Unclear(f"{word}: {error}" if word else str(error), line)
            elif slot.startswith("<"):
                call = Call(command, given, self._random(16), line)
                if command.asks and self.style == "classic":
                    return Asks(call, rest, f"whom, and what? {command.arguments}")
                return Unclear(f"{word} needs {slot}: {word} {command.arguments}", line)
        if left:
            return Unclear(_too_much(word, command, left), line)
        return Call(command, given, self._random(16), line)


def _cut(slot: str, text: str, last: str) -> tuple[str, str]:
    """What a slot takes of a text, and what is left; `last` is the last slot of the command."""
    if slot.endswith(("...>", "...]")):
        return text, ""
    word, rest = _first_word(text)
    if slot != "[seq]" or _MARKED.fullmatch(word):
        return word, rest
    # A bare number may be a place as well, but where a text may begin with one.
    takes = word.isdecimal() and not last.endswith("...>") and (slot == last or rest != "")
    return (word, rest) if takes else ("", text)


def _first_word(text: str) -> tuple[str, str]:
    """Cut at any white space, that of other scripts too."""
    word, rest, *_ = [*text.split(None, 1), "", ""]
    return word, rest


def _too_much(word: str, command: Command, left: str) -> str:
    if "room" in command.arguments:
        return f"{word}: a room's name is one word, and {left!r} is too much"
    return f"{word}: {left!r} is too much" + (f": {word} {command.arguments}" if command.arguments else "")
