"""Tells the others that somebody writes here, as long as he does. (spec 07-presence)"""

from __future__ import annotations

from typing import Final

from quicchat.ui.desk import Desk
from quicchat.wire.names import ANNOUNCEMENTS

#: Seconds after the last key in which he still counts as writing.
_REST: Final = 5.0


class Hand:
    """What our keys tell. Times are seconds; `typed` at each change of the text, `rested` now and then."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._room = ""
        self._until = 0.0

    def typed(self, text: str, now: float) -> None:
        """The text is this by now. Commands are nobody's business."""
        if self._desk.chat.version < 2:
            return
        room = self._desk.room
        if text:
            self._desk.chat.active()
        if not text or text.startswith("/") or room in ("", ANNOUNCEMENTS):
            self.stop()
            return
        self._until = now + _REST
        if self._room != room:
            self.stop()
            self._room = room
            self._desk.chat.typing(room)

    def rested(self, now: float) -> None:
        """Whoever thinks for long does not write."""
        if self._room and now >= self._until:
            self.stop()

    def stop(self) -> None:
        """He writes no more."""
        if self._room:
            self._desk.chat.typing(self._room, False)
            self._room = ""
