"""When and what a connection sends: fewer packets, and less work, for the same bytes. (spec 13-transport)"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import END_STATES, NetworkAddress, QuicConnectionState
from aioquic.quic.events import QuicEvent, StopSendingReceived, StreamDataReceived, StreamReset
from aioquic.quic.recovery import QuicPacketPacer
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch

from quicchat.transport.guards import GuardedConnection
from quicchat.transport.options import Options
from quicchat.transport.tickets import Tickets

#: No packet carries more beside its headers, whatever the length of the connection ids (protocol §2).
DATAGRAM_LIMIT: Final = 1100
#: Datagrams that wait for room; a new one pushes out the oldest.
DATAGRAM_QUEUE: Final = 64
#: Of these, how many aioquic holds at a time.
DATAGRAMS_HANDED: Final = 8
#: More bytes than this are acknowledged at once: two full packets, as TCP has it (RFC 5681 section 4.2).
ACK_BYTES: Final = 1200

Batch = list[tuple[bytes, NetworkAddress]]


class Pacer(QuicPacketPacer):
    """aioquic's pacer; asked before each packet, it is where we say that there is nothing left to put into one."""

    def __init__(self, connection: PacedConnection, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self._connection = connection
        #: Set before a flight whose first packet is known to have something in it.
        self.is_first = True

    def next_send_time(self, now: float) -> float:
        if self.is_first:
            self.is_first = False
        elif self._connection.is_idle(now):
            return math.inf
        return super().next_send_time(now)


class PacedConnection(GuardedConnection):
    """A GuardedConnection that sends fewer packets, and looks only at streams that have something to say.

    Acknowledgements wait for `ACK_BYTES` or `ack_delay` (less than the 25 ms announced), and ride on data. A stream
    whose last byte is acknowledged sleeps, out of aioquic's queue, until it is woken.
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
        self._farewell: Batch = []
        self._strays = 0
        self._repeat = False

    # Inputs

    def offer_datagram(self, data: bytes) -> bool:
        """Queue a datagram, pushing out the oldest of too many; False where it could never leave."""
        # One that does not fit a packet would wait at the head of aioquic's queue for ever, with all others behind
        # it; one to a peer who offered none would close the connection.
        room = self._remote_max_datagram_frame_size
        if room is None or len(data) > DATAGRAM_LIMIT or len(data) + 3 > room:
            return False
        self._datagrams.append(data)
        return True

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
        self._pacer.is_first = True
        batch = self._with_datagrams(now) if self._datagrams else super().datagrams_to_send(now)
        if self._handshake_confirmed:
            self._send_to_sleep()
        return batch

    def is_idle(self, now: float) -> bool:
        """Whether `datagrams_to_send` would give nothing, found out for a tenth of its cost; False where unsure."""
        for stream in self._streams_queue:
            if not _is_quiet(stream):
                return False
        space = self._data_space
        if space is None or not self._handshake_confirmed or (space.ack_at is not None and space.ack_at <= now):
            return False
        path, *others = self._network_paths
        return not (
            self._datagrams
            or self._datagrams_pending
            or self._close_pending
            or self._ping_pending
            or self._probe_pending
            or self._handshake_done_pending
            or self._streams.widened
            or self._streams_blocked_pending
            or self._retire_connection_ids
            or self._local_max_data.value != self._local_max_data.sent
            or self._local_max_streams_bidi.value != self._local_max_streams_bidi.sent
            or self._local_max_streams_uni.value != self._local_max_streams_uni.sent
            or not path.is_validated
            or path.remote_challenges
            or any(each.remote_challenges or not (each.is_validated or each.local_challenge_sent) for each in others)
            or self._packet_number + space.largest_received_packet >= self._rekey_at
            or not self._crypto_streams[Epoch.ONE_RTT].sender.buffer_is_empty
            or self._remote_preferred_address is not None
            or not all(cid.was_sent for cid in self._host_cids)
        )

    def _with_datagrams(self, now: float) -> Batch:
        """Hand aioquic few datagrams at a time, so that those that wait for room are the newest."""
        batch: Batch = []
        while True:
            while self._datagrams and len(self._datagrams_pending) < DATAGRAMS_HANDED:
                self._datagrams_pending.append(self._datagrams.popleft())
            self._pacer.is_first = True
            batch += super().datagrams_to_send(now)
            if not self._datagrams or self._datagrams_pending:
                return batch

    def _send_to_sleep(self) -> None:
        tired = [stream for stream in self._streams_queue if _is_done(stream)]
        if tired:
            for stream in tired:
                assert stream.stream_id is not None
                self._asleep[stream.stream_id] = stream
            self._streams_queue = [stream for stream in self._streams_queue if stream.stream_id not in self._asleep]


def _is_quiet(stream: QuicStream) -> bool:
    """Whether a stream has nothing to send at present, nor is to be discarded."""
    sender, receiver = stream.sender, stream.receiver
    return (
        (sender.buffer_is_empty or not (sender._pending_eof or len(sender._pending)))
        and not sender.reset_pending
        and not receiver.stop_pending
        and not (receiver.is_finished and sender.is_finished)
    )


def _is_done(stream: QuicStream) -> bool:
    """Whether nothing of a stream can have to be sent again, and it lives on."""
    sender, receiver = stream.sender, stream.receiver
    if sender._buffer or not _is_quiet(stream):
        return False
    fin_or_reset = sender._buffer_fin is not None or sender._reset_error_code is not None
    return (sender.is_finished or not fin_or_reset) and (receiver.is_finished or receiver._stop_error_code is None)
