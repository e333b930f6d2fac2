"""Scenario scripts: who starts, what he types, and what everybody must be shown. (spec 12-operation)

    server
    x, y start --style classic
    x: send y hi
      y< x: hi
      x< [Message received by y.]
    x exits 0

A script is cut into steps: some deeds, then what every actor must have been shown since the step before.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Final, Literal

from quicchat.errors import Code, UsageError
from quicchat.protocol.events import LinkEvent
from quicchat.tools.scenario.stranger import parsed
from quicchat.values import dataclass

#: Instead of a line that must be shown: here any number of lines may be.
ANYTHING: Final = "..."

_NAME: Final = "[a-z0-9_-]{1,32}"
_NAMES: Final = rf"{_NAME}(?:, {_NAME})*"
#: No actor has such a name.
_RESERVED: Final = frozenset({"server", "wait"})
_FILLER: Final = re.compile(r"\{([1-9][0-9]{0,6}) bytes\}")
_LETTERS: Final = "The quick brown fox jumps over the lazy dog. "

Change = Literal["starts", "stops", "is killed"]
_CHANGES: Final[tuple[Change, ...]] = ("starts", "stops", "is killed")


@dataclass(frozen=True, slots=True)
class Serve:
    """A server opens for the first time."""

    line: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """The server starts again, stops in good order, or dies."""

    line: int
    change: Change


@dataclass(frozen=True, slots=True)
class Enter:
    """An actor starts a client, as a user who is himself unless it is said; returns once he is in, or refused."""

    line: int
    actor: str
    user: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Type:
    """An actor types a line."""

    line: int
    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """An actor's input ends; or his client is killed."""

    line: int
    actor: str
    killed: bool


@dataclass(frozen=True, slots=True)
class Exit:
    """An actor's client has ended by itself, with this exit code."""

    line: int
    actor: str
    code: int


@dataclass(frozen=True, slots=True)
class Wait:
    """So many seconds pass."""

    line: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Appear:
    """An actor who speaks in bytes begins: at the server (`dials`, `logs in`), or as one (`listens`, `is in`)."""

    line: int
    actor: str
    way: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Give:
    """His link does something; or this end `said` it."""

    line: int
    actor: str
    event: LinkEvent
    said: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """His connection has ended, with this code."""

    line: int
    actor: str
    code: Code


Deed = Serve | Turn | Enter | Type | Part | Exit | Wait | Appear | Give | Closed


@dataclass(frozen=True, slots=True)
class Expected:
    """A line that an actor must be shown; `loose` ones at any place among those of the step."""

    line: int
    actor: str
    text: str
    loose: bool = False


@dataclass(slots=True)
class Step:
    """Deeds, and all that was shown since the last step."""

    deeds: list[Deed] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)

    def of(self, actor: str) -> list[Expected]:
        """What one actor must be shown."""
        return [each for each in self.expected if each.actor == actor]


@dataclass(frozen=True, slots=True)
class Script:
    """A scenario, as it was read from the file called `name`."""

    name: str
    steps: Sequence[Step]


class Mistake(UsageError):
    """A line of a script is none: `FILE:LINE: why`."""

    def __init__(self, name: str, line: int, text: str) -> None:
        super().__init__(f"{name}:{line}: {text}")


def filled(text: str) -> str:
    """The text with `{N bytes}` replaced by a text of that length, always the same."""
    return _FILLER.sub(lambda found: filler(int(found[1])), text)


def filler(size: int) -> str:
    """So many bytes of plain text without a blank at its end."""
    return (_LETTERS * (size // len(_LETTERS) + 1))[: size - 1] + "."


def read(name: str, text: str) -> Script:
    """Read a script. Raises Mistake."""
    steps = [Step()]
    known: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.lstrip(" ")
        if not stripped or stripped.startswith("#"):
            continue
        if "\t" in line or line != line.rstrip():
            raise Mistake(name, number, "a tab, or a blank at the end")
        try:
            for each in _parsed(number, stripped):
                _check_actor(each, known)
                if isinstance(each, Expected):
                    steps[-1].expected.append(each)
                    continue
                if steps[-1].expected:
                    steps.append(Step())
                steps[-1].deeds.append(each)
        except ValueError as error:
            raise Mistake(name, number, str(error)) from None
    if not steps[0].deeds or not isinstance(steps[0].deeds[0], Serve):
        raise Mistake(name, 1, "a script begins with `server`")
    return Script(name, steps)


def _check_actor(each: Deed | Expected, known: set[str]) -> None:
    """Only who has started does or sees anything."""
    match each:
        case Enter(actor=actor):
            if actor in _RESERVED:
                raise ValueError(f"{actor} is no name for an actor")
            known.add(actor)
        case Appear(actor=actor):
            known.add(actor)
        case Type() | Part() | Exit() | Expected() | Give() | Closed():
            actor = each.actor
            if actor not in known:
                raise ValueError(f"{actor} has not started")


def _parsed(number: int, line: str) -> Iterator[Deed | Expected]:
    """What one line says. Raises ValueError."""
    if found := re.fullmatch(rf"({_NAMES})([<~]) (.+)", line):
        names, mark, text = found.groups()
        if text == ANYTHING and mark == "~":
            raise ValueError("~ stands for one line; < ... for any number of them")
        yield from (Expected(number, actor, text, mark == "~") for actor in names.split(", "))
    elif found := re.fullmatch(rf"({_NAME}): (.*)", line):
        yield Type(number, *found.groups())
    else:
        yield from _deeds(number, line)


def _deeds(number: int, line: str) -> Iterator[Deed]:
    if found := re.fullmatch(r"server (starts|stops|is killed)", line):
        yield Turn(number, _change(found[1]))
    elif found := re.fullmatch(r"server(?: (-.*))?", line):
        yield Serve(number, tuple(shlex.split(found[1] or "")))
    elif found := re.fullmatch(r"wait (\d+(?:\.\d+)?) s", line):
        yield Wait(number, float(found[1]))
    elif found := re.fullmatch(rf"({_NAMES}) starts?(?: as ({_NAME}))?(?: (-.*))?", line):
        for actor in found[1].split(", "):
            yield Enter(number, actor, found[2] or actor, tuple(shlex.split(found[3] or "")))
    elif found := re.fullmatch(rf"({_NAME}) (ends|is killed)", line):
        yield Part(number, found[1], found[2] == "is killed")
    elif found := re.fullmatch(rf"({_NAME}) exits (\d{{1,3}})", line):
        yield Exit(number, found[1], int(found[2]))
    else:
        yield from _in_bytes(number, line)


def _in_bytes(number: int, line: str) -> Iterator[Deed]:
    """What flights are made of."""
    if found := re.fullmatch(rf"({_NAME}) (dials|logs in|listens|is in)(?: in version (\d{{1,3}}))?", line):
        yield Appear(number, found[1], found[2], int(found[3]) if found[3] else None)
    elif found := re.fullmatch(rf"({_NAME}) (gives|said) (.+)", line):
        yield Give(number, found[1], parsed(found[3].split(" ")), found[2] == "said")
    elif found := re.fullmatch(rf"({_NAME}) is closed ([A-Z_]+)", line):
        if found[2] not in Code.__members__:
            raise ValueError(f"{found[2]} is no code")
        yield Closed(number, found[1], Code[found[2]])
    else:
        raise ValueError(f"{line!r} is no line of a script")


def _change(word: str) -> Change:
    return next(change for change in _CHANGES if change == word)
