"""Answers to packets that belong to no connection, made without remembering anything. (spec 13-transport)"""

from __future__ import annotations

import os
from typing import Final

from aioquic.quic.connection import TRANSPORT_CLOSE_FRAME_CAPACITY
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import (
    QuicFrameType,
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
)
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.retry import QuicRetryTokenHandler

from quicchat.transport.options import CID_LENGTH
from quicchat.transport.udp import Address

#: Smallest datagram that may open a connection (RFC 9000 section 14.1); nothing smaller is worth an answer.
SMALLEST_INITIAL: Final = 1200


def negotiation(header: QuicHeader, versions: list[int]) -> bytes:
    """The packet that tells which QUIC versions we speak."""
    return encode_quic_version_negotiation(
        source_cid=header.destination_cid, destination_cid=header.source_cid, supported_versions=versions
    )


def refusal(header: QuicHeader, code: int) -> bytes:
    """The Initial packet that closes with `code` what an Initial packet wanted to open."""
    assert header.version is not None
    crypto = CryptoPair()
    crypto.setup_initial(cid=header.destination_cid, is_client=False, version=header.version)
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        is_client=False,
        max_datagram_size=SMALLEST_INITIAL,
        peer_cid=header.source_cid,
        version=header.version,
    )
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    buf = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=TRANSPORT_CLOSE_FRAME_CAPACITY)
    buf.push_uint_var(code)
    buf.push_uint_var(QuicFrameType.PADDING)
    buf.push_uint_var(0)
    datagrams, _ = builder.flush()
    return datagrams[0]


class Retry:
    """Proofs of address: a client that sends the token back receives at the address it claims."""

    def __init__(self) -> None:
        self._tokens = QuicRetryTokenHandler()

    def demand(self, header: QuicHeader, address: Address, now: float) -> bytes:
        """The Retry packet that asks for a proof."""
        assert header.version is not None
        cid = os.urandom(CID_LENGTH)
        token = self._tokens.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=cid,
            now=now,
        )
        return encode_quic_retry(
            version=header.version,
            source_cid=cid,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )

    def proven(self, header: QuicHeader, address: Address, now: float) -> bytes | None:
        """The connection id the client chose at first, or None where the token proves nothing."""
        try:
            return self._tokens.validate_token(
                address=address, destination_cid=header.destination_cid, token=header.token, now=now
            )
        except ValueError:
            return None
