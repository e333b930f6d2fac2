"""QUIC connections of the kit, made or taken: what is said and heard, and the end. (spec 13-transport)

The only module of the kit that knows aioquic. It uses nothing of our transport, and takes no precautions.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from aioquic._buffer import Buffer
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionState
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.quic.packet import (
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.tls import Epoch, Group, SessionTicket

from quicchat.tools.conform.certs import Paper
from quicchat.tools.conform.udp import Address, Port
from quicchat.values import dataclass

_LARGEST: Final = 65_536
_VERSIONS: Final = (QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2)
#: Connection ids that a server may give us, no less than RFC 9000 section 18.2 allows.
_FEWEST_IDS: Final = 2


class Unreachable(Exception):
    """No handshake came about; the text says why, and `closed` how it was ended, `here` if by this end."""

    def __init__(self, text: str, closed: Closed | None = None, *, here: bool = False) -> None:
        self.closed = closed
        self.here = here
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of a connection. `frame` is the type that a transport error blames; None: the application closed."""

    code: int
    reason: str
    frame: int | None

    @property
    def by_application(self) -> bool:
        return self.frame is None


class _Caller(QuicConnection):
    """aioquic offers a key of every group that it knows; two of the four cost more than the whole rest of a hello."""

    is_lean = is_accuser = False

    def _close_begin(self, is_initiator: bool, now: float) -> None:
        self.is_accuser = is_initiator
        super()._close_begin(is_initiator, now)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._supported_groups = [Group.X25519, Group.SECP256R1]

    def _replenish_connection_ids(self) -> None:
        if not self.is_lean:
            super()._replenish_connection_ids()


class Line:
    """One connection, either end. `on_event` is told what comes, and `closed` is set at its end.

    What is said leaves at the end of the loop's turn, in as few packets as hold it, or with `flush`.
    """

    def __init__(self, quic: QuicConnection, send: Callable[[bytes, Address], None]) -> None:
        self.quic = quic
        self.closed: Closed | None = None
        self.is_established = False
        #: Whether this end closed first.
        self.is_closed_here = False
        self.on_event: Callable[[QuicEvent], None] = lambda event: None
        self.on_end: Callable[[], object] = lambda: None
        #: Go on from another address, without a word to the peer.
        self.move: Callable[[], None] = lambda: None
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waits = False
        self._over = False

    @property
    def datagrams(self) -> int:
        """How large a datagram frame the peer takes; 0 for none."""
        return self.quic._remote_max_datagram_frame_size or 0

    # Saying

    def open(self, *, uni: bool = False) -> int:
        """The id of a stream of one's own; the peer learns of it by what is said there."""
        sid = self.quic.get_next_available_stream_id(is_unidirectional=uni)
        self.quic.send_stream_data(sid, b"")
        return sid

    def say(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        """Bytes on a stream."""
        if self.closed is None:
            self.quic.send_stream_data(sid, data, fin)
            self.touch()

    def whisper(self, data: bytes) -> None:
        """Bytes in a datagram."""
        if self.closed is None:
            self.quic.send_datagram_frame(data)
            self.touch()

    def reset(self, sid: int, code: int) -> None:
        """Give up what one says on a stream."""
        self.quic.reset_stream(sid, code)
        self.touch()

    def stop(self, sid: int, code: int) -> None:
        """Ask the peer to say no more on a stream."""
        self.quic.stop_stream(sid, code)
        self.touch()

    def close(self, code: int, reason: str = "") -> None:
        """End the connection."""
        if self.closed is None:
            self.is_closed_here = True
            self.quic.close(code, reason_phrase=reason)
            self.flush()

    def touch(self) -> None:
        """Have what is said leave at the end of this turn of the loop."""
        if not self._waits:
            self._waits = True
            self._loop.call_soon(self.flush)

    def intrude(self, frames: bytes) -> None:
        """Send a packet with any frames at all, of which this end itself knows nothing."""
        quic = self.quic
        crypto = quic._cryptos[Epoch.ONE_RTT]
        number = quic._packet_number
        quic._packet_number += 1
        header = bytes([0x41 | crypto.key_phase << 2]) + quic._peer_cid.cid + (number & 0xFFFF).to_bytes(2, "big")
        self.resend(crypto.encrypt_packet(header, frames.ljust(4, b"\0"), number))

    def resend(self, packet: bytes) -> None:
        """Send a packet as it is."""
        self._send(packet, self.quic._network_paths[0].addr)

    def flush(self) -> None:
        """Have what is said leave now."""
        self._waits = False
        if self._over:
            return
        for data, address in self.quic.datagrams_to_send(self._loop.time()):
            self._send(data, address)
        self._arm()

    # Hearing

    def receive(self, data: bytes, address: Address) -> None:
        """A packet came."""
        self.quic.receive_datagram(data, address, self._loop.time())
        self._turn()

    def _turn(self) -> None:
        while (event := self.quic.next_event()) is not None:
            self._tell(event)
        end = self.quic._close_event
        if self.quic._state is QuicConnectionState.DRAINING and end is not None and self.closed is None:
            # The peer has closed. aioquic keeps that to itself for three probe time-outs, a tenth of a second.
            self._tell(end)
        if self.closed is not None:
            self.drop()
        else:
            # More may have come, and who waited for it may want to say something: all of that goes in one packet.
            self.touch()

    def _tell(self, event: QuicEvent) -> None:
        match event:
            case HandshakeCompleted():
                self.is_established = True
            case ConnectionTerminated(code, frame, reason):
                self.closed = Closed(code, reason or "", frame)
        self.on_event(event)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self.quic.get_timer()
        self._timer = None if at is None else self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.quic.handle_timer(self._loop.time())
        self._turn()

    def drop(self) -> None:
        """Forget the connection, without a word."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self.on_end()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client wants of its connection; `tickets` gets those that the server gives, `tap` each packet
    that is sent: what it takes (True) does not leave."""

    alpn: tuple[str, ...] = ("quicchat",)
    ticket: SessionTicket | None = None
    tickets: Callable[[SessionTicket], None] | None = None
    tap: Callable[[bytes], bool] | None = None
    window: int = 1_048_576
    datagrams: bool = True
    idle: float = 30.0
    #: Whether the connection will neither move to another address nor speak another version of QUIC: then a tenth of
    #: the work is saved at both ends.
    lean: bool = False


#: What is enough for a connection that lives for a moment.
LEAN: Final = Wishes(lean=True)
#: Where hosts are: asking costs a thread as much as half of a handshake.
_found: dict[tuple[str, int], tuple[int, Address]] = {}


async def dial(
    host: str, port: int, wishes: Wishes | None = None, *, early: bool = False, patience: float = 5.0
) -> Line:
    """A connection to a server, whose certificate is not checked: who tests a server knows whom it calls.

    It is established, unless `early`. Raises Unreachable.
    """
    wishes = wishes or Wishes()
    loop = asyncio.get_running_loop()
    where = _found.get((host, port))
    if where is None:
        try:
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise Unreachable(f"no host {host}: {error.strerror}") from error
        where = _found[host, port] = infos[0][0], infos[0][4]
    line = _ring(*where, host, wishes)
    if early:
        return line
    if not line.is_established and line.closed is None:
        done = loop.create_future()
        line.on_event = lambda event: None if done.done() else done.set_result(event)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await done
    if not line.is_established:
        closed = line.closed
        line.drop()
        text = f"nobody answers at {host}:{port}" if closed is None else f"{closed.code:#x} {closed.reason}".strip()
        raise Unreachable(text, closed, here=getattr(line.quic, "is_accuser", False))
    return line


def _ring(family: int, remote: Address, name: str, wishes: Wishes) -> Line:
    loop = asyncio.get_running_loop()
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=list(wishes.alpn),
        server_name=name,
        verify_mode=ssl.CERT_NONE,
        idle_timeout=wishes.idle,
        max_data=wishes.window,
        max_stream_data=wishes.window,
        max_datagram_frame_size=_LARGEST if wishes.datagrams else None,
        session_ticket=wishes.ticket,
        supported_versions=[QuicProtocolVersion.VERSION_1] if wishes.lean else list(_VERSIONS),
    )
    quic = _Caller(configuration=configuration, session_ticket_handler=wishes.tickets)
    if wishes.lean:
        quic.is_lean, quic._local_active_connection_id_limit = True, _FEWEST_IDS
    port = Port(family, remote, wishes.tap)
    line = Line(quic, port.send)
    port.open(line.receive)
    line.on_end = port.close
    line.move = lambda: port.open(line.receive)
    line.quic.connect(remote, loop.time())
    line.flush()
    return line


