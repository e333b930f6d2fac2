"""The way to a server: its name, a route, whether UDP gets there, and how large it may be. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from quicchat.errors import LinkLost
from quicchat.tools.doctor.finding import NO_SERVER, Finding, failed, ok, warning
from quicchat.transport.dial import look
from quicchat.transport.knock import SPOKEN, Knock, Outcome, knock
from quicchat.transport.options import Options
from quicchat.transport.udp import show
from quicchat.values import dataclass

#: What is tried, in bytes of UDP payload: what QUIC needs, IPv6's least, tunnels, Ethernet, its jumbo frames, loopback.
SIZES: Final = (1200, 1232, 1280, 1350, 1400, 1452, 1472, 8192, 16_000)
#: What QUIC needs at least (RFC 9000 section 14).
LEAST: Final = SIZES[0]
#: Below this something in between wraps packets up, or cuts them.
USUAL: Final = 1350

Address = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server should be, and how many seconds each step may take."""

    host: str
    port: int
    patience: float


class Way:
    """Walks to a server; `steps` gives what is found, and ends with the first failure.

    All addresses are knocked at together: a client tries them in turn.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._addresses: list[Address] = []
        self._knocks: list[tuple[Address, Knock]] = []
        self._best = Knock(Outcome.SILENT)

    async def steps(self) -> AsyncIterator[Finding]:
        yield await self._name()
        if self._addresses:
            yield self._route()
            self._knocks = await self._knock()
            yield await self._udp()
            if self._best.outcome is Outcome.ANSWERED:
                yield self._mtu()

    async def _name(self) -> Finding:
        host, port = self._place.host, self._place.port
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._place.patience):
                infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except TimeoutError:
            return failed("name", NO_SERVER, f"nobody told the address of {host}", *_RESOLVER, reason="timeout")
        except socket.gaierror as error:
            return _unnamed(host, error)
        except (OSError, UnicodeError) as error:
            return failed("name", NO_SERVER, f"{host} cannot be looked up: {error}", _SPELLING, reason="invalid")
        self._addresses = [(info[0], info[4]) for info in infos]
        shown = [str(remote[0]) for _, remote in self._addresses]
        return ok("name", f"{host} is {', '.join(shown)}", addresses=shown)

    def _route(self) -> Finding:
        """Which local address a packet would leave from."""
        ways: dict[str, str] = {}
        reasons: list[str] = []
        for family, remote in self._addresses:
            try:
                ways[str(remote[0])] = _local(family, remote)
            except OSError as error:
                reasons.append(f"{remote[0]}: {error.strerror}")
        if ways:
            told = ", ".join(f"{local} to {remote}" for remote, local in ways.items())
            return ok("route", f"packets leave from {told}", routes=ways, unreachable=reasons)
        if all(family == socket.AF_INET6 for family, _ in self._addresses):
            self._addresses = []
            text = f"{self._place.host} has IPv6 addresses only, and this machine has no way to them"
            advice = "Use a network with IPv6, or ask the operator for an IPv4 address (an A record)."
            return failed("route", NO_SERVER, text, advice, reason="no ipv6", unreachable=reasons)
        self._addresses = []
        advice = "Look whether this machine is on a network at all, and whether a VPN is meant to be on."
        return failed("route", NO_SERVER, "; ".join(reasons), advice, reason="no route", unreachable=reasons)

    async def _knock(self) -> list[tuple[Address, Knock]]:
        sizes, patience = SIZES, self._place.patience
        found = await asyncio.gather(
            *(knock(family, remote, sizes=sizes, patience=patience) for family, remote in self._addresses)
        )
        return list(zip(self._addresses, found, strict=True))

    async def _udp(self) -> Finding:
        answered = [each for each in self._knocks if each[1].outcome is Outcome.ANSWERED]
        if not answered:
            return await self._unanswered()
        (_, remote), self._best = answered[0]
        milliseconds = round(self._best.seconds * 1000, 1)
        spoken = [f"0x{one:x}" for one in self._best.versions]
        facts = {"address": show(remote), "ms": milliseconds, "quic": spoken}
        if SPOKEN.isdisjoint(self._best.versions):
            self._best = Knock(Outcome.SILENT)
            versions = ", ".join(spoken) or "none"
            advice = "Something else than a quicchat server listens there, or a very old one: check host and port."
            return failed("udp", NO_SERVER, f"{show(remote)} speaks no QUIC v1 or v2, but {versions}", advice, **facts)
        before = self._knocks[: self._knocks.index(answered[0])]
        text = f"{show(remote)} answers in QUIC after {milliseconds:g} ms"
        if before:
            mute = ", ".join(show(each[1]) for each, _ in before)
            advice = f"A client tries {mute} first: name the address that answers, or have the other one mended."
            return warning("udp", f"{text}, but {mute} does not", advice, **facts)
        return ok("udp", text, **facts)

    async def _unanswered(self) -> Finding:
        """Nobody answers an unknown version; some servers answer those they know, and nothing else."""
        place = self._place
        where = ", ".join(show(remote) for _, remote in self._addresses)
        outcomes = {each.outcome for _, each in self._knocks}
        if outcomes == {Outcome.REFUSED} or outcomes == {Outcome.REFUSED, Outcome.NO_WAY}:
            text = f"nobody listens on UDP port {place.port} of {place.host}: {where} refused it (ICMP)"
            return failed("udp", NO_SERVER, text, *_CLOSED, reason="refused")
        if any(LEAST in each.too_large for _, each in self._knocks):
            text = f"the network of this machine takes no datagrams of {LEAST} bytes, which QUIC needs"
            advice = "Raise the MTU of the interface or VPN to 1280 or more (ip link)."
            return failed("udp", NO_SERVER, text, advice, reason="mtu")
        if outcomes == {Outcome.NO_WAY}:
            reasons = "; ".join(dict.fromkeys(each.reason for _, each in self._knocks))
            return failed("udp", NO_SERVER, f"nothing can be sent to {where}: {reasons}", *_NO_WAY, reason="no way")
        if await self._shakes_hands():
            self._best = Knock(Outcome.REFUSED)
            return warning("udp", f"{where} answers, but not to QUIC versions that it does not know", reason="quiet")
        if Outcome.FOREIGN in outcomes:
            text = f"{where} answers, but not in QUIC: another service listens on UDP port {place.port}"
            return failed("udp", NO_SERVER, text, "Check host and port.", reason="foreign")
        text = f"silence: {LEAST} bytes of UDP to {where}, and nothing came back in {place.patience:g} s"
        return failed("udp", NO_SERVER, text, *_SILENCE, reason="silent")

    async def _shakes_hands(self) -> bool:
        options = Options(handshake_timeout=min(1.0, self._place.patience))
        try:
            await look(self._place.host, self._place.port, options=options)
        except LinkLost as lost:
            return lost.remote or 0x100 <= lost.code < 0x200
        return True

    def _mtu(self) -> Finding:
        sizes = self._best.sizes
        largest = max(sizes)
        local = min(self._best.too_large, default=None)
        told = f"datagrams of {largest} bytes get there"
        limit = f", {local} do not leave this machine" if local is not None else ""
        facts = {"bytes": largest, "too_large_here": local}
        if largest < USUAL:
            advice = "It works, a little slower. A tunnel or VPN on the way makes packets smaller."
            return warning("mtu", f"only {told}{limit}", advice, **facts)
        return ok("mtu", f"{told}{limit}", **facts)


_SPELLING: Final = "Check how the name is written."
_RESOLVER: Final = (
    "The name server of this machine does not answer. Look whether other names work (getent hosts example.org),",
    "or give the IP address of the server.",
)
_CLOSED: Final = (
    "The machine is there, but no server runs on this port: check the port, ask the operator whether the server",
    "runs and listens on this address (quicchat server -l ADDRESS); a firewall may also refuse in its name.",
)
_SILENCE: Final = (
    "Most often a firewall on the way, here or at the server, drops UDP: ask for UDP to this port to be let",
    "through, or try another network (a telephone's). Or the address is wrong, or the machine is off.",
)
_NO_WAY: Final = ("Look whether this machine is on a network, and whether a firewall here forbids it.",)


def _unnamed(host: str, error: socket.gaierror) -> Finding:
    missing = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
    if error.errno == socket.EAI_AGAIN:
        return failed("name", NO_SERVER, f"nobody told the address of {host}", *_RESOLVER, reason="resolver")
    if error.errno in missing:
        return failed("name", NO_SERVER, f"there is no host {host}", _SPELLING, reason="no such host")
    return failed("name", NO_SERVER, f"{host} cannot be looked up: {error.strerror}", _SPELLING, reason="invalid")


def _local(family: int, remote: Any) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect(remote)
        found: Sequence[Any] = asked.getsockname()
        return str(found[0])
