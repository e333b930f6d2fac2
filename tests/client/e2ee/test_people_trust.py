"""What the user makes of identities: remembered, compared by digits, and brought back by a backup."""

from __future__ import annotations

import pytest

from quicchat.client.e2ee.faults import BadKey, Forged
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.seal import Seal
from quicchat.errors import LinkLost
from tests.client.e2ee.keyhouse import Client, KeyServer, fingerprint, identity, now, own, quiet, signer
from tests.client.e2ee.test_people import alice_at, bob_of
from tests.server.house import play


def test_it_is_all_remembered() -> None:
    """[15.11-4]: what was pinned, verified and listed is the same after a restart, with nothing told anew."""

    async def scenario() -> None:
        server = KeyServer()
        mine, (device,) = await bob_of(server)
        alice, directory = await alice_at(server)
        await directory.recipients(["bob"])
        await directory.verify("bob")
        await alice.stop()
        alice.kinds()
        directory = await alice.login()
        assert directory.seal("bob") is Seal.VERIFIED
        assert signer(directory, "bob", device.certificate.handle) == device.certificate
        assert len((await directory.recipients(["bob"])).devices) == 1
        assert alice.kinds() == []
        bob = directory.person("bob")
        assert bob is not None
        assert bob.pinned == mine.certificate.fingerprint
        await alice.stop()

    play(scenario)


def test_digits() -> None:
    """[15.12-1], [15.12-2]: both sides show the same; whoever types others is warned, and nothing is verified."""

    async def scenario() -> None:
        server = KeyServer()
        alice, bob = Client(server, "alice"), Client(server, "bob")
        one, two = await alice.login(), await bob.login()
        digits = await one.digits("bob")
        assert digits == await two.digits("alice")
        assert digits not in (await one.digits("alice"), await two.digits("bob"))
        with pytest.raises(Forged, match="not the digits of bob"):
            await one.verify("bob", "12345 " * 12)
        assert one.seal("bob") is Seal.PINNED
        await one.verify("bob", digits.replace(" ", ""))
        assert one.seal("bob") is Seal.VERIFIED
        assert two.seal("alice") is Seal.PINNED
        await one.untrust("bob")
        assert one.seal("bob") is Seal.PINNED
        for call in (one.digits, one.verify, one.accept, one.untrust):
            with pytest.raises(BadKey, match="nobody"):
                await call("nobody")
        alice.alive = False
        one.lost()
        assert await one.digits("bob") == digits
        with pytest.raises(LinkLost):
            await one.digits("carol")
        alice.alive = True
        await alice.stop()
        await bob.stop()

    play(scenario)


def test_ones_own_devices_show_the_same_digits() -> None:
    """[15.12-1]: a device that was let in can be compared with the one that did it."""

    async def scenario() -> None:
        server = KeyServer()
        old, new = Client(server, "alice"), Client(server, "alice", "phone")
        one, two = await old.login(), await new.login()
        assert await one.digits("alice") == await two.digits("alice")
        await quiet()
        await one.approve(fingerprint(new))
        await quiet()
        assert own(new).listed
        assert await one.digits("alice") == await two.digits("alice")
        await old.stop()
        await new.stop()

    play(scenario)


def test_a_backup_knows_whom_one_trusts() -> None:
    """[15.11-7]: pins and verifications come back; what the user verified here since stays."""

    async def scenario() -> None:
        server = KeyServer()
        await bob_of(server)
        carol, dave = Secret.make("carol", now()), Secret.make("dave", now())
        server.put("carol", 1, carol, [carol])
        server.put("dave", 1, dave, [dave])
        alice, directory = await alice_at(server)
        await directory.recipients(["bob", "carol"])
        await directory.verify("bob")
        rows = directory.trusted()
        assert [(user, verified) for user, _, verified in rows] == [("bob", True), ("carol", False)]
        await alice.stop()
        other = Client(server, "alice", "phone")
        directory = await other.login()
        other.kinds()
        await directory.recipients(["carol"])
        mallory = Secret.make("mallory", now()).certificate.fingerprint
        directory.restore((*rows, ("dave", mallory, True), ("alice", mallory, True)))
        assert directory.seal("bob") is Seal.VERIFIED
        found = await directory.recipients(["bob", "carol", "dave"])
        assert {each.user for each in found.devices} == {"bob", "carol"}
        assert set(found.blocked) == {"dave"}
        assert other.kinds() == ["pinned", "blocked"]
        await directory.verify("dave")
        directory.restore((*rows, ("dave", mallory, True)))
        assert directory.seal("dave") is Seal.VERIFIED
        directory.restore((("carol", mallory, False),))
        assert directory.seal("carol") is Seal.CHANGED
        directory.restore((("carol", carol.certificate.fingerprint, True),))
        assert directory.seal("carol") is Seal.VERIFIED
        assert identity(alice).certificate.fingerprint != mallory
        await other.stop()

    play(scenario)
