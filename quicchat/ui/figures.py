"""Sizes, rates and times as people read them. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def size_of(count: float | None) -> str:
    """`512 B`, `1.2 MB`, `340 MB`: powers of 1000, as disks and networks are sold by."""
    if count is None:
        return "of unknown size"
    value, unit = float(count), 0
    # 999,950 would round to `1000.0 kB`.
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def rate_of(bytes_a_second: float) -> str:
    """`3.4 MB/s`."""
    return f"{size_of(bytes_a_second)}/s"


def span_of(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def share_of(done: int, size: int | None) -> str:
    """`47 %`; never 100 before it is all."""
    if size is None:
        return "?"
    return "100 %" if done >= size else f"{done * 100 // size} %"
