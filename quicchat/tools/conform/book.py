"""The vocabulary as the kit knows it: `quicchat.json` as values, PDUs by the names of fields. (spec README)"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from quicchat.tools.conform import cbor
from quicchat.tools.conform.outline import outline
from quicchat.values import dataclass

VERSION, TYPE, ID, RE, TS, BODY, EXT = range(7)
#: Keys of a body from here on belong to extensions (2.5).
EXTENSIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a PDU; `type` is as in the JSON."""

    key: int
    name: str
    type: Mapping[str, Any]
    optional: bool
    since: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What the book knows of a PDU."""

    number: int
    name: str
    by: frozenset[str]
    on: frozenset[str]
    section: str
    since: int
    answer: str | None
    outcomes: tuple[str, ...]
    replay_safe: bool
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """Raises KeyError for a name that is none."""
        for each in self.fields:
            if each.name == name:
                return each
        raise KeyError(f"{self.name} has no field {name}")


@dataclass(frozen=True, slots=True)
class Row:
    """`by` says `pdu` (with this outcome, where it has several) in `state`, and both ends are in `to`."""

    state: str
    by: str
    pdu: str
    outcome: str | None
    to: str


@dataclass(frozen=True, slots=True)
class Book:
    """All of it; codes and limits by name, PDUs by name."""

    alpn: str
    versions: tuple[int, ...]
    kinds: Mapping[str, Kind]
    codes: Mapping[str, int]
    #: The codes after which another try may succeed, and those after which nobody comes back by himself.
    temporary: frozenset[str]
    hopeless: frozenset[str]
    limits: Mapping[str, int]
    states: tuple[str, ...]
    rows: tuple[Row, ...]
    sentences: Mapping[str, str]
    #: What stands in byte strings of its own (15): its fields.
    records: Mapping[str, tuple[Field, ...]]

    def sent_by(self, role: str) -> Iterator[Kind]:
        """The PDUs that one end may send."""
        return (kind for kind in self.kinds.values() if role in kind.by)

    def numbered(self, number: int) -> Kind | None:
        return next((kind for kind in self.kinds.values() if kind.number == number), None)

    def code(self, number: object) -> str:
        """The name of a code, or its number where it has none; anything else as it is."""
        found = next((name for name, code in self.codes.items() if code == number), None)
        return found or ("none" if number is None else f"0x{number:x}" if isinstance(number, int) else str(number))


@cache
def book() -> Book:
    """The book that came with the kit."""
    return read(json.loads(files(__package__).joinpath("quicchat.json").read_text("utf-8")))


def read(found: Mapping[str, Any]) -> Book:
    """The values of a `quicchat.json`. Raises KeyError, TypeError for something else."""
    return Book(
        alpn=found["alpn"],
        versions=tuple(found["versions"]),
        kinds={each["name"]: _kind(each) for each in found["pdus"]},
        codes={each["name"]: each["code"] for each in found["codes"]},
        temporary=frozenset(each["name"] for each in found["codes"] if each["temporary"]),
        hopeless=frozenset(each["name"] for each in found["codes"] if not each["reconnect"]),
        limits={each["name"]: each["value"] for each in found["limits"]},
        states=tuple(found["states"]),
        rows=tuple(Row(*each) for each in found["rows"]),
        sentences={each["id"]: each["text"] for each in found["sentences"]},
        records={each["name"]: _fields(each) for each in found["records"]},
    )


def _kind(found: Mapping[str, Any]) -> Kind:
    return Kind(
        number=found["type"],
        name=found["name"],
        by=frozenset(found["by"]),
        on=frozenset(found["on"]),
        section=found["section"],
        since=found["since"],
        answer=found["answer"],
        outcomes=tuple(found["outcomes"]),
        replay_safe=found["replay-safe"],
        fields=_fields(found),
    )


def _fields(found: Mapping[str, Any]) -> tuple[Field, ...]:
    return tuple(
        Field(each["key"], each["name"], each["is"], each["optional"], each["since"]) for each in found["fields"]
    )


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU as it came or goes: the envelope, the body by key, and the bytes without their length."""

    name: str
    version: object
    id: object
    re: object
    body: Mapping[int, Any]
    data: bytes

    def __getitem__(self, field: str) -> Any:
        """A field by its name, None where it is absent. Raises KeyError for a name that is none."""
        return self.body.get(book().kinds[self.name].field(field).key)

    @property
    def known(self) -> dict[int, Any]:
        """The body without the keys of extensions, which anybody may sprinkle (2.5-7)."""
        return {key: value for key, value in self.body.items() if key < EXTENSIONS}


