"""An identity that is another one than before: what is told, what is sealed, and how the user decides."""

from __future__ import annotations

import pytest

from quicchat.client.e2ee.faults import Forged
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.seal import Seal
from tests.client.e2ee.keyhouse import now, row, signer
from tests.client.e2ee.scene import DEVICE, MALLORY, MINE, Scene
from tests.server.house import play


@pytest.mark.parametrize("verified", [False, True])
def test_a_substituted_identity(verified: bool) -> None:
    """[15.11-2], [15.11-3]: a standing notice, or nothing is sealed, until the user decides or the old one is back."""

    async def scenario() -> None:
        scene = Scene(verified=verified)
        directory = await scene.begin()
        before = directory.seal("bob")
        other = row("bob", 7, MALLORY, [MALLORY])
        assert await scene.shown(other) == ["blocked" if verified else "changed"]
        assert directory.seal("bob") is Seal.CHANGED
        found = await directory.recipients(["bob"])
        if verified:
            assert found.devices == ()
            assert "/accept bob" in found.blocked["bob"]
            assert "/verify bob" in found.blocked["bob"]
        else:
            assert [each.certificate for each in found.devices] == [MALLORY.certificate]
            assert found.blocked == {}
        assert signer(directory, "bob", DEVICE.certificate.handle, at=now()) == DEVICE.certificate
        bob = directory.person("bob")
        assert bob is not None
        assert (bob.fingerprint, bob.pinned) == (MALLORY.certificate.fingerprint, MINE.certificate.fingerprint)
        assert await scene.shown(row("bob", 6, MALLORY, [MALLORY])) == ["rollback"]
        assert await scene.shown(row("bob", 1, MINE, [DEVICE])) == ["rollback"]
        third = Secret.make("third", now())
        assert await scene.shown(row("bob", 8, third, [third])) == ["blocked" if verified else "changed"]
        assert await scene.shown(scene.good) == ["pinned"]
        assert directory.seal("bob") is before
        found = await directory.recipients(["bob"])
        assert [each.certificate for each in found.devices] == [DEVICE.certificate]
        await scene.alice.stop()

    play(scenario)


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("how", ["accept", "verify", "digits"])
def test_the_user_decides(verified: bool, how: str) -> None:
    """[15.11-1]: /accept goes on without comparing, /verify with; from then on the new identity is the pinned one."""

    async def scenario() -> None:
        scene = Scene(verified=verified)
        directory = await scene.begin()
        digits = await directory.digits("bob")
        await scene.shown(row("bob", 7, MALLORY, [MALLORY]))
        assert await directory.digits("bob") != digits
        with pytest.raises(Forged):
            await directory.verify("bob", digits)
        assert directory.seal("bob") is Seal.CHANGED
        if how == "accept":
            await directory.accept("bob")
        else:
            await directory.verify("bob", await directory.digits("bob") if how == "digits" else None)
        assert directory.seal("bob") is (Seal.PINNED if how == "accept" else Seal.VERIFIED)
        found = await directory.recipients(["bob"])
        assert [each.certificate for each in found.devices] == [MALLORY.certificate]
        assert found.blocked == {}
        # And the one before is another identity now.
        assert await scene.shown(row("bob", 9, MINE, [DEVICE])) == ["changed" if how == "accept" else "blocked"]
        await scene.alice.stop()

    play(scenario)


def test_no_notice_any_more_where_the_comparison_is_taken_back() -> None:
    """[15.11-1]: /untrust of somebody who blocks warns instead; the new identity is not accepted by that."""

    async def scenario() -> None:
        scene = Scene(verified=True)
        directory = await scene.begin()
        await scene.shown(row("bob", 7, MALLORY, [MALLORY]))
        await directory.untrust("bob")
        assert directory.seal("bob") is Seal.CHANGED
        assert (await directory.recipients(["bob"])).blocked == {}
        assert await scene.shown(scene.good) == ["pinned"]
        assert directory.seal("bob") is Seal.PINNED
        await scene.alice.stop()

    play(scenario)
