"""Clients that outlive their connections, for tests: in virtual time, on a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from quicchat.client.api import Chat
from quicchat.client.inbox import Event
from quicchat.client.login import Identity
from quicchat.client.memory import Memory, PlainMemory
from quicchat.transport.link import Link
from quicchat.wire.registry import VERSIONS
from tests.server.house import World

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


def identity(user: str, *, sign_up: bool = False, password: str | None = "secret") -> Identity:
    return Identity(user=user, password=password, sign_up=sign_up, iterations=1)


async def alive(
    here: World,
    user: str,
    *,
    sign_up: bool = True,
    memory: Memory | None = None,
    device: bytes | None = None,
    versions: tuple[int, ...] = VERSIONS,
    password: str | None = "secret",
    early: list[bool] | None = None,
) -> Chat:
    """A client that reconnects, logged in; `early` is told of each link whether it was one for early data."""

    async def dial(is_early: bool) -> Link:
        if early is not None:
            early.append(is_early)
        return here.network.dial(early=is_early)

    memory = memory or PlainMemory()
    chat = Chat(
        None,
        versions=versions,
        device=device or user.encode().ljust(16, b"."),
        memory=memory,
        kept=await memory.load(),
        dial=dial,
    )
    try:
        await chat.open(identity(user, sign_up=sign_up, password=password))
    except BaseException:
        await chat.close()
        raise
    return chat


@asynccontextmanager
async def living(here: World, user: str, **more: Any) -> AsyncIterator[Chat]:
    """As `alive`, and closed at the end."""
    async with await alive(here, user, **more) as chat:
        yield chat
