"""Faults written as what another hand might have put into the source of a function. (spec 16-conformance)"""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

from tests.mutants.mutant import mutant

#: What stands in the source, and what in the faulty one.
Change = tuple[str, str]


def faulty(
    name: str, about: str, owner: object, function: str, *changes: Change, kills: str = "", **rules: Any
) -> None:
    """A mutant: `about` says what is wrong, `changes` make it so; `kills` are names of cases, see `mutant`."""

    def break_() -> None:
        edit(owner, function, *changes)

    break_.__doc__ = about
    mutant(name, *kills.split(), **rules)(break_)


def edit(owner: object, name: str, *changes: Change) -> None:
    """Put a function with another source in the place of that of a class or module.

    Raises ValueError where what is to be changed does not stand there exactly once: then the mutant is out of date.
    """
    there = inspect.getattr_static(owner, name)
    function = inspect.unwrap(getattr(there, "__func__", there))
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"{name} has {old!r} {source.count(old)} times")
        source = source.replace(old, new)
    made: dict[str, Any] = {}
    code = compile(f"from __future__ import annotations\n{source}", f"<faulty {name}>", "exec")
    exec(code, function.__globals__, made)  # noqa: S102 - it is our own source, but for what is to be wrong
    setattr(owner, name, made[function.__name__])
