"""Where a person or a script meets the client: types lines, and is told what happens. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from quicchat.client.state import State
from quicchat.ui.desk import Desk
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain
from quicchat.values import dataclass

#: Seconds that somebody looks at lines after he typed one.
LOOKS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Typed:
    """A line, and the `room` that the person looked at; None where nobody knows, and it is the one of its turn."""

    text: str
    room: str | None = None


class Printer(Protocol):
    """Tells what happened, in text or JSON."""

    def tell(self, item: object, state: State) -> None:
        """Print an event or an outcome."""


class Face(Protocol):
    """One face of the client, for one visit. It knows nothing of the connection: `Front` does."""

    @property
    def interactive(self) -> bool:
        """Whether a person types, and sees what is told."""

    async def host(self, work: Coroutine[Any, Any, int]) -> int:
        """Be there as long as the work of the front lasts; its exit code. Raises what the work raises."""

    def seated(self, desk: Desk) -> None:
        """Somebody is logged in, and works at this desk."""

    def start(self) -> None:
        """Lines are wanted from now on."""

    async def next(self) -> Typed | None:
        """The next line as it was typed, or None after the last one."""

    def entered(self) -> None:
        """A line was taken."""

    def prompt(self) -> None:
        """The next line may be typed: what the last one asked for is done. At first it comes before anybody is in."""

    def hide(self, hidden: bool) -> None:
        """Whether what is typed next must not be seen."""

    def tell(self, item: object, state: State) -> None:
        """An event of the library, or an outcome of what was typed, and what is known by now."""

    def reads(self, room: str) -> bool:
        """Whether a person has what comes in a room before his eyes."""

    def sees(self, room: str) -> bool:
        """Whether a person notices what comes in a room without any signal."""

    def ring(self, sequence: str) -> None:
        """Have a terminal carry out an escape sequence that moves nothing, such as a bell."""

    def close(self) -> None:
        """Nothing more will be typed."""


class Lined:
    """Lines in, lines out: for pipes, and for terminals on which all stays as it was printed.

    `legible` says whether what is printed is meant for people.
    """

    def __init__(self, lines: Lines, sheet: Plain, printer: Printer, *, legible: bool) -> None:
        self._lines = lines
        self._legible = legible
        self._sheet = sheet
        self._desk: Desk | None = None
        self._typed = 0.0
        self.start = lines.start
        self.prompt, self.hide, self.close = sheet.prompt, sheet.hide, sheet.close
        self.tell, self.ring = printer.tell, sheet.ring

    @property
    def interactive(self) -> bool:
        """As `Lines.interactive`."""
        return self._lines.interactive

    async def host(self, work: Coroutine[Any, Any, int]) -> int:
        """It is there anyway."""
        return await work

    def seated(self, desk: Desk) -> None:
        """What is typed goes to this desk."""
        self._desk = desk
        self._typed = asyncio.get_running_loop().time()

    async def next(self) -> Typed | None:
        """As `Lines.next`."""
        line = await self._lines.next()
        return None if line is None else Typed(line)

    def entered(self) -> None:
        """A line was taken."""
        self._sheet.entered()
        self._typed = asyncio.get_running_loop().time()

    def reads(self, room: str) -> bool:
        """Of what is printed elsewhere nobody knows whether anybody reads it."""
        here = self._desk.room if self._desk is not None else ""
        return self.interactive and self._legible and (room == here or room[0] in "@*")

    def sees(self, room: str) -> bool:
        """Whoever has just typed something looks at what is printed; of others nobody knows."""
        return self.reads(room) and asyncio.get_running_loop().time() - self._typed < LOOKS
