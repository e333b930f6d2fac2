"""The cells of the automaton as cases: every state, every letter, both ends; from whatever machine is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quicchat.tools.specgen import instances
from quicchat.wire.chapters.accounts import MECHANISM, AuthStart
from quicchat.wire.chapters.session import VersionRequest, VersionResponse
from quicchat.wire.machine import Letter, Machine, Row
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import REGISTRY, Pdu, Registry, Role
from quicchat.wire.states import State

FORGIVING = (State.READY, State.DRAINING)


@dataclass(frozen=True, slots=True)
class Cell:
    """One end says one letter in one state; `to` is None where that is illegal."""

    state: State
    by: Role
    letter: Letter
    to: State | None

    def __str__(self) -> str:
        return f"{self.state.name}-{self.by.value}-{self.letter}"


def cells(machine: Machine[State] = CONNECTION, registry: Registry = REGISTRY) -> Iterator[Cell]:
    """Every state times every letter times both ends; the final state is left to `absorbed`."""
    for state in machine.states:
        for letter in letters(registry):
            for by in Role:
                if state is not machine.final:
                    yield Cell(state, by, letter, machine.step(state, by, letter))


def letters(registry: Registry = REGISTRY) -> list[Letter]:
    """The alphabet."""
    return [letter for cls in registry for letter in Letter.all_of(cls)]


def path(machine: Machine[State], to: State, rows: Iterable[Row[State]]) -> list[Row[State]]:
    """The fewest rows from the initial state to another one. Raises ValueError where these rows lead nowhere."""
    rows = list(rows)
    ways: dict[State, list[Row[State]]] = {machine.initial: []}
    waiting = deque([machine.initial])
    while waiting:
        at = waiting.popleft()
        if at is to:
            return ways[at]
        for row in rows:
            if row.state is at and row.to not in ways:
                ways[row.to] = [*ways[at], row]
                waiting.append(row.to)
    raise ValueError(f"{to.name} cannot be reached")


def sensible(letter: Letter, version: int = 2) -> Pdu:
    """An instance of a letter that a live connection can make sense of."""
    if letter.pdu is VersionRequest:
        return VersionRequest(versions=(version,), device=bytes(16))
    if letter == Letter(VersionResponse, "accepted"):
        return VersionResponse(version=version, versions=(version,))
    if letter.pdu is AuthStart:
        return AuthStart(mechanism=MECHANISM, user="alice", data=b"p=quicchat,,n=alice,r=abc")
    return instances.spelling(letter)
