"""Messages: stored first, then acknowledged, then told to those concerned. (spec 06-messages)"""

from __future__ import annotations

import hashlib

from quicchat.errors import Code, Refused
from quicchat.server import model
from quicchat.server.effects import Deliver, Effect, Effects, InRooms, Lagging, Reply, Then
from quicchat.server.handler import handles
from quicchat.server.model import Actor, Policy, SessionId
from quicchat.server.ports import Clock, Log, Roster
from quicchat.wire import codec
from quicchat.wire.chapters.messages import (
    POSTABLE,
    History,
    HistoryPage,
    Kind,
    Message,
    Post,
    Posted,
    Receipt,
    Recipient,
    Window,
)
from quicchat.wire.chapters.rooms import RoomHead
from quicchat.wire.names import ANNOUNCEMENTS, PARROT, Device, Room, User, direct, parties

_PAGE = 100
#: Bytes of events in a page, so that it fits a frame of the default limit with room to spare.
_BUDGET = 48 * 1024


class Messages:
    """Posting, fetching, and how far people have come."""

    def __init__(self, log: Log, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._log = log
        self._roster = roster
        self._clock = clock
        self._policy = policy

    @handles(Post)
    async def post(self, actor: Actor, pdu: Post) -> Effects:
        room = self._addressed(actor, pdu)
        if pdu.kind is not None and pdu.kind not in POSTABLE:
            raise Refused(Code.FORBIDDEN, "Only the server records such events.")
        if not pdu.text:
            raise Refused(Code.SCHEMA, "An empty message says nothing.")
        stored = await self._log.append(room, actor.name, actor.device, pdu, at=self._clock.now())
        message = stored.message
        effects: list[Effect] = [Reply(self._ack(actor, stored))]
        if not stored.dup:
            older = model.in_version_1(message)
            effects.append(Deliver(message, InRooms(frozenset({room})), older=older, but=actor.session))
            if PARROT in (parties(room) or ()) and actor.name != PARROT:
                effects.append(Then(_PARROT, _parroted(message)))
        return effects

    @handles(History)
    async def history(self, actor: Actor, pdu: History) -> Effects:
        if pdu.anchor is None and pdu.window is not Window.LATEST:
            raise Refused(Code.SCHEMA, "This window needs an anchor.")
        page = await self._log.page(
            Room(pdu.room),
            actor.name,
            window=pdu.window,
            anchor=pdu.anchor or 0,
            limit=pdu.limit or _PAGE,
            budget=_BUDGET,
        )
        return [
            Reply(HistoryPage(room=pdu.room, epoch=page.epoch, first=page.first, head=page.head, events=page.events))
        ]

    @handles(Receipt)
    async def receipt(self, actor: Actor, pdu: Receipt) -> Effects:
        await self._log.receipt(Room(pdu.room), actor.name, actor.device, delivered=pdu.delivered, read=pdu.read)
        return []

    @handles(Lagging)
    async def catch_up(self, actor: Actor, pdu: Lagging) -> Effects:
        """A version-2 client is told the heads and fetches; to a version-1 client the server reads aloud."""
        effects: list[Effect] = []
        for room, after in pdu.after.items():
            page = await self._log.page(
                room, actor.name, window=Window.AFTER, anchor=after, limit=_PAGE, budget=_BUDGET
            )
            if actor.version > 1:
                effects.append(Reply(RoomHead(room=room, epoch=page.epoch, head=page.head)))
                continue
            for body in page.events:
                message = codec.decode_body(Message, body, version=2)
                after = message.seq
                if (older := model.in_version_1(message)) is not None:
                    effects.append(Reply(older))
            if page.events and after < page.head:
                effects.append(Then(actor, Lagging({room: after})))
        return effects

    def _addressed(self, actor: Actor, pdu: Post) -> Room:
        """The room a post is for. Raises Refused where it names none, two, or somebody else's."""
        if self._policy.echo_only and actor.name != PARROT:
            return direct(actor.name, PARROT)
        if (pdu.room is None) == (pdu.user is None):
            raise Refused(Code.SCHEMA, "A message goes to one room or to one user.")
        room = Room(pdu.room) if pdu.room is not None else direct(actor.name, User(pdu.user or ""))
        if not model.is_party(actor.name, room):
            raise Refused(Code.NOT_MEMBER)
        announcers = self._policy.announcers
        if room == ANNOUNCEMENTS and announcers is not None and actor.name not in announcers:
            raise Refused(Code.FORBIDDEN, "Only announcers may broadcast here.")
        return room

    def _ack(self, actor: Actor, stored: model.Stored) -> Posted:
        message = stored.message
        both = parties(Room(message.room))
        recipient = None
        if both is not None:
            online = all(self._roster.sessions(user) or user == PARROT for user in both)
            recipient = Recipient.ONLINE if online else Recipient.OFFLINE
        return Posted(
            cid=message.cid,
            room=message.room,
            seq=message.seq,
            ts=message.ts,
            dup=stored.dup or None,
            recipient=recipient,
            epoch=message.epoch,
        )


_PARROT = Actor(session=SessionId(0), address="built-in", version=2, device=Device(bytes(16)), binding=b"", user=PARROT)


def _parroted(message: Message) -> Post:
    """What the built-in user answers; the id follows from the message's, so that a retry is no second answer."""
    cid = hashlib.sha256(b"parrot" + message.cid).digest()[:16]
    return Post(user=message.sender, cid=cid, kind=Kind.TEXT, text=message.text or "")
