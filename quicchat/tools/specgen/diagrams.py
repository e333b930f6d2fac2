"""Pictures of the automaton, as Mermaid and Graphviz text. (spec 10-states)"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from quicchat.wire.machine import Machine
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Role
from quicchat.wire.states import State

_WIDTH: Final = 60
_GENERATED: Final = "Generated from the code; do not edit."


def mermaid(machine: Machine[State] = CONNECTION) -> str:
    """A state diagram; what leaves a state as it is stands in a note beside it."""
    lines = [f"%% {_GENERATED}", "stateDiagram-v2", f"  [*] --> {machine.initial.name}"]
    lines += [f"  {state.name} --> {to.name}: {'<br/>'.join(words)}" for state, to, words in _moves(machine)]
    for state in machine.states:
        if loops := list(_loops(machine, state)):
            lines += [f"  note right of {state.name}", *(f"    {line}" for line in loops), "  end note"]
    return "\n".join([*lines, f"  {machine.final.name} --> [*]", ""])


def graphviz(machine: Machine[State] = CONNECTION) -> str:
    """The same in the language of dot; what leaves a state as it is stands within it."""
    lines = [f"// {_GENERATED}", "digraph connection {", "  node [shape=box, style=rounded];"]
    for state in machine.states:
        label = r"\l".join([state.name, *_loops(machine, state), ""])
        shape = ", peripheries=2" if state is machine.final else ""
        lines.append(f'  {state.name} [label="{label}"{shape}];')
    for state, to, words in _moves(machine):
        label = r"\n".join(words)
        lines.append(f'  {state.name} -> {to.name} [label="{label}"];')
    return "\n".join([*lines, "}", ""])


def _moves(machine: Machine[State]) -> Iterator[tuple[State, State, list[str]]]:
    """From, to, and one line for each end that may cause it."""
    for state in machine.states:
        for to in machine.states:
            words = [_words(machine, state, role, to) for role in Role]
            if to is not state and any(words):
                yield state, to, [word for word in words if word]


def _loops(machine: Machine[State], state: State) -> Iterator[str]:
    for role in Role:
        yield from textwrap.wrap(_words(machine, state, role, state), _WIDTH, break_on_hyphens=False)


def _words(machine: Machine[State], state: State, role: Role, to: State) -> str:
    letters = [str(row.letter) for row in machine.rows if (row.state, row.by, row.to) == (state, role, to)]
    return f"{role.value} {', '.join(letters)}" if letters else ""
