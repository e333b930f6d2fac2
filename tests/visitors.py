"""Clients of a server process that come back by themselves: in this process, or in one that can be killed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, cast

from quicchat.client.api import Chat, open_memory
from quicchat.client.device import device_in
from quicchat.client.login import Identity
from quicchat.client.memory import Memory, PlainMemory
from quicchat.protocol.limits import Limits
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.transport.quic import QuicLink
from tests.client.listener import Listener
from tests.meter import Ledger, Meter
from tests.processes import ServerProcess

#: A server that was killed cannot say so: its clients notice by a PING without answer.
IMPATIENT = Limits(ping=1.0, pong=1.0)
ROOT = Path(__file__).parents[1]
#: Seconds that a client process may take to come, go or say what it is asked for.
PATIENCE = 60.0


class Reachable(Protocol):
    """What has to be known of a server to visit it."""

    @property
    def port(self) -> int: ...
    @property
    def ca_pem(self) -> bytes: ...


class Visitor:
    """A chat that is listened to, and the account of its links."""

    def __init__(self, chat: Chat, ledger: Ledger) -> None:
        self.chat = chat
        self.ledger = ledger
        self.ears = Listener(chat)

    async def hears(self, text: str) -> None:
        """Wait until somebody said this."""
        await self.ears.until(lambda: any(getattr(event, "text", None) == text for event in self.ears.events))


async def _gone(links: list[QuicLink]) -> None:
    """A link that was given up keeps its socket a little longer, to repeat its close (RFC 9000 section 10.2)."""
    async with asyncio.timeout(PATIENCE):
        while not all(link.closed for link in links):  # noqa: ASYNC110 - a link tells nobody but its driver
            await asyncio.sleep(0.01)


@asynccontextmanager
async def visit(
    server: Reachable,
    user: str,
    home: Path,
    *,
    address: tuple[str, int] | None = None,
    options: Options | None = None,
    limits: Limits = IMPATIENT,
    sign_up: bool = True,
    remembers: bool = False,
    metered: bool = True,
) -> AsyncIterator[Visitor]:
    """A client that reconnects, by way of `address` where there is one; with a memory on the disk if it `remembers`."""
    host, port = address or ("127.0.0.1", server.port)
    ledger = Ledger()
    trust = Trust(server.ca_pem)
    links: list[QuicLink] = []

    async def call(early: bool) -> Link:
        made = await dial(host, port, trust=trust, options=options)
        links.append(made)
        return cast(Link, Meter(made, ledger)) if metered else made

    memory: Memory = open_memory(home, "test", user) if remembers else PlainMemory()
    chat = Chat(
        None,
        device=device_in(home),
        memory=memory,
        kept=await memory.load(),
        dial=call,
        limits=limits,
    )
    try:
        await chat.open(Identity(user=user, password="secret", sign_up=sign_up, iterations=1, least_iterations=1))
        visitor = Visitor(chat, ledger)
        try:
            yield visitor
        finally:
            await visitor.ears.stop()
    finally:
        await chat.close()
        await memory.close()
        await _gone(links)


async def pulse(chat: Chat, every: float = 0.01) -> AsyncIterator[float]:
    """Round trips in seconds, one after the other, for ever."""
    while True:
        yield await chat.ping()
        await asyncio.sleep(every)


class Errand:
    """`python -m tests.errand`: a client in a process of its own, that says what happens in lines of JSON."""

    def __init__(self, server: ServerProcess, user: str, home: Path, do: str, **what: Any) -> None:
        self.order = {
            "port": server.port,
            "ca": str(server.data / "certs" / "ca.pem"),
            "user": user,
            "home": str(home),
            "do": do,
            **what,
        }
        self.lines: list[dict[str, Any]] = []
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Errand:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.errand",
            json.dumps(self.order),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # Once it has said all, it goes when nobody has anything to say to it.
        self._process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE if kind is None else 0):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def says(self, at: str, done: Callable[[dict[str, Any]], object] = lambda _: True) -> dict[str, Any]:
        """Wait for a line of this kind of which something is so."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self._process.stdout.readline():
                self.lines.append(json.loads(line))
                if self.lines[-1]["at"] == at and done(self.lines[-1]):
                    return self.lines[-1]
        raise AssertionError(f"it ended ({await self._process.wait()}) without {at!r}: {self.lines[-5:]}")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """As the power cord would."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        await self._process.wait()


def now() -> float:
    """A clock to measure with."""
    return time.perf_counter()
