"""History: what was said is read again: in pages, by its words, and which conversations moved. (spec 06-messages)"""

from __future__ import annotations

from quicchat.errors import Code, Refused
from quicchat.server import rules
from quicchat.server.effects import Effect, Effects, Lagging, Reply, Then
from quicchat.server.handler import handles
from quicchat.server.model import Actor
from quicchat.server.ports import Log
from quicchat.wire import codec
from quicchat.wire.chapters.messages import (
    Found,
    History,
    HistoryPage,
    ListTargets,
    Message,
    Search,
    TargetList,
    Window,
)
from quicchat.wire.chapters.rooms import RoomHead
from quicchat.wire.names import Room
from quicchat.wire.search import wanted

_PAGE = 100
#: Bytes of events in a page, so that it fits a frame of the default limit with room to spare.
_BUDGET = 48 * 1024


class HistoryService:
    """Reads the logs and writes nothing."""

    def __init__(self, log: Log) -> None:
        self._log = log

    @handles(History)
    async def history(self, actor: Actor, pdu: History) -> Effects:
        if pdu.anchor is None and pdu.window is not Window.LATEST:
            raise Refused(Code.SCHEMA, "This window needs an anchor.")
        if pdu.until is None and pdu.window is Window.BETWEEN:
            raise Refused(Code.SCHEMA, "This window needs an end.")
        page = await self._log.page(
            Room(pdu.room),
            actor.name,
            window=pdu.window,
            anchor=pdu.anchor or 0,
            limit=min(pdu.limit or _PAGE, actor.page),
            budget=_BUDGET,
            until=pdu.until or 0,
            device=actor.device,
        )
        return [
            Reply(HistoryPage(room=pdu.room, epoch=page.epoch, first=page.first, head=page.head, events=page.events))
        ]

    @handles(Search)
    async def search(self, actor: Actor, pdu: Search) -> Effects:
        words = wanted(pdu.words)
        if not words:
            raise Refused(Code.SCHEMA, "There is no word to search for.")
        room = None if pdu.room is None else Room(pdu.room)
        limit = pdu.limit or _PAGE
        found = await self._log.search(actor.name, words, room=room, after=pdu.after, limit=limit, budget=_BUDGET)
        return [Reply(Found(events=found.events, next=found.next))]

    @handles(ListTargets)
    async def targets(self, actor: Actor, pdu: ListTargets) -> Effects:
        limit = pdu.limit or _PAGE
        after = None if pdu.after is None else Room(pdu.after)
        found = await self._log.targets(actor.name, after=after, limit=limit + 1)
        rows = tuple(
            (each.room, each.epoch, each.head, each.read, each.unread, each.mentions) for each in found[:limit]
        )
        return [Reply(TargetList(targets=rows, more=len(found) > limit))]

    @handles(Lagging)
    async def catch_up(self, actor: Actor, pdu: Lagging) -> Effects:
        """A version-2 client is told the heads and fetches; to a version-1 client the server reads aloud."""
        effects: list[Effect] = []
        for room, after in pdu.after.items():
            if actor.version == 1 and not rules.is_told_in_version_1(room):
                continue
            limit = _PAGE if actor.version == 1 else 1
            page = await self._log.page(
                room, actor.name, window=Window.AFTER, anchor=after, limit=limit, budget=_BUDGET
            )
            if actor.version > 1:
                effects.append(Reply(RoomHead(room=room, epoch=page.epoch, head=page.head)))
                continue
            for body in page.events:
                message = codec.decode_body(Message, body, version=2)
                after = message.seq
                if (older := rules.in_version_1(message)) is not None:
                    effects.append(Reply(older))
            if page.events and after < page.head:
                effects.append(Then(actor, Lagging({room: after})))
        return effects
