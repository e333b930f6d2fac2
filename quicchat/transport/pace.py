"""When and what a connection sends: fewer packets, and less work, for the same bytes. (spec 13-transport)"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import END_STATES, NetworkAddress, QuicConnectionState, QuicNetworkPath
from aioquic.quic.events import QuicEvent, StopSendingReceived, StreamDataReceived, StreamReset
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketPacer
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch

from quicchat.transport.flights import Flight
from quicchat.transport.guards import moved
from quicchat.transport.options import Options
from quicchat.transport.sizes import SizedConnection
from quicchat.transport.tickets import Tickets

#: No packet carries more beside its headers, whatever the length of the connection ids (protocol §2).
DATAGRAM_LIMIT: Final = 1100
#: Datagrams that wait for room; a new one pushes out the oldest.
DATAGRAM_QUEUE: Final = 64
#: Of these, how many aioquic holds at a time.
DATAGRAMS_HANDED: Final = 8
#: Bytes of bulk datagrams that wait for room; beyond it no more are taken.
BULK_LIMIT: Final = 524_288
#: What a packet costs at most beside its frames, and a DATAGRAM frame beside what it carries.
PACKET_OVERHEAD: Final = 48
FRAME_OVERHEAD: Final = 3
#: For so many packets bulk datagrams wait while chat has something to say; then one of them goes.
BULK_YIELDS: Final = 8
#: More bytes than this are acknowledged at once: two full packets, as TCP has it (RFC 5681 section 4.2).
ACK_BYTES: Final = 1200
#: What is sent before others get their turn, our other connections and the peer: about a millisecond's work.
FLIGHT_BYTES: Final = 65_536
FLIGHT_PACKETS: Final = 16
#: What is sent in a burst at least, in seconds at the present rate, and the pause between two.
BURST: Final = 0.002

Batch = list[tuple[bytes, NetworkAddress]]


class Pacer(QuicPacketPacer):
    """aioquic's pacer; asked before each packet, it is where we say what goes into it, or that nothing is left."""

    def __init__(self, connection: PacedConnection, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self._connection = connection
        #: Set before a flight whose first packet is known to have something in it.
        self.is_first = True
        #: Set where the connection goes on with full packets of a bulk stream instead.
        self.flying: QuicStream | None = None
        self._grounded = False
        self._left = 0

    def begin(self) -> None:
        """Before what is sent in one loop turn: no more than a flight; the rest follows in the next one."""
        self._left = max(FLIGHT_PACKETS, FLIGHT_BYTES // self._max_datagram_size)
        self.is_first = True

    def next_send_time(self, now: float) -> float:
        if self.is_first:
            self.is_first = False
        elif self._connection.is_idle(now):
            return math.inf
        if not self._left:
            return now
        if not self._grounded:
            self.flying = self._connection.flier(now)
            if self.flying is not None:
                return now
        self._grounded = False
        self._left -= 1
        self._connection.arrange()
        at = super().next_send_time(now)
        # No timer is much finer, and each waking costs more than a packet does.
        return max(at, now + BURST) if at else at

    def grant(self, now: float) -> int:
        """How many packets may leave now."""
        if self.packet_time is None:
            return self._left
        self.update_bucket(now=now)
        return min(self._left, math.ceil(self.bucket_time / self.packet_time))

    def spend(self, packets: int) -> None:
        """So many left; with none, the next one is made by aioquic."""
        self.is_first = self._grounded = not packets
        self._left -= packets
        if self.packet_time is not None:
            self.bucket_time = max(0.0, self.bucket_time - packets * self.packet_time)

    def update_rate(self, congestion_window: int, smoothed_rtt: float) -> None:
        # RFC 9002 section 7.7: a little faster than the window fills, or it is never full.
        super().update_rate(congestion_window=congestion_window * 5 // 4, smoothed_rtt=smoothed_rtt)
        self.bucket_max = max(self.bucket_max, BURST)


class PacedConnection(SizedConnection):
    """A SizedConnection that sends fewer packets, and looks only at streams that have something to say.

    Acknowledgements wait for `ACK_BYTES` or `ack_delay` (less than the 25 ms announced), and ride on data. A stream
    whose last byte is acknowledged sleeps, out of aioquic's queue, until it is woken.

    Streams that were given to `demote`, and bulk datagrams, leave when no other stream has anything to say.
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
        self._ack_delay = options.ack_delay
        self._unacknowledged = 0
        self._pacer = self._loss._pacer = Pacer(self, self._max_datagram_size)
        self._asleep: dict[int, QuicStream] = {}
        self._datagrams: deque[bytes] = deque(maxlen=DATAGRAM_QUEUE)
        self._bulk_datagrams: deque[bytes] = deque()
        #: Bytes of bulk datagrams that wait.
        self.bulk_waiting = 0
        self._bulk_yields = 0
        self._bulk_turn = False
        self._farewell: Batch = []
        self._strays = 0
        self._repeat = False

    # Inputs

    def offer_datagram(self, data: bytes, *, bulk: bool = False) -> bool:
        """Queue a datagram, pushing out the oldest of too many; False where it could never leave, or bulk is full."""
        # One that does not fit a packet would wait at the head of aioquic's queue for ever, with all others behind
        # it; one to a peer who offered none would close the connection.
        room = self._remote_max_datagram_frame_size
        if room is None or len(data) > DATAGRAM_LIMIT or len(data) + FRAME_OVERHEAD > room:
            return False
        if not bulk:
            self._datagrams.append(data)
            return True
        if self.bulk_waiting + len(data) > BULK_LIMIT:
            return False
        self._bulk_datagrams.append(data)
        self.bulk_waiting += len(data)
        return True

    @property
    def has_bulk(self) -> bool:
        return self.bulk_waiting > 0 or super().has_bulk

    def unsent(self, sid: int | None) -> int | None:
        """Bytes that have not left: of a stream, None when it takes no more; or for None in bulk datagrams."""
        if sid is None:
            return self.bulk_waiting
        stream = self._streams.get(sid)
        if stream is None or stream.sender.is_finished or stream.sender._reset_error_code is not None:
            return None
        return stream.sender._buffer_stop - stream.sender.highest_offset

    def demote(self, sid: int) -> None:
        """From now on a stream carries bulk data: it leaves after that of streams that do not."""
        if sid in self._streams:
            self._streams.bulk.add(sid)

    def wake(self, sid: int) -> None:
        """Have a stream looked at again; to be called before anything is done to one."""
        stream = self._asleep.pop(sid, None)
        if stream is not None:
            self._streams_queue.append(stream)

    def hurry(self, now: float) -> None:
        """Acknowledge with what is about to be sent, rather than later in a packet of its own."""
        space = self._data_space
        if space is not None and space.ack_at is not None:
            space.ack_at = now

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        if self._state in END_STATES:
            # RFC 9000 section 10.2.1: the close may have been lost; it is repeated ever more rarely.
            self._strays += 1
            self._repeat = self._strays & (self._strays - 1) == 0
            return
        space = self._data_space
        if space is None:
            super().receive_datagram(data, addr, now)
            return
        largest = space.largest_received_packet
        if space.ack_at is None:
            self._unacknowledged = 0
        self._unacknowledged += len(data)
        super().receive_datagram(data, addr, now)
        # RFC 9000 section 13.2.1: at once also when a packet is missing or late.
        if space.ack_at is not None and (
            self._unacknowledged > ACK_BYTES or space.largest_received_packet != largest + 1
        ):
            space.ack_at = now

    # Drains

    def drain(self) -> list[QuicEvent]:
        events = super().drain()
        if self._asleep:
            for event in events:
                if isinstance(event, StreamDataReceived):
                    if event.end_stream:
                        self.wake(event.stream_id)
                elif isinstance(event, (StreamReset, StopSendingReceived)):
                    self.wake(event.stream_id)
        return events

    def datagrams_to_send(self, now: float) -> Batch:
        if self._close_pending:
            self._farewell = super().datagrams_to_send(now)
            return self._farewell
        if self._state in END_STATES:
            again = self._repeat and self._state is QuicConnectionState.CLOSING
            self._repeat = False
            return self._farewell if again else []
        if self.is_idle(now):
            self._pacing_at = None
            self._send_to_sleep()
            return []
        self._pacer.begin()
        self.arrange()
        batch = self._with_datagrams(now) if self._datagrams or self._bulk_datagrams else super().datagrams_to_send(now)
        if self._handshake_confirmed:
            self._send_to_sleep()
        return batch

    def is_idle(self, now: float) -> bool:
        """Whether `datagrams_to_send` would give nothing, found out for a tenth of its cost; False where unsure."""
        return all(_is_quiet(stream) for stream in self._streams_queue) and self._has_only_streams(now)

    def flier(self, now: float) -> QuicStream | None:
        """The bulk stream whose turn it is, where nothing but bulk streams has anything to send."""
        first: QuicStream | None = None
        for stream in self._streams_queue:
            if _is_quiet(stream):
                continue
            if stream.stream_id not in self._streams.bulk or not _has_only_data(stream):
                return None
            if first is None and self._can_send(stream):
                first = stream
        return first if first is not None and self._has_only_streams(now) else None

    def _has_only_streams(self, now: float) -> bool:
        """Whether there is nothing to send beside what streams have; False where unsure."""
        space = self._data_space
        if space is None or not self._handshake_confirmed or (space.ack_at is not None and space.ack_at <= now):
            return False
        path, *others = self._network_paths
        return not (
            self._datagrams
            or self._bulk_datagrams
            or self._datagrams_pending
            or self._close_pending
            or self._ping_pending
            or self._probe_pending
            or self._handshake_done_pending
            or self._streams.widened
            or self._streams_blocked_pending
            or self._retire_connection_ids
            or moved(self._local_max_data, self._local_max_streams_bidi, self._local_max_streams_uni)
            or not path.is_validated
            or path.remote_challenges
            or any(each.remote_challenges or not (each.is_validated or each.local_challenge_sent) for each in others)
            or self._packet_number + space.largest_received_packet >= self._rekey_at
            or not self._crypto_streams[Epoch.ONE_RTT].sender.buffer_is_empty
            or self._remote_preferred_address is not None
            or not all(cid.was_sent for cid in self._host_cids)
        )

    def _write_application(self, builder: QuicPacketBuilder, network_path: QuicNetworkPath, now: float) -> None:
        pacer = self._pacer
        while True:
            super()._write_application(builder, network_path, now)
            stream, pacer.flying = pacer.flying, None
            if stream is None:
                return
            pacer.spend(self._fly(builder, stream, now))

    def _fly(self, builder: QuicPacketBuilder, stream: QuicStream, now: float) -> int:
        """Make full packets of a bulk stream, as many as may leave now; how many that were."""
        if builder._packet is not None:
            builder._end_packet()
        flight = Flight(
            stream, self._cryptos[Epoch.ONE_RTT], self._peer_cid.cid, self._spin_bit, self._max_datagram_size
        )
        assert builder.max_flight_bytes is not None
        room = (builder.max_flight_bytes - builder._flight_bytes) // self._max_datagram_size
        window = stream.sender.highest_offset + self._remote_max_data - self._remote_max_data_used
        count = min(self._pacer.grant(now), room, flight.count(min(window, stream.max_stream_data_remote)))
        if count < 1:
            return 0
        self._remote_max_data_used += flight.fill(builder, count)
        # The others have their turn next.
        self._streams_queue.remove(stream)
        self._streams_queue.append(stream)
        return count

    def _with_datagrams(self, now: float) -> Batch:
        """Hand aioquic few datagrams at a time, so that those that wait for room are the newest."""
        batch: Batch = []
        while True:
            while self._datagrams and len(self._datagrams_pending) < DATAGRAMS_HANDED:
                self._datagrams_pending.append(self._datagrams.popleft())
            self._pacer.is_first = True
            self.arrange()
            batch += super().datagrams_to_send(now)
            if self._datagrams_pending or self._pacing_at is not None or not (self._datagrams or self._bulk_datagrams):
                return batch

    def arrange(self) -> None:
        """Before each packet: chat streams come first in it, and bulk datagrams fill it when it is their turn."""
        bulk = self._streams.bulk
        if bulk and len(self._streams_queue) > 1:
            self._streams_queue.sort(key=lambda stream: stream.stream_id in bulk)
        if self._bulk_datagrams and not self._datagrams_pending and self._is_turn_of_bulk_datagrams():
            room = self._max_datagram_size - PACKET_OVERHEAD
            while self._bulk_datagrams and (size := len(self._bulk_datagrams[0]) + FRAME_OVERHEAD) <= room:
                room -= size
                self._datagrams_pending.append(self._bulk_datagrams.popleft())
                self.bulk_waiting -= size - FRAME_OVERHEAD

    def _is_turn_of_bulk_datagrams(self) -> bool:
        """They yield to chat streams for a while, and take turns with bulk streams."""
        bulk = self._streams.bulk
        ready = [stream.stream_id in bulk for stream in self._streams_queue if self._can_send(stream)]
        if False in ready and self._bulk_yields < BULK_YIELDS:
            self._bulk_yields += 1
            return False
        self._bulk_yields = 0
        self._bulk_turn = not self._bulk_turn or True not in ready
        return self._bulk_turn

    def _can_send(self, stream: QuicStream) -> bool:
        """Whether a stream has something to send that the peer's windows allow."""
        sender = stream.sender
        if sender.reset_pending or stream.receiver.stop_pending:
            return True
        if sender.buffer_is_empty or stream.is_blocked:
            return False
        if not len(sender._pending):
            return sender._pending_eof
        start = sender._pending[0].start
        fresh = start >= sender.highest_offset
        return start < stream.max_stream_data_remote and not (
            fresh and self._remote_max_data_used >= self._remote_max_data
        )

    def _send_to_sleep(self) -> None:
        tired = [stream for stream in self._streams_queue if _is_done(stream)]
        if tired:
            for stream in tired:
                assert stream.stream_id is not None
                self._asleep[stream.stream_id] = stream
            self._streams_queue = [stream for stream in self._streams_queue if stream.stream_id not in self._asleep]


def _is_quiet(stream: QuicStream) -> bool:
    """Whether a stream has nothing to send at present, nor is to be discarded."""
    sender = stream.sender
    return (sender.buffer_is_empty or not (sender._pending_eof or len(sender._pending))) and _has_only_data(stream)


def _has_only_data(stream: QuicStream) -> bool:
    """Whether all that a stream has to send is data."""
    sender, receiver = stream.sender, stream.receiver
    return not (sender.reset_pending or receiver.stop_pending or (receiver.is_finished and sender.is_finished))


def _is_done(stream: QuicStream) -> bool:
    """Whether nothing of a stream can have to be sent again, and it lives on."""
    sender, receiver = stream.sender, stream.receiver
    if sender._buffer or not _is_quiet(stream):
        return False
    fin_or_reset = sender._buffer_fin is not None or sender._reset_error_code is not None
    return (sender.is_finished or not fin_or_reset) and (receiver.is_finished or receiver._stop_error_code is None)
