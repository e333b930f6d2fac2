"""Loss and latency: what a lost packet holds up, with all rooms on one stream and with a stream for each."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

from quicchat.client import lanes
from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.protocol.limits import Limits
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import open_house
from quicchat.server.model import Policy
from quicchat.tools.sim import network
from quicchat.tools.sim.chance import Draws, LoopClock, Trace, surroundings
from quicchat.tools.sim.machine import ADDRESS, NAME, PORT, identity, trust
from quicchat.tools.sim.network import Network, SimLoop
from quicchat.transport import virtual
from quicchat.transport.dial import dial
from quicchat.transport.endpoint import listen
from quicchat.transport.options import Options
from quicchat.wire.chapters.messages import Message
from tests.bench.table import Row

ROOMS = 20
RATE = 60
SECONDS = 100
ONE_WAY = 0.04
LATE_MS = 100
TEXT = "x" * 100


async def _late(seed: int, streams: int) -> float:
    """Percent of messages that the application was given more than 100 ms after they were posted."""
    net = Network(seed, Trace())
    clock = LoopClock(Draws(seed, "server"))
    async with open_house(MemoryStore(), clock, Policy(signup="open", least_iterations=1)) as door:
        endpoint = await listen([(ADDRESS, PORT)], identity(), door.accept, options=Options(udp=net.server.udp))
        near, far = net.client("near", 0.0005), net.client("far", ONE_WAY)
        chats = []
        for user, host, most in (("alice", near, 0), ("bob", far, streams)):
            link = await dial(ADDRESS, PORT, trust=trust(), server_name=NAME, options=Options(udp=host.udp))
            chat = Chat(link, limits=Limits(room_streams=most), surroundings=surroundings(Draws(seed, user)))
            await chat.open(Identity(user=user, password="x", sign_up=True, iterations=1, least_iterations=1))
            for number in range(ROOMS):
                await chat.join(f"room{number}", create=True)
            chats.append(chat)
        late = await _talk(*chats)
        for chat in chats:
            await chat.close()
        await endpoint.close()
    return late


async def _talk(alice: Chat, bob: Chat) -> float:
    loop = asyncio.get_running_loop()
    posted: dict[str, float] = {}
    took: list[float] = []

    async def listen_() -> None:
        async for event in bob:
            if isinstance(event, Message) and event.text and event.text.startswith(TEXT):
                took.append(loop.time() - posted[event.text])
                if len(took) == RATE * SECONDS:
                    return

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen_())
        for number in range(RATE * SECONDS):
            text = f"{TEXT}{number}"
            posted[text] = loop.time()
            tasks.create_task(alice.post(f"room{number % ROOMS}", text))
            await asyncio.sleep(1 / RATE)
    # What comes first has no stream yet: each room gets its own with its second message.
    counted = took[2 * ROOMS :]
    return sum(each * 1000 > LATE_MS for each in counted) / len(counted) * 100


def rows() -> list[Row]:
    """All measurements of this module, once: in virtual time, over real QUIC state machines."""
    found = []
    for loss in (0.01, 0.03):
        for streams, name in ((0, "one stream"), (ROOMS, "a stream a room")):
            with (
                patch.multiple(network, LOSS=loss, DOUBLED=0.0, OVERTAKEN=0.0),
                patch.object(lanes.Lanes.__init__, "__kwdefaults__", {"most": ROOMS}),
            ):
                late = virtual.run(_late(1, streams), kind=SimLoop, patience=600.0)
            found.append(
                Row(f"late at {loss:.0%} loss, {name}", late, "%", f"{ROOMS} rooms, RTT 80 ms, > {LATE_MS} ms")
            )
    return found
