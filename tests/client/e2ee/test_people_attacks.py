"""What a server, or whoever is between, may try with lists of others; it is refused, told, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.chance import HERE
from quicchat.client.e2ee import making
from quicchat.client.e2ee.keyring import Keyring
from quicchat.client.e2ee.lists import Row
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.e2ee.people import People
from quicchat.client.e2ee.records import PAST, Known, devices_of
from quicchat.client.events import KeyNews
from quicchat.client.memory import Kept, PlainMemory
from quicchat.client.scribe import Scribe
from quicchat.client.seal import Seal
from quicchat.wire.sealed import DeviceList, packed, unpacked
from tests.client.e2ee.keyhouse import NOTHING, Client, KeyServer, changed, now, row, signer
from tests.client.e2ee.scene import DEVICE, MALLORY, MINE, Scene
from tests.server.house import play


def listing(found: Row, **fields: object) -> bytes:
    """Another list than the one in the row."""
    old = unpacked(DeviceList, found[3])
    values = {"version": old.version, "account": old.account, "serial": old.serial, "time": old.time}
    return packed(DeviceList(**{**values, "devices": old.devices, **fields}))  # type: ignore[arg-type]


def resigned(found: Row, data: bytes, signer: Secret = MINE) -> Row:
    return changed(found, data=data, signature=signer.sign(data))


#: Name, what is shown, what is told.
LIES: list[tuple[str, Callable[[Row], Row], list[str]]] = [
    ("rollback", lambda good: row("bob", 1, MINE, [DEVICE, MALLORY]), ["rollback"]),
    ("no list any more", lambda good: ("bob", *NOTHING), ["rollback"]),
    ("another list of the same number", lambda good: row("bob", 2, MINE, [DEVICE, MALLORY]), ["forged-list"]),
    ("signed by another key", lambda good: row("bob", 3, MINE, [DEVICE, MALLORY], signer=MALLORY), ["forged-list"]),
    ("signed by a device", lambda good: row("bob", 3, MINE, [DEVICE, MALLORY], signer=DEVICE), ["forged-list"]),
    ("of another account", lambda good: row("bob", 3, MINE, [DEVICE], account="carol"), ["forged-list"]),
    ("no signature", lambda good: changed(row("bob", 3, MINE, [DEVICE]), signature=b"x"), ["forged-list"]),
    ("two signatures", lambda good: changed(row("bob", 3, MINE, [DEVICE]), signature=good[4] * 2), ["forged-list"]),
    ("the signature of another list", lambda good: changed(row("bob", 3, MINE), signature=good[4]), ["forged-list"]),
    ("a number beside the list", lambda good: changed(good, serial=3), ["forged-list"]),
    ("no identity", lambda good: changed(row("bob", 3, MINE), identity=b"x"), ["forged-list"]),
    ("a secret key", lambda good: changed(row("bob", 3, MINE), identity=MINE.data), ["forged-list"]),
    ("a revoked identity", lambda good: changed(row("bob", 3, MINE), identity=MINE.revoked().data), ["forged-list"]),
    ("a list that is none", lambda good: resigned(changed(good, serial=3), b"\xa0"), ["forged-list"]),
    (
        "of a later format",
        lambda good: resigned(changed(good, serial=3), listing(good, version=2, serial=3)),
        ["forged-list"],
    ),
    (
        "a device twice",
        lambda good: row("bob", 3, MINE, names=[(DEVICE.certificate.fingerprint, name) for name in "ab"]),
        ["forged-list"],
    ),
]


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize(("lie", "told"), [case[1:] for case in LIES], ids=[case[0] for case in LIES])
def test_a_list_that_is_not_good_changes_nothing(lie: Callable[[Row], Row], told: list[str], verified: bool) -> None:
    """[15.3-23], [15.3-24]: it is told once for a connection, and the list before it stays."""

    async def scenario() -> None:
        scene = Scene(verified=verified)
        directory = await scene.begin()
        before, seal = scene.kept(), directory.seal("bob")
        assert await scene.shown(lie(scene.good)) == told
        assert scene.kept() == before
        assert directory.seal("bob") is seal
        await directory.fresh(["bob"], again=True)
        assert scene.alice.kinds() == []
        found = await directory.recipients(["bob"])
        assert [each.certificate for each in found.devices] == [DEVICE.certificate]
        assert found.keyless == frozenset()
        assert signer(directory, "bob", MALLORY.certificate.handle) is None
        assert await scene.shown(scene.good) == []
        await scene.alice.stop()

    play(scenario)


@pytest.mark.parametrize("lie", [case[1] for case in LIES[3:]], ids=[case[0] for case in LIES[3:]])
def test_at_first_sight_it_blocks(lie: Callable[[Row], Row]) -> None:
    """[15.3-23]: whose first list is not good is not taken for somebody without keys, to whom one speaks in plain."""

    async def scenario() -> None:
        server = KeyServer()
        server.put("bob", 2, MINE, [DEVICE])
        server.shows["bob"] = lie(server.row("bob", 0))
        alice = Client(server, "alice")
        directory = await alice.login()
        found = await directory.recipients(["bob", "carol"])
        assert set(found.blocked) == {"bob"}
        assert found.keyless == {"carol"}
        assert found.devices == ()
        assert directory.person("bob") is None
        assert directory.seal("bob") is Seal.FORGED
        await alice.stop()

    play(scenario)


def test_a_device_beside_the_list_is_ignored() -> None:
    """[15.3-25]: an injected certificate never receives anything and has signed nothing; nor has what is no key."""

    async def scenario() -> None:
        scene = Scene()
        directory = await scene.begin()
        good = row("bob", 3, MINE, [DEVICE])
        planted = changed(good, certificates=(MALLORY.certificate.data, b"x", MINE.certificate.data, *good[5]))
        assert await scene.shown(planted) == []
        found = await directory.recipients(["bob"])
        assert [each.certificate for each in found.devices] == [DEVICE.certificate]
        for each in (MALLORY, MINE):
            assert signer(directory, "bob", each.certificate.handle) is None
        await scene.alice.stop()

    play(scenario)


def test_a_certificate_that_is_left_out_is_the_one_before() -> None:
    """[15.3-25]: a server cannot take a device out of a list by keeping its key back from who has seen it."""

    async def scenario() -> None:
        scene = Scene()
        directory = await scene.begin()
        other = Secret.make("other", now())
        good = row("bob", 3, MINE, [DEVICE, other])
        assert await scene.shown(changed(good, certificates=(other.certificate.data,))) == ["device"]
        found = await directory.recipients(["bob"])
        assert {each.certificate.fingerprint for each in found.devices} == {
            DEVICE.certificate.fingerprint,
            other.certificate.fingerprint,
        }
        await scene.alice.stop()

    play(scenario)


def test_revoked_and_expired_devices_get_nothing() -> None:
    """[15.3-26]: whatever the list says; and who has no other device is not written to in plain, but held."""

    async def scenario() -> None:
        server = KeyServer()
        day = 86_400_000
        old, revoked = Secret.make("old", now() - 10 * day, 5 * 86_400), Secret.make("revoked", now())
        soon = Secret.make("soon", now() - day, 2 * 86_400)
        good = row("bob", 1, MINE, [old, revoked, soon, DEVICE])
        server.shows["bob"] = changed(
            good,
            certificates=(
                old.certificate.data,
                revoked.revoked().data,
                soon.certificate.data,
                DEVICE.certificate.data,
            ),
        )
        server.shows["carol"] = changed(
            row("carol", 1, MALLORY, [old, revoked]), certificates=(old.certificate.data, revoked.revoked().data)
        )
        alice = Client(server, "alice")
        directory = await alice.login()
        found = await directory.recipients(["bob", "carol"])
        assert {each.name for each in found.devices} == {"device 2", "device 3"}
        assert set(found.blocked) == {"carol"}
        assert "/keys carol" in found.blocked["carol"]
        assert found.keyless == frozenset()
        bob = directory.person("bob")
        assert bob is not None
        assert [flaw is None for _, _, flaw in bob.devices] == [False, False, True, True]
        alice.offset = 2 * 86_400
        assert {each.name for each in (await directory.recipients(["bob"])).devices} == {"device 3"}
        await alice.stop()

    play(scenario)


def test_two_devices_with_one_handle_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.3-25]: a device that has taken the encryption key of another into its certificate shuts both out."""

    class Stolen:
        key = X25519PrivateKey.generate()

        @classmethod
        def generate(cls) -> X25519PrivateKey:
            return cls.key

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(making, "X25519PrivateKey", Stolen)
            twins = [Secret.make(name, now()) for name in ("one", "two")]
        assert twins[0].certificate.handle == twins[1].certificate.handle
        assert twins[0].certificate.fingerprint != twins[1].certificate.fingerprint
        scene = Scene()
        directory = await scene.begin()
        assert await scene.shown(row("bob", 3, MINE, [twins[0], DEVICE])) == ["device"]
        await scene.shown(row("bob", 4, MINE, [twins[0], DEVICE, twins[1]]))
        found = await directory.recipients(["bob"])
        assert [each.certificate for each in found.devices] == [DEVICE.certificate]
        await scene.alice.stop()

    play(scenario)


