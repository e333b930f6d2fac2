"""What all that fills the terminal has in common: colours, and patience with who types early. (spec 12-operation)"""

from __future__ import annotations

import signal
from typing import ClassVar, Final, TypeVar

from textual import events
from textual.app import App
from textual.theme import Theme

Answer = TypeVar("Answer")

SOBER: Final = Theme(
    name="quicchat",
    primary="#5f87af",
    accent="#d7af5f",
    warning="#d78700",
    error="#d75f5f",
    success="#87af5f",
    foreground="#d0d0d0",
    background="#1c1c1c",
    surface="#222222",
    panel="#303030",
)


class Canvas(App[Answer]):
    """An application in our colours, or in a `theme` that there is. It keeps keys until somebody can take them."""

    #: Whether what was typed before anybody could see the picture counts.
    TRUSTS_EARLY: ClassVar[bool] = True

    def __init__(self, theme: str | None = None) -> None:
        super().__init__()
        self.register_theme(SOBER)
        self.theme = theme if theme is not None and theme in self.available_themes else SOBER.name
        self.animation_level = "none"
        #: What was typed before the first picture; None since then.
        self._early: list[events.Event] | None = []

    async def on_event(self, event: events.Event) -> None:
        """A key finds nobody while there is no picture: it would be lost."""
        if self._early is not None and isinstance(event, events.Key | events.Paste):
            self._early.append(event)
        else:
            await super().on_event(event)

    def on_ready(self) -> None:
        """In the order in which it was typed."""
        if not self.is_headless and hasattr(signal, "SIGCONT"):
            signal.signal(signal.SIGCONT, self._go_on)
        early, self._early = self._early or [], None
        for event in early if self.TRUSTS_EARLY else ():
            self.post_message(event)

    def _go_on(self, *_: object) -> None:
        """Who is stopped from outside gave nothing back: Textual would begin to read keys a second time."""
        if self.is_running and self._driver is not None:
            self._driver.suspend_application_mode()
            self._driver.resume_application_mode()
