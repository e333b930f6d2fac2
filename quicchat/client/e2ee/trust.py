"""How far the identity of a user is trusted, as an automaton that is data; pure. (spec 15-keys)

Rows `(state, what happens) -> state`; what has no row is refused, and changes nothing.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from quicchat.client.seal import Seal


class Trust(IntEnum):
    """What is known of a user's identity."""

    #: No list of his was ever seen here.
    UNKNOWN = 0
    #: His identity was pinned when it was first seen; nobody has compared it.
    FIRST_USE = 1
    #: The user compared it, or it is his own.
    VERIFIED = 2
    #: Another identity than the pinned one, which was never compared, is in use: a standing notice.
    CHANGED = 3
    #: Another identity than the one that was compared: nothing is sealed for it.
    BLOCKED = 4

    @property
    def is_settled(self) -> bool:
        """Whether the identity in use is the pinned one."""
        return self in (Trust.FIRST_USE, Trust.VERIFIED)


class Sight(IntEnum):
    """What can happen to it."""

    #: A good list by the pinned identity; a good list by another one.
    SAME = 0
    OTHER = 1
    #: The user decides: to go on with the identity in use, that he compared it, that this counts no more.
    ACCEPT = 2
    VERIFY = 3
    UNTRUST = 4


TABLE: Final[dict[tuple[Trust, Sight], Trust]] = {
    (Trust.UNKNOWN, Sight.OTHER): Trust.FIRST_USE,
    (Trust.FIRST_USE, Sight.SAME): Trust.FIRST_USE,
    (Trust.FIRST_USE, Sight.OTHER): Trust.CHANGED,
    (Trust.FIRST_USE, Sight.ACCEPT): Trust.FIRST_USE,
    (Trust.FIRST_USE, Sight.VERIFY): Trust.VERIFIED,
    (Trust.FIRST_USE, Sight.UNTRUST): Trust.FIRST_USE,
    (Trust.VERIFIED, Sight.SAME): Trust.VERIFIED,
    (Trust.VERIFIED, Sight.OTHER): Trust.BLOCKED,
    (Trust.VERIFIED, Sight.ACCEPT): Trust.VERIFIED,
    (Trust.VERIFIED, Sight.VERIFY): Trust.VERIFIED,
    (Trust.VERIFIED, Sight.UNTRUST): Trust.FIRST_USE,
    # The pinned identity is back: what was known of it counts again.
    (Trust.CHANGED, Sight.SAME): Trust.FIRST_USE,
    (Trust.CHANGED, Sight.OTHER): Trust.CHANGED,
    (Trust.CHANGED, Sight.ACCEPT): Trust.FIRST_USE,
    (Trust.CHANGED, Sight.VERIFY): Trust.VERIFIED,
    (Trust.CHANGED, Sight.UNTRUST): Trust.CHANGED,
    (Trust.BLOCKED, Sight.SAME): Trust.VERIFIED,
    (Trust.BLOCKED, Sight.OTHER): Trust.BLOCKED,
    (Trust.BLOCKED, Sight.ACCEPT): Trust.FIRST_USE,
    (Trust.BLOCKED, Sight.VERIFY): Trust.VERIFIED,
    # Whoever takes back that he compared it wants to be warned, not to be stopped.
    (Trust.BLOCKED, Sight.UNTRUST): Trust.CHANGED,
}

SEALS: Final[dict[Trust, Seal]] = {
    Trust.UNKNOWN: Seal.FORGED,
    Trust.FIRST_USE: Seal.PINNED,
    Trust.VERIFIED: Seal.VERIFIED,
    Trust.CHANGED: Seal.CHANGED,
    Trust.BLOCKED: Seal.CHANGED,
}


def after(state: Trust, sight: Sight) -> Trust | None:
    """The state then, or None where there is nothing to decide on."""
    return TABLE.get((state, sight))
