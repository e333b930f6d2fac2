"""A server for scripts: in this loop on a simulated network, or as a process of its own. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from quicchat.client.api import Chat
from quicchat.client.chance import HERE, Surroundings
from quicchat.client.memory import Memory, PlainMemory
from quicchat.client.trusting import Trusting
from quicchat.config import ServerConfig
from quicchat.errors import QuicchatError
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import open_house, rules
from quicchat.server.model import Credentials
from quicchat.tools.scenario.script import Change
from quicchat.transport.link import Link
from quicchat.transport.memory import Network
from quicchat.wire.names import PARROT

#: Everybody may come in, and cheaply.
_OPEN: Final = ("--no-demo", "--signup", "open", "--iterations", "1")
#: A date for the virtual clock to begin at: 2027-01-15 08:00:00 UTC, in ms.
_DAWN: Final = 1_800_000_000_000
_LATENCY: Final = 0.005


class VirtualClock:
    """The port `Clock` on the loop's time, with bytes that only count up."""

    def __init__(self) -> None:
        self._drawn = 0

    def now(self) -> int:
        return _DAWN + round(asyncio.get_running_loop().time() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self, size: int) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(size, "big")


class MemoryServer:
    """A server in this loop, whose store outlives it. `configure` reads flags as the command line does."""

    def __init__(self, configure: Callable[[list[str]], ServerConfig]) -> None:
        self.network = Network(latency=_LATENCY, record=False)
        self._configure = configure
        self._store = MemoryStore()
        self._clock = VirtualClock()
        self._config: ServerConfig
        self._open: AsyncExitStack | None = None
        self._memories: dict[tuple[str, str], PlainMemory] = {}

    def meeting(self, device: str) -> dict[str, Any]:
        """What `Contact` needs to reach it; the memory of a device outlives its programs."""

        async def dial(early: bool) -> Link:
            return self.network.dial(early=early)

        async def meet(
            *_: object,
            versions: tuple[int, ...],
            device: bytes,
            reconnect: bool,
            memory: Memory,
            timeout: float,
            trusting: Trusting,
            surroundings: Surroundings = HERE,
        ) -> Chat:
            link, kept, again = await dial(False), await memory.load(), dial if reconnect else None
            return Chat(
                link,
                versions=versions,
                device=device,
                memory=memory,
                kept=kept,
                dial=again,
                surroundings=surroundings,
            )

        def remember(user: str) -> Memory:
            return self._memories.setdefault((device, user), PlainMemory())

        return {"meet": meet, "remember": remember}

    async def serve(self, flags: Sequence[str]) -> None:
        self._config = self._configure([*_OPEN, *flags])
        nobody = Credentials(salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))
        await self._store.accounts.sign_up(PARROT, nobody, at=self._clock.now())
        await self.turn("starts")

    async def turn(self, change: Change) -> None:
        if change == "starts":
            self._open = AsyncExitStack()
            house = open_house(self._store, self._clock, rules(self._config))
            door = await self._open.enter_async_context(house)
            self.network.listen(door.accept)
            return
        if change == "is killed":
            self.network.crash()
        self.network.deafen()
        await self.close()

    async def close(self) -> None:
        if self._open is not None:
            await self._open.aclose()
            self._open = None


class ProcessServer:
    """A server process on a free port, with a data directory below `home`."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.port = 0
        #: The certificate that clients trust.
        self.ca = home / "server" / "certs" / "ca.pem"
        self._home = home
        self._environment = environment
        self._flags: Sequence[str] = ()
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    async def serve(self, flags: Sequence[str]) -> None:
        self._flags = flags
        await self.turn("starts")

    async def turn(self, change: Change) -> None:
        if change == "starts":
            await self._start()
        else:
            await self._end(killed=change == "is killed")

    async def close(self) -> None:
        await self._end(killed=False)

    async def _start(self) -> None:
        words = ("-l", "127.0.0.1", "-p", str(self.port), "--data", str(self._home / "server"), "--log-format", "json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "quicchat", "server", *words, *_OPEN, *self._flags),
            env=self._environment,
            stderr=asyncio.subprocess.PIPE,
        )
        self._process = process
        assert process.stderr is not None
        while line := await process.stderr.readline():
            found = json.loads(line)
            if found.get("event") == "listening":
                self.port = found["port"]
                # Whatever it logs from now on must not fill the pipe.
                self._drain = asyncio.get_running_loop().create_task(_drain(process.stderr))
                return
        raise QuicchatError(f"the server did not start (exit code {await process.wait()})")

    async def _end(self, *, killed: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill() if killed else process.terminate()
        await process.wait()
        if self._drain is not None:
            await self._drain


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        continue
