"""What a peer said, made harmless for a terminal and for XML; the kit's own, as all of it is. (spec 16-conformance)"""

from __future__ import annotations

import unicodedata
from typing import Final

#: Controls, formats (with what turns the direction of text round), surrogates, private use, separators.
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def plain(text: str) -> str:
    """The text in one line, with an escape such as \\x1b for whatever could not be seen as itself."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(letter: str) -> str:
    code = ord(letter)
    # The two last of each plane are no characters, and XML has no place for some of them.
    if unicodedata.category(letter) not in _UNFIT and code & 0xFFFE != 0xFFFE:
        return letter
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"
