"""Presence: who is there; soft state that is never stored. (spec 07-presence)"""

from __future__ import annotations

from enum import IntEnum

from quicchat.wire.fields import LINE, MILLISECONDS, ROOM, SHORT, USER
from quicchat.wire.registry import BOTH, CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import Rows, State, stay
from quicchat.wire.types import Array, Bool, Choice, Tuple, Uint

#: The longest that a TYPING and a TICK are believed, in ms.
TYPING_TTL = 6_000
TICK_TTL = 120_000


class Show(IntEnum):
    """How available somebody is."""

    OFFLINE = 0
    ONLINE = 1
    AWAY = 2
    BUSY = 3


@pdu(0x50, "PRESENCE_SET", by=CLIENT, via=Via.CONTROL, section="7.1", since=2)
class PresenceSet(Pdu):
    """Tells the others how available one is; answered by OK."""

    show: Show = key(1, Choice(Show), "0 offline, 1 online, 2 away, 3 busy")
    status: str | None = key(2, LINE, "in one's own words", default=None)
    hold: bool | None = key(
        3, Bool(), "this session is sent no messages until it says otherwise, and counts as absent", default=None
    )


@pdu(0x51, "PRESENCE", by=SERVER, via=Via.CONTROL, section="7.2", since=2)
class Presence(Pdu):
    """Somebody came, went or changed."""

    user: str = key(1, USER, "who")
    show: Show = key(2, Choice(Show), "0 offline, 1 online, 2 away, 3 busy")
    status: str | None = key(3, LINE, "in his own words", default=None)
    since: int | None = key(4, MILLISECONDS, "since when, server's clock", default=None)
    address: str | None = key(5, SHORT, "peer address, where the operator shows it", default=None)
    reason: str | None = key(6, LINE, "why he went", default=None)


@pdu(0x52, "PRESENCE_SNAPSHOT", by=SERVER, via=Via.CONTROL, section="7.3")
class PresenceSnapshot(Pdu):
    """The whole table of those one shares a room with."""

    users: tuple[tuple[str, bool, str], ...] = key(
        1, Array(Tuple((USER, Bool(), SHORT)), 512), "[user, whether online, peer address where the operator shows it]"
    )
    standings: tuple[tuple[Show, int], ...] | None = key(
        2,
        Array(Tuple((Choice(Show), MILLISECONDS)), 512),
        "of each user, in the same order: [show, since when; when last seen for those who are offline, 0 unknown]",
        default=None,
        since=2,
    )


@pdu(0x53, "TYPING", by=BOTH, via=Via.DATAGRAM, section="7.4", since=2)
class Typing(Pdu):
    """Somebody is writing in a room, for the next moments; nothing follows from it."""

    room: str = key(1, ROOM, "which room")
    user: str | None = key(2, USER, "from the server: who", default=None)
    counter: int = key(3, Uint(), "grows with each; what is not newer than the last one is passed over")
    ttl: int = key(4, Uint(TYPING_TTL), "ms until it is forgotten; 0: he stopped")


@pdu(0x54, "TICK", by=BOTH, via=Via.DATAGRAM, section="7.4", since=2)
class Tick(Pdu):
    """Somebody is there at his keyboard, for the next while; nothing follows from it."""

    user: str | None = key(1, USER, "from the server: who", default=None)
    counter: int = key(2, Uint(), "as in TYPING")
    ttl: int = key(3, Uint(TICK_TTL), "ms until it is forgotten")


ROWS: Rows = tuple(stay((State.READY,), PresenceSet, Presence, PresenceSnapshot, Typing, Tick))
