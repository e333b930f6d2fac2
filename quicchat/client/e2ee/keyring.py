"""What this device keeps of keys, written with the events that came with them. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, TypeVar

from quicchat.client.memory import Change
from quicchat.client.scribe import Scribe
from quicchat.wire.registry import Pdu

R = TypeVar("R", bound=Pdu)
#: The name of what a drawer holds one of.
ONLY: Final = b""


class Drawer(StrEnum):
    """What is kept, and by which name; values are records (`wire.sealed`, `e2ee.records`) unless said otherwise."""

    #: This device's OpenPGP key, with its secrets; under ONLY.
    DEVICE = "device"
    #: The account's identity key, with its secrets, where this device has it; under ONLY.
    IDENTITY = "identity"
    #: What is known of the keys of a user; by his name.
    PERSON = "person"
    #: What opens the sessions of others and of one's own; by handle (8 bytes) and sid.
    SESSION = "session"
    #: The session that this device speaks with in a conversation; by the conversation's name.
    VOICE = "voice"
    #: Conversations that are encrypted, and stay so whatever the server says; by name, the value is where we came in
    #: (8 bytes).
    ENCRYPTED = "encrypted"
    #: Direct conversations of which the user was told that the other one has no keys; by name, the value is empty.
    KEYLESS = "keyless"
    #: Since when this device is let in, Unix ms (8 bytes); under ONLY.
    SINCE = "since"
    #: What opens a file; by its id at the server.
    FILE = "file"
    #: Recovery code, generation and size of the backup; under ONLY.
    BACKUP = "backup"


class Keyring:
    """A view of the scribe's secrets."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe

    def get(self, drawer: Drawer, name: bytes = ONLY) -> bytes | None:
        """What is kept there."""
        return self._scribe.secrets.get((drawer, name))

    def all(self, drawer: Drawer) -> Iterator[tuple[bytes, bytes]]:
        """All in a drawer: (name, value)."""
        return ((name, value) for (place, name), value in list(self._scribe.secrets.items()) if place == drawer)

    def put(self, drawer: Drawer, name: bytes, value: bytes | None) -> None:
        """Keep it, or with None not any more; written soon, together with what else is known by now."""
        self._scribe.secret(drawer, name, value)

    async def now(self, drawer: Drawer, name: bytes, value: bytes | None) -> None:
        """As `put`, durable when it returns. Raises Refused(STORE_UNAVAILABLE)."""
        await self._scribe.memory.keep(Change(secrets={(drawer, name): value}))
        # Nobody finds the place empty meanwhile, and what waits to be written there is this as well.
        self.put(drawer, name, value)

    def read(self, cls: type[R], drawer: Drawer, name: bytes = ONLY) -> R | None:
        """A record that is kept there."""
        # Their vocabulary is not read in before there is something to read.
        from quicchat.wire import sealed

        value = self.get(drawer, name)
        return sealed.unpacked(cls, value) if value is not None else None