class Door:
    """A port at which clients call; `on_line` is given each connection as its first packet comes, before it is read.

    `paper` and `alpn` are what the next ones are shown.
    """

    def __init__(self, host: str, port: int, paper: Paper, on_line: Callable[[Line], None]) -> None:
        self.paper = paper
        self.alpn = "quicchat"
        self.on_line = on_line
        self._lines: dict[Line, bytes] = {}
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.setblocking(False)
        self._udp.bind((host, port))
        self.port: int = self._udp.getsockname()[1]
        self._loop.add_reader(self._udp, self._read)

    def close(self) -> None:
        """Hear nothing more; what is open is forgotten without a word."""
        for line in list(self._lines):
            line.drop()
        self._loop.remove_reader(self._udp)
        self._udp.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._udp.fileno() >= 0:
                try:
                    data, address = self._udp.recvfrom(_LARGEST)
                except ConnectionRefusedError:
                    continue
                self._take(data, address)

    def _take(self, data: bytes, address: Address) -> None:
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=QuicConfiguration().connection_id_length)
        except ValueError:
            return
        spoken = QuicConfiguration().supported_versions
        if header.version and header.version not in spoken:
            self._say(encode_quic_version_negotiation(header.destination_cid, header.source_cid, spoken), address)
            return
        line = self._line(header.destination_cid)
        if line is None:
            if header.packet_type is not QuicPacketType.INITIAL or len(data) < SMALLEST_MAX_DATAGRAM_SIZE:
                return
            line = self._answer(header.destination_cid)
        line.receive(data, address)

    def _line(self, cid: bytes) -> Line | None:
        for line, first in self._lines.items():
            if cid == first or any(cid == each.cid for each in line.quic._host_cids):
                return line
        return None

    def _answer(self, cid: bytes) -> Line:
        configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=[self.alpn],
            certificate=self.paper.leaf,
            certificate_chain=list(self.paper.chain),
            private_key=self.paper.key,
            max_datagram_frame_size=_LARGEST,
        )
        line = Line(QuicConnection(configuration=configuration, original_destination_connection_id=cid), self._say)
        self._lines[line] = cid
        line.on_end = lambda: self._lines.pop(line, None)
        self.on_line(line)
        return line

    def _say(self, data: bytes, address: Address) -> None:
        if self._udp.fileno() >= 0:
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                self._udp.sendto(data, address)


__all__ = [
    "LEAN",
    "Closed",
    "DatagramFrameReceived",
    "Door",
    "HandshakeCompleted",
    "Line",
    "QuicEvent",
    "SessionTicket",
    "StopSendingReceived",
    "StreamDataReceived",
    "StreamReset",
    "Unreachable",
    "Wishes",
    "dial",
]
