"""Device lists, the keys of devices, backups, and readers of KEY events in memory. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory.state import KeyOf, Place, State
from quicchat.server.model import (
    KEYS_SIZE,
    PRESENCE_ROOM,
    WAITING_EACH,
    WAITING_LIFE,
    Backup,
    DeviceKey,
    Published,
    SignedList,
    UserKeys,
)
from quicchat.server.rules import check_entries, told
from quicchat.wire.chapters.rooms import ENCRYPTED
from quicchat.wire.names import Device, Room, User


class MemoryKeys:
    """The port `Keys`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def publish(self, user: User, key: DeviceKey, signed: SignedList | None, *, at: int) -> Published:
        state = self._state
        state.check_open()
        if user not in state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        earlier = state.lists.get(user)
        fresh = signed is not None and signed != earlier
        if signed is not None and fresh and earlier is not None and signed.serial <= earlier.serial:
            raise Refused(Code.KEYS_STALE)
        now = signed or earlier
        keys = dict(state.keys.get(user, {}))
        own = keys.pop(key.device, None)
        same = [device for device, each in keys.items() if each.key.fingerprint == key.fingerprint]
        if any(keys[device].key.certificate != key.certificate for device in same):
            raise Refused(Code.FORBIDDEN)
        prints = () if now is None else now.fingerprints
        news = fresh or own is None or own.key != key
        kept = {
            device: KeyOf(each.key, each.at, each.key.fingerprint in prints)
            for device, each in keys.items()
            if device not in same and (each.key.fingerprint in prints or not each.listed)
        }
        kept[key.device] = KeyOf(key, at if news or own is None else own.at, key.fingerprint in prints)
        if now is not None and told(user, now, _certificates(kept)).size > KEYS_SIZE:
            raise Refused(Code.LIMIT)
        waiting = [device for device, each in kept.items() if not each.listed]
        waiting.sort(key=lambda device: (device != key.device, -kept[device].at, device))
        for device in waiting[WAITING_EACH:]:
            del kept[device]
        state.keys[user] = kept
        if now is not None:
            state.lists[user] = now
        return Published(news=news, listed=key.fingerprint in prints, serial=0 if now is None else now.serial)

    async def of(self, users: Sequence[tuple[User, int]], *, budget: int) -> Sequence[UserKeys]:
        self._state.check_open()
        found: list[UserKeys] = []
        for user, held in users:
            signed = self._state.lists.get(user)
            if signed is None or signed.serial == held:
                keys = UserKeys(user=user, serial=0 if signed is None else held)
            else:
                keys = told(user, signed, _certificates(self._state.keys[user]))
            budget -= keys.size
            if budget < 0 and found:
                break
            found.append(keys)
        return found

    async def waiting(self, user: User, *, at: int) -> Sequence[DeviceKey]:
        self._state.check_open()
        here = {
            device
            for device, known in self._state.devices.get(user, {}).items()
            if known.token is not None and known.seen > at - WAITING_LIFE
        }
        keys = self._state.keys.get(user, {})
        found = [each for device, each in keys.items() if not each.listed and device in here]
        return [each.key for each in sorted(found, key=lambda each: (-each.at, each.key.device))]

    async def concerned(self, user: User) -> frozenset[Room]:
        self._state.check_open()
        return frozenset(
            name
            for name, room in self._state.rooms_of(user)
            if name.startswith("@") or room.policy & ENCRYPTED or len(room.seats) <= PRESENCE_ROOM
        )

    async def back_up(self, user: User, generation: int, part: int, data: bytes, *, most: int) -> None:
        state = self._state
        state.check_open()
        if user not in state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        before, parts = state.backups.get(user, (0, []))
        if generation < before:
            raise Refused(Code.KEYS_STALE)
        parts = [] if generation > before else list(parts)
        if part > len(parts):
            raise Refused(Code.SCHEMA)
        parts[part : part + 1] = [data]
        if sum(map(len, parts)) > most:
            raise Refused(Code.QUOTA)
        state.backups[user] = generation, parts

    async def restore(self, user: User, part: int) -> Backup:
        self._state.check_open()
        generation, parts = self._state.backups.get(user, (0, []))
        return Backup(generation=generation, count=len(parts), data=parts[part] if part < len(parts) else b"")


def _certificates(keys: Mapping[Device, KeyOf]) -> dict[bytes, bytes]:
    return {each.key.fingerprint: each.key.certificate for each in keys.values()}


def readers(state: State, found: Place, packets: Mapping[int, bytes]) -> dict[tuple[User, Device], tuple[int, bytes]]:
    """For which devices of members entries are. Raises Refused(KEYS_STALE) where one is for none."""
    devices = {
        (user, device): each.key.handle
        for user in found.seats
        for device, each in state.keys.get(user, {}).items()
        if each.listed and each.key.handle in packets
    }
    check_entries(packets, devices)
    return {device: (handle, packets[handle]) for device, handle in devices.items()}
