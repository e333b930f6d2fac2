"""Mutants of chapter 10, made from the table: each state forgives what it should refuse, or refuses what is legal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from quicchat.protocol import judgement
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.mutants.mutant import mutant, swap

#: Those in which our server hears a client. It answers a VERSION_REQUEST before it hears more, and in DRAINING
#: it hears nothing (see `3.5-1/goes-on-listening`); in START it is not
#: the table that refuses what no stream can begin with (see `3.1-1/what-comes-first-is-ignored`).
HEARING: Final = tuple(
    state
    for state in CONNECTION.states
    if any(row.state is state and row.by is Role.CLIENT for row in CONNECTION.rows)
    and state not in (State.START, State.NEGOTIATING, State.EARLY, State.DRAINING)
)
After = Callable[[State, Role, Any], State | None]


class _Other:
    """The automaton, but for what follows a PDU."""

    def __init__(self, after: After) -> None:
        self.after = after


def changed(make: Callable[[After], After]) -> None:
    """Have another state follow a PDU, or none."""
    swap(judgement, "CONNECTION", lambda machine: _Other(make(machine.after)))


def _forgiving(at: State) -> Callable[[], None]:
    def forgive() -> None:
        def make(after: After) -> After:
            return lambda state, role, pdu: after(state, role, pdu) or (state if state is at else None)

        changed(make)

    forgive.__doc__ = f"In {at.name} every PDU is legal that a client may ever send."
    return forgive


def _strict(at: State) -> Callable[[], None]:
    def refuse() -> None:
        def make(after: After) -> After:
            def found(state: State, role: Role, pdu: Any) -> State | None:
                to = after(state, role, pdu)
                return None if state is at is to and pdu.SPEC.name not in ("PING", "ERROR", "BYE") else to

            return found

        changed(make)

    refuse.__doc__ = f"In {at.name} nothing is legal that leaves the state as it is, but PING, ERROR and BYE."
    return refuse


for _state in HEARING:
    mutant(f"10.1-2/{_state.name}-forgives", f"10.1-2/{_state.name}.*.refused", f"10.1-2/{_state.name}.*.fatal")(
        _forgiving(_state)
    )
mutant("10.1-1/READY-refuses", "10.1-1/READY.[!BEPT]*.accepted")(_strict(State.READY))


@mutant("10.1-3/server-words", "10.1-3/*")
def server_words() -> None:
    """What only a server may say is judged as what a client may not say now."""

    def make(judge: Any) -> Any:
        def found(pdu: Any, *, sender: Role, state: State, via: Any) -> Any:
            spec = getattr(pdu, "SPEC", None)
            if spec is not None and sender not in spec.by:
                return judgement.Ignored()
            return judge(pdu, sender=sender, state=state, via=via)

        return found

    swap(judgement, "judge", make)
