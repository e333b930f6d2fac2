"""Certificates that the kit shows to clients: an authority and leaves, good and bad. (spec 11-security)"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quicchat.values import dataclass

LOCAL: Final = ("localhost", "127.0.0.1", "::1")
#: Days that a leaf lives, the longest that browsers take from a hash.
_DAYS: Final = 13


@dataclass(frozen=True, slots=True)
class Paper:
    """What a server shows: its leaf, what vouches for it, and the key."""

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def digest(self) -> bytes:
        """SHA-256 of the leaf, as a login is bound to it (4.3-1)."""
        return hashlib.sha256(self.leaf.public_bytes(serialization.Encoding.DER)).digest()


class Authority:
    """Vouches for leaves."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("quicchat conform")
        now = datetime.now(UTC)
        self.certificate = (
            _builder(self._name, self._name, self._key, now - timedelta(days=1), now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """What a client has to trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: Sequence[str] = LOCAL, *, days: float = _DAYS) -> Paper:
        """A leaf for these names and addresses that ends in so many days; with negative ones it ended."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + timedelta(days=days)
        since = min(datetime.now(UTC), until) - timedelta(days=1)
        leaf = (
            _builder(_name("server"), self._name, key, since, until)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Paper(leaf, (self.certificate,), key)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
