"""Events whose words are not known, for as long as their keys may come; pure. (spec 15-keys)"""

from __future__ import annotations

from typing import Final

from quicchat.client.seal import Opened, Seal
from quicchat.errors import RemoteProtocolError
from quicchat.wire.chapters.messages import Message
from quicchat.wire.sealed import Sealed, unpacked

#: So many of one conversation, the latest; those before are looked at again when they are read.
MOST: Final = 512


class Waiting:
    """By conversation and place."""

    def __init__(self) -> None:
        self._events: dict[str, dict[int, Opened]] = {}
        #: Of which session each is: to look into all of them for every key would hold up everything else.
        self._sids: dict[tuple[str, int], bytes | None] = {}

    def add(self, event: Opened) -> None:
        """It waits, or still does."""
        events = self._events.setdefault(event.room, {})
        if (before := events.get(event.seq)) is None or before.sealed != event.sealed:
            self._sids[event.room, event.seq] = _sid(event)
        events[event.seq] = event
        if len(events) > MOST:
            self.drop(events[min(events)])

    def drop(self, event: Message) -> None:
        """It does not wait any more."""
        self._events.get(event.room, {}).pop(event.seq, None)
        self._sids.pop((event.room, event.seq), None)

    def forget(self, room: str) -> None:
        """Nothing of a conversation is true any more."""
        for seq in self._events.pop(room, {}):
            self._sids.pop((room, seq), None)

    def all(self, room: str | None = None) -> list[Opened]:
        """All of one conversation, or of every one, in the order of their places."""
        rooms = self._events if room is None else [room]
        return [each for name in rooms for _, each in sorted(self._events.get(name, {}).items())]

    def of(self, key: Message, sid: bytes) -> list[Opened]:
        """Those that the key of a session may open, which came as this event."""
        return [each for each in self.all(key.room) if each.sender == key.sender and self._is_of(each, sid)]

    def before(self, key: Message, sid: bytes) -> list[Opened]:
        """Those by the same device that still wait for the key of another session, and were said before this one."""
        return [
            each
            for each in self.all(key.room)
            if each.seal is Seal.WAITING
            and (each.sender, each.device) == (key.sender, key.device)
            and each.seq < key.seq
            and not self._is_of(each, sid)
        ]

    def _is_of(self, event: Message, sid: bytes) -> bool:
        return self._sids.get((event.room, event.seq)) == sid


def _sid(event: Message) -> bytes | None:
    try:
        return unpacked(Sealed, event.sealed or b"").sid
    except RemoteProtocolError:
        return None