#: Names of fields -> values of CBOR; a `cbor.Raw` stands as it is. None leaves a field out.
Fields = Mapping[str, Any]


def body(name: str, fields: Fields) -> dict[int, Any]:
    """The body by keys. Raises KeyError for a field that the PDU has not."""
    kind = book().kinds[name]
    return {kind.field(each).key: value for each, value in fields.items() if value is not None}


def write(name: str, fields: Fields, *, version: int, id: int | None = None, re: int | None = None) -> bytes:
    """A PDU without its length; nothing is checked."""
    outer: dict[int, Any] = {VERSION: version, TYPE: book().kinds[name].number, BODY: body(name, fields)}
    outer |= {} if id is None else {ID: id}
    outer |= {} if re is None else {RE: re}
    return cbor.dump(outer)


def record(name: str, fields: Fields) -> bytes:
    """A record of chapter 15 in its deterministic encoding; nothing is checked. Raises KeyError for another field."""
    keys = {each.name: each.key for each in book().records[name]}
    return cbor.dump({keys[each]: value for each, value in fields.items() if value is not None})


def bare(name: str, data: bytes) -> Pdu:
    """The body of a PDU that stands in a byte string of its own, as in HISTORY_R. Raises ValueError."""
    found = cbor.load(data)
    if type(found) is not dict:
        raise ValueError(f"no body of {name}")
    return Pdu(name, None, None, None, found, data)


def choices(name: str, field: str) -> Mapping[str, int]:
    """What the values of a field are called. Raises KeyError where it has none."""
    found: Mapping[str, int] = book().kinds[name].field(field).type["of"]
    return found


def parse(data: bytes) -> Pdu:
    """What a PDU says. Raises ValueError where it keeps not to chapter 2."""
    outer = cbor.load(data)
    if type(outer) is not dict or type(outer.get(TYPE)) is not int or type(outer.get(BODY)) is not dict:
        raise ValueError("no envelope")
    kind = book().numbered(outer[TYPE])
    name = f"type {outer[TYPE]}" if kind is None else kind.name
    return Pdu(name, outer.get(VERSION), outer.get(ID), outer.get(RE), outer[BODY], data)


def frame(data: bytes, *, width: int | None = None) -> bytes:
    """A PDU with its length before it, in 1, 2, 4 or 8 bytes."""
    return varint(len(data), width=width) + data


def varint(number: int, *, width: int | None = None) -> bytes:
    """An integer as RFC 9000 section 16 writes it."""
    width = width or next(each for each in _WIDTHS if number < 1 << 8 * each - 2)
    return (number | _WIDTHS.index(width) << 8 * width - 2).to_bytes(width, "big")


_WIDTHS: Final[Sequence[int]] = (1, 2, 4, 8)


def unframed(data: bytes | bytearray) -> tuple[bytes, int] | None:
    """The first PDU of a stream and how many bytes it took with its length; None where it is not whole yet."""
    if not data:
        return None
    width = _WIDTHS[data[0] >> 6]
    if len(data) < width:
        return None
    size = int.from_bytes(data[:width], "big") & (1 << 8 * width - 2) - 1
    return (bytes(data[width : width + size]), width + size) if len(data) >= width + size else None


def annotated(data: bytes) -> str:
    """One line for people: the PDU with the names of its fields, or its bytes where it is none."""
    try:
        pdu = parse(data)
    except (ValueError, UnicodeDecodeError):
        return f"{len(data)} bytes {cbor.diagnostic(cbor.Raw(data))} {outline(data)}"
    kind = book().kinds.get(pdu.name)
    names = {} if kind is None else {each.key: each.name for each in kind.fields}
    words = [pdu.name, f"v{pdu.version}"]
    words += [] if pdu.id is None else [f"id {pdu.id}"]
    words += [] if pdu.re is None else [f"re {pdu.re}"]
    for key, value in pdu.body.items():
        name = names.get(key, str(key))
        shown = f"{value} {book().code(value)}" if name == "code" and type(value) is int else cbor.diagnostic(value)
        words.append(f"{name}={shown}")
    return " ".join(words)
