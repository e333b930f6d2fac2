"""Whom a server shows itself as, and whom a client believes. (spec 13-transport)"""

from __future__ import annotations

from dataclasses import field

from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from quicchat.errors import UsageError
from quicchat.values import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A server's certificate chain, leaf first, and the leaf's private key; both as PEM."""

    chain: bytes
    key: bytes = field(repr=False)

    @property
    def leaf_hash(self) -> bytes:
        """SHA-256 of the leaf certificate (DER)."""
        return self._certificates()[0].fingerprint(hashes.SHA256())

    @property
    def authority(self) -> bytes:
        """The last certificate of the chain (DER): whom clients that were here before believe."""
        return self._certificates()[-1].public_bytes(serialization.Encoding.DER)

    def load(self, configuration: QuicConfiguration) -> None:
        """Show this identity in the handshakes of a configuration. Raises UsageError where it cannot be used."""
        leaf, *others = self._certificates()
        try:
            key = serialization.load_pem_private_key(self.key, password=None)
        except (ValueError, TypeError) as error:
            raise UsageError(f"The private key cannot be read: {error}") from error
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
            raise UsageError("The private key does not belong to the certificate.")
        configuration.certificate = leaf
        configuration.certificate_chain = others
        configuration.private_key = key

    def _certificates(self) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(self.chain)
        except ValueError as error:
            raise UsageError(f"The certificate cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a client believes: the holders of certificates under these anchors (PEM), or of the public ones.

    The server's name is always checked as well; there is no way to switch the check off.
    """

    ca_pem: bytes | None = None
