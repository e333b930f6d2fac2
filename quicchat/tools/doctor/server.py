"""The server itself: what it speaks, who it is, its clock, and what of the protocol works. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from quicchat.client.chance import HERE
from quicchat.client.identity import Identity
from quicchat.client.login import prove
from quicchat.client.requests import Requests
from quicchat.client.trust import is_certificate_alert
from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.errors import Code, LinkLost, Refused, describe
from quicchat.protocol.connection import Connection
from quicchat.protocol.negotiation import Hello
from quicchat.tools.doctor.finding import NO_SERVER, NOT_IN, NOT_TRUSTED, Finding, failed, ok, warning
from quicchat.tools.doctor.trust import Belief, believe
from quicchat.transport.dial import Shown, dial, look
from quicchat.transport.identity import Trust
from quicchat.transport.options import NATIVE, Options
from quicchat.transport.quic import QuicLink, taken
from quicchat.wire.chapters.accounts import Revoke
from quicchat.wire.chapters.session import Echo, Ok, Ping, Pong, VersionResponse
from quicchat.wire.codec import MAX_DATAGRAM
from quicchat.wire.registry import VERSIONS, Pdu, Role

#: What else is spoken over QUIC, by its ALPN, and what people call it.
OTHERS: Final = {"h3": "HTTP/3", "doq": "DNS over QUIC", "smb": "SMB over QUIC", "hq-interop": "HTTP/0.9"}
#: TLS alerts (RFC 9001 section 4.8) of who does not speak what was offered: 120, and 40 of those who are less clear.
_NO_PROTOCOL: Final = (0x178, 0x128)
#: Seconds between the clocks that nobody needs to care about.
_DRIFT: Final = 60.0
_PINGS: Final = 5
#: Seconds that a goodbye may take.
_PARTING: Final = 1.0
#: Seconds that a ticket may come after the handshake.
_TICKET: Final = 1.0


class Examination:
    """Looks at a server; `steps` gives what is found, and ends with the first failure.

    With an `identity` it logs in, as a device of its own that it takes away again.
    """

    def __init__(self, config: ClientConfig, identity: Identity | None) -> None:
        self._config = config
        self._identity = identity
        self._options = Options(handshake_timeout=config.connect_timeout)
        self._shown: Shown | None = None
        self._belief: Belief | None = None
        self._device = secrets.token_bytes(16)
        self._tickets: asyncio.Queue[bytes] = asyncio.Queue()
        self._rtt = 0.0
        #: When the server told its time, by our clock.
        self._told = 0.0

    async def steps(self) -> AsyncIterator[Finding]:
        yield await self._protocol()
        if self._shown is None:
            return
        self._belief = believe(self._config, self._shown.certificates, datetime.fromtimestamp(HERE.wall(), UTC))
        yield self._belief.finding
        if self._belief.authority is None:
            return
        try:
            link = await self._dial()
        except LinkLost as lost:
            if is_certificate_alert(lost.code) and not lost.application:
                yield failed("certificate", NOT_TRUSTED, f"TLS refused the certificate: {_said(lost)}", reason="tls")
            else:
                text = f"a second connection did not come about: {_said(lost)}"
                yield failed("version", NO_SERVER, text, "The way there is shaky: try again.", reason="handshake")
            return
        requests = self._talk(link)
        try:
            async for finding in self._conversation(requests, link):
                yield finding
        finally:
            await self._leave(requests)

    async def _conversation(self, requests: Requests, link: QuicLink) -> AsyncIterator[Finding]:
        finding = await self._version(requests)
        yield finding
        if finding.code:
            return
        rtt = await self._ping(requests)
        yield self._clock(requests)
        yield rtt
        if rtt.code:
            return
        yield _datagrams(link)
        yield await self._early()
        if self._identity is not None:
            finding = await self._login(requests, self._identity)
            yield finding
            if not finding.code:
                yield await self._echo(requests)
                await self._forget(requests)

    async def _protocol(self) -> Finding:
        where = place(self._config.host, self._config.port)
        try:
            self._shown = await self._look(NATIVE)
        except LinkLost as lost:
            if lost.code in _NO_PROTOCOL and not lost.application:
                return await self._other(where)
            text = f"no handshake with {where}: {_said(lost)}"
            advice = (
                "The first packets got there, and others do not: a firewall that looks into QUIC, or a busy server."
            )
            return failed("protocol", NO_SERVER, text, advice, reason="handshake", quic_code=lost.code)
        if self._shown.protocol != NATIVE:
            self._shown = None
            return _stranger(where, None)
        return ok("protocol", f"{where} speaks {NATIVE}", alpn=NATIVE)

    async def _other(self, where: str) -> Finding:
        """Whoever does not speak ours: what does he speak?"""
        try:
            return _stranger(where, (await self._look(*OTHERS)).protocol)
        except LinkLost:
            return _stranger(where, None)

    async def _look(self, *protocols: str) -> Shown:
        return await look(self._config.host, self._config.port, options=self._options, protocols=protocols)

    async def _dial(self, ticket: bytes | None = None) -> QuicLink:
        assert self._belief is not None
        assert self._belief.authority is not None
        return await dial(
            self._config.host,
            self._config.port,
            trust=Trust(self._belief.authority.pem),
            options=self._options,
            ticket=ticket,
            on_ticket=self._tickets.put_nowait,
            early=ticket is not None,
        )

    def _talk(self, link: QuicLink) -> Requests:
        hello = Hello(versions=self._config.versions or VERSIONS, agent="quicchat doctor", device=self._device)
        now = asyncio.get_running_loop().time()
        connection = Connection(Role.CLIENT, hello, now=now, wall=HERE.wall(), seed=secrets.randbits(32))
        requests = Requests(link, connection, on_pdu=self._heard, on_lost=_nothing)
        connection.start(link.open())
        return requests

    def _heard(self, pdu: Pdu) -> None:
        if isinstance(pdu, VersionResponse):
            self._told = HERE.wall()

    async def _version(self, requests: Requests) -> Finding:
        ours = ", ".join(map(str, sorted(self._config.versions or VERSIONS)))
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                await asyncio.shield(requests.negotiated)
        except TimeoutError:
            advice = "The server is there but does not serve: ask its operator to look at its log, or to restart it."
            return failed("version", NO_SERVER, "no answer to the negotiation", advice, reason="silent")
        except LinkLost as lost:
            if lost.code == Code.NO_COMMON_VERSION:
                text = f"no common version: {lost.reason}, this client {ours}"
                advice = "The older one of both needs an update; without --versions a client offers all it speaks."
                return failed("version", NO_SERVER, text, advice, reason="no common version")
            advice = "Ask the operator what the log of the server says of it, or wait and try again."
            return failed("version", NO_SERVER, f"the server closed: {_said(lost)}", advice, reason="closed")
        peer = requests.connection.negotiation.peer
        theirs = sorted(peer.versions) if peer is not None else []
        text = f"protocol version {requests.version} (server {', '.join(map(str, theirs))}; this client {ours})"
        return ok("version", text, version=requests.version, server=theirs)

    async def _ping(self, requests: Requests) -> Finding:
        """Before it is known how long the way is, nobody can tell the time there."""
        loop, times = asyncio.get_running_loop(), []
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                for nonce in range(_PINGS):
                    start = loop.time()
                    await requests.ask(Ping(nonce=nonce), Pong)
                    times.append((loop.time() - start) * 1000)
        except (TimeoutError, LinkLost, Refused) as error:
            text = "PING was not answered" + (f": {error}" if str(error) else "")
            return failed("rtt", NO_SERVER, text, "The server or the way to it got stuck: try again.", reason="silent")
        self._rtt = min(times)
        low, high = round(self._rtt, 1), round(max(times), 1)
        facts = {"ms": low, "worst_ms": high}
        return ok("rtt", f"to the server and back in {low:g} to {high:g} ms", **facts)

    def _clock(self, requests: Requests) -> Finding:
        peer = requests.connection.negotiation.peer
        if not isinstance(peer, VersionResponse) or peer.time is None:
            return ok("clock", "the server does not tell the time")
        ahead = peer.time / 1000 - self._told + self._rtt / 2000
        if abs(ahead) <= _DRIFT:
            text = f"the clocks differ by {abs(ahead):.1f} s"
            return ok("clock", text, seconds=round(ahead, 3))
        there = datetime.fromtimestamp(peer.time / 1000, UTC)
        text = f"the clock of the server is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
        advice = (
            f"There it is {there:%Y-%m-%d %H:%M:%S} UTC. Set the clock that is wrong (timedatectl): messages show",
            "wrong times, and certificates and what lets you in without a password end too early or too late.",
        )
        return warning("clock", text, *advice, seconds=round(ahead, 3))

    async def _early(self) -> Finding:
        """Whether who was here before is spared a round trip."""
        try:
            async with asyncio.timeout(_TICKET):
                ticket = await self._tickets.get()
        except TimeoutError:
            advice = "Each connection takes one round trip more than it need; nothing else is wrong."
            return warning("tickets", "the server gives no tickets for coming back (0-RTT)", advice, early=False)
        try:
            link = await self._dial(ticket)
            requests = self._talk(link)
            try:
                async with asyncio.timeout(self._config.connect_timeout):
                    await requests.negotiated
            finally:
                await self._leave(requests)
        except (LinkLost, TimeoutError) as error:
            advice = "Clients shake hands in full then: it takes a little longer."
            return warning("tickets", f"coming back by a ticket failed: {error}", advice, early=False)
        if not taken(link).early:
            advice = "Somebody between may have changed, or the server was started anew in this moment."
            return warning("tickets", "the server gave a ticket, and did not take it back", advice, early=False)
        return ok("tickets", "who was here before speaks in his first packet (0-RTT)", early=True)

    async def _login(self, requests: Requests, identity: Identity) -> Finding:
        assert self._belief is not None
        if not self._belief.sure:
            advice = "Compare the fingerprint, and give it with --fingerprint; then the login is tried."
            return failed("login", NOT_TRUSTED, "not tried: this server is not trusted yet", advice, reason="trust")
        try:
            async with asyncio.timeout(max(15.0, self._config.connect_timeout)):
                answer, _ = await prove(requests, identity, requests.link.certificate_hash)
        except Refused as refusal:
            advice = _ADVICE.get(refusal.code, "Wait a moment, and try again; or ask the operator.")
            text = f"{identity.user} is not let in: {refusal.text}"
            return failed("login", NOT_IN, text, advice, reason=refusal.code.name)
        except (LinkLost, TimeoutError) as error:
            text = f"the connection ended in the middle of the login: {error}"
            return failed("login", NOT_IN, text, "Ask the operator what the log of the server says.", reason="lost")
        return ok("login", f"{answer.user} is let in", user=answer.user)

    async def _echo(self, requests: Requests) -> Finding:
        word, loop = secrets.token_hex(16), asyncio.get_running_loop()
        start = loop.time()
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                answer = await requests.ask(Echo(data=word), Echo)
        except (TimeoutError, LinkLost, Refused) as error:
            text = f"what was said did not come back: {str(error) or 'no answer'}"
            return failed("echo", NO_SERVER, text, "Ask the operator what the log of the server says.", reason="lost")
        if answer.data != word:
            return failed("echo", NO_SERVER, "something else came back than was said", reason="changed")
        milliseconds = round((loop.time() - start) * 1000, 1)
        return ok("echo", f"what is said comes back after {milliseconds:g} ms", ms=milliseconds)

    async def _forget(self, requests: Requests) -> None:
        """The server need not remember a device that never comes again."""
        try:
            async with asyncio.timeout(1.0):
                if requests.version > 1:
                    await requests.ask(Revoke(device=self._device), Ok)
        except (TimeoutError, LinkLost, Refused):
            return

    async def _leave(self, requests: Requests) -> None:
        if requests.lost is None:
            requests.driver.leave("doctor")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PARTING):
                await requests.driver.gone.wait()


_ADVICE: Final = {
    Code.AUTH_FAILED: "Check name and password; somebody new makes an account by starting the client.",
    Code.ALREADY_LOGGED_IN: "Log out at the other place first; this server lets everybody in once (--sessions single).",
    Code.DOWNGRADE: "Somebody between you and the server changes what both say: use another network.",
}


def _datagrams(link: QuicLink) -> Finding:
    room = taken(link).datagram
    if room < MAX_DATAGRAM:
        advice = "Nobody sees who is typing, and files cannot come in datagrams (--fast); all else works."
        return warning("datagrams", f"the server takes none of {MAX_DATAGRAM} bytes", advice, bytes=room)
    return ok("datagrams", f"taken by the server, up to {room} bytes", bytes=room)


def _stranger(where: str, protocol: str | None) -> Finding:
    name = OTHERS.get(protocol or "")
    what = f"speaks {name} ({protocol}), not {NATIVE}" if name else f"speaks something else than {NATIVE}"
    advice = "Another service has this port: check host and port; a server of ours listens on 55667 unless told else."
    return failed("protocol", NO_SERVER, f"{where} {what}", advice, reason="another service", alpn=protocol)


def _said(lost: LinkLost) -> str:
    return lost.reason or (describe(lost.code) if lost.application else f"QUIC error 0x{lost.code:x}")


def _nothing(lost: LinkLost) -> None:
    """Whoever asked for something is told."""
