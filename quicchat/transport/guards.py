"""aioquic with the bounds that a hostile peer runs into; each was measured as an attack. (spec 08-limits)"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    CONNECTION_LIMIT_FRAME_CAPACITY,
    END_STATES,
    MAX_STREAM_DATA_FRAME_CAPACITY,
    Limit,
    NetworkAddress,
    QuicConnectionError,
    QuicConnectionState,
    QuicReceiveContext,
)
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamDataReceived, StreamReset
from aioquic.quic.packet import QuicErrorCode, QuicFrameType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch

from quicchat.errors import Code
from quicchat.transport.options import Options
from quicchat.transport.resume import ResumableConnection
from quicchat.transport.tickets import Tickets

logger = logging.getLogger(__package__)
# aioquic warns of whatever a peer does wrong; we count it instead, for a peer must not be able to fill a log.
logging.getLogger("quic").setLevel(logging.CRITICAL)

# Every packet looks up several things by its epoch, and an Enum hashes its name in Python. Equal members are one
# object, so its identity does as well; to mypy a method of a class that is not ours is no variable.
Epoch.__hash__ = object.__hash__  # type: ignore[method-assign]

#: More bytes of handshake than any honest peer sends.
CRYPTO_LIMIT: Final = 65_536
#: A STREAM frame that tells its offset and its length, and is not the last of its stream.
IN_ORDER: Final = QuicFrameType.STREAM_BASE | 4 | 2
#: The PING whose acknowledgement proves that the peer followed a key update.
REKEYED: Final = -1


class StreamTable(dict[int, QuicStream]):
    """The streams of a connection by id, those whose window has moved, and the ids of those that carry bulk data.

    aioquic asks every stream at every packet whether there is a new limit to tell, and lists them for nothing else:
    so `values` gives only those where there is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.widened: dict[int, QuicStream] = {}
        self.bulk: set[int] = set()

    def pop(self, sid: int) -> QuicStream:  # type: ignore[override]
        self.bulk.discard(sid)
        return super().pop(sid)

    def values(self) -> Iterable[QuicStream]:  # type: ignore[override]
        return tuple(self.widened.values())


