"""aioquic with datagrams as large as the path bears, found out by probes (RFC 8899). (spec 13-transport)"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import END_STATES, NetworkAddress, QuicNetworkPath, QuicReceiveContext
from aioquic.quic.packet import QuicFrameType, QuicPacketType, pull_quic_transport_parameters
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder
from aioquic.tls import Epoch

from quicchat.transport.congestion import CappedReno
from quicchat.transport.guards import GuardedConnection
from quicchat.transport.options import Options
from quicchat.transport.tickets import Tickets

#: What every path bears (RFC 9000 section 14), and where each begins.
BASE: Final = SMALLEST_MAX_DATAGRAM_SIZE
#: What is probed, one after the other: Ethernet, its jumbo frames, and what loopback bears (aioquic: less than 16,384).
STEPS: Final = (1452, 8192, 16_000)
#: How often a size is probed in vain before it is believed to be too large; and for how long, in seconds.
ATTEMPTS: Final = 3
AGAIN: Final = 600.0
#: A probe is no more than this part of the congestion window, beside which it is sent.
SHARE: Final = 4
#: So many large packets lost in a row, or so many probe time-outs, are a black hole.
SWALLOWED: Final = 8
TIMEOUTS: Final = 2


class PathSize:
    """How large datagrams one path bears in one direction, as far as is known; no more than `limit`."""

    def __init__(self, limit: int) -> None:
        #: The largest that was acknowledged.
        self.size: int = BASE
        self._limit = limit
        self._attempts = 0
        self._waits = False
        self._again_at = -math.inf

    def next_probe(self, now: float, window: int) -> int | None:
        """The size of the probe to send now beside a congestion window, if any; whoever asks sends it."""
        if self._waits or now < self._again_at:
            return None
        step = next((step for step in STEPS if self.size < step <= self._limit), None)
        self._waits = step is not None and step * SHARE <= window
        return step if self._waits else None

    def answered(self, size: int) -> None:
        """A probe arrived."""
        self.size = max(self.size, size)
        self._attempts = 0
        self._waits = False

    def missed(self, now: float) -> None:
        """A probe was lost, which shrinks nothing."""
        self._attempts += 1
        self._waits = False
        if self._attempts >= ATTEMPTS:
            self._attempts = 0
            self._again_at = now + AGAIN


class SizedConnection(GuardedConnection):
    """A GuardedConnection that sends bulk data in larger datagrams, once the path has shown that it bears them.

    Each end finds out for what it sends. On a path to which the peer has just moved everything begins anew.
    """

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        options: Options,
        anomalies: Counter[str] | None = None,
        tickets: Tickets | None = None,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
    ) -> None:
        super().__init__(
            configuration=configuration,
            options=options,
            anomalies=anomalies,
            tickets=tickets,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
        )
        self._size_limit = STEPS[-1]
        self._path_size = PathSize(self._size_limit)
        self._sized_path: QuicNetworkPath | None = None
        self._now = 0.0

    @property
    def datagram_size(self) -> int:
        """Bytes of the largest datagram that is sent at present."""
        return self._max_datagram_size

    @property
    def has_bulk(self) -> bool:
        """Whether there is reason to look for larger datagrams."""
        return bool(self._streams.bulk)

    def change_connection_id(self) -> None:
        super().change_connection_id()
        self._begin_anew()

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        self._now = now
        if self._sized_path is not self._network_paths[0]:
            self._sized_path = self._network_paths[0]
            self._begin_anew()
        elif self._max_datagram_size > BASE and self._reno.swallowed >= SWALLOWED:
            self._begin_anew()
        batch = super().datagrams_to_send(now)
        if self.has_bulk and self.options.jumbo:
            batch += self._probe(now)
        return batch

    # Probes

    def _probe(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """The next probe, if it is time for one."""
        path = self._network_paths[0]
        if not self._handshake_confirmed or not path.is_validated or self._state in END_STATES:
            return []
        size = self._path_size.next_probe(now, self._loss.congestion_window)
        if size is None:
            return []
        builder = QuicPacketBuilder(
            host_cid=self.host_cid,
            is_client=self._is_client,
            max_datagram_size=size,
            packet_number=self._packet_number,
            peer_cid=self._peer_cid.cid,
            spin_bit=self._spin_bit,
            version=self._version or 0,
        )
        builder.start_packet(QuicPacketType.ONE_RTT, self._cryptos[Epoch.ONE_RTT])
        builder.start_frame(QuicFrameType.PING, handler=self._on_probe_delivery, handler_args=(self._path_size, size))
        buf = builder.start_frame(QuicFrameType.PADDING)
        buf.push_bytes(bytes(builder.remaining_buffer_space))
        batch = self._flush_builder(builder=builder, network_path=path, peer_cid=self._peer_cid.cid, now=now)
        # RFC 9000 section 14.4: its loss is no sign of congestion. So the congestion control hears nothing of it.
        packet = next(reversed(self._spaces[Epoch.ONE_RTT].sent_packets.values()))
        self._reno.on_packets_expired(packets=[packet])
        packet.in_flight = False
        return batch

    def _on_probe_delivery(self, delivery: QuicDeliveryState, path: PathSize, size: int) -> None:
        if delivery is not QuicDeliveryState.ACKED:
            path.missed(self._now)
            return
        path.answered(size)
        # It may have been another path's.
        if path is self._path_size:
            self._resize(size)

    # What ends a size

    def _begin_anew(self) -> None:
        """Another path, or one that swallows what is large: only what every path bears, until it is probed again."""
        self._path_size = PathSize(self._size_limit)
        self._reno.forget()
        self._resize(BASE)

    def _resize(self, size: int) -> None:
        self._max_datagram_size = self._loss._pacer._max_datagram_size = size
        self._reno.resize(size)

    def _send_probe(self) -> None:
        # Also the packets that a time-out sends would be swallowed, ever more rarely.
        if self._loss._pto_count >= TIMEOUTS and self._max_datagram_size > BASE:
            self._begin_anew()
        super()._send_probe()

    def _send_probing_frames(self, network_path: QuicNetworkPath, now: float) -> list[tuple[bytes, NetworkAddress]]:
        # They are padded to the full size, which the other path need not bear.
        size, self._max_datagram_size = self._max_datagram_size, BASE
        try:
            return super()._send_probing_frames(network_path, now)
        finally:
            self._max_datagram_size = size

    def _handle_path_challenge_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        super()._handle_path_challenge_frame(context, frame_type, buf)
        # The server hears us from another address: perhaps a NAT forgot, and the way is another one. The answer is
        # padded to the full size.
        if self._is_client:
            self._begin_anew()

    def _parse_transport_parameters(self, data: bytes, from_session_ticket: bool = False) -> None:
        super()._parse_transport_parameters(data, from_session_ticket)
        most = pull_quic_transport_parameters(Buffer(data=data)).max_udp_payload_size
        self._size_limit = STEPS[-1] if most is None else most
        self._path_size = PathSize(self._size_limit)

    @property
    def _reno(self) -> CappedReno:
        reno = self._loss._cc
        assert isinstance(reno, CappedReno)
        return reno
