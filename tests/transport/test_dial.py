"""The client's end, on real sockets."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aioquic.quic.packet import QuicErrorCode
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from quicchat.errors import LinkLost
from quicchat.protocol.events import Bytes, Established
from quicchat.transport import options as options_module
from quicchat.transport.dial import dial, probe
from quicchat.transport.endpoint import listen
from quicchat.transport.identity import Trust
from quicchat.transport.options import Options
from tests.certs import Authority
from tests.transport.sockets import AUTHORITY, IDENTITY, Server, run, serve

pytestmark = pytest.mark.socket


def test_nobody_listens() -> None:
    """R1.4: where no server runs the client knows at once, and is told where nobody answered."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(LinkLost, match=f"nobody answers at 127.0.0.1:{port}") as lost:
            async with asyncio.timeout(2):
                await dial("127.0.0.1", port, trust=AUTHORITY.trust)
        assert (lost.value.code, lost.value.remote) == (QuicErrorCode.CONNECTION_REFUSED, False)

    run(main)


def test_nobody_answers() -> None:
    """R1.4: where packets vanish the client gives up after the handshake's deadline."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            with pytest.raises(LinkLost, match="nobody answers at"):
                await dial(
                    "127.0.0.1",
                    silent.getsockname()[1],
                    trust=AUTHORITY.trust,
                    options=Options(handshake_timeout=0.2),
                )

    run(main)


def test_no_such_host() -> None:
    """R1.4: a name that does not exist is a lost link like any other, since names come and go."""

    async def main() -> None:
        with pytest.raises(LinkLost, match=r"no host no\.such\.host\.invalid"):
            await dial("no.such.host.invalid", 1, trust=AUTHORITY.trust)

    run(main)


def test_every_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts section 4: `localhost` has two addresses; where nobody answers at the first, the second is called."""

    async def main() -> None:
        async with serve() as server:
            loop = asyncio.get_running_loop()
            tried: list[str] = []

            async def both(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
                tried.append(host)
                return [
                    (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", port, 0, 0)),
                    (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", port)),
                ]

            monkeypatch.setattr(loop, "getaddrinfo", both)
            ear = await server.dial("localhost")
            assert tried == ["localhost"]
            assert ear.link.peer.startswith("127.0.0.1:")
            await ear.say(b"hello")

    run(main)


@pytest.mark.parametrize(
    ("trust", "server_name", "days", "code"),
    [
        (Authority("Somebody else").trust, None, 13, 0x12A),
        (Trust(), None, 13, 0x12A),
        (AUTHORITY.trust, "other.example", 13, 0x12A),
        (AUTHORITY.trust, None, -1, 0x12D),
    ],
    ids=["other authority", "public authorities", "other name", "expired"],
)
def test_a_server_that_cannot_be_believed(trust: Trust, server_name: str | None, days: int, code: int) -> None:
    """A10: a certificate of another authority, for another name or out of date ends the handshake; nothing is sent."""

    async def main() -> None:
        server = Server(echo=True)
        server.endpoint = await listen([("127.0.0.1", 0)], AUTHORITY.issue(days=days), server.on_link)
        with pytest.raises(LinkLost, match="TLS: ") as lost:
            await server.dial(trust=trust, server_name=server_name)
        assert (lost.value.code, lost.value.remote) == (code, False)
        await server.endpoint.close()
        assert server.ears == []

    run(main)


def test_a_name_that_is_checked() -> None:
    """A10: the name in the certificate may differ from the address that is called."""

    async def main() -> None:
        async with serve() as server:
            await (await server.dial(server_name="localhost")).say(b"hello")

    run(main)


def test_the_client_may_choose_its_port() -> None:
    """R4.3: the client's own UDP port can be given."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        async with serve() as server:
            await server.dial(local_port=port)
            assert server.ears[0].link.peer == f"127.0.0.1:{port}"

    run(main)


@pytest.mark.parametrize("alpn", [["parrot"], []])
def test_another_protocol_is_refused(alpn: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Q12: a client that offers another ALPN, or none, is told 0x178."""

    async def main() -> None:
        async with serve() as server:
            honest = options_module.dialing

            def other(*args: Any) -> Any:
                configuration = honest(*args)
                configuration.alpn_protocols = alpn
                return configuration

            monkeypatch.setattr("quicchat.transport.dial.dialing", other)
            with pytest.raises(LinkLost) as lost:
                await server.dial()
            assert (lost.value.code, lost.value.remote) == (0x178, True)
            assert server.ears == []

    run(main)


def test_a_probe_sees_the_certificates_and_says_nothing() -> None:
    """A12: the chain a server shows is fetched, unchecked, without a byte of the protocol."""

    async def main() -> None:
        async with serve() as server:
            chain = [x509.load_der_x509_certificate(each) for each in await probe("127.0.0.1", server.port)]
            assert chain[0].fingerprint(hashes.SHA256()) == IDENTITY.leaf_hash
            assert len(chain) == 2
            assert chain[0].issuer == chain[1].subject
            await server.joined(1)
            closed = await server.ears[0].end()
            assert closed.remote
            assert server.ears[0].events == [Established(), closed]

    run(main)


def test_a_call_that_is_given_up_leaves_nothing() -> None:
    """A caller's time-out closes the socket; a socket left open would be a warning, and so an error."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await dial("127.0.0.1", silent.getsockname()[1], trust=AUTHORITY.trust)

    run(main)


def test_what_comes_before_the_reader_is_kept() -> None:
    """A server that speaks at once is heard, though the caller of `dial` has had no time to listen."""

    async def main() -> None:
        async with serve(echo=False) as server:

            def greet(link: Any) -> None:
                Server.on_link(server, link)
                link.send(link.open(uni=True), b"welcome")

            server.endpoint._on_link = greet
            ear = await server.dial()
            await ear.until(lambda: ear.data)
            assert ear.events == [Established(), Bytes(3, b"welcome")]

    run(main)
