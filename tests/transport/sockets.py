"""What tests over real sockets share: an ear at a link, and a server that answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from quicchat.errors import Code
from quicchat.protocol.events import Bytes, Closed, LinkEvent, Writable
from quicchat.transport.dial import dial
from quicchat.transport.endpoint import Endpoint, listen
from quicchat.transport.identity import Trust
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from tests.certs import Authority

#: Longer than any test waits on a busy machine.
PATIENCE = 20.0
#: What a pump keeps unsent, and below what it fills up again.
HIGH, LOW = 262_144, 65_536
AUTHORITY = Authority()
IDENTITY = AUTHORITY.issue()


class Ear:
    """Hears what a link reports; with `echo` it answers every byte with itself."""

    def __init__(self, link: Link, *, echo: bool = False) -> None:
        self.link = link
        self.echo = echo
        self.turns: list[list[LinkEvent]] = []
        self._heard = asyncio.Event()
        link.on_events = self.hear

    @property
    def events(self) -> list[LinkEvent]:
        return [event for turn in self.turns for event in turn]

    @property
    def data(self) -> bytes:
        """All bytes heard, of whichever stream."""
        return b"".join(event.data for event in self.events if isinstance(event, Bytes))

    @property
    def closed(self) -> Closed | None:
        last = self.events[-1] if self.turns else None
        return last if isinstance(last, Closed) else None

    def hear(self, events: list[LinkEvent]) -> None:
        self.turns.append(events)
        for event in events:
            if self.echo and isinstance(event, Bytes):
                self.link.send(event.sid, event.data, fin=event.fin)
        self._heard.set()

    async def until(self, done: Callable[[], object]) -> None:
        """Wait until something is true after an event."""
        async with asyncio.timeout(PATIENCE):
            while not done():
                self._heard.clear()
                await self._heard.wait()

    async def hears(self, size: int) -> None:
        """Wait for so many bytes in all."""
        await self.until(lambda: len(self.data) >= size)

    async def say(self, data: bytes) -> None:
        """Say something on a new stream, and wait until it has been echoed."""
        heard = len(self.data)
        self.link.send(self.link.open(), data, fin=True)
        await self.hears(heard + len(data))
        assert self.data[heard:] == data

    async def end(self) -> Closed:
        """Wait for the end of the link."""
        await self.until(lambda: self.closed)
        assert self.closed is not None
        return self.closed


class Pump:
    """Sends data on a stream, never more than `HIGH` bytes ahead of what leaves."""

    def __init__(self, ear: Ear, sid: int, data: bytes) -> None:
        self.link, self.sid, self.data = ear.link, sid, data
        self.at = self.most = 0
        self.listen, ear.link.on_events = ear.hear, self.hear
        self.fill()

    def hear(self, events: list[LinkEvent]) -> None:
        self.listen(events)
        if Writable(self.sid) in events:
            assert self.link.unsent(self.sid) < LOW
            self.fill()

    def fill(self) -> None:
        start, self.at = self.at, min(self.at + HIGH - self.link.unsent(self.sid), len(self.data))
        self.link.send(self.sid, self.data[start : self.at], fin=self.at == len(self.data))
        self.most = max(self.most, self.link.unsent(self.sid))
        if self.at < len(self.data):
            self.link.watch(self.sid, LOW)


class Server:
    """An endpoint, an ear at each of its links, and its clients."""

    def __init__(self, *, echo: bool) -> None:
        self.echo = echo
        self.ears: list[Ear] = []
        self.clients: list[Ear] = []
        self.endpoint: Endpoint
        self._joined = asyncio.Event()

    @property
    def port(self) -> int:
        return self.endpoint.addresses[0][1]

    def on_link(self, link: Link) -> None:
        self.ears.append(Ear(link, echo=self.echo))
        self._joined.set()

    async def joined(self, count: int) -> None:
        """Wait for so many links; a client's handshake is complete a little before the server's."""
        async with asyncio.timeout(PATIENCE):
            while len(self.ears) < count:
                self._joined.clear()
                await self._joined.wait()

    async def dial(self, host: str = "127.0.0.1", *, trust: Trust = AUTHORITY.trust, **options: Any) -> Ear:
        """A client of this server."""
        ear = Ear(await dial(host, self.port, trust=trust, **options))
        self.clients.append(ear)
        await self.joined(len(self.clients))
        return ear


@asynccontextmanager
async def serve(
    *addresses: tuple[str, int], options: Options | None = None, echo: bool = True
) -> AsyncIterator[Server]:
    """A server for the length of a block, by default on any port of 127.0.0.1; it outlives its clients."""
    server = Server(echo=echo)
    where = addresses or (("127.0.0.1", 0),)
    server.endpoint = await listen(where, IDENTITY, server.on_link, options=options)
    try:
        yield server
    finally:
        await server.endpoint.close()
        for client in server.clients:
            await client.end()


class Tap:
    """Stands where a client believes its server, and keeps what the client sends."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.server = ("127.0.0.1", port)
        self.heard: list[bytes] = []

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    async def hear(self) -> None:
        """Wait for the first flight, which is one packet."""
        async with asyncio.timeout(PATIENCE):
            self.heard.append(await asyncio.get_running_loop().sock_recv(self.socket, 65_535))

    def replay(self) -> socket.socket:
        """Send what was heard from a new address."""
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for data in self.heard:
            stranger.sendto(data, self.server)
        return stranger


async def acquainted(server: Server, *, owner: str | None = None, quiet: bool = False) -> bytes:
    """The ticket of a client who was there, perhaps logged in, and left."""
    tickets: list[bytes] = []
    ear = await server.dial(on_ticket=tickets.append)
    if owner is not None:
        server.ears[-1].link.authenticated(owner)
    if quiet:
        server.ears[-1].link.send(server.ears[-1].link.open(), b"hello")
        await ear.hears(5)
    else:
        await ear.say(b"hello")
    ear.link.close(Code.NO_ERROR)
    await ear.end()
    return tickets.pop()


async def emptied(endpoint: Endpoint) -> None:
    """Wait until no handshake is under way."""
    ended = endpoint._emptied
    async with asyncio.timeout(PATIENCE):
        while endpoint.unfinished:
            ended.clear()
            await ended.wait()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test in a loop of its own, for a bounded time."""

    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await main()

    asyncio.run(bounded())
