"""What a line means to who typed it: an answer, or a command, and the room that it is for. (spec 12-operation)"""

from __future__ import annotations

from dataclasses import replace

from quicchat.ui.face import Typed
from quicchat.ui.words import Asks, Call, Choice, Parsed, Vocabulary


class Reading:
    """The lines of one person, in their order: `read` each, and say which calls are `done`."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        #: What the last line left open, and a question about a command; the next line answers.
        self._asks: Asks | None = None
        self._choice: Choice | None = None
        #: Where commands were typed that lead to another room, and are not carried out yet.
        self._leading: list[str | None] = []

    @property
    def hides(self) -> bool:
        """Whether the next line must not be seen."""
        return self._asks is not None and self._asks.hidden

    def read(self, typed: Typed) -> Parsed | None:
        """What a line says; None for a blank one."""
        parsed = self._understood(typed.text)
        self._asks = parsed if isinstance(parsed, Asks) else None
        if not isinstance(parsed, Call):
            return parsed
        # Who typed `/join` there means the room to which that leads; who answers, the one of the question.
        is_placed = parsed.room is not None or typed.room in self._leading
        if parsed.command.enters:
            self._leading.append(typed.room)
        return parsed if is_placed else replace(parsed, room=typed.room)

    def done(self, call: Call, outcome: object) -> None:
        """A call was carried out, and perhaps asks something."""
        if isinstance(outcome, Choice):
            self._choice = outcome
        if call.command.enters:
            del self._leading[:1]

    def _understood(self, line: str) -> Parsed | None:
        choice, self._choice = self._choice, None
        if choice is not None and (call := choice.answer(line)) is not None:
            return call
        return self._words.parse(line) if self._asks is None else self._words.answered(self._asks, line)
