"""Pictures of terminals as SVG, so that two of the same screen are the same file, and fetch nothing from the net."""

from __future__ import annotations

import re
from typing import Final

_FONTS: Final = re.compile(r"@font-face \{.*?\}", re.DOTALL)
#: rich makes the ids of a picture from all that is in it.
_ID: Final = re.compile(r"terminal-\d+-")
_TEXT: Final = re.compile(r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')


def lasting(svg: str) -> str:
    """Without what differs from run to run, and without fonts that would be fetched; any monospaced one will do."""
    svg = _ID.sub("terminal-", _FONTS.sub("", svg))
    return re.sub(r"[ \t]+\n", "\n", svg)


def words(svg: str) -> list[str]:
    """The lines of text in a picture, to tell two of them apart."""
    rows: dict[float, dict[float, str]] = {}
    for x, y, text in _TEXT.findall(svg):
        rows.setdefault(float(y), {})[float(x)] = text.replace("&#160;", " ")
    return ["".join(pieces[x] for x in sorted(pieces)).rstrip() for _, pieces in sorted(rows.items())]
