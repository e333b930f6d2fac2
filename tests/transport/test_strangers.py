"""What a server has to do with packets of those it does not know, on real sockets."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aioquic.quic.packet import QuicErrorCode, QuicProtocolVersion

from quicchat.transport.options import Options, dialing
from quicchat.transport.pace import PacedConnection
from tests.transport.sockets import AUTHORITY, PATIENCE, Server, emptied, run, serve

pytestmark = pytest.mark.socket

#: A first packet of a version that nobody speaks, and how the answer to it goes on after its first byte.
UNKNOWN_VERSION = b"\xc3\x1a\x2a\x3a\x4a\x08dddddddd\x08ssssssss".ljust(1200, b"\0")
NEGOTIATION = b"\0\0\0\0\x08ssssssss\x08dddddddd"
#: Handshakes end soon, so that tests need not wait.
BRIEF = Options(retry_above=4, half_open=6, handshake_timeout=0.4)


class Stranger:
    """A UDP socket that sends the server what it likes, and counts what comes back."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(("127.0.0.1", server.port))
        self.sent = self.received = 0

    def send(self, data: bytes) -> None:
        self.sent += len(data)
        self.socket.send(data)

    async def answer(self) -> bytes:
        """The next datagram."""
        async with asyncio.timeout(PATIENCE):
            data = await asyncio.get_running_loop().sock_recv(self.socket, 65_535)
        self.received += len(data)
        return data

    async def answers(self) -> list[bytes]:
        """All answers to what was sent so far: what comes before the answer to a question about versions."""
        self.socket.send(UNKNOWN_VERSION)
        batch: list[bytes] = []
        while not (answer := await self.answer()).startswith(NEGOTIATION, 1):
            batch.append(answer)
        self.received -= len(answer)
        return batch


@contextmanager
def strangers(server: Server, count: int) -> Iterator[list[Stranger]]:
    """Some of them, for the length of a block."""
    made = [Stranger(server) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.socket.close()


def hello() -> tuple[PacedConnection, bytes]:
    """A client that has said its first word, and that word."""
    options = Options()
    quic = PacedConnection(configuration=dialing(AUTHORITY.trust, "localhost", options), options=options)
    quic.connect(("127.0.0.1", 1), 0.0)
    return quic, quic.datagrams_to_send(0.0)[0][0]


def is_retry(data: bytes) -> bool:
    """Whether a packet is a Retry of QUIC version 1."""
    return data[0] & 0xF0 == 0xF0 and data[1:5] == b"\0\0\0\1"


def test_a_flood_of_spoofed_hellos_turns_retry_on_and_off() -> None:
    """[13.3-2] Q9: beyond the limit of unfinished handshakes clients prove their address first; afterwards no longer.

    Replies are at most 3 times what was received, nothing is held for those who did not prove it, and an honest
    client gets in meanwhile.
    """

    async def main() -> None:
        async with serve(options=BRIEF) as server:
            with strangers(server, 30) as flood:
                for stranger in flood:
                    stranger.send(hello()[1])
                first = [await stranger.answer() for stranger in flood]
                assert [is_retry(data) for data in first] == [False] * 4 + [True] * 26
                assert server.endpoint.unfinished == 4
                ear = await server.dial()
                await ear.say(b"let me in")
                await emptied(server.endpoint)
                assert server.endpoint.anomalies["unfinished handshake"] == 4
                for stranger in flood:
                    await stranger.answers()
                flood[0].send(hello()[1])
                assert not is_retry(await flood[0].answer())
                for stranger in flood[1:]:
                    assert stranger.received <= 3 * stranger.sent
                assert len(server.endpoint._carriers) == 2

    run(main)


def test_clients_that_prove_their_address_and_fall_silent() -> None:
    """Q11: above the limit of half-open handshakes nobody new is served, and all are dropped at the deadline."""

    async def main() -> None:
        async with serve(options=BRIEF) as server:
            with strangers(server, 12) as flood:
                for number, stranger in enumerate(flood):
                    quic, word = hello()
                    stranger.send(word)
                    if number >= 4 and is_retry(answer := await stranger.answer()):
                        quic.receive_datagram(answer, ("127.0.0.1", 1), 0.1)
                        stranger.send(quic.datagrams_to_send(0.1)[0][0])
                await flood[-1].answers()
                assert server.endpoint.anomalies["too many handshakes"] == 6
                assert server.endpoint.unfinished == 6
                await emptied(server.endpoint)
                assert not server.endpoint._by_cid

    run(main)


def test_garbage_is_forgotten() -> None:
    """Q10: Initials of garbage leave nothing behind after the handshake's deadline, and are not answered."""
    chance = random.Random(2)

    async def main() -> None:
        async with serve(options=BRIEF) as server:
            with strangers(server, 1) as (stranger,):
                for _ in range(4):
                    header = b"\xc3\0\0\0\1\x08" + chance.randbytes(8) + b"\x08" + chance.randbytes(8) + b"\0\x44\x96"
                    stranger.send(header + chance.randbytes(1174))
                for _ in range(50):
                    stranger.send(chance.randbytes(chance.randint(0, 1400)))
                stranger.send(b"")
                assert await stranger.answers() == []
                assert server.endpoint.unfinished == 4
                await emptied(server.endpoint)
                assert await stranger.answers() == []
                assert not server.endpoint._by_cid
                await (await server.dial()).say(b"still here")

    run(main)


def test_a_token_that_proves_nothing_is_refused_without_state() -> None:
    """Q9: an invalid token is answered with INVALID_TOKEN, and nothing is kept of it."""

    async def main() -> None:
        async with serve() as server:
            with strangers(server, 1) as (stranger,):
                options = Options()
                configuration = dialing(AUTHORITY.trust, "localhost", options)
                configuration.token = b"a token of somebody else"
                quic = PacedConnection(configuration=configuration, options=options)
                quic.connect(("127.0.0.1", 1), 0.0)
                stranger.send(quic.datagrams_to_send(0.0)[0][0])
                quic.receive_datagram(await stranger.answer(), ("127.0.0.1", 1), 0.1)
                assert quic._close_event is not None
                assert quic._close_event.error_code == QuicErrorCode.INVALID_TOKEN
                assert server.endpoint.unfinished == 0
                assert server.endpoint.anomalies["invalid token"] == 1

    run(main)


def test_unknown_versions_are_negotiated() -> None:
    """RFC 9000 section 6.1: told which versions there are, but only who sent enough, and never a second time."""

    async def main() -> None:
        async with serve() as server:
            with strangers(server, 1) as (stranger,):
                stranger.send(UNKNOWN_VERSION[:1199])
                stranger.send((b"\xc3" + NEGOTIATION).ljust(1200, b"\0"))
                stranger.send(UNKNOWN_VERSION)
                answer = await stranger.answer()
                assert answer.startswith(NEGOTIATION, 1)
                versions = {int.from_bytes(answer[at : at + 4], "big") for at in range(23, len(answer), 4)}
                assert versions == {QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2}
                assert await stranger.answers() == []

    run(main)
