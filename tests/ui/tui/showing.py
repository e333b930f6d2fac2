"""What the tests of the application share: a screen in memory, before a server on a simulated network, in real time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from quicchat.client.login import Identity
from quicchat.client.memory import Memory, PlainMemory
from quicchat.config import ClientConfig
from quicchat.errors import Code, LinkLost
from quicchat.transport.memory import MemoryLink
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import Contact
from quicchat.ui.front import Front
from quicchat.ui.tui.app import QuicchatApp
from quicchat.ui.tui.face import Screenful
from quicchat.ui.words import Vocabulary
from tests.server.house import World
from tests.ui.stage import ALICE, meeting, stage

#: Seconds that anything may take.
PATIENCE = 15.0


class Road(list[World]):
    """The worlds there were; while it is not `open`, nobody gets to the newest."""

    open = True

    def __getitem__(self, place: Any) -> Any:
        if not self.open:
            raise LinkLost(Code.NO_ERROR, "no way there", remote=False)
        return super().__getitem__(place)


class Showing:
    """Somebody sits before a screen."""

    def __init__(self, data: Path, road: Road, memory: Memory | None, size: tuple[int, int]) -> None:
        config = ClientConfig(data=data)
        kept = memory or PlainMemory()
        self.face = Screenful(config, headless=True, size=size)
        words = Vocabulary(COMMANDS, "default", os.urandom)
        contact = Contact(config, meet=meeting(road), remember=lambda user: kept)
        self.front = Front(config, words, self.face, contact)
        self.road = road
        self.pilot = Pilot(self.app)
        self.task: asyncio.Task[int]

    @property
    def app(self) -> QuicchatApp:
        return self.face.app

    async def go(self, identity: Identity = ALICE, *, upto: str = "TLS") -> Showing:
        """Log in, and wait until the picture says so."""
        self.task = asyncio.get_running_loop().create_task(self.front.run(identity))
        await self.shows(upto)
        return self

    @property
    def picture(self) -> list[str]:
        """The rows of the screen, without what is blank behind them."""
        if not self.app.is_running or not self.app.screen_stack:
            return []
        with self.app._context():
            return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    def sees(self, text: str) -> bool:
        return any(text in row for row in self.picture)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it, picture by picture. Raises TimeoutError, which shows the last one."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    assert not self.task.done() or self.task.exception() is None, self.task.exception()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError("\n".join(self.picture)) from None

    async def shows(self, text: str) -> None:
        await self.until(lambda: self.sees(text))

    async def hides(self, text: str) -> None:
        await self.until(lambda: not self.sees(text))

    async def press(self, *keys: str) -> None:
        with self.app._context():
            await self.pilot.press(*keys)

    async def resize(self, columns: int, rows: int) -> None:
        with self.app._context():
            await self.pilot.resize_terminal(columns, rows)

    async def type(self, text: str) -> None:
        """A line, and Enter."""
        await self.press(*text, "enter")

    def cut(self, here: World) -> None:
        """The connection breaks."""
        link = self.front._chat.link
        assert isinstance(link, MemoryLink)
        here.network.partition(link.address)
        link.close(1, "cut")

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.task


Sit = Callable[..., Showing]


@asynccontextmanager
async def theatre(tmp_path: Path, **facts: Any) -> AsyncIterator[tuple[World, Sit]]:
    """A world, and `sit` for somebody who looks at it; whoever still sits there at the end is sent home."""
    road = Road()
    sitting: list[Showing] = []

    def sit(size: tuple[int, int] = (100, 30), memory: Memory | None = None) -> Showing:
        sitting.append(Showing(tmp_path, road, memory, size))
        return sitting[-1]

    async with stage(tmp_path, worlds=road, **facts) as (here, _):
        try:
            yield here, sit
        finally:
            tasks = [each.task for each in sitting if hasattr(each, "task")]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def perform(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario in real time."""
    asyncio.run(scenario())
