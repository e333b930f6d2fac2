"""How large datagrams grow, and what makes them small again."""

from __future__ import annotations

import hashlib
import random
from functools import partial

import pytest
from aioquic.quic import connection as connection_module
from aioquic.quic.packet import QuicTransportParameters

from quicchat.protocol.events import Bytes, LinkEvent, Writable
from quicchat.transport import sizes
from quicchat.transport.options import Options
from quicchat.transport.sizes import AGAIN, ATTEMPTS, BASE, STEPS, PathSize
from tests.transport.pair import End, Pair, rude

MIB = 1_048_576
#: What carries a UDP datagram of at most 1472 bytes.
ETHERNET = 1472
HIGH, LOW = 262_144, 65_536


class Transfer:
    """Sends data from one end of a pair to the other, a little ahead of what leaves, and looks at each datagram."""

    def __init__(self, pair: Pair, source: End, size: int) -> None:
        self.pair, self.source = pair, source
        self.target = pair.client if source is pair.server else pair.server
        self.data = random.Random(size).randbytes(size)
        self.digest, self.heard = hashlib.sha256(), 0
        self.sizes: list[int] = []
        self.by_path: dict[object, list[int]] = {}
        self.over = False
        self._at = 0
        pair.on_datagram = self.look  # type: ignore[method-assign]
        source.link.on_events = self.hear
        self.target.link.on_events = self.take
        self.sid = source.link.open()
        self.fill()

    def look(self, end: End, data: bytes) -> None:
        """Whatever is larger than what was acknowledged is a probe, and nothing else."""
        if end is self.source:
            self.sizes.append(len(data))
            self.by_path.setdefault(end.quic.get_peer_address(), []).append(len(data))
            assert len(data) <= end.quic.datagram_size or len(data) in STEPS
            # [13.7-10]: and on a path that has not answered yet there are not even probes.
            assert len(data) <= BASE or end.quic._network_paths[0].is_validated

    def hear(self, events: list[LinkEvent]) -> None:
        if Writable(self.sid) in events:
            self.fill()

    def fill(self) -> None:
        start, self._at = self._at, min(self._at + HIGH - self.source.link.unsent(self.sid), len(self.data))
        self.source.link.send(self.sid, self.data[start : self._at], fin=self._at == len(self.data))
        if self._at < len(self.data):
            self.source.link.watch(self.sid, LOW)

    def take(self, events: list[LinkEvent]) -> None:
        for event in events:
            if isinstance(event, Bytes):
                self.digest.update(event.data)
                self.heard += len(event.data)
                self.over = event.fin

    def finish(self, seconds: float = 60) -> None:
        """Let it end, and compare."""
        assert self.pair.run_until(lambda: self.over, seconds), f"{self.heard} of {len(self.data)} after {seconds} s"
        assert self.digest.digest() == hashlib.sha256(self.data).digest()


def transfer(pair: Pair, source: str = "server", size: int = 4 * MIB) -> Transfer:
    """A transfer that has just begun."""
    pair.server.link.authenticated()
    pair.run(0.2)
    return Transfer(pair, pair.server if source == "server" else pair.client, size)


@pytest.mark.parametrize("source", ["server", "client"])
def test_bulk_grows_step_by_step(source: str) -> None:
    """[13.7-5] [13.7-6]: only in the direction of the data, and only as far as probes were acknowledged."""
    pair = Pair()
    going = transfer(pair, source)
    going.finish()
    assert going.source.quic.datagram_size == max(going.sizes) == STEPS[-1]
    assert going.target.quic.datagram_size == BASE
    firsts = [going.sizes.index(step) for step in STEPS]
    assert firsts == sorted(firsts)
    assert going.sizes.count(STEPS[-1]) > 50


def test_a_path_of_ethernet() -> None:
    """[13.7-6] [13.7-7]: what vanishes is probed three times, shrinks nothing, and is no sign of congestion."""
    pair = Pair(mtu=ETHERNET)
    going = transfer(pair)
    windows = [going.source.quic._loss.congestion_window]

    def done() -> bool:
        windows.append(going.source.quic._loss.congestion_window)
        return going.over

    assert pair.run_until(done, 60)
    going.finish()
    assert going.source.quic.datagram_size == STEPS[0]
    assert [size for size in going.sizes if size > STEPS[0]] == [STEPS[1]] * ATTEMPTS
    assert windows == sorted(windows)


def test_a_narrow_path() -> None:
    """[13.7-5]: what every path bears is never given up for a probe that was lost."""
    pair = Pair(mtu=1300)
    going = transfer(pair)
    going.finish()
    assert going.source.quic.datagram_size == BASE
    assert [size for size in going.sizes if size > BASE] == [STEPS[0]] * ATTEMPTS


@pytest.mark.parametrize("mtu", [1300, ETHERNET, 9000])
@pytest.mark.parametrize("source", ["server", "client"])
def test_a_black_hole(source: str, mtu: int) -> None:
    """[13.7-8]: when a path begins to swallow what is large, small datagrams take over, and no byte is lost."""
    pair = Pair()
    going = transfer(pair, source, 8 * MIB)
    assert pair.run_until(lambda: going.heard > 3 * MIB, 60)
    assert going.source.quic.datagram_size == STEPS[-1]
    pair.mtu = mtu
    going.finish(20)
    assert going.source.quic.datagram_size == max(size for size in (BASE, *STEPS) if size <= mtu)


