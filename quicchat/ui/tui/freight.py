"""A bar for each file that is on its way. (spec 14-files)"""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widget import Widget

from quicchat.ui.figures import rate_of, share_of, span_of
from quicchat.ui.outcomes import Freight
from quicchat.ui.tui.listing import fit
from quicchat.ui.visible import visible

#: States after which nothing moves any more.
_OVER: Final = frozenset({"done", "cancelled", "failed"})
#: Seconds that the last bar of a file stays.
_LINGER: Final = 4.0
#: Bars at once.
_MOST: Final = 4
_BAR: Final = 16
_NAME: Final = 32
_FULL, _EMPTY = "\u2501", "\u2500"


class Hold:
    """The transfers that are worth a bar, by number. Times are seconds."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[Freight, float | None]] = {}

    def hear(self, item: Freight, now: float) -> None:
        """A transfer came further, or ended."""
        self._rows[item.number] = (item, now + _LINGER if item.state in _OVER else None)

    def rows(self, now: float) -> list[Freight]:
        """Those to show, oldest first; what has ended is forgotten after a while."""
        self._rows = {number: row for number, row in self._rows.items() if row[1] is None or row[1] > now}
        return [item for item, _ in self._rows.values()]


class Bars(Widget):
    """The panel; without files it takes no room."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Freight] = []
        self.display = False

    def show(self, rows: list[Freight]) -> None:
        """These transfers from now on."""
        if rows == self._rows:
            return
        is_other_height = len(rows) != len(self._rows)
        self._rows = rows
        self.display = bool(rows)
        self.refresh(layout=is_other_height)

    def render(self) -> Content:
        """A line for each; where there are many, the last line counts the rest."""
        shown, rest = self._rows, 0
        if len(self._rows) > _MOST:
            shown, rest = self._rows[: _MOST - 1], len(self._rows) - _MOST + 1
        name = min(
            _NAME, max(8, self.size.width // 3), 2 + max((cell_len(visible(each.name)) for each in shown), default=0)
        )
        lines = [_line(each, self.size.width, name) for each in shown]
        if rest:
            lines.append(Content.styled(f"and {rest} more; /transfers lists them", "dim"))
        return Content("\n").join(lines)


def _line(item: Freight, width: int, column: int) -> Content:
    """`> name  ━━━━────  47 %  3.4 MB/s  12 s to go`; what does not fit is left out, from the right."""
    name = f"{'>' if item.direction == 'up' else '<'} {visible(item.name)}"
    name = set_cell_size(fit(name, column), column)
    share = f"{share_of(item.done, item.size):>5}"
    facts = [rate_of(item.rate)] if item.rate and item.state == "transferring" else []
    if item.state != "transferring":
        facts.append(f"{item.state}: {visible(item.reason)}" if item.reason else item.state)
    elif item.eta is not None:
        facts.append(f"{span_of(item.eta)} to go")
    done = 0 if not item.size else min(_BAR, item.done * _BAR // item.size)
    done = _BAR if item.state == "done" else done
    used = cell_len(name) + _BAR + cell_len(share) + 6
    return Content.assemble(
        name,
        " ",
        (_FULL * done, "$accent"),
        (_EMPTY * (_BAR - done), "dim"),
        " ",
        share,
        "  ",
        (fit("  ".join(facts), max(0, width - used)), "dim"),
    )
