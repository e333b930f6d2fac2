"""Device lists and backups, from the outside: taken, told and kept as they came, and to whom."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.model import Credentials
from quicchat.wire.chapters.accounts import Revoke
from quicchat.wire.chapters.keys import PART, BackUp, GetKeys, KeysChanged, PublishKeys, Restore, Restored
from quicchat.wire.chapters.rooms import Create, Join, Leave
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Room, User
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import Peer, entered
from tests.conformance.sealing import Key, keys, listed, publish
from tests.conformance.talk import post, said

NOBODY = Credentials(salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))


async def changes(*peers: Peer) -> list[list[tuple[str, int]]]:
    """What each was told of keys, and takes."""
    told = []
    for peer in peers:
        await peer.barrier()
        found = peer.all(KeysChanged)
        peer.heard[:] = [each for each in peer.heard if not isinstance(each.pdu, KeysChanged)]
        told.append([(each.user, each.serial) for each in found])
    return told


def test_keys_are_told_as_they_came(house: House) -> None:
    """[15.2-1], [15.2-8], [15.3-1], [15.3-2], [15.3-3]: bytes that are no OpenPGP at all; nobody looks like one without
    keys."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            key = Key()
            await publish(alice, key, serial=7)
            facts = listed(alice.user, 7, key)
            row = (alice.user, 7, facts["identity"], facts["devices"], facts["signature"], (key.certificate,))
            nobody = alice.user + "x"
            users = sorted((alice.user, bob.user, nobody))
            expected = {alice.user: row, bob.user: (bob.user, 0, b"", b"", b"", ())}
            expected[nobody] = (nobody, 0, b"", b"", b"", ())
            found = await keys(bob, *users)
            assert [*found.users] == [expected[user] for user in users]
            assert found.waiting == ()
            assert (await keys(alice, bob.user)).waiting is None
            held = (await keys(bob, alice.user, held=(7,))).users
            assert held == ((alice.user, 7, b"", b"", b"", ()),)
            assert (await keys(bob, alice.user, held=(6,))).users == (row,)
            renewed = replace(key, certificate=b"renewed")
            assert await alice.ask(renewed.pdu()) == Ok()
            assert (await keys(bob, alice.user)).users[0][5] == (b"renewed",)

    house.run(scenario())


@pytest.mark.parametrize(
    "asked",
    [
        GetKeys(users=("b", "a")),
        GetKeys(users=("a", "a")),
        GetKeys(users=("a", "b"), serials=(1,)),
        GetKeys(users=(), serials=(1,)),
    ],
    ids=["order", "twice", "few", "many"],
)
def test_how_keys_are_asked_for(house: House, asked: GetKeys) -> None:
    """[15.3-1]: names in their order, each once, with as many serials or none."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            assert await alice.refused(asked) == Code.SCHEMA
            assert (await keys(alice)).users == ()

    house.run(scenario())


def test_pages_fit_a_frame(house: House) -> None:
    """[15.2-7], [15.3-1], P7: long certificates come a user at a time; one user's are never longer than a frame."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            for peer in (alice, bob):
                await publish(peer, replace(Key(), certificate=os.urandom(9_000)))
                facts = listed(peer.user, 2)
                assert (
                    await peer.ask(replace(Key(), certificate=b"x").pdu(**{**facts, "identity": bytes(16_000)})) == Ok()
                )
                await publish(peer, replace(Key(), certificate=os.urandom(12_000)), serial=3)
                identity = {**listed(peer.user, 4), "identity": os.urandom(16_384)}
                assert await peer.ask(replace(Key(), certificate=b"y").pdu(**identity)) == Ok()
            users = sorted((alice.user, bob.user))
            assert len((await keys(alice, *users)).users) == 2
            for peer in (alice, bob):
                longest = {
                    **listed(peer.user, 5, *(many := [Key() for _ in range(16)])),
                    "identity": os.urandom(16_384),
                }
                longest["signature"] = os.urandom(1_024)
                assert await peer.ask(replace(many[0], certificate=os.urandom(12_000)).pdu(**longest)) == Ok()
            assert len((await keys(alice, *users)).users) == 1
            assert len((await keys(alice, *users[1:])).users) == 1
            too_long = replace(Key(), certificate=os.urandom(16_000))
            assert await alice.refused(too_long.pdu()) == Code.LIMIT

    house.run(scenario())


