"""One's own list when the server shows another one, and what is done after everything is lost."""

from __future__ import annotations

from functools import partial

import pytest

from quicchat.client.e2ee import lists
from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.keyring import Drawer
from quicchat.client.e2ee.openpgp import Certificate, Secret
from quicchat.client.e2ee.records import Known
from quicchat.client.e2ee.trust import Trust
from quicchat.errors import Refused
from quicchat.wire.chapters.keys import PublishKeys
from quicchat.wire.sealed import DeviceList, unpacked
from tests.client.e2ee.keyhouse import (
    Client,
    KeyServer,
    changed,
    fingerprint,
    identity,
    identity_at,
    listing,
    marks,
    now,
    own,
    quiet,
    row,
    signer,
    two_devices,
)
from tests.server.house import play


def test_an_older_list_of_ours_is_told_and_replaced() -> None:
    """[15.2-27]: a server that has gone back is told of, and gets our list again with a higher number."""

    async def scenario() -> None:
        server = KeyServer()
        alice, other = Client(server, "alice"), Client(server, "alice", "phone")
        directory = await alice.login()
        first = server.of("alice").row
        await other.login()
        await quiet()
        await directory.approve(fingerprint(other))
        await quiet()
        alice.kinds()
        for before in (first, (0, b"", b"", b"")):
            serial = listing(server).serial
            server.of("alice").row = before
            directory.lost()
            await directory.begin("alice")
            assert alice.kinds() == ["rollback"]
            assert listing(server).serial > serial
            assert marks(server) == {fingerprint(alice), fingerprint(other)}
            assert lists.judged("alice", server.row("alice", 0)).identity.data == server.of("alice").row[1]
        await alice.stop()
        await other.stop()

    play(scenario)


def test_a_list_that_we_have_not_signed_is_told_and_replaced() -> None:
    """[15.2-27]: an injected device does not stay, whatever number the server gives to the list."""

    async def scenario(serial: int) -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        mine = identity(alice)
        mallory, device = Secret.make("alice", now()), Secret.make("mallory", now())
        forged = row("alice", serial, mine, [device], signer=mallory)
        server.of("alice").row = forged[1:5]
        await directory.begin("alice")
        assert alice.kinds() == ["forged-list"]
        assert marks(server) == {fingerprint(alice)}
        assert listing(server).serial == serial + 1
        await alice.stop()

    for serial in (1, 2, 900):
        play(partial(scenario, serial))


def test_a_number_that_nobody_signed_uses_nothing_up() -> None:
    """[15.2-27]: the highest number there is, on a list that is not good, leads to one that leaves room for others."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        last = row("alice", 2**53, identity(alice), signer=Secret.make("mallory", now()))
        server.of("alice").row = last[1:5]
        with pytest.raises(Refused, match="KEYS_STALE"):
            await directory.begin("alice")
        published = [pdu for pdu in server.asked if isinstance(pdu, PublishKeys)][1:]
        numbers = [unpacked(DeviceList, pdu.devices or b"").serial for pdu in published]
        assert numbers
        assert max(numbers) < 2_000
        await alice.stop()

    play(scenario)


def test_another_identity_of_ours_is_the_users_to_decide() -> None:
    """[15.2-28]: two of one's own devices do not fight; until the user has decided, nothing is encrypted for them."""

    async def scenario(mine: bool) -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        before = server.of("alice").row
        other = Secret.make("alice", now())
        device = Secret.make("mallory", now())
        server.of("alice").row = row("alice", 5, other, [device])[1:5]
        for _ in range(2):
            await directory.begin("alice")
        assert alice.kinds() == ["blocked"]
        assert listing(server).serial == 5
        assert own(alice).contested
        assert set((await directory.recipients(["alice"])).blocked) == {"alice"}
        with pytest.raises(BadKey, match="/accept alice"):
            await directory.approve(device.certificate.fingerprint)
        if mine:
            await directory.verify("alice", await directory.digits("alice"))
            assert identity_at(server) == Certificate.of(before[1]).fingerprint
            assert marks(server) == {fingerprint(alice)}
            assert own(alice).listed
        else:
            await directory.accept("alice")
            assert own(alice).identity is None
            assert not own(alice).listed
            assert alice.kept(Drawer.IDENTITY) is None
            person = directory.person("alice")
            assert person is not None
            assert person.fingerprint == other.certificate.fingerprint
            assert listing(server).serial == 5
        assert not own(alice).contested
        assert (await directory.recipients(["alice"])).blocked == {}
        await alice.stop()

    for mine in (True, False):
        play(partial(scenario, mine))


