"""The socket, on the loopback addresses."""

from __future__ import annotations

import errno
import random
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from quicchat.transport.udp import BATCH, DISCOVER, FLIGHT, PROBE, SEGMENTS, Udp, _flights

pytestmark = pytest.mark.socket


def readable(udp: Udp) -> None:
    assert select.select([udp.socket], [], [], 5)[0], "nothing came"


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux sends flights")
LOCAL = ("127.0.0.1", 0)


@contextmanager
def sockets(*, gso: bool, gro: bool, connected: bool = False) -> Iterator[tuple[Udp, Udp]]:
    """One who sends, with `gso`, and one who receives, with `gro`."""
    receiver = Udp(socket.AF_INET, LOCAL, gro=gro)
    sender = Udp(socket.AF_INET, LOCAL, receiver.address if connected else None, gso=gso)
    try:
        yield sender, receiver
    finally:
        receiver.close()
        sender.close()


def all_of(receiver: Udp, count: int) -> list[tuple[bytes, object]]:
    """So many datagrams."""
    heard: list[tuple[bytes, object]] = []
    while len(heard) < count:
        readable(receiver)
        heard += receiver.receive()
    return heard


@pytest.mark.parametrize("gso", [False, True])
@pytest.mark.parametrize("gro", [False, True])
def test_a_batch_is_bounded(gso: bool, gro: bool) -> None:
    """Facts section 7: few more than 64 datagrams are taken at a time, so that one flood does not hold up the loop."""
    with sockets(gso=gso, gro=gro) as (sender, receiver):
        assert receiver.receive() == []
        sender.send([(b"%04d" % number, receiver.address) for number in range(4 * BATCH)])
        readable(receiver)
        first = receiver.receive()
        assert BATCH <= len(first) < BATCH + SEGMENTS
        everything = first + all_of(receiver, 4 * BATCH - len(first))
        assert [int(data) for data, _ in everything] == list(range(4 * BATCH))
        assert {address for _, address in everything} == {sender.address}


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("gso", [False, True])
@pytest.mark.parametrize("gro", [False, True])
def test_datagrams_stay_what_they_are(gso: bool, gro: bool, connected: bool) -> None:
    """A flight is sent and taken at once, yet each datagram arrives as it was, whatever its size."""
    chance = random.Random(7)
    sizes = [*[1200] * 100, 700, *[1200] * 3, 1201, 1200, *[16_000] * 9, 30, 1, 1, 2, *(chance.choices((5, 50), k=40))]
    data = [chance.randbytes(size) for size in sizes]
    with sockets(gso=gso, gro=gro, connected=connected) as (sender, receiver):
        sender.send([(each, receiver.address) for each in data])
        assert [each for each, _ in all_of(receiver, len(data))] == data
        assert sender.lost == 0


def test_what_belongs_to_a_flight() -> None:
    """udp(7): one address and one size, of which only the last datagram may be shorter; no more than Linux takes."""
    here, there = ("192.0.2.1", 1), ("192.0.2.2", 1)

    def cut(*batch: tuple[int, object]) -> list[int]:
        pieces = list(_flights([(bytes(size), to) for size, to in batch]))
        assert [each for piece in pieces for each in piece] == [(bytes(size), to) for size, to in batch]
        return [len(piece) for piece in pieces]

    assert cut((9, here), (9, here), (5, here), (5, here), (5, here)) == [3, 2]
    assert cut((9, here), (9, there), (9, there), (12, there)) == [1, 2, 1]
    assert cut((9, here), (0, here), (9, here)) == [1, 1, 1]
    assert cut(*[(9, here)] * (SEGMENTS + 1)) == [SEGMENTS, 1]
    assert cut(*[(16_000, here)] * 5) == [FLIGHT // 16_000, 1]
    assert cut() == []


@LINUX
def test_a_kernel_that_cannot_send_flights(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused as a flight leaves one by one, and no other flight is tried."""
    tried: list[int] = []

    class Unable(socket.socket):
        def sendmsg(self, *arguments: object) -> int:
            tried.append(1)
            raise OSError(errno.EIO, "no checksum offload")

    monkeypatch.setattr(socket, "socket", Unable)
    with sockets(gso=True, gro=True) as (sender, receiver):
        for _ in range(2):
            sender.send([(b"%d" % number, receiver.address) for number in range(9)])
        assert len(all_of(receiver, 18)) == 18
        assert tried == [1]


@LINUX
@pytest.mark.parametrize("family", list(DISCOVER))
def test_nothing_is_fragmented(family: int) -> None:
    """[13.7-11]: what a path does not bear is lost, so that a probe tells the truth."""
    udp = Udp(family, ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    try:
        assert udp.socket.getsockopt(*DISCOVER[socket.AddressFamily(family)]) == PROBE
    finally:
        udp.close()


def test_a_closed_port_is_noticed() -> None:
    """R1.4: a connected socket learns that nobody listens at the other end, and goes on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()
    udp = Udp(socket.AF_INET, ("127.0.0.1", 0), nobody)
    try:
        udp.send([(b"anybody?", nobody)])
        readable(udp)
        assert udp.receive() == []
        assert udp.refused
    finally:
        udp.close()


def test_what_the_kernel_does_not_take_is_lost() -> None:
    """A datagram that cannot be sent is counted, and those behind it leave."""
    receiver, sender = Udp(socket.AF_INET, ("127.0.0.1", 0)), Udp(socket.AF_INET, ("127.0.0.1", 0))
    try:
        sender.send([(bytes(100_000), receiver.address), (b"small", receiver.address)])
        readable(receiver)
        assert [data for data, _ in receiver.receive()] == [b"small"]
        assert sender.lost == 1
    finally:
        receiver.close()
        sender.close()


def test_the_families_do_not_mix() -> None:
    """Protocol section 1: one port for each family; the IPv6 socket leaves IPv4 to the other."""
    six = Udp(socket.AF_INET6, ("::", 0, 0, 0))
    try:
        four = Udp(socket.AF_INET, ("0.0.0.0", six.address[1]))
        four.close()
    finally:
        six.close()