@pytest.mark.parametrize("only", ["SWALLOWED", "TIMEOUTS", ""])
def test_either_sign_of_a_black_hole_is_enough(only: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[13.7-8]: packets lost in a row, or time-outs in a row; and without either the transfer would be stuck."""
    for name in {"SWALLOWED", "TIMEOUTS"} - {only}:
        monkeypatch.setattr(sizes, name, 1 << 30)
    pair = Pair()
    going = transfer(pair, "server", 8 * MIB)
    assert pair.run_until(lambda: going.heard > 3 * MIB, 60)
    pair.mtu = 1300
    if only:
        going.finish(20)
    else:
        assert not pair.run_until(lambda: going.over, 20)


@pytest.mark.parametrize("seed", range(4))
def test_loss_and_disorder(seed: int) -> None:
    """Whatever the line does, what arrives is what was sent."""
    pair = Pair(loss=0.03, jitter=0.02, seed=seed)
    going = transfer(pair, size=2 * MIB)
    going.finish(300)


def test_a_peer_who_takes_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """[13.7-9]: more than the peer's `max_udp_payload_size` is not even probed."""
    parameters = partial(QuicTransportParameters, max_udp_payload_size=1500)
    monkeypatch.setattr(connection_module, "QuicTransportParameters", parameters)
    going = transfer(Pair())
    going.finish()
    assert going.source.quic.datagram_size == max(going.sizes) == STEPS[0]


def test_it_can_be_switched_off() -> None:
    """Options.jumbo: without it no datagram is larger than what every path bears."""
    going = transfer(Pair(options=Options(jumbo=False)))
    going.finish()
    assert max(going.sizes) == BASE


def test_who_only_chats_probes_nothing() -> None:
    """[13.7-5]: it is for bulk data; chat needs no large datagrams, and its packets are few."""
    pair = Pair()
    sizes: list[int] = []
    pair.on_datagram = lambda end, data: sizes.append(len(data))  # type: ignore[method-assign]
    pair.client.link.send(pair.client.link.open(), bytes(60_000))
    pair.run(5)
    assert pair.client.link.backlog() == 0
    assert max(sizes) == BASE


@pytest.mark.parametrize("source", ["server", "client"])
def test_a_client_that_moves_begins_anew(source: str) -> None:
    """[13.7-10] [13.5-2]: on the new path nothing is large until that was probed, and no byte is lost."""
    pair = Pair()
    going = transfer(pair, source, 8 * MIB)
    for number in range(1, 4):
        assert pair.run_until(lambda number=number: going.heard > number * 2 * MIB, 60)  # type: ignore[misc]
        assert going.source.quic.datagram_size == STEPS[-1]
        before = len(going.sizes)
        pair.client.link.migrate()
        address = pair.client_address

        def noticed(address: object = address) -> bool:
            return bool(pair.server.quic.get_peer_address() == address)

        assert pair.run_until(noticed, 5)
        pair.transmit()
        if source == "client":
            assert max(going.sizes[before:]) <= STEPS[0]
        assert going.source.quic.datagram_size == BASE
    going.finish()
    assert going.source.quic.datagram_size == STEPS[-1]


@pytest.mark.parametrize("mtu", [1300, 65_535])
@pytest.mark.parametrize("source", ["server", "client"])
def test_a_nat_that_forgets(source: str, mtu: int) -> None:
    """[13.7-10] [13.5-2]: a way that bears less, and of which the client knows nothing, loses no byte either."""
    pair = Pair()
    going = transfer(pair, source, 8 * MIB)
    assert pair.run_until(lambda: going.heard > 3 * MIB, 60)
    pair.client_address = ("198.51.100.9", 50_000)
    pair.mtu = mtu
    going.finish(20)
    assert pair.server.quic.get_peer_address() == pair.client_address
    assert pair.server.quic._network_paths[0].is_validated
    assert going.source.quic.datagram_size == (BASE if mtu < STEPS[0] else STEPS[-1])
    if source == "server":
        # The new path is asked from the beginning, whatever the old one bore.
        on_the_new = [size for size in going.by_path[pair.client_address] if size > BASE]
        assert on_the_new[0] == STEPS[0]


def test_another_path_is_asked_in_small_datagrams() -> None:
    """[13.7-10]: a challenge is padded to what the path in use bears, of which the other one knows nothing."""
    pair = Pair()
    going = transfer(pair)
    going.finish()
    pair.run(1)
    assert pair.server.quic.datagram_size == STEPS[-1]
    before = len(going.sizes)
    pair.arrive("server", rude(pair.client, b"\x1a12345678" + bytes(1100)), ("203.0.113.7", 1024))
    pair.transmit()
    assert len(pair.server.quic._network_paths) == 2
    assert going.sizes[before:] == [BASE]


def test_a_size_in_vain_is_tried_again_later() -> None:
    """RFC 8899 section 5.1.1: after ten minutes the path may be another one."""
    path = PathSize(65_527)
    assert path.next_probe(0, 2 * STEPS[0]) is None
    for _ in range(ATTEMPTS):
        assert path.next_probe(0, MIB) == STEPS[0]
        assert path.next_probe(0, MIB) is None
        path.missed(1)
    assert path.next_probe(AGAIN, MIB) is None
    assert path.next_probe(AGAIN + 1, MIB) == STEPS[0]
    path.answered(STEPS[0])
    assert path.size == STEPS[0]
    assert path.next_probe(AGAIN + 1, MIB) == STEPS[1]