class GuardedConnection(ResumableConnection):
    """A ResumableConnection that a hostile peer can neither fill, nor stall, nor crash.

    Windows follow the bytes that were delivered, where aioquic's double with the highest offset seen. `anomalies`
    counts what no honest peer does, over all connections that share the counter.
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
            tickets=tickets,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
        )
        self._streams: StreamTable = StreamTable()
        self.options = options
        self.anomalies: Counter[str] = Counter() if anomalies is None else anomalies
        #: Whether it was the peer who closed.
        self.closed_by_peer = False
        #: ACK frames received: whoever caches what is unacknowledged sees when to look again.
        self.acks = 0
        self._fresh_window = self._stream_window = configuration.max_stream_data
        self._connection_window = configuration.max_data
        self._is_known = False
        self._delivered = 0
        self._holes: dict[int, float] = {}
        self._deadline = math.inf
        self._rekey_at = math.inf if self._is_client else float(options.key_update_after)
        self._data_space: QuicPacketSpace | None = None
        if not self._is_client:
            for limit in (self._local_max_streams_bidi, self._local_max_streams_uni):
                limit.value = limit.sent = options.early_streams

    def drain(self) -> list[QuicEvent]:
        """The events since the last call, in order."""
        events = list(self._events)
        self._events.clear()
        return events

    @property
    def has_events(self) -> bool:
        """Whether `drain` would give anything."""
        return len(self._events) > 0

    @property
    def is_confirmed(self) -> bool:
        """Whether the handshake is over for both ends."""
        return self._handshake_confirmed

    def authenticated(self) -> None:
        """Give a client the full windows and streams, now that we know who he is; a server has them anyway."""
        if self._is_client or self._is_known:
            return
        self._is_known = True
        options = self.options
        self._stream_window = options.stream_window
        self._connection_window = options.connection_window
        self._local_max_data.value = max(self._local_max_data.value, self._delivered + self._connection_window)
        self._local_max_streams_bidi.value += options.bidi_streams - options.early_streams
        self._local_max_streams_uni.value += options.uni_streams - options.early_streams

    def abandon(self, code: int, reason: str) -> None:
        """End the connection at once, without a word to the peer."""
        if self._state is QuicConnectionState.TERMINATED:
            return
        if self._close_event is None:
            self._close_event = ConnectionTerminated(code, QuicFrameType.PADDING, reason)
        self._close_pending = False
        self._close_end()

    # Time

    def connect(self, addr: NetworkAddress, now: float) -> None:
        self._deadline = now + self.options.handshake_timeout
        super().connect(addr, now)

    def get_timer(self) -> float | None:
        timer = super().get_timer()
        if timer is None or self._state in END_STATES:
            return timer
        if not self._handshake_complete and self._deadline < timer:
            timer = self._deadline
        if self._holes:
            timer = min(timer, next(iter(self._holes.values())))
        return timer

    def handle_timer(self, now: float) -> None:
        if not self._handshake_complete and now >= self._deadline and self._state not in END_STATES:
            self.anomalies["unfinished handshake"] += 1
            self.abandon(QuicErrorCode.INTERNAL_ERROR, "the handshake was not finished in time")
            return
        while self._holes and next(iter(self._holes.values())) <= now:
            self._give_up(self._streams[next(iter(self._holes))])
        super().handle_timer(now)

    # Packets

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        if self._deadline == math.inf:
            self._deadline = now + self.options.handshake_timeout
        try:
            super().receive_datagram(data, addr, now)
        except Exception:
            self.anomalies["exception"] += 1
            logger.exception("A datagram from %s broke the connection.", addr)
            self.close(QuicErrorCode.INTERNAL_ERROR, QuicFrameType.PADDING, "internal error")

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        space = self._data_space
        if space is None:
            return []
        if self._packet_number + space.largest_received_packet >= self._rekey_at:
            self._rekey_at = math.inf
            self.request_key_update()
            self.send_ping(REKEYED)
        return super().datagrams_to_send(now)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self._data_space = self._spaces[Epoch.ONE_RTT]

    def _close_begin(self, is_initiator: bool, now: float) -> None:
        self.closed_by_peer = not is_initiator
        if is_initiator and self._close_event is not None and self._close_event.frame_type is not None:
            self.anomalies[f"closed with 0x{self._close_event.error_code:x}"] += 1
        super()._close_begin(is_initiator, now)

    def _on_ping_delivery(self, delivery: QuicDeliveryState, uids: Sequence[int]) -> None:
        super()._on_ping_delivery(delivery, uids)
        # A second update before the peer has followed the first deadlocks: neither end keeps old keys.
        if delivery is QuicDeliveryState.ACKED and REKEYED in uids and self._data_space is not None:
            packets = self._packet_number + self._data_space.largest_received_packet
            self._rekey_at = packets + self.options.key_update_after

    # Frames

    def _refusal(self, code: int, frame_type: int, reason: str) -> QuicConnectionError:
        self.anomalies[reason] += 1
        return QuicConnectionError(code, frame_type, reason)

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        largest = buf.pull_uint_var()
        buf.seek(start)
        # RFC 9000 section 13.1; aioquic would take all later packets for lost.
        if largest >= self._packet_number:
            raise self._refusal(QuicErrorCode.PROTOCOL_VIOLATION, frame_type, "acknowledged what was never sent")
        self.acks += 1
        super()._handle_ack_frame(context, frame_type, buf)

    def _handle_crypto_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        end = buf.pull_uint_var() + buf.pull_uint_var()
        buf.seek(start)
        if end > CRYPTO_LIMIT:
            raise self._refusal(QuicErrorCode.CRYPTO_BUFFER_EXCEEDED, frame_type, "too long a handshake")
        early = not self._handshake_complete
        super()._handle_crypto_frame(context, frame_type, buf)
        if early and self._handshake_complete:
            for stream in (None, *self._streams.copy().values()):
                self._widen(stream)
        if len(self._crypto_streams[context.epoch].receiver._ranges) > self.options.gaps:
            raise self._refusal(QuicErrorCode.INTERNAL_ERROR, frame_type, "too many gaps")

    def _handle_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        sid = buf.pull_uint_var()
        is_plain = frame_type == IN_ORDER and self._quic_logger is None
        data = in_order(self._streams.get(sid), self._local_max_data, buf) if is_plain else None
        if data is not None:
            self._delivered += len(data)
            self._events.append(StreamDataReceived(data=data, end_stream=False, stream_id=sid))
            self._widen(self._streams[sid])
            return
        buf.seek(start)
        known = len(self._events)
        super()._handle_stream_frame(context, frame_type, buf)
        stream = self._streams[sid]
        receiver = stream.receiver
        progress = len(self._events) > known
        if progress:
            self._delivered += len(self._events[-1].data)  # type: ignore[attr-defined]
            self._widen(stream)
        if receiver.highest_offset > receiver.starting_offset() and not receiver.is_finished:
            if len(receiver._ranges) > self.options.gaps:
                raise self._refusal(QuicErrorCode.INTERNAL_ERROR, frame_type, "too many gaps")
            if progress:
                self._holes.pop(sid, None)
            self._holes.setdefault(sid, context.time + self.options.hole_timeout)
        elif self._holes:
            self._holes.pop(sid, None)

    def _handle_reset_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        known = len(self._events)
        super()._handle_reset_stream_frame(context, frame_type, buf)
        if len(self._events) > known:
            self._forget_rest(self._streams[self._events[-1].stream_id])  # type: ignore[attr-defined]

    # Windows

    def _widen(self, stream: QuicStream | None = None) -> None:
        """Move the windows of the connection, and of a stream, on by an eighth at a time.

        By halves, a flight that ends a packet short of the half leaves the sender with half a window for good. Early
        data gets no more than the first window: whoever sends it need not be who he was.
        """
        if not self._handshake_complete:
            return
        if stream is not None:
            window = self._stream_window
            delivered = stream.receiver.starting_offset()
            limit = stream.max_stream_data_local
            given = window if limit > self._fresh_window else self._fresh_window
            if (given - limit + delivered) * 8 >= given and stream.receiver._final_size is None:
                stream.max_stream_data_local = delivered + window
                self._streams.widened[_sid(stream)] = stream
        window = self._connection_window
        if (window - self._local_max_data.value + self._delivered) * 8 >= window:
            self._local_max_data.value = self._delivered + window

    def _give_up(self, stream: QuicStream) -> None:
        """End a stream whose missing bytes do not come, with LIMIT."""
        self.anomalies["stream with a hole"] += 1
        receiver = stream.receiver
        receiver.stop(Code.LIMIT)
        stream.sender.reset(Code.LIMIT)
        self._events.append(StreamReset(error_code=Code.LIMIT, stream_id=_sid(stream)))
        receiver.is_finished = True
        self._forget_rest(stream)

    def _forget_rest(self, stream: QuicStream) -> None:
        """Free what can no longer be delivered, and give its credit back."""
        receiver = stream.receiver
        self._delivered += receiver.highest_offset - receiver.starting_offset()
        receiver._buffer.clear()
        self._holes.pop(_sid(stream), None)
        self._widen(stream)

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        sid = _sid(stream)
        if not stream.receiver.is_finished:
            buf = builder.start_frame(
                QuicFrameType.MAX_STREAM_DATA,
                capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
                handler=self._on_max_stream_data_delivery,
                handler_args=(stream,),
            )
            buf.push_uint_var(sid)
            buf.push_uint_var(stream.max_stream_data_local)
        self._streams.widened.pop(sid, None)

    def _on_max_stream_data_delivery(self, delivery: QuicDeliveryState, stream: QuicStream) -> None:
        if delivery is not QuicDeliveryState.ACKED:
            self._streams.widened[_sid(stream)] = stream

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        for limit in moved(self._local_max_data, self._local_max_streams_bidi, self._local_max_streams_uni):
            buf = builder.start_frame(
                limit.frame_type,
                capacity=CONNECTION_LIMIT_FRAME_CAPACITY,
                handler=self._on_connection_limit_delivery,
                handler_args=(limit,),
            )
            buf.push_uint_var(limit.value)
            limit.sent = limit.value


def _sid(stream: QuicStream) -> int:
    """The id of a stream that is not one of the handshake's."""
    assert stream.stream_id is not None
    return stream.stream_id


def in_order(stream: QuicStream | None, limit: Limit, buf: Buffer) -> bytes | None:
    """What a frame brings whose bytes are the next of its stream, as nearly all do; None for aioquic to judge it."""
    if stream is None:
        return None
    receiver, offset, length = stream.receiver, buf.pull_uint_var(), buf.pull_uint_var()
    end = offset + length
    if (
        # Bytes that came too early wait for others.
        offset != receiver.highest_offset
        or offset != receiver._buffer_start
        or receiver.is_finished
        or receiver._final_size is not None
        or not length
        or end > stream.max_stream_data_local
        or limit.used + length > limit.value
    ):
        return None
    data = buf.pull_bytes(length)
    receiver.highest_offset = receiver._buffer_start = end
    limit.used += length
    return data


def moved(data: Limit, *streams: Limit) -> list[Limit]:
    """Which limits of a connection have moved enough to be told."""
    told = [] if data.value == data.sent else [data]
    # Streams, as in aioquic, once the peer has fewer left than the update would give him.
    return told + [each for each in streams if each.sent - each.used < each.value - each.sent]
