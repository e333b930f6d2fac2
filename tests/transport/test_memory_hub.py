"""A simulated network with many links: listeners, addresses, crashes, the trace, and a loop in real time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent
from quicchat.transport.memory import MemoryLink, Network, Sent
from quicchat.transport.memory.streams import Ack, Chunk
from tests.transport.ears import LATENCY, Ear, connected, line, now, virtually


@virtually
async def test_a_server_accepts_many_clients() -> None:
    """R1.3, R3.9: one link for each client, made when his first packet comes, with an address of his own."""
    network = line()
    accepted: list[tuple[float, MemoryLink]] = []
    ears: list[Ear] = []

    def accept(link: MemoryLink) -> None:
        accepted.append((now(), link))
        ears.append(Ear(link))

    network.listen(accept)
    clients = [network.dial() for _ in range(50)]
    for number, client in enumerate(clients):
        client.send(client.open(), b"%d" % number)
    assert accepted == []
    await asyncio.sleep(5)
    assert {at for at, _ in accepted} == {LATENCY}
    assert [link.peer for _, link in accepted] == [client.address for client in clients]
    assert len({client.address for client in clients}) == 50
    assert [ear.said[0] for ear in ears] == [b"%d" % number for number in range(50)]


@virtually
async def test_nobody_listens() -> None:
    """facts §7: connecting to a closed port is not noticed until the idle timeout."""
    network = line()
    ear = Ear(network.dial())
    await asyncio.sleep(29)
    assert ear.heard == []
    await asyncio.sleep(5)
    assert ear.heard == [(30, Closed(1, "Idle timeout", remote=False))]


@virtually
async def test_servers_have_addresses() -> None:
    """C1, C4: two nodes at two addresses; a client reaches the one he dialed."""
    network = line()
    nodes: dict[str, list[MemoryLink]] = {"192.0.2.1:1": [], "192.0.2.2:1": []}
    for address, links in nodes.items():
        network.listen(links.append, address=address)
    network.dial("192.0.2.2:1")
    network.dial("192.0.2.1:1")
    network.dial("192.0.2.2:1")
    await asyncio.sleep(1)
    assert [len(links) for links in nodes.values()] == [1, 2]
    assert {link.address for link in nodes["192.0.2.2:1"]} == {"192.0.2.2:1"}


@virtually
async def test_a_server_that_stops_listening_keeps_its_links() -> None:
    """C10: drain: no new connections, the old ones go on."""
    network = line()
    links: list[MemoryLink] = []
    network.listen(links.append)
    old = network.dial()
    await asyncio.sleep(1)
    network.deafen()
    network.deafen()
    new = Ear(network.dial())
    ear = Ear(links[0])
    old.send(old.open(), b"still here")
    await asyncio.sleep(1)
    assert ear.said[0] == b"still here"
    assert new.heard == []
    assert len(links) == 1


@virtually
async def test_a_server_crashes_and_comes_back() -> None:
    """C1, D1: its links die without a word; the clients notice late; who dials after the restart is served."""
    network = line()
    links: list[MemoryLink] = []
    network.listen(links.append)
    elsewhere = Network(latency=LATENCY)
    old = network.dial()
    other, _, _, at_other = await connected(elsewhere)
    at_old = Ear(old)
    await asyncio.sleep(1)
    server_ear = Ear(links[0])
    await asyncio.sleep(1)
    network.crash()
    old.send(old.open(), b"to nobody")
    other.send(other.open(), b"unharmed")
    await asyncio.sleep(1)
    network.listen(links.append)
    new = Ear(network.dial())
    await asyncio.sleep(60)
    assert server_ear.events == [Established()]
    assert at_old.closed == Closed(1, "Idle timeout", remote=False)
    assert new.events[0] == Established()
    assert at_other.said[0] == b"unharmed"
    assert len(links) == 2


@virtually
async def test_the_trace_is_everything_that_was_sent() -> None:
    """R3.5, design §8: a test may look at what was on the line, and when; or keep nothing at all."""
    network = line()
    client, _, _, _ = await connected(network)
    began, sent = now(), len(network.trace)
    client.send(client.open(), b"hello")
    client.datagram(b"hi")
    await asyncio.sleep(5)
    data, ack = network.trace[sent:]
    assert data == Sent(began, "client-1", 4, (Datagram(b"hi"), Chunk(0, 0, b"hello")), (began + LATENCY,))
    assert ack == Sent(began + LATENCY, "server-1", 4, (Ack((4,)),), (began + 2 * LATENCY,))
    network.record = False
    client.send(0, b"more")
    await asyncio.sleep(5)
    assert len(network.trace) == sent + 2


def test_it_works_on_a_real_loop_too() -> None:
    """design §8: the same simulation in real time, for programs that cannot do without it."""

    async def main() -> float:
        network = Network(latency=0.002, loss=0.1, seed=1)
        done = asyncio.Event()

        def accept(link: MemoryLink) -> None:
            def echo(events: list[LinkEvent]) -> None:
                for event in events:
                    if isinstance(event, Bytes):
                        link.send(event.sid, event.data, fin=event.fin)

            link.on_events = echo

        network.listen(accept)
        client = network.dial()
        said: list[Any] = []

        def hear(events: list[LinkEvent]) -> None:
            said.extend(event.data for event in events if isinstance(event, Bytes))
            if any(isinstance(event, Bytes) and event.fin for event in events):
                done.set()

        client.on_events = hear
        client.send(client.open(), b"x" * 30_000, fin=True)
        began = time.monotonic()
        async with asyncio.timeout(20):
            await done.wait()
        assert b"".join(said) == b"x" * 30_000
        return time.monotonic() - began

    assert asyncio.run(main()) >= 0.008
