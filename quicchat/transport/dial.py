"""The client's end: a name becomes an established link, or one clear reason why not. (spec 13-transport)"""

from __future__ import annotations

import asyncio
import socket

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicErrorCode
from cryptography.hazmat.primitives.serialization import Encoding

from quicchat.errors import Code, LinkLost
from quicchat.transport.carrier import Carrier, Turn
from quicchat.transport.identity import Trust
from quicchat.transport.options import Options, dialing
from quicchat.transport.pace import PacedConnection
from quicchat.transport.quic import QuicLink
from quicchat.transport.udp import Address, Udp, show


class Call:
    """One client connection and the socket it owns, until the connection is over."""

    def __init__(self, quic: PacedConnection, family: int, remote: Address, local_port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._family = family
        self._remote = remote
        self._quic = quic
        self._turn = Turn(self._loop)
        self._udp = self._open(local_port)
        self._carrier = Carrier(quic, self._udp, self._turn, self)
        self.link = self._carrier.link = QuicLink(quic, self._carrier)
        #: Whether anything at all came back.
        self.answered = False
        #: Done when the handshake is complete; LinkLost when it never will be.
        self.outcome: asyncio.Future[None] = self._loop.create_future()
        quic.connect(self._udp.remote, self._loop.time())
        self._carrier.flush()

    @property
    def certificates(self) -> list[bytes]:
        """What the server showed, leaf first, as DER."""
        tls = self._quic.tls
        leaf = tls._peer_certificate
        return (
            [] if leaf is None else [each.public_bytes(Encoding.DER) for each in (leaf, *tls._peer_certificate_chain)]
        )

    def rebind(self, local_port: int = 0) -> None:
        """Go on from another local port, as after a change of network; the server notices by the next packet."""
        if self.link.closed is not None:
            return
        old, self._udp = self._udp, self._open(local_port)
        self._carrier.udp = self._udp
        self._shut(old)
        self._quic.send_ping(0)
        self._carrier.touch()

    def hang_up(self) -> None:
        """End at once, without a word."""
        self._carrier.abandon(QuicErrorCode.NO_ERROR, "")

    def _open(self, local_port: int) -> Udp:
        local = ("::", local_port, 0, 0) if self._family == socket.AF_INET6 else ("0.0.0.0", local_port)
        udp = Udp(self._family, local, self._remote)
        self._loop.add_reader(udp.socket, self._readable, udp)
        return udp

    def _shut(self, udp: Udp) -> None:
        self._loop.remove_reader(udp.socket)
        udp.close()

    def _readable(self, udp: Udp) -> None:
        now = self._loop.time()
        for data, _ in udp.receive():
            self.answered = True
            self._carrier.receive(data, udp.remote, now)
        self._turn.run()
        # Later, an ICMP error may be forged or pass; the idle timeout decides.
        if udp.refused and not self.answered:
            self._carrier.abandon(QuicErrorCode.CONNECTION_REFUSED, "")

    # What a carrier tells its owner

    def issued(self, carrier: Carrier, cid: bytes) -> None:
        """Nothing to do: all that arrives on the socket is for the one connection."""

    def retired(self, carrier: Carrier, cid: bytes) -> None:
        """Nothing to do, as for `issued`."""

    def established(self, carrier: Carrier, alpn: str | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(None)

    def ended(self, carrier: Carrier) -> None:
        self._shut(self._udp)
        closed = self.link.closed
        if closed is None or self.outcome.done():
            return
        reason = closed.reason if self.answered else f"nobody answers at {show(self._remote)}"
        self.outcome.set_exception(LinkLost(closed.code, reason, remote=closed.remote))


async def dial(
    host: str,
    port: int,
    *,
    trust: Trust,
    server_name: str | None = None,
    local_port: int = 0,
    options: Options | None = None,
) -> QuicLink:
    """An established link to a server whose certificate `trust` vouches for, in the name `server_name` (or `host`).

    The addresses of the host are tried in turn while nobody answers. Raises LinkLost with the close code.
    """
    options = options or Options()
    call = await _ring(host, port, local_port, options, dialing(trust, server_name or host, options))
    return call.link


async def probe(host: str, port: int, *, options: Options | None = None) -> list[bytes]:
    """The certificates a server shows, leaf first, as DER. They are not checked, and nothing is said to him.

    Raises LinkLost where no handshake comes about.
    """
    options = options or Options()
    call = await _ring(host, port, 0, options, dialing(None, host, options))
    certificates = call.certificates
    call.link.close(Code.NO_ERROR)
    call.link.flush()
    call.hang_up()
    return certificates


async def _ring(host: str, port: int, local_port: int, options: Options, configuration: QuicConfiguration) -> Call:
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise LinkLost(QuicErrorCode.NO_VIABLE_PATH, f"no host {host}: {error.strerror}", remote=False) from error
    lost = LinkLost(QuicErrorCode.NO_VIABLE_PATH, f"{host} has no address", remote=False)
    for family, _, _, _, remote in infos:
        quic = PacedConnection(configuration=configuration, options=options)
        try:
            call = Call(quic, family, remote, local_port)
        except OSError as error:
            lost = LinkLost(QuicErrorCode.NO_VIABLE_PATH, f"{show(remote)}: {error.strerror}", remote=False)
            continue
        try:
            await call.outcome
        except LinkLost as error:
            if call.answered:
                raise
            lost = error
        except asyncio.CancelledError:
            call.hang_up()
            raise
        else:
            return call
    raise lost
