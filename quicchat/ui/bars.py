"""One moving bar for each file, on a terminal. (spec 12-operation)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quicchat.client.state import State
from quicchat.ui.figures import rate_of, size_of, span_of
from quicchat.ui.outcomes import Freight
from quicchat.ui.render import Text
from quicchat.ui.visible import visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Steps that a bar shows well enough by itself.
_SHOWN: Final = frozenset({"", "moves", "begins", "goes.on", "goes.on.again", "sent", "known"})
_WIDEST: Final = 40


class Bars:
    """Bars on standard error while files move, and lines above them by `text`."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._progress: Progress | None = None
        self._bars: dict[int, TaskID] = {}

    def tell(self, item: object) -> None:
        """A file moved, or something else is to be printed."""
        if not isinstance(item, Freight):
            self.close()
            self._text.tell(item, State())
            return
        self._move(item)
        if item.step not in _SHOWN:
            self.close()
            self._text.tell(item, State())

    def close(self) -> None:
        """The bars stay as they are; what moves on gets new ones."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._bars.clear()

    def _move(self, item: Freight) -> None:
        if item.number not in self._bars:
            name = visible(item.name)
            short = name if len(name) <= _WIDEST else f"{name[: _WIDEST - 1]}\u2026"
            self._bars[item.number] = self._shown().add_task(short, total=item.size, facts="")
        facts = f"{size_of(item.done)} of {size_of(item.size)}"
        if item.rate:
            facts += f"  {rate_of(item.rate)}"
        if item.eta is not None:
            facts += f"  {span_of(item.eta)} to go"
        elif item.state not in ("transferring", "done"):
            facts += f"  {item.state}"
        self._shown().update(self._bars[item.number], completed=item.done, total=item.size, facts=facts)

    def _shown(self) -> Progress:
        if self._progress is None:
            # Only who watches a file pays for the import (0.1 s).
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TaskProgressColumn(markup=False, text_format="{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[facts]}", markup=False),
            )
            self._progress = Progress(*columns, console=Console(stderr=True))
            self._progress.start()
        return self._progress
