"""What stands above the input: what may be written there, and what has to be said of it. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.widgets import Static

from quicchat.ui.completion import Candidate, Completion
from quicchat.ui.tui.pasted import Pasted
from quicchat.ui.visible import visible
from quicchat.values import dataclass

#: Rows that are shown at once.
_ROWS: Final = 8
#: Columns for what is typed; what it means stands behind.
_LONGEST: Final = 28
#: Letters of a pasted line that are shown.
_SHOWN: Final = 60


@dataclass(slots=True)
class Turn:
    """A list that one goes through: the text and the place of the cursor it holds for, and who is chosen."""

    completion: Completion
    text: str
    cursor: int
    chosen: int | None = None

    def holds(self, text: str, cursor: int) -> bool:
        """Whether nothing was written since."""
        return (text, cursor) == (self.text, self.cursor)

    def is_longer(self, text: str) -> bool:
        """Whether this goes on with what was typed."""
        typed = self.text[self.completion.start : self.cursor]
        return len(text) > len(typed) and text.lower().startswith(typed.lower())

    def step(self, by: int) -> Candidate:
        """The next one, or with -1 the one before."""
        last = len(self.completion.candidates)
        self.chosen = (0 if by > 0 else last - 1) if self.chosen is None else (self.chosen + by) % last
        return self.completion.candidates[self.chosen]


class Above(Static):
    """A question about what was pasted, or which message is edited: a row or a few, while it lasts."""

    DEFAULT_CSS = """
    Above { display: none; height: auto; background: $panel; color: $foreground; padding: 0 1; }
    """

    def tell(self, text: str | None) -> None:
        """Show this, or nothing."""
        self._show(Content(text) if text is not None else None)

    def ask(self, pasted: Pasted) -> None:
        """What is to happen with this, of which one sees how it begins and ends."""
        keys = [Content.assemble((each.upper(), "bold"), f" {what}") for each, what in pasted.choices if each != "i"]
        if any(each == "i" for each, _ in pasted.choices):
            keys.append(Content.assemble(("Enter", "bold"), " edit it"))
        keys.append(Content.assemble(("Esc", "bold"), " forget it"))
        lines = pasted.text.split("\n")
        shown = [lines[0], *(["..."] if len(lines) > 2 else []), *lines[1:][-1:]]
        rows = [Content.styled(visible(line[:_SHOWN]), "dim") for line in shown]
        self._show(Content("\n").join([*rows, Content(pasted.says), Content("  ").join(keys)]))

    def _show(self, content: Content | None) -> None:
        self.display = content is not None
        if content is not None:
            self.update(content)


class Choices(Static):
    """The list itself. It lies over the last rows of the log, so that nothing moves when it opens."""

    DEFAULT_CSS = """
    Choices {
        display: none; height: auto; width: auto; max-width: 100%;
        overlay: screen; offset-y: -100%; background: $panel; color: $foreground; padding: 0 1;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def offer(self, turn: Turn | None) -> None:
        """Show a list, or none."""
        self.display = turn is not None
        if turn is not None:
            self.update(_rows(turn))


def _rows(turn: Turn) -> Content:
    """As many as fit around the one that is chosen."""
    candidates, chosen = turn.completion.candidates, turn.chosen or 0
    first = max(0, min(chosen - _ROWS // 2, len(candidates) - _ROWS))
    shown = candidates[first : first + _ROWS]
    width = min(_LONGEST, max(len(each.text.rstrip()) for each in shown))
    rows = []
    for place, each in enumerate(shown, first):
        name = visible(each.text.rstrip())
        style = "reverse" if place == turn.chosen else ""
        about = f"  {visible(each.about)}" if each.about else ""
        rows.append(Content.assemble((f"{name:<{width}}", style), (about, "dim")))
    if len(candidates) > len(shown):
        rows.append(Content.styled(f"{first + 1} to {first + len(shown)} of {len(candidates)}", "dim"))
    return Content("\n").join(rows)
