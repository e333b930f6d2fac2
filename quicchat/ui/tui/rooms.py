"""The list of conversations: where something is new, and the number that leads there. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import set_cell_size

from quicchat.ui.book import Tab
from quicchat.ui.tui.listing import Listing, Pieces, fit
from quicchat.ui.visible import visible

#: Rooms that have a key of their own, Alt-1 to Alt-9.
KEYED: Final = 9


class Rooms(Listing):
    """One's conversations, the one that is shown marked."""

    def __init__(self) -> None:
        super().__init__(id="rooms")
        self.tabs: Sequence[Tab] = ()
        self._here = ""
        self._seen: list[tuple[str, str]] = []

    def show_tabs(self, tabs: Sequence[Tab], here: str) -> None:
        """These conversations; one is `here`."""
        # When something was last said shows only in their order.
        seen = [(tab.room, counted(tab) if tab.room != here else "") for tab in tabs]
        if (seen, here) == (self._seen, self._here):
            return
        chosen = self.tabs[self.cursor].room if self.has_focus and self.cursor < len(self.tabs) else here
        self.tabs, self._here, self._seen = tabs, here, seen
        self.cursor = next((place for place, tab in enumerate(tabs) if tab.room == chosen), 0)
        self.show(len(tabs), self._row)

    def _row(self, place: int, width: int) -> Pieces:
        tab = self.tabs[place]
        number = f"{place + 1} " if place < KEYED else "  "
        counts = counted(tab) if tab.room != self._here else ""
        label = fit(visible(tab.label), max(1, width - len(number) - len(counts) - 2))
        part = "here" if tab.room == self._here else "accent" if tab.mentions else "strong" if tab.unread else ""
        left = set_cell_size(label, max(0, width - len(number) - len(counts) - 1))
        return (number, "dim"), (left, part), (f"{counts} ", "accent" if tab.mentions else "dim")


def counted(tab: Tab) -> str:
    """What waits there: `12`, or `12 @2` where it is for us; nothing where all was read."""
    if not tab.unread:
        return ""
    shown = str(tab.unread) if tab.unread < 1000 else "999+"
    return f"{shown} @{tab.mentions}" if tab.mentions else shown


def next_active(tabs: Sequence[Tab], here: str) -> str | None:
    """Where to go next: first what is for us, then what one person said, then the newest."""
    waiting = [tab for tab in tabs if tab.unread and tab.room != here]
    if not waiting:
        return None
    return max(waiting, key=lambda tab: (bool(tab.mentions), tab.direct, tab.at)).room
