"""The simulated network on a bad line: what it does to packets, and that links keep their promises all the same."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.protocol.events import Bytes, Closed, Established
from quicchat.transport.memory import Network, Sent, pair
from quicchat.transport.memory.streams import Chunk
from quicchat.transport.virtual import run
from tests.transport.ears import HOP, LATENCY, Ear, connected, line, now, virtually

chances = st.sampled_from([0.0, 0.05, 0.3])


async def converse(network: Network, streams: int, seed: int) -> tuple[Ear, Ear, dict[tuple[bool, int], bytes], float]:
    """Random bytes both ways over many streams at once; what was heard, what was said, and how long it took."""
    client, server, at_client, at_server = await connected(network)
    began = now()
    chance = random.Random(seed)
    said: dict[tuple[bool, int], bytes] = {}
    for number in range(streams):
        link = (client, server)[number % 2]
        sid = link.open(uni=chance.random() < 0.3)
        said[link is client, sid] = b""
        for _ in range(chance.randrange(4)):
            piece = chance.randbytes(chance.randrange(6000))
            said[link is client, sid] += piece
            link.send(sid, piece)
            await asyncio.sleep(chance.random() * 0.02)
        link.send(sid, b"", fin=True)
    for _ in range(1000):
        if not client.backlog() + server.backlog() and len(at_client.finished) + len(at_server.finished) == streams:
            break
        await asyncio.sleep(0.1)
    return at_client, at_server, said, now() - began


@given(chances, chances, chances, chances, st.sampled_from([0.0, 0.02]), st.integers(0, 1000))
def test_streams_survive_every_line(
    loss: float, duplication: float, reordering: float, split: float, jitter: float, seed: int
) -> None:
    """R0.6, R0.7: lost, doubled, overtaken, cut: each stream arrives whole, in order, once, and ends once."""
    network = Network(
        seed=seed, latency=0.03, jitter=jitter, loss=loss, duplication=duplication, reordering=reordering, split=split
    )
    at_client, at_server, said, _ = run(converse(network, 8, seed))
    heard = {(True, sid): at_server.said[sid] for by_client, sid in said if by_client}
    heard |= {(False, sid): at_client.said[sid] for by_client, sid in said if not by_client}
    assert heard == said
    assert at_client.closed is at_server.closed is None


def test_every_fault_really_happens() -> None:
    """hostile.md, deterministic simulation: a network that is told to lose, double and reorder does so."""
    network = Network(seed=5, latency=0.03, loss=0.1, duplication=0.1, reordering=0.3, split=0.5)
    run(converse(network, 12, 5))
    fates = Counter(len(sent.arrivals) for sent in network.trace)
    assert len(network.trace) > 100
    for fate in (0, 2):
        assert 0.04 < fates[fate] / len(network.trace) < 0.2
    arrivals = [sent.arrivals[0] for sent in network.trace if sent.link.startswith("client") and sent.arrivals]
    assert sum(late > early for late, early in itertools.pairwise(arrivals)) > 10
    again = Counter(
        (frame.sid, frame.offset, frame.fin)
        for sent in network.trace
        for frame in sent.frames
        if isinstance(frame, Chunk) and sent.link.startswith("client")
    )
    assert max(again.values()) > 1


def test_the_same_seed_gives_the_same_run() -> None:
    """design §8: a failing seed runs again exactly, packet by packet; another one does not."""

    def traced(seed: int) -> list[Sent]:
        network = Network(
            seed=seed, latency=0.03, jitter=0.01, loss=0.1, duplication=0.1, reordering=0.3, split=0.5, bandwidth=1e5
        )
        run(converse(network, 6, 1))
        return network.trace

    assert traced(1) == traced(1)
    assert traced(1) != traced(2)


def test_the_luck_of_one_connection_is_its_own() -> None:
    """design §8: a second client more does not change what happens to the first, so that a failure can be narrowed."""

    async def main(others: int) -> list[Sent]:
        network = line(loss=0.2, seed=4)
        first, *_ = await connected(network)
        rest = [pair(network)[0] for _ in range(others)]
        for link in (first, *rest):
            link.send(link.open(), bytes(20_000), fin=True)
        await asyncio.sleep(60)
        return [sent for sent in network.trace if sent.link in ("client-1", "server-1")]

    assert run(main(0)) == run(main(3))


@virtually
async def test_a_lost_packet_delays_only_its_streams() -> None:
    """R0.6, facts §2: streams are not ordered among each other: the next one does not wait for the first."""
    network = line()
    client, _, _, at_server = await connected(network)
    began = now()
    network.loss = 1.0
    unlucky = client.open()
    client.send(unlucky, b"lost at first")
    client.flush()
    network.loss = 0.0
    lucky = client.open()
    client.send(lucky, b"on time")
    client.flush()
    client.send(unlucky, b", and what follows")
    await asyncio.sleep(10)
    assert at_server.when(Bytes(lucky, b"on time")) == began + LATENCY
    assert at_server.said[unlucky] == b"lost at first, and what follows"
    late = [at for at, event in at_server.heard if isinstance(event, Bytes) and event.sid == unlucky]
    # Missed a round trip and a little after it left, then one more way.
    assert late[0] == pytest.approx(began + 2 * LATENCY + LATENCY + LATENCY)


@virtually
async def test_a_lost_acknowledgement_doubles_nothing() -> None:
    """R0.5, R0.6: the packet comes again, and its bytes do not."""
    network = line()
    client, _, _, at_server = await connected(network)
    sid = client.open()
    client.send(sid, b"once", fin=True)
    client.flush()
    network.loss = 1.0
    await asyncio.sleep(HOP)
    assert at_server.said[sid] == b"once"
    network.loss = 0.0
    assert client.backlog() == 4
    await asyncio.sleep(5)
    assert client.backlog() == 0
    assert at_server.events == [Bytes(sid, b"once", True)]


@virtually
async def test_datagrams_are_lost_doubled_and_overtaken() -> None:
    """events.Datagram: unordered, perhaps doubled, perhaps the only one of its kind to arrive; never sent again."""
    network = line(loss=0.2, duplication=0.2, reordering=0.2, seed=9)
    client, _, _, at_server = await connected(network)
    for number in range(1000):
        assert client.datagram(number.to_bytes(2, "big"))
        client.flush()
        await asyncio.sleep(0.002)
    await asyncio.sleep(10)
    heard = [int.from_bytes(each, "big") for each in at_server.datagrams]
    times = Counter(heard)
    assert 700 < len(times) < 900
    assert set(times.values()) == {1, 2}
    assert 80 < sum(count == 2 for count in times.values()) < 280
    assert sum(late < early for early, late in itertools.pairwise(heard)) > 50


@virtually
async def test_jitter_alone_keeps_the_order() -> None:
    """Network.jitter: a queue that is longer now and then; being overtaken is a condition of its own."""
    network = line(jitter=0.1)
    client, _, _, at_server = await connected(network)
    began = now()
    for number in range(200):
        client.datagram(number.to_bytes(2, "big"))
        client.flush()
        await asyncio.sleep(0.001)
    await asyncio.sleep(10)
    assert at_server.datagrams == [number.to_bytes(2, "big") for number in range(200)]
    spent = [at - began - 0.001 * number for number, (at, _) in enumerate(at_server.heard)]
    assert min(spent) >= LATENCY
    assert LATENCY + 0.05 < max(spent) <= LATENCY + 0.1


@virtually
async def test_bandwidth() -> None:
    """facts §2: 100 kB over 10 kB/s take ten seconds, and what is said meanwhile waits its turn in the queue."""
    network = line(bandwidth=10_000, window=20_000)
    client, server, at_client, at_server = await connected(network)
    began = now()
    big = client.open()
    client.send(big, bytes(100_000), fin=True)
    await asyncio.sleep(3)
    assert 60_000 < client.backlog() < 90_000
    word = client.open()
    client.send(word, b"a word", fin=True)
    server.send(server.open(), b"the other direction is free")
    said = now()
    await asyncio.sleep(HOP + 0.02)
    assert at_client.said[1] == b"the other direction is free"
    await asyncio.sleep(60)
    assert began + 10 < at_server.finished[big] < began + 12
    assert 0.5 < at_server.finished[word] - said < 3
    resent = Counter(frame for sent in network.trace for frame in sent.frames if isinstance(frame, Chunk))
    assert max(resent.values()) == 1


@virtually
async def test_the_window_bounds_what_is_under_way() -> None:
    """facts §7: bounding the bytes in flight matters more than any priority."""
    network = line(window=5000)
    client, *_ = await connected(network)
    sent = len(network.trace)
    client.send(client.open(), bytes(50_000))
    client.flush()
    assert 4 <= len(network.trace) - sent <= 6
    await asyncio.sleep(60)
    assert client.backlog() == 0


@virtually
async def test_a_partition_that_heals_loses_nothing() -> None:
    """P4, P6: what could not pass arrives within a second or so after the line is back."""
    network = line()
    client, server, at_client, at_server = await connected(network)
    sid = client.open()
    client.send(sid, b"before, ")
    await asyncio.sleep(1)
    network.partition()
    client.send(sid, b"meanwhile, ")
    server.send(server.open(), b"and back")
    await asyncio.sleep(20)
    assert at_server.said[sid] == b"before, "
    assert at_client.said == {}
    network.heal()
    healed = now()
    client.send(sid, b"after")
    await asyncio.sleep(5)
    assert at_server.said[sid] == b"before, meanwhile, after"
    assert at_client.said[1] == b"and back"
    assert at_server.heard[-1][0] < healed + 1 + 4 * LATENCY


@virtually
async def test_a_partition_may_part_some() -> None:
    """P4, C2: one client is cut off, by its address or the server's; the others notice nothing."""
    network = line()
    cut, _, _, at_cut = await connected(network)
    free, _, _, at_free = await connected(network)
    network.partition(cut.address)
    for link in (cut, free):
        link.send(link.open(), b"x")
    await asyncio.sleep(1)
    assert at_free.said[0] == b"x"
    assert at_cut.said == {}
    network.partition(free.peer)
    free.send(0, b"y")
    await asyncio.sleep(1)
    assert at_free.said[0] == b"x"
    network.heal()
    await asyncio.sleep(3)
    assert (at_cut.said[0], at_free.said[0]) == (b"x", b"xy")