def misfits(user: str, key: Key) -> dict[str, tuple[PublishKeys, Code]]:
    """What is no list of this user's."""
    whole = listed(user, 2, key)
    parts: list[dict[str, Any]] = [
        {name: value for name, value in whole.items() if name != missing} for missing in whole
    ]
    return {
        **{f"part {number}": (key.pdu(**part), Code.SCHEMA) for number, part in enumerate(parts)},
        "bytes": (key.pdu(**{**whole, "devices": b"\x00"}), Code.SCHEMA),
        "trailing": (key.pdu(**{**whole, "devices": whole["devices"] + b"\x00"}), Code.SCHEMA),
        "not shortest": (
            key.pdu(**{**whole, "devices": whole["devices"][:1] + b"\x18\x01" + whole["devices"][2:]}),
            Code.SCHEMA,
        ),
        "version": (key.pdu(**listed(user, 2, key, version=2)), Code.SCHEMA),
        "serial": (key.pdu(**listed(user, 0, key)), Code.SCHEMA),
        "twice": (key.pdu(**listed(user, 2, key, key)), Code.SCHEMA),
        "account": (key.pdu(**listed(user + "x", 2, key)), Code.FORBIDDEN),
        "older": (key.pdu(**listed(user, 1)), Code.KEYS_STALE),
    }


@pytest.mark.parametrize("flaw", misfits("alice", Key()))
def test_what_is_no_list(house: House, flaw: str) -> None:
    """[15.2-1], [15.2-2], [15.2-3]: refused, and nothing of it is kept, the key of the device neither."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            key, other = await publish(alice, Key()), Key()
            pdu, code = misfits(alice.user, other)[flaw]
            assert await alice.refused(pdu) == code
            found = await keys(alice, alice.user)
            assert (found.users[0][1], found.users[0][5], found.waiting) == (1, (key.certificate,), ())

    house.run(scenario())


def test_a_rollback_is_refused_and_a_retry_is_not(house: House) -> None:
    """[15.2-3]: KEYS_STALE for an older list, or another with the same serial; the same again is OK, and no news."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place, user=None) as bob:
            await alice.ask(Create(room=(room := somebody())))
            await bob.ask(Join(room=room))
            first, second = Key(), Key()
            before, now = listed(alice.user, 1, first, second), listed(alice.user, 2, first)
            assert await alice.ask(first.pdu(**before)) == Ok()
            assert await alice.ask(first.pdu(**now)) == Ok()
            assert await changes(bob) == [[(alice.user, 1), (alice.user, 2)]]
            assert await alice.ask(first.pdu(**now)) == Ok()
            for stale in (before, {**now, "signature": b"other"}, listed(alice.user, 2, first, second)):
                assert await alice.refused(first.pdu(**stale)) == Code.KEYS_STALE
            assert await changes(bob, alice) == [[], []]

    house.run(scenario())


def test_a_device_waits_until_it_is_listed(house: House) -> None:
    """[15.2-4], [15.2-5], [15.3-4], [15.4-2]: only the user hears of it; once listed everybody; dropped, nobody."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            await alice.ask(Create(room=(room := somebody())))
            await bob.ask(Join(room=room))
            old, new = await publish(alice, Key()), Key()
            await changes(bob)
            async with entered(house.place, user=alice.user) as phone:
                assert await phone.ask(new.pdu()) == Ok()
                assert await phone.ask(new.pdu()) == Ok()
                assert await changes(alice, phone, bob) == [[(alice.user, 1)], [], []]
                (row,) = (await keys(alice, alice.user)).waiting or ()
                assert row == (phone.device, new.fingerprint, "phone", new.certificate)
                assert (await keys(bob, alice.user)).waiting is None
                assert await alice.ask(old.pdu(**listed(alice.user, 2, old, new))) == Ok()
                assert await changes(alice, phone, bob) == [[], [(alice.user, 2)], [(alice.user, 2)]]
                found = await keys(bob, alice.user)
                assert found.users[0][5] == (old.certificate, new.certificate)
                assert (await keys(alice, alice.user)).waiting == ()
                assert await alice.ask(old.pdu(**listed(alice.user, 3, old))) == Ok()
                assert (await keys(bob, alice.user)).users[0][5] == (old.certificate,)
                assert (await keys(alice, alice.user)).waiting == ()
                assert await phone.ask(new.pdu()) == Ok()
                assert len((await keys(alice, alice.user)).waiting or ()) == 1
                assert await alice.ask(Revoke(device=phone.device)) == Ok()
            assert (await keys(alice, alice.user)).waiting == ()

    house.run(scenario())


def test_a_key_is_one_devices(house: House) -> None:
    """[15.2-6]: it moves with its certificate, and nobody takes another device's fingerprint with his own."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            key = await publish(alice, Key())
            async with entered(house.place, user=alice.user) as phone:
                forged = replace(key, certificate=b"forged")
                assert await phone.refused(forged.pdu()) == Code.FORBIDDEN
                assert await phone.ask(key.pdu()) == Ok()
                found = await keys(phone, alice.user)
                assert (found.users[0][5], found.waiting) == ((key.certificate,), ())

    house.run(scenario())


