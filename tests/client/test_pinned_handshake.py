"""TLS with the remembered CA as its only anchor: what keeps others out on the wire. (spec 11-security)"""

from __future__ import annotations

from pathlib import Path

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from quicchat.client.trust import Authority, is_certificate_alert
from tests.client.parties import DAY, HOST, NOW, Parties, Party


@pytest.fixture
def party(tmp_path: Path) -> Parties:
    return Parties(tmp_path)


def handshake(server: Party, trusted: Authority, name: str) -> int | None:
    """Run a QUIC handshake in memory; the code with which the client closed, or None when it completed."""
    chain = x509.load_pem_x509_certificates(server.certificate.chain)
    serving = QuicConfiguration(is_client=False, alpn_protocols=["quicchat"])
    serving.certificate, serving.certificate_chain = chain[0], chain[1:]
    serving.private_key = serialization.load_pem_private_key(server.certificate.key, None)
    dialling = QuicConfiguration(is_client=True, alpn_protocols=["quicchat"], server_name=name, cadata=trusted.pem)
    client = QuicConnection(configuration=dialling)
    client.connect(("192.0.2.2", 2), now=0.0)
    other = QuicConnection(
        configuration=serving, original_destination_connection_id=client.original_destination_connection_id
    )
    for second in range(30):
        for source, target, sender in ((client, other, "192.0.2.1"), (other, client, "192.0.2.2")):
            for data, _ in source.datagrams_to_send(now=second):
                target.receive_datagram(data, (sender, 2), now=second)
        while (event := client.next_event()) is not None:
            if isinstance(event, ConnectionTerminated):
                return event.error_code
            if isinstance(event, HandshakeCompleted):
                return None
        if (timer := client.get_timer()) is not None and timer <= second:
            client.handle_timer(now=second)
    raise AssertionError("neither completed nor refused")


@pytest.mark.parametrize("name", [HOST, "127.0.0.1", "::1"])
def test_handshake_with_the_pinned_ca(party: Parties, name: str) -> None:
    """A10: our certificates and the pinned CA make a handshake, without switching anything off."""
    server = party()
    assert handshake(server, server.authority, name) is None


def test_handshake_with_somebody_else(party: Parties) -> None:
    """[11.1-1] A10: MITM with another self-signed certificate: client refuses with 0x12a."""
    code = handshake(party("other"), party().authority, HOST)
    assert code == 0x12A
    assert is_certificate_alert(code)


def test_handshake_with_the_wrong_name(party: Parties) -> None:
    """A10: wrong name refused with 0x12a."""
    server = party()
    assert handshake(server, server.authority, "bank.example") == 0x12A


def test_handshake_with_an_expired_leaf(party: Parties) -> None:
    """A10: expired refused with 0x12d."""
    server = party(now=NOW - 20 * DAY)
    code = handshake(server, server.authority, HOST)
    assert code == 0x12D
    assert is_certificate_alert(code)


def test_handshake_with_a_renewed_leaf(tmp_path: Path, party: Parties) -> None:
    """Issue 2.8: after a renewal the anchor of before still serves."""
    before = party(now=NOW - 9 * DAY)
    after = party(now=NOW)
    assert after.chain[0] != before.chain[0]
    assert handshake(after, before.authority, HOST) is None


@pytest.mark.parametrize("code", [0x100, 0x101, 0x129, 0x131, 0x178, 0x201, 0])
def test_other_codes_are_no_certificate_alerts(code: int) -> None:
    """A10: only TLS alerts about certificates lead to exit 4."""
    assert not is_certificate_alert(code)
