"""Mutants of section 2.4, made from the types: each takes one kind of mistake for a legal value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from quicchat.wire import codec, types
from quicchat.wire.registry import REGISTRY, Role, Via
from tests.mutants.mutant import mutant, swap

Test = Callable[[Any, Any], bool]
#: How the kit calls values of another kind.
_OTHERS = ("uint", "negative", "text", "bytes", "bool", "array", "map", "float", "undefined")
_OWN = {"choice": "uint", "tuple": "array"}
_KINDS = {
    "uint": types.Uint,
    "bool": types.Bool,
    "text": types.Text,
    "bytes": types.Bytes,
    "choice": types.Choice,
    "array": types.Array,
    "tuple": types.Tuple,
    "map": types.UintMap,
}
#: What each kind is in CBOR as we read it.
_PYTHON = {
    "uint": int,
    "bool": bool,
    "text": str,
    "bytes": bytes,
    "choice": int,
    "array": list,
    "tuple": list,
    "map": dict,
}


def _takes(cls: type[Any], test: Test) -> None:
    """Have a type take what it refuses where this is true of it, as if it were the first of its samples."""

    def make(load: Any) -> Any:
        def found(self: Any, value: Any) -> Any:
            try:
                return load(self, value)
            except ValueError:
                if test(self, value):
                    return next(iter(self.samples()))
                raise

        return found

    swap(cls, "load", make)


def _size(value: Any) -> int:
    """Of an integer itself, of all else what its limit counts."""
    return value if isinstance(value, int) else len(value.encode() if isinstance(value, str) else value)


def _enter(name: str, about: str, kind: str, test: Test, *kills: str) -> None:
    def break_() -> None:
        _takes(_KINDS[kind], test)

    break_.__doc__ = about
    mutant(name, *kills)(break_)


def _of_another_kind(kind: type[Any]) -> Test:
    return lambda self, value: type(value) is not kind and value is not None


def _too_large(kind: type[Any]) -> Test:
    return lambda self, value: type(value) is kind and _size(value) > self.most


def _too_small(kind: type[Any]) -> Test:
    return lambda self, value: type(value) is kind and _size(value) < self.least


def _cases(
    kind: str, *names: str, sentence: str = "2.4-1", where: Callable[[Any], bool] = lambda of: True
) -> list[str]:
    """The cases about the fields of this type that clients send on streams, as far as it is like that."""
    return [
        f"{sentence}/{cls.SPEC.name}.{field.name}.{name}"
        for cls in REGISTRY
        for field in cls.SPEC.fields
        for name in names
        if Role.CLIENT in cls.SPEC.by and cls.SPEC.via is not Via.DATAGRAM
        if type(field.type) is _KINDS[kind] and where(field.type)
        if name != "null" or field.optional is (sentence == "2.4-3")
    ]


def _refuses(cls: type[Any], test: Test) -> None:
    """Have a type refuse what it takes where this is true of it."""

    def make(load: Any) -> Any:
        def found(self: Any, value: Any) -> Any:
            if test(self, value):
                raise ValueError("not any more")
            return load(self, value)

        return found

    swap(cls, "load", make)


def _enter_strict(name: str, about: str, kind: str, test: Test, *kills: str) -> None:
    def break_() -> None:
        _refuses(_KINDS[kind], test)

    break_.__doc__ = about
    mutant(name, *kills)(break_)


def _of_own_kind(kind: str) -> tuple[str, ...]:
    """A negative number is an integer like any other."""
    own = _OWN.get(kind, kind)
    return (own, "negative") if own == "uint" else (own,)


def _least(of: Any) -> int:
    """What may be of one size only is let alone."""
    found: int = getattr(of, "least", 0)
    return found


def _free(of: Any) -> bool:
    return getattr(of, "pattern", None) is None and bool(of.most > _least(of))


def _limited(of: Any) -> bool:
    return bool(of.most < types.UINT64)


for _kind, _is in _PYTHON.items():
    _enter(
        f"2.4-1/any-kind-for-{_kind}",
        f"A value of any other kind but null is taken where a {_kind} is due.",
        _kind,
        _of_another_kind(_is),
        *_cases(_kind, *(each for each in _OTHERS if each not in _of_own_kind(_kind))),
    )
    _enter(
        f"2.4-3/null-for-{_kind}",
        f"null is taken where a {_kind} is due.",
        _kind,
        lambda self, value: value is None,
        *_cases(_kind, "null"),
        *_cases(_kind, "null", sentence="2.4-3"),
    )
for _kind in ("uint", "text", "bytes", "array", "map"):
    _enter(
        f"2.4-1/{_kind}-without-most",
        f"Nothing is too large for a {_kind}.",
        _kind,
        _too_large(_PYTHON[_kind]),
        # A map of too many pairs is none of the profile.
        *(_cases(_kind, "above", where=_limited) if _kind != "map" else ()),
    )
    _enter_strict(
        f"2.4-1/{_kind}-below-most",
        f"A {_kind} that is as large as may be is too large.",
        _kind,
        lambda self, value, kind=_PYTHON[_kind]: type(value) is kind and _size(value) == self.most > _least(self),  # type: ignore[misc]
        *_cases(_kind, "most.accepted", where=_free),
    )
for _kind in ("uint", "text", "bytes"):
    _enter(
        f"2.4-1/{_kind}-without-least",
        f"Nothing is too small for a {_kind}.",
        _kind,
        _too_small(_PYTHON[_kind]),
        *(_cases(_kind, "negative") if _kind == "uint" else ()),
        *_cases(_kind, "below", where=lambda of: of.least > 0 and getattr(of, "pattern", None) is None),
    )
    _enter_strict(
        f"2.4-1/{_kind}-above-least",
        f"A {_kind} that is as small as may be is too small.",
        _kind,
        lambda self, value, kind=_PYTHON[_kind]: type(value) is kind and _size(value) == self.least < self.most,  # type: ignore[misc]
        *_cases(_kind, "least.accepted", where=_free),
    )
_enter(
    "2.4-1/any-pattern",
    "No text is looked at by its pattern.",
    "text",
    lambda self, value: type(value) is str and self.pattern is not None and not re.fullmatch(self.pattern, value),
    "2.4-1/*.pattern-*",
)
_enter(
    "2.4-1/characters-not-bytes",
    "Limits of texts count characters.",
    "text",
    lambda self, value: type(value) is str and len(value) <= self.most < len(value.encode()),
    *_cases("text", "above-in-bytes", where=lambda of: of.pattern is None),
)
_enter(
    "2.4-1/any-choice",
    "A choice that does not exist is taken for another.",
    "choice",
    lambda self, value: type(value) is int,
    *_cases("choice", "unknown"),
)
_enter_strict(
    "2.4-1/first-choice-unknown",
    "The first choice is unknown.",
    "choice",
    lambda self, value: value == min(map(int, self.of)),
    *_cases("choice", "least.accepted"),
)
_enter_strict(
    "2.4-1/last-choice-unknown",
    "The last choice is unknown.",
    "choice",
    lambda self, value: value == max(map(int, self.of)),
    *_cases("choice", "most.accepted"),
)
_enter_strict(
    "2.4-1/false-is-left-out",
    "What is false has to be left out.",
    "bool",
    lambda self, value: value is False,
    *_cases("bool", "least.accepted"),
)
_enter(
    "2.4-1/tuple-of-any-length",
    "A tuple may have more or fewer items.",
    "tuple",
    lambda self, value: type(value) is list and len(value) != len(self.of),
    *_cases("tuple", "short", "long"),
)


@mutant("2.4-1/required-fields-may-lack", "2.4-1/*.missing")
def lacking() -> None:
    """A required field that is missing is taken for None."""

    def make(fill: Any) -> Any:
        def found(target: Any, name: str, reads: Any, items: Any) -> int:
            loose = tuple((key, field, put, load, True) for key, field, put, load, _ in reads)
            known: int = fill(target, name, reads if name == "envelope" else loose, items)
            return known

        return found

    swap(codec, "_fill", make)
