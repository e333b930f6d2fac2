"""The socket, on the loopback addresses."""

from __future__ import annotations

import select
import socket

import pytest

from quicchat.transport.udp import BATCH, Udp

pytestmark = pytest.mark.socket


def readable(udp: Udp) -> None:
    assert select.select([udp.socket], [], [], 5)[0], "nothing came"


def test_a_batch_is_bounded() -> None:
    """Facts section 7: at most 64 datagrams are taken at a time, so that one flood does not hold up the loop."""
    receiver, sender = Udp(socket.AF_INET, ("127.0.0.1", 0)), Udp(socket.AF_INET, ("127.0.0.1", 0))
    try:
        assert receiver.receive() == []
        sender.send([(b"%d" % number, receiver.address) for number in range(BATCH + 10)])
        readable(receiver)
        first, second = receiver.receive(), receiver.receive()
        assert (len(first), len(second)) == (BATCH, 10)
        assert [int(data) for data, _ in first + second] == list(range(BATCH + 10))
        assert {address for _, address in first} == {sender.address}
    finally:
        receiver.close()
        sender.close()


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
