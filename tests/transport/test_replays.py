"""First flights that are sent again by somebody who recorded them, on real sockets."""

from __future__ import annotations

from contextlib import suppress

import pytest
from aioquic.quic.packet import QuicErrorCode

from quicchat.protocol.events import Bytes, Closed
from quicchat.transport.dial import dial
from quicchat.transport.options import Options
from tests.transport.sockets import AUTHORITY, Ear, Tap, acquainted, emptied, run, serve

pytestmark = pytest.mark.socket


def test_a_first_flight_that_is_sent_again() -> None:
    """[13.1-2] Q13, Q11: a captured first flight is heard once, never becomes established, and ends at the deadline."""

    async def main() -> None:
        async with serve(options=Options(handshake_timeout=0.5)) as server:
            ticket = await acquainted(server)
            tap = Tap(server.port)
            with tap.socket:
                ear = Ear(await dial("127.0.0.1", tap.port, trust=AUTHORITY.trust, ticket=ticket, early=True))
                ear.link.send(ear.link.open(), b"pay 100", fin=True)
                await tap.hear()
            # The one who sent it never gets an answer.
            ear.link._carriage._owner.hang_up()  # type: ignore[attr-defined]
            with tap.replay(), tap.replay():
                await server.joined(2)
                remote = server.ears[1]
                await remote.end()
                assert remote.events == [
                    Bytes(0, b"pay 100", True),
                    Closed(QuicErrorCode.INTERNAL_ERROR, "the handshake was not finished in time", remote=False),
                ]
                assert not remote.link.established
            with tap.replay():
                await emptied(server.endpoint)
            assert len(server.ears) == 2
            assert server.endpoint.unfinished == 0
            assert not server.endpoint._by_cid
            await (await server.dial()).say(b"still here")

    run(main)


def test_a_replay_brings_no_flood_upon_others() -> None:
    """Q9, Q13: who sends a first flight with somebody else's address has him sent 3 times as much at most."""

    async def main() -> None:
        async with serve(echo=False, options=Options(handshake_timeout=0.5)) as server:
            ticket = await acquainted(server, quiet=True)
            tap = Tap(server.port)
            with tap.socket:
                ear = Ear(await dial("127.0.0.1", tap.port, trust=AUTHORITY.trust, ticket=ticket, early=True))
                ear.link.send(ear.link.open(), b"everything", fin=True)
                await tap.hear()
            ear.link._carriage._owner.hang_up()  # type: ignore[attr-defined]
            with tap.replay() as victim:
                await server.joined(2)
                server.ears[1].link.send(0, bytes(200_000))
                await server.ears[1].end()
                victim.setblocking(False)
                got = 0
                with suppress(BlockingIOError):
                    while True:
                        got += len(victim.recv(65_535))
                assert 1200 <= got <= 3 * sum(map(len, tap.heard))

    run(main)
