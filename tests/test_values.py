"""Values are those of `dataclasses` in all but the time they take: each is held against the library's own."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, fields
from typing import Any

import pytest

from quicchat import values
from quicchat.wire.registry import REGISTRY


def _made(decorator: Any) -> tuple[Any, Any, Any]:
    """The same classes by either."""

    @decorator(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        names: list[str] = field(default_factory=list, compare=False)
        secret: str = field(default="", repr=False)

    @decorator(frozen=True, slots=True, kw_only=True)
    class Far(Point):
        z: int
        sum: int = field(init=False, compare=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "sum", self.x + self.y + self.z)

    @decorator(frozen=True, slots=True)
    class Empty:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Empty)

    return Point, Far, Empty


OURS, THEIRS = _made(values.dataclass), _made(dataclasses.dataclass)
#: Ours and pickled they must be found by name.
Point, Far, Empty = OURS
for _each in OURS:
    _each.__qualname__ = _each.__name__


def _tried(what: Callable[[], object]) -> object:
    try:
        return what()
    except (TypeError, AttributeError) as error:
        return type(error), str(error).replace("_made.<locals>.", "")


@pytest.mark.parametrize(
    "what",
    [
        lambda point, far, empty: point(1),
        lambda point, far, empty: point(1, 3, ["a"], "hidden"),
        lambda point, far, empty: point(x=1, secret="s").names,
        lambda point, far, empty: point(),
        lambda point, far, empty: point(1, q=2),
        lambda point, far, empty: point(1, 2, [], "", 5),
        lambda point, far, empty: far(1, 3, z=4),
        lambda point, far, empty: far(1, 3, z=4).sum,
        lambda point, far, empty: far(1, 3, [], "", 4),
        lambda point, far, empty: far(1),
        lambda point, far, empty: dataclasses.replace(far(1, z=4), x=7),
        lambda point, far, empty: [each.name for each in fields(far)],
        lambda point, far, empty: [point.__match_args__, far.__match_args__],
        lambda point, far, empty: [point.__slots__, far.__slots__],
        lambda point, far, empty: point(1) == point(1, 2, ["other"]),
        lambda point, far, empty: [point(1) == point(1, 3), point(1) == far(1, z=3), point(1) == 1],
        lambda point, far, empty: [hash(point(1)) == hash(point(1, 2, ["other"])), len({point(1), point(1), point(2)})],
        lambda point, far, empty: [empty(), empty() == empty(), hash(empty()) == hash(empty())],
        lambda point, far, empty: dataclasses.asdict(far(1, 3, ["n"], "s", z=4)),
        lambda point, far, empty: copy.copy(far(1, z=4)),
        lambda point, far, empty: copy.deepcopy(point(1, 2, ["n"])).names,
        lambda point, far, empty: setattr(point(1), "x", 2),
        lambda point, far, empty: delattr(point(1), "x"),
    ],
)
def test_as_the_library(what: Callable[..., object]) -> None:
    """What is made, shown, compared, copied and refused is the same."""
    ours, theirs = (_tried(lambda of=of: what(*of)) for of in (OURS, THEIRS))  # type: ignore[misc]
    assert repr(ours).replace("_made.<locals>.", "") == repr(theirs).replace("_made.<locals>.", "")


def test_first_is_like_all_others() -> None:
    """The first value compiles `__init__`; a class below it, one without a decorator too, has its own."""
    point, far, _ = _made(values.dataclass)

    class Named(point):  # type: ignore[misc, valid-type]
        def __init__(self, x: int) -> None:
            super().__init__(x, 5)

    assert [Named(1).y, Named(2).y, far(1, z=3).sum, far(1, z=3).sum, point(4).y] == [5, 5, 6, 6, 2]


def test_value_is_pickled() -> None:
    """A value survives a way through bytes, though nothing can be assigned to it."""
    kept = pickle.dumps(Point(1, 2, ["n"], "s"))
    assert pickle.loads(kept) == Point(1, 2, secret="s")  # noqa: S301 - our own bytes


def test_nothing_is_assigned_to_a_pdu() -> None:
    """A PDU that was checked stays what was checked."""
    for cls in REGISTRY:
        blank = object.__new__(cls)
        with pytest.raises(FrozenInstanceError):
            blank.extra = None  # type: ignore[misc]
