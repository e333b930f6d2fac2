"""Going on from another address, on real sockets: asked for, noticed, or done by a NAT without a word."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import random
import socket
from typing import Any

import pytest

from quicchat.errors import UsageError
from quicchat.protocol.events import Bytes
from quicchat.transport import dial as dial_module
from quicchat.transport.dial import Call
from tests.netem import netem
from tests.transport.sockets import AUTHORITY, Ear, Pump, Server, run, serve

pytestmark = pytest.mark.socket

DATA = random.Random(3).randbytes(6_000_000)


def call_of(ear: Ear) -> Call:
    """Who owns a client's socket."""
    owner: Call = ear.link._carriage._owner  # type: ignore[attr-defined]
    return owner


def paths_of(server: Server, number: int = 0) -> list[Any]:
    """The paths of a connection, the one in use first."""
    (carrier,) = (each for each in server.endpoint._carriers if each.link is server.ears[number].link)
    return carrier.quic._network_paths


async def upload(server: Server, ear: Ear, moves: list[Any]) -> set[str]:
    """Send DATA, and at regular distances make one of the moves; the addresses from which the server got it."""
    await server.joined(1)
    remote = server.ears[0]
    remote.link.authenticated()
    peers = {remote.link.peer}
    ear.link.send(ear.link.open(), DATA, fin=True)
    for number, move in enumerate(moves, 1):
        size = len(DATA) * number // (len(moves) + 1)
        heard = 0

        def far(size: int = size) -> bool:
            nonlocal heard
            heard = len(remote.data)
            return heard >= size

        await remote.until(far)
        move()
        await remote.until(lambda heard=heard: len(remote.data) > heard + 1_000_000)  # type: ignore[misc]
        peers.add(remote.link.peer)
    await remote.until(lambda: isinstance(remote.events[-1], Bytes) and remote.events[-1].fin)
    assert hashlib.sha256(remote.data).digest() == hashlib.sha256(DATA).digest()
    return peers


def test_a_client_moves_in_mid_upload() -> None:
    """[13.5-2] Q19, R0.13: three moves; the upload is whole, and the server sees, and validates, each new port."""

    async def main() -> None:
        async with serve(echo=False) as server:
            ear = await server.dial()
            cids = {call_of(ear)._quic._peer_cid.cid}

            def move() -> None:
                ear.link.migrate()
                cids.add(call_of(ear)._quic._peer_cid.cid)

            peers = await upload(server, ear, [move] * 3)
            assert len(peers) == 4
            # [13.5-3]: each path has ids of its own.
            assert len(cids) == 4
            assert paths_of(server)[0].is_validated
            assert server.ears[0].link.peer == f"127.0.0.1:{call_of(ear)._udp.address[1]}"

    run(main)


def test_a_nat_forgets_in_mid_upload() -> None:
    """[13.5-2] Q19: neither end does anything, and everything goes on."""

    async def main() -> None:
        async with serve(echo=False) as server:
            with netem(("127.0.0.1", server.port), latency=0.001) as line:
                ear = Ear(await dial_module.dial(*line.address, trust=AUTHORITY.trust))
                assert len(await upload(server, ear, [line.rebind] * 3)) == 4
                await asyncio.sleep(0)
                assert paths_of(server)[0].is_validated
                ear.link.close(0)
                await ear.end()

    run(main)


