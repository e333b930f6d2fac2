"""Long bodies: put aside in pieces before a message names them, and read again by its room. (spec 06-messages)"""

from __future__ import annotations

from quicchat.server.effects import Effects, Reply
from quicchat.server.handler import handles
from quicchat.server.model import Actor
from quicchat.server.ports import Clock, Log
from quicchat.wire.chapters.messages import PIECE, BodyPiece, GetBody, PutBody
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Room


class BodyService:
    """What does not fit the text of a message."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    @handles(PutBody)
    async def put(self, actor: Actor, pdu: PutBody) -> Effects:
        now = self._clock.now()
        await self._log.put_body(actor.name, pdu.digest, pdu.size, pdu.offset, pdu.data, at=now)
        return [Reply(Ok())]

    @handles(GetBody)
    async def get(self, actor: Actor, pdu: GetBody) -> Effects:
        room = Room(pdu.room)
        piece = await self._log.body(room, actor.name, pdu.seq, pdu.digest, pdu.offset, limit=PIECE)
        return [Reply(BodyPiece(digest=pdu.digest, size=piece.size, offset=pdu.offset, data=piece.data))]
