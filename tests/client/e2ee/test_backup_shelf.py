"""The parts of a backup: what is put is found again, whoever else puts something at the same time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.chest import filled, part_of, rows_in
from quicchat.client.e2ee.faults import Unreadable
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.shelf import FIRST, Label, Replaced, Shelf, locked, part_in
from quicchat.client.memory import PlainMemory
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.keys import PART, Restored
from quicchat.wire.sealed import BackupPart
from tests.client.e2ee.vault import CODE, NOW, Vault, file_key, held, keyring, learn, learn_file, opener
from tests.server.house import play

LABEL = Label("alice", 3, CODE)


async def begun(vault: Vault) -> None:
    """A backup with its two first parts, which are not looked at here."""
    shelf = Shelf(keyring(), vault.ask, lambda _: None)
    top = BackupPart(version=1, account="alice", time=NOW, sessions=())
    await shelf.put(0, locked(top, LABEL), LABEL)
    await shelf.put(1, b"letter", LABEL)


class Device:
    """A keyring and its shelf."""

    def __init__(self, vault: Vault, ring: Keyring | None = None) -> None:
        self.vault = vault
        self.ring = ring or keyring()
        self.gained: set[str] = set()
        self.shelf = Shelf(self.ring, vault.ask, self.gained.update)

    async def round(self) -> bool:
        await self.shelf.look(max(FIRST, len(self.vault.parts)), LABEL)
        return await self.shelf.put_rows(NOW, LABEL)

    async def settle(self) -> None:
        while await self.round():
            pass


async def stored(vault: Vault) -> dict[bytes, int]:
    """By name, the first index of each session in the parts."""
    found: dict[bytes, int] = {}
    for data in vault.parts[FIRST:]:
        for row in await rows_in(part_in(data, LABEL)):
            found[row.name] = min(row.index, found.get(row.name, row.index))
    return found


def test_what_one_device_puts_another_one_has() -> None:
    """[15.9-24]: sessions and files; the other one puts nothing again, and hears where it can read more."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        one, other = Device(vault), Device(vault)
        learn(one.ring, [opener(1), opener(2, conversation="team")])
        learn_file(one.ring, file_key(5))
        await one.settle()
        before = len(vault.puts)
        await other.settle()
        assert held(other.ring) == held(one.ring)
        assert other.ring.get(Drawer.FILE, file_key(5).file) == one.ring.get(Drawer.FILE, file_key(5).file)
        assert other.gained == {"@alice,bob", "team"}
        assert len(vault.puts) == before
        assert not one.gained

    play(scenario)


def test_the_key_that_opens_more_is_kept_on_both_sides() -> None:
    """[15.9-24]: of two keys of a session the earlier one stays, in the parts and on each device."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        one, other = Device(vault), Device(vault)
        learn(one.ring, [opener(1, index=5), opener(2)])
        learn(other.ring, [opener(1), opener(2, index=3)])
        await one.settle()
        await other.settle()
        await one.settle()
        assert set(held(one.ring).values()) == set(held(other.ring).values()) == {0}
        assert set((await stored(vault)).values()) == {0}
        assert one.gained == {"@alice,bob"}

    play(scenario)


def test_only_parts_that_changed_are_put_again() -> None:
    """[15.9-23]: three parts are full; what comes later is put in the last one, and no other is fetched or put."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        one = Device(vault)
        learn(one.ring, [opener(each) for each in range(800)])
        await one.settle()
        assert len(vault.parts) >= 5
        assert all(len(data) <= PART for data in vault.parts)
        assert (await stored(vault)) == held(one.ring)
        vault.asked.clear()
        learn(one.ring, [opener(900)])
        await one.settle()
        last = len(vault.parts) - 1
        assert set(vault.puts) == {last}
        assert set(vault.gets) <= {last}
        assert (await stored(vault)) == held(one.ring)

    play(scenario)


