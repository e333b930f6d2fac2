"""The directory of keys at a real server: what it keeps, refuses and tells is what clients rely on."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.keyring import ONLY, Drawer
from quicchat.client.e2ee.trust import Trust
from quicchat.client.seal import Seal
from tests.client.e2ee.phones import Phone, phone
from tests.server.house import play, world


async def look(*phones: Phone) -> None:
    """Each looks at what there is now."""
    for each in phones:
        await each.directory.begin(each.user)


def test_two_devices_are_let_in_and_one_out() -> None:
    """[15.2-20], [15.2-22], [15.2-23], [15.2-25]: with what a server tells, and nothing else."""

    async def scenario() -> None:
        async with (
            world() as here,
            phone(here, "alice", 1, sign_up=True) as old,
            phone(here, "alice", 2) as new,
            phone(here, "bob", 3, sign_up=True) as bob,
        ):
            await look(old, new, bob)
            assert (old.is_in(), new.is_in(), bob.is_in()) == (True, False, True)
            assert new.told("waiting")
            assert [each.name for each in (await bob.directory.recipients(["alice"])).devices] == ["phone 1"]
            await look(old)
            (waiting,) = old.directory.waiting()
            assert (waiting.fingerprint, waiting.name) == (new.mark, "phone 2")
            await old.directory.approve(new.mark)
            await look(new)
            assert new.is_in()
            assert new.told("listed")
            # Whoever did not let it in himself is told what helps.
            (text,) = old.told("device")
            assert text.startswith("you have a new device: phone 2")
            assert f"/remove-device {new.mark[-8:].hex().upper()}" in text
            await bob.directory.fresh(["alice"], again=True)
            assert len((await bob.directory.recipients(["alice"])).devices) == 2
            assert bob.told("device")
            assert await bob.directory.digits("alice") == await new.directory.digits("bob")
            await bob.directory.verify("alice", await old.directory.digits("bob"))
            assert bob.directory.seal("alice") is Seal.VERIFIED
            await old.directory.remove(new.mark)
            await look(new)
            assert not new.is_in()
            await bob.directory.fresh(["alice"], again=True)
            assert [each.name for each in (await bob.directory.recipients(["alice"])).devices] == ["phone 1"]
            assert old.directory.waiting() == []
            for each in (old, new, bob):
                assert not each.told("rollback") + each.told("forged-list")

    play(scenario)


def test_two_devices_change_the_list_at_once() -> None:
    """[15.2-26]: whom the server refuses with KEYS_STALE makes his change to the other's list."""

    async def scenario() -> None:
        async with (
            world() as here,
            phone(here, "alice", 1, sign_up=True) as one,
            phone(here, "alice", 2) as two,
            phone(here, "alice", 3) as three,
            phone(here, "alice", 4) as four,
        ):
            await look(one, two, three, four)
            await one.directory.approve(two.mark)
            assert one.identity is not None
            await two.ring.now(Drawer.IDENTITY, ONLY, one.identity.data)
            await two.directory.begin("alice")
            await asyncio.gather(one.directory.approve(three.mark), two.directory.approve(four.mark))
            await one.directory.begin("alice")
            person = one.directory.person("alice")
            assert person is not None
            assert {mark for mark, _, _ in person.devices} == {each.mark for each in (one, two, three, four)}
            assert person.serial == 4

    play(scenario)


def test_everything_is_lost_and_begins_anew() -> None:
    """[15.2-28], [15.11-2]: the server takes the new identity; who knew the old one is warned."""

    async def scenario() -> None:
        async with (
            world() as here,
            phone(here, "alice", 1, sign_up=True) as old,
            phone(here, "bob", 2, sign_up=True) as bob,
            phone(here, "alice", 3) as new,
        ):
            await look(old, bob, new)
            await bob.directory.recipients(["alice"])
            with pytest.raises(BadKey):
                await new.directory.approve(new.mark)
            await new.directory.renew()
            assert new.is_in()
            await bob.directory.fresh(["alice"], again=True)
            assert bob.told("changed")
            person = bob.directory.person("alice")
            assert person is not None
            assert person.trust is Trust.CHANGED
            await bob.directory.accept("alice")
            assert bob.directory.seal("alice") is Seal.PINNED
            await old.directory.begin("alice")
            assert old.told("blocked")
            assert old.directory.own is not None
            assert old.directory.own.contested
            await old.directory.accept("alice")
            await new.directory.begin("alice")
            await new.directory.approve(old.mark)
            await old.directory.begin("alice")
            assert old.is_in()

    play(scenario)
