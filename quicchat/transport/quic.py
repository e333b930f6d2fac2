"""The native link: streams and datagrams of one QUIC connection, as the port asks for them. (spec 13-transport)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.quic.stream import QuicStreamSender

from quicchat.errors import Code, Refused
from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent, Reset, Stopped
from quicchat.transport.pace import PacedConnection
from quicchat.transport.udp import show
from quicchat.transport.watch import Watch
from quicchat.values import dataclass

#: Longest reason of a close (protocol §1), and the longest that fits beside the packets of a handshake.
REASON_LIMIT: Final = 1024
EARLY_REASON_LIMIT: Final = 256


class Carriage(Protocol):
    """What brings a link's packets to the network."""

    def touch(self) -> None:
        """Flush once, at the end of this loop turn."""

    def flush(self) -> None:
        """Flush now."""

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back in the next loop turn."""

    def migrate(self, local_port: int) -> None:
        """Go on from another local port, if this end may. Raises UsageError."""


class QuicLink:
    """A Link over a QUIC connection of its own. What is sent leaves at the end of the loop turn, or with `flush`.

    After `stop` nothing more is reported of what comes in on that stream, not even its end. Events that come
    before `on_events` is set are kept for it.
    """

    def __init__(self, quic: PacedConnection, carriage: Carriage) -> None:
        self._quic = quic
        self._carriage = carriage
        self._streams = quic._streams
        self._on_events: Callable[[list[LinkEvent]], None] | None = None
        self._kept: list[LinkEvent] = []
        self._stopped: set[int] = set()
        self._unacked: dict[int, QuicStreamSender] = {}
        self._watch = Watch(quic)
        self._backlog = 0
        self._measured = 0
        self._over = False
        #: Whether the handshake is complete.
        self.established = False
        #: How the connection ended, once it has.
        self.closed: Closed | None = None

    @property
    def on_events(self) -> Callable[[list[LinkEvent]], None]:
        """Called with the events of one loop turn, in order."""
        return self._on_events or self._kept.extend

    @on_events.setter
    def on_events(self, call: Callable[[list[LinkEvent]], None]) -> None:
        self._on_events = call
        if self._kept:
            self._carriage.soon(self._report_kept)

    @property
    def peer(self) -> str:
        """The peer's present address, `192.0.2.1:4433` or `[2001:db8::1]:4433`."""
        return show(self._quic.get_peer_address())

    @property
    def certificate_hash(self) -> bytes:
        """SHA-256 of the leaf that the server showed here or where this link stems from; b"" before it is known."""
        return self._quic.certificate_hash

    def authenticated(self, owner: str = "") -> None:
        """Give the peer the windows and streams of somebody we know; his tickets belong to `owner`."""
        if not self._over:
            self._quic.claim(owner)
            self._quic.authenticated()
            self._carriage.touch()

    def disown(self) -> None:
        """No ticket of the owner of this link is good any more."""
        self._quic.disown()

    def migrate(self, local_port: int = 0) -> None:
        """Go on from another local port, 0 for any; on a server's link nothing happens. Raises UsageError."""
        if not self._over:
            self._carriage.migrate(local_port)

    def open(self, *, uni: bool = False) -> int:
        """A new stream's id. Raises Refused(LIMIT) when the peer allows no more at present."""
        quic = self._quic
        sid = quic.get_next_available_stream_id(is_unidirectional=uni)
        # Beyond the limit aioquic would queue without a word.
        if sid // 4 >= (quic._remote_max_streams_uni if uni else quic._remote_max_streams_bidi):
            raise Refused(Code.LIMIT, "The other end allows no more streams at present.")
        quic.send_stream_data(sid, b"")
        return sid

    def send(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        """Queue bytes on a stream."""
        sender = self._sender(sid)
        if sender is None or sender._buffer_fin is not None:
            return
        self._quic.wake(sid)
        sender.write(data, fin)
        self._unacked[sid] = sender
        self._backlog += len(data)
        self._carriage.touch()

    def reset(self, sid: int, code: int) -> None:
        """Give up sending on a stream."""
        sender = self._sender(sid)
        if sender is not None:
            self._quic.wake(sid)
            sender.reset(code)
            self._forget(sid)
            self._carriage.touch()

    def stop(self, sid: int, code: int) -> None:
        """Ask the peer to give up sending on a stream."""
        stream = self._streams.get(sid)
        if stream is None or stream.receiver.is_finished or self._over:
            return
        self._quic.wake(sid)
        stream.receiver.stop(code)
        self._stopped.add(sid)
        self._carriage.touch()

    def datagram(self, data: bytes, *, bulk: bool = False) -> bool:
        """Queue a datagram of at most 1100 bytes; False when it was dropped here."""
        if self._over or not self._quic.offer_datagram(data, bulk=bulk):
            return False
        self._carriage.touch()
        return True

    def backlog(self, sid: int | None = None) -> int:
        """Bytes given to `send` and not yet acknowledged by the peer: of one stream, or of all."""
        if sid is not None:
            sender = self._unacked.get(sid)
            return 0 if sender is None else len(sender._buffer)
        if self._measured != self._quic.acks:
            self._measured = self._quic.acks
            self._backlog = 0
            for each, sender in list(self._unacked.items()):
                self._backlog += len(sender._buffer)
                if not sender._buffer:
                    del self._unacked[each]
        return self._backlog

    def unsent(self, sid: int | None) -> int:
        """Bytes that have not left for the first time: of a stream, or for None in bulk datagrams."""
        return 0 if self._over else self._quic.unsent(sid) or 0

    def watch(self, sid: int | None, below: int) -> None:
        """Report `Writable(sid)` as soon as less is unsent, or the stream takes no more; its data is bulk then."""
        if self._over:
            return
        if sid is not None:
            self._quic.demote(sid)
        self._watch.add(sid, below)
        self._carriage.touch()

    def look(self) -> None:
        """Something was sent, or a stream ended: see to it that whoever watches is told, in a later loop turn."""
        ready = self._watch.ready()
        if ready:
            is_arranged = bool(self._kept)
            self._kept += ready
            if self._on_events is not None and not is_arranged:
                self._carriage.soon(self._report_kept)

    def close(self, code: int, reason: str = "") -> None:
        """End the connection now; what is queued is lost. `Closed` is still reported."""
        if self._over:
            return
        self._over = True
        limit = REASON_LIMIT if self._quic.is_confirmed else EARLY_REASON_LIMIT
        self._quic.close(code, reason_phrase=reason.encode()[:limit].decode(errors="ignore"))
        self._carriage.touch()

    def flush(self) -> None:
        """Send what is queued, without waiting for the end of the loop turn."""
        self._carriage.flush()

    def report(self, events: Iterable[QuicEvent]) -> None:
        """Translate what the connection reports, and pass it on as one list; bytes of one stream are one event.

        Streams are not ordered among each other, so it does not matter what came of others in between.
        """
        news: list[LinkEvent] = []
        pieces: dict[int, list[StreamDataReceived]] = {}
        for event in events:
            if type(event) is StreamDataReceived:
                if event.stream_id not in self._stopped:
                    pieces.setdefault(event.stream_id, []).append(event)
                elif event.end_stream:
                    self._stopped.discard(event.stream_id)
                continue
            news += _joined(pieces)
            if isinstance(event, DatagramFrameReceived):
                news.append(Datagram(event.data))
            elif isinstance(event, StreamReset):
                if event.stream_id not in self._stopped:
                    news.append(Reset(event.stream_id, event.error_code))
                self._stopped.discard(event.stream_id)
            elif isinstance(event, StopSendingReceived):
                self._forget(event.stream_id)
                news.append(Stopped(event.stream_id, event.error_code))
            elif isinstance(event, HandshakeCompleted):
                self.established = True
                news.append(Established())
            elif isinstance(event, ConnectionTerminated):
                news += self._watch.end()
                news.append(self._end(event))
        news += _joined(pieces)
        if self._on_events is None or self._kept:
            self._kept += news
        elif news:
            self._on_events(news)

    def _report_kept(self) -> None:
        kept, self._kept = self._kept, []
        if kept:
            self.on_events(kept)

    def _sender(self, sid: int) -> QuicStreamSender | None:
        """The sending half of a stream on which something can still be said."""
        stream = self._streams.get(sid)
        if stream is None or self._over:
            return None
        sender = stream.sender
        return None if sender.is_finished or sender._reset_error_code is not None else sender

    def _forget(self, sid: int) -> None:
        """Free what a stream that was reset will never send; aioquic keeps it until the peer agrees."""
        sender = self._unacked.pop(sid, None)
        if sender is not None:
            self._backlog -= len(sender._buffer)
            sender._buffer.clear()

    def _end(self, event: ConnectionTerminated) -> Closed:
        self._over = True
        self._unacked.clear()
        self._backlog = 0
        code, reason = event.error_code, event.reason_phrase
        application = event.frame_type is None
        if not application and code >= 0x100:
            reason = f"TLS: {reason}"
        self.closed = Closed(code, reason, self._quic.closed_by_peer, application)
        return self.closed


@dataclass(frozen=True, slots=True)
class Taken:
    """What the other end took, or takes: whether what we said early (0-RTT), and the largest DATAGRAM frame, or 0."""

    early: bool
    datagram: int


def taken(link: QuicLink) -> Taken:
    """What was agreed in the handshake of a link."""
    return Taken(link._quic.tls.early_data_accepted, link._quic._remote_max_datagram_frame_size or 0)


def _joined(pieces: dict[int, list[StreamDataReceived]]) -> list[LinkEvent]:
    """What came on each stream as one event; `pieces` is empty afterwards."""
    joined: list[LinkEvent] = []
    for sid, events in pieces.items():
        data = events[0].data if len(events) == 1 else b"".join([event.data for event in events])
        joined.append(Bytes(sid, data, events[-1].end_stream))
    pieces.clear()
    return joined
