"""Flights: packets of a bulk stream that are made by ourselves, as aioquic would make them."""

from __future__ import annotations

import random

import pytest

from quicchat.protocol.events import Bytes
from quicchat.transport.flights import Flight
from quicchat.transport.options import Options
from quicchat.transport.pace import PacedConnection
from tests.transport.pair import SERVER, End, Pair

SIZE = 700_000
SMALL = Options(jumbo=False)


def received(end: End, sid: int) -> bytes:
    """All that came on a stream."""
    return b"".join(event.data for event in end.events if isinstance(event, Bytes) and event.sid == sid)


@pytest.fixture
def flown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many packets each flight had."""
    flights: list[int] = []
    fill = Flight.fill

    def counted(flight: Flight, builder: object, count: int) -> int:
        flights.append(count)
        return fill(flight, builder, count)  # type: ignore[arg-type]

    monkeypatch.setattr(Flight, "fill", counted)
    return flights


def opened(pair: Pair, streams: int) -> None:
    for _ in range(streams):
        pair.client.link.send(pair.client.link.open(), b"x")
    pair.run(0.5)


def pumped(pair: Pair, sid: int, data: bytes) -> None:
    """Bulk data on a stream of the server, all at once."""
    pair.server.link.watch(sid, 1)
    pair.server.link.send(sid, data, fin=True)


@pytest.mark.parametrize("seed", range(12))
def test_what_flies_arrives(seed: int, flown: list[int]) -> None:
    """[13.7-1]: chat and two bulk streams, with loss and disorder, in large datagrams or small: every byte in order."""
    loss, jitter = random.Random(seed).choice([(0.0, 0.0), (0.02, 0.004), (0.1, 0.02)])
    pair = Pair(seed=seed, loss=loss, jitter=jitter, options=Options() if seed % 2 else SMALL)
    opened(pair, 3)
    one, two = (random.Random(seed + n).randbytes(SIZE - seed) for n in (1, 2))
    pumped(pair, 4, one)
    pumped(pair, 8, two)
    said = b"".join(b"%04d" % n for n in range(100))
    for at in range(0, len(said), 4):
        pair.server.link.send(0, said[at : at + 4])
        pair.run(0.02)
    assert pair.run_until(lambda: pair.server.link.backlog() == 0, 300)
    assert (received(pair.client, 0), received(pair.client, 4), received(pair.client, 8)) == (said, one, two)
    assert sum(flown) > 20


def test_aioquic_reads_it(flown: list[int]) -> None:
    """A client without anything of ours takes the same packets, and is sent no more than its windows."""
    pair = Pair(stock=True, connect=False, options=SMALL)
    pair._make = PacedConnection
    pair.client.quic.connect(SERVER, pair.now)
    pair.run(1)
    opened(pair, 1)
    data = random.Random(1).randbytes(SIZE)
    pumped(pair, 0, data)
    assert pair.run_until(lambda: len(received(pair.client, 0)) == SIZE, 60)
    assert received(pair.client, 0) == data
    assert sum(flown) > SIZE // 1200 // 2


def test_a_flight_keeps_within_the_windows(flown: list[int]) -> None:
    """RFC 9000 section 4.1: neither a stream nor all together go beyond the windows, nor do they stop short."""
    options = Options(jumbo=False, stream_window=40_000, connection_window=65_000)
    pair = Pair(options=options)
    opened(pair, 3)
    data = [random.Random(n).randbytes(300_000) for n in range(3)]
    for n, each in enumerate(data):
        pumped(pair, 4 * n, each)
    assert pair.run_until(lambda: pair.server.link.backlog() == 0, 60)
    assert [received(pair.client, 4 * n) for n in range(3)] == data
    assert pair.client.link.closed is None
    assert flown


def test_streams_take_turns(flown: list[int]) -> None:
    """Of two bulk streams neither is more than a few flights ahead of the other."""
    pair = Pair(options=SMALL)
    opened(pair, 2)
    for sid in (0, 4):
        pumped(pair, sid, bytes(SIZE))
    assert pair.run_until(lambda: len(received(pair.client, 0)) > SIZE // 2, 60)
    assert abs(len(received(pair.client, 0)) - len(received(pair.client, 4))) < 300_000
    assert flown


def test_keys_change_in_flight(flown: list[int]) -> None:
    """RFC 9001 section 6: a key update between two flights, or within one, loses nothing."""
    pair = Pair(options=Options(jumbo=False, key_update_after=60))
    opened(pair, 1)
    data = random.Random(3).randbytes(2 * SIZE)
    pumped(pair, 0, data)
    assert pair.run_until(lambda: len(received(pair.client, 0)) == len(data), 60)
    assert received(pair.client, 0) == data
    assert flown
