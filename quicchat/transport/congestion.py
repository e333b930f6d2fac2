"""Congestion control: aioquic's Reno, with an end to its window. (spec 13-transport)"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.congestion.base import register_congestion_control
from aioquic.quic.congestion.reno import RenoCongestionControl
from aioquic.quic.packet_builder import QuicSentPacket

from quicchat.transport.options import CONGESTION_CONTROL

#: Twice what the fastest path we know needs; acknowledgements of what never arrived cannot raise it further.
CONGESTION_WINDOW_LIMIT: Final = 4_194_304
#: Where a round trip may be shorter than this, in seconds, it is our own peer who makes it longer: he has no time.
NEAR: Final = 0.005
#: There data does not wait longer for him than this, in seconds, or whatever is said next waits with it.
STANDING: Final = 0.005
#: Bytes that may be under way all the same.
LEAST: Final = 131_072


class CappedReno(RenoCongestionControl):
    """Reno whose window ends somewhere, so that optimistic acknowledgements do not turn us into a flood.

    On the shortest paths it gives way to a queue before that overflows. It counts besides how many packets larger than
    the smallest were lost since one arrived.
    """

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.swallowed = 0
        self._nearest = math.inf
        self._is_late = False
        self._eased_at = 0.0

    def forget(self) -> None:
        """What was measured was another path's."""
        self._nearest = math.inf
        self._is_late = False

    def resize(self, max_datagram_size: int) -> None:
        """Packets have another size from now on."""
        self._max_datagram_size = max_datagram_size
        self.swallowed = 0

    def on_rtt_measurement(self, *, now: float, rtt: float) -> None:
        super().on_rtt_measurement(now=now, rtt=rtt)
        self._nearest = min(self._nearest, rtt)
        self._is_late = self._nearest < NEAR and rtt > self._nearest + STANDING and self.congestion_window > LEAST
        if self._is_late and now - self._eased_at > rtt:
            self._eased_at = now
            self.congestion_window = self.ssthresh = max(LEAST, self.congestion_window * 7 // 8)

    def on_packet_acked(self, *, now: float, packet: QuicSentPacket) -> None:
        before = self.congestion_window
        super().on_packet_acked(now=now, packet=packet)
        if self._is_late:
            self.congestion_window = before
        if packet.sent_bytes > SMALLEST_MAX_DATAGRAM_SIZE:
            self.swallowed = 0
        if self.congestion_window > CONGESTION_WINDOW_LIMIT:
            self.congestion_window = CONGESTION_WINDOW_LIMIT

    def on_packets_lost(self, *, now: float, packets: Iterable[QuicSentPacket]) -> None:
        packets = list(packets)
        super().on_packets_lost(now=now, packets=packets)
        self.swallowed += sum(packet.sent_bytes > SMALLEST_MAX_DATAGRAM_SIZE for packet in packets)


register_congestion_control(CONGESTION_CONTROL, CappedReno)
