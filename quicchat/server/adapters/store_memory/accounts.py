"""Accounts, their proofs and their devices in memory. (spec 04-accounts)"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory.state import Known, Seat, State
from quicchat.server.gaps import Gaps, judged, lost
from quicchat.server.model import (
    TOKEN_SLACK,
    Credentials,
    Head,
    Installation,
    Stored,
)
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User


class MemoryAccounts:
    """The port `Accounts`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def secret(self) -> bytes:
        self._state.check_open()
        return self._state.secret

    async def is_empty(self) -> bool:
        self._state.check_open()
        return not self._state.accounts

    async def sign_up(self, user: User, credentials: Credentials, *, at: int) -> tuple[Stored, ...]:
        state = self._state
        state.check_open()
        if user in state.accounts:
            raise Refused(Code.NAME_TAKEN)
        state.accounts[user] = credentials
        state.devices[user] = {}
        announced = len(state.rooms[ANNOUNCEMENTS].log)
        state.rooms[ANNOUNCEMENTS].seats[user] = Seat(announced, announced)
        cid = hashlib.sha256(b"quicchat entry " + user.encode()).digest()[:16]
        return (state.enter(GENERAL, user, cid, at),)

    async def credentials(self, user: User) -> Credentials | None:
        self._state.check_open()
        return self._state.accounts.get(user)

    async def set_credentials(
        self, user: User, credentials: Credentials, *, current: bytes | None = None, keep: Device | None = None
    ) -> None:
        self._check(user, current)
        self._state.accounts[user] = credentials
        for device, known in self._state.devices[user].items():
            if device != keep:
                known.token, known.expires = None, 0
        for device in list(self._state.keys.get(user, {})):
            if device != keep:
                self._state.forget_waiting(user, device)

    async def admit(
        self,
        user: User,
        device: Device,
        name: str,
        *,
        token: bytes | None = None,
        expires: int = 0,
        proven: bytes | None = None,
        at: int,
    ) -> tuple[Head, ...]:
        self._check(user, proven)
        devices = self._state.devices[user]
        if device not in devices:
            devices[device] = Known(name, at)
            for _, room in self._state.rooms_of(user):
                delivered = room.seats[user].delivered
                if delivered:
                    delivered[device] = max(delivered.values())
        known = devices[device]
        known.name, known.seen = name, max(known.seen, at)
        if token is not None:
            known.token, known.expires = token, expires
        return self._heads(user, device)

    async def bearer(self, token: bytes, device: Device, *, at: int) -> User:
        self._state.check_open()
        for user, devices in self._state.devices.items():
            known = devices.get(device)
            if known is not None and known.token == token and at < known.expires + TOKEN_SLACK:
                return user
        raise Refused(Code.TOKEN_EXPIRED)

    async def gaps(
        self, user: User, device: Device, *, have: Mapping[Room, tuple[int, int]], outstanding: Sequence[bytes]
    ) -> Gaps:
        state = self._state
        state.check_open()
        gaps = [
            judged(
                name,
                epoch=room.epoch,
                first=1,
                head=len(room.log),
                since=room.seats[user].since,
                delivered=room.seats[user].held_by(device),
                held=have.get(name),
            )
            for name, room in state.rooms_of(user)
        ]
        seen = {gap.room for gap in gaps}
        gaps += [lost(room, epoch) for room, (epoch, _) in have.items() if room not in seen]
        stored = {cid: state.said[user, cid].seq for cid in outstanding if (user, cid) in state.said}
        return Gaps(rooms=tuple(gaps), known=tuple(stored.items()))

    async def rotate(
        self, old: bytes, new: bytes, device: Device, name: str, *, expires: int, at: int
    ) -> tuple[Head, ...]:
        user = await self.bearer(old, device, at=at)
        known = self._state.devices[user][device]
        known.name, known.seen = name or known.name, max(known.seen, at)
        known.token, known.expires = new, expires
        return self._heads(user, device)

    async def seen(self, user: User, device: Device, *, at: int) -> None:
        self._state.check_open()
        known = self._state.devices.get(user, {}).get(device)
        if known is not None:
            known.seen = max(known.seen, at)

    async def devices(self, user: User, *, limit: int) -> Sequence[Installation]:
        self._state.check_open()
        found = sorted(self._state.devices.get(user, {}).items(), key=lambda each: (-each[1].seen, each[0]))
        return [
            Installation(device=device, name=known.name, seen=known.seen, expires=known.expires)
            for device, known in found[:limit]
        ]

    async def revoke(self, user: User, device: Device) -> None:
        self._state.check_open()
        known = self._state.devices.get(user, {}).get(device)
        if known is not None:
            known.token, known.expires = None, 0
        self._state.forget_waiting(user, device)

    def _check(self, user: User, stored_key: bytes | None) -> None:
        self._state.check_open()
        if user not in self._state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        if stored_key not in (None, self._state.accounts[user].stored_key):
            raise Refused(Code.AUTH_FAILED)

    def _heads(self, user: User, device: Device) -> tuple[Head, ...]:
        return tuple(
            Head(room=name, epoch=room.epoch, head=len(room.log), delivered=room.seats[user].held_by(device))
            for name, room in self._state.rooms_of(user)
        )
