"""Coming back on a line with a round trip of 100 ms: from the call to the first answer."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from quicchat.client.api import Chat, connect
from quicchat.client.connect import Trusting
from quicchat.client.login import Identity
from quicchat.client.memory import PlainMemory
from quicchat.errors import Code
from quicchat.transport.dial import dial
from quicchat.wire.chapters.messages import Message
from tests.bench.table import Row
from tests.netem import Netem, netem
from tests.processes import CHEAP, ServerProcess
from tests.transport.sockets import AUTHORITY, Ear, serve

RTT = 0.1
#: About what VERSION_REQUEST and RESUME take together.
FIRST = bytes(300)


async def come_back(line: Netem, **options: Any) -> float:
    """Milliseconds until what was said first is answered."""
    start = time.perf_counter()
    ear = Ear(await dial(*line.address, trust=AUTHORITY.trust, **options))
    await ear.say(FIRST)
    took = time.perf_counter() - start
    await ear.say(b"until the next ticket is there")
    ear.link.close(Code.NO_ERROR)
    await ear.end()
    return took * 1000


async def _measure() -> list[Row]:
    tickets: list[bytes] = []
    rows = []
    async with serve() as server:
        with netem(("127.0.0.1", server.port), latency=RTT / 2) as line:
            for name, early in (("full handshake", None), ("with a ticket", False), ("with early data", True)):
                options = {} if early is None else {"ticket": tickets[-1], "early": early}
                took = await come_back(line, on_ticket=tickets.append, **options)
                rows.append(Row(f"RTT 100 ms: {name}", took, "ms", f"{took / RTT / 1000:.2f} RTT"))
    return rows


async def return_home() -> Row:
    """The whole way: a client of ours that knows its token and its rooms, until it has the first message it missed."""
    with tempfile.TemporaryDirectory() as name, ServerProcess(Path(name) / "server", *CHEAP) as process:
        data = Path(name) / "client"
        (data / "ca.pem").parent.mkdir()
        (data / "ca.pem").write_bytes(process.ca_pem)
        memory = PlainMemory()
        with netem(("127.0.0.1", process.port), latency=RTT / 2) as line:

            def come(user: str, memory: PlainMemory | None, *, sign_up: bool) -> AbstractAsyncContextManager[Chat]:
                identity = Identity(user=user, password="x", sign_up=sign_up, iterations=1, least_iterations=1)
                trusting = Trusting(ca=data / "ca.pem")
                host, port = line.address
                return connect(host, port, identity=identity, trusting=trusting, data=data / user, memory=memory)

            async with come("alice", memory, sign_up=True) as alice:
                await alice.ping()
            async with come("bob", None, sign_up=True) as bob:
                await bob.post("general", "while you were away")
                start = time.perf_counter()
                async with come("alice", memory, sign_up=False) as alice:
                    async for event in alice:
                        if isinstance(event, Message) and event.text == "while you were away":
                            break
                    took = time.perf_counter() - start
    return Row("RTT 100 ms: resume and catch up", took * 1000, "ms", f"{took / RTT:.2f} RTT, to the missed message")


async def _all() -> list[Row]:
    return [*await _measure(), await return_home()]


def rows() -> list[Row]:
    """All measurements of this module, once."""
    return asyncio.run(_all())
