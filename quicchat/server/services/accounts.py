"""Accounts: sign-up and login, and what an attacker learns from them: nothing. (spec 04-accounts)"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from quicchat.errors import Code, Refused
from quicchat.protocol.scram import Credentials, ServerLogin, decoy
from quicchat.server.effects import Admit, Close, Deliver, Departed, Effect, Effects, InRooms, Reply
from quicchat.server.handler import handles
from quicchat.server.model import Actor, Head, Policy, SessionId, in_version_1
from quicchat.server.ports import Accounts, Clock, Roster
from quicchat.wire.chapters.accounts import HEADS, MECHANISM, AuthChallenge, AuthOk, AuthResponse, AuthStart, Signup
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import GENERAL, User

#: Wrong passwords before the connection is closed, and NAME_TAKEN answers to one address before it must wait.
TRIES = 3
_TAKEN_ANSWERS, _TAKEN_SPAN = 3, 600_000

#: Places remembered; the longest unheard-of is forgotten first, so that an attacker cannot fill the memory.
_PLACES = 10_000
_SPAN = 600_000
_LONGEST = 5.0


class Patience:
    """How often something went wrong from one place lately: times (Unix ms) by place."""

    def __init__(self) -> None:
        self._mishaps: OrderedDict[str, list[int]] = OrderedDict()

    def add(self, place: str, now: int) -> None:
        """Something went wrong there."""
        recent = [at for at in self._mishaps.pop(place, []) if at > now - _SPAN]
        self._mishaps[place] = [*recent, now][-20:]
        while len(self._mishaps) > _PLACES:
            self._mishaps.popitem(last=False)

    def count(self, place: str, *, since: int) -> int:
        """Mishaps there after `since`."""
        return sum(at > since for at in self._mishaps.get(place, ()))

    def delay(self, place: str, now: int) -> float:
        """Seconds to wait before the next answer: none at first, doubling from the second mishap on."""
        mishaps = self.count(place, since=now - _SPAN)
        return 0.0 if mishaps == 0 else min(_LONGEST, 0.125 * 2.0**mishaps)


@dataclass(slots=True)
class _Attempt:
    """A connection's login under way."""

    user: User
    login: ServerLogin | None = None
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
        if pdu.iterations < self._policy.least_iterations:
            raise Refused(Code.AUTH_FAILED, f"At least {self._policy.least_iterations} iterations are wanted.")
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
        found = await self._accounts.credentials(user)
        keys = decoy(await self._accounts.secret(), user, self._policy.least_iterations)
        attempt = self._attempts.setdefault(actor.session, _Attempt(user))
        attempt.user, attempt.known, attempt.device_name = user, found is not None, pdu.device_name or ""
        attempt.login = ServerLogin(user, pdu.data, found or keys, self._clock.random(18))
        return [Reply(AuthChallenge(data=attempt.login.challenge))]

    @handles(AuthResponse)
    async def respond(self, actor: Actor, pdu: AuthResponse) -> Effects:
        attempt = self._attempts[actor.session]
        assert attempt.login is not None
        try:
            proof = attempt.login.verify(pdu.data, actor.binding, blind=self._policy.blind_clients)
        except Refused as refusal:
            return await self._failed(actor, attempt, refusal)
        if not attempt.known:
            return await self._failed(actor, attempt, Refused(Code.AUTH_FAILED))
        others = self._roster.sessions(attempt.user)
        if self._policy.sessions == "single" and any(each.device != actor.device for each in others):
            raise Refused(Code.ALREADY_LOGGED_IN)
        heads = await self._accounts.admit(attempt.user, actor.device, attempt.device_name, at=self._clock.now())
        self._attempts.pop(actor.session, None)
        answer = AuthOk(
            user=attempt.user,
            session=actor.session,
            proof=proof,
            heads=tuple((each.room, each.epoch, each.head, each.delivered) for each in _most_urgent(heads)),
            welcome=self._policy.welcome,
        )
        replaced: list[Effect] = [
            Close(Code.SESSION_REPLACED, session=each.session) for each in others if each.device == actor.device
        ]
        rooms = {each.room: each.delivered for each in heads}
        return [Admit(attempt.user, rooms), Reply(answer), *replaced]

    @handles(Departed)
    async def departed(self, actor: Actor, pdu: Departed) -> Effects:
        self._attempts.pop(actor.session, None)
        return []

    def _may_sign_up(self, pdu: Signup) -> bool:
        if self._policy.signup == "invite":
            return pdu.invite in self._policy.invites
        return self._policy.signup == "open"

    async def _failed(self, actor: Actor, attempt: _Attempt, refusal: Refused) -> Effects:
        """Refuse, later with every failure of this name from this network, and not for ever."""
        now = self._clock.now()
        place = f"{attempt.user} {actor.network}"
        await self._clock.sleep(self._wrong.delay(place, now))
        self._wrong.add(place, now)
        attempt.failures += 1
        if attempt.failures >= TRIES or refusal.code is Code.DOWNGRADE:
            return [Close(refusal.code, refusal.text)]
        raise refusal


def _most_urgent(heads: Sequence[Head]) -> Sequence[Head]:
    """As many heads as AUTH_OK holds: of somebody with very many direct messages, those with news come first."""
    if len(heads) <= HEADS:
        return heads
    return sorted(heads, key=lambda each: each.delivered >= each.head)[:HEADS]
