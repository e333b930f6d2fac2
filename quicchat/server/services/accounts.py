"""Accounts: sign-up and login, and what an attacker learns from them: nothing. (spec 04-accounts)"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from quicchat.errors import Code, Refused
from quicchat.protocol.scram import ServerLogin, decoy, demand
from quicchat.server.effects import Admit, Close, Deliver, Departed, Effects, InRooms, Reply
from quicchat.server.handler import handles
from quicchat.server.model import TOKEN_LIFE, Actor, Credentials, Head, Patience, Policy, SessionId
from quicchat.server.ports import Accounts, Clock, Roster
from quicchat.server.rules import in_version_1
from quicchat.values import dataclass
from quicchat.wire.chapters.accounts import HEADS, MECHANISM, AuthChallenge, AuthOk, AuthResponse, AuthStart, Signup
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import GENERAL, User

log = logging.getLogger("quicchat.server")

#: Wrong passwords before the connection is closed, and NAME_TAKEN answers to one address before it must wait.
TRIES = 3
_TAKEN_ANSWERS, _TAKEN_SPAN = 3, 600_000


@dataclass(slots=True)
class _Attempt:
    """A connection's login under way."""

    user: User
    login: ServerLogin | None = None
    keys: Credentials | None = None
    device_name: str = ""
    known: bool = False
    failures: int = 0


class AccountService:
    """Sign-up and login. Wrong name and wrong password take the same way, the same time, the same words."""

    def __init__(self, accounts: Accounts, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._accounts = accounts
        self._roster = roster
        self._clock = clock
        self._policy = policy
        self._attempts: dict[SessionId, _Attempt] = {}
        self._wrong = Patience()
        self._taken = Patience()

    @handles(Signup)
    async def sign_up(self, actor: Actor, pdu: Signup) -> Effects:
        if not self._may_sign_up(pdu):
            raise Refused(Code.SIGNUP_CLOSED)
        demand(pdu.iterations, self._policy.least_iterations)
        now = self._clock.now()
        if self._taken.count(actor.network, since=now - _TAKEN_SPAN) >= _TAKEN_ANSWERS:
            raise Refused(Code.RATE_LIMITED, retry_after=_TAKEN_SPAN)
        keys = Credentials(
            salt=pdu.salt, iterations=pdu.iterations, stored_key=pdu.stored_key, server_key=pdu.server_key
        )
        try:
            events = await self._accounts.sign_up(User(pdu.user), keys, at=now)
        except Refused as refusal:
            if refusal.code is Code.NAME_TAKEN:
                self._taken.add(actor.network, now)
            raise
        told = [Deliver(each.message, InRooms(frozenset({GENERAL})), in_version_1(each.message)) for each in events]
        return [Reply(Ok()), *told]

    @handles(AuthStart)
    async def start(self, actor: Actor, pdu: AuthStart) -> Effects:
        if pdu.mechanism != MECHANISM:
            raise Refused(Code.AUTH_FAILED, f"The mechanism here is {MECHANISM}.")
        user = User(pdu.user)
        # Begun before anything is awaited, so that it ends with a connection that is gone before the answer.
        attempt = self._attempts.setdefault(actor.session, _Attempt(user))
        found = await self._accounts.credentials(user)
        # Made for those who exist too, so that both take the same time.
        nobodys = decoy(await self._accounts.secret(), user, self._policy.least_iterations)
        attempt.user, attempt.known, attempt.device_name = user, found is not None, pdu.device_name or ""
        attempt.keys = found or nobodys
        attempt.login = ServerLogin(user, pdu.data, attempt.keys, self._clock.random(18))
        return [Reply(AuthChallenge(data=attempt.login.challenge))]

    @handles(AuthResponse)
    async def respond(self, actor: Actor, pdu: AuthResponse) -> Effects:
        attempt = self._attempts[actor.session]
        assert attempt.login is not None
        assert attempt.keys is not None
        token = self._clock.random(32) if actor.version > 1 else None
        expires = self._clock.now() + TOKEN_LIFE
        try:
            proof = attempt.login.verify(pdu.data, actor.binding, blind=self._policy.blind_clients)
            if not attempt.known:
                raise Refused(Code.AUTH_FAILED)
            # Claimed before anything is awaited, so that of two logins at once each knows of the other.
            replaced = self._roster.claim(attempt.user, actor, alone=self._policy.sessions == "single")
            heads = await self._accounts.admit(
                attempt.user,
                actor.device,
                attempt.device_name,
                token=hashlib.sha256(token).digest() if token else None,
                expires=expires,
                proven=attempt.keys.stored_key,
                at=self._clock.now(),
            )
        except Refused as refusal:
            self._roster.release(actor.session)
            if refusal.code in (Code.AUTH_FAILED, Code.DOWNGRADE):
                return await self._failed(actor, attempt, refusal)
            raise
        self._attempts.pop(actor.session, None)
        if attempt.keys.iterations < self._policy.least_iterations:
            log.info("weak password hash", extra={"user": attempt.user, "iterations": attempt.keys.iterations})
        answer = AuthOk(
            user=attempt.user,
            session=actor.session,
            token=token,
            expires=expires if token else None,
            proof=proof,
            heads=tuple((each.room, each.epoch, each.head, each.delivered) for each in _most_urgent(heads)),
            welcome=self._policy.welcome,
        )
        ended = [Close(Code.SESSION_REPLACED, session=each.session) for each in replaced]
        return [Admit.into(attempt.user, heads), Reply(answer), *ended]

    @handles(Departed)
    async def departed(self, actor: Actor, pdu: Departed) -> Effects:
        self._attempts.pop(actor.session, None)
        self._roster.release(actor.session)
        return []

    def _may_sign_up(self, pdu: Signup) -> bool:
        if self._policy.signup == "invite":
            return pdu.invite in self._policy.invites
        return self._policy.signup == "open"

    async def _failed(self, actor: Actor, attempt: _Attempt, refusal: Refused) -> Effects:
        """Refuse, later with every failure of this name from this network, and not for ever."""
        now = self._clock.now()
        place = f"{attempt.user} {actor.network}"
        delay = self._wrong.delay(place, now)
        # Counted before the wait, so that many connections at once do not share the first one's.
        self._wrong.add(place, now)
        await self._clock.sleep(delay)
        attempt.failures += 1
        if attempt.failures >= TRIES or refusal.code is Code.DOWNGRADE:
            return [Close(refusal.code, refusal.text)]
        raise refusal


def _most_urgent(heads: Sequence[Head]) -> Sequence[Head]:
    """As many heads as AUTH_OK holds: of somebody with very many direct messages, those with news come first."""
    if len(heads) <= HEADS:
        return heads
    return sorted(heads, key=lambda each: each.delivered >= each.head)[:HEADS]
