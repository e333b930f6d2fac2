"""A log on a screen that nobody sees, for tests: what it shows, and what it told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from quicchat.client.state import RoomView, State
from quicchat.ui.book import Book
from quicchat.ui.outcomes import Heard
from quicchat.ui.tui.log import Log
from tests.ui.test_book import said

#: 2027-01-14 11:04:20 UTC, in ms.
NOON = 1_799_924_660_000
WAIT = 10.0


class Window(App[None]):
    """A log, and what it told."""

    CSS = "Log { height: 1fr; }"
    AUTO_FOCUS = None

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.state = State(user="alice", rooms={"general": RoomView(room="general")})
        self.told: list[object] = []
        self.painted = 0

    def compose(self) -> ComposeResult:
        yield Log()

    @property
    def log_view(self) -> Log:
        return self.query_one(Log)

    def hear(self, *items: object, room: str = "general") -> None:
        """Something happens, and is shown."""
        for item in items:
            self.book.tell(item, self.state)
        self.show(room)

    def show(self, room: str = "general") -> None:
        self.log_view.show(self.book.page(room), times="%H:%M", user="alice")

    def seen(self) -> list[str]:
        """The lines of the screen."""
        return [self.log_view.render_line(y).text.rstrip() for y in range(self.log_view.size.height)]

    def on_log_older(self, event: Log.Older) -> None:
        self.told.append(("older", event.room, event.before))

    def on_log_at_end(self, event: Log.AtEnd) -> None:
        self.told.append("at end")

    def on_log_chosen(self, event: Log.Chosen) -> None:
        self.told.append((event.wish, event.row.seq))

    def on_log_released(self, event: Log.Released) -> None:
        self.told.append("released")


def play(scene: Callable[[Window, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 10)) -> None:
    """Run a scene on a screen that nobody sees."""

    async def run() -> None:
        app = Window()
        async with app.run_test(size=size) as pilot, asyncio.timeout(60):
            await scene(app, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[None], done: Callable[[], bool]) -> None:
    """Wait until the screen is so."""
    async with asyncio.timeout(WAIT):
        while not done():
            await pilot.pause(0.01)


async def focus(log: Log, pilot: Pilot[None]) -> None:
    """Give it the keyboard."""
    log.focus()
    await until(pilot, lambda: log.has_focus)


def one(seq: int, text: str | None = None, **facts: Any) -> Heard:
    return said(seq, text, **({"ts": NOON + seq * 1000} | facts))


def several(count: int, first: int = 1) -> list[Heard]:
    return [one(seq) for seq in range(first, first + count)]
