"""How much may be under way: never without end, and on the shortest paths no more than the peer keeps up with."""

from __future__ import annotations

import pytest
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.tls import Epoch

from quicchat.transport.congestion import LEAST, NEAR, STANDING, CappedReno

SIZE = 1200


def acked(reno: CappedReno, now: float, rtt: float) -> None:
    """A packet was sent a round trip ago, and is acknowledged now."""
    packet = QuicSentPacket(Epoch.ONE_RTT, True, True, False, 0, QuicPacketType.ONE_RTT, now - rtt, SIZE)
    reno.on_packet_sent(packet=packet)
    reno.on_packet_acked(now=now, packet=packet)
    reno.on_rtt_measurement(now=now, rtt=rtt)


def after(base: float, rtt: float, *, forgotten: bool = False) -> int:
    """The window of a path of `base` seconds, once its round trips have taken `rtt` for a while."""
    reno = CappedReno(max_datagram_size=SIZE)
    now = 10.0
    for _ in range(400):
        now += base
        acked(reno, now, base)
    if forgotten:
        reno.forget()
    for _ in range(400):
        now += rtt
        acked(reno, now, rtt)
    return reno.congestion_window


def test_on_a_short_path_a_queue_shrinks_the_window() -> None:
    """What stands in a peer's queue is what a chat message waits for: there is less of it, but never too little."""
    assert after(0.001, 0.001 + STANDING + 0.001) == LEAST


@pytest.mark.parametrize(
    ("base", "rtt", "forgotten"),
    [(0.001, 0.001 + STANDING / 2, False), (NEAR, NEAR + 2 * STANDING, False), (0.001, 0.1, True)],
    ids=["a short queue", "a longer path", "another path"],
)
def test_anywhere_else_it_grows(base: float, rtt: float, forgotten: bool) -> None:
    """RFC 9002 section 7: where a queue may be somebody else's, only a loss shrinks the window."""
    assert after(base, rtt, forgotten=forgotten) > 400 * SIZE