def test_whoever_has_lost_everything_begins_anew() -> None:
    """[15.2-28]: another identity, published above the old list; what was said by the old devices keeps its signers."""

    async def scenario() -> None:
        server = KeyServer()
        old = Client(server, "alice")
        await old.login()
        lost = identity_at(server)
        handle = server.of("alice").published[old.device].handle
        await old.stop()
        new = Client(server, "alice", "phone")
        directory = await new.login()
        assert not own(new).listed
        await directory.renew()
        assert own(new).listed
        assert identity_at(server) == identity(new).certificate.fingerprint != lost
        assert listing(server).serial == 2
        assert marks(server) == {fingerprint(new)}
        assert signer(directory, "alice", handle) is not None
        assert signer(directory, "alice", handle, at=now() + 1_000_000) is None
        await new.stop()
        again = (await new.login()).own
        assert again is not None
        assert again.listed
        await new.stop()

    play(scenario)


def test_an_identity_from_a_backup_lets_its_device_in() -> None:
    """[15.2-23]: the device that waited signs for itself; one that was pinned by mistake does not count."""

    async def scenario(misled: bool) -> None:
        server = KeyServer()
        old, new = Client(server, "alice"), Client(server, "alice", "phone")
        await old.login()
        true = server.of("alice").row
        if misled:
            server.of("alice").row = row("alice", 3, Secret.make("alice", now()))[1:5]
        directory = await new.login()
        assert not own(new).listed
        server.of("alice").row = true
        await new.keyring.now(Drawer.IDENTITY, b"", old.kept(Drawer.IDENTITY))
        await directory.begin("alice")
        assert own(new).listed
        assert marks(server) == {fingerprint(old), fingerprint(new)}
        await old.stop()
        await new.stop()

    for misled in (False, True):
        play(partial(scenario, misled))


def test_a_server_that_forgets_a_certificate_is_given_it_again() -> None:
    """[15.2-20]: without it nobody could seal anything for this device."""

    async def scenario() -> None:
        server = KeyServer()
        (alice, one), (other, two) = await two_devices(server)
        for client, directory in ((alice, one), (other, two)):
            server.of("alice").published.clear()
            await directory.begin("alice")
            assert server.of("alice").published[client.device].fingerprint == fingerprint(client)
            assert listing(server).serial == 2
        await alice.stop()
        await other.stop()

    play(scenario)


def test_what_is_kept_of_oneself() -> None:
    """[15.11-4]: one's own identity counts as compared once it is published, and is nobody else's to change."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.login()
        known = alice.keyring.read(Known, Drawer.PERSON, b"alice")
        assert known is not None
        assert known.state is Trust.VERIFIED
        assert directory.trusted() == ()
        server.shows["alice"] = changed(server.row("alice", 0), signature=b"x" * 64)
        await directory.begin("alice")
        assert alice.kinds() == ["forged-list"]
        assert alice.keyring.read(Known, Drawer.PERSON, b"alice") is not None
        await alice.stop()

    play(scenario)


def test_an_identity_that_changes_while_a_device_waits() -> None:
    """[15.2-28], [15.11-4]: a device that waits is not let in by another identity either, unless that is accepted."""

    async def scenario() -> None:
        server = KeyServer()
        old, new = Client(server, "alice"), Client(server, "alice", "phone")
        await old.login()
        directory = await new.login()
        other = Secret.make("alice", now())
        server.shows["alice"] = row("alice", 5, other, [own(new).device])
        await directory.begin("alice")
        assert new.kinds() == ["waiting", "changed"]
        assert not own(new).listed
        await directory.accept("alice")
        assert own(new).listed
        assert new.kinds() == ["listed"]
        known = new.keyring.read(Known, Drawer.PERSON, b"alice")
        assert known is not None
        assert known.state is Trust.VERIFIED
        third = Secret.make("alice", now())
        server.shows["alice"] = row("alice", 6, third, [own(new).device])
        await directory.begin("alice")
        assert new.kinds() == ["blocked"]
        assert not own(new).listed
        assert set((await directory.recipients(["alice"])).blocked) == {"alice"}
        await old.stop()
        await new.stop()

    play(scenario)
