"""What bytes look like as CBOR that are none, or not in the profile: as far as they go. (spec 02-framing)"""

from __future__ import annotations

import struct
from typing import Final

from quicchat.tools.conform.cbor import ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, UINT, diagnostic

#: More letters than this, or deeper, nobody reads.
_LONGEST: Final = 160
_DEEPEST: Final = 12
_SIMPLE: Final = {20: "false", 21: "true", 22: "null", 23: "undefined"}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_MORE: Final = 31
_BRACKETS: Final = {BYTES: ("(", ")"), TEXT: ("(", ")"), ARRAY: ("[", "]"), MAP: ("{", "}")}


def outline(data: bytes) -> str:
    """Bytes in the notation of RFC 8949 section 8, with keys that are twice; `<!>` stands where it breaks off."""
    found = _Reader(data).read()
    return found if len(found) <= _LONGEST else found[:_LONGEST] + "…"


class _Reader:
    """Reads item by item and takes whatever comes; `at` is how far it is."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        #: Nothing can be read any more; and how much may still be read.
        self._is_broken = False
        self._left = _LONGEST

    def read(self) -> str:
        found = self._item(0)
        rest = len(self._data) - self._at
        return f"{found} and {rest} bytes behind it" if rest and not self._is_broken else found

    def _item(self, depth: int) -> str:
        self._left -= 1
        if self._at >= len(self._data) or depth > _DEEPEST or self._left < 0:
            return self._break()
        first = self._data[self._at]
        self._at += 1
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        if info == _MORE:
            return self._endless(major, depth)
        if info > 27:
            return self._break()
        number = int.from_bytes(self._take(1 << info - 24), "big") if info > 23 else info
        return self._broken or self._whole(major, number, depth)

    def _whole(self, major: int, number: int, depth: int) -> str:
        match major:
            case 0:
                return str(number)
            case 1:
                return str(-1 - number)
            case 2:
                return diagnostic(self._take(number)) + self._broken
            case 3:
                return diagnostic(self._take(number).decode(errors="backslashreplace")) + self._broken
            case 4:
                return f"[{self._items(number, depth)}]"
            case 5:
                return f"{{{self._items(number, depth, pairs=True)}}}"
        return f"{number}({self._item(depth + 1)})"

    def _items(self, count: int | None, depth: int, *, pairs: bool = False) -> str:
        found: list[str] = []
        while not self._is_broken and (count is None or len(found) < count):
            if count is None and self._data[self._at : self._at + 1] == b"\xff":
                self._at += 1
                break
            key = f"{self._item(depth + 1)}: " if pairs else ""
            found.append(key if key.endswith("<!>: ") else key + self._item(depth + 1))
        return ", ".join(found)

    def _endless(self, major: int, depth: int) -> str:
        if major in (UINT, NEGATIVE, TAG):
            return self._break()
        left, right = _BRACKETS[major]
        return f"{left}_ {self._items(None, depth, pairs=major == MAP)}{right}"

    def _simple(self, info: int) -> str:
        if (form := _FLOATS.get(info)) is not None:
            data = self._take(struct.calcsize(form))
            return self._broken or str(struct.unpack(form, data)[0])
        if info < 24:
            return _SIMPLE.get(info, f"simple({info})")
        if info == 24 and (data := self._take(1)):
            return f"simple({data[0]})"
        return self._break()

    def _take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        self._at += len(found)
        self._is_broken |= len(found) < count
        return found

    def _break(self) -> str:
        self._is_broken = True
        return self._broken

    @property
    def _broken(self) -> str:
        return "<!>" if self._is_broken else ""