@pytest.mark.parametrize("mover", ["client", "nat"])
@pytest.mark.parametrize("mtu", [65_535, 1472])
def test_a_download_survives_moves(mover: str, mtu: int) -> None:
    """[13.5-2] [13.7-10] Q19: three moves under a stream that fills the line; not a byte is lost or doubled."""

    async def main() -> None:
        async with serve(echo=False) as server:
            with netem(("127.0.0.1", server.port), latency=0.001, mtu=mtu) as line:
                ear = Ear(await dial_module.dial(*line.address, trust=AUTHORITY.trust))
                await server.joined(1)
                remote = server.ears[0]
                remote.link.authenticated()
                data = DATA * 2
                pump = Pump(remote, remote.link.open(), data)
                peers = {remote.link.peer}
                for quarter in range(1, 4):
                    await ear.until(lambda quarter=quarter: pump.at >= len(data) * quarter // 4)  # type: ignore[misc]
                    if mover == "client":
                        ear.link.migrate()
                    else:
                        line.rebind()
                    # Whoever only receives is heard of by his acknowledgements.
                    await remote.until(lambda: remote.link.peer not in peers)
                    peers.add(remote.link.peer)
                await ear.until(lambda: ear.events and isinstance(ear.events[-1], Bytes) and ear.events[-1].fin)
                assert hashlib.sha256(ear.data).digest() == hashlib.sha256(data).digest()
                assert len(peers) == 4
                ear.link.close(0)
                await ear.end()

    run(main)


def test_a_client_notices_that_its_address_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """[13.5-3]: what the system would send from is looked at every 2 s, and followed; no way at all changes nothing."""

    async def main() -> None:
        async with serve() as server:
            monkeypatch.setattr(dial_module, "WATCH", 0.02)
            ear = await server.dial()
            await ear.say(b"before")
            old = server.ears[0].link.peer
            call = call_of(ear)
            assert call._route() == "127.0.0.1"
            routes: list[str | None] = ["127.0.0.1", None, "127.0.0.1", *["192.0.2.7"] * 5]
            seen = asyncio.Event()
            peers: list[str] = []

            def look() -> str | None:
                if not routes:
                    seen.set()
                    return "192.0.2.7"
                peers.append(call._udp.address)
                return routes.pop(0)

            monkeypatch.setattr(call, "_route", look)
            async with asyncio.timeout(5):
                await seen.wait()
            await ear.say(b"after")
            assert server.ears[0].link.peer != old
            # It moved when the fourth answer came, asked once more then, and stayed.
            assert [peer == peers[0] for peer in peers] == [True] * 4 + [False] * 4

    run(main)


def test_a_packet_without_a_way_makes_it_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """[13.5-3]: what cannot leave from the old address says more than a clock."""

    class Gone:
        """A socket whose address was taken away."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real

        def send(self, data: bytes) -> int:
            raise OSError(errno.EADDRNOTAVAIL, "gone")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    async def main() -> None:
        async with serve() as server:
            ear = await server.dial()
            await ear.say(b"before")
            old = server.ears[0].link.peer
            call = call_of(ear)
            monkeypatch.setattr(call, "_route", lambda: "192.0.2.7")
            call._udp.socket = Gone(call._udp.socket)  # type: ignore[assignment]
            loop = asyncio.get_running_loop()
            start = loop.time()
            await ear.say(b"after")
            assert loop.time() - start < 1.5
            assert server.ears[0].link.peer != old

    run(main)


def test_a_port_that_cannot_be_had() -> None:
    """Link.migrate: the connection stays where it was, and lives."""

    async def main() -> None:
        async with serve() as server:
            ear = await server.dial()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
                taken.bind(("0.0.0.0", 0))
                port = taken.getsockname()[1]
                with pytest.raises(UsageError, match=f"Cannot send from port {port}: "):
                    ear.link.migrate(port)
            await ear.say(b"still here")

    run(main)


def test_only_clients_move() -> None:
    """RFC 9000 section 9: a server's link stays; so does one that is closed."""

    async def main() -> None:
        async with serve() as server:
            ear = await server.dial()
            server.ears[0].link.migrate()
            await ear.say(b"still here")
            ear.link.close(0)
            ear.link.migrate()
            await ear.end()

    run(main)


def test_a_restless_client() -> None:
    """Q20: 100 moves in a row leave no more than 8 paths and 8 ids, and the connection lives."""

    async def main() -> None:
        async with serve() as server:
            ear = await server.dial()
            for number in range(100):
                ear.link.migrate()
                if number % 10 == 9:
                    await ear.say(b"here")
            await ear.say(b"at last")
            assert len(paths_of(server)) <= 8
            (carrier,) = server.endpoint._carriers
            assert len(carrier.cids) <= 10

    run(main)
