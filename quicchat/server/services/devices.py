"""Devices: one's own sessions listed and ended, and the password that ends them all. (spec 04-accounts)"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from quicchat.errors import Code, Refused
from quicchat.protocol.scram import demand
from quicchat.server.effects import Close, Departed, Disown, Effects, Reply
from quicchat.server.handler import handles
from quicchat.server.model import Actor, Credentials, Patience, Policy
from quicchat.server.ports import Accounts, Clock, Roster
from quicchat.wire.chapters.accounts import SESSIONS, Password, Revoke, Sessions
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Device

#: Devices looked at for one list: those that are here, and those that may come back.
_DEVICES = 256
#: Tries to change a password from one network within the span.
_TRIES, _SPAN = 5, 600_000
_ENDED = "This session was ended by its user."


class Devices:
    """What a user may do about his sessions; those of others do not exist here."""

    def __init__(self, accounts: Accounts, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._accounts = accounts
        self._roster = roster
        self._clock = clock
        self._policy = policy
        self._tries = Patience()

    @handles(Sessions)
    async def listed(self, actor: Actor, pdu: Sessions) -> Effects:
        known = await self._accounts.devices(actor.name, limit=_DEVICES)
        here = self._roster.sessions(actor.name)
        by_device = {each.device: each for each in known}
        rows: list[tuple[int, Device, str, str, int, bool]] = []
        for each in here:
            found = by_device.pop(each.device, None)
            name, since = (found.name, found.seen) if found else ("", 0)
            rows.append((each.session, each.device, name, each.address[:64], since, each.session == actor.session))
        rows.sort(key=lambda row: not row[-1])
        now = self._clock.now()
        rows += [(0, each.device, each.name, "", each.seen, False) for each in by_device.values() if each.expires > now]
        return [Reply(Sessions(sessions=tuple(rows[:SESSIONS])))]

    @handles(Revoke)
    async def revoke(self, actor: Actor, pdu: Revoke) -> Effects:
        if (pdu.session is None) == (pdu.device is None):
            raise Refused(Code.SCHEMA, "One session or one device is ended.")
        here = self._roster.claims(actor.name)
        device = Device(pdu.device) if pdu.device is not None else None
        if device is None:
            device = next((each.device for each in here if each.session == pdu.session), None)
        if device is not None:
            await self._accounts.revoke(actor.name, device)
        # Looked at again: who was only being logged in may have arrived while the store was asked.
        ended = [each for each in self._roster.claims(actor.name) if each.device == device]
        return [Reply(Ok()), Disown(), *_ended(ended)]

    @handles(Password)
    async def change(self, actor: Actor, pdu: Password) -> Effects:
        demand(pdu.iterations, self._policy.least_iterations)
        keys = Credentials(
            salt=pdu.salt, iterations=pdu.iterations, stored_key=pdu.stored_key, server_key=pdu.server_key
        )
        place, now = f"{actor.name} {actor.network}", self._clock.now()
        if self._tries.count(place, since=now - _SPAN) >= _TRIES:
            raise Refused(Code.RATE_LIMITED, retry_after=_SPAN)
        delay = self._tries.delay(place, now)
        # Counted before it is known whether it is right: requests are pipelined.
        self._tries.add(place, now)
        await self._clock.sleep(delay)
        current = hashlib.sha256(pdu.current).digest()
        await self._accounts.set_credentials(actor.name, keys, current=current, keep=actor.device)
        others = [each for each in self._roster.claims(actor.name) if each.session != actor.session]
        return [Reply(Ok()), Disown(), *_ended(others)]

    @handles(Departed)
    async def departed(self, actor: Actor, pdu: Departed) -> Effects:
        if actor.user is not None:
            await self._accounts.seen(actor.user, actor.device, at=self._clock.now())
        return []


def _ended(sessions: Sequence[Actor]) -> Effects:
    return [Close(Code.TOKEN_EXPIRED, _ENDED, session=each.session) for each in sessions]