@virtually
async def test_a_partition_that_lasts_ends_the_connection() -> None:
    """facts §7: silent death is noticed at the idle timeout, at either end."""
    network = line()
    client, _, at_client, at_server = await connected(network)
    network.partition()
    client.send(client.open(), b"x")
    await asyncio.sleep(100)
    assert at_client.closed == at_server.closed == Closed(1, "Idle timeout", remote=False)


@virtually
async def test_a_lost_close_is_not_repeated() -> None:
    """Q25: the peer of a close that was lost learns nothing until its idle timeout."""
    network = line()
    client, _, at_client, at_server = await connected(network)
    network.loss = 1.0
    client.close(0x100, "bye")
    network.loss = 0.0
    closed = now()
    await asyncio.sleep(100)
    assert at_client.closed == Closed(0x100, "bye", remote=False)
    assert at_server.closed == Closed(1, "Idle timeout", remote=False)
    assert closed + 29 < at_server.heard[-1][0] <= closed + 30


@pytest.mark.parametrize("seed", range(20))
def test_the_handshake_survives_loss(seed: int) -> None:
    """Q11: half of all packets lost: both ends are established, once each, and what was said first comes first."""

    async def main() -> None:
        network = line(loss=0.5, duplication=0.3, reordering=0.3, seed=seed, handshake=25.0)
        accepted: list[Ear] = []
        network.listen(lambda link: accepted.append(Ear(link)))
        client = network.dial()
        at_client = Ear(client)
        client.send(client.open(), b"first")
        await asyncio.sleep(25)
        (at_server,) = accepted
        assert at_client.events == [Established()]
        assert at_server.events == [Established(), Bytes(0, b"first")]

    run(main())
