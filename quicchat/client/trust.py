"""Trust on first use: which server a client believes, and what it asks or refuses. (spec 11-security)

A server that is known is dialled with its CA as the only anchor: TLS itself then refuses everybody else. Where
there is none, or where TLS refused (`is_certificate_alert`), the chain that the server shows goes to `decide`,
which judges, `settle` says what follows, and `anchor` asks the person and remembers.
"""

from __future__ import annotations

import base64
import binascii
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

from quicchat.client.trusting import REFUSED, place
from quicchat.config import is_loopback
from quicchat.config.files import replace
from quicchat.errors import UsageError
from quicchat.values import dataclass
from quicchat.wire.fingerprint import fingerprint, same

_ANY = verification.ExtensionPolicy.permit_all()
# Self-made CAs leave out most extensions that public ones must have; what carries the security stays: signatures,
# dates, names, and that only a CA may sign. TLS checks once more.
_OF_LEAF = _ANY.require_present(x509.SubjectAlternativeName, verification.Criticality.AGNOSTIC, None)
_OF_CA = _ANY.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA certificate (DER) that a server's certificates lead to."""

    der: bytes

    @property
    def fingerprint(self) -> str:
        """What people compare."""
        return fingerprint(self.der)

    @property
    def pem(self) -> bytes:
        """What TLS takes as its anchor."""
        return _read(self.der).public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class Trusted:
    """The server is the one we know."""

    authority: Authority


@dataclass(frozen=True, slots=True)
class FirstUse:
    """Nothing is known of this server, and its certificates are in order."""

    authority: Authority


@dataclass(frozen=True, slots=True)
class Changed:
    """The server shows another CA than before: it was set up anew, or somebody stands in between."""

    old: Authority
    authority: Authority


Verdict = Trusted | FirstUse | Changed


@dataclass(frozen=True, slots=True)
class Accept:
    """Connect with this anchor; `remember` it where it is new, and print `notice` where there is one."""

    authority: Authority
    remember: bool = False
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Only a person can answer this; a script gets the refusal."""

    question: str
    accept: Accept
    refusal: UsageError


def decide(known: Authority | None, chain: Sequence[bytes], host: str, now: datetime) -> Verdict:
    """Judge what a server shows: `chain` is DER, the leaf first. Raises UsageError where it proves nothing."""
    if not chain:
        raise UsageError(f"{host} shows no certificate", REFUSED)
    try:
        leaf, *others = map(_read, chain)
    except ValueError:
        raise UsageError(f"{host} shows a certificate that cannot be read", REFUSED) from None
    shown = Authority(chain[-1])
    if known is not None and _is_for(host, known, leaf, others, now):
        return Trusted(known)
    if not _is_for(host, shown, leaf, others, now):
        raise UsageError(f"the certificate of {host} {_fault(shown, leaf, others, now)}", REFUSED)
    return FirstUse(shown) if known is None else Changed(known, shown)


def settle(
    verdict: Verdict, host: str, port: int, *, wanted: str | None = None, accept_new: bool = False
) -> Accept | Ask:
    """What follows from a verdict. `wanted` is the fingerprint that --fingerprint asks for.

    Raises UsageError where nothing but a refusal is right.
    """
    found, where = verdict.authority, place(host, port)
    if wanted is not None:
        if not same(wanted, found.fingerprint):
            raise UsageError(f"{where} shows {found.fingerprint}, not {wanted}", REFUSED)
        return Accept(found, remember=not isinstance(verdict, Trusted))
    match verdict:
        case Trusted():
            return Accept(found)
        case Changed(old=old) if not accept_new:
            raise UsageError(
                f"the key of {where} changed from {old.fingerprint} to {found.fingerprint}: somebody may stand in "
                "between. Ask the operator what `quicchat fingerprint` shows on the server; if it is the second one, "
                "use --accept-new-fingerprint",
                REFUSED,
            )
        case Changed():
            return Accept(found, remember=True, notice=f"{where} is trusted with its new key {found.fingerprint}")
        case FirstUse():
            notice = f"{where} is new and trusted from now on: {found.fingerprint}"
            accept = Accept(found, remember=True, notice=notice)
            if accept_new or is_loopback(host):
                return accept
            question = (
                f"{where} is new to this device. Its fingerprint is\n  {found.fingerprint}\n"
                "Compare it with what `quicchat fingerprint` shows on the server, or with\n"
                "what its operator told you.\nTrust it from now on? [y/N] "
            )
            refusal = UsageError(
                f"{where} is unknown and shows {found.fingerprint}; once you know that this is right, "
                f"use --fingerprint {found.fingerprint}",
                REFUSED,
            )
            return Ask(question, accept, refusal)


async def anchor(
    step: Accept | Ask,
    remember: Callable[[Authority], None],
    notice: Callable[[str], None],
    ask: Callable[[str], Awaitable[bool]] | None,
) -> bytes:
    """Carry out a step and return the anchor (PEM). `ask` is None where there is no person. Raises UsageError."""
    if isinstance(step, Ask):
        if ask is None:
            raise step.refusal
        if not await ask(step.question):
            raise UsageError("the server is not trusted; nothing was sent", REFUSED)
        step = step.accept
    elif step.notice:
        notice(step.notice)
    if step.remember:
        remember(step.authority)
    return step.authority.pem


class KnownHosts:
    """A file with one line for each server: `host:port fingerprint certificate`. Lines of `#` are comments."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, host: str, port: int) -> Authority | None:
        """The CA of a server. Raises UsageError where the file cannot be read or makes no sense."""
        where = place(host, port)
        for number, line in enumerate(self._lines(), 1):
            if line.split(" ", 1)[0] == where:
                return _parsed(line, f"{self._path}:{number}")
        return None

    def remember(self, host: str, port: int, authority: Authority) -> None:
        """Add a server, or replace what was known of it. Raises UsageError where the file cannot be written."""
        where = place(host, port)
        entry = f"{where} {authority.fingerprint} {base64.b64encode(authority.der).decode()}"
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._path.with_name(self._path.name + ".lock")):
                others = [line for line in self._lines() if line.split(" ", 1)[0] != where]
                replace(self._path, "".join(f"{line}\n" for line in (*others, entry)).encode())
        except OSError as error:
            raise UsageError(f"{error.filename or self._path}: {error.strerror}", REFUSED) from None

    def _lines(self) -> list[str]:
        try:
            return self._path.read_bytes().decode().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"{self._path}: {error.strerror}", REFUSED) from None
        except UnicodeDecodeError:
            raise UsageError(f"{self._path}: this is not UTF-8", REFUSED) from None


