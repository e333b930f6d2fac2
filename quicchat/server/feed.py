"""The feed: what of the logs one session has been sent, and what it must still catch up with. (spec 06-messages)

Push is only a hint. A client that cannot take more is sent nothing more of a room until it can, and then told
where the log stands. A version-1 client cannot fetch, so the server keeps its cursors: it is sent each room in
unbroken order, and whatever would leave a gap is read from the log instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from quicchat.wire.chapters.keys import KeysChanged
from quicchat.wire.chapters.messages import Message, Receipt
from quicchat.wire.names import Room
from quicchat.wire.registry import Pdu

#: Unacknowledged bytes beyond which messages are no longer pushed; beyond a quarter of it, ephemera are dropped.
BUDGET: Final = 1_048_576


class Feed:
    """The state of one session's pushes; `backlog` tells how many bytes its client has not acknowledged."""

    def __init__(self, backlog: Callable[[], int], budget: int = BUDGET) -> None:
        self._backlog = backlog
        self._budget = budget
        #: Whether the client wants no events of any log for now.
        self.held = False
        #: Version 1 only: the last place sent of each room, with all before it.
        self.sent: dict[Room, int] = {}
        #: Rooms whose events are not pushed for now, with the last place before the hole.
        self.behind: dict[Room, int] = {}
        #: Places sent since the last PING, and before it; None when no PING is under way.
        self._fresh: dict[Room, int] = {}
        self._probed: dict[Room, int] | None = None
        self._nonce = 0

    def begin(self, rooms: Mapping[Room, int]) -> None:
        """The session is logged in; each room was delivered up to this place."""
        self.sent = dict(rooms)

    def admits(self, pdu: Pdu, version: int) -> bool:
        """Whether to send this now; what is refused here is remembered in `behind`, if it is in a log."""
        if isinstance(pdu, KeysChanged):
            # Who missed it would go on sealing for devices that are gone.
            return True
        if not isinstance(pdu, Message):
            return self._backlog() <= self._budget // 4
        room = Room(pdu.room)
        if version == 1:
            return self._follows(room, pdu.seq)
        if room in self.behind:
            return False
        if self.held or self._backlog() > self._budget:
            self.behind[room] = pdu.seq - 1
            return False
        return True

    def leave(self, room: Room) -> bool:
        """The client hears the room no more: it has nothing to catch up with. Returns whether it had."""
        return self.behind.pop(room, None) is not None

    def own(self, room: Room, seq: int) -> None:
        """The client was told the place of its own message, which is not sent to it."""
        if self.sent.get(room, 0) == seq - 1:
            self._advance(room, seq)

    def recover(self) -> dict[Room, int]:
        """The rooms to catch up with, if the client can take more again; they are pushed again from now on."""
        if self.held or self._backlog() > self._budget // 4:
            return {}
        behind, self.behind = self.behind, {}
        return behind

    def probe(self) -> int | None:
        """The nonce of a PING to send behind what was just sent; None while one is under way or none is needed."""
        if self._probed is not None or not self._fresh:
            return None
        self._probed, self._fresh = self._fresh, {}
        self._nonce += 1
        return self._nonce

    def proven(self, nonce: int) -> Iterable[Receipt]:
        """The PING was answered: receipts for all that stood before it."""
        if self._probed is None or nonce != self._nonce:
            return []
        probed, self._probed = self._probed, None
        return [Receipt(room=room, delivered=seq) for room, seq in probed.items()]

    def _follows(self, room: Room, seq: int) -> bool:
        """Whether this is the next place, which fills a hole too: only so does a catch-up outrun what is pushed."""
        sent = self.sent.get(room, 0)
        if seq <= sent:
            return False
        if seq != sent + 1 or self._backlog() > self._budget:
            self.behind[room] = sent
            return False
        self._advance(room, seq)
        return True

    def _advance(self, room: Room, seq: int) -> None:
        self.sent[room] = self._fresh[room] = seq
        if room in self.behind:
            self.behind[room] = seq
