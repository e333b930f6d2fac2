"""The automaton as data, rows `(state, by, letter) -> state`, proved when put together. (spec 10-states)

A *letter* is a PDU, or a PDU with one of its outcomes: `VersionResponse(accepted)`. The machine does not know
which end it serves: both are judged by the same rows, so what one may send is what the other must accept.

Why *crossing* is proved: the two ends send at the same time, so each sees its own word first. Wherever the
client may send `a` and the server may send `b`, both `ab` and `ba` must be legal and end in the same state;
otherwise the two ends would disagree for ever about where they are, and neither would have done wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from quicchat.values import dataclass
from quicchat.wire.registry import Pdu, Role

S = TypeVar("S", bound=Enum)


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter of the alphabet: a PDU class and, where it has several, the outcome."""

    pdu: type[Pdu]
    outcome: str | None = None

    @classmethod
    def of(cls, pdu: Pdu) -> Letter:
        """The letter that a PDU spells."""
        return cls(type(pdu), _outcome(pdu))

    @classmethod
    def all_of(cls, pdu: type[Pdu]) -> list[Letter]:
        """Every letter of a PDU class."""
        return [cls(pdu, outcome) for outcome in pdu.SPEC.outcomes or (None,)]

    def __str__(self) -> str:
        return self.pdu.SPEC.name + (f"({self.outcome})" if self.outcome else "")


@dataclass(frozen=True, slots=True)
class Row(Generic[S]):
    """In `state`, `by` may send `letter`; both ends are then in `to`."""

    state: S
    by: Role
    letter: Letter
    to: S


class MalformedMachine(ValueError):
    """The rows do not make a sound automaton; the text names every fault."""


class Machine(Generic[S]):
    """An automaton proved sound when it is built; `step` or `after` is all that happens at run time.

    Raises MalformedMachine for rows that clash, letters that no PDU spells, states that cannot be reached or
    left, rows out of a final state, and PDUs whose crossing on the wire would part the two ends.
    """

    def __init__(self, name: str, rows: Iterable[Row[S]], *, initial: S, final: S) -> None:
        self.name = name
        self.rows = tuple(rows)
        self.initial = initial
        self.final = final
        self._next: dict[tuple[S, Role], dict[type[Pdu], dict[str | None, S]]] = {}
        faults = [*self._enter(), *self._unreachable(), *self._dead_ends(), *self._crossings()]
        if faults:
            raise MalformedMachine(f"{name}: " + "; ".join(faults))

    @property
    def states(self) -> list[S]:
        """Every state, the initial one first and the final one last, else in the order of the rows."""
        inner = dict.fromkeys(state for row in self.rows for state in (row.state, row.to))
        middle = [state for state in inner if state not in (self.initial, self.final)]
        return [self.initial, *middle, self.final]

    def step(self, state: S, by: Role, letter: Letter) -> S | None:
        """The state after `by` sent `letter`, or None where that is illegal. The final state absorbs all."""
        if state is self.final:
            return state
        words = self._next.get((state, by), _NOTHING).get(letter.pdu)
        return None if words is None else words.get(letter.outcome)

    def after(self, state: S, by: Role, pdu: Pdu) -> S | None:
        """`step` for the letter that `pdu` spells, without making it."""
        if state is self.final:
            return state
        words = self._next.get((state, by), _NOTHING).get(type(pdu))
        return None if words is None else words.get(_outcome(pdu))

    def legal(self, state: S, by: Role) -> Iterator[Letter]:
        """The letters that `by` may send in `state`."""
        return (row.letter for row in self.rows if row.state is state and row.by is by)

    def _enter(self) -> Iterator[str]:
        for row in self.rows:
            spec = row.letter.pdu.SPEC
            words = self._next.setdefault((row.state, row.by), {}).setdefault(row.letter.pdu, {})
            if row.letter.outcome in words:
                yield f"{row.state.name} {row.by.value} {row.letter} stands twice"
            if row.letter not in Letter.all_of(row.letter.pdu):
                yield f"no PDU spells {row.letter}: its outcomes are {', '.join(spec.outcomes) or 'none'}"
            if row.state is self.final:
                yield f"a row leaves the final state {self.final.name}"
            if row.by not in spec.by:
                yield f"{row.letter} is never sent by the {row.by.value}"
            words[row.letter.outcome] = row.to

    def _unreachable(self) -> Iterator[str]:
        seen = {self.initial}
        grown = True
        while grown:
            more = {row.to for row in self.rows if row.state in seen} - seen
            seen |= more
            grown = bool(more)
        yield from (f"{state.name} cannot be reached" for state in self.states if state not in seen)

    def _dead_ends(self) -> Iterator[str]:
        ending = {self.final}
        grown = True
        while grown:
            more = {row.state for row in self.rows if row.to in ending} - ending
            ending |= more
            grown = bool(more)
        yield from (f"{state.name} never ends" for state in self.states if state not in ending)

    def _crossings(self) -> Iterator[str]:
        for state in self.states:
            if state is self.final:
                continue
            for mine in self.legal(state, Role.CLIENT):
                for theirs in self.legal(state, Role.SERVER):
                    if fault := self._crossing(state, mine, theirs):
                        yield fault

    def _crossing(self, state: S, mine: Letter, theirs: Letter) -> str | None:
        def word(*steps: tuple[Role, Letter]) -> S | None:
            at: S | None = state
            for by, letter in steps:
                at = self.step(at, by, letter) if at is not None else None
            return at

        client, server = (Role.CLIENT, mine), (Role.SERVER, theirs)
        first, second = word(client, server), word(server, client)
        if first is not None and first is second:
            return None
        ends = " against ".join("illegal" if end is None else end.name for end in (first, second))
        return f"in {state.name} {mine} and {theirs} may cross: {ends}"


_NOTHING: Final[dict[type[Pdu], dict[str | None, Any]]] = {}


def _outcome(pdu: Pdu) -> str | None:
    return getattr(pdu, "outcome", None) if pdu.SPEC.outcomes else None
