"""Messages, and beside them rooms and members where there is room for them. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.containers import Horizontal

from quicchat.ui.page import Page
from quicchat.ui.tui import keys
from quicchat.ui.tui.listing import Listing
from quicchat.ui.tui.log import Log
from quicchat.ui.tui.members import Members
from quicchat.ui.tui.rooms import Rooms

#: Columns below which there are no members unless somebody asks for them, and no lists at all.
_BOTH: Final = 100
_ANY: Final = 60


class Body(Horizontal):
    """Three columns; what a person asked for or put away stays so as far as there is room."""

    def __init__(self) -> None:
        super().__init__(id="body")
        self.rooms = Rooms()
        self.log_view = Log()
        self.members = Members()
        #: What somebody asked for; None where it goes by the room there is.
        self._wants: dict[Listing, bool | None] = {self.rooms: None, self.members: None}

    def compose(self) -> ComposeResult:
        yield self.rooms
        yield self.log_view
        yield self.members

    @property
    def has_lists(self) -> bool:
        """Whether there is room for a list."""
        return self.app.size.width >= _ANY

    def hint(self, page: Page | None, is_loading: bool) -> str:
        """What the keys do now, where that is not plain; else what to know of the top of the log."""
        if self.log_view.has_focus and self.log_view.chosen is not None:
            return keys.CHOOSING
        if self.rooms.has_focus or self.members.has_focus:
            return keys.LISTED
        if self.log_view.scroll_y > 0 or self.log_view.at_end:
            return ""
        if is_loading:
            return "loading older messages\u2026"
        return "this is the beginning of the room" if page is not None and not page.more and not page.full else ""

    def fold(self) -> None:
        """Show the lists for which there is room."""
        usual: dict[Listing, bool] = {self.rooms: self.has_lists, self.members: self.app.size.width >= _BOTH}
        for listing, wanted in self._wants.items():
            is_shown = self.has_lists and (usual[listing] if wanted is None else wanted)
            if listing.has_focus and not is_shown:
                self.screen.focus_next()
            listing.set_class(is_shown, "shown")

    def toggle(self, listing: Listing) -> bool:
        """Go to a list, or from it, and then it is hidden; whether one is there now."""
        is_wanted = not listing.has_focus
        self._wants[listing] = is_wanted
        self.fold()
        if is_wanted:
            listing.focus()
        return is_wanted
