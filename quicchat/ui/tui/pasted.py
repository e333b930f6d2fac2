"""What was pasted, before anybody knows whether it was meant to be sent. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quicchat.ui.slots import TEXT_BYTES
from quicchat.ui.visible import visible
from quicchat.ui.words import Call, Vocabulary
from quicchat.values import dataclass

#: Bytes that can be edited in a few rows; more is sent as it is, or not at all.
EDITED: Final = 65_536
_TAB: Final = "    "
_ONE, _EACH, _INTO = ("o", "one message"), ("l", "line by line"), ("i", "into the input")


@dataclass(frozen=True, slots=True)
class Pasted:
    """More than one edits, or several lines; `alone` where there is nothing else in the input."""

    text: str
    alone: bool

    @property
    def choices(self) -> Sequence[tuple[str, str]]:
        """Keys, and what they do."""
        size = len(self.text.encode())
        if size <= EDITED:
            return (_ONE, _EACH, _INTO) if self.alone else (_INTO,)
        return (_ONE,) if self.alone and size <= TEXT_BYTES else ()

    @property
    def says(self) -> str:
        """What it is, for the person who has to say what is to happen with it."""
        size, lines = len(self.text.encode()), self.text.count("\n") + 1
        what = f"{lines} lines pasted" if lines > 1 else "One line pasted"
        if size <= EDITED:
            return what
        too_much = "too much to edit here" if size <= TEXT_BYTES else f"a message has at most {TEXT_BYTES:,}"
        return f"{what}, {size:,} bytes: {too_much}; /send takes files"

    def said(self, words: Vocabulary, *, each: bool) -> Sequence[str]:
        """The line to type that says all of it, or those that say each line that is not blank."""
        return [literal(line, words) for line in (self.text.split("\n") if each else [self.text]) if line.strip()]


def harmless(text: str) -> str:
    """Pasted text without what one cannot see, and without the ends of lines around it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", _TAB).strip("\n")
    return "".join(letter for letter in text if letter == "\n" or visible(letter) == letter)


def literal(text: str, words: Vocabulary) -> str:
    """The line to type that says this text, though it may look like a command."""
    bare = text.lstrip()
    if bare.startswith("/"):
        return f"{text[: len(text) - len(bare)]}/{bare}"
    parsed = words.parse(text)
    return text if not isinstance(parsed, Call) or parsed.command.name == "say" else f"/say {text}"
