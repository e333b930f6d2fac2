"""Frozen dataclasses that cost little to define: a program has hundreds, and makes values of few. (spec 12-operation)

The library compiles six methods for each class when it is defined, which took half of the time to the first screen.
Of ours all share one of each, but for `__init__`: that is compiled when the first value is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]

_put: Final = object.__setattr__


def _defined(cls: type[Any] | None = None, /, *, frozen: bool = False, **wishes: Any) -> Any:
    """As `dataclasses.dataclass`; what is not frozen, or has other wishes than slots and keywords, is the library's."""
    if cls is None:
        return lambda given: _defined(given, frozen=frozen, **wishes)
    if not frozen or not wishes.keys() <= {"slots", "kw_only"}:
        return dataclasses.dataclass(frozen=frozen, **wishes)(cls)
    for name, method in _SHARED.items():
        # A class with `__eq__` and no `__hash__` has None there.
        if cls.__dict__.get(name) is None:
            setattr(cls, name, method)
    made = dataclasses.dataclass(init=False, repr=False, eq=False, **wishes)(cls)
    made._compared = staticmethod(_getter([each.name for each in fields(made) if each.compare]))

    def first(self: Any, *given: Any, **named: Any) -> None:
        made.__init__ = compiled = _init(made)
        compiled(self, *given, **named)

    made.__init__ = first
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _defined


def _getter(names: list[str]) -> Callable[[Any], object]:
    """All of these attributes at once, as a tuple where there are several."""
    return attrgetter(*names) if names else lambda value: ()


def _init(cls: type[Any]) -> Callable[..., None]:
    """What the library would have made."""
    given = [each for each in fields(cls) if each.init]
    positional = [_parameter(each) for each in given if not each.kw_only]
    named = [_parameter(each) for each in given if each.kw_only]
    head = ", ".join(["self", *positional, *(["*"] if named else []), *named])
    body = [line for each in fields(cls) for line in _filled(each)]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    known: dict[str, Any] = {"_put": _put, "_ABSENT": MISSING}
    for each in fields(cls):
        known[f"_default_{each.name}"] = each.default
        known[f"_make_{each.name}"] = each.default_factory
    lines = "".join(f"\n    {line}" for line in body or ["pass"])
    exec(f"def __init__({head}):{lines}", known)  # noqa: S102 - as `dataclasses` does
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _parameter(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return f"{field.name}=_default_{field.name}"
    return field.name if field.default_factory is MISSING else f"{field.name}=_ABSENT"


def _filled(field: Field[Any]) -> Iterator[str]:
    name = field.name
    value = name if field.init else f"_default_{name}"
    if field.default_factory is not MISSING:
        value = f"_make_{name}()" + (f" if {name} is _ABSENT else {name}" if field.init else "")
    elif not field.init and field.default is MISSING:
        return  # `__post_init__` fills it
    yield f"_put(self, {name!r}, {value})"


# The shared methods


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self._compared(self) == self._compared(other)


def _hash(self: Any) -> int:
    return hash(self._compared(self))


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _setattr(self: Any, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[object]:
    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[object]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        _put(self, each.name, value)


_SHARED: Final[dict[str, Callable[..., Any]]] = {
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
