"""Whom a client believes: what it makes of the certificates that a server shows. (spec 11-security)"""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quicchat.client.trust import Authority, Changed, FirstUse, Trusted, decide
from quicchat.errors import UsageError
from tests.client.parties import DAY, HOST, NOW, Parties, refused


@pytest.fixture
def party(tmp_path: Path) -> Parties:
    return Parties(tmp_path)


def signed(
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey | None = None,
    *,
    ca: bool | None = None,
    names: tuple[str, ...] = (HOST,),
    called: tuple[str, str] = ("own", "own"),
) -> x509.Certificate:
    """A certificate as people make them by hand: with few extensions."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called[0])]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called[1])]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
        )
    return builder.sign(issuer or key, hashes.SHA256())


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def der(*certificates: x509.Certificate) -> list[bytes]:
    return [one.public_bytes(serialization.Encoding.DER) for one in certificates]


@pytest.mark.parametrize("host", [HOST, "CHAT.example.", "localhost", "127.0.0.1", "::1", "192.0.2.7", "fe80::1%eth0"])
def test_first_use(party: Parties, host: str) -> None:
    """Issue 2.8: a server that nobody knew, under each of its names and addresses."""
    server = party(names=(HOST, "192.0.2.7", "fe80::1"))
    assert decide(None, server.chain, host, NOW) == FirstUse(server.authority)


def test_known(party: Parties) -> None:
    """A10: the CA is the anchor; it is the same after each renewal of the leaf."""
    server = party()
    renewed = party(now=NOW + 9 * DAY)
    assert renewed.chain[0] != server.chain[0]
    assert decide(server.authority, server.chain, HOST, NOW) == Trusted(server.authority)
    assert decide(server.authority, renewed.chain, HOST, NOW + 9 * DAY) == Trusted(server.authority)


def test_known_although_the_ca_is_not_shown(party: Parties) -> None:
    """A10: the anchor is ours; the server need not send it."""
    server = party()
    assert decide(server.authority, server.chain[:1], HOST, NOW) == Trusted(server.authority)


def test_changed(party: Parties) -> None:
    """A12: another CA than before is told apart, with both."""
    server, other = party(), party("other")
    assert decide(server.authority, other.chain, HOST, NOW) == Changed(server.authority, other.authority)


@pytest.mark.parametrize("known_before", [False, True])
def test_somebody_with_our_ca_but_not_its_key(party: Parties, known_before: bool) -> None:
    """A10: the CA certificate is public; a leaf that it did not sign is refused, known or not."""
    server, other = party(), party("other")
    known = server.authority if known_before else None
    chain = [other.chain[0], server.chain[1]]
    assert "does not lead to a CA" in refused(lambda: decide(known, chain, HOST, NOW))


def test_a_leaf_is_no_ca(party: Parties, tmp_path: Path) -> None:
    """A10: who has a certificate of our CA cannot make others with it."""
    server = party()
    key = serialization.load_pem_private_key(server.certificate.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    forged = signed(new_key(), key, names=("bank.example",), called=("x", "quicchat"))
    chain = der(forged) + server.chain
    assert "does not lead to a CA" in refused(lambda: decide(server.authority, chain, "bank.example", NOW))


@pytest.mark.parametrize("known_before", [False, True])
def test_wrong_name(party: Parties, known_before: bool) -> None:
    """A10: wrong name refused; the line says for which ones it would be right."""
    server = party()
    known = server.authority if known_before else None
    said = refused(lambda: decide(known, server.chain, "192.0.2.9", NOW))
    assert f"{HOST}, 127.0.0.1, ::1 only" in said
    assert "--name" in said


@pytest.mark.parametrize("moment", [NOW + 13 * DAY, NOW - 2 * DAY])
@pytest.mark.parametrize("known_before", [False, True])
def test_out_of_date(party: Parties, moment: datetime, known_before: bool) -> None:
    """A10: expired refused, and not yet valid as well."""
    server = party()
    known = server.authority if known_before else None
    said = refused(lambda: decide(known, server.chain, HOST, moment))
    assert f"by the clock here it is {moment:%Y-%m-%d}" in said


def test_time_zones_do_not_matter(party: Parties) -> None:
    """A10: dates are compared as moments."""
    server = party()
    end = x509.load_der_x509_certificate(server.chain[0]).not_valid_after_utc
    east = timezone(timedelta(hours=14))
    assert decide(None, server.chain, HOST, (end - timedelta(hours=1)).astimezone(east)) == FirstUse(server.authority)
    assert "valid from" in refused(
        lambda: decide(None, server.chain, HOST, (end + timedelta(hours=1)).astimezone(east))
    )


def test_self_made_certificates() -> None:
    """Issue 2.8: what an operator makes with two lines of openssl serves as well as ours."""
    key, other = new_key(), new_key()
    alone = signed(key, ca=True)
    assert decide(None, der(alone), HOST, NOW) == FirstUse(Authority(*der(alone)))
    ca = signed(key, ca=True, names=(), called=("ca", "ca"))
    leaf = signed(other, key, called=("leaf", "ca"), names=("*.example",))
    assert decide(None, der(leaf, ca), HOST, NOW) == FirstUse(Authority(*der(ca)))
    assert "only" in refused(lambda: decide(None, der(leaf, ca), "a.chat.example", NOW))
    nameless = signed(other, key, called=("leaf", "ca"), names=())
    refused(lambda: decide(None, der(nameless, ca), HOST, NOW))


@pytest.mark.parametrize("chain", [[], [b""], [b"rubbish"], [b"\x30\x82\xff\xff"]])
def test_rubbish(chain: list[bytes]) -> None:
    """A10: what is no certificate is refused."""
    refused(lambda: decide(None, chain, HOST, NOW))


def test_no_bytes_break_it(party: Parties) -> None:
    """A10: whatever bytes a server shows, the outcome is a verdict or one line; a changed leaf is never believed."""
    server, chance = party(), random.Random(4)
    for _ in range(3_000):
        leaf, ca = map(bytearray, server.chain)
        damaged = chance.choice((leaf, ca))
        for _ in range(chance.choice((1, 1, 3))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        chain, known = [bytes(leaf), bytes(ca)], chance.choice((None, server.authority))
        if chain[0] != server.chain[0]:
            refused(lambda chain=chain, known=known: decide(known, chain, HOST, NOW))  # type: ignore[misc]
            continue
        with suppress(UsageError):
            decide(known, chain, HOST, NOW)


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a_b", "*.example", "a b"])
def test_hosts_that_no_certificate_is_for(party: Parties, host: str) -> None:
    """A10: a name that cannot be checked is not believed."""
    refused(lambda: decide(None, party().chain, host, NOW))
