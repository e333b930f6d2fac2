"""Whose devices may read: lists are fetched when they are needed, once for all who wait, and not twice for nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quicchat.client.e2ee.directory import Directory
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.e2ee.trust import Trust
from quicchat.client.seal import Seal
from quicchat.errors import Code, LinkLost, Refused
from quicchat.wire.chapters.keys import GetKeys, KeysChanged
from tests.client.e2ee.keyhouse import Client, KeyServer, now, quiet, signer
from tests.server.house import play


def gets(server: KeyServer) -> list[GetKeys]:
    """What was asked since the last time."""
    found = [pdu for pdu in server.asked if isinstance(pdu, GetKeys)]
    server.asked.clear()
    return found


async def bob_of(server: KeyServer, *devices: Secret, serial: int = 1) -> tuple[Secret, list[Secret]]:
    """A user with that many devices, and no client."""
    made = list(devices) or [Secret.make("bob", now())]
    mine = Secret.make("bob", now())
    server.put("bob", serial, mine, made)
    return mine, made


async def alice_at(server: KeyServer) -> tuple[Client, Directory]:
    client = Client(server, "alice")
    directory = await client.login()
    server.asked.clear()
    return client, directory


def test_whoever_has_keys_is_pinned_at_first_sight() -> None:
    """[15.3-20], [15.11-5]: one line, his devices as readers; who has none is keyless."""

    async def scenario() -> None:
        server = KeyServer()
        mine, devices = await bob_of(server, Secret.make("1", now()), Secret.make("2", now()))
        alice, directory = await alice_at(server)
        found = await directory.recipients(["alice", "bob", "carol"])
        assert [(each.user, each.name, each.certificate.fingerprint) for each in found.devices] == [
            ("bob", "device 0", devices[0].certificate.fingerprint),
            ("bob", "device 1", devices[1].certificate.fingerprint),
        ]
        assert found.keyless == {"carol"}
        assert found.blocked == {}
        assert [(each.kind, each.user) for each in alice.news] == [("pinned", "bob")]
        assert directory.seal("bob") is Seal.PINNED
        assert directory.seal("carol") is Seal.FORGED
        assert directory.person("carol") is None
        bob = directory.person("bob")
        assert bob is not None
        assert (bob.trust, bob.fingerprint, bob.pinned, bob.serial) == (
            Trust.FIRST_USE,
            mine.certificate.fingerprint,
            mine.certificate.fingerprint,
            1,
        )
        assert [(name, flaw) for _, name, flaw in bob.devices] == [("device 0", None), ("device 1", None)]
        assert [each.user for each in directory.people()] == ["alice", "bob"]
        assert signer(directory, "bob", devices[1].certificate.handle) == devices[1].certificate
        assert signer(directory, "bob", 1) is None
        assert signer(directory, "alice", devices[1].certificate.handle) is None
        await alice.stop()

    play(scenario)


def test_many_at_once_are_one_line() -> None:
    """[15.11-5]: a room full of people who are new is not a screen full of news."""

    async def scenario() -> None:
        server = KeyServer()
        key = Secret.make("x", now())
        for at in range(10):
            server.put(f"user{at}", 1, key, [key])
        alice, directory = await alice_at(server)
        await directory.recipients([f"user{at}" for at in range(10)])
        assert [each.text for each in alice.news] == [
            "the keys of user0, user1 and 8 others are pinned; /verify compares them"
        ]
        await alice.stop()

    play(scenario)


def test_lists_are_asked_for_once_for_each_connection() -> None:
    """[15.3-21], [15.4-20]: then only when KEY_CHANGED was heard, or the connection was another one."""

    async def scenario() -> None:
        server = KeyServer()
        await bob_of(server, serial=3)
        alice, directory = await alice_at(server)
        for _ in range(3):
            await directory.recipients(["bob", "carol"])
        assert gets(server) == [GetKeys(users=("bob", "carol"), serials=(0, 0))]
        directory.heard(KeysChanged(user="bob", serial=4))
        directory.heard(KeysChanged(user="nobody", serial=1))
        assert directory.is_stale("bob")
        await quiet()
        assert not directory.is_stale("bob")
        await directory.recipients(["bob", "carol"])
        assert gets(server) == [GetKeys(users=("bob",), serials=(3,))]
        await directory.fresh(["bob"], again=True)
        assert gets(server) == [GetKeys(users=("bob",), serials=(3,))]
        directory.lost()
        assert directory.is_stale("bob")
        await directory.recipients(["bob"])
        assert gets(server) == [GetKeys(users=("bob",), serials=(3,))]
        assert directory.is_stale("alice")
        await directory.recipients(["alice", "bob"])
        assert gets(server) == [GetKeys(users=("alice",))]
        assert not directory.is_stale("alice")
        await alice.stop()

    play(scenario)


def test_those_who_are_known_are_compared_after_a_login() -> None:
    """[15.3-28]: together, so that what they have said meanwhile is judged by the lists of now."""

    async def scenario() -> None:
        server = KeyServer()
        mine, devices = await bob_of(server)
        carol = Secret.make("carol", now())
        server.put("carol", 1, carol, [carol])
        alice, directory = await alice_at(server)
        await directory.recipients(["bob", "carol"])
        await alice.stop()
        alice.kinds()
        server.put("bob", 2, mine, [*devices, Secret.make("new", now())])
        directory = await alice.start()
        server.asked.clear()
        await directory.begin("alice")
        assert directory.is_stale("bob")
        await quiet()
        assert gets(server) == [GetKeys(users=("alice",)), GetKeys(users=("bob", "carol"), serials=(1, 1))]
        assert alice.kinds() == ["device"]
        assert not directory.is_stale("bob")
        assert directory.is_stale("dave")
        await alice.stop()

    play(scenario)


def test_what_has_expired_is_asked_for_again() -> None:
    """[15.3-26]: a certificate may live longer by now, without a new list."""

    async def scenario() -> None:
        server = KeyServer()
        await bob_of(server, Secret.make("brief", now(), 86_400))
        alice, directory = await alice_at(server)
        assert len((await directory.recipients(["bob"])).devices) == 1
        gets(server)
        alice.offset = 2 * 86_400
        directory.lost()
        assert set((await directory.recipients(["bob"])).blocked) == {"bob"}
        assert gets(server) == [GetKeys(users=("bob",), serials=(0,))]
        await alice.stop()

    play(scenario)


def test_pages_are_put_together() -> None:
    """[15.3-22]: at most 64 users are asked for at once, and again for the rest of them."""

    async def scenario() -> None:
        server = KeyServer()
        server.page = 30
        key = Secret.make("x", now())
        users = [f"user{at:03}" for at in range(150)]
        for user in users:
            server.put(user, 1, key, [key])
        alice, directory = await alice_at(server)
        found = await directory.recipients(users)
        assert [each.user for each in found.devices] == users
        asked = gets(server)
        assert sorted(len(each.users) for each in asked) == [30, 60, 64, 64, 64]
        assert all(list(each.users) == sorted(each.users) for each in asked)
        await alice.stop()

    play(scenario)


def test_whoever_waits_shares_one_request() -> None:
    """[15.3-21]: also where the first one gives up."""

    async def scenario() -> None:
        server = KeyServer()
        await bob_of(server)
        alice, directory = await alice_at(server)
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(directory.recipients(["bob"])) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks[1:])
        assert [len(each.devices) for each in found] == [1] * 4
        assert len(gets(server)) == 1
        await alice.stop()

    play(scenario)


def test_what_changes_while_it_is_fetched_is_fetched_again() -> None:
    """[15.3-21]: and not for ever, if it never ends."""

    async def scenario() -> None:
        server = KeyServer()
        mine, devices = await bob_of(server)
        alice, directory = await alice_at(server)
        more = Secret.make("more", now())

        def before(pdu: Any) -> None:
            if len(server.asked) == 1:
                server.put("bob", 2, mine, [*devices, more])
            directory.heard(KeysChanged(user="bob", serial=2))

        server.before = before
        assert len((await directory.recipients(["bob"])).devices) == 2
        assert len(gets(server)) == 4
        await alice.stop()

    play(scenario)


def test_a_line_that_is_lost() -> None:
    """[15.3-21]: everybody who waits is told, and the next one asks anew."""

    async def scenario() -> None:
        server = KeyServer()
        await bob_of(server)
        alice, directory = await alice_at(server)

        def before(pdu: Any) -> None:
            directory.lost()
            raise LinkLost(Code.NO_ERROR, "gone")

        server.before = before
        both = await asyncio.gather(
            directory.recipients(["bob"]), directory.recipients(["bob", "carol"]), return_exceptions=True
        )
        assert [type(each) for each in both] == [LinkLost, LinkLost]
        server.before = lambda pdu: None
        assert len((await directory.recipients(["bob"])).devices) == 1
        await alice.stop()

    play(scenario)


@pytest.mark.parametrize("users", [(), ("carol",), ("bob", "dave"), ("bob", "carol", "dave")])
def test_an_answer_to_another_question(users: tuple[str, ...]) -> None:
    """[15.3-22]: rows are those of the first users asked for, one at least; else it is refused, and nobody waits."""

    async def scenario() -> None:
        server = KeyServer()
        alice, directory = await alice_at(server)
        ask = alice.ask

        async def other(pdu: Any, answer: Any) -> Any:
            found = await ask(pdu, answer)
            return type(found)(users=tuple((user, 0, b"", b"", b"", ()) for user in users))

        alice.ask = other  # type: ignore[method-assign]
        with pytest.raises(Refused, match="does not answer"):
            await directory.recipients(["bob", "carol"])
        del alice.ask
        assert (await directory.recipients(["bob", "carol"])).keyless == {"bob", "carol"}
        await alice.stop()

    play(scenario)


def test_a_new_device_of_a_known_identity_is_one_line() -> None:
    """[15.11-6]: it reads from then on; what is left out reads no more, and stays known for what it has said."""

    async def scenario() -> None:
        server = KeyServer()
        mine, (old,) = await bob_of(server)
        alice, directory = await alice_at(server)
        await directory.recipients(["bob"])
        alice.kinds()
        new = Secret.make("new", now())
        server.put("bob", 2, mine, [old, new])
        directory.heard(KeysChanged(user="bob", serial=2))
        assert len((await directory.recipients(["bob"])).devices) == 2
        assert [each.kind for each in alice.news] == ["device"]
        assert "bob has a new device: device 1" in alice.news[0].text
        alice.kinds()
        server.put("bob", 3, mine, [new])
        directory.heard(KeysChanged(user="bob", serial=3))
        found = await directory.recipients(["bob"])
        assert [each.certificate for each in found.devices] == [new.certificate]
        assert alice.kinds() == []
        handle = old.certificate.handle
        assert signer(directory, "bob", handle) == old.certificate
        assert signer(directory, "bob", handle, at=now()) == old.certificate
        assert signer(directory, "bob", handle, at=now() + 400_000) is None
        assert directory.signers("bob", now() + 400_000) == [new.certificate]
        assert signer(directory, "bob", new.certificate.handle, at=now() + 400_000) == new.certificate
        await alice.stop()

    play(scenario)


def test_a_server_that_is_busy_is_asked_again() -> None:
    """[15.3-21]: what it cannot answer now is no answer; whoever waits is told when that lasts."""

    async def scenario() -> None:
        server = KeyServer()
        await bob_of(server)
        alice, directory = await alice_at(server)
        left = [Refused(Code.RATE_LIMITED, retry_after=3_000), Refused(Code.OVERLOADED)]

        def before(pdu: Any) -> None:
            if left:
                raise left.pop(0)

        server.before = before
        assert len((await directory.recipients(["bob"])).devices) == 1
        left += [Refused(Code.RATE_LIMITED)] * 3
        directory.lost()
        with pytest.raises(Refused, match="RATE_LIMITED"):
            await directory.recipients(["bob"])
        left.append(Refused(Code.UNSUPPORTED))
        with pytest.raises(Refused, match="UNSUPPORTED"):
            await directory.recipients(["bob"])
        assert len((await directory.recipients(["bob"])).devices) == 1
        await alice.stop()

    play(scenario)
