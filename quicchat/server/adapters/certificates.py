"""The server's certificate: a CA of its own that clients come to know, and a short-lived leaf. (spec 11-security)

People compare the fingerprint of the CA, which outlives all leaves. Browsers take a leaf by its hash, but only with
an ECDSA key and at most 14 days to live (facts §4), hence the two of them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quicchat.config import BadSetting
from quicchat.config.files import read_private, replace
from quicchat.errors import UsageError
from quicchat.values import dataclass
from quicchat.wire.fingerprint import fingerprint

#: Clocks of clients may be wrong by a day: so much of each life lies in the past.
SKEW: Final = timedelta(days=1)
LIFE_OF_CA: Final = timedelta(days=3650)
LIFE_OF_LEAF: Final = timedelta(days=13)
#: A leaf with less than this to live is replaced.
RENEWAL: Final = timedelta(days=4)

_CANNOT_START: Final = 3
_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a server shows and signs with. `chain` (leaf first) and `key` are PEM."""

    chain: bytes
    key: bytes = field(repr=False)
    authority: str
    leaf_hash: bytes
    not_before: datetime
    not_after: datetime

    def due(self, now: datetime) -> bool:
        """Whether it is time to call `load_or_make` (or `load`) again and swap what it returns."""
        return not self.not_before <= now < self.not_after - RENEWAL


def load_or_make(data: Path, names: Iterable[str], now: datetime) -> Certificate:
    """The server's own certificate, in `certs` below its data directory; what is missing or due is made.

    It is valid for this machine and for all of `names` (host names and addresses; `0.0.0.0` and `::` are skipped).
    Raises UsageError where a file cannot be used, above all where others may read a key.
    """
    folder = data / "certs"
    subjects = _subjects(names)
    try:
        authority = _authority(folder, now)
        kept = _kept(folder, authority, subjects)
        if kept is None or kept.due(now):
            kept = _issue(folder, authority, subjects, now)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}", _CANNOT_START) from None
    return kept


def load(cert: Path, key: Path, now: datetime) -> Certificate:
    """A certificate that the operator brings along. Raises UsageError where it cannot serve."""
    try:
        chain, secret = cert.read_bytes(), _private(key)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}", _CANNOT_START) from None
    found = _certificate(_certificates(cert, chain), chain, secret)
    if _key(key, secret).public_key() != x509.load_pem_x509_certificate(chain).public_key():
        raise UsageError(f"{key} is not the key of {cert}", _CANNOT_START)
    if not found.not_before <= now < found.not_after:
        times = f"{found.not_before:%Y-%m-%d} to {found.not_after:%Y-%m-%d}"
        raise UsageError(f"{cert} is not valid now, but from {times}", _CANNOT_START)
    return found


def fingerprint_in(data: Path, cert: Path | None = None) -> str:
    """The fingerprint that clients compare, of the operator's chain or of the CA made in the data directory."""
    path = cert or data / "certs" / "ca.pem"
    try:
        last = _certificates(path, path.read_bytes())[-1]
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no certificate; a server makes one when it starts", _CANNOT_START) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", _CANNOT_START) from None
    return fingerprint(_der(last))


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _authority(folder: Path, now: datetime) -> _Authority:
    """The CA. Its key stays for ever: a crash between its two files, or its last days, cost a certificate only."""
    key_file, file = folder / "ca.key", folder / "ca.pem"
    certificate = _certificates(file, file.read_bytes())[0] if file.exists() else None
    if key_file.exists():
        key = _own_key(key_file)
    elif certificate is None:
        key = _new_key(key_file)
    else:
        raise UsageError(f"{key_file} is missing; put it back, or remove {file} to start with a new CA", _CANNOT_START)
    if certificate is None or certificate.not_valid_after_utc < now + LIFE_OF_LEAF:
        certificate = _make_authority(key, now)
        replace(file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    if certificate.public_key() != key.public_key():
        raise UsageError(f"{key_file} is not the key of {file}; remove both to start with a new CA", _CANNOT_START)
    return _Authority(certificate, key)


def _kept(folder: Path, authority: _Authority, subjects: list[x509.GeneralName]) -> Certificate | None:
    """The leaf of an earlier run, if it is whole, of this CA, and good for all names."""
    key_file, file = folder / "leaf.key", folder / "chain.pem"
    if not (key_file.exists() and file.exists()):
        return None
    chain, secret = file.read_bytes(), _private(key_file)
    certificates = _certificates(file, chain)
    leaf = certificates[0]
    if certificates[1:] != [authority.certificate] or leaf.public_key() != _key(key_file, secret).public_key():
        return None
    good_for = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    return _certificate(certificates, chain, secret) if all(one in good_for for one in subjects) else None


def _issue(folder: Path, authority: _Authority, subjects: list[x509.GeneralName], now: datetime) -> Certificate:
    key = _new_key(folder / "leaf.key")
    issuer = authority.certificate
    leaf = (
        _builder("quicchat", issuer.subject, key, now, LIFE_OF_LEAF)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)  # type: ignore[arg-type]
        .sign(authority.key, hashes.SHA256())
    )
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, issuer))
    replace(folder / "chain.pem", chain, 0o644)
    return _certificate([leaf, issuer], chain, _pem(key))


def _make_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = f"quicchat CA of {socket.gethostname()}"[:64]
    return (
        _builder(name, None, key, now, LIFE_OF_CA)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(
    name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now - SKEW + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subjects(names: Iterable[str]) -> list[x509.GeneralName]:
    own = socket.gethostname().rstrip(".")
    wanted = ["localhost", "127.0.0.1", "::1", *([own] if _HOST_NAME.fullmatch(own) else []), *names]
    return list(dict.fromkeys(subject for name in wanted if (subject := _subject(name)) is not None))


def _subject(name: str) -> x509.GeneralName | None:
    """How a certificate writes a name; None for an address that stands for all of them."""
    try:
        address = ip_address(name)
    except ValueError:
        pass
    else:
        # A scope (`fe80::1%eth0`) means something on this machine only.
        bare = IPv6Address(int(address)) if isinstance(address, IPv6Address) else IPv4Address(address)
        return None if bare.is_unspecified else x509.IPAddress(bare)
    try:
        written = name.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        written = ""
    if not _HOST_NAME.fullmatch(written):
        raise UsageError(f"{name!r} is not a name that a certificate can be for")
    return x509.DNSName(written)


def _certificate(certificates: list[x509.Certificate], chain: bytes, key: bytes) -> Certificate:
    leaf = certificates[0]
    return Certificate(
        chain=chain,
        key=key,
        authority=fingerprint(_der(certificates[-1])),
        leaf_hash=leaf.fingerprint(hashes.SHA256()),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        raise UsageError(f"{path} holds no certificate (PEM)", _CANNOT_START) from None


def _private(path: Path) -> bytes:
    try:
        return read_private(path)
    except BadSetting as error:
        raise UsageError(f"private key {error}", _CANNOT_START) from None


def _key(path: Path, pem: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError(f"{path} holds no private key (PEM, without a password)", _CANNOT_START) from None


def _own_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = _key(path, _private(path))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path} was not made by quicchat", _CANNOT_START)
    return key


def _new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    replace(path, _pem(key))
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
