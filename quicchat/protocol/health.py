"""Signs of life: when to ask for one, when to give the peer up. (spec 03-session)"""

from __future__ import annotations

from quicchat.protocol.limits import Limits
from quicchat.wire.chapters.session import Ping, Pong


class Health:
    """The client pings at every interval and wants a sign of life in time; both ends give up after long silence."""

    __slots__ = ("_doubted", "_heard", "_limits", "_nonce", "_pings", "_sent", "_timed", "_wall", "rtt")

    def __init__(self, limits: Limits, *, pings: bool, now: float, wall: float) -> None:
        #: Round-trip time of the last answered PING in seconds, queueing included; None before the first.
        self.rtt: float | None = None
        self._limits = limits
        self._pings = pings
        self._wall = wall - now
        self._heard = now
        #: When the last PING was sent; None before the negotiation, when there is nothing to ask with.
        self._sent: float | None = None
        #: The PING since which nothing came: whatever does proves life as well as its PONG.
        self._doubted: float | None = None
        self._nonce = 0
        self._timed = False

    def begin(self, limits: Limits, now: float) -> None:
        """The negotiation is over; these are the limits agreed."""
        self._limits = limits
        if self._pings:
            self._sent = now

    def heard(self, now: float) -> None:
        """Something came from the peer."""
        self._heard = now
        self._doubted = None

    def ask(self, now: float) -> Ping:
        """A PING to send now."""
        self._nonce += 1
        self._sent = now
        self._timed = True
        if self._doubted is None:
            self._doubted = now
        return Ping(nonce=self._nonce)

    def unix(self, now: float) -> int:
        """The time of day, Unix ms."""
        return int((self._wall + now) * 1000)

    def pong(self, ping: Ping, now: float, digest: bytes | None = None) -> Pong:
        """The answer to a PING; `digest` is that of the heads (`wire.digest`)."""
        return Pong(nonce=ping.nonce, time=self.unix(now), digest=digest)

    def answered(self, pong: Pong, now: float) -> None:
        """A PONG came; only the answer to our last PING counts, and only once."""
        if self._timed and self._sent is not None and pong.nonce == self._nonce:
            self.rtt = now - self._sent
            self._timed = False

    def due(self, now: float) -> bool:
        """Whether it is time for a PING."""
        return self._sent is not None and now >= self._sent + self._limits.ping

    def dead(self, now: float) -> bool:
        """Whether the peer is to be given up."""
        return now >= self._given_up()

    def deadline(self) -> float:
        """When `due` or `dead` next want to be asked."""
        at = self._given_up()
        return at if self._sent is None else min(at, self._sent + self._limits.ping)

    def _given_up(self) -> float:
        silence = self._heard + self._limits.silence
        return silence if self._doubted is None else min(silence, self._doubted + self._limits.pong)