def test_what_is_kept_of_the_past_has_a_bound() -> None:
    """[15.11-4]: a list that changes all the time makes the record no longer than it may be."""

    async def scenario() -> None:
        scene = Scene()
        directory = await scene.begin()
        last = None
        for serial in range(3, PAST + 10):
            last = Secret.make("x", now())
            await scene.shown(row("bob", serial, MINE, [last], at=now() + serial))
        known = scene.kept()
        assert known is not None
        assert len(known.devices) == PAST + 1
        assert last is not None
        assert signer(directory, "bob", last.certificate.handle) == last.certificate
        assert signer(directory, "bob", DEVICE.certificate.handle) is None
        await scene.alice.stop()

    play(scenario)


@pytest.mark.parametrize("ahead", [-(10**9), 0, 10**12])
def test_the_clock_of_who_removes_a_device(ahead: int) -> None:
    """[15.3-27]: a clock that is wrong makes no device live longer than until its removal is seen here."""

    async def scenario() -> None:
        scene = Scene()
        directory = await scene.begin()
        other = Secret.make("other", now())
        await scene.shown(row("bob", 3, MINE, [other], at=now() + ahead))
        assert signer(directory, "bob", DEVICE.certificate.handle, at=now() + 400_000) is None
        before = now() + min(ahead, 0)
        assert signer(directory, "bob", DEVICE.certificate.handle, at=before - 1) == DEVICE.certificate
        await scene.alice.stop()

    play(scenario)


