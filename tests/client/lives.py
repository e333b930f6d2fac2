"""Clients that outlive their connections, for tests: in virtual time, on a simulated network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.client.memory import Memory, PlainMemory
from quicchat.transport.link import Link
from quicchat.wire.registry import VERSIONS
from tests.client.listener import Listener as Listener
from tests.server.house import World


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
