"""Fingerprints: one notation, and every notation understood."""

from __future__ import annotations

from hashlib import sha256

from quicchat.wire.fingerprint import fingerprint, same

DER = b"a certificate"
DIGITS = sha256(DER).hexdigest()


def test_a_fingerprint_is_one_word_of_a_line() -> None:
    """A10, A12: what the client shows and the user compares."""
    assert fingerprint(DER) == f"SHA256:{DIGITS}"
    assert len(fingerprint(DER)) < 80
    assert fingerprint(b"another") != fingerprint(DER)


def test_the_notations_of_other_programs_are_understood() -> None:
    """A12: openssl writes capitals and colons, browsers SHA-256; the same certificate is the same."""
    pairs = ":".join(DIGITS[at : at + 2] for at in range(0, 64, 2)).upper()
    for other in (DIGITS, DIGITS.upper(), pairs, f"SHA256:{pairs}", f"sha-256:{pairs}", fingerprint(DER)):
        assert same(fingerprint(DER), other)
        assert same(other, fingerprint(DER))


def test_another_certificate_is_another() -> None:
    """A10: a single digit tells them apart, and nothing is not everything."""
    for other in (fingerprint(b"another"), DIGITS[:-1], DIGITS[:-1] + "g", ""):
        assert not same(fingerprint(DER), other)
