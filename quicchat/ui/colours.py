"""A colour for each name, always the same one, that can be read on dark and on light ground. (spec 12-operation)"""

from __future__ import annotations

from typing import Final
from zlib import crc32

#: For dark and for light ground: the same hues, each with a contrast of 4.5 : 1 at least (WCAG 2.2, 1.4.3).
DARK: Final = (
    "#e8837a",
    "#e08a4e",
    "#c99a2e",
    "#9aab3c",
    "#5fb55f",
    "#3db58f",
    "#3fb2b8",
    "#55a9e0",
    "#8a9cf0",
    "#ac90ec",
    "#cf83d6",
    "#e57ba6",
)
LIGHT: Final = (
    "#b3261e",
    "#9c4a00",
    "#7a5900",
    "#566300",
    "#1c6b1c",
    "#006a4e",
    "#00666b",
    "#005fa3",
    "#3a4fc4",
    "#6a3fc0",
    "#8e2f97",
    "#a8235f",
)


def hue(name: str) -> int:
    """Which of the colours a name has."""
    # The lowest bits of short names that differ little differ little, too.
    return (crc32(name.encode("utf-8", "replace")) >> 6) % len(DARK)
