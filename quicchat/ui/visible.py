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
#: Marks on one letter that are shown, joiners among them: pointed Hebrew has five. A taller pile covers other lines.
PILE: Final = 5
#: Nothing below this one lies on another letter.
_FIRST_MARK: Final = "\u0300"
#: Marks that take no column of their own.
_MARKS: Final = frozenset({"Mn", "Me"})
_JOINERS: Final = frozenset("\u200c\u200d")
#: Format characters, controls, surrogates, separators of lines and paragraphs.
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class _Table(dict[int, str | int]):
    """For `str.translate`: works out each character once."""

    def __missing__(self, code: int) -> str | int:
        found = self[code] = _shown(code)
        return found


def visible(text: str) -> str:
    """The text in one line, with a symbol for each control character and a mark for whatever else cannot be seen.

    Left alone: whatever has a shape, ZWJ and ZWNJ, and characters that are newer than this program. Of more than `PILE`
    accents on one letter a mark tells.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = text.translate(_TABLE)
    return shown if max(shown) < _FIRST_MARK else _levelled(shown)


def cut(text: str, letters: int) -> str:
    """The text, visible, and no longer than so many letters."""
    return visible(text) if len(text) <= letters else f"{visible(text[: letters - 1])}\u2026"


def columns(letter: str) -> int:
    """How many columns of a terminal it takes."""
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _levelled(text: str) -> str:
    """The text without what is piled up higher than letters are."""
    letters: list[str] = []
    pile = 0
    for letter in text:
        lies = letter >= _FIRST_MARK and (letter in _JOINERS or unicodedata.category(letter) in _MARKS)
        pile = pile + 1 if lies else 0
        if pile <= PILE:
            letters.append(letter)
        elif pile == PILE + 1:
            letters.append(MARK)
    return "".join(letters)


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
