"""An application that keeps all that its chat tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from quicchat.client.api import Chat
from quicchat.client.inbox import Event

E = TypeVar("E")


class Listener:
    """Hears everything that a chat tells, as its application."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.chat:
            self.events.append(event)
            self._news.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, done: Callable[[], bool], seconds: float = 120.0) -> None:
        """Wait until something is so; it is looked at after each event."""
        async with asyncio.timeout(seconds):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
