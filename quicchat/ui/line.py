"""The line face: a prompt below what is printed, with history and completion. (spec 12-operation)

All stays as it was printed, line by line: a screen reader reads it, and so does whoever scrolls back.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from quicchat.client.state import State
from quicchat.config import ClientConfig
from quicchat.errors import LinkLost, LocalProtocolError, Refused
from quicchat.ui.colours import hue
from quicchat.ui.desk import Desk
from quicchat.ui.face import LOOKS, Face, Typed
from quicchat.ui.history import History
from quicchat.ui.line_prompt import Prompt
from quicchat.ui.lines import Lines
from quicchat.ui.outcomes import Heard, Note
from quicchat.ui.paper import Plain
from quicchat.ui.plain import plain
from quicchat.ui.render import Text
from quicchat.ui.visible import visible
from quicchat.ui.words import Style

#: In the directory of the device.
HISTORY: Final = "history"

_DIM: Final = "\x1b[2m{}\x1b[22m"
#: Of the sixteen colours, those that every theme makes readable on its ground; each also in bold.
_COLOURS: Final = (31, 33, 32, 36, 34, 35)
#: White blocks on black.
_INK: Final = "\x1b[97;40m{}\x1b[39;49m"
_NAME: Final = "\x1b[{}m{}\x1b[22;39m"


def line(config: ClientConfig) -> Face:
    """A face of lines, with a prompt that stays below them; a plain one where there is none to keep in its place."""
    is_dumb = os.name == "posix" and os.environ.get("TERM", "dumb") in ("", "dumb")
    if is_dumb or config.json or config.commands:
        return plain(config, Lines.of_stdin())
    return Prompted(config, Plain(sys.stdout, sys.stderr), History(config.data / HISTORY))


class Prompted:
    """Prints to `sheet` until lines may be typed, and above the prompt from then on."""

    interactive = True

    def __init__(
        self,
        config: ClientConfig,
        sheet: Plain,
        history: History,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self._sheet = sheet
        self._history = history
        self._ends = (input, output)
        self._printer = Text(self, config.style, config.time)
        self._style = config.style
        self._is_coloured = _has_colours(config.style)
        #: Who says what is being printed.
        self._speaker = ""
        self._prompt: Prompt | None = None
        self._desk: Desk | None = None
        self._typed = 0.0
        self._counting: asyncio.Task[None] | None = None

    # As `Face`

    async def host(self, work: Coroutine[Any, Any, int]) -> int:
        """The prompt is given back with the terminal, however the work ends."""
        try:
            if self._prompt is not None:
                # Nothing is to delay what is seen at once.
                await self._prompt.shown.wait()
            return await work
        finally:
            # It may not even have begun.
            work.close()
            if self._counting is not None and not self._counting.done():
                # What failed before is not cancelled: it goes to the log.
                self._counting.cancel()
                await asyncio.wait([self._counting])
            if self._prompt is not None:
                await self._prompt.stop()

    def seated(self, desk: Desk) -> None:
        """As `Face.seated`."""
        self._desk = desk
        self._typed = asyncio.get_running_loop().time()
        if self._prompt is not None:
            self._prompt.seated(desk)

    def start(self) -> None:
        """From now on there is a prompt."""
        assert self._desk is not None
        if self._prompt is None:
            self._begin()
        if self._style != "classic":
            self._counting = asyncio.get_running_loop().create_task(self._count(self._desk))

    async def next(self) -> Typed | None:
        """As `Face.next`. Raises what went wrong with the prompt."""
        assert self._prompt is not None
        line = await self._prompt.next()
        return None if line is None else Typed(line)

    def entered(self) -> None:
        """The prompt is there again already."""
        self._typed = asyncio.get_running_loop().time()

    def prompt(self) -> None:
        """What was asked for is done: one may be in another room. Or nobody is in any yet, and may type."""
        if self._prompt is not None:
            self._prompt.refresh()
        elif self._desk is None:
            self._begin()

    def hide(self, hidden: bool) -> None:
        """As `Face.hide`."""
        if self._prompt is not None:
            self._prompt.hide(hidden)

    def tell(self, item: object, state: State) -> None:
        """As `Face.tell`."""
        self._speaker = item.message.sender if isinstance(item, Heard) else ""
        self._printer.tell(item, state)

    def reads(self, room: str) -> bool:
        """As `Face.reads`: nobody knows what is read of what is printed elsewhere."""
        here = self._desk.room if self._desk is not None else ""
        return room == here or room[0] in "@*"

    def sees(self, room: str) -> bool:
        """As `Face.sees`."""
        return self.reads(room) and asyncio.get_running_loop().time() - self._typed < LOOKS

    def ring(self, sequence: str) -> None:
        """As `Face.ring`."""
        if self._prompt is not None:
            self._prompt.ring(sequence)
        else:
            self._sheet.ring(sequence)

    def close(self) -> None:
        """The prompt goes when the work has ended."""

    # As `render.Paper`

    def show(self, line: str) -> None:
        """A message, or what a command brought."""
        if self._is_coloured and self._speaker:
            line = _named(line, self._speaker)
        if self._prompt is None:
            self._sheet.show(line)
        else:
            self._prompt.above(line)

    def note(self, line: str) -> None:
        """Anything else: where standard error is no terminal it goes there nevertheless."""
        if not sys.stderr.isatty():
            self._sheet.note(line)
            return
        line = _DIM.format(line) if self._is_coloured else line
        if self._prompt is None:
            self._sheet.note(line)
        else:
            self._prompt.above(line)

    def picture(self, rows: Sequence[str]) -> None:
        """Light and dark are those of the picture, whatever ground the terminal has."""
        if not self._is_coloured or self._prompt is None:
            return
        size = shutil.get_terminal_size()
        for row in rows if rows and len(rows[0]) < size.columns and len(rows) < size.lines else ():
            self._prompt.above(_INK.format(row))

    def _begin(self) -> None:
        source, output = self._ends
        self._prompt = Prompt(self._desk, self._history, source, output)
        self._prompt.start()

    async def _count(self, desk: Desk) -> None:
        """Say once what waits in the rooms that one does not look at."""
        with suppress(Refused, LinkLost, LocalProtocolError):
            rows = [(room, new, named) for room, _, _, _, new, named in await desk.chat.targets()]
            waiting = [_waits(*row) for row in rows if row[1] and not self.reads(row[0])]
            if waiting:
                self.tell(Note("; ".join(waiting)), desk.chat.state)


def _has_colours(style: Style) -> bool:
    """Whether colours are wanted, and the terminal has some. The other styles are about exact texts."""
    term = os.environ.get("TERM", "")
    return style == "default" and not os.environ.get("NO_COLOR") and not term.startswith(("vt", "dumb"))


def _named(line: str, user: str) -> str:
    """The line with the name of who says it in his colour."""
    which = hue(user)
    colour = f"{_COLOURS[which // 2]};1" if which % 2 else str(_COLOURS[which // 2])
    # A room may be called like him.
    return re.sub(rf"(?<![\w\[-]){re.escape(user)}(?![\w-])", _NAME.format(colour, user), line, count=1)


def _waits(room: str, new: int, named: int) -> str:
    return f"{new} new in {visible(room)}" + (f", {named} for you" if named else "")
