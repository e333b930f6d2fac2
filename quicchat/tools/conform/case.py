"""A case: a sentence of the specification, and how to see whether a server keeps to it. (spec README)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from quicchat.values import dataclass

if TYPE_CHECKING:
    from quicchat.tools.conform.bench import Bench

Run = Callable[["Bench"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """`needs` are features (see `FEATURES`); a `slow` one waits for a deadline; one that is `alone` disturbs others.

    One that is `thorough` is hardly ever wanted: others like it try the same of the same field.
    """

    sentence: str
    name: str
    run: Callable[[Any], Awaitable[None]]
    since: int = 1
    needs: frozenset[str] = frozenset()
    slow: bool = False
    alone: bool = False
    informational: bool = False
    thorough: bool = False

    @property
    def id(self) -> str:
        return f"QC-{self.sentence}/{self.name}"


#: What a server may not have, or not for us; a case that needs one is UNIMPLEMENTED where it lacks.
FEATURES: Final = {
    "login": "an account to log in with: --user and --password, or a server where anybody may sign up",
    "other": "a second account: --user and --password once more, or a server where anybody may sign up",
    "signup": "anybody may sign up",
    "rooms": "chapter 5: rooms that users make",
    "presence": "chapter 7: who is there",
    "files": "chapter 14: files",
    "keys": "chapter 15: keys",
    "datagrams": "datagrams",
    "early": "tickets and early data (13.6)",
    "control": "a controller that starts, kills and restarts the server: --start COMMAND",
}

#: The cases written by hand, in the order of their definition.
WRITTEN: Final[list[Case]] = []
_TAKEN: Final[set[str]] = set()


def case(
    sentence: str,
    name: str,
    *needs: str,
    since: int = 1,
    slow: bool = False,
    alone: bool = False,
    informational: bool = False,
) -> Callable[[Run], Run]:
    """Make a function the case `QC-sentence/name`. Raises ValueError for a name that is taken or an unknown feature."""

    def enter(run: Run) -> Run:
        made = Case(sentence, name, run, since, frozenset(needs), slow, alone, informational)
        if made.id in _TAKEN or not made.needs <= FEATURES.keys():
            raise ValueError(f"{made.id}: taken, or needs what is no feature")
        _TAKEN.add(made.id)
        WRITTEN.append(made)
        return run

    return enter
