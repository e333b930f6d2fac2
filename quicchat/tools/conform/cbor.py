"""The kit's own CBOR: writes what is right and what is wrong, and shows both. (spec 02-framing)

It shares nothing with the codec of the program, so that a mistake of one cannot hide behind the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
_LITERALS: Final = {False: 20, True: 21, None: 22}
_DEEPEST: Final = 64


class Raw(bytes):
    """Bytes that stand in an item as they are, whatever they mean."""


def head(major: int, number: int, *, width: int | None = None) -> bytes:
    """The first bytes of an item; `width` 0, 1, 2, 4 or 8 forces so many bytes for the number."""
    if width is None:
        width = next(each for each in (0, 1, 2, 4, 8) if number < (24 if each == 0 else 1 << 8 * each))
    first = major << 5
    if width == 0:
        return bytes([first | number])
    return bytes([first | 23 + width.bit_length()]) + number.to_bytes(width, "big")


def dump(value: Any) -> bytes:
    """A value in deterministic CBOR, as far as it is no `Raw`. Raises TypeError for what has no form here."""
    match value:
        case Raw():
            return bytes(value)
        case bool() | None:
            return bytes([SIMPLE << 5 | _LITERALS[value]])
        case int():
            return head(UINT, value) if value >= 0 else head(NEGATIVE, -1 - value)
        case bytes() | bytearray():
            return head(BYTES, len(value)) + value
        case str():
            data = value.encode()
            return head(TEXT, len(data)) + data
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case Mapping():
            pairs = sorted((dump(key), dump(each)) for key, each in value.items())
            return head(MAP, len(pairs)) + b"".join(key + each for key, each in pairs)
        case list() | tuple():
            return head(ARRAY, len(value)) + b"".join(dump(each) for each in value)
    raise TypeError(f"no CBOR for {type(value).__name__}")


def load(data: bytes) -> Any:
    """The one item that these bytes are, in the profile of section 2.2. Raises ValueError."""
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes behind the item")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    major, info, number, at = _head(data, at)
    match major:
        case 0:
            return number, at
        case 1:
            return -1 - number, at
        case 2 | 3:
            end = at + number
            if end > len(data):
                raise ValueError("cut short")
            return (data[at:end] if major == BYTES else data[at:end].decode()), end
        case 4:
            items = []
            for _ in range(number):
                item, at = _item(data, at, depth + 1)
                items.append(item)
            return items, at
        case 5:
            return _map(data, at, number, depth)
        case 7 if info in (20, 21, 22):
            return {20: False, 21: True, 22: None}[info], at
    raise ValueError("a tag" if major == TAG else f"simple value or float {info}")


def _map(data: bytes, at: int, pairs: int, depth: int) -> tuple[dict[int, Any], int]:
    found: dict[int, Any] = {}
    for _ in range(pairs):
        key, at = _item(data, at, depth + 1)
        if type(key) is not int or key < 0:
            raise ValueError("a key that is no unsigned integer")
        if key in found:
            raise ValueError(f"key {key} twice")
        found[key], at = _item(data, at, depth + 1)
    return found, at


def _head(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Major type, additional information, number, and where the content begins."""
    if at >= len(data):
        raise ValueError("cut short")
    major, info = data[at] >> 5, data[at] & 31
    if info < 24:
        return major, info, info, at + 1
    if info > 27:
        raise ValueError("indefinite length" if info == 31 else f"additional information {info}")
    width = 1 << info - 24
    if at + 1 + width > len(data):
        raise ValueError("cut short")
    return major, info, int.from_bytes(data[at + 1 : at + 1 + width], "big"), at + 1 + width


def diagnostic(value: Any, *, most: int = 64) -> str:
    """A value in the notation of RFC 8949 section 8; of long strings no more than `most` bytes."""
    match value:
        case Raw():
            return f"<{_hex(value, most)}>"
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case bytes():
            return f"h'{_hex(value, most)}'"
        case str():
            shown = value if len(value) <= most else value[:most] + "…"
            return '"' + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in shown) + '"'
        case Mapping():
            return "{" + _listed(f"{key}: {diagnostic(each, most=most)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + _listed(diagnostic(each, most=most) for each in value) + "]"
    return str(value)


def _listed(items: Iterable[str], most: int = 16) -> str:
    shown = list(items)
    return ", ".join(shown if len(shown) <= most else [*shown[:most], f"… {len(shown) - most} more"])


def _hex(data: bytes, most: int) -> str:
    return data.hex() if len(data) <= most else f"{data[:most].hex()}… {len(data)} bytes"
