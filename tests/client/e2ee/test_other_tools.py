"""sqop, sq and rnp read what we write, and we read what they write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.faults import SealError
from quicchat.client.e2ee.openpgp import Armor, Certificate, Secret
from quicchat.client.e2ee.packets import bare, read
from tests.client.e2ee.gnupg import needs, run

NOW = int(time.time() * 1_000)
TEXT = b"meet me at nine\n"
CODE = "012345 678901 234567 890123 456789 012345"
ALICE, BOB, EVE = (Secret.make(name, NOW) for name in ("alice", "bob", "eve"))
PACKET, ENTRIES = openpgp.encrypt(TEXT, [BOB.certificate, EVE.certificate], ALICE)
EXPORTED = openpgp.armored(openpgp.message(PACKET, ENTRIES), Armor.MESSAGE).encode()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the keys of all in files, as these tools take them."""
    for name, secret in (("alice", ALICE), ("bob", BOB), ("eve", EVE)):
        (tmp_path / f"{name}.key").write_text(openpgp.armored(secret.data, Armor.SECRET))
        (tmp_path / f"{name}.cert").write_text(openpgp.armored(secret.certificate.data, Armor.PUBLIC))
    (tmp_path / "code").write_text(CODE)
    return tmp_path


def opened(message: bytes) -> bytes:
    """What somebody sent to Bob, signed by Alice."""
    entry, packet = read(bare(message))
    return openpgp.decrypt(packet.raw, entry.raw, BOB, ALICE.certificate)


def test_sqop(desk: Path) -> None:
    """[15.10-3], [15.10-7], [15.10-8]: messages both ways, signatures both ways, a locked backup, by sqop."""
    sqop = needs("sqop")
    for reader in ("bob", "eve"):
        told = ("--verify-with", "alice.cert", "--verify-out", f"{reader}.said")
        said = run(sqop, "decrypt", *told, f"{reader}.key", given=EXPORTED, cwd=desk)
        assert (said.code, said.out) == (0, TEXT), said.err
        assert ALICE.certificate.fingerprint.hex().upper() in (desk / f"{reader}.said").read_text()
    made = run(sqop, "encrypt", "--sign-with", "alice.key", "bob.cert", given=TEXT, cwd=desk)
    assert made.code == 0, made.err
    assert opened(made.out) == TEXT
    (desk / "list.sig").write_bytes(ALICE.sign(TEXT))
    assert run(sqop, "verify", "list.sig", "alice.cert", given=TEXT, cwd=desk).code == 0
    assert run(sqop, "verify", "list.sig", "bob.cert", given=TEXT, cwd=desk).code != 0
    signed = run(sqop, "sign", "--no-armor", "alice.key", given=TEXT, cwd=desk)
    assert openpgp.verify(TEXT, signed.out, ALICE.certificate)
    unlocked = run(sqop, "decrypt", "--with-password", "code", given=openpgp.lock(TEXT, CODE), cwd=desk)
    assert (unlocked.code, unlocked.out) == (0, TEXT), unlocked.err


def test_sq(desk: Path) -> None:
    """[15.10-3]: messages both ways, by sq, old or new."""
    sq = needs("sq")
    new = "--signer-file" in run(sq, "decrypt", "--help").out.decode()
    who, by = ("--recipient-file", "--signer-file") if new else ("--recipient-key", "--signer-cert")
    env = {**os.environ, "HOME": str(desk), "SEQUOIA_HOME": str(desk / "home")}
    said = run(sq, "decrypt", who, "bob.key", by, "alice.cert", given=EXPORTED, cwd=desk, env=env)
    assert (said.code, said.out) == (0, TEXT), said.err
    who, by = ("--for-file", "--signer-file") if new else ("--recipient-cert", "--signer-key")
    plain = ("--compression", "none")
    made = run(sq, "encrypt", *plain, who, "bob.cert", by, "alice.key", given=TEXT, cwd=desk, env=env)
    assert made.code == 0, made.err
    assert opened(made.out) == TEXT


def test_rnp(desk: Path) -> None:
    """[15.10-3], [15.10-8]: messages both ways and a locked backup, by rnp, which shares no code with the others."""
    rnp, rnpkeys = needs("rnp"), needs("rnpkeys")
    home = ("--homedir", str(desk / "home"))
    (desk / "home").mkdir(mode=0o700)
    for name in ("bob.key", "alice.key"):
        imported = run(rnpkeys, *home, "--import-keys", name, cwd=desk)
        assert imported.code == 0, imported.err
    (desk / "exported").write_bytes(EXPORTED)
    said = run(rnp, *home, "--decrypt", "exported", "--output", "opened", cwd=desk)
    assert (said.code, (desk / "opened").read_bytes()) == (0, TEXT), said.err
    assert "Good signature" in said.err
    (desk / "plain").write_bytes(TEXT)
    aims = ("--encrypt", "--sign", "-r", "bob", "-u", "alice", "-z", "0", "--output", "made")
    made = run(rnp, *home, *aims, "plain", cwd=desk)
    assert made.code == 0, made.err
    assert opened((desk / "made").read_bytes()) == TEXT
    (desk / "backup").write_bytes(openpgp.lock(TEXT, CODE))
    said = run(rnp, *home, "--password", CODE, "--decrypt", "backup", "--output", "unlocked", cwd=desk)
    assert (said.code, (desk / "unlocked").read_bytes()) == (0, TEXT), said.err


def test_keys_that_sqop_makes(desk: Path) -> None:
    """[15.10-4]: certificates of other tools are written to; what says nothing of us stays refused."""
    sqop = needs("sqop")
    made = run(sqop, "generate-key", "carol", cwd=desk)
    carol = Secret.of(made.out)
    packet, entries = openpgp.encrypt(TEXT, [carol.certificate], ALICE)
    assert openpgp.decrypt(packet, entries[carol.certificate.handle], carol, ALICE.certificate) == TEXT
    assert Certificate.of(run(sqop, "extract-cert", given=made.out, cwd=desk).out) == carol.certificate
    with pytest.raises(SealError):
        openpgp.decrypt(packet, entries[carol.certificate.handle], carol, carol.certificate)