def read_authority(path: Path) -> bytes:
    """The anchor (PEM) of --ca. Raises UsageError."""
    try:
        pem = path.read_bytes()
        x509.load_pem_x509_certificates(pem)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", REFUSED) from None
    except ValueError:
        raise UsageError(f"{path} holds no certificate (PEM)", REFUSED) from None
    return pem


def authorities(pem: bytes) -> list[Authority]:
    """The CAs of an anchor."""
    return [Authority(each.public_bytes(Encoding.DER)) for each in x509.load_pem_x509_certificates(pem)]


def names_of(leaf: bytes) -> list[str]:
    """The host names and addresses that a certificate (DER) is for."""
    try:
        return _names(_read(leaf))
    except ValueError:
        return []


def is_certificate_alert(code: int) -> bool:
    """Whether a close code says that a certificate was refused (TLS alerts 42 to 48 in RFC 9001 section 4.8)."""
    return 0x12A <= code <= 0x130


def _read(der: bytes) -> x509.Certificate:
    """A certificate, or ValueError; what cryptography only warns of is refused as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return x509.load_der_x509_certificate(der)
        except (x509.InvalidVersion, Warning) as error:
            raise ValueError(str(error)) from None


def _policy(anchor: Authority, now: datetime) -> verification.PolicyBuilder:
    store = verification.Store([_read(anchor.der)])
    builder = verification.PolicyBuilder().store(store).time(now.astimezone(UTC))
    return builder.extension_policies(ee_policy=_OF_LEAF, ca_policy=_OF_CA)


def _is_for(
    host: str, anchor: Authority, leaf: x509.Certificate, others: list[x509.Certificate], now: datetime
) -> bool:
    """Whether the leaf leads to the anchor, is in date, and names this host."""
    subject = _subject(host)
    try:
        _policy(anchor, now).build_server_verifier(subject).verify(leaf, others)
    except (verification.VerificationError, ValueError):
        return False
    return True


def _fault(anchor: Authority, leaf: x509.Certificate, others: list[x509.Certificate], now: datetime) -> str:
    """Why a leaf was refused, in words that follow `the certificate`."""
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not start <= now <= end:
        return f"is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}; by the clock here it is {now:%Y-%m-%d}"
    try:
        _policy(anchor, now).build_client_verifier().verify(leaf, others)
    except (verification.VerificationError, ValueError):
        return "does not lead to a CA that can be checked"
    return f"is for {', '.join(_names(leaf)[:8])} only; a server takes further names with --name"


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return []
    return names.get_values_for_type(x509.DNSName) + [str(one) for one in names.get_values_for_type(x509.IPAddress)]


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return x509.DNSName(host.rstrip(".").encode("idna").decode())
        except UnicodeError:
            raise UsageError(f"{host!r} is no host name", REFUSED) from None
    # A scope (`fe80::1%eth0`) means something on this machine only.
    return x509.IPAddress(IPv6Address(int(address)) if isinstance(address, IPv6Address) else IPv4Address(address))


def _parsed(line: str, where: str) -> Authority:
    try:
        _, mark, text = line.split(" ")
        found = Authority(base64.b64decode(text, validate=True))
        _read(found.der)
    except (ValueError, binascii.Error):
        raise UsageError(f"{where}: this is not `host:port fingerprint certificate`", REFUSED) from None
    if mark != found.fingerprint:
        raise UsageError(f"{where}: the certificate has the fingerprint {found.fingerprint}, not {mark}", REFUSED)
    return found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other clients from writing at the same time, where the system has such locks."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
