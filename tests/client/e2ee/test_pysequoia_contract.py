"""What we use of pysequoia, and what we know of it: its API is declared unstable, so a new release must pass here."""

from __future__ import annotations

import time
import zlib
from datetime import UTC, datetime
from importlib import metadata

import pysequoia
import pytest
from pysequoia import ArmorKind, Cert, Sig, SignatureMode, Tsk

from quicchat.client.e2ee import making
from quicchat.client.e2ee.packets import Tag, read, written

NOW = int(time.time())
KEY = Tsk.from_bytes(making.secret_key("alice"))
CERT = KEY.extract_certificate()
OTHER = Tsk.from_bytes(making.secret_key("bob"))
TEXT = b"text"


def first_line(error: pytest.ExceptionInfo[RuntimeError]) -> str:
    return str(error.value).partition("\n")[0]


def test_version() -> None:
    """Decision 27: the release that all of this was seen with."""
    assert metadata.version("pysequoia") == "0.1.35"


def test_keys_come_back_as_they_are() -> None:
    """Decision 27: bytes() of what was read is what was read."""
    data = making.secret_key("alice")
    key = Tsk.from_bytes(data)
    assert bytes(key) == data
    public = bytes(key.extract_certificate())
    assert bytes(Cert.from_bytes(public)) == public
    assert [each.tag for each in read(public)] == [
        Tag.PUBLIC_KEY, Tag.USER_ID, Tag.SIGNATURE, Tag.PUBLIC_SUBKEY, Tag.SIGNATURE,
    ]  # fmt: skip


def test_what_a_certificate_tells() -> None:
    """Decision 27: fingerprint in hex, when the primary key ends, whether it is revoked."""
    assert CERT.fingerprint == making.fingerprint(read(bytes(CERT))[0].body).hex()
    assert (CERT.expiration, CERT.is_revoked) == (None, False)
    ends = Tsk.from_bytes(making.secret_key("brief", NOW + 100)).extract_certificate().expiration
    assert ends == datetime.fromtimestamp(NOW + 100, UTC)


def test_its_own_keys_ask_for_what_gpg_cannot_write() -> None:
    """Decision 27: that is why we make them ourselves."""
    own = bytes(Tsk.generate("alice").extract_certificate())
    assert b"\x02\x1e\x09" in own  # features: SEIPD version 1 and version 2
    assert b"\x02\x1e\x01" in bytes(CERT)


@pytest.mark.parametrize("count", [1, 3, 50])
def test_a_message_is_session_keys_and_data(count: int) -> None:
    """Decision 27: a PKESK for each recipient, in their order, and one SEIPD of version 1 in one piece."""
    keys = [Tsk.from_bytes(making.secret_key(str(at))) for at in range(count)]
    certs = [each.extract_certificate() for each in keys]
    *entries, data = read(pysequoia.encrypt(bytes=TEXT, recipients=certs, signer=KEY.signer(), armor=False))
    assert (data.tag, data.body[0], data.raw[1] < 224) == (Tag.SEIPD, 1, True)
    ids = [making.fingerprint(read(bytes(each))[3].body)[-8:] for each in certs]
    assert [(each.tag, each.body[0], each.body[1:9]) for each in entries] == [(Tag.PKESK, 3, each) for each in ids]


def test_what_it_decrypts_is_what_we_decrypt() -> None:
    """Decision 27: its own way in finds the same, and one good signature."""
    made = pysequoia.encrypt(bytes=TEXT, recipients=[CERT], signer=OTHER.signer(), armor=False)
    found = pysequoia.decrypt(bytes=made, decryptor=KEY.decryptor(), store=lambda _: [OTHER.extract_certificate()])
    assert (found.bytes, [each.certificate for each in found.valid_sigs]) == (
        TEXT, [OTHER.extract_certificate().fingerprint],
    )  # fmt: skip


def test_it_encrypts_to_what_it_should_not() -> None:
    """Decision 27: revoked, and expired, without a word; so we look ourselves."""
    revocation = bytes(CERT.revoke(KEY.certifier()))
    primary, *rest = read(bytes(CERT))
    revoked = Cert.from_bytes(primary.raw + revocation + b"".join(each.raw for each in rest))
    expired = Tsk.from_bytes(making.secret_key("brief", NOW - 100)).extract_certificate()
    assert revoked.is_revoked
    for cert in (revoked, expired):
        assert pysequoia.encrypt(bytes=TEXT, recipients=[cert], armor=False)


