"""The client's end: a name becomes an established link, or one clear reason why not. (spec 13-transport)"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicErrorCode
from cryptography.hazmat.primitives.serialization import Encoding

from quicchat.errors import Code, LinkLost, UsageError
from quicchat.transport.carrier import Carrier, Turn
from quicchat.transport.identity import Trust
from quicchat.transport.options import NATIVE, Options, dialing
from quicchat.transport.pace import PacedConnection
from quicchat.transport.quic import QuicLink
from quicchat.transport.tickets import Ticket, opened, sealed
from quicchat.transport.udp import Address, Udp, show
from quicchat.values import dataclass

logger = logging.getLogger(__package__)

#: How often a client looks whether the way to its server has changed, in seconds.
WATCH: Final = 2.0


class Call:
    """One client connection and the socket it owns, until the connection is over.

    Its first packets leave at once, or with `early` a little later, together with what is said until then. It moves
    by itself when the way to the server leads over another local address.
    """

    def __init__(
        self, quic: PacedConnection, family: int, remote: Address, local_port: int, *, early: bool = False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._family = family
        self._remote = remote
        self._quic = quic
        self._turn = Turn(self._loop)
        self._is_stranded = False
        self._udp = self._open(local_port)
        self._carrier = Carrier(quic, self._udp, self._turn, self)
        self.link = self._carrier.link = QuicLink(quic, self._carrier)
        #: Whether anything at all came back.
        self.answered = False
        #: Done when the handshake is complete or never will be; `LinkLost` says why.
        self.outcome: asyncio.Future[LinkLost | None] = self._loop.create_future()
        self._address = self._route()
        self._watch = self._loop.call_later(WATCH, self._look)
        quic.connect(self._udp.remote, self._loop.time())
        if early:
            # Whoever gets the link speaks a loop turn later.
            self._loop.call_soon(self._carrier.touch)
        else:
            self._carrier.flush()

    @property
    def certificates(self) -> list[bytes]:
        """What the server showed, leaf first, as DER."""
        tls = self._quic.tls
        leaf = tls._peer_certificate
        return (
            [] if leaf is None else [each.public_bytes(Encoding.DER) for each in (leaf, *tls._peer_certificate_chain)]
        )

    @property
    def protocol(self) -> str | None:
        """What the server chose of the protocols that were offered (ALPN)."""
        return self._quic.tls.alpn_negotiated

    def rebind(self, local_port: int = 0) -> None:
        """Go on from another local port, as after a change of network; the server notices by the next packet.

        Raises OSError where the port cannot be had.
        """
        if self.link.closed is not None:
            return
        old, self._udp = self._udp, self._open(local_port)
        self._carrier.udp = self._udp
        self._shut(old)
        self._address = self._route()
        # RFC 9000 section 9.5: nobody who sees both paths shall know them for one connection.
        self._quic.change_connection_id()
        self._quic.send_ping(0)
        self._carrier.touch()

    def hang_up(self) -> None:
        """End at once, without a word."""
        self._carrier.abandon(QuicErrorCode.NO_ERROR, "")

    def _open(self, local_port: int) -> Udp:
        local = ("::", local_port, 0, 0) if self._family == socket.AF_INET6 else ("0.0.0.0", local_port)
        udp = self._quic.options.udp(self._family, local, self._remote)
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
            self._carrier.abandon(QuicErrorCode.CONNECTION_REFUSED, f"nobody answers at {show(self._remote)}")

    # The way to the server

    def _route(self) -> str | None:
        """The local address from which packets to the server would leave now; None where there is no way."""
        with socket.socket(self._family, socket.SOCK_DGRAM) as asked:
            try:
                asked.connect(self._remote)
            except OSError:
                return None
            address: str = asked.getsockname()[0]
            return address

    def _look(self) -> None:
        """Move when that address is another one than before."""
        self._watch.cancel()
        if self.link.closed is not None:
            return
        self._watch = self._loop.call_later(WATCH, self._look)
        self._is_stranded = False
        address = self._route()
        if address is None or address == self._address:
            return
        logger.info("The way to %s leads over %s now.", show(self._remote), address)
        try:
            self.rebind()
        except OSError as error:
            logger.warning("The connection stays where it was: %s", error)

    # What a carrier tells its owner

    def issued(self, carrier: Carrier, cid: bytes) -> None:
        """Nothing to do: all that arrives on the socket is for the one connection."""

    def retired(self, carrier: Carrier, cid: bytes) -> None:
        """Nothing to do, as for `issued`."""

    def opened(self, carrier: Carrier) -> None:
        """Nothing to do: a client has its link from the beginning."""

    def established(self, carrier: Carrier) -> None:
        if not self.outcome.done():
            self.outcome.set_result(None)

    def migrate(self, carrier: Carrier, local_port: int) -> None:
        try:
            self.rebind(local_port)
        except OSError as error:
            raise UsageError(f"Cannot send from port {local_port}: {error.strerror}") from error

    def stranded(self, carrier: Carrier) -> None:
        if not self._is_stranded:
            self._is_stranded = True
            self._loop.call_soon(self._look)

    def ended(self, carrier: Carrier) -> None:
        self._watch.cancel()
        self._shut(self._udp)
        closed = self.link.closed
        if closed is None or self.outcome.done():
            return
        reason = closed.reason if self.answered else f"nobody answers at {show(self._remote)}"
        lost = LinkLost(closed.code, reason, remote=closed.remote, application=closed.application)
        self.outcome.set_result(lost)


async def dial(
    host: str,
    port: int,
    *,
    trust: Trust,
    server_name: str | None = None,
    local_port: int = 0,
    options: Options | None = None,
    ticket: bytes | None = None,
    on_ticket: Callable[[bytes], None] | None = None,
    early: bool = False,
) -> QuicLink:
    """A link to a server whose certificate `trust` vouches for, in the name `server_name` (or `host`).

    It is established, unless `early` and a `ticket` that is still good let us speak before (0-RTT): what is sent is
    then what a replay may repeat, and a failure comes as the link's `Closed`. Either way a ticket is good for one
    call, and only under the same trust; `on_ticket` gets the one for the next call.

    The addresses of the host are tried in turn while nobody answers. Raises LinkLost with the close code.
    """
    options = options or Options()
    configuration = dialing(trust, server_name or host, options)
    if ticket is not None:
        configuration.session_ticket = opened(ticket, server_name=server_name or host, alpn=NATIVE)
    call = await _ring(host, port, local_port, options, configuration, early=early, on_ticket=on_ticket)
    return call.link


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server shows of itself: its certificates, leaf first, as DER, and what it speaks of what was offered."""

    certificates: list[bytes]
    protocol: str | None


