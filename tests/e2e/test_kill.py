"""kill -9 of a real server in the middle of many sends, again and again (hostile D1)."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.errors import LinkLost, QuicchatError
from quicchat.protocol.limits import Limits
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.wire.chapters.messages import Kind, Message, Posted, Window
from tests.processes import CHEAP, ServerProcess

KILLS = int(os.environ.get("QUICCHAT_TEST_KILLS", "5"))
SENDERS, EACH, WINDOW = 4, 250, 32
#: A server that was killed cannot say so: its clients notice by a PING without answer.
IMPATIENT = Limits(ping=1.0, pong=0.5)


class Talker:
    """A client that sends every message until it is acknowledged, whatever happens to the server."""

    def __init__(self, name: str, server: ServerProcess) -> None:
        self.name = name
        self.acked: dict[bytes, Posted] = {}
        self.on_ack: Callable[[], None] = lambda: None
        self._server = server
        self._device = secrets.token_bytes(16)
        self._chat: Chat | None = None
        self._known = False
        self._connecting = asyncio.Lock()

    async def connect(self) -> Chat:
        """A logged-in connection, the present one or a new one as soon as the server is back."""
        async with self._connecting:
            return await self._connected()

    async def _connected(self) -> Chat:
        while self._chat is None or self._chat.lost is not None:
            try:
                async with asyncio.timeout(3):
                    link = await dial("127.0.0.1", self._server.port, trust=Trust(self._server.ca_pem))
                    chat = Chat(link, device=self._device, limits=IMPATIENT)
                    identity = Identity(user=self.name, password="x", sign_up=not self._known, iterations=1)
                    await chat.open(identity)
            except (QuicchatError, TimeoutError, OSError):
                await asyncio.sleep(0.05)
            else:
                self._known, self._chat = True, chat
        return self._chat

    async def send_all(self, texts: list[str]) -> None:
        """Send each text under one cid, with WINDOW of them on their way."""
        gate = asyncio.Semaphore(WINDOW)

        async def send(text: str) -> None:
            cid = secrets.token_bytes(16)
            async with gate:
                while cid not in self.acked:
                    chat = await self.connect()
                    try:
                        posted = await chat.post("general", text, cid=cid)
                    except LinkLost:
                        continue
                    self.acked[cid] = posted
                    self.on_ack()

        await asyncio.gather(*(send(text) for text in texts))

    async def read_everything(self) -> list[Message]:
        """The whole log of general, page by page."""
        chat = await self.connect()
        log: list[Message] = []
        while page := await chat.history("general", window=Window.AFTER, anchor=log[-1].seq if log else 0, limit=200):
            log += page
        return log

    async def close(self) -> None:
        if self._chat is not None:
            await self._chat.close()


async def _round(server: ServerProcess, talkers: list[Talker], number: int, chance: random.Random) -> None:
    before = sum(len(talker.acked) for talker in talkers)
    work = asyncio.gather(
        *(talker.send_all([f"{talker.name} {number} {index}" for index in range(EACH)]) for talker in talkers)
    )
    goal = before + chance.randrange(SENDERS * EACH // 10, SENDERS * EACH * 9 // 10)
    while sum(len(talker.acked) for talker in talkers) < goal:
        acked = asyncio.Event()
        for talker in talkers:
            talker.on_ack = acked.set
        await acked.wait()
    server.kill()
    await asyncio.to_thread(server.start)
    await work


@pytest.mark.timeout(60 + 10 * KILLS)
def test_every_acknowledged_message_is_there_once_after_kill_9(tmp_path: Path) -> None:
    """D1, P1-P4: the server is killed amid 1,000 sends of 4 clients; nothing acked is lost or doubled."""
    chance = random.Random(1)

    async def scenario(server: ServerProcess) -> None:
        talkers = [Talker(f"talker{number}", server) for number in range(SENDERS)]
        for talker in talkers:
            await talker.connect()
        for number in range(KILLS):
            await _round(server, talkers, number, chance)
        logs = [await talker.read_everything() for talker in talkers]
        for talker in talkers:
            await talker.close()
        first = logs[0]
        assert all(log == first for log in logs)
        assert [message.seq for message in first] == list(range(1, len(first) + 1))
        stored = {message.cid: message for message in first if message.kind is Kind.TEXT}
        acked = {cid: posted for talker in talkers for cid, posted in talker.acked.items()}
        assert len(acked) == KILLS * SENDERS * EACH
        assert {cid: posted.seq for cid, posted in acked.items()} == {cid: each.seq for cid, each in stored.items()}

    with ServerProcess(tmp_path, *CHEAP) as server:
        start = time.monotonic()
        asyncio.run(scenario(server))
        print(f"{KILLS} kills in {time.monotonic() - start:.0f} s")
