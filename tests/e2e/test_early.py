"""RESUME in the first flight, over real QUIC: what it saves, and that a replay of it does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.clock import SystemClock
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.state import State
from quicchat.server.app import open_house
from quicchat.server.model import Policy
from quicchat.transport.dial import dial
from quicchat.transport.endpoint import Endpoint, listen
from quicchat.transport.options import Options
from quicchat.transport.quic import QuicLink
from quicchat.wire.chapters.accounts import Resume, Resumed
from quicchat.wire.chapters.session import VersionRequest, VersionResponse
from quicchat.wire.names import GENERAL, Room
from tests.conformance.peer import Peer
from tests.transport.sockets import AUTHORITY, IDENTITY, Tap, emptied, run

pytestmark = pytest.mark.socket

DEVICE = b"D" * 16


@dataclass
class Place:
    """A server, and what its log holds."""

    endpoint: Endpoint
    state: State

    @property
    def port(self) -> int:
        return self.endpoint.addresses[0][1]

    @property
    def head(self) -> int:
        """The last place of the room in which everybody is."""
        return len(self.state.rooms[Room(GENERAL)].log)

    async def come(
        self, device: bytes, *, ticket: bytes | None = None, port: int | None = None
    ) -> tuple[Peer, list[bytes]]:
        """A client, and the tickets it is given."""
        tickets: list[bytes] = []
        link = await dial(
            "127.0.0.1",
            port or self.port,
            trust=AUTHORITY.trust,
            ticket=ticket,
            on_ticket=tickets.append,
            early=True,
        )
        return Peer(link, device=device), tickets


@asynccontextmanager
async def opened() -> AsyncIterator[Place]:
    store = MemoryStore()
    assert isinstance(store.log, MemoryLog)
    async with open_house(store, SystemClock(), Policy(signup="open", least_iterations=1)) as door:
        endpoint = await listen([("127.0.0.1", 0)], IDENTITY, door.accept, options=Options(handshake_timeout=1.0))
        try:
            yield Place(endpoint, store.log._state)
        finally:
            await endpoint.close()


def first_flight(peer: Peer, token: bytes) -> None:
    """All that a client says at once when it comes back."""
    peer.say(VersionRequest(versions=(2,), device=peer.device), version=1)
    peer.say(Resume(token=token, have=(), outstanding=()), id=7, version=2)


def test_a_replayed_first_flight_does_nothing() -> None:
    """Q13 [13.1-2]: the token is not used up, nothing is logged, and the session that is there is not displaced."""

    async def main() -> None:
        async with opened() as place:
            peer, tickets = await place.come(DEVICE)
            token = (await peer.enter("alice", 2)).token
            assert token is not None
            head = place.head
            tap = Tap(place.port)
            with tap.socket:
                captured, _ = await place.come(DEVICE, ticket=tickets[0], port=tap.port)
                first_flight(captured, token)
                await tap.hear()
            captured.link._carriage._owner.hang_up()  # type: ignore[attr-defined]
            with tap.replay():
                await peer.barrier()
                (ghost,) = place.endpoint._unfinished
                assert isinstance(ghost.link, QuicLink)
                await emptied(place.endpoint)
            # It was heard, and answered into the void, but not carried out.
            assert ghost.link.closed is not None
            assert not ghost.link.established
            await peer.barrier()
            again, _ = await place.come(DEVICE)
            first_flight(again, token)
            assert (await again.hear(Resumed)).token not in (None, token)
            assert await peer.fatal() == Code.SESSION_REPLACED
            assert place.head == head
            again.link.close(Code.NO_ERROR)
            await again.end()

    run(main)


def test_coming_back_takes_one_flight() -> None:
    """Issue 3, item 4: version, token and places in the first flight; the answers come with the handshake."""

    async def main() -> None:
        async with opened() as place:
            peer, tickets = await place.come(DEVICE)
            token = (await peer.enter("alice", 2)).token
            assert token is not None
            peer.link.close(Code.NO_ERROR)
            await peer.end()
            back, _ = await place.come(DEVICE, ticket=tickets[0])
            first_flight(back, token)
            assert (await back.hear(VersionResponse)).version == 2
            assert (await back.hear(Resumed)).token != token
            back.link.close(Code.NO_ERROR)
            await back.end()

    run(main)
