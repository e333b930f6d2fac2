"""Words that are searched for, and what has them: one meaning on server and device. (spec 06-messages)"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from quicchat.values import dataclass
from quicchat.wire.chapters.messages import SAID, Kind

#: What can be searched for: what people said, and how they corrected it.
SEARCHED: Final = SAID | {Kind.EDIT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a message must contain: the parts of a word in a row; the last may be longer where it is a prefix."""

    parts: tuple[str, ...]
    prefix: bool = False


def wanted(words: str) -> tuple[Word, ...]:
    """The words of a search; what has neither letter nor digit says nothing and is passed over."""
    found = []
    for word in unicodedata.normalize("NFC", words).split():
        parts = "".join(each if each.isalnum() else " " for each in word).split()
        if parts:
            found.append(Word(parts=tuple(parts), prefix=word.endswith("*")))
    return tuple(found)


def has(text: str, words: Sequence[Word]) -> bool:
    """Whether a text has all of these words."""
    said = _parts(text)
    return bool(said) and all(_holds(said, word) for word in words)


def _holds(said: Sequence[str], word: Word) -> bool:
    *first, last = [part for each in word.parts for part in _parts(each)]
    size = len(first) + 1
    return any(
        list(said[start : start + size - 1]) == first
        and (said[start + size - 1].startswith(last) if word.prefix else said[start + size - 1] == last)
        for start in range(len(said) - size + 1)
    )


def _parts(text: str) -> list[str]:
    """Letters and digits in a row, without case and accents."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return "".join(each if each.isalnum() else " " for each in plain.casefold()).split()