@given(st.data())
def test_nothing_that_a_server_sends_is_believed_but_what_was_signed(data: st.DataObject) -> None:
    """[15.3-23]: with any bit of a list, its signature or its identity changed it is refused, and nothing breaks."""

    async def scenario() -> None:
        good = row("bob", 3, MINE, [DEVICE])
        which = data.draw(st.integers(2, 5))
        field = good[5][0] if which == 5 else good[which]
        assert isinstance(field, bytes)
        # A signature is not always as long as the last time, and what is drawn must not depend on that.
        at = data.draw(st.integers(0, 65_535)) % (len(field) * 8)
        flipped = field[: at // 8] + bytes([field[at // 8] ^ 1 << at % 8]) + field[at // 8 + 1 :]
        bad = (*good[:which], (flipped,) if which == 5 else flipped, *good[which + 1 :])
        memory = PlainMemory()
        scribe = Scribe(memory, Kept(), lambda _: None)
        news: list[KeyNews] = []
        people = People(Keyring(scribe), HERE, news.append)
        people.take(row("bob", 2, MINE, [DEVICE]))
        before = people.known("bob")
        news.clear()
        assert not people.take(bad)  # type: ignore[arg-type]
        known = people.known("bob")
        assert known is not None
        if which in (3, 4):
            assert known == before
            assert [each.kind for each in news] == ["forged-list"]
        assert known.using == MINE.certificate.fingerprint
        assert {each.fingerprint for each in devices_of(known)} == {DEVICE.certificate.fingerprint}
        assert unpacked(Known, packed(known)) == known
        await scribe.flush()

    play(scenario)


def test_a_name_of_a_device_stays_in_its_line() -> None:
    """[15.11-6]: whatever somebody calls his device, what is told of it is one line."""

    async def scenario() -> None:
        scene = Scene()
        await scene.begin()
        other = Secret.make("other", now())
        names = [(DEVICE.certificate.fingerprint, "x"), (other.certificate.fingerprint, "a\nbob: hi\x1b[2J")]
        scene.server.shows["bob"] = changed(
            row("bob", 3, MINE, names=names), certificates=(DEVICE.certificate.data, other.certificate.data)
        )
        await scene.directory.fresh(["bob"], again=True)
        (news,) = scene.alice.news
        assert news.text.isprintable()
        await scene.alice.stop()

    play(scenario)
