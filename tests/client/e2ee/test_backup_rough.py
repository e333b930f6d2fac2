"""The backup where something goes wrong: crashes, lost connections, other codes, devices that are not let in."""

from __future__ import annotations

import contextlib

import pytest

from quicchat.client.e2ee import handing, openpgp
from quicchat.client.e2ee.faults import BadKey, Unreadable
from quicchat.client.memory import PlainMemory
from quicchat.errors import Code, LinkLost, Refused
from quicchat.wire.chapters.keys import BackUp, Restore, Restored
from quicchat.wire.chapters.session import Ok
from tests.client.e2ee.phones import pair, phone, puts, quiet, restored
from tests.client.e2ee.vault import held, learn, opener
from tests.server.house import play, world


@pytest.mark.parametrize("typed", ["1234", "x" * 36, "0" * 34 + "98"])
def test_a_wrong_code_changes_nothing(typed: str) -> None:
    """[15.9-21]: one clear error, nothing kept, nothing put; one with a slip is not even asked for."""

    async def scenario() -> None:
        async with world() as here:
            async with phone(here, "alice", 1, sign_up=True) as one:
                await one.begin()
            async with phone(here, "alice", 2) as new:
                await new.begin()
                kept = dict(new.scribe.secrets)
                new.asked.clear()
                with pytest.raises((BadKey, Unreadable)) as caught:
                    await new.backup.restore(typed)
                assert "\n" not in caught.value.text
                assert dict(new.scribe.secrets) == kept
                assert not new.is_in()
                assert puts(new) == []
                assert bool(new.asked) == (len(typed) == 36 and typed.isdigit())

    play(scenario)


def test_what_nobody_approved_is_handed_nothing() -> None:
    """[15.9-26]: the letter is for listed devices; one that waits, or was swapped by the server, opens none of it."""

    async def scenario() -> None:
        async with (
            world() as here,
            phone(here, "alice", 1, sign_up=True) as one,
            phone(here, "alice", 2) as new,
            phone(here, "alice", 3) as third,
        ):
            await one.begin()
            await new.begin()
            await third.begin()
            with pytest.raises(BadKey):
                await one.backup.approve(bytes(20))
            await one.directory.begin("alice")
            await one.backup.approve(new.mark)
            await third.begin()
            assert third.code == ""
            assert third.identity is None
            assert third.directory.own is not None
            letter = await third.ask(Restore(part=1), Restored)
            secret = third.directory.own.device
            for each in (one, new):
                assert each.directory.own is not None
                assert handing.said(letter.data, secret, each.directory.own.device.certificate) is None

    play(scenario)


def test_a_backup_under_another_code_is_left_alone() -> None:
    """[15.9-27]: a device whose code opens it no more, and that was not told the new one, says so and puts nothing."""

    async def scenario() -> None:
        async with pair() as (_, one, stranger):
            await one.begin()
            generation = one.backup.generation + 100_000
            locked = openpgp.lock(b"something", "1" * 36)
            await stranger.ask(BackUp(generation=generation, part=0, data=locked), Ok)
            learn(one.ring, [opener(1)])
            one.asked.clear()
            one.backup.touch()
            await quiet()
            assert puts(one) == []
            assert len(one.told("backup")) == 1
            assert "/restore" in one.told("backup")[0]
            await one.backup.renew()
            assert puts(one)[:2] == [0, 1]
            assert one.backup.generation > generation

    play(scenario)


def test_a_server_that_lost_the_backup_is_given_it_again() -> None:
    """[15.9-23]: the same code opens it."""

    async def scenario() -> None:
        memory, code = PlainMemory(), ""
        async with world() as here, phone(here, "alice", 1, sign_up=True, memory=memory) as one:
            await one.begin()
            learn(one.ring, [opener(each) for each in range(20)])
            one.backup.touch()
            await quiet()
            code = one.code
        async with world() as there, phone(there, "alice", 1, sign_up=True, memory=memory) as one:
            await one.begin()
            await quiet()
            async with phone(there, "alice", 2) as new:
                await new.begin()
                await new.backup.restore(code)
                assert held(new.ring) == held(one.ring)

    play(scenario)


