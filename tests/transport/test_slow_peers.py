"""Peers that take, but do not take in: what the transport holds for them, packet by packet."""

from __future__ import annotations

import tracemalloc

import pytest

from quicchat.protocol.events import Bytes, Datagram
from quicchat.transport.options import Options
from quicchat.transport.pace import DATAGRAM_QUEUE
from tests.transport.pair import CLIENT, End, Pair, rude

MIB = 1_048_576


class Deaf(Pair):
    """A pair whose client hears nothing more once it is `deaf`, but goes on sending."""

    deaf = False

    def arrive(self, to: str, data: bytes, sender: object) -> None:
        if to == "server" or not self.deaf:
            super().arrive(to, data, sender)

    def live(self, seconds: int) -> None:
        """Let time pass, with a PING each second, so that nobody takes the client for dead."""
        for _ in range(seconds):
            self.arrive("server", rude(self.client, b"\x01"), CLIENT)
            self.run(1)


def heard(end: End) -> int:
    return sum(len(event.data) for event in end.events if isinstance(event, Bytes))


def test_a_client_that_never_acknowledges() -> None:
    """Q6, P7: what was given is held once, exactly counted, and sent ever more rarely; nothing else grows."""
    pair = Deaf(options=Options(idle_timeout=300))
    pair.server.link.authenticated()
    pair.client.link.send(pair.client.link.open(), b"hello")
    pair.run(1)
    pair.deaf = True
    sent = pair.sent["server"]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(64):
        pair.server.link.send(0, bytes(16_384))
    # Until there is no more room for what nobody acknowledged.
    pair.live(1)
    for number in range(1000):
        assert pair.server.link.datagram(number.to_bytes(2, "big"))
    assert pair.server.link.backlog() == MIB
    pair.live(60)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pair.server.link.closed is None
    assert pair.server.link.backlog() == MIB
    assert peak - before < 2 * MIB
    quic = pair.server.quic
    assert len(quic._datagrams) + len(quic._datagrams_pending) <= DATAGRAM_QUEUE + 8
    # One window, then probes whose distances double; and the acknowledgements of 60 PINGs.
    assert pair.sent["server"] - sent < 15 + 2 * 8 + 60
    pair.deaf = False
    # The next probe may be a minute away.
    assert pair.run_until(lambda: heard(pair.client) == MIB, 100)
    pair.run(1)
    assert pair.server.link.backlog() == 0
    # Ephemera that had no room are gone, the oldest first.
    late = [event.data for event in pair.client.events if isinstance(event, Datagram)]
    assert len(late) <= DATAGRAM_QUEUE + 8
    assert late[-1] == (999).to_bytes(2, "big")


@pytest.mark.parametrize("window", [0, 1, 1000])
def test_a_client_with_hardly_a_window(window: int) -> None:
    """Q7, P7: it gets what it allows, byte by byte; the rest waits, is counted, and costs no packets."""
    pair = Pair(options=Options(stream_window=window, connection_window=window))
    server = pair.server.link
    server.authenticated()
    pair.client.quic._widen = lambda stream=None: None  # type: ignore[method-assign]
    pair.client.link.send(pair.client.link.open(), b"hello")
    pair.run(1)
    sent = pair.sent["server"]
    for _ in range(64):
        server.send(0, bytes(16_384))
    for _ in range(20):
        pair.client.quic.send_ping(0)
        pair.run(1)
    assert server.closed is None
    assert heard(pair.client) == window
    assert server.backlog() == MIB - window
    assert pair.sent["server"] - sent < 3 + 20 + 5
    # Datagrams know no window (RFC 9221 section 5.3), and a goodbye needs none.
    assert server.datagram(b"tick")
    pair.run(1)
    server.close(0x506, "you read too slowly")
    pair.run(1)
    assert Datagram(b"tick") in pair.client.events
    assert pair.client.link.closed is not None
    assert (pair.client.link.closed.code, pair.client.link.closed.remote) == (0x506, True)
    assert server.backlog() == 0


def test_a_storm_of_source_ports_leaves_nothing() -> None:
    """Q20, P7: after the first hundred ports another thousand take no more memory, and are not flooded."""
    pair = Pair()
    pair.client.link.send(pair.client.link.open(), b"hello")
    pair.run(1)

    def storm(count: int) -> None:
        for number in range(count):
            pair.client_address = ("203.0.113.7", 1024 + number)
            pair.arrive("server", rude(pair.client, b"\x01"), pair.client_address)
            if number % 10 == 9:
                pair.run(0.02)
        pair.run(1)
        # What only the test remembers.
        pair.client.raw.clear()
        pair.server.raw.clear()

    storm(100)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    sent = pair.sent["server"]
    storm(1000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100_000
    assert len(pair.server.quic._network_paths) <= 8
    assert pair.sent["server"] - sent < 3000
    assert pair.server.link.closed is None
    pair.client.link.send(0, b"still here")
    pair.run(1)
    assert heard(pair.server) == 15
    assert pair.server.link.peer == "203.0.113.7:2023"
