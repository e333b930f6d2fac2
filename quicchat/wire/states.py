"""The states of a connection, and how a chapter writes its rows. (spec 10-states)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from quicchat.wire.machine import Letter, Row
from quicchat.wire.registry import Pdu, Role


class State(Enum):
    """Where a connection is; both ends agree, but for what is on the wire."""

    START = "start"
    NEGOTIATING = "negotiating"
    EARLY = "early"
    AUTHENTICATING = "authenticating"
    STARTED = "started"
    CHALLENGED = "challenged"
    PROVING = "proving"
    SIGNING_UP = "signing-up"
    RESUMING = "resuming"
    READY = "ready"
    DRAINING = "draining"
    CLOSED = "closed"

    # One object per state, compared by identity: Enum's own hash is a Python call on every look-up.
    __hash__ = object.__hash__


#: The states between negotiation and login.
LOGIN = (State.AUTHENTICATING, State.STARTED, State.CHALLENGED, State.PROVING, State.SIGNING_UP, State.RESUMING)
Rows = tuple[Row[State], ...]


def move(state: State, by: Role, pdu: type[Pdu], to: State, *, outcome: str | None = None) -> Row[State]:
    """One row: `by` sends `pdu` in `state`, and both ends are in `to`."""
    return Row(state, by, Letter(pdu, outcome), to)


def stay(states: Iterable[State], *pdus: type[Pdu]) -> Iterator[Row[State]]:
    """Rows for PDUs that change nothing in these states, by whoever may send them, whatever their outcome."""
    for state in states:
        for pdu in pdus:
            for by in sorted(pdu.SPEC.by, key=lambda role: role.value):
                for letter in Letter.all_of(pdu):
                    yield Row(state, by, letter, state)
