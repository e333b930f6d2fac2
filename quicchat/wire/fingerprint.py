"""Fingerprints of certificates: one notation, so that people and scripts can compare them. (spec 11-security)"""

from __future__ import annotations

from hashlib import sha256

PREFIX = "SHA256:"


def fingerprint(der: bytes) -> str:
    """`SHA256:` and the hash of a certificate in lower-case hexadecimal: one word that fits a line of 80."""
    return PREFIX + sha256(der).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two fingerprints are equal, however they are written; openssl likes capitals and colons."""
    return _digits(one) == _digits(other)


def _digits(text: str) -> str:
    return text.lower().removeprefix("sha256:").removeprefix("sha-256:").replace(":", "")
