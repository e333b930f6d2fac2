"""The line above all: where one is, what it is about, and how the way to the server is. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from quicchat.client.events import Line
from quicchat.ui.outcomes import Entered, Lost, Waiting
from quicchat.ui.tui.listing import fit
from quicchat.ui.visible import visible
from quicchat.values import dataclass

#: Seconds that it is said that the connection goes on from another address.
_MOVED: Final = 8.0
#: What protects the way, and nothing else where nothing else is said.
TLS: Final = "TLS only"


class Way:
    """What is known of the way to the server at `place`. Times are seconds of any clock that does not go back."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._state = "connecting"
        self._until = 0.0

    @property
    def online(self) -> bool:
        """Whether what is said goes out at once."""
        return self._state == "online"

    def hear(self, item: object, now: float) -> None:
        """Something happened that may be about the connection."""
        match item:
            case Line("waiting", retry_in):
                self._state, self._until = "waiting", now + (retry_in or 0.0)
            case Line("moved"):
                self._state, self._until = "online", now + _MOVED
            case Line(state):
                self._state, self._until = state, 0.0
            case Entered():
                self._state, self._until = "online", 0.0
            case Lost(retry=False):
                self._state = "offline"
            case Waiting():
                self._state = "not there yet"

    def text(self, now: float, rtt: float | None, kept: str = TLS) -> str:
        """How it is, in a few words; `kept` is what protects what is said."""
        match self._state:
            case "online":
                moved = "moved network, " if now < self._until else ""
                return f"{moved}{kept}" + (f" {rtt * 1000:.0f} ms" if rtt is not None else "")
            case "waiting" if (left := self._until - now) > 0.5:
                return f"reconnecting in {left:.0f} s"
            case "waiting":
                return "reconnecting\u2026"
            case "offline":
                return "offline"
            case "not there yet":
                return f"waiting for {self.place}\u2026"
            case _:
                return f"connecting to {self.place}\u2026"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the title tells; `alarm` where the way is not as it should be."""

    label: str
    topic: str
    way: str
    alarm: bool


class Title(Widget):
    """One line."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts

    def show(self, facts: Facts) -> None:
        """Tell this from now on."""
        if facts != self._facts:
            self._facts = facts
            self.refresh()

    def render(self) -> Content:
        """Room and topic on the left, the way on the right; the topic gives way first, then most of the room."""
        facts, width = self._facts, self.size.width
        way = fit(visible(facts.way), max(width * 2 // 3, width - cell_len(visible(facts.label)) - 2))
        label = fit(visible(facts.label), max(0, width - cell_len(way) - 2))
        topic = fit(visible(facts.topic), max(0, width - cell_len(way) - cell_len(label) - 4))
        gap = width - cell_len(label) - cell_len(way) - (cell_len(topic) + 2 if topic else 0)
        return Content.assemble(
            (label, "bold"),
            (f"  {topic}" if topic else "", "dim"),
            " " * max(0, gap),
            (way, "bold $warning" if facts.alarm else "dim"),
        )
