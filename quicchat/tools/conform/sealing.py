"""Keys and sealed bodies of chance: a server opens none of them (15.1), so that any bytes will do. (spec 15-keys)"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from quicchat.tools.conform import chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import record
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import same
from quicchat.values import dataclass

OPENPGP, SENDER_KEY = 1, 2
IDENTITY: Final = b"an identity"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a device."""

    fingerprint: bytes
    handle: int
    certificate: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """Of KEY_PUBLISH."""
        return {
            "certificate": self.certificate,
            "fingerprint": self.fingerprint,
            "handle": self.handle,
            "name": "a phone",
        }


def key(size: int = 50) -> Key:
    """One that nobody has."""
    return Key(os.urandom(20), int.from_bytes(os.urandom(8), "big"), os.urandom(size))


def listed(account: str, serial: int, *keys: Key, **other: Any) -> dict[str, Any]:
    """What of KEY_PUBLISH brings a list; `other` are fields of the list."""
    devices = [[each.fingerprint, "a phone"] for each in keys]
    facts = {"version": 1, "account": account, "serial": serial, "time": 1, "devices": devices, **other}
    return {"identity": IDENTITY, "devices": record("device-list", facts), "signature": b"a signature"}


async def publish(talk: Talk, *keys: Key, serial: int = 1) -> Key:
    """List a device, the first of these, and others."""
    await talk.done("KEY_PUBLISH", **keys[0].fields, **listed(talk.user, serial, *keys))
    return keys[0]


async def found(talk: Talk, *users: str, **fields: Any) -> list[list[Any]]:
    """What a server gives of users."""
    answer = await talk.done("KEY_GET", users=list(users), **fields)
    same([row[0] for row in answer["users"]], list(users), "the users of KEY_GET_R")
    return list(answer["users"])


def sealed(data: bytes = b"sealed") -> bytes:
    """A sealed body, as devices make them of what is said."""
    facts = {"scheme": SENDER_KEY, "sid": bytes(16), "index": 1, "ciphertext": data, "signature": bytes(64)}
    return record("sealed-body", facts)


def locked(entries: Mapping[int, bytes] | None, data: bytes = b"a key") -> bytes:
    """A sealed body of a KEY event."""
    return record("sealed-body", {"scheme": OPENPGP, "ciphertext": data, "entries": entries})


def saying(data: bytes = b"sealed", **fields: Any) -> dict[str, Any]:
    """The fields of a sealed MSG_SEND."""
    return {"cid": chat.cid(), "text": "", "sealed": sealed(data), **fields}


def keying(*keys: Key, **fields: Any) -> dict[str, Any]:
    """The fields of a KEY event with an entry for each of these."""
    entries = {each.handle: each.certificate[:50] for each in keys}
    return {"cid": chat.cid(), "text": "", "kind": chat.KIND["KEY"], "sealed": locked(entries), **fields}


async def vault(bench: Bench, talk: Talk, *others: Talk) -> str:
    """An encrypted room."""
    room = bench.target.name("r")
    await talk.done("ROOM_CREATE", room=room, policy=chat.ENCRYPTED)
    for other in others:
        await other.done("ROOM_JOIN", room=room)
    return room
