"""Two ends of one connection without sockets: a virtual clock, and a network that delays and loses by a seed."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import cast

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent
from aioquic.quic.packet import pull_quic_header
from aioquic.tls import Epoch

from quicchat.protocol.events import LinkEvent
from quicchat.transport.options import Options, dialing, serving
from quicchat.transport.pace import PacedConnection
from quicchat.transport.quic import QuicLink
from quicchat.transport.tickets import Ticket, Tickets
from quicchat.transport.udp import Address
from quicchat.wire.frame import varint
from tests.certs import Authority

CLIENT = ("198.51.100.7", 40_000)
SERVER = ("192.0.2.1", 55_667)
AUTHORITY = Authority()
IDENTITY = AUTHORITY.issue(["server.example"])


class Stock(QuicConnection):
    """aioquic as it is, with the names that an End asks for: what our guards are measured against."""

    acks = 0
    closed_by_peer = False
    is_confirmed = True
    has_events = True

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        options: Options,
        anomalies: Counter[str] | None = None,
        tickets: Tickets | None = None,
        original_destination_connection_id: bytes | None = None,
    ) -> None:
        super().__init__(
            configuration=configuration, original_destination_connection_id=original_destination_connection_id
        )

    def drain(self) -> list[QuicEvent]:
        events = list(self._events)
        self._events.clear()
        return events

    def is_idle(self, now: float) -> bool:
        return False

    def hurry(self, now: float) -> None:
        pass

    def wake(self, sid: int) -> None:
        pass


class End:
    """One end: its connection, its link, and all that either has reported."""

    def __init__(self, quic: PacedConnection, pair: Pair) -> None:
        self.quic = quic
        self.pair = pair
        self.raw: list[QuicEvent] = []
        self.turns: list[list[LinkEvent]] = []
        self.link = QuicLink(quic, self)
        self.link.on_events = self.turns.append

    @property
    def events(self) -> list[LinkEvent]:
        return [event for turn in self.turns for event in turn]

    def touch(self) -> None:
        self.quic.hurry(self.pair.now)

    def flush(self) -> None:
        self.pair.transmit()

    def soon(self, callback: Callable[[], None]) -> None:
        callback()

    def migrate(self, local_port: int) -> None:
        assert self is self.pair.client
        host, port = self.pair.client_address
        self.pair.client_address = (host, local_port or port + 1)
        self.quic.change_connection_id()
        self.quic.send_ping(0)

    def deliver(self) -> None:
        events = self.quic.drain()
        self.raw += events
        self.link.report(events)


class Pair:
    """A client and a server, connected; `run` lets time pass. The server's end appears with the first packet."""

    def __init__(
        self,
        *,
        options: Options | None = None,
        latency: float = 0.010,
        loss: float = 0.0,
        jitter: float = 0.0,
        mtu: int = 65_535,
        seed: int = 0,
        alpn: list[str] | None = None,
        stock: bool = False,
        connect: bool = True,
        tickets: Tickets | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        self.options = options or Options()
        self.now = 1000.0
        self.latency, self.loss, self.jitter = latency, loss, jitter
        #: Datagrams that are larger vanish.
        self.mtu = mtu
        self.random = random.Random(seed)
        self.anomalies: Counter[str] = Counter()
        self.client_address: Address = CLIENT
        #: Datagrams put on the network, by sender, lost ones included.
        self.sent: dict[str, int] = {"client": 0, "server": 0}
        self._network: list[tuple[float, int, str, bytes, Address]] = []
        self._number = 0
        configuration = dialing(AUTHORITY.trust, "server.example", self.options)
        configuration.alpn_protocols = alpn if alpn is not None else configuration.alpn_protocols
        configuration.session_ticket = ticket
        #: What the server keeps of tickets, and what the client was given.
        self.tickets = tickets
        self.given: list[Ticket] = []
        self._make = cast("type[PacedConnection]", Stock) if stock else PacedConnection
        self.client = End(self._make(configuration=configuration, options=self.options), self)
        if tickets is not None:
            self.client.quic.on_ticket = self.given.append
        self._server: End | None = None
        if connect:
            self.client.quic.connect(SERVER, self.now)
            self.run(1.0)

    @property
    def server(self) -> End:
        assert self._server is not None
        return self._server

    def run(self, seconds: float) -> None:
        """Let time pass, with all that happens in it."""
        self.run_until(lambda: False, seconds)

    def run_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until something is true; whether it became so."""
        end = self.now + seconds
        self.transmit()
        while not done():
            due = [timer for each in self._ends() if (timer := each.quic.get_timer()) is not None]
            if self._network:
                due.append(self._network[0][0])
            at = max(self.now, min(due, default=end))
            if at > end:
                self.now = end
                return False
            # A microsecond late, as any real timer: aioquic rounds what is due at this very moment either way.
            self.now = at + 1e-6
            while self._network and self._network[0][0] <= self.now:
                _, _, to, data, sender = heapq.heappop(self._network)
                self.arrive(to, data, sender)
            for each in self._ends():
                timer = each.quic.get_timer()
                if timer is not None and timer <= self.now:
                    each.quic.handle_timer(self.now)
                    each.deliver()
            self.transmit()
        return True

    def transmit(self) -> None:
        """Put on the network what both ends have to send."""
        for each in self._ends():
            to, sender = ("server", self.client_address) if each is self.client else ("client", SERVER)
            idle = each.quic.is_idle(self.now)
            batch = each.quic.datagrams_to_send(self.now)
            # `is_idle` may be unsure, but never wrong: what it says is left out would never be sent.
            if idle:
                each.quic._pacer.begin()
                assert not QuicConnection.datagrams_to_send(each.quic, self.now), "is_idle was wrong"
            for data, _ in batch:
                self.sent["client" if to == "server" else "server"] += 1
                self.on_datagram(each, data)
                if self.random.random() >= self.loss and len(data) <= self.mtu:
                    self.post(to, data, sender)
            if each.quic.has_events:
                each.deliver()
            each.link.look()

    def on_datagram(self, end: End, data: bytes) -> None:
        """A datagram leaves an end, whatever becomes of it; for a test to look at."""

    def post(self, to: str, data: bytes, sender: Address) -> None:
        """Put a datagram on the network, which will not lose it."""
        self._number += 1
        arrival = self.now + self.latency + self.random.random() * self.jitter
        heapq.heappush(self._network, (arrival, self._number, to, data, sender))

    def arrive(self, to: str, data: bytes, sender: Address) -> None:
        """Give a datagram to an end."""
        if to == "server" and self._server is None:
            self._server = self._accept(data)
        end = self.client if to == "client" else self.server
        end.quic.receive_datagram(data, sender, self.now)
        end.deliver()

    def _accept(self, data: bytes) -> End:
        header = pull_quic_header(Buffer(data=data), host_cid_length=8)
        quic = self._make(
            configuration=self.serving(),
            options=self.options,
            anomalies=self.anomalies,
            tickets=self.tickets,
            original_destination_connection_id=header.destination_cid,
        )
        return End(quic, self)

    def serving(self) -> QuicConfiguration:
        """The server's configuration."""
        return serving(IDENTITY, self.options)

    def _ends(self) -> Iterable[End]:
        return [self.client] if self._server is None else [self.client, self._server]


def rude(end: End, payload: bytes, *, early: bool = False) -> bytes:
    """A 1-RTT or 0-RTT packet of an end with any frames at all, as only a hostile peer makes it."""
    quic = end.quic
    crypto = quic._cryptos[Epoch.ZERO_RTT if early else Epoch.ONE_RTT]
    number = quic._packet_number
    quic._packet_number += 1
    if early:
        assert quic._version is not None
        cids = b"".join(bytes((len(cid),)) + cid for cid in (quic._peer_cid.cid, quic.host_cid))
        length = (2 + len(payload) + 16 | 0x4000).to_bytes(2, "big")
        header = b"\xd1" + quic._version.to_bytes(4, "big") + cids + length + (number & 0xFFFF).to_bytes(2, "big")
        return crypto.encrypt_packet(header, payload, number)
    header = bytes((0x41 | crypto.key_phase << 2,)) + quic._peer_cid.cid + (number & 0xFFFF).to_bytes(2, "big")
    return crypto.encrypt_packet(header, payload.ljust(4, b"\0"), number)


def stream_frame(sid: int, offset: int, data: bytes, *, fin: bool = False) -> bytes:
    """A STREAM frame (RFC 9000 section 19.8)."""
    return bytes((0x0E | fin,)) + varint(sid) + varint(offset) + varint(len(data)) + data
