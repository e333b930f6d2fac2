"""How a connection ends: with which code, when, and what is waited for. (spec 03-session)"""

from __future__ import annotations

from typing import Final

from quicchat.errors import Code
from quicchat.protocol.events import Closed
from quicchat.values import dataclass

#: What runs may take so long to finish once somebody has said goodbye, in seconds (protocol §5).
DRAIN: Final = 5.0


@dataclass(frozen=True, slots=True)
class Closing:
    """How the connection is about to end: at `deadline`, or once all is acknowledged if `early`."""

    closed: Closed
    deadline: float
    early: bool

    def is_due(self, backlog: int, now: float) -> bool:
        """Whether the time has come; `backlog` bytes are not acknowledged yet."""
        return now >= self.deadline or (self.early and backlog == 0)


def closed(code: int, reason: str) -> Closed:
    """Our own close; a reason is at most 1024 bytes (protocol §1)."""
    return Closed(code, brief(reason, 1024), remote=False)


def brief(text: str, most: int) -> str:
    """As much of a text as fits `most` bytes of UTF-8, whatever it is made of."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")


NO_VERSION: Final = closed(Code.NO_COMMON_VERSION, "no common version")
