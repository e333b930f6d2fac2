"""The server's end: one UDP port per address, from packets to established links. (spec 13-transport)"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.packet import QuicErrorCode, QuicHeader, QuicPacketType, pull_quic_header

from quicchat.errors import Code, UsageError
from quicchat.transport.carrier import Carrier, Turn
from quicchat.transport.identity import Identity
from quicchat.transport.link import Link
from quicchat.transport.options import CID_LENGTH, NATIVE, Options, serving
from quicchat.transport.pace import PacedConnection
from quicchat.transport.quic import QuicLink
from quicchat.transport.stateless import SMALLEST_INITIAL, Retry, negotiation, refusal
from quicchat.transport.tickets import Tickets
from quicchat.transport.udp import Address, Udp, show

#: What carries a connection, by the ALPN that was negotiated; `h3` joins here.
LINKS: Final = {NATIVE: QuicLink}
#: The bit of the first byte that tells long headers, which carry the length of their ids.
LONG_HEADER: Final = 0x80
#: How often another port is tried when the one the kernel chose is taken in another address family.
PORT_ATTEMPTS: Final = 8
#: How long `close` waits for peers to be told, in seconds.
CLOSING: Final = 2.0


class Endpoint:
    """Accepts connections, and finds for each packet the one it belongs to; made by `listen`."""

    def __init__(
        self, sockets: Sequence[Udp], identity: Identity, on_link: Callable[[Link], None], options: Options
    ) -> None:
        #: What no honest peer does, counted by name since the endpoint was made.
        self.anomalies: Counter[str] = Counter()
        self._options = options
        self._quic_configuration = serving(identity, options)
        self._authority = identity.authority
        self._on_link = on_link
        self._loop = asyncio.get_running_loop()
        self._turn = Turn(self._loop)
        self._retry = Retry()
        self._tickets = Tickets()
        self._by_cid: dict[bytes, Carrier] = {}
        self._carriers: set[Carrier] = set()
        self._unfinished: set[Carrier] = set()
        self._accepting = True
        self._emptied = asyncio.Event()
        self._sockets = list(sockets)
        for udp in self._sockets:
            self._loop.add_reader(udp.socket, self._readable, udp)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket."""
        return [udp.address[:2] for udp in self._sockets]

    @property
    def links(self) -> list[Link]:
        """The established links, in no order."""
        links = [carrier.link for carrier in self._carriers if carrier.link is not None]
        return [link for link in links if link.established]

    @property
    def unfinished(self) -> int:
        """How many handshakes are under way."""
        return len(self._unfinished)

    def set_identity(self, identity: Identity) -> None:
        """Show another certificate to new connections; those there are live on. Raises UsageError.

        Under another authority nobody comes back by a ticket from before: each client has to see the new one.
        """
        self._quic_configuration = serving(identity, self._options)
        if identity.authority != self._authority:
            self._authority = identity.authority
            self._tickets.clear()

    def stop_accepting(self) -> None:
        """Refuse new connections from now on."""
        self._accepting = False

    async def close(self, code: int = Code.NO_ERROR, reason: str = "") -> None:
        """Refuse new connections, end all there are, and give the ports back once the peers have been told."""
        self.stop_accepting()
        for carrier in list(self._carriers):
            carrier.close(code, reason)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    while self._carriers:
                        self._emptied.clear()
                        await self._emptied.wait()
        finally:
            for carrier in list(self._carriers):
                carrier.abandon(code, reason)
            while self._sockets:
                udp = self._sockets.pop()
                self._loop.remove_reader(udp.socket)
                udp.close()

    # Packets

    def _readable(self, udp: Udp) -> None:
        now = self._loop.time()
        by_cid = self._by_cid
        for data, address in udp.receive():
            if data and not data[0] & LONG_HEADER:
                carrier = by_cid.get(data[1 : 1 + CID_LENGTH])
            else:
                carrier = self._find(data, address, udp, now)
            if carrier is not None:
                carrier.udp = udp
                carrier.receive(data, address, now)
        self._turn.run()

    def _find(self, data: bytes, address: Address, udp: Udp, now: float) -> Carrier | None:
        """The connection that a packet with a long header belongs to, perhaps a new one."""
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=CID_LENGTH)
        except ValueError:
            self.anomalies["not a QUIC packet"] += 1
            return None
        carrier = self._by_cid.get(header.destination_cid)
        if carrier is not None:
            return carrier
        if len(data) < SMALLEST_INITIAL or header.packet_type is QuicPacketType.VERSION_NEGOTIATION:
            return None
        versions = self._quic_configuration.supported_versions
        if header.version not in versions:
            udp.send([(negotiation(header, versions), address)])
            return None
        return self._accept(header, address, udp, now) if header.packet_type is QuicPacketType.INITIAL else None

    def _accept(self, header: QuicHeader, address: Address, udp: Udp, now: float) -> Carrier | None:
        """A new connection, or None where the client was refused or asked to prove its address first."""
        original, retried = header.destination_cid, None
        answer: bytes | None = None
        if not self._accepting:
            answer = refusal(header, QuicErrorCode.CONNECTION_REFUSED)
        elif header.token:
            proven = self._retry.proven(header, address, now)
            if proven is None:
                self.anomalies["invalid token"] += 1
                answer = refusal(header, QuicErrorCode.INVALID_TOKEN)
            else:
                original, retried = proven, header.destination_cid
        elif len(self._unfinished) >= self._options.retry_above:
            answer = self._retry.demand(header, address, now)
        if answer is not None:
            udp.send([(answer, address)])
            return None
        if len(self._unfinished) >= self._options.half_open:
            self.anomalies["too many handshakes"] += 1
            return None
        quic = PacedConnection(
            configuration=self._quic_configuration,
            options=self._options,
            anomalies=self.anomalies,
            tickets=self._tickets,
            original_destination_connection_id=original,
            retry_source_connection_id=retried,
        )
        carrier = Carrier(quic, udp, self._turn, self)
        self._carriers.add(carrier)
        self._unfinished.add(carrier)
        self.issued(carrier, header.destination_cid)
        self.issued(carrier, quic.host_cid)
        return carrier

    # What a carrier tells its owner

    def issued(self, carrier: Carrier, cid: bytes) -> None:
        self._by_cid[cid] = carrier
        carrier.cids.add(cid)

    def retired(self, carrier: Carrier, cid: bytes) -> None:
        self._by_cid.pop(cid, None)
        carrier.cids.discard(cid)

    def opened(self, carrier: Carrier) -> None:
        carrier.link = LINKS[carrier.quic.tls.alpn_negotiated or NATIVE](carrier.quic, carrier)
        self._on_link(carrier.link)

    def established(self, carrier: Carrier) -> None:
        self._unfinished.discard(carrier)

    def migrate(self, carrier: Carrier, local_port: int) -> None:
        """Nothing to do: only clients move (RFC 9000 section 9)."""

    def stranded(self, carrier: Carrier) -> None:
        """Nothing to do: the idle timeout decides."""

    def ended(self, carrier: Carrier) -> None:
        for cid in carrier.cids:
            self._by_cid.pop(cid, None)
        carrier.cids.clear()
        self._unfinished.discard(carrier)
        self._carriers.discard(carrier)
        self._emptied.set()


