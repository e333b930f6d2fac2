"""How a case of the reverse mode is entered into the list. (spec README)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from quicchat.tools.conform.case import Case

if TYPE_CHECKING:
    from quicchat.tools.conform.stage import Stage

Play = Callable[["Stage"], Awaitable[None]]

#: The cases for clients, in the order of their definition.
CASES: Final[list[Case]] = []


def client(
    sentence: str, name: str, *, since: int = 1, slow: bool = False, informational: bool = False
) -> Callable[[Play], Play]:
    """Make a function the case `QC-sentence/name` of a client. Raises ValueError for a name that is taken."""

    def enter(run: Play) -> Play:
        made = Case(sentence, name, run, since, slow=slow, informational=informational)
        if any(each.id == made.id for each in CASES):
            raise ValueError(f"{made.id} is taken")
        CASES.append(made)
        return run

    return enter
