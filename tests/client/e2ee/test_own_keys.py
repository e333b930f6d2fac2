"""The life of one's own keys: what a device does at its first login, and how others are let in and out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from quicchat.client.e2ee import lists
from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.keyring import Drawer
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.seal import Seal
from quicchat.errors import LinkLost
from quicchat.wire.chapters.keys import DEVICES, GetKeys, PublishKeys
from tests.client.e2ee.keyhouse import (
    Client,
    KeyServer,
    fingerprint,
    identity,
    identity_at,
    listing,
    marks,
    now,
    own,
    quiet,
    row,
    two_devices,
)
from tests.server.house import play


def test_a_first_login_makes_everything() -> None:
    """[15.2-20], [15.2-21]: identity and device, list 1 with this device, signed; on the disk as it is published."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        mine = own(alice)
        assert mine.identity is not None
        assert mine.listed
        assert not mine.contested
        listed = listing(server)
        assert (listed.version, listed.account, listed.serial) == (1, "alice", 1)
        assert listed.devices == ((mine.device.certificate.fingerprint, "laptop"),)
        judged = lists.judged("alice", server.row("alice", 0))
        assert judged.identity.fingerprint == mine.identity.certificate.fingerprint != listed.devices[0][0]
        assert alice.kept(Drawer.DEVICE) == mine.device.data
        assert alice.kept(Drawer.IDENTITY) == mine.identity.data
        published = server.of("alice").published[alice.device]
        assert (published.handle, published.name) == (mine.device.certificate.handle, "laptop")
        assert directory.seal("alice") is Seal.OWN
        assert directory.waiting() == []
        assert alice.kinds() == []
        await alice.stop()

    play(scenario)


def test_the_next_login_changes_nothing() -> None:
    """[15.2-20]: the same keys and the same list, however often, with nothing published anew."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        before = (await alice.login()).own
        await alice.stop()
        server.asked.clear()
        for _ in range(3):
            after = (await alice.login()).own
            assert after == before
            await alice.stop()
        assert all(isinstance(pdu, GetKeys) for pdu in server.asked)
        assert len(server.asked) == 3
        assert listing(server).serial == 1

    play(scenario)


def test_another_device_waits_and_is_let_in() -> None:
    """[15.2-22], [15.2-23], [15.4-20]: it publishes its certificate, says so, and learns that it is let in."""

    async def scenario() -> None:
        server = KeyServer()
        old, new = Client(server, "alice"), Client(server, "alice", "phone")
        one, two = await old.login(), await new.login()
        await quiet()
        assert own(new).identity is None
        assert not own(new).listed
        assert new.kept(Drawer.IDENTITY) is None
        assert new.kinds() == ["waiting"]
        assert listing(server).serial == 1
        assert old.kinds() == ["approve"]
        (waiting,) = one.waiting()
        assert (waiting.name, waiting.fingerprint, waiting.flaw) == ("phone", fingerprint(new), None)
        assert two.waiting() == []
        await one.approve(waiting.fingerprint)
        await quiet()
        assert listing(server).serial == 2
        assert marks(server) == {fingerprint(old), fingerprint(new)}
        assert own(new).listed
        assert new.kinds() == ["listed"]
        assert one.waiting() == []
        found = await one.recipients(["alice"])
        assert [(each.user, each.name, each.certificate.fingerprint) for each in found.devices] == [
            ("alice", "phone", fingerprint(new))
        ]
        assert [each.name for each in (await two.recipients(["alice"])).devices] == ["laptop"]
        await old.stop()
        await new.stop()

    play(scenario)


def test_what_waits_is_checked_before_it_is_let_in() -> None:
    """[15.2-24]: not what is not there, has another fingerprint than the server says, is no key, or cannot read."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        good, other = Secret.make("good", now()), Secret.make("other", now())
        planted = PublishKeys(
            certificate=good.certificate.data, fingerprint=good.certificate.fingerprint, handle=1, name="planted"
        )
        with pytest.raises(BadKey, match="no such device"):
            await directory.approve(good.certificate.fingerprint)
        for bad, why in (
            (replace(planted, fingerprint=other.certificate.fingerprint), "another fingerprint"),
            (replace(planted, certificate=b"nonsense"), "no OpenPGP"),
            (replace(planted, certificate=good.revoked().data), "revoked"),
            (replace(planted, certificate=Secret.make("old", now() - 10_000_000, 1_000).certificate.data), "expired"),
        ):
            server.of("alice").published[bytes(16)] = bad
            with pytest.raises(BadKey, match=why):
                await directory.approve(bad.fingerprint)
            assert listing(server).serial == 1
            assert directory.waiting()[0].flaw
        assert "approve" not in alice.kinds()
        await alice.stop()

    play(scenario)


def test_a_device_is_removed_and_forgets_the_identity() -> None:
    """[15.2-25]: it is left out of the next list; it does not come back by itself, and gives the identity up."""

    async def scenario() -> None:
        server = KeyServer()
        (old, one), (new, two) = await two_devices(server)
        # As a backup does, so that either can let others in and out.
        identity = old.kept(Drawer.IDENTITY)
        await new.keyring.now(Drawer.IDENTITY, b"", identity)
        await two.begin("alice")
        new.kinds()
        with pytest.raises(BadKey, match="from another one"):
            await one.remove(fingerprint(old))
        with pytest.raises(BadKey, match="no such device"):
            await one.remove(bytes(20))
        await one.remove(fingerprint(new))
        await quiet()
        assert marks(server) == {fingerprint(old)}
        assert not own(new).listed
        assert own(new).identity is None
        assert new.kept(Drawer.IDENTITY) is None
        assert new.kinds() == ["waiting"]
        serial = listing(server).serial
        await new.stop()
        await new.login()
        await quiet()
        assert listing(server).serial == serial
        assert "removed" in new.news[0].text
        assert one.waiting() == []
        assert [each.name for each in (await one.recipients(["alice"])).devices] == []
        await old.stop()
        await new.stop()

    play(scenario)


