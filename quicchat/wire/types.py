"""The field types of PDUs: their limits, their CDDL, and values on either side of a limit. (spec 02-framing)

Every type has the same faces, and from them come codec, CDDL, vectors and conformance cases:

    load(wire value)   -> Python value, or ValueError
    dump(Python value) -> wire value, or ValueError
    pack(Python value) -> the CBOR of `dump`, without the detour
    cddl()             -> the type in CDDL (RFC 8610)
    samples(), wrong() -> legal Python values up to the limit; illegal wire values, each with its name
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from enum import IntEnum
from functools import lru_cache
from typing import Any, Protocol

from quicchat.values import dataclass
from quicchat.wire import cbor
from quicchat.wire.cbor import MAX_PAIRS as MAX_PAIRS
from quicchat.wire.cbor import UINT64 as UINT64
from quicchat.wire.cbor import head

#: One wire value of each CBOR kind, to be refused wherever another kind is due.
KINDS: dict[str, object] = {
    "uint": 1,
    "negative": -1,
    "text": "x",
    "bytes": b"x",
    "bool": True,
    "null": None,
    "array": [],
    "map": {},
    "float": 1.5,
}
#: What patterns call control characters; CDDL's are XSD's, which have no escapes by number, but a name for these.
CONTROLS = r"\x00-\x1f\x7f-\x9f"
#: Texts of which every pattern forbids one.
_ODD = ("\u0416 !", "/")


class Type(Protocol):
    """What a field type must offer; the classes below are all there are."""

    def load(self, value: Any) -> Any: ...
    def dump(self, value: Any) -> Any: ...
    def pack(self, value: Any) -> bytes: ...
    def cddl(self) -> str: ...
    def samples(self) -> Iterator[Any]: ...
    def wrong(self) -> Iterator[tuple[str, Any]]: ...


def _wrong_kinds(*allowed: str) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in KINDS.items() if name not in allowed)


@dataclass(frozen=True, slots=True)
class Uint:
    """An unsigned integer from `least` to `most`, both included."""

    most: int = UINT64
    least: int = 0

    def load(self, value: Any) -> int:
        if type(value) is int and self.least <= value <= self.most:
            return value
        raise ValueError(f"not an integer from {self.least} to {self.most}")

    def dump(self, value: Any) -> int:
        return self.load(int(value) if isinstance(value, IntEnum) else value)

    def pack(self, value: Any) -> bytes:
        if type(value) is int and self.least <= value <= self.most:
            return head(cbor.UINT, value)
        return head(cbor.UINT, self.dump(value))

    def cddl(self) -> str:
        return "uint" if (self.least, self.most) == (0, UINT64) else f"{self.least}..{self.most}"

    def samples(self) -> Iterator[int]:
        yield from dict.fromkeys((self.least, (self.least + self.most) // 2, self.most))

    def wrong(self) -> Iterator[tuple[str, Any]]:
        yield from _wrong_kinds("uint")
        if self.least:
            yield "below", self.least - 1
        if self.most < UINT64:
            yield "above", self.most + 1


@dataclass(frozen=True, slots=True)
class Bool:
    """true or false."""

    def load(self, value: Any) -> bool:
        if type(value) is bool:
            return value
        raise ValueError("not a boolean")

    dump = load

    def pack(self, value: Any) -> bytes:
        return cbor.TRUE if self.load(value) else cbor.FALSE

    def cddl(self) -> str:
        return "bool"

    def samples(self) -> Iterator[bool]:
        yield True
        yield False

    def wrong(self) -> Iterator[tuple[str, Any]]:
        return _wrong_kinds("bool")


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 text of `least` to `most` BYTES; `pattern` must match the whole."""

    most: int
    least: int = 0
    pattern: str | None = None
    example: str = "x"
    _packed: Callable[[str], bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Names come again and again, and matching one costs more than finding it in a cache.
        packed = self._pack if self.pattern is None else lru_cache(maxsize=4096)(self._pack)
        object.__setattr__(self, "_packed", packed)

    def load(self, value: Any) -> str:
        if type(value) is not str:
            raise ValueError("not a text")
        self._packed(value)
        return value

    dump = load

    def pack(self, value: Any) -> bytes:
        if type(value) is not str:
            raise ValueError("not a text")
        return self._packed(value)

    def _pack(self, text: str) -> bytes:
        data = text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
        if not self.least <= len(data) <= self.most:
            raise ValueError(f"not a text of {self.least} to {self.most} bytes")
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"does not match {self.pattern}")
        return head(cbor.TEXT, len(data)) + data

    def cddl(self) -> str:
        sized = f"text .size ({self.least}..{self.most})"
        if self.pattern is None:
            return sized
        portable = self.pattern.replace(CONTROLS, r"\p{Cc}")
        quoted = portable.replace("\\", r"\\").replace('"', r"\"")
        return f'({sized}) .and (text .regexp "{quoted}")'

    def samples(self) -> Iterator[str]:
        if self.pattern is not None:
            yield self.example
            return
        texts = ("x" * self.least, "gr\u00fc\u00df", "\u20ac" * (self.most // 3) + "x" * (self.most % 3))
        yield from dict.fromkeys(text for text in texts if self.least <= len(text.encode()) <= self.most)

    def wrong(self) -> Iterator[tuple[str, Any]]:
        yield from _wrong_kinds("text")
        yield "above", "x" * (self.most + 1)
        yield "above-in-bytes", "\U0001f642" * (self.most // 4 + 1)
        if self.least:
            yield "below", "x" * (self.least - 1)
        if self.pattern is not None:
            yield "pattern", next(text for text in _ODD if re.fullmatch(self.pattern, text) is None)


@dataclass(frozen=True, slots=True)
class Bytes:
    """A byte string of `least` to `most` bytes."""

    most: int
    least: int = 0

    def load(self, value: Any) -> bytes:
        if type(value) is bytes and self.least <= len(value) <= self.most:
            return value
        raise ValueError(f"not a byte string of {self.least} to {self.most} bytes")

    dump = load

    def pack(self, value: Any) -> bytes:
        data = self.load(value)
        return head(cbor.BYTES, len(data)) + data

    def cddl(self) -> str:
        return f"bytes .size {self.most}" if self.least == self.most else f"bytes .size ({self.least}..{self.most})"

    def samples(self) -> Iterator[bytes]:
        yield from dict.fromkeys((bytes(self.least), bytes(min(self.most, 4096))))

    def wrong(self) -> Iterator[tuple[str, Any]]:
        yield from _wrong_kinds("bytes")
        yield "above", bytes(self.most + 1)
        if self.least:
            yield "below", bytes(self.least - 1)


@dataclass(frozen=True, slots=True)
class Choice:
    """One member of an IntEnum."""

    of: type[IntEnum]
    _members: dict[int, IntEnum] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Calling an Enum class costs five times as much as this look-up.
        object.__setattr__(self, "_members", {int(member): member for member in self.of})

    def load(self, value: Any) -> IntEnum:
        member = self._members.get(value) if type(value) is int else None
        if member is None:
            raise ValueError(f"not a {self.of.__name__}")
        return member

    def dump(self, value: Any) -> int:
        if type(value) is not self.of:
            raise ValueError(f"not a {self.of.__name__}")
        return int(value)

    def pack(self, value: Any) -> bytes:
        return head(cbor.UINT, self.dump(value))

    def cddl(self) -> str:
        return " / ".join(str(int(member)) for member in self.of)

    def samples(self) -> Iterator[IntEnum]:
        yield from self.of

    def wrong(self) -> Iterator[tuple[str, Any]]:
        yield from _wrong_kinds("uint")
        yield "unknown", max(self.of) + 1


@dataclass(frozen=True, slots=True)
class Array:
    """At most `most` items of one type; a tuple in Python."""

    of: Type
    most: int

    def load(self, value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) > self.most:
            raise ValueError(f"not an array of at most {self.most}")
        return tuple([self.of.load(item) for item in value])

    def dump(self, value: Any) -> list[Any]:
        return [self.of.dump(item) for item in self._check(value)]

    def pack(self, value: Any) -> bytes:
        items = [self.of.pack(item) for item in self._check(value)]
        return head(cbor.ARRAY, len(items)) + b"".join(items)

    def _check(self, value: Any) -> tuple[Any, ...]:
        # A text is a sequence of texts: without this, `mentions="bob"` would name b, o and b.
        if type(value) is not tuple or len(value) > self.most:
            raise ValueError(f"not a tuple of at most {self.most}")
        return value

    def cddl(self) -> str:
        return f"[0*{self.most} {_group(self.of.cddl())}]"

    def samples(self) -> Iterator[tuple[Any, ...]]:
        first = next(self.of.samples())
        yield ()
        yield tuple(self.of.samples())[: self.most]
        yield (first,) * min(self.most, 200)

    def wrong(self) -> Iterator[tuple[str, Any]]:
        yield from _wrong_kinds("array")
        yield "above", [self.of.dump(next(self.of.samples()))] * (self.most + 1)
        for name, value in self.of.wrong():
            yield f"item-{name}", [value]


@dataclass(frozen=True, slots=True)
class Tuple:
    """An array of fixed length whose items each have their own type; a tuple in Python."""

    of: tuple[Type, ...]

    def load(self, value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(self.of):
            raise ValueError(f"not an array of exactly {len(self.of)}")
        return tuple([item.load(each) for item, each in zip(self.of, value, strict=True)])

    def dump(self, value: Any) -> list[Any]:
        return [item.dump(each) for item, each in self._pairs(value)]

    def pack(self, value: Any) -> bytes:
        items = [item.pack(each) for item, each in self._pairs(value)]
        return head(cbor.ARRAY, len(items)) + b"".join(items)

    def _pairs(self, value: Any) -> Iterator[tuple[Type, Any]]:
        if type(value) is not tuple or len(value) != len(self.of):
            raise ValueError(f"not a tuple of exactly {len(self.of)}")
        return zip(self.of, value, strict=True)

    def cddl(self) -> str:
        return f"[{', '.join(item.cddl() for item in self.of)}]"

    def samples(self) -> Iterator[tuple[Any, ...]]:
        yield tuple(next(item.samples()) for item in self.of)

    def wrong(self) -> Iterator[tuple[str, Any]]:
        yield from _wrong_kinds("array")
        good = self.dump(next(self.samples()))
        yield "short", good[:-1]
        yield "long", [*good, 0]
        for index, item in enumerate(self.of):
            for name, value in item.wrong():
                yield f"item{index}-{name}", [*good[:index], value, *good[index + 1 :]]


@dataclass(frozen=True, slots=True)
class UintMap:
    """A map of at most `most` pairs from unsigned integers to values of one type; a dict in Python."""

    of: Type
    most: int = MAX_PAIRS

    def load(self, value: Any) -> dict[int, Any]:
        if type(value) is not dict or len(value) > self.most:
            raise ValueError(f"not a map of at most {self.most} pairs")
        return {_KEY.load(key): self.of.load(each) for key, each in value.items()}

    def dump(self, value: Any) -> dict[int, Any]:
        return {_KEY.dump(key): self.of.dump(each) for key, each in self._pairs(value)}

    def pack(self, value: Any) -> bytes:
        pairs = [_KEY.pack(key) + self.of.pack(each) for key, each in self._pairs(value)]
        return head(cbor.MAP, len(pairs)) + b"".join(pairs)

    def _pairs(self, value: Any) -> list[tuple[int, Any]]:
        if not isinstance(value, Mapping) or len(value) > self.most:
            raise ValueError(f"not a mapping of at most {self.most} pairs")
        return sorted(value.items())

    def cddl(self) -> str:
        return f"{{0*{self.most} uint => {self.of.cddl()}}}"

    def samples(self) -> Iterator[dict[int, Any]]:
        yield {}
        yield dict(enumerate(self.of.samples()))

    def wrong(self) -> Iterator[tuple[str, Any]]:
        yield from _wrong_kinds("map")
        yield "above", dict.fromkeys(range(self.most + 1), self.of.dump(next(self.of.samples())))
        for name, value in self.of.wrong():
            yield f"value-{name}", {1: value}


_KEY = Uint()


def _group(cddl: str) -> str:
    return f"({cddl})" if " " in cddl or ".." in cddl else cddl
