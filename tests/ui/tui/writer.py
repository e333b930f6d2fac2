"""An application that is a log and an input, and a hand on its keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.pilot import Pilot

from quicchat.ui.history import History
from quicchat.ui.tui.choices import Above, Choices
from quicchat.ui.tui.writing import Writing
from tests.ui.test_completion import desk


class Room(App[None]):
    """A log, and where one writes."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("ctrl+k", "note('switch')"),
        ("pageup", "note('pageup')"),
        ("ctrl+c", "note('leave')"),
    ]

    def __init__(self, history: History | None) -> None:
        super().__init__()
        self.writing = Writing(history)
        self.said: list[str] = []
        self.noted: list[str] = []

    def compose(self) -> ComposeResult:
        """A log that gives way."""
        with Vertical():
            yield Vertical()
            yield self.writing

    def on_mount(self) -> None:
        """As after login."""
        self.writing.desk = desk()
        self.writing.focus()

    def action_note(self, what: str) -> None:
        """A key that the input leaves to others."""
        self.noted.append(what)

    def on_writing_submitted(self, message: Writing.Submitted) -> None:
        """What the shell feeds to the front."""
        self.said.append(message.text)

    def on_writing_edit_last(self) -> None:
        """As the shell does."""
        self.writing.revise(12, "old text")


class Stage:
    """The application, and a hand on its keys."""

    def __init__(self, app: Room, pilot: Pilot[None]) -> None:
        self.app, self.pilot, self.writing = app, pilot, app.writing

    async def press(self, *keys: str) -> str:
        """The text after these keys."""
        await self.pilot.press(*keys)
        await self.pilot.pause()
        return self.writing.text

    async def types(self, text: str) -> str:
        """The same with a text, all at once: each key takes its time."""
        self.writing.insert(text)
        return await self.press()

    async def pastes(self, text: str) -> str:
        """The same with a paste of the terminal's."""
        self.writing.post_message(events.Paste(text))
        await self.pilot.pause()
        return self.writing.text

    @property
    def offered(self) -> str:
        """What the list above shows; empty where there is none."""
        return str(self.app.query_one(Choices).visual) if self.app.query_one(Choices).display else ""

    @property
    def above(self) -> str:
        """The note above the input."""
        return str(self.app.query_one(Above).visual) if self.app.query_one(Above).display else ""

    @property
    def screen(self) -> list[str]:
        """What the input itself shows."""
        lines = self.writing.render_lines(self.writing.size.region)
        return ["".join(segment.text for segment in line).rstrip() for line in lines]


@asynccontextmanager
async def stage(history: History | None = None, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Stage]:
    app = Room(history)
    async with app.run_test(size=size) as pilot:
        yield Stage(app, pilot)


def on_stage(play: Callable[[Stage], Awaitable[None]], history: History | None = None) -> None:
    """Play with the application."""

    async def run() -> None:
        async with stage(history) as here:
            await play(here)

    asyncio.run(run())
