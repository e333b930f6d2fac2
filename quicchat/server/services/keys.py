"""Keys: made known, told and kept for the devices of users; the server neither signs nor verifies. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quicchat.errors import Code, Refused, RemoteProtocolError
from quicchat.server.effects import Audience, Deliver, Effects, InRooms, OfUsers, Reply
from quicchat.server.handler import handles
from quicchat.server.model import KEYS_SIZE, Actor, DeviceKey, Policy, SignedList
from quicchat.server.ports import Clock, Keys
from quicchat.wire.chapters.keys import BackUp, GetKeys, KeyList, KeysChanged, PublishKeys, Restore, Restored
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import User
from quicchat.wire.sealed import DeviceList, unpacked

#: The version of device lists that is understood.
_LIST: Final = 1
#: Bytes of what is told of devices that wait.
_WAITING_SIZE: Final = 12 * 1024


class KeyService:
    """What devices say of their keys goes on as it came; who reads it judges it."""

    def __init__(self, keys: Keys, clock: Clock, policy: Policy) -> None:
        self._keys = keys
        self._clock = clock
        self._policy = policy

    @handles(PublishKeys)
    async def publish(self, actor: Actor, pdu: PublishKeys) -> Effects:
        key = DeviceKey(
            device=actor.device,
            fingerprint=pdu.fingerprint,
            handle=pdu.handle,
            name=pdu.name,
            certificate=pdu.certificate,
        )
        if key.size > _WAITING_SIZE:
            raise Refused(Code.LIMIT, "That certificate is too long.")
        signed = _signed(actor.name, pdu)
        # Asked first: where it fails, nothing is published that nobody is told of.
        rooms = await self._keys.concerned(actor.name)
        published = await self._keys.publish(actor.name, key, signed, at=self._clock.now())
        if not published.news:
            return [Reply(Ok())]
        to: Audience = OfUsers(frozenset({actor.name}))
        if rooms and (signed is not None or published.listed):
            # His own sessions hear these rooms too.
            to = InRooms(rooms)
        return [Reply(Ok()), Deliver(KeysChanged(user=actor.name, serial=published.serial), to, but=actor.session)]

    @handles(GetKeys)
    async def get(self, actor: Actor, pdu: GetKeys) -> Effects:
        held = pdu.serials if pdu.serials is not None else (0,) * len(pdu.users)
        if list(pdu.users) != sorted(set(pdu.users)) or len(held) != len(pdu.users):
            raise Refused(Code.SCHEMA, "Users are asked for in the order of their names, each once.")
        asked = [(User(user), serial) for user, serial in zip(pdu.users, held, strict=True)]
        found = await self._keys.of(asked, budget=KEYS_SIZE)
        rows = tuple(
            (each.user, each.serial, each.identity, each.devices, each.signature, each.certificates) for each in found
        )
        if all(each.user != actor.name for each in found):
            return [Reply(KeyList(users=rows))]
        waiting = _fitting(await self._keys.waiting(actor.name, at=self._clock.now()))
        own = tuple((each.device, each.fingerprint, each.name, each.certificate) for each in waiting)
        return [Reply(KeyList(users=rows, waiting=own))]

    @handles(BackUp)
    async def back_up(self, actor: Actor, pdu: BackUp) -> Effects:
        await self._keys.back_up(actor.name, pdu.generation, pdu.part, pdu.data, most=self._policy.backup)
        return [Reply(Ok())]

    @handles(Restore)
    async def restore(self, actor: Actor, pdu: Restore) -> Effects:
        found = await self._keys.restore(actor.name, pdu.part)
        return [Reply(Restored(generation=found.generation, count=found.count, data=found.data))]


def _signed(user: User, pdu: PublishKeys) -> SignedList | None:
    """The device list that comes with a key, if one does. Raises Refused where it can be no list of this user's."""
    parts = (pdu.identity, pdu.devices, pdu.signature)
    if all(part is None for part in parts):
        return None
    if pdu.identity is None or pdu.devices is None or pdu.signature is None:
        raise Refused(Code.SCHEMA, "A list comes with its signature and the identity.")
    try:
        devices = unpacked(DeviceList, pdu.devices)
    except RemoteProtocolError as error:
        raise Refused(Code.SCHEMA, error.text) from error
    fingerprints = tuple(fingerprint for fingerprint, _ in devices.devices)
    if devices.version != _LIST or not devices.serial or len(set(fingerprints)) < len(fingerprints):
        raise Refused(Code.SCHEMA, "That is no list of devices.")
    if devices.account != user:
        raise Refused(Code.FORBIDDEN, "That list is of another account.")
    return SignedList(
        serial=devices.serial,
        identity=pdu.identity,
        devices=pdu.devices,
        signature=pdu.signature,
        fingerprints=fingerprints,
    )


def _fitting(waiting: Sequence[DeviceKey]) -> Sequence[DeviceKey]:
    """As many of those that wait as fit a frame beside what is told of users."""
    kept: list[DeviceKey] = []
    for each in waiting:
        if sum(key.size for key in kept) + each.size > _WAITING_SIZE:
            break
        kept.append(each)
    return kept