def test_two_at_once_lose_nothing() -> None:
    """[15.2-26]: a list that another device has replaced meanwhile is made anew from that one."""

    async def scenario() -> None:
        server = KeyServer()
        first, second = Client(server, "alice", "a"), Client(server, "alice", "b")
        one, two = await first.login(), await second.login()
        await quiet()
        await one.approve(fingerprint(second))
        await second.keyring.now(Drawer.IDENTITY, b"", first.kept(Drawer.IDENTITY))
        await two.begin("alice")
        others = [Client(server, "alice", name) for name in "cdef"]
        for each in others:
            await each.login()
        await quiet()
        await asyncio.gather(
            one.approve(fingerprint(others[0])),
            two.approve(fingerprint(others[1])),
            one.approve(fingerprint(others[2])),
            two.approve(fingerprint(others[3])),
        )
        await quiet()
        assert marks(server) == {fingerprint(each) for each in server.clients}
        assert all(own(each).listed for each in others)
        for each in server.clients:
            await each.stop()

    play(scenario)


def test_a_list_has_an_end() -> None:
    """[15.2-24]: a seventeenth device is refused here, before the server is asked."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        names = [(fingerprint(alice), "laptop"), *((bytes([at]) * 20, f"d{at}") for at in range(1, DEVICES))]
        server.of("alice").row = row("alice", 2, identity(alice), names=names)[1:5]
        more = Client(server, "alice", "more")
        await more.login()
        await quiet()
        with pytest.raises(BadKey, match="16 devices"):
            await directory.approve(fingerprint(more))
        await directory.remove(bytes([1]) * 20)
        await directory.approve(fingerprint(more))
        assert len(listing(server).devices) == DEVICES
        await alice.stop()
        await more.stop()

    play(scenario)


def test_of_two_first_logins_at_once_one_is_the_first() -> None:
    """[15.2-22]: the other gives up the identity that nobody has seen, and waits."""

    async def scenario() -> None:
        server = KeyServer()
        first, second = Client(server, "alice", "a"), Client(server, "alice", "b")
        one, two = await first.start(), await second.start()
        await asyncio.gather(one.begin("alice"), two.begin("alice"))
        await quiet()
        keepers = [each for each in (own(first), own(second)) if each.identity is not None]
        assert len(keepers) == 1
        assert keepers[0].identity is not None
        assert keepers[0].identity.certificate.fingerprint == identity_at(server)
        assert [each.listed for each in (own(first), own(second))].count(True) == 1
        assert sum(each.kept(Drawer.IDENTITY) is not None for each in server.clients) == 1
        waiting = first if own(first).identity is None else second
        assert waiting.kinds() == ["waiting"]
        await first.stop()
        await second.stop()

    play(scenario)


def test_a_key_that_was_imported_is_listed_as_well() -> None:
    """[15.2-20]: another device key in the place of the first is published and listed; the first can be removed."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        first = fingerprint(alice)
        made = Secret.make("by gpg", now())
        await alice.keyring.now(Drawer.DEVICE, b"", made.data)
        await directory.begin("alice")
        assert fingerprint(alice) == made.certificate.fingerprint
        assert marks(server) == {first, made.certificate.fingerprint}
        await directory.remove(first)
        assert marks(server) == {made.certificate.fingerprint}
        await alice.stop()

    play(scenario)


def test_nothing_of_ones_own_without_a_connection() -> None:
    """[15.2-20]: what is here is known as soon as a login begins; what needs the server says that it is gone."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        await alice.login()
        await alice.stop()
        directory = await alice.start()
        assert directory.own is None
        alice.alive = False
        with pytest.raises(LinkLost):
            await directory.begin("alice")
        assert own(alice).listed
        with pytest.raises(LinkLost):
            await directory.recipients(["alice", "bob"])
        with pytest.raises(LinkLost):
            await directory.approve(bytes(20))

    play(scenario)


def test_a_device_without_the_identity_decides_nothing() -> None:
    """[15.2-24]: it says where that can be done."""

    async def scenario() -> None:
        server = KeyServer()
        old, new = Client(server, "alice"), Client(server, "alice", "phone")
        await old.login()
        directory = await new.login()
        for call in (directory.approve, directory.remove):
            with pytest.raises(BadKey, match="another device"):
                await call(fingerprint(old))
        assert listing(server).serial == 1
        await old.stop()
        await new.stop()

    play(scenario)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "device"), ("x" * 80, "x" * 64), ("\u2126" * 40, "\u2126" * 21), ("a\x1b[31m\nb", "a [31m b")],
)
def test_names_of_devices(name: str, shown: str) -> None:
    """[15.2-20]: as much of a name as a list takes, without control characters."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice", name or "\x00")
        await alice.login()
        assert listing(server).devices[0][1] == shown
        await alice.stop()

    play(scenario)
