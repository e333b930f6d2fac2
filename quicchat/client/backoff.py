"""When to try again: longer each time, never the same for two clients; pure. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from quicchat.client.chance import Chance, fraction
from quicchat.errors import MEANINGS, Code, LinkLost, QuicchatError, Refused

#: The longest that the first and any later wait may be, in seconds.
FIRST: Final = 0.5
LONGEST: Final = 60.0
#: A connection that lasted so many seconds was a good one: the next loss is the first again.
GOOD: Final = 10.0
#: TLS says that the server does not speak our protocol (RFC 9001 section 4.8, alert 120).
_NO_SUCH_PROTOCOL: Final = 0x178


class Backoff:
    """Waits between attempts: full jitter, any time up to a bound that doubles."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._bound = FIRST

    def next(self, least: float = 0.0) -> float:
        """Seconds to wait now; `least` is what the server asked for."""
        wait = fraction(self._chance) * self._bound
        self._bound = min(LONGEST, self._bound * 2)
        return least + wait

    def begin(self) -> None:
        """Something went well: begin anew."""
        self._bound = FIRST


def is_worth_trying(failure: QuicchatError) -> bool:
    """Whether another connection may succeed after one that ended so, or whose login was refused so."""
    if isinstance(failure, Refused):
        return MEANINGS[failure.code].temporary
    if not isinstance(failure, LinkLost):
        return False
    try:
        return MEANINGS[Code(failure.code)].reconnect
    except ValueError:
        return failure.code != _NO_SUCH_PROTOCOL
