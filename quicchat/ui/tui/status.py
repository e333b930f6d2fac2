"""The line above the input: who writes, and where something waits that is not in sight. (spec 07-presence)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from quicchat.ui.book import Tab
from quicchat.ui.tui.listing import fit
from quicchat.ui.tui.rooms import KEYED, counted
from quicchat.ui.visible import visible

#: Names of those who write, at most, and rooms in which something waits.
_WRITERS: Final = 3
_ROOMS: Final = 4


class Status(Widget):
    """One line; `notice` takes the place of all else for a while."""

    def __init__(self) -> None:
        super().__init__()
        self._left = self._right = ""

    def show(self, left: str, right: str) -> None:
        """What happens here, and what waits elsewhere."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def render(self) -> Content:
        """Both; the right one gives way."""
        left = fit(self._left, self.size.width)
        right = fit(self._right, max(0, self.size.width - cell_len(left) - 2))
        gap = max(0, self.size.width - cell_len(left) - cell_len(right))
        return Content.assemble((left, "dim italic"), " " * gap, (right, "$accent"))


def writing(users: Sequence[str]) -> str:
    """`bob writes…`"""
    names = [visible(user) for user in users[:_WRITERS]]
    if len(users) > _WRITERS:
        return f"{', '.join(names)} and {len(users) - _WRITERS} more write\u2026"
    if len(names) > 1:
        return f"{', '.join(names[:-1])} and {names[-1]} write\u2026"
    return f"{names[0]} writes\u2026" if names else ""


def waiting(tabs: Sequence[Tab], here: str) -> str:
    """`Alt-4 @bob (1)  Alt-2 lab (3)`: where something waits, with the keys that lead there."""
    found = [(place, tab) for place, tab in enumerate(tabs, 1) if tab.unread and tab.room != here]
    found.sort(key=lambda each: (not each[1].mentions, not each[1].direct))
    shown = [
        f"{f'Alt-{place} ' if place <= KEYED else ''}{visible(tab.label)} ({counted(tab)})"
        for place, tab in found[:_ROOMS]
    ]
    rest = f" and {len(found) - _ROOMS} more" if len(found) > _ROOMS else ""
    return "  ".join(shown) + rest
