"""Keys and certificates: which are good, which are refused, and when nothing is encrypted to them; what codes lock."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.faults import BadKey, Forged, Unreadable
from quicchat.client.e2ee.openpgp import Armor, Certificate, Secret
from quicchat.client.e2ee.packets import Tag, read, written
from tests.client.e2ee.people import ALICE, BOB, CODE, DAY, ENTRY, EVE, MARKER, NOW, PACKET, TEXT, flipped, opened


def test_revoked() -> None:
    """[15.10-6]: nothing is encrypted to it, and nothing that it signed is believed."""
    gone = BOB.revoked()
    assert (gone.fingerprint, gone.handle) == (BOB.certificate.fingerprint, BOB.certificate.handle)
    assert BOB.certificate.flaw(NOW) is None
    assert gone.flaw(NOW) == "it was revoked"
    with pytest.raises(BadKey, match="it was revoked"):
        openpgp.encrypt(TEXT, [ALICE.certificate, gone], ALICE)
    with pytest.raises(Forged):
        openpgp.decrypt(PACKET, ENTRY, BOB, ALICE.revoked())
    assert not openpgp.verify(TEXT, ALICE.sign(TEXT), ALICE.revoked())


def test_expired() -> None:
    """[15.10-6]: by the clock of the client; what it signed and was sent before stays good."""
    brief = Secret.make("brief", NOW, life=86_400)
    assert brief.certificate.flaw(NOW + DAY - 2_000) is None
    assert brief.certificate.flaw(NOW + DAY) == "it has expired"
    packet, entries = openpgp.encrypt(TEXT, [brief.certificate], brief)
    assert opened(packet, entries[brief.certificate.handle], brief, brief) == TEXT
    past = Secret.make("past", NOW - 2 * DAY, life=86_400)
    packet, entries = openpgp.encrypt(TEXT, [past.certificate], ALICE)
    assert opened(packet, entries[past.certificate.handle], past) == TEXT
    with pytest.raises(BadKey, match="cannot sign"):
        past.sign(TEXT)


def test_keys_of_clocks_that_are_wrong() -> None:
    """[15.10-1]: a device whose clock is years ahead, or behind, makes keys that are good everywhere."""
    for now in (0, NOW - 400 * DAY, NOW + 4_000 * DAY):
        own = Secret.make("wrong", now)
        packet, entries = openpgp.encrypt(TEXT, [own.certificate], own)
        assert opened(packet, entries[own.certificate.handle], own, own) == TEXT


def test_secrets_are_kept_as_they_are() -> None:
    """[15.10-1]: what is written down makes the same key, and nothing of it shows where values are printed."""
    again = Secret.of(ALICE.data)
    assert (again, again.data) == (ALICE, ALICE.data)
    assert Certificate.of(ALICE.certificate.data) == ALICE.certificate
    assert Secret.of(openpgp.armored(ALICE.data, Armor.SECRET).encode()) == ALICE
    assert Certificate.of(openpgp.armored(ALICE.certificate.data, Armor.PUBLIC).encode()) == ALICE.certificate
    assert len(ALICE.certificate.fingerprint) == 20
    shown = repr(ALICE)
    assert "data" not in shown
    assert "X25519" not in shown
    assert len(ALICE.certificate.data) < 400


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "No data"),
    "words": (lambda: b"my key", "not made of OpenPGP packets"),
    "secrets": (lambda: ALICE.data, "more than a public key"),
    "a message": (lambda: ENTRY + PACKET, "more than a public key"),
    "two keys": (lambda: ALICE.certificate.data + BOB.certificate.data, "keyring"),
    "a marker": (lambda: MARKER + ALICE.certificate.data, "more than a public key"),
    "armor": (lambda: b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!\n-----END PGP", "armor"),
    "armor without an end": (lambda: b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA", "armor"),
    "no user id": (lambda: read(ALICE.certificate.data)[0].raw, "good now"),
    "many packets": (lambda: ALICE.certificate.data + b"\xcd\x00" * 200, "more than 128 packets"),
    "many bytes": (lambda: ALICE.certificate.data + written(Tag.USER_ID, bytes(17_000)), "more than 16384 bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_certificate(name: str) -> None:
    """[15.10-4]: refused, and why."""
    make, text = REFUSED[name]
    with pytest.raises(BadKey, match=text):
        Certificate.of(make())


def test_what_is_no_secret() -> None:
    """[15.10-4]: a public key, a damaged one, none."""
    primary, *rest, subkey, binding = read(ALICE.data)
    flips = ((each, bytes((each.body[-3] ^ 1,))) for each in (primary, subkey))
    damaged = [written(Tag(each.tag), each.body[:-3] + flip + each.body[-2:]) for each, flip in flips]
    between = b"".join(each.raw for each in rest)
    for data, text in (
        (ALICE.certificate.data, "public key, not a secret one"),
        (damaged[0] + between + subkey.raw + binding.raw, "secret part is damaged"),
        (primary.raw + between + damaged[1] + binding.raw, "secret part is damaged"),
        (b"", "no OpenPGP secret key"),
    ):
        with pytest.raises(BadKey, match=text):
            Secret.of(data)


def test_a_certificate_without_a_key_to_encrypt_to() -> None:
    """[15.10-6]: it can sign, and nothing is encrypted to it."""
    alone = Secret.of(b"".join(each.raw for each in read(ALICE.data)[:3]))
    assert alone.certificate.flaw(NOW) == "it has no key that one can encrypt to"
    assert openpgp.verify(TEXT, alone.sign(TEXT), alone.certificate)
    with pytest.raises(BadKey, match="no key that one can encrypt to"):
        openpgp.encrypt(TEXT, [alone.certificate], ALICE)
    with pytest.raises(Unreadable, match="no part to decrypt"):
        openpgp.decrypt(PACKET, ENTRY, alone, ALICE.certificate)


def test_someone_elses_subkey() -> None:
    """[15.10-6]: a subkey that the key has not bound itself is not encrypted to."""
    mine, other = read(EVE.certificate.data), read(BOB.certificate.data)
    grafted = Certificate.of(b"".join(each.raw for each in (*mine[:3], *other[3:])))
    assert grafted.flaw(NOW) == "it has no key that one can encrypt to"
    both = Certificate.of(b"".join(each.raw for each in (*mine, *other[3:])))
    assert both.handle == EVE.certificate.handle
    _, entries = openpgp.encrypt(TEXT, [both], ALICE)
    assert list(entries) == [EVE.certificate.handle]


@given(at=st.integers(0, 8 * len(ALICE.certificate.data) - 1))
def testflipped_bits_of_a_certificate(at: int) -> None:
    """[15.10-6]: it is refused, or has a flaw, or is as good as it was (a hint is changed)."""
    try:
        found = Certificate.of(flipped(ALICE.certificate.data, at))
    except BadKey:
        return
    if found.flaw(NOW) is None:
        packet, entries = openpgp.encrypt(TEXT, [found], BOB)
        assert opened(packet, entries[found.handle], ALICE, BOB) == TEXT


@given(end=st.integers(0, len(ALICE.data) - 1))
def test_truncated_keys(end: int) -> None:
    """[15.10-4]: nothing but BadKey comes of it, or a key with less in it."""
    for cls, data in ((Certificate, ALICE.certificate.data), (Secret, ALICE.data)):
        try:
            found = cls.of(data[:end])
        except BadKey:
            continue
        assert isinstance(found, Secret) or found.flaw(NOW) is not None or end >= len(data)


def test_locked_with_a_code() -> None:
    """[15.10-8]: the code opens it, another does not, and no two are alike."""
    locked = openpgp.lock(TEXT, CODE)
    assert openpgp.unlock(locked, CODE) == TEXT
    assert openpgp.lock(TEXT, CODE) != locked
    for code in ("", CODE[:-1], CODE + "0", "1" + CODE[1:]):
        with pytest.raises(Unreadable, match="the code is wrong"):
            openpgp.unlock(locked, code)
    assert openpgp.unlock(openpgp.lock(bytes(49_000), CODE), CODE) == bytes(49_000)


def test_what_is_locked_is_refused_when_altered() -> None:
    """[15.10-8]: truncated at every byte, and with any bit flipped."""
    locked = openpgp.lock(TEXT, CODE)
    for end in range(len(locked)):
        with pytest.raises(Unreadable):
            openpgp.unlock(locked[:end], CODE)
    for at in range(8 * len(locked)):
        with pytest.raises(Unreadable):
            openpgp.unlock(flipped(locked, at), CODE)
    with pytest.raises(Unreadable, match="more than 2"):
        openpgp.unlock(locked + MARKER, CODE)


def test_a_server_does_not_say_how_long_a_code_takes() -> None:
    """[15.10-8]: hashing 65 MB for a password would hold up everything: that is refused."""
    skesk, data = read(openpgp.lock(TEXT, CODE))
    slow = written(Tag.SKESK, skesk.body[:-1] + b"\xff") + data.raw
    began = time.process_time()
    with pytest.raises(Unreadable, match="another way than ours"):
        openpgp.unlock(slow, CODE)
    assert time.process_time() - began < 0.02


def test_what_is_cached_is_judged_by_the_time() -> None:
    """[15.10-6]: the same certificate is good now and has expired later."""
    brief = Secret.make("brief", NOW, life=3_600).certificate
    assert Certificate.of(brief.data) is Certificate.of(brief.data)
    assert [Certificate.of(brief.data).flaw(NOW + late) for late in (0, 4_000_000)] == [None, "it has expired"]
