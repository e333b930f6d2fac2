"""What was said last in each room, so that nobody needs the place of what everybody just read. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from quicchat.wire.chapters.messages import SAID, Kind, Message

#: Messages of a room whose places are remembered.
_KEPT: Final = 100


class Recent:
    """Who said what is at the last places of each room, without what was taken back."""

    def __init__(self) -> None:
        self._rooms: dict[str, dict[int, str]] = {}
        self._chosen: dict[bytes, tuple[int, str]] = {}

    def heard(self, message: Message) -> None:
        """An event of a log."""
        if message.kind in SAID and message.text != "":
            self.said(message.room, message.seq, message.sender)
        elif message.kind is Kind.RETRACT:
            self.gone(message.room, message.refs or ())

    def said(self, room: str, seq: int, sender: str) -> None:
        """There is a message at this place; an own one may be known before it comes back."""
        places = self._rooms.setdefault(room, {})
        places[seq] = sender
        if len(places) > _KEPT:
            del places[min(places)]

    def gone(self, room: str, places: Iterable[int]) -> None:
        """What was said there was taken back."""
        for seq in places:
            self._rooms.get(room, {}).pop(seq, None)

    def last(self, room: str, user: str, *, own: bool | None) -> tuple[int, str] | None:
        """The last message as [place, sender]: of this user, with False of the others, with None of anybody."""
        found = [each for each in self._rooms.get(room, {}).items() if own is None or (each[1] == user) is own]
        return max(found, default=None)

    def choose(self, cid: bytes, message: tuple[int, str]) -> None:
        """What is said under this id is about this message, also when it is tried again."""
        self._chosen[cid] = message
        if len(self._chosen) > _KEPT:
            del self._chosen[next(iter(self._chosen))]

    def chosen(self, cid: bytes) -> tuple[int, str] | None:
        """What was chosen for this id."""
        return self._chosen.get(cid)
