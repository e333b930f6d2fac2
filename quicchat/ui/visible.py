"""What others wrote, made harmless for a terminal: it moves no cursor, hides nothing. (spec 12-operation)"""

from __future__ import annotations

import unicodedata
from typing import Final

#: Stands for what must not be shown and has no sign of its own.
MARK: Final = "\ufffd"

#: Format characters that are needed (ZWNJ in Persian, ZWJ in emoji), and those that one sees.
_KEPT: Final = frozenset("\u200c\u200d\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd") | {
    chr(code) for code in range(0x0600, 0x0606)
}
#: Invisible, though Unicode counts them among the letters and accents.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
#: Format characters, controls, surrogates, separators of lines and paragraphs.
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class _Table(dict[int, str | int]):
    """For `str.translate`: works out each character once."""

    def __missing__(self, code: int) -> str | int:
        found = self[code] = _shown(code)
        return found


def visible(text: str) -> str:
    """The text in one line, with a symbol for each control character and a mark for whatever else cannot be seen.

    Left alone: whatever has a shape, ZWJ and ZWNJ, and characters that are newer than this program.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_TABLE)


def _shown(code: int) -> str | int:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    letter = chr(code)
    if letter in _KEPT:
        return code
    # Tag characters, and the unassigned ones around them that are to be invisible; variants of Han letters are not.
    hidden = 0xE0000 <= code <= 0xE0FFF and not 0xE0100 <= code <= 0xE01EF
    if hidden or letter in _BLANK or code == 0x2065 or 0xFFF0 <= code <= 0xFFF8:
        return MARK
    return MARK if unicodedata.category(letter) in _UNFIT else code


_TABLE: Final = _Table()
