"""Going somewhere by a few letters of its name: a room, a person, or a room that one is not in yet. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import FuzzySearch
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from quicchat.client.state import State
from quicchat.ui.book import Tab
from quicchat.ui.slots import room_name
from quicchat.ui.tables import SHOWS
from quicchat.ui.tui.listing import Listing, Pieces, apart
from quicchat.ui.visible import visible
from quicchat.values import dataclass
from quicchat.wire.names import User, direct

#: Rows that are worth drawing.
_MOST: Final = 200
_HOW = "Enter goes there, Esc closes"


@dataclass(frozen=True, slots=True)
class Goal:
    """Somewhere to go: the `line` is a room's name, or a command that leads there."""

    name: str
    about: str
    line: str


def goals(tabs: Sequence[Tab], here: str, state: State) -> list[Goal]:
    """Where one may go from here. What waits comes first, so that Enter alone leads there; then rooms, then people."""
    others = sorted((tab for tab in tabs if tab.room != here), key=lambda tab: (not tab.mentions, not tab.unread))
    found = [Goal(tab.label, f"{tab.unread} new" if tab.unread else "", tab.room) for tab in others]
    known, me = {tab.room for tab in tabs}, User(state.user)
    for user, person in sorted(state.people.items()):
        room = str(direct(me, User(user)))
        if user != me and room not in known:
            found.append(Goal(f"@{user}", SHOWS[person.show], room))
    return found


class Switcher(ModalScreen[str | None]):
    """Ends with the line of what was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+k", "dismiss(None)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
    ]

    def __init__(self, goals: Sequence[Goal]) -> None:
        super().__init__()
        self._goals = list(goals)
        self._found: Sequence[Goal] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(Content.assemble(("Go to", "bold"), "  ", (_HOW, "dim")), markup=False)
            yield Input(placeholder="a room or a person", max_length=64, compact=True)
            yield Listing(steady=True)

    def on_mount(self) -> None:
        """All there is, until something is typed."""
        self._find("")

    def more(self, goals: Sequence[Goal]) -> None:
        """These are known, too, by now."""
        known = {goal.name for goal in self._goals}
        self._goals += [goal for goal in goals if goal.name not in known]
        if self.is_mounted:
            self._find(self.query_one(Input).value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Something else is looked for."""
        self._find(event.value)

    def action_move(self, steps: int) -> None:
        """Up or down among what was found."""
        self.query_one(Listing).action_move(steps)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go where the cursor is; a key of the screen would overtake the letters typed before it."""
        listing = self.query_one(Listing)
        if listing.cursor < len(self._found):
            self.dismiss(self._found[listing.cursor].line)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Go where one clicked."""
        self.dismiss(self._found[event.place].line)

    def _find(self, typed: str) -> None:
        self._found = found = matching(self._goals, typed)

        def draw(place: int, width: int) -> Pieces:
            goal = found[place]
            name, about = apart(visible(goal.name), visible(goal.about), width)
            return (name, ""), (about, "dim")

        listing = self.query_one(Listing)
        listing.cursor = 0
        listing.show(len(found), draw)


def matching(goals: Sequence[Goal], typed: str) -> list[Goal]:
    """What fits the letters typed, best first; a name that nobody has is a room that one may enter."""
    wanted = typed.strip().lower()
    if not wanted:
        return list(goals[:_MOST])
    search = FuzzySearch()
    scored = [(search.match(wanted, goal.name.lower())[0], goal) for goal in goals]
    found = [goal for score, goal in sorted(scored, key=lambda each: -each[0]) if score > 0][:_MOST]
    # The fuzzy score knows nothing of a name that was typed in full.
    found.sort(key=lambda goal: goal.name.lower().lstrip("@") != wanted.lstrip("@"))
    try:
        name = room_name(wanted)
    except ValueError:
        return found
    if all(goal.name != name for goal in found):
        found.append(Goal(name, "enter or ask for this room", f"/join {name}"))
    return found
