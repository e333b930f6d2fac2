"""Chat over real QUIC: logins, round trips, and what a delivery costs the server process."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.errors import Code
from quicchat.protocol.events import Bytes, LinkEvent
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.wire.frame import FrameReader
from tests.bench.table import Row
from tests.processes import CHEAP, ServerProcess

MEMBERS = 100
TEXT = "x" * 100


class Counter:
    """A member that only counts what it is sent, so that the load costs less than what is measured."""

    def __init__(self, chat: Chat) -> None:
        self.frames = 0
        self._more = asyncio.Event()
        self._reader = FrameReader()
        self.chat = chat
        self._alive = time.monotonic()
        self._tell = chat.link.on_events
        chat.link.on_events = self._count

    async def reach(self, frames: int) -> None:
        """Wait until so many frames came."""
        while self.frames < frames:
            self._more = asyncio.Event()
            await self._more.wait()

    async def close(self) -> None:
        """Go, and leave nothing behind."""
        self.chat.link.on_events = self._tell
        self.chat.link.close(Code.NO_ERROR)
        await self.chat.close()

    def _count(self, events: list[LinkEvent]) -> None:
        if time.monotonic() > self._alive + 1:
            # The chat sees nothing any more, but must not take the server for dead.
            self._alive = time.monotonic()
            self._tell([Bytes(0, b"")])
        for event in events:
            if isinstance(event, Bytes) and event.sid == 0:
                self.frames += sum(1 for _ in self._reader.feed(event.data))
                self._more.set()


async def log_in(process: ServerProcess, user: str) -> Chat:
    """Sign up and log in over a new connection."""
    link = await dial("127.0.0.1", process.port, trust=Trust(process.ca_pem))
    chat = Chat(link)
    await chat.open(Identity(user=user, password="x", sign_up=True, iterations=1))
    return chat


async def logins(process: ServerProcess, count: int = 100) -> Row:
    """Handshake, sign-up and login, one after the other, each gone before the next comes."""
    cpu, start = process.cpu(), time.perf_counter()
    for number in range(count):
        chat = await log_in(process, f"h{number}")
        chat.link.close(Code.NO_ERROR)
        await chat.close()
    seconds = time.perf_counter() - start
    used = (process.cpu() - cpu) / count * 1000
    return Row("handshake + sign-up + login", count / seconds, "/s", f"server CPU {used:.1f} ms each")


async def round_trips(process: ServerProcess, count: int = 500) -> Iterator[Row]:
    """An idle server: PING, and a post until it is durable and acknowledged."""
    chat = await log_in(process, "solo")
    pings = [await chat.ping() for _ in range(count)]
    posts = []
    for _ in range(count):
        start = time.perf_counter()
        await chat.post("general", TEXT)
        posts.append(time.perf_counter() - start)
    await chat.close()
    return iter([_latency("one-to-one round trip", pings), _latency("post to durable MSG_ACK", posts)])


def _latency(name: str, seconds: list[float]) -> Row:
    quantiles = statistics.quantiles(seconds, n=100)
    return Row(name, quantiles[49] * 1000, "ms p50", f"p99 {quantiles[98] * 1000:.2f} ms")


async def fan_out(process: ServerProcess) -> Iterator[Row]:
    """A room of 100: one message at a time at 50/s, then 8 senders that keep the pipe full."""
    members = [Counter(await log_in(process, f"m{number}")) for number in range(MEMBERS - 8)]
    senders = [await log_in(process, f"s{number}") for number in range(8)]
    await asyncio.sleep(1)

    async def one_by_one(count: int) -> None:
        for _ in range(count):
            await senders[0].post("general", TEXT)
            await asyncio.sleep(0.018)

    async def pipelined(chat: Chat, count: int, window: int = 64) -> None:
        gate = asyncio.Semaphore(window)

        async def post() -> None:
            async with gate:
                await chat.post("general", TEXT)

        await asyncio.gather(*(post() for _ in range(count)))

    single = await _cost(process, members, 150, one_by_one(150))
    each = 250
    full = await _cost(process, members, 8 * each, asyncio.gather(*(pipelined(chat, each) for chat in senders)))
    for member in members:
        await member.close()
    for chat in senders:
        await chat.close()
    return iter(
        [
            Row("fan-out, 1 sender, 100 members", single[0], "us/delivery", f"{single[1]:,.0f} deliveries/s"),
            Row("fan-out, 8 senders, 100 members", full[0], "us/delivery", f"{full[1]:,.0f} deliveries/s"),
        ]
    )


async def _cost(
    process: ServerProcess, members: list[Counter], messages: int, work: Awaitable[object]
) -> tuple[float, float]:
    """Server CPU in microseconds per delivery, and deliveries a second, until every member has everything."""
    before = [member.frames for member in members]
    cpu, start = process.cpu(), time.perf_counter()
    await work
    for member, had in zip(members, before, strict=True):
        await member.reach(had + messages)
    deliveries = messages * (len(members) + 7)
    seconds = time.perf_counter() - start
    return (process.cpu() - cpu) / deliveries * 1e6, deliveries / seconds


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as data, ServerProcess(Path(data), *CHEAP) as process:
        rows = [await logins(process), *await round_trips(process)]
    with tempfile.TemporaryDirectory() as data, ServerProcess(Path(data), *CHEAP) as process:
        rows += await fan_out(process)
    return rows


def rows() -> list[Row]:
    """All measurements of this module, once."""
    return asyncio.run(_measure())