def test_it_verifies_nothing_without_a_store() -> None:
    """Decision 27: an unsigned message is opened."""
    made = pysequoia.encrypt(bytes=TEXT, recipients=[CERT], armor=False)
    found = pysequoia.decrypt(bytes=made, decryptor=KEY.decryptor())
    assert (found.bytes, found.valid_sigs) == (TEXT, [])


def test_it_unpacks_what_is_compressed() -> None:
    """Decision 27: and nobody can say how large it may become; so we look before it does."""
    signed = pysequoia.sign(KEY.signer(), TEXT, armor=False)
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = written(Tag.COMPRESSED, b"\x01" + packing.compress(signed) + packing.flush())
    assert pysequoia.verify(bytes=packed, store=lambda _: [CERT]).bytes == TEXT


def test_signatures() -> None:
    """Decision 27: detached, binary; one that is not good is an error."""
    made = pysequoia.sign(KEY.signer(), TEXT, mode=SignatureMode.DETACHED, armor=False)
    (packet,) = read(made)
    assert (packet.tag, packet.body[:2]) == (Tag.SIGNATURE, b"\x04\x00")
    found = pysequoia.verify(bytes=TEXT, store=lambda _: [CERT], signature=Sig.from_bytes(made))
    assert [each.certificate for each in found.valid_sigs] == [CERT.fingerprint]
    for data, cert in ((b"other", CERT), (TEXT, OTHER.extract_certificate())):
        with pytest.raises(RuntimeError) as caught:
            pysequoia.verify(bytes=data, store=lambda _, it=cert: [it], signature=Sig.from_bytes(made))
        assert first_line(caught) == "Signature verification failed: no valid signatures found."


def test_errors_carry_what_people_should_not_see() -> None:
    """Decision 27: the first line is for people, behind it stand the insides of the library."""
    with pytest.raises(RuntimeError) as caught:
        Cert.from_bytes(bytes(CERT) + bytes(OTHER.extract_certificate()))
    assert first_line(caught) == "Malformed Cert: Additional packets found, is this a keyring?"
    assert "Stack backtrace" in str(caught.value)


def test_armor() -> None:
    """Decision 27: the four kinds that we write."""
    kinds = (
        (ArmorKind.Message, "MESSAGE"),
        (ArmorKind.PublicKey, "PUBLIC KEY BLOCK"),
        (ArmorKind.SecretKey, "PRIVATE KEY BLOCK"),
        (ArmorKind.Signature, "SIGNATURE"),
    )
    for kind, name in kinds:
        assert pysequoia.armor(b"\xca\x03PGP", kind).startswith(f"-----BEGIN PGP {name}-----\n\n")


def test_it_stretches_passwords_for_too_long() -> None:
    """Decision 27: 65 MB are hashed for each; so we lock ourselves."""
    skesk, _ = read(pysequoia.encrypt(bytes=TEXT, passwords=["code"], armor=False))
    assert (skesk.tag, skesk.body[2], skesk.body[12]) == (Tag.SKESK, 3, 0xFF)


def test_a_key_of_the_future_is_none() -> None:
    """Decision 27: it judges by the clock of the machine; so our keys are older than they are."""
    young = bytes(Tsk.generate("young").extract_certificate())
    created = read(young)[0].body[1:5]
    later = (int.from_bytes(created, "big") + 7_200).to_bytes(4, "big")
    with pytest.raises(RuntimeError) as caught:
        pysequoia.encrypt(bytes=TEXT, recipients=[Cert.from_bytes(young.replace(created, later))])
    assert first_line(caught).startswith("No suitable encryption subkey for")


def test_what_it_cannot_read_of_a_secret_key_stays_in_the_certificate() -> None:
    """Decision 27: a damaged secret subkey would be published; so we look that all are whole."""
    *rest, subkey, binding = read(bytes(KEY))
    secret = bytearray(subkey.body)
    secret[-3] ^= 1  # before the checksum
    damaged = written(Tag.SECRET_SUBKEY, bytes(secret))
    broken = Tsk.from_bytes(b"".join(each.raw for each in rest) + damaged + binding.raw)
    assert Tag.SECRET_SUBKEY in [each.tag for each in read(bytes(broken.extract_certificate()))]