async def listen(
    addresses: Sequence[tuple[str, int]],
    identity: Identity,
    on_link: Callable[[Link], None],
    *,
    options: Options | None = None,
) -> Endpoint:
    """Listen on UDP; of several addresses with port 0 all get the same port.

    `on_link` is called with each link whose handshake is complete, or that has early data for us, and sets its
    `on_events`: what comes before Established may be a replay. Raises UsageError where an address cannot be had or
    the identity cannot be used.
    """
    loop = asyncio.get_running_loop()
    found: list[tuple[int, Address]] = []
    for host, port in addresses:
        try:
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise UsageError(f"There is no address {host}: {error.strerror}") from error
        found += [(info[0], info[4]) for info in infos]
    sockets = _bind(found, options or Options())
    try:
        return Endpoint(sockets, identity, on_link, options or Options())
    except UsageError:
        for udp in sockets:
            udp.close()
        raise


def _bind(found: Sequence[tuple[int, Address]], options: Options) -> list[Udp]:
    attempt = 0
    while True:
        attempt += 1
        chosen = 0
        sockets: list[Udp] = []
        for family, address in found:
            host, port, *rest = address
            try:
                udp = options.udp(family, (host, port or chosen, *rest), None)
            except OSError as error:
                for other in sockets:
                    other.close()
                if error.errno == errno.EADDRINUSE and not port and attempt < PORT_ATTEMPTS:
                    break
                raise UsageError(f"Cannot listen on {show(address)}: {error.strerror}") from error
            sockets.append(udp)
            chosen = chosen or udp.address[1]
        else:
            return sockets