def test_who_hears_of_changed_keys(house: House) -> None:
    """[15.4-1]: those who share a room or a direct message, and the user's other sessions; nobody else, not twice."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            await said(bob, post("hi", user=alice.user))
            await alice.ask(Create(room=(room := somebody())))
            for peer in (bob, carol):
                await peer.ask(Join(room=room))
            async with entered(house.place, user=alice.user) as other:
                key = await publish(alice, Key())
                news = [(alice.user, 1)]
                assert await changes(alice, other, bob, carol) == [[], news, news, news]
                assert await alice.ask(replace(key, certificate=b"renewed").pdu()) == Ok()
                assert await changes(alice, other, bob, carol) == [[], news, news, news]

    house.run(scenario())


def test_strangers_hear_nothing_of_keys() -> None:
    """[15.4-1], Z1: in a large house those who share nothing small with him; but an encrypted room of any size."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob, entered(place) as carol:
            store = place.store
            assert store is not None
            await alice.ask(Create(room=(hall := somebody())))
            await bob.ask(Join(room=hall))
            await bob.ask(Create(room=(vault := somebody()), policy=4))
            await carol.ask(Join(room=vault))
            for number in range(201):
                name = User(f"user{number}")
                await store.accounts.sign_up(name, NOBODY, at=1)
                await store.rooms.join(Room(vault), name, cid=os.urandom(16), at=1)
            await publish(alice, Key())
            assert await changes(bob, carol) == [[(alice.user, 1)], []]
            await publish(bob, Key())
            assert await changes(alice, carol) == [[(bob.user, 1)], [(bob.user, 1)]]
            await carol.ask(Leave(room=vault))
            await publish(bob, Key(), serial=2)
            assert await changes(carol) == [[]]

    play(scenario())


def test_a_backup_is_kept_in_parts(house: House) -> None:
    """[15.9-1]: by number, of one generation; the longest part too; nobody else's."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            data = [os.urandom(PART), b"one", b"two"]
            assert await alice.ask(Restore(part=0)) == Restored(generation=0, count=0, data=b"")
            assert await alice.refused(BackUp(generation=1, part=1, data=b"x")) == Code.SCHEMA
            for part, each in enumerate(data):
                assert await alice.ask(BackUp(generation=5, part=part, data=each)) == Ok()
            for part, each in enumerate([*data, b""]):
                assert await alice.ask(Restore(part=part)) == Restored(generation=5, count=3, data=each)
            assert await alice.ask(BackUp(generation=5, part=1, data=b"uno")) == Ok()
            assert await alice.ask(Restore(part=1)) == Restored(generation=5, count=3, data=b"uno")
            assert await alice.refused(BackUp(generation=4, part=0, data=b"old")) == Code.KEYS_STALE
            assert await bob.ask(Restore(part=0)) == Restored(generation=0, count=0, data=b"")
            assert await alice.ask(BackUp(generation=6, part=0, data=b"new")) == Ok()
            assert await alice.ask(Restore(part=0)) == Restored(generation=6, count=1, data=b"new")

    house.run(scenario())


def test_a_backup_has_an_end() -> None:
    """[15.9-1], P7: QUOTA beyond what the operator allows."""

    async def scenario() -> None:
        async with simulated(backup=100) as place, entered(place) as alice:
            assert await alice.ask(BackUp(generation=1, part=0, data=bytes(60))) == Ok()
            assert await alice.refused(BackUp(generation=1, part=1, data=bytes(41))) == Code.QUOTA
            assert await alice.ask(BackUp(generation=1, part=1, data=bytes(40))) == Ok()

    play(scenario())
