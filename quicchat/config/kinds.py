"""What a setting may be: each kind reads text and TOML values, and says in words what it takes. (spec 12-operation)

These are named tuples, and paths are imported late, because `--help` waits for all of it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

#: Control characters but the tab, line breaks, and what was no UTF-8 on the command line.
_UNFIT: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNITS: Final = "KMGT"


class Kind(Protocol):
    """Reads one setting. Both methods raise ValueError for anything that `says` does not describe."""

    @property
    def says(self) -> str:
        """What it must be, in words that follow `is not`."""

    def text(self, raw: str) -> object:
        """The value of a flag or of an environment variable."""

    def value(self, raw: object) -> object:
        """The value of a key in a TOML file."""


class Whole(NamedTuple):
    """A whole number in decimal digits."""

    low: int
    high: int

    @property
    def says(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def text(self, raw: str) -> int:
        # int() alone would take "5_000", blanks and the digits of every script.
        if not re.fullmatch("[0-9]{1,18}", raw):
            raise ValueError
        return self.value(int(raw))

    def value(self, raw: object) -> int:
        if type(raw) is not int or not self.low <= raw <= self.high:
            raise ValueError
        return raw


class Size(NamedTuple):
    """A number of bytes; K, M, G and T stand for powers of 1024."""

    low: int
    high: int

    @property
    def says(self) -> str:
        return f"a number of bytes from {sized(self.low)} to {sized(self.high)}, such as 500M"

    def text(self, raw: str) -> int:
        if not re.fullmatch("[0-9]{1,18}[KMGT]?", raw.upper()):
            raise ValueError
        return self._checked(int(raw.rstrip(_UNITS + _UNITS.lower())) * 1024 ** (_UNITS.find(raw[-1].upper()) + 1))

    def value(self, raw: object) -> int:
        return self._checked(raw) if type(raw) is int else self.text(_string(raw))

    def _checked(self, size: int) -> int:
        if not self.low <= size <= self.high:
            raise ValueError
        return size


class Seconds(NamedTuple):
    """A duration; fractions are allowed."""

    low: float
    high: float

    @property
    def says(self) -> str:
        return f"a number of seconds from {self.low:g} to {self.high:g}"

    def text(self, raw: str) -> float:
        return self.value(float(raw))

    def value(self, raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, (int, float)):
            raise ValueError
        if not self.low <= raw <= self.high:  # NaN, too
            raise ValueError
        return float(raw)


class Word(NamedTuple):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def says(self) -> str:
        return f"one of {', '.join(self.words)}"

    def text(self, raw: str) -> str:
        if raw not in self.words:
            raise ValueError
        return raw

    def value(self, raw: object) -> str:
        return self.text(_string(raw))


class Text(NamedTuple):
    """Text that is not blank and has no control characters but tabs; `lines` allows line breaks, too."""

    what: str = "text"
    pattern: str = r".*\S.*"
    limit: int = 255
    lines: bool = False

    @property
    def says(self) -> str:
        return f"{self.what} of at most {self.limit} characters"

    def text(self, raw: str) -> str:
        line = raw.replace("\n", " ") if self.lines else raw
        if len(raw) > self.limit or _UNFIT.search(line) or not re.fullmatch(self.pattern, line):
            raise ValueError
        return raw

    def value(self, raw: object) -> str:
        return self.text(_string(raw))


class Address(NamedTuple):
    """A host name or an IP address; the brackets of `[::1]` are taken off."""

    says: str = "a host name or an IP address"

    def text(self, raw: str) -> str:
        bare = raw[1:-1] if raw.startswith("[") and raw.endswith("]") else raw
        if not re.fullmatch(r"[^\s/@\[\]-][^\s/@\[\]]{0,252}", bare) or not bare.isprintable():
            raise ValueError
        return bare

    def value(self, raw: object) -> str:
        return self.text(_string(raw))


class Switch(NamedTuple):
    """On or off."""

    says: str = "one of true, false (in the environment also 1, 0, yes, no, on, off)"

    def text(self, raw: str) -> bool:
        word = raw.lower()
        if word not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            raise ValueError
        return word in ("1", "true", "yes", "on")

    def value(self, raw: object) -> bool:
        if not isinstance(raw, bool):
            raise ValueError
        return raw


class Place(NamedTuple):
    """A path; `~` is the home directory."""

    says: str = "a path"

    def text(self, raw: str) -> Path:
        if not raw or "\0" in raw:
            raise ValueError
        from pathlib import Path

        return Path(os.path.expanduser(raw))

    def value(self, raw: object) -> Path:
        return self.text(_string(raw))


class Many(NamedTuple):
    """One or more: a flag that may be repeated, a list in the file, cut at `comma` wherever it is text."""

    each: Kind
    comma: str | None = ","

    @property
    def says(self) -> str:
        return self.each.says

    def text(self, raw: str) -> tuple[object, ...]:
        parts = [part.strip() for part in raw.split(self.comma)] if self.comma else [raw]
        return tuple(map(self.each.text, parts))

    def value(self, raw: object) -> tuple[object, ...]:
        if not isinstance(raw, list) or not raw:
            raise ValueError
        return tuple(map(self.each.value, raw))


def sized(size: int) -> str:
    """A number of bytes as `Size` reads it, in the largest unit that it is a multiple of."""
    unit = 0
    while size and size % 1024 == 0 and unit < len(_UNITS):
        size //= 1024
        unit += 1
    return f"{size}{_UNITS[unit - 1] if unit else ''}"


def _string(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError
    return raw
