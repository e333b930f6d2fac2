"""How far one's own messages have come with the others; pure. (spec 06-messages)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from quicchat.client.events import Progress, Sent
from quicchat.client.memory import Entry
from quicchat.client.outbox import Outbox
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import ReceiptEvent, ReceiptList

#: Rooms of which a client asks after its login how far the others have come.
ROOMS: Final = 64

Row = tuple[str, str, int, int, int]


@dataclass(frozen=True, slots=True)
class _Stand:
    """How far somebody has come."""

    delivered: int = 0
    read: int = 0
    at: int = 0


class Tracker:
    """Who holds and has read what, room by room. A method returns what is news of one's own messages."""

    def __init__(self, outbox: Outbox, rows: Iterable[Row] = ()) -> None:
        self._outbox = outbox
        self._stands: dict[str, dict[str, _Stand]] = {}
        for room, user, delivered, read, at in rows:
            self._stands.setdefault(room, {})[user] = _Stand(delivered, read, at)

    def rows(self, room: str) -> list[Row]:
        """[room, user, delivered, read, when] of everybody known."""
        stands = self._stands.get(room, {})
        return [(room, user, each.delivered, each.read, each.at) for user, each in sorted(stands.items())]

    def unfinished(self) -> list[str]:
        """The rooms with messages of one's own that somebody may not have read, those written to last first."""
        own = sorted(self._outbox.own, key=lambda each: each.order, reverse=True)
        rooms = dict.fromkeys(each.room for each in own if each.state < Sent.READ or not each.room.startswith("@"))
        return list(rooms)[:ROOMS]

    def heard(self, pdu: ReceiptEvent) -> list[Progress]:
        """Somebody came further, or in a large room a number of people."""
        if pdu.user is None:
            return self._counted(pdu.room, pdu.delivered, pdu.count or 0, pdu.at)
        return self._moved(pdu.room, pdu.user, pdu.delivered or 0, pdu.read or 0, pdu.at or 0)

    def listed(self, pdu: ReceiptList) -> list[Progress]:
        """How far everybody is."""
        news: list[Progress] = []
        for user, delivered, read, at in pdu.people:
            news += self._moved(pdu.room, user, delivered, read, at)
        return news

    def stored(self, entry: Entry) -> list[Progress]:
        """A message has its place; somebody may have been told before us."""
        news: list[Progress] = []
        for user, stand in sorted(self._stands.get(entry.room, {}).items()):
            news += self._crossed(entry, user, _Stand(), stand)
        return news

    def forget(self, room: str) -> None:
        """The places of a room mean something else now."""
        self._stands.pop(room, None)

    def _moved(self, room: str, user: str, delivered: int, read: int, at: int) -> list[Progress]:
        stands = self._stands.setdefault(room, {})
        old = stands.get(user, _Stand())
        # Who has read something holds it.
        new = _Stand(max(old.delivered, delivered, read), max(old.read, read), at or old.at)
        stands[user] = new
        if (old.delivered, old.read) == (new.delivered, new.read):
            return []
        own = [each for each in self._outbox.own if each.room == room]
        return [news for each in own for news in self._crossed(each, user, old, new)]

    def _crossed(self, entry: Entry, user: str, old: _Stand, new: _Stand) -> list[Progress]:
        """What of a step from one stand to another concerns a message."""
        seq = entry.seq or 0
        state = (
            Sent.READ
            if old.read < seq <= new.read
            else Sent.DELIVERED
            if old.delivered < seq <= new.delivered
            else None
        )
        if state is None:
            return []
        self._outbox.reached(entry.cid, state)
        people = self._stands[entry.room].values()
        count = sum((each.read if state is Sent.READ else each.delivered) >= seq for each in people)
        return [Progress(entry.cid, entry.room, seq, state, by=user, at=new.at or None, count=count)]

    def _counted(self, room: str, delivered: int | None, count: int, at: int | None) -> list[Progress]:
        news: list[Progress] = []
        for entry in self._outbox.own:
            if entry.room == room and (entry.seq or 0) <= (delivered or 0) and count:
                self._outbox.reached(entry.cid, Sent.DELIVERED)
                news.append(Progress(entry.cid, room, entry.seq, Sent.DELIVERED, at=at, count=count))
        return news
