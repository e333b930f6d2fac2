"""The keys of this device: its own, and the account's identity where it has that. (spec 15-keys)"""

from __future__ import annotations

from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.keyring import ONLY, Drawer, Keyring
from quicchat.client.e2ee.openpgp import Secret


class Pair:
    """Calling order: `load`; a key that was made is `take`n, and counts once that has returned."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self.device: Secret | None = None
        self.identity: Secret | None = None

    def load(self) -> None:
        """What is kept, also by others: a backup brings the identity back. Raises BadKey."""
        self.device = self._read(Drawer.DEVICE, self.device)
        self.identity = self._read(Drawer.IDENTITY, self.identity)

    async def make_device(self, name: str, now: int) -> None:
        """A key for this device, where it has none; `now` is Unix ms. Raises as `take`."""
        self.load()
        if self.device is None:
            await self.take(Drawer.DEVICE, Secret.make(name, now))

    async def take(self, drawer: Drawer, made: Secret) -> None:
        """A new key. Raises Refused(STORE_UNAVAILABLE)."""
        await self._keyring.now(drawer, ONLY, made.data)
        self.load()

    async def forget_identity(self) -> None:
        """It is not for this device any more. Raises Refused(STORE_UNAVAILABLE)."""
        await self._keyring.now(Drawer.IDENTITY, ONLY, None)
        self.load()

    def check_identity(self) -> None:
        """Raises BadKey where it is not here."""
        self.load()
        if self.identity is None:
            raise BadKey("this device cannot do that, it has no identity key: do it on another device, or /restore")

    def _read(self, drawer: Drawer, held: Secret | None) -> Secret | None:
        data = self._keyring.get(drawer)
        if data is None or (held is not None and held.data == data):
            return held if data is not None else None
        return Secret.of(data)