async def probe(host: str, port: int, *, options: Options | None = None) -> list[bytes]:
    """The certificates a server shows, as `look`."""
    return (await look(host, port, options=options)).certificates


async def look(host: str, port: int, *, options: Options | None = None, protocols: Sequence[str] = (NATIVE,)) -> Shown:
    """What a server shows to who offers these protocols. It is not checked, and nothing is said to him.

    Raises LinkLost where no handshake comes about.
    """
    options = options or Options()
    call = await _ring(host, port, 0, options, dialing(None, host, options, protocols))
    shown = Shown(call.certificates, call.protocol)
    call.link.close(Code.NO_ERROR)
    call.link.flush()
    call.hang_up()
    return shown


async def _ring(
    host: str,
    port: int,
    local_port: int,
    options: Options,
    configuration: QuicConfiguration,
    *,
    early: bool = False,
    on_ticket: Callable[[bytes], None] | None = None,
) -> Call:
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise LinkLost(QuicErrorCode.NO_VIABLE_PATH, f"no host {host}: {error.strerror}", remote=False) from error
    lost = LinkLost(QuicErrorCode.NO_VIABLE_PATH, f"{host} has no address", remote=False)
    ticket = configuration.session_ticket
    # Only the address that gave the ticket is called without waiting whether anybody answers there.
    known = [info for info in infos if isinstance(ticket, Ticket) and info[4][0] == ticket.host] if early else []
    for family, _, _, _, remote in known or infos:
        quic = PacedConnection(configuration=configuration, options=options)
        if on_ticket is not None:
            quic.on_ticket = partial(_pass_on, loop, on_ticket, str(remote[0]))
        try:
            call = Call(quic, family, remote, local_port, early=bool(known))
        except OSError as error:
            lost = LinkLost(QuicErrorCode.NO_VIABLE_PATH, f"{show(remote)}: {error.strerror}", remote=False)
            continue
        if known:
            return call
        try:
            failure = await call.outcome
        except asyncio.CancelledError:
            call.hang_up()
            raise
        if failure is None:
            return call
        lost = failure
        if call.answered:
            break
    raise lost


def _pass_on(loop: asyncio.AbstractEventLoop, on_ticket: Callable[[bytes], None], host: str, ticket: Ticket) -> None:
    """Later: in the middle of a handshake nobody else may fail."""
    loop.call_soon(on_ticket, sealed(replace(ticket, host=host)))
