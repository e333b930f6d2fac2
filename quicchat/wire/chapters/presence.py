"""Presence: who is there; soft state that is never stored. (spec 07-presence)"""

from __future__ import annotations

from enum import IntEnum

from quicchat.wire.fields import LINE, MILLISECONDS, SHORT, USER
from quicchat.wire.registry import CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import Rows, State, stay
from quicchat.wire.types import Array, Bool, Choice, Tuple


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


ROWS: Rows = tuple(stay((State.READY,), PresenceSet, Presence, PresenceSnapshot))
