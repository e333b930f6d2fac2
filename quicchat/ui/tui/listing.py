"""Rows of text to look at and to choose from, of which only those in sight are drawn. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

#: Text and the part that it plays: one of `PARTS`, or "" for plain text.
Pieces = Sequence[tuple[str, str]]

PARTS: Final = ("dim", "strong", "accent", "here", "good", "bad", "ink")
_MORE: Final = "\u2026"


def fit(text: str, width: int) -> str:
    """The text in at most so many columns; what is left out shows as one letter."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + _MORE if width > 0 else ""


def apart(left: str, right: str, width: int) -> tuple[str, str]:
    """Two texts at the two ends of a line; the left one gives way."""
    right = fit(right, width)
    room = max(0, width - cell_len(right) - (1 if right else 0))
    return set_cell_size(fit(left, room), width - cell_len(right)), right


class Listing(ScrollView, can_focus=True):
    """A list. `show` tells how many rows there are and who draws one, given its place and the width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"listing--cursor", *(f"listing--{part}" for part in PARTS)}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "leaf(-1)", show=False),
        Binding("pagedown", "leaf(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """Somebody wants the row at this place."""

        def __init__(self, listing: Listing, place: int) -> None:
            self.listing = listing
            self.place = place
            super().__init__()

        @property
        def control(self) -> Listing:
            """Whose row it is."""
            return self.listing

    def __init__(self, *, id: str | None = None, steady: bool = False) -> None:
        """With `steady` the cursor shows although the keys go elsewhere."""
        super().__init__(id=id)
        self._steady = steady
        self._count = 0
        self._draw: Callable[[int, int], Pieces] = lambda place, width: ()
        self.cursor = 0

    def show(self, count: int, draw: Callable[[int, int], Pieces]) -> None:
        """These rows from now on."""
        self._count, self._draw = count, draw
        self.cursor = max(0, min(self.cursor, count - 1))
        self._measure()
        self.refresh()

    def on_resize(self) -> None:
        """Another width is another text."""
        self._measure()

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, self._count)

    def action_move(self, steps: int) -> None:
        """Go up or down."""
        self.cursor = max(0, min(self.cursor + steps, self._count - 1))
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False)
        self.refresh()

    def action_leaf(self, pages: int) -> None:
        """Go up or down by what is in sight."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_choose(self) -> None:
        """Take the row under the cursor."""
        if self.cursor < self._count:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: Click) -> None:
        """Take the row that was clicked."""
        place = int(event.y + self.scroll_offset.y)
        if place < self._count:
            self.cursor = place
            self.action_choose()
            self.refresh()

    def _ink(self, part: str) -> Style:
        """What a part adds to its row; a ground that is half transparent is blended only in the full style."""
        own = self.get_component_rich_style(f"listing--{part}", partial=True)
        full = self.get_component_rich_style(f"listing--{part}")
        return own + Style(bgcolor=full.bgcolor if own.bgcolor else None)

    def render_line(self, y: int) -> Strip:
        """One row, drawn when it is seen."""
        width, place = self.size.width, int(y + self.scroll_offset.y)
        if place >= self._count:
            return Strip.blank(width, self.rich_style)
        base = self.rich_style
        if place == self.cursor and (self._steady or self.has_focus):
            base += self.get_component_rich_style("listing--cursor")
        pieces = self._draw(place, width)
        segments = [Segment(text, base + self._ink(part) if part else base) for text, part in pieces]
        return Strip(segments).adjust_cell_length(width, base)
