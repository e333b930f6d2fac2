"""Servers for conformance tests: over real QUIC on a free port, or over a simulated network in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from quicchat.protocol.limits import Limits
from quicchat.server.adapters.clock import SystemClock
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import Door, Store, open_house
from quicchat.server.model import Policy
from quicchat.server.ports import Blobs, Share
from quicchat.transport import virtual
from quicchat.transport.dial import dial
from quicchat.transport.endpoint import listen
from quicchat.transport.identity import Trust
from quicchat.transport.link import Link
from quicchat.transport.memory import Network
from quicchat.wire.registry import VERSIONS
from tests.certs import Authority

T = TypeVar("T")
RUN = os.urandom(3).hex()
_numbers = itertools.count()
#: Longest that one scenario may take, in seconds.
PATIENCE = 20.0
AUTHORITY = Authority()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server that can be called. What is None is not ours to touch; `iterations` are what its policy demands.

    `hung_up` holds what waits for the end of each call: a QUIC connection outlives its close for a moment. `address`
    is where a server listens that is on a network.
    """

    call: Callable[[], Awaitable[Link]]
    iterations: int = 1
    store: Store | None = None
    door: Door | None = None
    network: Network | None = None
    address: tuple[str, int] | None = None
    hung_up: list[Callable[[], Awaitable[object]]] = field(default_factory=list)


@asynccontextmanager
async def _open(
    store: Store | None,
    versions: tuple[int, ...] = VERSIONS,
    limits: Limits | None = None,
    share: Share | None = None,
    blobs: Blobs | None = None,
    **policy: Any,
) -> AsyncIterator[tuple[Store, Door]]:
    """By default anybody may sign up, and the derivation costs nothing."""
    store = store or MemoryStore()
    rules = Policy(**{"signup": "open", "least_iterations": 1, **policy})
    try:
        async with open_house(
            *(store, SystemClock(), rules), share=share, blobs=blobs, limits=limits, versions=versions, node="test"
        ) as door:
            yield store, door
    finally:
        await store.close()


@asynccontextmanager
async def serving(store: Store | None = None, **rules: Any) -> AsyncIterator[Place]:
    """A server on a free port of the loopback address; `rules` are versions, limits, and fields of the policy."""
    async with contextlib.AsyncExitStack() as stack:
        store, door = await stack.enter_async_context(_open(store, **rules))
        endpoint = await listen([("127.0.0.1", 0)], AUTHORITY.issue(), door.accept)
        stack.push_async_callback(endpoint.close)
        address = endpoint.addresses[0]
        yield Place(call=caller(*address, AUTHORITY.trust), store=store, door=door, address=address)


@asynccontextmanager
async def simulated(store: Store | None = None, **rules: Any) -> AsyncIterator[Place]:
    """A server on a simulated network, without loss unless the test wants it."""
    async with _open(store, **rules) as (store, door):
        network = Network(latency=0.010)
        network.listen(door.accept)

        async def call() -> Link:
            return network.dial()

        yield Place(call=call, store=store, door=door, network=network)


def somebody() -> str:
    """A name that no other test and no other run uses."""
    return f"t{RUN}-{next(_numbers)}"


def caller(host: str, port: int, trust: Trust) -> Callable[[], Awaitable[Link]]:
    """What connects to a server over QUIC."""
    return lambda: dial(host, port, trust=trust)


class House:
    """One server for many tests; `run` plays a scenario in its loop."""

    def __init__(self, runner: asyncio.Runner, place: Place) -> None:
        self.place = place
        self._runner = runner

    async def quiet(self) -> None:
        """Wait until every call is over."""
        for over in self.place.hung_up:
            await over()
        self.place.hung_up.clear()

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        """Play one scenario, in bounded time."""

        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE):
                return await scenario

        return self._runner.run(bounded())


def play(scenario: Coroutine[Any, Any, T]) -> T:
    """Play a scenario on `simulated` servers, in virtual time."""
    return virtual.run(scenario)
