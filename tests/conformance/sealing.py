"""What raw peers say of keys and in sealed bodies: the server opens none of it, so that any bytes will do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quicchat.wire import codec
from quicchat.wire.chapters.keys import GetKeys, KeyList, PublishKeys
from quicchat.wire.chapters.messages import History, HistoryPage, Kind, Message, Post, Window
from quicchat.wire.chapters.rooms import ENCRYPTED, Create, Join
from quicchat.wire.chapters.session import Ok
from quicchat.wire.sealed import DeviceList, Scheme, Sealed, packed, unpacked
from tests.conformance.house import somebody
from tests.conformance.inside import state
from tests.conformance.peer import Peer
from tests.conformance.talk import post

NEUTRAL = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a device, of chance."""

    fingerprint: bytes = field(default_factory=lambda: os.urandom(20))
    handle: int = field(default_factory=lambda: int.from_bytes(os.urandom(8), "big"))
    certificate: bytes = field(default_factory=lambda: os.urandom(50))

    def pdu(self, **listed: Any) -> PublishKeys:
        return PublishKeys(
            certificate=self.certificate,
            fingerprint=self.fingerprint,
            handle=self.handle,
            name="phone",
            **listed,
        )


def listed(account: str, serial: int, *keys: Key, **fields: Any) -> dict[str, bytes]:
    """What comes with a KEY_PUBLISH that brings a list."""
    facts = {"version": 1, "account": account, "serial": serial, "time": 1, **fields}
    devices = packed(DeviceList(**{"devices": tuple((each.fingerprint, "phone") for each in keys), **facts}))
    return {"identity": b"identity", "devices": devices, "signature": b"signature"}


async def publish(peer: Peer, key: Key, *others: Key, serial: int = 1) -> Key:
    """List a device of somebody, and others that were listed before."""
    answer = await peer.ask(key.pdu(**listed(peer.user, serial, key, *others)))
    assert answer == Ok(), answer
    return key


async def keys(peer: Peer, *users: str, held: tuple[int, ...] | None = None) -> KeyList:
    answer = await peer.ask(GetKeys(users=users, serials=held))
    assert isinstance(answer, KeyList), answer
    return answer


def sealed(data: bytes = b"sealed", **fields: Any) -> Post:
    """A sealed message."""
    facts: dict[str, Any] = {
        "scheme": Scheme.SENDER_KEY,
        "sid": bytes(16),
        "index": 1,
        "ciphertext": data,
        "signature": bytes(64),
    }
    return post("", sealed=packed(Sealed(**facts)), **fields)


def keying(entries: Iterable[Key] | Mapping[int, bytes], data: bytes = b"session key", **fields: Any) -> Post:
    """A KEY event with a packet for each key, named by its certificate."""
    packets = entries if isinstance(entries, Mapping) else {key.handle: key.certificate for key in entries}
    body = packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=data, entries=dict(packets)))
    return replace(post("", kind=Kind.KEY, sealed=body), **fields)


def entries(message: Message) -> dict[int, bytes] | None:
    """What entries an event has."""
    assert message.sealed is not None
    return unpacked(Sealed, message.sealed).entries


async def history(peer: Peer, room: str) -> list[Message]:
    answer = await peer.ask(History(room=room, window=Window.AFTER, anchor=0, limit=200))
    assert isinstance(answer, HistoryPage), answer
    return [codec.decode_body(Message, each, version=2) for each in answer.events]


async def vault(*peers: Peer) -> str:
    """An encrypted room of these peers; each hears who comes."""
    first, *others = peers
    await state(first, Create(room=(room := somebody()), policy=ENCRYPTED))
    for peer in others:
        await state(peer, Join(room=room))
    for peer in peers:
        await peer.barrier()
        peer.heard.clear()
    return room
