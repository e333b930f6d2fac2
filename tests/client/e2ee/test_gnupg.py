"""gpg reads what we write, and we read what it writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.faults import BadKey, Unreadable
from quicchat.client.e2ee.openpgp import Armor, Certificate, Secret
from quicchat.client.e2ee.packets import Tag, read
from tests.client.e2ee.gnupg import Gnupg, gnupg

NOW = int(time.time() * 1_000)
TEXT = "Grüße, Bob\n".encode() * 3
CODE = "012345 678901 234567 890123 456789 012345"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gnupg]:
    with gnupg() as found:
        yield found


def parted(message: bytes) -> tuple[bytes, bytes]:
    """SEIPD packet and PKESK packet of a message to one key."""
    entry, packet = read(message)
    assert (entry.tag, packet.tag) == (Tag.PKESK, Tag.SEIPD)
    return packet.raw, entry.raw


def sealed(gpg: Gnupg, to: Certificate, *options: str, signer: str | None = "gpg user") -> tuple[bytes, bytes]:
    """What gpg encrypts to a key of ours."""
    gpg.good("--import", given=to.data)
    signing = ("--sign", "--local-user", signer) if signer else ()
    who = ("--trust-model", "always", "--recipient", to.fingerprint.hex())
    said = gpg("--encrypt", *signing, *options, *who, given=TEXT)
    assert said.code == 0, said.err
    return parted(said.out)


@pytest.fixture(scope="module")
def user(gpg: Gnupg) -> Secret:
    """A key that gpg made: Ed25519 and Curve25519."""
    return Secret.of(gpg.key("gpg user", "ed25519", "sign", ("cv25519", "encr")))


def test_gpg_takes_our_keys(gpg: Gnupg) -> None:
    """[15.10-1]: it imports them, public and secret, finds their signatures good, and has nothing to warn of."""
    secret = Secret.make("carol: laptop", NOW)
    name = secret.certificate.fingerprint.hex().upper()
    gpg.good("--import", given=openpgp.armored(secret.certificate.data, Armor.PUBLIC).encode())
    gpg.good("--import", given=secret.data)
    checked = gpg("--check-signatures", name)
    assert "2 good signatures" in checked.err
    assert not checked.err.replace("gpg: 2 good signatures", "").strip()
    listed = gpg.good("--with-colons", "--list-secret-keys", name).decode()
    keys = [line.split(":") for line in listed.splitlines() if line.startswith(("sec", "ssb"))]
    assert [(row[3], row[11], row[16]) for row in keys] == [("22", "scESC", "ed25519"), ("18", "e", "cv25519")]
    assert int(keys[1][4], 16) == secret.certificate.handle


def test_preferences(gpg: Gnupg) -> None:
    """[15.10-2]: AES-256, SHA-512, no compression, and SEIPD version 1 only, and gpg does as they say."""
    own = Secret.make("carol", NOW)
    told = gpg.good("--list-packets", given=own.certificate.data).decode()
    for said in ("(pref-sym-algos: 9)", "(pref-hash-algos: 10)", "(pref-zip-algos: 0)", "(features: 01)"):
        assert told.count(said) == 1
    packet, entry = sealed(gpg, own.certificate, signer=None)
    gpg.good("--import", given=own.data)
    assert "\ngpg: session key: '9:" in "\n" + gpg("--show-session-key", "--decrypt", given=entry + packet).err
    assert len(packet) > len(TEXT) + 20  # not compressed, though gpg does so where nobody tells it not to


@pytest.mark.parametrize("count", [1, 3])
def test_gpg_reads_what_we_export(gpg: Gnupg, count: int) -> None:
    """R0.9, [15.10-3]: each recipient decrypts the exported message with gpg, which finds the signature good."""
    signer = Secret.make("alice", NOW)
    recipients = [Secret.make(f"reader {at}", NOW) for at in range(count)]
    packet, entries = openpgp.encrypt(TEXT, [each.certificate for each in recipients], signer)
    exported = openpgp.armored(openpgp.message(packet, entries), Armor.MESSAGE).encode()
    gpg.good("--import", given=signer.certificate.data)
    for each in recipients:
        with gnupg() as alone:
            alone.good("--import", given=signer.certificate.data)
            alone.good("--import", given=each.data)
            said = alone("--status-fd", "2", "--decrypt", given=exported)
            assert (said.code, said.out) == (0, TEXT), said.err
            assert f"VALIDSIG {signer.certificate.fingerprint.hex().upper()}" in said.err
            own = openpgp.message(packet, {each.certificate.handle: entries[each.certificate.handle]})
            assert alone("--decrypt", given=own).out == TEXT


def test_we_read_what_gpg_writes(gpg: Gnupg, user: Secret) -> None:
    """[15.10-3]: encrypted and signed by gpg, with its own choice of everything that our key leaves open."""
    own = Secret.make("alice", NOW)
    packet, entry = sealed(gpg, own.certificate)
    assert openpgp.decrypt(packet, entry, own, user.certificate) == TEXT


@pytest.mark.parametrize("how", ["zip", "zlib", "bzip2"])
def test_compressed_by_gpg(gpg: Gnupg, user: Secret, how: str) -> None:
    """[15.10-5]: whatever the compression, it is refused with the word that helps, and not unpacked."""
    own = Secret.make("alice", NOW)
    packet, entry = sealed(gpg, own.certificate, "--compress-algo", how)
    with pytest.raises(Unreadable, match=r"compressed.*gpg --compress-algo none"):
        openpgp.decrypt(packet, entry, own, user.certificate)


@pytest.mark.parametrize(
    ("algorithm", "usage", "subkeys"),
    [
        ("ed25519", "sign", (("cv25519", "encr"),)),
        ("rsa2048", "sign", (("rsa3072", "encr"),)),
        ("rsa2048", "cert,sign,encr", ()),
        ("ed25519", "cert", (("ed25519", "sign"), ("cv25519", "encr"))),
    ],
)
def test_a_key_made_by_gpg_receives(
    gpg: Gnupg, algorithm: str, usage: str, subkeys: tuple[tuple[str, str], ...]
) -> None:
    """[15.10-4]: Curve25519 or RSA, in a subkey or not; and what it signs is by it."""
    name = f"{algorithm} {usage} {subkeys}"
    own = Secret.of(gpg.key(name, algorithm, usage, *subkeys))
    signer = Secret.make("alice", NOW)
    assert own.certificate.flaw(NOW + 60_000) is None
    packet, entries = openpgp.encrypt(TEXT, [own.certificate], signer)
    assert openpgp.decrypt(packet, entries[own.certificate.handle], own, signer.certificate) == TEXT
    back, answer = openpgp.encrypt(TEXT, [signer.certificate], own)
    assert openpgp.decrypt(back, answer[signer.certificate.handle], signer, own.certificate) == TEXT
    assert openpgp.verify(TEXT, own.sign(TEXT), own.certificate)


def test_a_key_of_another_kind(gpg: Gnupg) -> None:
    """[15.10-4]: a key that we could not read with is refused when it is brought, not when a message comes."""
    nist = gpg.key("nist", "nistp256", "sign", ("nistp256", "encr"))
    with pytest.raises(BadKey, match="neither Curve25519 nor RSA"):
        Secret.of(nist)
    long = Secret.of(gpg.key("long", "ed25519", "sign", ("rsa4096", "encr")))
    assert long.certificate.flaw(NOW) == "its RSA key is too long"


def test_two_subkeys(gpg: Gnupg) -> None:
    """[15.10-4]: where a key has several to encrypt to, the newest is taken, and only it."""
    made = gpg.key("rotating", "ed25519", "sign", ("cv25519", "encr"), ("rsa2048", "encr"), ("rsa3072", "encr"))
    own, signer = Secret.of(made), Secret.make("alice", NOW)
    packet, entries = openpgp.encrypt(TEXT, [own.certificate, signer.certificate], signer)
    assert entries.keys() == {own.certificate.handle, signer.certificate.handle}
    assert [each.tag for each in read(bytes(own.certificate._target))].count(Tag.PUBLIC_SUBKEY) == 1
    assert openpgp.decrypt(packet, entries[own.certificate.handle], own, signer.certificate) == TEXT


def test_protected_by_a_passphrase(gpg: Gnupg) -> None:
    """[15.10-4]: such a key is refused, with the word that helps."""
    gpg.good("--pinentry-mode", "loopback", "--passphrase", "secret", "--quick-gen-key", "kept", "ed25519", "sign")
    kept = gpg.good("--pinentry-mode", "loopback", "--passphrase", "secret", "--export-secret-keys", "kept")
    with pytest.raises(BadKey, match="gpg --passwd"):
        Secret.of(kept)


def test_without_its_primary_key(gpg: Gnupg) -> None:
    """[15.10-4]: what gpg leaves in the place of a part that it does not give away is no key."""
    gpg.key("travelling", "ed25519", "sign", ("cv25519", "encr"))
    with pytest.raises(BadKey, match="lacks a part"):
        Secret.of(gpg.good("--export-secret-subkeys", "travelling"))


def test_detached_signatures(gpg: Gnupg, user: Secret, tmp_path: Path) -> None:
    """[15.10-7]: gpg finds ours good, and we find its good."""
    own = Secret.make("identity of alice", NOW)
    gpg.good("--import", given=own.certificate.data)
    data, signature = tmp_path / "list", tmp_path / "list.sig"
    data.write_bytes(TEXT)
    signature.write_bytes(own.sign(TEXT))
    said = gpg("--status-fd", "1", "--verify", str(signature), str(data))
    assert (said.code, b"GOODSIG" in said.out) == (0, True), said.err
    data.write_bytes(TEXT + b".")
    assert gpg("--verify", str(signature), str(data)).code == 1
    made = gpg.good("--detach-sign", "--local-user", "gpg user", given=TEXT)
    assert openpgp.verify(TEXT, made, user.certificate)
    assert not openpgp.verify(TEXT, made, own.certificate)
    text = gpg.good("--detach-sign", "--textmode", "--local-user", "gpg user", given=TEXT)
    assert not openpgp.verify(TEXT, text, user.certificate)


def test_a_backup_opens_in_gpg(gpg: Gnupg) -> None:
    """[15.10-8]: with the code alone, on a machine that has never heard of us."""
    for data in (b"", TEXT, bytes(40_000)):
        locked = openpgp.lock(data, CODE)
        said = gpg("--pinentry-mode", "loopback", "--passphrase", CODE, "--decrypt", given=locked)
        assert (said.code, said.out) == (0, data), said.err
        assert "WARNING" not in said.err
        wrong = gpg("--pinentry-mode", "loopback", "--passphrase", CODE[:-1], "--decrypt", given=locked)
        assert wrong.code == 2
    text = openpgp.armored(openpgp.lock(TEXT, CODE), Armor.MESSAGE).encode()
    assert gpg("--pinentry-mode", "loopback", "--passphrase", CODE, "--decrypt", given=text).out == TEXT
    assert openpgp.unlock(text, CODE) == TEXT


def test_a_revoked_key_is_revoked_in_gpg(gpg: Gnupg, user: Secret) -> None:
    """[15.10-6]: what says that a key is not to be used any more is understood, either way."""
    own = Secret.make("lost phone", NOW)
    gpg.good("--import", given=own.revoked().data)
    assert gpg.good("--with-colons", "--list-keys", own.certificate.fingerprint.hex()).split(b"\n")[1][:5] == b"pub:r"
    revoking = Path(gpg.env["GNUPGHOME"]) / "openpgp-revocs.d" / f"{user.certificate.fingerprint.hex().upper()}.rev"
    with gnupg() as other:
        other.good("--import", given=user.certificate.data)
        other("--import", given=revoking.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
        told = other.good("--export", user.certificate.fingerprint.hex())
    assert Certificate.of(told).flaw(NOW) == "it was revoked"


def test_a_subkey_that_has_expired(gpg: Gnupg) -> None:
    """[15.10-6]: the end of the subkey counts as the end of the key, though the primary key goes on."""
    gpg.key("brief", "ed25519", "sign")
    listed = gpg.good("--with-colons", "--list-keys", "brief").decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    gpg.good("--passphrase", "", "--quick-add-key", fingerprint, "cv25519", "encr", "2d")
    brief = Certificate.of(gpg.good("--export", "brief"))
    assert brief.flaw(NOW + 86_400_000) is None
    assert brief.flaw(NOW + 3 * 86_400_000) == "it has expired"


def test_a_subkey_that_was_revoked(gpg: Gnupg) -> None:
    """[15.10-6]: another is taken in its place; where there is none, nothing is encrypted."""
    gpg.key("rolling", "ed25519", "sign", ("cv25519", "encr"), ("rsa2048", "encr"))
    handles = []
    for steps in (b"", b"key 1\nrevkey\ny\n0\n\ny\nsave\n", b"key 2\nrevkey\ny\n0\n\ny\nsave\n"):
        if steps:
            gpg.good("--command-fd", "0", "--edit-key", "rolling", given=steps)
        found = Certificate.of(gpg.good("--export", "rolling"))
        handles.append(found.handle if found.flaw(NOW + 60_000) is None else None)
    listed = gpg.good("--with-colons", "--list-keys", "rolling").decode().splitlines()
    first, second = (int(line.split(":")[4], 16) for line in listed if line.startswith("sub:r"))
    assert handles in ([first, second, None], [second, second, None])
