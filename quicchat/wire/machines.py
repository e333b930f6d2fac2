"""The connection's automaton, put together from the chapters' rows and proved when imported. (spec 10-states)

    START -> NEGOTIATING -> AUTHENTICATING <-> STARTED -> CHALLENGED -> PROVING -> READY -> DRAINING -> CLOSED
                                           <-> SIGNING_UP
                                           <-> RESUMING -> READY
             NEGOTIATING -> EARLY -> RESUMING, where RESUME leaves before VERSION_RESPONSE has come

Each step of the login is a state of its own, because the same PDU coming twice, or crossing its own answer,
would otherwise part the two ends (see `machine.Machine`). DRAINING allows every word that was legal before
it, since that word may have crossed the GOAWAY or BYE on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from quicchat.wire.chapters import accounts, files, keys, messages, presence, rooms, session
from quicchat.wire.machine import Machine, Row
from quicchat.wire.states import LOGIN, Rows, State


class Chapter(Protocol):
    """A module of `wire/chapters`."""

    __name__: str
    ROWS: Rows


CHAPTERS: Final[tuple[Chapter, ...]] = (session, accounts, rooms, messages, presence, files, keys)


def connection_machine(chapters: Iterable[Chapter] = CHAPTERS) -> Machine[State]:
    """The automaton that these chapters make. Raises MalformedMachine."""
    rows = [row for chapter in chapters for row in chapter.ROWS]
    return Machine("connection", [*rows, *_draining(rows)], initial=State.START, final=State.CLOSED)


def _draining(rows: Iterable[Row[State]]) -> Iterable[Row[State]]:
    """What was legal while the connection lived stays legal, and changes nothing more, until it closes."""
    words = dict.fromkeys((row.by, row.letter) for row in rows if row.state in (*LOGIN, State.READY))
    for by, letter in words:
        to = State.CLOSED if letter.outcome == "fatal" else State.DRAINING
        yield Row(State.DRAINING, by, letter, to)


CONNECTION: Final = connection_machine()
