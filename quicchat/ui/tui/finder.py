"""Searching what was said, here or everywhere, and going there. (spec 06-messages)"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static
from textual.worker import Worker, WorkerState

from quicchat.ui.tui.listing import Listing, Pieces, fit
from quicchat.ui.tui.scene import told
from quicchat.ui.visible import visible
from quicchat.wire.chapters.messages import Message

#: Finds messages with all of these words, newest first, in one room or all.
Search = Callable[[str, str | None], Awaitable[Sequence[Message]]]


class Finder(ModalScreen[Message | None]):
    """Ends with the message that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+f", "dismiss(None)", show=False, priority=True),
        Binding("tab", "wider", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "leaf(-1)", show=False, priority=True),
        Binding("pagedown", "leaf(1)", show=False, priority=True),
    ]

    def __init__(self, room: str, label: str, search: Search, times: str) -> None:
        super().__init__()
        self._room = room
        self._label = label
        self._search = search
        self._times = times
        self._everywhere = False
        self._asked = ""
        self._found: Sequence[Message] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(id="heading", markup=False)
            yield Input(placeholder="words, or beginnings of words*", max_length=200, compact=True)
            yield Listing(steady=True)

    def on_mount(self) -> None:
        """Say how."""
        self._say("Enter finds")

    def action_wider(self) -> None:
        """Search this room, or all."""
        self._everywhere = not self._everywhere
        self._asked = ""
        self._say("Enter finds")

    def action_move(self, steps: int) -> None:
        """Up or down among what was found."""
        self.query_one(Listing).action_move(steps)

    def action_leaf(self, pages: int) -> None:
        """The same by pages."""
        self.query_one(Listing).action_leaf(pages)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Find what was typed; what was found already is gone to."""
        words = event.value.strip()
        if words and words != self._asked:
            self.run_worker(self._find(words), exclusive=True, exit_on_error=False)
        elif self._found:
            self.dismiss(self._found[self.query_one(Listing).cursor])

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Go to what was clicked."""
        self.dismiss(self._found[event.place])

    async def _find(self, words: str) -> None:
        self._say("searching\u2026")
        found = await self._search(words, None if self._everywhere else self._room)
        self._found, self._asked = found, words
        listing = self.query_one(Listing)
        listing.cursor = 0
        listing.show(len(found), self._row)
        self._say(f"{len(found)} found, Enter goes there" if found else "nothing found")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Why nothing can be found."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self._say(told(event.worker.error))

    def _row(self, place: int, width: int) -> Pieces:
        message = self._found[place]
        try:
            when = time.strftime(f"%Y-%m-%d {self._times}", time.localtime(message.ts / 1000))
        except (OverflowError, ValueError, OSError):
            when = "-"
        room = f" {visible(message.room)}" if self._everywhere else ""
        head = fit(f"{when}{room} {visible(message.sender)} ", max(8, width // 2))
        text = visible((message.text or "").replace("\n", " "))
        return (head, "dim"), (fit(text, width - len(head)), "")

    def _say(self, text: str) -> None:
        where = "everywhere" if self._everywhere else f"in {visible(self._label)}"
        self.query_one("#heading", Static).update(
            Content.assemble((f"Search {where}", "bold"), "  ", (f"{visible(text)}; Tab: here or everywhere", "dim"))
        )
