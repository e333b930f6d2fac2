"""What the tests of a whole server share: a house in virtual time, clients on a simulated network. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from quicchat.client.api import Chat
from quicchat.client.inbox import Event
from quicchat.client.login import Identity
from quicchat.client.memory import Memory
from quicchat.errors import Code, Refused
from quicchat.protocol.limits import Limits
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import Door, Store, open_house
from quicchat.server.model import Policy
from quicchat.server.rates import Rates
from quicchat.transport import virtual
from quicchat.transport.memory import MemoryLink, Network
from quicchat.wire.chapters.messages import Message
from quicchat.wire.registry import VERSIONS, Pdu

T = TypeVar("T")
OPEN = Policy(signup="open", least_iterations=1, welcome="Welcome.")


class VirtualClock:
    """The port `Clock` on the loop's time, with bytes that only count up."""

    def __init__(self) -> None:
        self._drawn = 0

    def now(self) -> int:
        return 1_800_000_000_000 + round(asyncio.get_running_loop().time() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self, size: int) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(size, "big")


class World:
    """A server and its network; `enter` brings in a client that is closed at the end."""

    def __init__(self, network: Network, store: Store, door: Door) -> None:
        self.network = network
        self.store = store
        self.door = door
        self.chats: list[Chat] = []

    def link(self) -> MemoryLink:
        return self.network.dial()

    async def enter(
        self,
        user: str,
        *,
        password: str = "secret",
        sign_up: bool = True,
        device: bytes = b"",
        versions: tuple[int, ...] = VERSIONS,
        memory: Memory | None = None,
    ) -> Chat:
        chat = Chat(self.link(), versions=versions, device=device, memory=memory)
        self.chats.append(chat)
        await chat.open(Identity(user=user, password=password, sign_up=sign_up, iterations=1))
        return chat


@asynccontextmanager
async def world(
    policy: Policy = OPEN,
    *,
    store: Store | None = None,
    limits: Limits | None = None,
    versions: tuple[int, ...] = VERSIONS,
    rates: Rates | None = None,
    **conditions: Any,
) -> AsyncIterator[World]:
    """A served network; `conditions` are those of `Network`. Without `rates` nobody asks too often."""
    kept = store or MemoryStore()
    network = Network(**{"latency": 0.005, **conditions})
    async with open_house(kept, VirtualClock(), policy, limits=limits, versions=versions, rates=rates) as door:
        network.listen(door.accept)
        here = World(network, kept, door)
        yield here
        for chat in here.chats:
            if chat.lost is None:
                await chat.close()


def play(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a scenario in virtual time."""
    return virtual.run(scenario())


async def happened(chat: Chat, seconds: float = 2.0) -> list[Event]:
    """All events of a chat until nothing has come for so long."""
    events: list[Event] = []
    while True:
        try:
            async with asyncio.timeout(seconds):
                events.append(await anext(chat))
        except (TimeoutError, StopAsyncIteration):
            return events


async def heard(chat: Chat, seconds: float = 2.0) -> list[Pdu]:
    """What of it the server said."""
    return [event for event in await happened(chat, seconds) if isinstance(event, Pdu)]


async def texts(chat: Chat, room: str | None = None) -> list[str]:
    """The texts among the events that wait, of one room or of all."""
    found = [event for event in await heard(chat) if isinstance(event, Message)]
    return [event.text or "" for event in found if room in (None, event.room)]


async def refusal(request: Coroutine[Any, Any, object]) -> Code:
    """The code with which a request is refused; a failure where it is not."""
    try:
        await request
    except Refused as refused:
        return refused.code
    raise AssertionError("the request was carried out")
