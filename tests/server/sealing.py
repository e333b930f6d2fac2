"""What tests say of keys: lists, certificates and sealed bodies that look like such; nothing here opens them."""

from __future__ import annotations

from typing import Any

from quicchat.server.model import DeviceKey, SignedList
from quicchat.wire.chapters.messages import Kind, Message, Post, Window
from quicchat.wire.codec import decode_body
from quicchat.wire.names import Device, Room, User
from quicchat.wire.sealed import DeviceList, Scheme, Sealed, packed, unpacked
from tests.server.stores import PLENTY, Store, cid


def key_of(device: Device, mark: int = 1, *, size: int = 40, **facts: Any) -> DeviceKey:
    """The key number `mark`, of whichever device; its handle needs all 64 bits."""
    return DeviceKey(
        **{
            "device": device,
            "fingerprint": bytes([mark]) * 20,
            "handle": 2**64 - mark,
            "name": f"device {mark}",
            "certificate": bytes([mark]) * size,
            **facts,
        }
    )


def listing(serial: int, *marks: int, account: str = "alice") -> bytes:
    """A device list of the keys with these numbers."""
    rows = tuple((bytes([mark]) * 20, f"device {mark}") for mark in marks)
    return packed(DeviceList(version=1, account=account, serial=serial, time=1, devices=rows))


def signed(serial: int, *marks: int, identity: bytes = b"identity") -> SignedList:
    prints = tuple(bytes([mark]) * 20 for mark in marks)
    return SignedList(
        serial=serial,
        identity=identity,
        devices=listing(serial, *marks),
        signature=b"signed %d" % serial,
        fingerprints=prints,
    )


async def lists(store: Store, user: User, devices: dict[Device, int], *, serial: int = 1) -> None:
    """Publish keys for devices of a user, and a list that has them all."""
    for device, mark in devices.items():
        await store.keys.publish(user, key_of(device, mark), None, at=1)
    (device, mark), *_ = devices.items()
    await store.keys.publish(user, key_of(device, mark), signed(serial, *devices.values()), at=1)


def body(text: bytes = b"sealed", **fields: Any) -> bytes:
    """A sealed body of scheme 2."""
    facts = {"scheme": Scheme.SENDER_KEY, "sid": bytes(16), "index": 0, "ciphertext": text, "signature": bytes(64)}
    return packed(Sealed(**{**facts, **fields}))


def keys_for(*marks: int, text: bytes = b"session key") -> bytes:
    """The sealed body of a KEY event with an entry for each of these keys."""
    entries = {2**64 - mark: b"packet %d" % mark for mark in marks}
    return packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=text, entries=entries))


def sealed_post(text: bytes = b"sealed", **fields: Any) -> Post:
    return Post(**{"cid": cid(), "text": "", "sealed": body(text), **fields})


def key_post(*marks: int, **fields: Any) -> Post:
    return Post(**{"cid": cid(), "text": "", "kind": Kind.KEY, "sealed": keys_for(*marks), **fields})


def entries_of(message: Message) -> dict[int, bytes]:
    """The entries of an event by the numbers of their keys."""
    assert message.sealed is not None
    return {2**64 - handle: packet for handle, packet in (unpacked(Sealed, message.sealed).entries or {}).items()}


async def given(store: Store, room: Room, user: User, device: Device | None) -> list[dict[int, bytes]]:
    """The entries that a device is given of each KEY event of a room."""
    page = await store.log.page(room, user, window=Window.AFTER, anchor=0, limit=200, budget=PLENTY, device=device)
    events = [decode_body(Message, each, version=2) for each in page.events]
    return [entries_of(event) for event in events if event.kind is Kind.KEY]
