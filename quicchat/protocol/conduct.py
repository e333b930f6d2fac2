"""The peer's conduct: what of it is counted, and when it is enough. (spec 08-limits)"""

from __future__ import annotations

from typing import Final

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol.limits import Limits

#: What a frame that waits for READY costs beside its bytes, so that many small ones are no way around the limit.
HELD_FRAME: Final = 64
#: Datagrams that come to nothing, within one second.
FLOOD: Final = 1000


class Conduct:
    """Counts what a peer should not do, or not much of. Each method raises RemoteProtocolError when it is too much."""

    __slots__ = ("_early", "_flood", "_limits", "_since", "dropped", "misuses")

    def __init__(self, limits: Limits) -> None:
        #: Requests that were not allowed where they came.
        self.misuses = 0
        #: Datagrams that were early, malformed, too long or misplaced.
        self.dropped = 0
        self._limits = limits
        self._early = 0
        self._since = 0.0
        self._flood = 0

    def misuse(self) -> None:
        """A request was not allowed where it came. Raises (LIMIT)."""
        self.misuses += 1
        if self.misuses > self._limits.misuses:
            raise RemoteProtocolError(Code.LIMIT, "too many requests that are not allowed")

    def early(self, size: int) -> None:
        """So many bytes came before login. Raises (LIMIT)."""
        self._early += size
        if self._early > self._limits.before_login:
            raise RemoteProtocolError(Code.LIMIT, "too much data before login")

    def drop(self, now: float) -> None:
        """A datagram came to nothing: that is no fault, a flood of them is. Raises (RATE_LIMITED)."""
        self.dropped += 1
        if now >= self._since + 1.0:
            self._since, self._flood = now, 0
        self._flood += 1
        if self._flood > FLOOD:
            raise RemoteProtocolError(Code.RATE_LIMITED, "a flood of datagrams that come to nothing")
