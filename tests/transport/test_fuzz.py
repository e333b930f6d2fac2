"""Mutated packets: whatever the plaintext holds, nothing escapes from the connection that receives it."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from aioquic.quic.crypto import CryptoPair

from quicchat.protocol.events import Bytes, Datagram
from quicchat.transport.tickets import Tickets
from tests.transport.pair import CLIENT, SERVER, Pair, rude, stream_frame

#: `QUICCHAT_FUZZ=32000` looks longer.
RUNS = int(os.environ.get("QUICCHAT_FUZZ", "400"))
#: One frame of each kind, well formed, to start from.
SEEDS = [
    bytes.fromhex(text)
    for text in (
        "01 00",  # PING, PADDING
        "02 0a 00 01 00 00 00",  # ACK
        "03 05 00 00 05 01 02 03",  # ACK with ECN
        "04 00 05 10",  # RESET_STREAM
        "05 00 07",  # STOP_SENDING
        "06 00 04 01 00 00 00",  # CRYPTO
        "07 04 61 62 63 64",  # NEW_TOKEN
        "10 80 01 00 00",  # MAX_DATA
        "11 00 80 01 00 00",  # MAX_STREAM_DATA
        "12 40 64",  # MAX_STREAMS
        "14 40 64",  # DATA_BLOCKED
        "15 00 40 64",  # STREAM_DATA_BLOCKED
        "16 10",  # STREAMS_BLOCKED
        "18 09 00 08 0102030405060708 000102030405060708090a0b0c0d0e0f",  # NEW_CONNECTION_ID
        "19 01",  # RETIRE_CONNECTION_ID
        "1a 0102030405060708",  # PATH_CHALLENGE
        "1b 0102030405060708",  # PATH_RESPONSE
        "1c 00 00 03 626164",  # CONNECTION_CLOSE
        "31 03 616263",  # DATAGRAM
    )
] + [stream_frame(0, 0, b"hello"), stream_frame(4, 9, b"later", fin=True), stream_frame(2, 0, b"one way")]


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The same bytes with one to four changes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0:
                out[at : at + 1] = bytes((chance.randrange(256),))
            case 1:
                out[at:at] = chance.randbytes(chance.randint(1, 8))
            case 2:
                del out[at : at + chance.randint(1, 8)]
            case 3:
                out[at:at] = chance.choice(SEEDS)
            case 4:
                out[at : at + 8] = chance.choice((b"\xff" * 8, b"\x00" * 8, b"\xbf\xff\xff\xff", b"\x7f\xff"))
            case _:
                out = out[:at] + out
    return bytes(out[:1150])


def test_mutated_frames_are_absorbed(caplog: pytest.LogCaptureFixture) -> None:
    """Q26: packets of mutated frames, properly encrypted: no exception leaves the server, nor is any caught there.

    Q22: what is malformed closes that connection with a transport error and no other.
    """
    codes: Counter[int] = Counter()
    for seed in range(RUNS):
        chance = random.Random(seed)
        pair = Pair()
        pair.client.link.send(pair.client.link.open(), b"hello")
        pair.run(0.03)
        for _ in range(12):
            if pair.server.quic._close_event is not None:
                break
            frames = b"".join(chance.choice(SEEDS) for _ in range(chance.randint(1, 6)))
            pair.server.quic.receive_datagram(rude(pair.client, mutated(chance, frames)), CLIENT, pair.now)
            pair.server.deliver()
            pair.server.quic.datagrams_to_send(pair.now)
            pair.server.quic.get_timer()
        if pair.server.quic._close_event is not None:
            codes[pair.server.quic._close_event.error_code] += 1
        assert not pair.anomalies["exception"], (seed, caplog.text)
    assert sum(codes.values()) > RUNS // 4
    assert len(codes) > 4


@pytest.mark.parametrize("again", [False, True], ids=["the first time", "with early data"])
def test_mutated_handshakes_are_absorbed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Q26: handshakes whose plaintext is mutated on the way either succeed or end; nothing escapes, on either end."""
    chance = random.Random(7)
    tickets = Tickets()
    given = [Pair(tickets=tickets).given[0] for _ in range(RUNS // 4)] if again else [None] * (RUNS // 4)
    honest = CryptoPair.encrypt_packet
    share = 0.3

    def encrypt(self: CryptoPair, header: bytes, payload: bytes, number: int) -> bytes:
        if chance.random() < share:
            payload = mutated(chance, payload)[: len(payload)].ljust(len(payload), b"\0")
        return honest(self, header, payload, number)

    finished = early = 0
    monkeypatch.setattr(CryptoPair, "encrypt_packet", encrypt)
    for seed, ticket in enumerate(given):
        pair = Pair(seed=seed, connect=False, tickets=tickets, ticket=ticket)
        pair.client.quic.connect(SERVER, pair.now)
        if again:
            for number in range(3):
                pair.client.link.send(pair.client.link.open(), bytes(400 * number), fin=True)
                pair.client.link.datagram(b"x" * 20)
        pair.run(8)
        early += isinstance(next(iter(pair.server.events), None), (Bytes, Datagram))
        finished += pair.client.quic._handshake_complete
        for anomalies in (pair.anomalies, pair.client.quic.anomalies):
            assert not anomalies["exception"], (seed, caplog.text)
    assert 0 < finished < RUNS // 4
    assert (early > RUNS // 16) == again


def test_random_bytes_are_absorbed() -> None:
    """Q10, Q22: datagrams of random bytes, with headers that fit and that do not, change nothing."""
    chance = random.Random(3)
    pair = Pair()
    cid = pair.server.quic.host_cid
    for _ in range(2000):
        header = chance.choice(
            (b"", b"\x41" + cid, b"\xc3\x00\x00\x00\x01\x08" + cid, b"\xe3\x00\x00\x00\x01\x08" + cid)
        )
        pair.arrive("server", header + chance.randbytes(chance.randint(0, 1300)), CLIENT)
    pair.transmit()
    assert not pair.anomalies["exception"]
    pair.client.link.send(pair.client.link.open(), b"still here")
    pair.run(0.1)
    assert pair.server.events[-1] == Bytes(0, b"still here")
