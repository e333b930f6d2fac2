"""Instances of PDUs from the book alone: legal ones, at the limits, and values no field may have. (spec 02-framing)

Values are those of CBOR. Each legal or wrong one has a name, which ends up in the id of a case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from quicchat.tools.conform import cbor
from quicchat.tools.conform.book import Field, Kind
from quicchat.tools.conform.cbor import Raw

Type = Mapping[str, Any]
Named = tuple[str, Any]

#: One value of each kind of CBOR, to be refused wherever another kind is due.
KINDS: Final[Mapping[str, Any]] = {
    "uint": 1,
    "negative": -1,
    "text": "x",
    "bytes": b"x",
    "bool": True,
    "null": None,
    "array": [],
    "map": {},
    "float": 1.5,
    "undefined": Raw(b"\xf7"),
}
_CBOR: Final[Mapping[str, str]] = {"choice": "uint", "tuple": "array"}
#: Texts of which a pattern forbids most; the last ends in what `$` overlooks.
_ODD: Final[Mapping[str, str]] = {
    "upper": "A",
    "space": "a b",
    "slash": "a/b",
    "nul": "a\0",
    "accent": "\u00e9",
    "digit": "\u0663",
    "empty": "",
}
_BIG: Final = 2**64 - 1
#: Bytes of one field that leave room for others in a frame.
_ROOM: Final = 60_000


def fields(kind: Kind, version: int) -> list[Field]:
    """The fields that a PDU has in a version."""
    return [field for field in kind.fields if field.since <= version]


def minimal(kind: Kind, version: int) -> dict[str, Any]:
    """The required fields alone, each as small as it may be; by their names, as `book.write` wants them."""
    return {field.name: least(field.type) for field in fields(kind, version) if not field.optional}


def full(kind: Kind, version: int) -> dict[str, Any]:
    """Every field of a version, each with something in it."""
    return {field.name: telling(field.type) for field in fields(kind, version)}


def least(of: Type) -> Any:
    """The smallest legal value."""
    match of["kind"]:
        case "uint":
            return of["least"]
        case "bool":
            return False
        case "text":
            return of["example"] if "pattern" in of else "x" * of["least"]
        case "bytes":
            return bytes(of["least"])
        case "choice":
            return min(of["of"].values())
        case "array":
            return []
        case "tuple":
            return [least(item) for item in of["of"]]
        case "map":
            return {}
    raise TypeError(f"no field is of kind {of['kind']}")


def telling(of: Type) -> Any:
    """A legal value that is neither empty nor long."""
    match of["kind"]:
        case "uint":
            return min(max(of["least"], 1), of["most"])
        case "bool":
            return True
        case "text" if "pattern" not in of:
            return "\u017e".ljust(max(of["least"] - 1, 1), "x") if of["most"] > 2 else "x" * of["most"]
        case "bytes":
            return bytes(range(min(max(of["least"], 8), of["most"])))
        case "array":
            return [telling(of["of"])] if of["most"] else []
        case "tuple":
            return [telling(item) for item in of["of"]]
        case "map":
            return {1: telling(of["of"])}
    return least(of)


def most(of: Type) -> Any:
    """The largest legal value: as many bytes, items and pairs as the limits allow."""
    match of["kind"]:
        case "uint":
            return of["most"]
        case "bool":
            return True
        case "text":
            return _longest(of)
        case "bytes":
            return bytes(of["most"])
        case "choice":
            return max(of["of"].values())
        case "array":
            item = most(of["of"])
            return [item if size(item) * of["most"] < _ROOM else least(of["of"])] * of["most"]
        case "tuple":
            return [most(item) for item in of["of"]]
    return {key: most(of["of"]) for key in range(of["most"])}


def legal(of: Type) -> Iterator[Named]:
    """Values at the limits, which everybody must take."""
    yield "least", least(of)
    if most(of) != least(of):
        yield "most", most(of)
    match of["kind"]:
        case "text" if "pattern" not in of:
            yield "most-in-bytes", "\u20ac" * (of["most"] // 3) + "x" * (of["most"] % 3)
        case "choice":
            values = sorted(of["of"].values())[1:-1]
            yield from ((f"choice-{value}", value) for value in values)
        case "array":
            yield "one", [telling(of["of"])]
            yield "item-most", [most(of["of"])]


def wrong(of: Type) -> Iterator[Named]:
    """Values that everybody must refuse: of each other kind, beyond each limit, and with an item that is wrong."""
    own = of["kind"]
    for name, value in KINDS.items():
        if name != _CBOR.get(own, own):
            yield name, value
    match own:
        case "uint":
            yield from _around(of, of["least"] - 1, of["most"] + 1)
        case "bytes":
            yield from _around(of, bytes(max(of["least"] - 1, 0)), bytes(of["most"] + 1))
        case "text":
            yield from _texts(of)
        case "choice":
            known = set(of["of"].values())
            yield (
                "unknown",
                next(number for number in range(max(known) + 2) if number > min(known) and number not in known),
            )
            if 0 not in known:
                yield "zero", 0
        case "array":
            yield "above", [least(of["of"])] * (of["most"] + 1)
            yield from ((f"item-{name}", [value]) for name, value in wrong(of["of"]))
        case "tuple":
            yield from _tuples(of)
        case "map":
            yield "above", dict.fromkeys(range(of["most"] + 1), least(of["of"]))
            yield from ((f"value-{name}", {1: value}) for name, value in wrong(of["of"]))


def thinned(of: Type, turn: int) -> set[str]:
    """Of the names of what is wrong those that are worth a connection in every run: each limit, null, what is no
    choice; of other kinds, of patterns, and of what an item may be instead, one each, by the number of its turn."""
    groups: dict[str, list[str]] = {}
    for name, _ in wrong(of):
        place, _, last = name.rpartition("-")
        if "pattern" in name:
            group = "pattern"
        elif name.endswith("above-in-bytes"):
            group = name
        elif last in KINDS and (place or last != "null"):
            group = "kind of an item" if place else "kind"
        else:
            group = name
        groups.setdefault(group, []).append(name)
    return {names[turn % len(names)] for names in groups.values()}


def _around(of: Type, below: Any, above: Any) -> Iterator[Named]:
    if of["least"]:
        yield "below", below
    if of["most"] < _BIG:
        yield "above", above


def _texts(of: Type) -> Iterator[Named]:
    """Limits of texts count bytes."""
    yield from _around(of, "x" * max(of["least"] - 1, 0), "x" * (of["most"] + 1))
    if "pattern" not in of:
        yield "above-in-bytes", "\U0001f642" * (of["most"] // 4 + 1)
        return
    longest = _longest(of)
    odd = {**_ODD, "longer": longest + longest[-1], "newline": of["example"] + "\n"}
    for name, text in odd.items():
        if of["least"] <= len(text.encode()) <= of["most"] and re.fullmatch(of["pattern"], text) is None:
            yield f"pattern-{name}", text


def _tuples(of: Type) -> Iterator[Named]:
    good = least(of)
    yield "short", good[:-1]
    yield "long", [*good, 0]
    for index, item in enumerate(of["of"]):
        for name, value in wrong(item):
            yield f"item{index}-{name}", [*good[:index], value, *good[index + 1 :]]


def _longest(of: Type) -> str:
    """The longest text of one character that is legal."""
    if "pattern" not in of:
        return "x" * int(of["most"])
    letter: str = of["example"][0]
    lengths = range(of["most"], of["least"] - 1, -1)
    found = next((size for size in lengths if re.fullmatch(of["pattern"], letter * size)), None)
    return str(of["example"]) if found is None else letter * found


def size(value: Any) -> int:
    """Bytes that a value takes."""
    return len(cbor.dump(value))
