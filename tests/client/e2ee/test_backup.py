"""The backup, at a real server: made and kept up by itself, shared by devices, and enough alone. (spec 15-keys)"""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.e2ee import recovery
from quicchat.client.e2ee.faults import Unreadable
from quicchat.client.e2ee.keyring import ONLY, Drawer
from quicchat.client.lending import ELSEWHERE
from quicchat.client.memory import PlainMemory
from quicchat.wire.chapters.keys import BackUp, Restore
from tests.client.e2ee.phones import pair, phone, puts, quiet, restored
from tests.client.e2ee.vault import file_key, held, learn, learn_file, opener
from tests.server.house import play, world


def test_the_first_device_makes_a_code_and_a_backup_by_itself() -> None:
    """[15.9-20]: before anybody asks; it is told to be written down, and the next login makes no other."""

    async def scenario() -> None:
        async with world() as here:
            memory = PlainMemory()
            async with phone(here, "alice", 1, sign_up=True, memory=memory) as one:
                assert one.code == ""
                await one.begin()
                code = one.code
                assert recovery.read(code) == code
                assert len(one.told("recovery")) == 1
                assert puts(one) == [0, 1]
            async with phone(here, "alice", 1, memory=memory) as again:
                await again.begin()
                assert again.code == code
                assert puts(again) == []
                assert not again.told("recovery")

    play(scenario)


def test_new_keys_are_backed_up_after_a_while_and_together() -> None:
    """[15.9-23]: a hundred sessions that come one after the other cost a few parts, not a hundred."""

    async def scenario() -> None:
        async with world() as here, phone(here, "alice", 1, sign_up=True) as one:
            await one.begin()
            await quiet()
            one.asked.clear()
            for number in range(100):
                learn(one.ring, [opener(number)])
                one.backup.touch()
                await asyncio.sleep(0.05)
            await quiet()
            assert puts(one) == [2]

    play(scenario)


def test_recovery_by_the_code_alone() -> None:
    """[15.9-25]: every other device is gone; the code brings identity, sessions, files, trust, and lets this one in."""

    async def scenario() -> None:
        async with world() as here:
            async with phone(here, "bob", 9, sign_up=True) as bob:
                await bob.begin()
            async with phone(here, "alice", 1, sign_up=True) as one:
                await one.begin()
                await one.directory.recipients(["bob"])
                await one.directory.verify("bob", await one.directory.digits("bob"))
                learn(one.ring, [opener(each) for each in range(300)])
                learn_file(one.ring, file_key(1))
                one.backup.touch()
                await quiet()
                before, files = held(one.ring), dict(one.ring.all(Drawer.FILE))
                code, identity = one.code, one.identity
            async with phone(here, "alice", 2) as new:
                await new.begin()
                assert not new.is_in()
                assert new.code == ""
                await new.backup.restore(recovery.shown(code))
                assert new.is_in()
                assert identity is not None
                assert new.identity == identity
                assert held(new.ring) == before
                assert dict(new.ring.all(Drawer.FILE)) == files
                assert new.gained
                assert {user: sure for user, _, sure in new.directory.trusted()} == {"bob": True}
                assert new.code == code

    play(scenario)


def test_an_old_device_lets_a_new_one_in_and_hands_it_everything() -> None:
    """[15.9-26]: nobody types anything on the new device; it has the identity, the code and all sessions then."""

    async def scenario() -> None:
        async with pair() as (_, one, new):
            await one.begin()
            learn(one.ring, [opener(each) for each in range(50)])
            one.backup.touch()
            await quiet()
            await new.begin()
            assert not new.is_in()
            await one.directory.begin("alice")
            (waiting,) = one.directory.waiting()
            assert waiting.fingerprint == new.mark
            learn(one.ring, [opener(each) for each in range(50, 700)])
            await one.backup.approve(new.mark)
            await new.begin()
            assert new.is_in()
            assert new.code == one.code
            assert new.identity is not None
            assert new.identity == one.identity
            assert held(new.ring) == held(one.ring)
            assert new.gained

    play(scenario)


def test_two_devices_with_one_code_do_not_fight() -> None:
    """[15.9-24]: what either hears is in the backup, and on the other one; and then both are silent."""

    async def scenario() -> None:
        async with pair() as (_, one, two):
            await restored(one, two)
            for turn in range(3):
                learn(one.ring, [opener(1_000 * turn + each) for each in range(150)])
                learn(two.ring, [opener(1_000 * turn + each) for each in range(100, 250)])
                one.backup.touch()
                two.backup.touch()
                await quiet()
            one.backup.touch()
            two.backup.touch()
            await quiet()
            assert len(held(one.ring)) == len(held(two.ring)) == 750
            one.asked.clear()
            two.asked.clear()
            await quiet(1_000)
            assert one.asked == two.asked == []

    play(scenario)


def test_a_new_code_reaches_the_other_devices_and_ends_the_old_one() -> None:
    """[15.9-27]: it is told there, opens everything, and the old one opens nothing."""

    async def scenario() -> None:
        async with (
            world() as here,
            phone(here, "alice", 1, sign_up=True) as one,
            phone(here, "alice", 2) as two,
            phone(here, "alice", 3) as three,
        ):
            await one.begin()
            learn(one.ring, [opener(each) for each in range(20)])
            old = one.code
            await two.begin()
            await two.backup.restore(old)
            await one.directory.begin("alice")
            new = await one.backup.renew()
            assert new != old
            await two.backup.begin()
            assert two.code == new
            assert len(two.told("recovery")) == 1
            await three.begin()
            with pytest.raises(Unreadable):
                await three.backup.restore(old)
            await three.backup.restore(new)
            assert held(three.ring) == held(one.ring)

    play(scenario)


def test_a_file_holds_all_of_it() -> None:
    """[15.9-28]: without a server; the same code opens it, and another one nothing."""

    async def scenario() -> None:
        async with world() as here:
            async with phone(here, "alice", 1, sign_up=True) as one:
                await one.begin()
                learn(one.ring, [opener(each) for each in range(900)])
                data, code, before = await one.backup.export(), one.code, held(one.ring)
            async with phone(here, "alice", 2) as new:
                await new.begin()
                with pytest.raises(Unreadable):
                    await new.backup.import_(data, "0" * 34 + "98")
                with pytest.raises(Unreadable):
                    await new.backup.import_(data[:-1], code)
                assert not held(new.ring)
                await new.backup.import_(data, code)
                assert new.is_in()
                assert held(new.ring) == before
            async with phone(here, "bob", 3, sign_up=True) as bob:
                await bob.begin()
                with pytest.raises(Unreadable, match="alice"):
                    await bob.backup.import_(data, code)
                assert not held(bob.ring)

    play(scenario)


def test_a_device_that_borrows_its_keys_keeps_no_backup() -> None:
    """[15.9-30]: an errand asks for no part of it."""

    async def scenario() -> None:
        async with world() as here, phone(here, "alice", 1, sign_up=True) as one:
            await one.begin()
            async with phone(here, "alice", 2) as errand:
                errand.ring.put(Drawer.IDENTITY, ONLY, one.ring.get(Drawer.IDENTITY))
                errand.ring.put(Drawer.BACKUP, ELSEWHERE, b"")
                await errand.begin()
                assert errand.is_in()
                assert not [each for each in errand.asked if isinstance(each, BackUp | Restore)]

    play(scenario)
