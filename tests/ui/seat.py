"""A prompt on a screen of its own: a test presses keys and looks at what stands there, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.input.base import PipeInput
from prompt_toolkit.output.vt100 import Vt100_Output

from quicchat.ui.desk import Desk
from quicchat.ui.history import History
from quicchat.ui.line_prompt import Prompt
from tests.e2e.screens import Screen, keys

#: Seconds that anything may take.
PATIENCE = 10.0


class Glass:
    """Where the prompt writes: what was written, and what one sees of it."""

    encoding = "utf-8"

    def __init__(self, columns: int, rows: int) -> None:
        self.size = Size(rows=rows, columns=columns)
        self.screen = Screen(columns, rows)
        self.raw = ""
        self.news = asyncio.Event()

    def write(self, text: str) -> None:
        self.raw += text
        self.screen.feed(text.encode())
        self.news.set()

    def flush(self) -> None:
        """All is there at once."""

    def fileno(self) -> int:
        return -1

    def isatty(self) -> bool:
        return True


class Seat:
    """Somebody sits at the prompt."""

    def __init__(self, prompt: Prompt, source: PipeInput, glass: Glass) -> None:
        self.prompt = prompt
        self.glass = glass
        self._source = source

    def type(self, text: str) -> None:
        self._source.send_text(text)

    def press(self, *names: str) -> None:
        self.type(keys(*names))

    def paste(self, text: str) -> None:
        """As a terminal does it that says what was pasted."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without the empty rows below."""
        return self.glass.screen.text.rstrip("\n").split("\n")

    async def until(self, told: Callable[[], bool]) -> None:
        """Wait until something is to be seen."""
        async with asyncio.timeout(PATIENCE):
            while not told():
                self.glass.news.clear()
                await self.glass.news.wait()

    async def shows(self, *lines: str) -> None:
        """Wait until these are the last lines of the screen."""
        try:
            await self.until(lambda: self.lines[-len(lines) :] == list(lines))
        except TimeoutError:
            raise AssertionError(f"not {list(lines)}, but {self.lines}") from None

    async def line(self) -> str | None:
        """The next line that was typed."""
        async with asyncio.timeout(PATIENCE):
            return await self.prompt.next()


def sitting(
    scenario: Callable[[Seat], Coroutine[Any, Any, None]],
    desk: Desk,
    *,
    columns: int = 60,
    rows: int = 12,
    path: Path | None = None,
) -> None:
    """Play a scenario at a prompt; the history is in the file `path`, or nowhere."""

    async def inside() -> None:
        async with seat(desk, columns, rows, path) as here:
            await scenario(here)

    asyncio.run(inside())


@asynccontextmanager
async def seat(desk: Desk, columns: int, rows: int, path: Path | None) -> AsyncIterator[Seat]:
    """A prompt that has been started, and is stopped at the end."""
    glass: Any = Glass(columns, rows)
    output = Vt100_Output(glass, lambda: glass.size, term="xterm", enable_cpr=False)
    with create_pipe_input() as source:
        prompt = Prompt(desk, History(path), source, output)
        prompt.start()
        try:
            yield Seat(prompt, source, glass)
        finally:
            await prompt.stop()