@pytest.mark.parametrize("after", range(14))
def test_a_crash_anywhere_in_the_first_backup_loses_neither_code_nor_keys(after: int) -> None:
    """[15.9-23]: whatever was the last request that was answered; the code that was shown opens what is there."""

    async def scenario() -> None:
        async with world() as here:
            memory, shown = PlainMemory(), None
            async with phone(here, "alice", 1, sign_up=True, memory=memory) as one:
                real, left = one.ask, after

                async def ask(pdu: object, answer: type) -> object:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise LinkLost(Code.NO_ERROR, "gone")
                    return await real(pdu, answer)  # type: ignore[arg-type]

                one.backup._shelf._ask = ask  # type: ignore[assignment]
                learn(one.ring, [opener(each) for each in range(600)])
                await one.begin()
                shown = one.code
            async with phone(here, "alice", 1, memory=memory) as again:
                await again.begin()
                await quiet()
                assert again.code
                assert shown in ("", again.code)
                async with phone(here, "alice", 2) as new:
                    await new.begin()
                    await new.backup.restore(again.code)
                    assert held(new.ring) == held(again.ring)
                    assert len(held(new.ring)) == 600

    play(scenario)


@pytest.mark.parametrize("after", range(12))
def test_a_crash_anywhere_while_a_device_recovers_is_made_up_for(after: int) -> None:
    """[15.9-25]: once the code was found good, the next login goes on; before that the person types it again."""

    async def scenario() -> None:
        async with world() as here:
            async with phone(here, "alice", 1, sign_up=True) as one:
                await one.begin()
                learn(one.ring, [opener(each) for each in range(600)])
                one.backup.touch()
                await quiet()
                code, all_of_it = one.code, held(one.ring)
            memory = PlainMemory()
            async with phone(here, "alice", 2, memory=memory) as new:
                await new.begin()
                real, left = new.chat._requests.ask, after

                async def ask(pdu: object, answer: type) -> object:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise LinkLost(Code.NO_ERROR, "gone")
                    return await real(pdu, answer)  # type: ignore[arg-type]

                new.chat._requests.ask = ask  # type: ignore[assignment, method-assign]
                with contextlib.suppress(LinkLost):
                    await new.backup.restore(code)
            async with phone(here, "alice", 2, memory=memory) as again:
                await again.begin()
                if not again.code:
                    await again.backup.restore(code)
                await quiet()
                assert again.is_in()
                assert held(again.ring) == all_of_it

    play(scenario)


def test_a_backup_of_another_identity_is_not_taken_and_not_overwritten() -> None:
    """[15.9-22]: whoever has begun anew keeps his new identity; what was before stays until he makes a new code."""

    async def scenario() -> None:
        async with world() as here, phone(here, "alice", 1, sign_up=True) as one:
            await one.begin()
            code = one.code
            await one.directory.renew()
            one.asked.clear()
            await one.backup.begin()
            assert puts(one) == []
            with pytest.raises(BadKey, match="another identity"):
                await one.backup.restore(code)
            await one.backup.renew()
            assert puts(one)[:2] == [0, 1]

    play(scenario)


def test_a_server_without_room_is_told_once() -> None:
    """[15.9-23]: what cannot be backed up is told, and tried again with what comes next."""

    async def scenario() -> None:
        async with world() as here, phone(here, "alice", 1, sign_up=True) as one:
            await one.begin()
            real = one.backup._shelf._ask

            async def full(pdu: object, answer: type) -> object:
                if isinstance(pdu, BackUp):
                    raise Refused(Code.QUOTA, "Your quota is used up.")
                return await real(pdu, answer)  # type: ignore[arg-type]

            one.backup._shelf._ask = full  # type: ignore[assignment]
            for number in range(3):
                learn(one.ring, [opener(number)])
                one.backup.touch()
                await quiet()
            assert len(one.told("backup")) == 1
            assert "quota" in one.told("backup")[0]
            one.backup._shelf._ask = real
            one.backup.touch()
            await quiet()
            assert one.backup.trouble is None

    play(scenario)


def test_a_server_that_shows_the_last_generation_is_not_believed_for_ever() -> None:
    """[15.9-27]: where no number is left for a new code, that is told in one line."""

    async def scenario() -> None:
        async with world() as here, phone(here, "alice", 1, sign_up=True) as one:
            await one.begin()
            await one.ask(BackUp(generation=2**53, part=0, data=b"nobody opens this"), Ok)
            with pytest.raises(BadKey, match="place"):
                await one.backup.renew()

    play(scenario)


def test_a_device_that_was_let_out_does_not_let_itself_in_again() -> None:
    """[15.9-25]: it knows the code, but nobody has typed it there since; typed, it is the user's own decision."""

    async def scenario() -> None:
        async with pair() as (_, one, two):
            await restored(one, two)
            await one.directory.begin("alice")
            await one.directory.remove(two.mark)
            for _ in range(2):
                await two.begin()
                two.backup.touch()
                await quiet()
                assert not two.is_in()
                assert two.identity is None
            await two.backup.restore(one.code)
            assert two.is_in()

    play(scenario)
