"""What all that fills the terminal has in common: colours, and patience with who types early. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import ClassVar, Final, TypeVar

from textual import events
from textual.app import App
from textual.driver import Driver
from textual.theme import Theme

Answer = TypeVar("Answer")

#: Seconds between two looks at whether there is a terminal.
_LOOK: Final = 1.0

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

    def get_driver_class(self) -> type[Driver]:
        """Ours, where a terminal is a file."""
        if sys.platform == "win32":
            return super().get_driver_class()
        from quicchat.ui.tui.terminal import Terminal

        return Terminal

    async def on_event(self, event: events.Event) -> None:
        """A key finds nobody while there is no picture: it would be lost."""
        if self._early is not None and isinstance(event, events.Key | events.Paste):
            self._early.append(event)
        else:
            await super().on_event(event)

    def on_ready(self) -> None:
        """In the order in which it was typed."""
        if not self.is_headless and sys.platform != "win32":
            # By the loop: what is done in between may hold the lock that it waits for.
            asyncio.get_running_loop().add_signal_handler(signal.SIGCONT, self._go_on)
            self.set_interval(_LOOK, _hang_up)
        early, self._early = self._early or [], None
        for event in early if self.TRUSTS_EARLY else ():
            self.post_message(event)

    def _go_on(self) -> None:
        """Who is stopped from outside gave nothing back: Textual would begin to read keys a second time."""
        if self.is_running and self._driver is not None:
            self._driver.suspend_application_mode()
            self._driver.resume_application_mode()

    def _fatal_error(self) -> None:
        """Who shows it raises what is broken here; Textual would print all values of all frames, passwords too."""
        self._close_messages_no_wait()

    @property
    def broken(self) -> Exception | None:
        """What no part of the picture may raise, and one did."""
        return self._exception


def _hang_up() -> None:
    """Only the first program of a terminal is told that it went away, and Textual reads its end for ever."""
    if not os.isatty(0):
        signal.raise_signal(signal.SIGHUP)
