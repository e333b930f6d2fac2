"""Tokens: a device comes back without a password, and is told what it missed. (spec 04-accounts)"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from quicchat.errors import Code, Refused
from quicchat.server.effects import Admit, Close, Effect, Effects, Reply, Resumption, Settle, Tell
from quicchat.server.gaps import Gap
from quicchat.server.handler import handles
from quicchat.server.model import TOKEN_LIFE, Actor, Policy
from quicchat.server.ports import Accounts, Clock, Log, Roster
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import HEADS, Resume, Resumed, Verdict
from quicchat.wire.chapters.messages import Message, Window
from quicchat.wire.chapters.rooms import RoomHead
from quicchat.wire.names import Device, Room, User

#: What is sent of gaps behind RESUMED without being asked for: more is fetched, as fast as the client likes.
EVENTS = 200
BYTES = 32_768
_TRANSCRIPT = 32


class Resumptions:
    """RESUME is answered by reading alone, since it may be a replay; `Resumption` makes it come true."""

    def __init__(self, accounts: Accounts, log: Log, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._accounts = accounts
        self._log = log
        self._roster = roster
        self._clock = clock
        self._alone = policy.sessions == "single"

    @handles(Resume)
    async def resume(self, actor: Actor, pdu: Resume) -> Effects:
        now = self._clock.now()
        old = hashlib.sha256(pdu.token).digest()
        user = await self._accounts.bearer(old, actor.device, at=now)
        if self._alone and any(each.device != actor.device for each in self._roster.claims(user)):
            raise Refused(Code.ALREADY_LOGGED_IN, "already logged in from another location")
        have = {Room(room): (epoch, place) for room, epoch, place in pdu.have}
        gaps = await self._accounts.gaps(user, actor.device, have=have, outstanding=pdu.outstanding)
        told = _most_urgent(gaps.rooms, have)
        token = self._clock.random(32)
        resumption = Resumption(
            user=user,
            old=old,
            new=hashlib.sha256(token).digest(),
            expires=now + TOKEN_LIFE,
            device_name=pdu.device_name or "",
            heads={gap.room: gap.head for gap in gaps.rooms if gap.verdict is not Verdict.GONE},
        )
        answer = Resumed(
            session=actor.session,
            token=token,
            rooms=tuple((gap.room, gap.epoch, gap.head, gap.place, gap.verdict) for gap in told),
            known=gaps.known,
            user=user,
            expires=resumption.expires,
            proof=hmac.digest(pdu.token, actor.binding[-_TRANSCRIPT:], "sha256"),
        )
        return [Reply(answer), *await self._missed(user, actor.device, told), Settle(resumption)]

    @handles(Resumption)
    async def settle(self, actor: Actor, event: Resumption) -> Effects:
        now = self._clock.now()
        try:
            # Claimed before anything is awaited, as at a login.
            replaced = self._roster.claim(event.user, actor, alone=self._alone)
            heads = await self._accounts.rotate(
                event.old, event.new, actor.device, event.device_name, expires=event.expires, at=now
            )
        except Refused as refusal:
            self._roster.release(actor.session)
            return [Close(refusal.code, refusal.text)]
        if event.heads.keys() - {each.room for each in heads}:
            # He may not read the LEAVE that took a room from him since RESUMED: that told it as his, and is void.
            self._roster.release(actor.session)
            return [Close(Code.OVERLOADED, "A room was lost meanwhile; come back.")]
        moved = [
            Tell(RoomHead(room=each.room, epoch=each.epoch, head=each.head))
            for each in heads
            if each.head != event.heads.get(each.room, 0)
        ]
        ended = [Close(Code.SESSION_REPLACED, session=each.session) for each in replaced]
        return [Admit.into(event.user, heads), *moved, *ended]

    async def _missed(self, user: User, device: Device, gaps: Sequence[Gap]) -> Sequence[Effect]:
        """The events of gaps that are small enough together; whole gaps only, so that the rest is easy to ask for."""
        effects: list[Effect] = []
        budget = BYTES
        for gap in gaps:
            missing = gap.head - gap.place
            if gap.verdict is Verdict.GONE or not 0 < missing <= EVENTS - len(effects):
                continue
            try:
                page = await self._log.page(
                    gap.room,
                    user,
                    window=Window.AFTER,
                    anchor=gap.place,
                    limit=missing,
                    budget=budget,
                    device=device,
                )
            except Refused:  # he lost the room meanwhile; the log tells why, to those who may read it
                continue
            size = sum(map(len, page.events))
            if page.epoch != gap.epoch or len(page.events) < missing or size > budget:
                continue
            budget -= size
            effects += [Tell(codec.decode_body(Message, body, version=2)) for body in page.events]
        return effects


def _most_urgent(gaps: Sequence[Gap], have: dict[Room, tuple[int, int]]) -> Sequence[Gap]:
    """As many as RESUMED holds: those that were asked about first, then those with news."""
    return sorted(gaps, key=lambda gap: (gap.room not in have, gap.place >= gap.head))[:HEADS]
