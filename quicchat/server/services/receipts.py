"""Receipts: how far people have come is stored at once, and told to those concerned now and then. (spec 06-messages)"""

from __future__ import annotations

from dataclasses import field

from quicchat.errors import Refused
from quicchat.server.effects import Deliver, Effect, Effects, OfUsers, Reply, Then, Tidings
from quicchat.server.handler import handles
from quicchat.server.model import BY_NAME, Actor, Moved, Progress, Unread
from quicchat.server.ports import Clock, Log
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import ListReceipts, Receipt, ReceiptEvent, ReceiptList
from quicchat.wire.names import Room, User

#: The least time between two tidings from one room, in ms.
_PAUSE = 300


@dataclass(slots=True)
class _News:
    """What is to be told of a room: of each of its members in small ones, else only how far the first are."""

    people: dict[User, tuple[Progress, frozenset[User]]] = field(default_factory=dict)
    furthest: int = 0
    senders: set[User] = field(default_factory=set)


class ReceiptService:
    """The cursor in the store is the truth; what is told of it is a hint, and may be late or get lost."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._news: dict[Room, _News] = {}
        #: When each room was last told of, the longest ago first.
        self._told: dict[Room, int] = {}

    @handles(Receipt)
    async def receipt(self, actor: Actor, pdu: Receipt) -> Effects:
        room = Room(pdu.room)
        moved = await self._log.receipt(
            room,
            actor.name,
            actor.device,
            delivered=pdu.delivered,
            read=pdu.read,
            private=bool(pdu.private),
            at=self._clock.now(),
        )
        if moved is None:
            return []
        effects: list[Effect] = []
        if moved.shown is not None and moved.senders:
            if room not in self._news:
                effects.append(Then(actor, Tidings(room)))
            self._note(room, moved, moved.shown)
        if moved.own is not None:
            effects.append(_own(actor, room, moved.own))
        return effects

    @handles(Tidings)
    async def tell(self, actor: Actor, pdu: Tidings) -> Effects:
        """At once after a quiet time, else when the pause is over; what comes meanwhile is told with it."""
        elapsed = self._clock.now() - self._told.get(pdu.room, 0)
        if 0 <= elapsed < _PAUSE:
            await self._clock.sleep((_PAUSE - elapsed) / 1000)
        news = self._news.pop(pdu.room)
        self._remember(pdu.room)
        if news.people:
            return [
                Deliver(
                    ReceiptEvent(room=pdu.room, user=user, delivered=way.delivered, read=way.read, at=way.at),
                    OfUsers(senders),
                )
                for user, (way, senders) in news.people.items()
            ]
        try:
            count = await self._log.holding(pdu.room, news.furthest)
        except Refused:
            return []
        event = ReceiptEvent(room=pdu.room, delivered=news.furthest, at=self._clock.now(), count=count)
        return [Deliver(event, OfUsers(frozenset(news.senders)))]

    @handles(ListReceipts)
    async def listed(self, actor: Actor, pdu: ListReceipts) -> Effects:
        found = await self._log.progress(Room(pdu.room), actor.name)
        people = tuple((each.user, each.delivered, each.read, each.at) for each in found.people)
        return [Reply(ReceiptList(room=pdu.room, people=people, count=found.count))]

    def _note(self, room: Room, moved: Moved, shown: Progress) -> None:
        news = self._news.setdefault(room, _News())
        if moved.members <= BY_NAME:
            _, earlier = news.people.get(shown.user, (shown, frozenset[User]()))
            news.people[shown.user] = shown, earlier | moved.senders
        else:
            news.furthest = max(news.furthest, shown.delivered)
            news.senders |= moved.senders

    def _remember(self, room: Room) -> None:
        now = self._clock.now()
        self._told.pop(room, None)
        self._told[room] = now
        while (oldest := next(iter(self._told))) != room and not 0 <= now - self._told[oldest] < _PAUSE:
            del self._told[oldest]


def _own(actor: Actor, room: Room, own: Unread) -> Deliver:
    """What the user's other devices are told when he has read."""
    event = ReceiptEvent(room=room, user=actor.name, read=own.read, unread=own.unread, mentions=own.mentions)
    return Deliver(event, OfUsers(frozenset({actor.name})), but=actor.session)
