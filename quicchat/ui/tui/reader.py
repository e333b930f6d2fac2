"""A page of lines to read, above everything else until it is closed. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from quicchat.ui.tui.listing import Listing, Pieces

_HOW = "Up, Down, PgUp, PgDn; Esc closes"


class Reader(ModalScreen[None]):
    """Lines that are no messages, such as help; they hold no control characters."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,f1,enter", "dismiss(None)", show=False, priority=True)]

    def __init__(self, heading: str, lines: Sequence[str], picture: Sequence[str] = ()) -> None:
        super().__init__()
        self._picture = picture
        self._heading = heading
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet pictured" if self._picture else "sheet"):
            yield Static(Content.assemble((self._heading, "bold"), "  ", (_HOW, "dim")), markup=False)
            yield Listing(id="lines")

    def on_mount(self) -> None:
        """Lines are folded once the width is known."""
        self.call_after_refresh(self._fold)

    def on_resize(self) -> None:
        """Another width folds them anew."""
        self.call_after_refresh(self._fold)

    def _fold(self) -> None:
        listing = self.query_one(Listing)
        width = max(8, listing.scrollable_content_region.width)
        rows = [row for line in self._lines for row in folded(line, width)]

        # A picture that is cut off shows nothing.
        height = listing.scrollable_content_region.height
        fits = bool(self._picture) and cell_len(self._picture[0]) <= width and len(self._picture) <= height
        drawn = self._picture if fits else ()

        def draw(place: int, width: int) -> Pieces:
            return ((rows[place], ""),) if place < len(rows) else ((drawn[place - len(rows)], "ink"),)

        listing.show(len(rows) + len(drawn), draw)
        listing.focus()


def folded(line: str, width: int) -> list[str]:
    """A line in as many rows as it needs; those after the first stand further in."""
    rows = [str(row) for row in Content(line).wrap(width)[:1]] or [""]
    rest = line[len(rows[0]) :].lstrip()
    if rest:
        rows += [f"    {row}" for row in Content(rest).wrap(max(4, width - 4))]
    return rows
