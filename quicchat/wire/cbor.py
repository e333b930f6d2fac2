"""CBOR: what the profile lets a value hold, and the heads, all that an encoder with types needs. (spec 02-framing)"""

from __future__ import annotations

import struct
from typing import Any, Final

UINT64: Final = 2**64 - 1
#: Most pairs of a map.
MAX_PAIRS: Final = 64

# Major types (RFC 8949 section 3.1), in their place in the first byte.
UINT: Final = 0x00
BYTES: Final = 0x40
TEXT: Final = 0x60
ARRAY: Final = 0x80
MAP: Final = 0xA0

FALSE: Final = b"\xf4"
TRUE: Final = b"\xf5"

_TWO: Final = struct.Struct(">BH").pack
_FOUR: Final = struct.Struct(">BI").pack
_EIGHT: Final = struct.Struct(">BQ").pack


def head(major: int, argument: int) -> bytes:
    """Major type and argument, a value or a length from 0 to 2**64 - 1, in the fewest bytes."""
    if argument < 0x100:
        return _SHORT[major][argument]
    if argument < 0x1_0000:
        return _TWO(major | 25, argument)
    if argument < 0x1_0000_0000:
        return _FOUR(major | 26, argument)
    return _EIGHT(major | 27, argument)


_SHORT: Final = {
    major: tuple(bytes((major | n,)) if n < 24 else bytes((major | 24, n)) for n in range(0x100))
    for major in (UINT, BYTES, TEXT, ARRAY, MAP)
}


def plain(value: Any, depth: int) -> bool:
    """Whether a value from an extension keeps to the CBOR profile: no floats, odd keys, or nesting beyond `depth`."""
    level = [value]
    while level:
        # Level by level: a call for each of the 65,000 lists that fit a frame would hold up the loop.
        inner: list[Any] = []
        nested = False
        for each in level:
            kind = type(each)
            if kind is list:
                nested = True
                inner += each
            elif kind is dict:
                nested = True
                for key in each:
                    if type(key) is not int or not 0 <= key <= UINT64:
                        return False
                if len(each) > MAX_PAIRS:
                    return False
                inner += each.values()
            elif kind is int:
                if not -UINT64 - 1 <= each <= UINT64:
                    return False
            elif kind not in _LEAVES:
                return False
        if nested and depth == 0:
            return False
        level = inner
        depth -= 1
    return True


_LEAVES: Final = frozenset({str, bytes, bool, type(None)})
