"""Alice, who has seen a list of bob, and a server that shows her another one."""

from __future__ import annotations

from quicchat.client.e2ee.directory import Directory
from quicchat.client.e2ee.keyring import Drawer
from quicchat.client.e2ee.lists import Row
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.e2ee.records import Known
from tests.client.e2ee.keyhouse import Client, KeyServer, now

MINE, DEVICE, MALLORY = (Secret.make(name, now()) for name in ("bob", "bob (laptop)", "mallory"))


class Scene:
    """Its bob has list 2, which alice has seen; `shown` is what the server shows her next."""

    def __init__(self, *, verified: bool = False) -> None:
        self.server = KeyServer()
        self.server.put("bob", 2, MINE, [DEVICE])
        self.good = self.server.row("bob", 0)
        self.verified = verified

    async def begin(self) -> Directory:
        self.alice = Client(self.server, "alice")
        self.directory = await self.alice.login()
        await self.directory.recipients(["bob"])
        if self.verified:
            await self.directory.verify("bob")
        self.alice.kinds()
        return self.directory

    async def shown(self, found: Row) -> list[str]:
        """What is told when the server shows this."""
        self.server.shows["bob"] = found
        self.directory.lost()
        await self.directory.fresh(["bob"])
        return self.alice.kinds()

    def kept(self) -> Known | None:
        return self.alice.keyring.read(Known, Drawer.PERSON, b"bob")
