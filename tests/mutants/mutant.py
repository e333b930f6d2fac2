"""Mutants: the server with one deliberate fault each, a patch of a few lines, to see which case notices."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import FunctionType
from typing import Any, Final

Break = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`kills` are patterns of the ids of the cases that must fail; `rules` are for `tests.conformance.house`.

    What some break only slow cases notice, or those that start and kill the server: `only` is "slow" or "control".
    """

    name: str
    about: str
    break_: Break
    kills: tuple[str, ...]
    rules: Mapping[str, Any] = field(default_factory=dict)
    only: str = ""

    def must_kill(self, case: str) -> bool:
        """Whether the case with this id must fail."""
        return any(fnmatchcase(case, pattern) for pattern in self.kills)


MUTANTS: Final[list[Mutant]] = []


def mutant(name: str, *kills: str, only: str = "", **rules: Any) -> Callable[[Break], Break]:
    """Make a function that breaks the modules of the server a mutant; its docstring says what is wrong with it.

    `name` begins with the id of the sentence that is broken: `2.1-3/no-limit`. `kills` are ids of cases without `QC-`,
    with * for anything; by default all of that sentence. Raises ValueError for a name that is taken.
    """

    def enter(break_: Break) -> Break:
        found = tuple(f"QC-{each}" for each in kills or (name.partition("/")[0] + "/*",))
        if any(each.name == name for each in MUTANTS):
            raise ValueError(f"{name} is taken")
        MUTANTS.append(Mutant(name, " ".join((break_.__doc__ or "").split()), break_, found, rules, only))
        return break_

    return enter


def swap(owner: object, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(what is there)` in the place of an attribute, be it of a frozen class. Raises AttributeError."""
    setattr(owner, name, make(getattr(owner, name)))


def edit(function: Callable[..., Any], *changes: tuple[str, str]) -> None:
    """Change the text of a function, for whoever has it already too. Raises ValueError where it reads otherwise."""
    assert isinstance(function, FunctionType)
    text = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"{function.__qualname__} has {old!r} {text.count(old)} times")
        text = text.replace(old, new)
    tree = ast.parse(text)
    made = tree.body[0]
    assert isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef)
    made.decorator_list = []
    found: dict[str, Any] = {}
    exec(compile(tree, f"<{function.__qualname__}>", "exec"), {**function.__globals__}, found)  # noqa: S102
    function.__code__ = found[function.__name__].__code__


def fault(name: str, about: str, *edits: tuple[Callable[..., Any], str, str], kills: tuple[str, ...] = ()) -> None:
    """A mutant that is nothing but edits: of which function, what it says, and what it says then."""

    def break_() -> None:
        for function in dict.fromkeys(each for each, _, _ in edits):
            edit(function, *((old, new) for each, old, new in edits if each is function))

    break_.__doc__ = about
    mutant(name, *kills)(break_)
