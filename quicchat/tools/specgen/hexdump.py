"""Bytes with a note beside each run of them: one line for each item of CBOR. (spec 02-framing)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from quicchat.errors import Code
from quicchat.tools.specgen.notation import diagnostic
from quicchat.values import dataclass
from quicchat.wire import codec, frame
from quicchat.wire.registry import REGISTRY, Field, Pdu
from quicchat.wire.types import Array, Choice, Tuple, Type, UintMap

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
_WORDS: Final = {20: "false", 21: "true", 22: "null"}
#: Bytes of the hex column, so that notes stand below each other.
_COLUMN: Final = 24
_ENVELOPE: Final = {codec.VERSION: "version", codec.TYPE: "type", codec.ID: "id", codec.RE: "re", codec.TS: "ts"} | {
    codec.BODY: "body",
    codec.EXT: "ext",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A run of bytes and what it says, `depth` levels inside."""

    data: bytes
    note: str
    depth: int = 0


def framed(data: bytes) -> list[Line]:
    """A PDU with its length before it. Raises KeyError for a type that is none."""
    size = len(frame.varint(_length(data)))
    return [Line(data[:size], f"length: {_length(data)} bytes follow"), *payload(data[size:])]


def payload(data: bytes) -> list[Line]:
    """A PDU without a length, as in a datagram. Raises KeyError for a type that is none."""
    cls = REGISTRY.get(codec.parse(data)[codec.TYPE])
    if cls is None:
        raise KeyError("no such type")
    return list(_outer(_Reader(data), cls))


def body(cls: type[Pdu], data: bytes) -> list[Line]:
    """The body of a PDU, or a record, that travels as a byte string."""
    return list(_map(_Reader(data), {at.key: at for at in cls.SPEC.fields}, 0))


def page(lines: list[Line]) -> str:
    """The lines as text, long runs of bytes folded below their first line."""
    return "\n".join(row for line in lines for row in _rows(line))


def _rows(line: Line) -> Iterator[str]:
    runs = [line.data[at : at + _COLUMN].hex(" ") for at in range(0, len(line.data), _COLUMN)] or [""]
    note = f"{'  ' * line.depth}{line.note}"
    if len(runs) == 1 and len(line.data) <= _COLUMN // 2:
        yield f"{runs[0]:<{_COLUMN // 2 * 3}} # {note}"
        return
    yield f"{'':<{_COLUMN // 2 * 3}} # {note}"
    yield from (f"  {run}" for run in runs)


def _length(data: bytes) -> int:
    width = 1 << (data[0] >> 6)
    return int.from_bytes(data[:width], "big") & (1 << 8 * width - 2) - 1


class _Reader:
    """Takes items off the front of well-formed CBOR of definite lengths."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def head(self) -> tuple[bytes, int, int]:
        """The bytes of a head, its major type and its argument."""
        first = self._data[self._at]
        width = 0 if first & 31 < 24 else 1 << (first & 31) - 24
        raw = self.take(1 + width)
        return raw, first >> 5, int.from_bytes(raw[1:], "big") if width else first & 31

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]


def _outer(reader: _Reader, cls: type[Pdu]) -> Iterator[Line]:
    raw, _, pairs = reader.head()
    yield Line(raw, f"map of {pairs}: {cls.SPEC.name}")
    for _ in range(pairs):
        raw, _, key = reader.head()
        if key == codec.BODY:
            yield Line(raw, "key 5: body", 1)
            yield from _map(reader, {at.key: at for at in cls.SPEC.fields}, 2)
            continue
        value, what = _item(reader)
        told = f" {cls.SPEC.name}" if key == codec.TYPE else ""
        yield Line(raw + value, f"key {key}: {_ENVELOPE[key]} = {what}{told}", 1)


def _map(reader: _Reader, fields: Mapping[int, Field], depth: int) -> Iterator[Line]:
    raw, _, pairs = reader.head()
    yield Line(raw, f"map of {pairs}", depth)
    for _ in range(pairs):
        raw, _, key = reader.head()
        field = fields.get(key)
        name = field.name if field else "unknown, odd: to be ignored"
        yield from _value(reader, raw, f"key {key}: {name}", field.type if field else None, depth + 1, name == "code")


def _value(reader: _Reader, before: bytes, name: str, type: Type | None, depth: int, code: bool) -> Iterator[Line]:
    """An item behind the bytes of its key; arrays and maps an item to a line."""
    at = reader._at
    raw, major, count = reader.head()
    if major in (_ARRAY, _MAP) and count:
        yield Line(before + raw, f"{name}: {'array' if major == _ARRAY else 'map'} of {count}", depth)
        for place in range(count):
            inner = _inner(type, place)
            key = reader.take(0)
            label = f"{place}"
            if major == _MAP:
                key, _, number = reader.head()
                label = f"key {number}"
            yield from _value(reader, key, label, inner, depth + 1, False)
        return
    reader._at = at
    data, what = _item(reader)
    meaning = _meaning(type, what) if not code else f" {Code(int(what)).name}"
    yield Line(before + data, f"{name} = {what}{meaning}", depth)


def _inner(type: Type | None, place: int) -> Type | None:
    match type:
        case Array(of, _) | UintMap(of, _):
            return of
        case Tuple(of):
            return of[place]
    return None


def _meaning(type: Type | None, what: str) -> str:
    return f" {type.of(int(what)).name}" if isinstance(type, Choice) else ""


def _item(reader: _Reader) -> tuple[bytes, str]:
    """A value without items of its own: its bytes, and how RFC 8949 writes it."""
    raw, major, argument = reader.head()
    if major in (_BYTES, _TEXT):
        data = reader.take(argument)
        found: Any = data if major == _BYTES else data.decode()
        shown = f"{argument} bytes" if major == _BYTES and argument > 8 else diagnostic(found)
        return raw + data, shown
    if major == _SIMPLE:
        return raw, _WORDS[argument]
    if major == _NEGATIVE:
        return raw, str(-1 - argument)
    return raw, {_ARRAY: "[]", _MAP: "{}"}.get(major, str(argument))
