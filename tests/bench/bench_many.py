"""Many: a thousand connections that rest, and a hundred thousand messages for one who comes back."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from pathlib import Path

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.errors import Code
from quicchat.protocol import scram
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.wire.chapters.messages import Message, Post
from quicchat.wire.names import Device, Room, User
from tests.bench.table import Row
from tests.processes import CHEAP, ServerProcess

IDLE = 1_000
BACKLOG = 100_000
TEXT = "x" * 100
_DEVICE = b"D" * 16
_SETTLE = 3.0


async def idle() -> Row:
    """Memory of the server for each connection that is logged in and says nothing."""
    with tempfile.TemporaryDirectory() as data:
        await _seed(Path(data), [f"u{number}" for number in range(IDLE + 1)], 0)
        with ServerProcess(Path(data), *CHEAP) as process:
            chats = [await _enter(process, "u0")]
            await asyncio.sleep(_SETTLE)
            before = process.resident()
            for number in range(1, IDLE + 1):
                chats.append(await _enter(process, f"u{number}"))
            await asyncio.sleep(_SETTLE)
            each = (process.resident() - before) / IDLE / 1024
            cpu, start = process.cpu(), time.perf_counter()
            await asyncio.sleep(2 * _SETTLE)
            share = (process.cpu() - cpu) / (time.perf_counter() - start) * 100
            for chat in chats:
                chat.link.close(Code.NO_ERROR)
                await chat.close()
    return Row("idle connection, logged in", each, "KiB", f"{share:.1f} % of a core for {IDLE}")


async def backlog() -> Row:
    """What waits for somebody who was away, fetched page by page, until it is all there in order."""
    with tempfile.TemporaryDirectory() as data:
        await _seed(Path(data), ["writer", "reader"], BACKLOG)
        with ServerProcess(Path(data), *CHEAP) as process:
            before, start = process.resident(), time.perf_counter()
            chat = await _enter(process, "reader")
            count = 0
            async for event in chat:
                count += isinstance(event, Message) and event.room == "general" and event.sender == "writer"
                if count == BACKLOG:
                    break
            seconds = time.perf_counter() - start
            grown = (process.resident() - before) / 2**20
            own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            await chat.close()
    return Row("backlog of 100,000 fetched", BACKLOG / seconds, "/s", f"server +{grown:.0f} MiB, client {own:.0f} MiB")


async def _seed(data: Path, users: list[str], messages: int) -> None:
    """Accounts with the password `x`, and messages in `general`, without going through a server."""
    store = open_store(data / "quicchat.db")
    salt = bytes(16)
    keys = scram.credentials_from(scram.salted("x", salt, 1), salt, 1)
    try:
        for user in users:
            await store.accounts.sign_up(User(user), keys, at=1)
        for start in range(0, messages, 64):
            posts = (Post(cid=number.to_bytes(16), text=TEXT) for number in range(start, min(messages, start + 64)))
            writer = User(users[0])
            await asyncio.gather(
                *(store.log.append(Room("general"), writer, Device(_DEVICE), post, at=1) for post in posts)
            )
    finally:
        await store.close()


async def _enter(process: ServerProcess, user: str) -> Chat:
    link = await dial("127.0.0.1", process.port, trust=Trust(process.ca_pem))
    chat = Chat(link)
    await chat.open(Identity(user=user, password="x", iterations=1))
    return chat


async def _measure() -> list[Row]:
    return [await backlog(), await idle()]


def rows() -> list[Row]:
    """All measurements of this module, once."""
    return asyncio.run(_measure())