def test_two_devices_that_put_at_once_lose_nothing() -> None:
    """[15.9-24]: both look, both put the same part, one is overwritten: it finds that out when it looks again."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        devices = [Device(vault) for _ in range(3)]
        for number, each in enumerate(devices):
            learn(each.ring, [opener(number * 1_000 + one) for one in range(300)])
        await asyncio.gather(*(each.round() for each in devices))
        clashes = len(await stored(vault))
        assert clashes < 900
        for _ in range(2):
            for each in devices:
                await each.settle()
        assert len(await stored(vault)) == 900
        found = await stored(vault)
        assert all(held(each.ring) == found for each in devices)

    play(scenario)


def test_a_restart_fetches_nothing_that_is_known() -> None:
    """[15.9-23]: what each part holds is kept on the device; after a crash only the last part is looked at."""

    async def scenario() -> None:
        vault, memory = Vault(), PlainMemory()
        await begun(vault)
        one = Device(vault, keyring(memory))
        learn(one.ring, [opener(each) for each in range(500)])
        await one.settle()
        await one.ring._scribe.flush()
        vault.asked.clear()
        again = Device(vault, keyring(memory, await memory.load()))
        await again.settle()
        assert vault.puts == []
        assert vault.gets == [len(vault.parts) - 1]

    play(scenario)


@pytest.mark.parametrize("after", range(8))
def test_a_link_that_breaks_anywhere_loses_nothing(after: int) -> None:
    """[15.9-23]: whatever was the last that came through, the next rounds put the rest."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        one = Device(vault)
        learn(one.ring, [opener(each) for each in range(600)])
        real = vault.ask
        left = after

        async def broken(pdu: object, answer: type[object]) -> object:
            nonlocal left
            if not left:
                raise Refused(Code.INTERNAL)
            left -= 1
            return await real(pdu, answer)  # type: ignore[arg-type, type-var]

        one.shelf._ask = broken  # type: ignore[assignment]
        with contextlib.suppress(Refused):
            await one.settle()
        one.shelf._ask = real
        await one.settle()
        assert (await stored(vault)) == held(one.ring)
        assert len(await stored(vault)) == 600

    play(scenario)


def test_parts_that_are_gone_or_damaged_at_the_server_are_put_again() -> None:
    """[15.9-23]: a part that opens no more, or is not there any more, counts as one without rows."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        one = Device(vault)
        learn(one.ring, [opener(each) for each in range(400)])
        await one.settle()
        assert len(vault.parts) > FIRST + 1
        del vault.parts[-1]
        await one.settle()
        assert (await stored(vault)) == held(one.ring)
        vault.parts[-1] = b"rubbish"
        await one.settle()
        assert (await stored(vault)) == held(one.ring)

    play(scenario)


def test_a_part_of_another_account_or_code_gives_nothing() -> None:
    """[15.9-22]: what does not open, or is not of this account, is no row of ours."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        theirs = Label("mallory", 3, CODE)
        other = Label("alice", 3, "1" * 36)
        for label in (theirs, other):
            ring = keyring()
            learn(ring, [opener(77)])
            rows = await Shelf(ring, vault.ask, lambda _: None).everything()
            (part,) = filled(rows)
            vault.parts[FIRST:] = [locked(part_of(label.account, NOW, part), label)]
            device = Device(vault)
            await device.shelf.look(len(vault.parts), LABEL)
            assert not held(device.ring)

    play(scenario)


def test_a_backup_that_is_replaced_meanwhile_is_not_mixed() -> None:
    """[15.9-22]: parts of two generations never come together."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        one = Device(vault)
        learn(one.ring, [opener(1)])
        await one.settle()
        vault.generation = 4
        with pytest.raises(Replaced):
            await one.shelf.look(len(vault.parts), LABEL)
        with pytest.raises(Refused):
            await one.shelf.put(FIRST, b"x", LABEL)

    play(scenario)


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    """[8.1]: the answer to "too many requests" is to wait as long as it says."""

    async def scenario() -> None:
        vault = Vault()
        await begun(vault)
        vault.faults = [Refused(Code.RATE_LIMITED, "slowly", retry_after=30_000)]
        start = asyncio.get_running_loop().time()
        found = await Shelf(keyring(), vault.ask, lambda _: None).fetch(0)
        assert isinstance(found, Restored)
        assert found.count == 2
        assert asyncio.get_running_loop().time() - start >= 30

    play(scenario)


def test_a_part_opens_with_the_code_and_no_other() -> None:
    """[15.9-21]: wrong digits open nothing."""
    part = BackupPart(version=1, account="alice", time=NOW, sessions=())
    data = locked(part, LABEL)
    assert openpgp.unlock(data, CODE)
    with pytest.raises(Unreadable):
        openpgp.unlock(data, "1" + CODE[1:])
