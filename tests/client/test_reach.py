"""Reaching a server again: with the ticket from the last time, and only under the anchor from then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quicchat.client.api import Chat
from quicchat.client.connect import Trusting, reach
from quicchat.client.login import Identity
from quicchat.client.tickets import Tickets
from quicchat.errors import UsageError
from quicchat.server.adapters.clock import SystemClock
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import open_house
from quicchat.server.model import Policy
from quicchat.transport.endpoint import listen
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import User
from tests.certs import Authority
from tests.server.desk import keys, password
from tests.transport.sockets import AUTHORITY, IDENTITY, Ear, Server, run, serve

pytestmark = pytest.mark.socket

HOST = "127.0.0.1"


class Client:
    """Somebody who remembers servers, and has tickets."""

    def __init__(self, server: Server, path: Path, trusting: Trusting | None = None) -> None:
        self.server = server
        self.path = path / "tickets"
        self.trusting = trusting or Trusting(known_hosts=path / "known_hosts")

    async def reach(self, *, early: bool = True) -> Ear:
        """Say something, and wait until it has been answered."""
        tickets = Tickets(self.path)
        ear = Ear(await reach(HOST, self.server.port, self.trusting, tickets=tickets, early=early))
        self.server.clients.append(ear)
        self.waited = ear.link.established
        return ear

    async def visit(self, *, early: bool = True) -> bool:
        """Say something, and wait for the answer; whether it was said before the handshake was complete."""
        ear = await self.reach(early=early)
        await ear.say(b"hello")
        await ear.say(b"again")
        return not self.waited


@pytest.mark.parametrize("how", ["known hosts", "ca"])
def test_a_server_that_is_known_is_spoken_to_at_once(tmp_path: Path, how: str) -> None:
    """[13.6-4]: from the second time on, each time with another ticket; and only if that is wanted."""

    async def main() -> None:
        async with serve() as server:
            ca = tmp_path / "ca"
            ca.write_bytes(AUTHORITY.trust.ca_pem or b"")
            client = Client(server, tmp_path, Trusting(ca=ca) if how == "ca" else None)
            assert await client.visit() is False
            assert await client.visit() is True
            seen = client.path.read_text()
            assert await client.visit() is True
            assert client.path.read_text() != seen
            assert await client.visit(early=False) is False
            assert [line.split(" ")[0] for line in client.path.read_text().splitlines()] == [f"{HOST}:{server.port}"]

    run(main)


def test_a_server_with_another_authority(tmp_path: Path) -> None:
    """[11.1-4] A11, A12: the early link ends, the next call shows both fingerprints, and no old ticket is left."""
    other = Authority("Another authority").issue()

    async def main() -> None:
        async with serve() as server:
            client = Client(server, tmp_path)
            await client.visit()
            server.endpoint.set_identity(other)
            assert (await (await client.reach()).end()).code == 0x12A
            # As if another client of this user had left one.
            Tickets(client.path).put(HOST, server.port, "SHA256:" + "0" * 64, b"old")
            with pytest.raises(UsageError, match=r"the key of .* changed from"):
                await client.reach()
            assert client.path.read_text() == ""
            client.trusting = replace(client.trusting, accept_new=True)
            assert await client.visit() is False
            assert await client.visit() is True

    run(main)


def test_another_anchor_of_the_same_server(tmp_path: Path) -> None:
    """[13.6-4] A11: a ticket that was given under one anchor is deleted when the server is asked for under another."""

    async def main() -> None:
        async with serve() as server:
            client = Client(server, tmp_path)
            await client.visit()
            ca = tmp_path / "ca"
            ca.write_bytes(b"# The same, said in other words.\n" + (AUTHORITY.trust.ca_pem or b""))
            client.trusting = Trusting(ca=ca)
            assert await client.visit() is False

    run(main)


@pytest.mark.parametrize("early", [False, True], ids=["waiting", "early"])
def test_a_password_proves_the_same_on_a_resumed_connection(tmp_path: Path, early: bool) -> None:
    """[13.6-6] R1.9: the login proof names the certificate that was shown once, though the server has a new one."""

    async def main() -> None:
        async with open_house(MemoryStore(), SystemClock(), Policy(signup="open", least_iterations=1)) as door:
            endpoint = await listen([(HOST, 0)], IDENTITY, door.accept)
            port = endpoint.addresses[0][1]
            trusting, tickets = Trusting(known_hosts=tmp_path / "known_hosts"), Tickets(tmp_path / "tickets")
            for number in range(3):
                link = await reach(HOST, port, trusting, tickets=tickets, early=early)
                assert link.established == (not early or number == 0)
                async with Chat(link) as chat:
                    await chat.open(Identity(user="alice", password="pw", sign_up=number == 0, iterations=1))
                    assert await chat.echo("here again") == "here again"
                    assert link.certificate_hash == IDENTITY.leaf_hash
                endpoint.set_identity(AUTHORITY.issue())
            await endpoint.close()

    run(main)


def test_another_password_ends_the_tickets(tmp_path: Path) -> None:
    """[13.6-3] Q16: whatever device had them; who comes back then shakes hands in full."""

    async def main() -> None:
        store, clock = MemoryStore(), SystemClock()
        for name in ("alice", "bob"):
            await store.accounts.sign_up(User(name), keys("pw"), at=clock.now())
        async with open_house(store, clock, Policy(least_iterations=1)) as door:
            endpoint = await listen([(HOST, 0)], IDENTITY, door.accept)
            port = endpoint.addresses[0][1]
            trusting = Trusting(known_hosts=tmp_path / "known_hosts")

            async def enter(user: str, device: str) -> Chat:
                chat = Chat(await reach(HOST, port, trusting, tickets=Tickets(tmp_path / device), early=True))
                await chat.open(Identity(user=user, password="pw", iterations=1))
                return chat

            bystander, alice = await enter("bob", "bobs"), await enter("alice", "first")
            await (await enter("alice", "second")).close()
            assert len(endpoint._tickets) == 3
            await alice._requests.ask(password("pw", "another"), Ok)
            assert len(endpoint._tickets) == 1
            for chat in (alice, bystander):
                await chat.close()
            await endpoint.close()

    run(main)
