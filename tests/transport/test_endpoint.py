"""The server's end, on real sockets."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Iterator

import pytest
from aioquic.quic.packet import QuicErrorCode

from quicchat.errors import Code, LinkLost, UsageError
from quicchat.protocol.events import Bytes, Closed, Established, LinkEvent
from quicchat.transport.endpoint import listen
from quicchat.transport.identity import Identity
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from tests.certs import Authority
from tests.transport.sockets import AUTHORITY, IDENTITY, Server, run, serve

pytestmark = pytest.mark.socket


def test_one_port_for_both_families() -> None:
    """Protocol section 1: one UDP port, reached by IPv4 and by IPv6; Established comes first at both ends."""

    async def main() -> None:
        async with serve(("127.0.0.1", 0), ("::1", 0)) as server:
            (host, port), (host6, port6) = server.endpoint.addresses
            assert (host, host6, port) == ("127.0.0.1", "::1", port6)
            for target, shown in (("127.0.0.1", "127.0.0.1:"), ("::1", "[::1]:")):
                ear = await server.dial(target)
                await ear.say(b"hello")
                assert ear.events[0] == server.ears[-1].events[0] == Established()
                assert server.ears[-1].link.peer.startswith(shown)
                assert ear.link.peer == f"{shown}{port}"
            assert len(server.endpoint.links) == 2
            assert server.endpoint.unfinished == 0

    run(main)


def test_an_upload_of_20_mib() -> None:
    """P7, R0.4: 20 MiB arrive whole through the windows of delivered bytes."""
    data = random.Random(5).randbytes(1_048_576) * 20

    async def main() -> None:
        async with serve(echo=False) as server:
            ear = await server.dial()
            remote = server.ears[0]
            remote.link.authenticated()
            ear.link.send(ear.link.open(), data, fin=True)
            await remote.until(lambda: isinstance(remote.events[-1], Bytes) and remote.events[-1].fin)
            assert hashlib.sha256(remote.data).digest() == hashlib.sha256(data).digest()

    run(main)


def test_the_certificate_may_change_while_sessions_live() -> None:
    """A12: after `set_identity` new connections see the new certificate; those there are live on under the old."""
    other = Authority("Another authority")
    fresh = other.issue()

    async def main() -> None:
        async with serve() as server:
            old = await server.dial()
            server.endpoint.set_identity(fresh)
            with pytest.raises(LinkLost) as lost:
                await server.dial()
            assert lost.value.code == 0x12A
            new = await server.dial(trust=other.trust)
            for ear in (old, new):
                await ear.say(b"hello")
            assert old.link.certificate_hash == server.ears[0].link.certificate_hash == IDENTITY.leaf_hash
            assert new.link.certificate_hash == server.ears[-1].link.certificate_hash == fresh.leaf_hash
            with pytest.raises(UsageError):
                server.endpoint.set_identity(Identity(fresh.chain, IDENTITY.key))
            await (await server.dial(trust=other.trust)).say(b"unharmed")

    run(main)


def test_a_server_that_drains_refuses_newcomers() -> None:
    """C10: after `stop_accepting` new clients are refused at once; those there are stay."""

    async def main() -> None:
        async with serve() as server:
            ear = await server.dial()
            server.endpoint.stop_accepting()
            with pytest.raises(LinkLost) as lost:
                await server.dial()
            assert (lost.value.code, lost.value.remote) == (QuicErrorCode.CONNECTION_REFUSED, True)
            await ear.say(b"still here")

    run(main)


def test_closing_tells_everybody_and_frees_the_port() -> None:
    """C10: `close` tells every peer code and reason, and the port can be had again when it returns."""

    async def main() -> None:
        async with serve() as server:
            ears = [await server.dial() for _ in range(5)]
            port = server.port
            await server.endpoint.close(Code.DRAINING, "maintenance")
            for ear in ears:
                assert await ear.end() == Closed(Code.DRAINING, "maintenance", remote=True)
            for ear in server.ears:
                assert ear.closed == Closed(Code.DRAINING, "maintenance", remote=False)
            again = await listen([("127.0.0.1", port)], IDENTITY, server.on_link)
            await again.close()

    run(main)


def test_closing_a_connection_touches_only_its_own_ids() -> None:
    """Hostile, measured attacks: a close costs the ids of that connection, however many others there are."""

    class Counting(dict[bytes, object]):
        touched = 0

        def pop(self, *args: object) -> object:
            self.touched += 1
            return super().pop(*args)  # type: ignore[call-overload]

        def __iter__(self) -> Iterator[bytes]:
            raise AssertionError("all ids were walked")

        keys = values = items = __iter__  # type: ignore[assignment]

    async def main() -> None:
        async with serve() as server:
            table = Counting()
            server.endpoint._by_cid = table  # type: ignore[assignment]
            ears = [await server.dial() for _ in range(6)]
            for ear in ears:
                await ear.say(b"hello")
            ids = len(table)
            assert ids == sum(len(carrier.cids) for carrier in server.endpoint._carriers)
            table.touched = 0
            ears[0].link.close(Code.NO_ERROR)
            await server.ears[0].end()
            assert table.touched == ids // 6
            assert len(table) == ids - ids // 6

    run(main)


def test_a_bug_in_one_handler_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """Q27, P8: an exception in `on_events` is logged once, ends that connection with INTERNAL_ERROR, and no other."""

    async def main() -> None:
        async with serve() as server:
            victim, bystander = await server.dial(), await server.dial()

            ear = server.ears[0]

            def broken(events: list[LinkEvent]) -> None:
                ear.link.on_events = ear.hear
                raise ZeroDivisionError("planted")

            ear.link.on_events = broken
            victim.link.send(victim.link.open(), b"x")
            assert (await victim.end()).code == QuicErrorCode.INTERNAL_ERROR
            assert not (await ear.end()).remote
            await bystander.say(b"hello")

    with caplog.at_level(logging.ERROR):
        run(main)
    assert [record.exc_info is not None for record in caplog.records] == [True]


@pytest.mark.parametrize("name", ["datagrams_to_send", "get_timer", "handle_timer"])
def test_a_bug_below_harms_nobody_else(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Q26, P8: whatever aioquic raises while sending or in a timer ends that connection, and the loop goes on."""

    async def main() -> None:
        async with serve() as server:
            victim, bystander = await server.dial(options=Options(idle_timeout=1)), await server.dial()
            (carrier,) = (each for each in server.endpoint._carriers if each.link is server.ears[0].link)

            def broken(*_: object, **__: object) -> None:
                raise AssertionError("planted")

            setattr(carrier.quic, name, broken)
            victim.link.send(victim.link.open(), b"x")
            assert not (await server.ears[0].end()).remote
            await bystander.say(b"hello")
            await victim.end()

    with caplog.at_level(logging.ERROR):
        run(main)
    assert 1 <= len(caplog.records) <= 3


def test_a_fan_out_is_one_flush_each() -> None:
    """Facts section 1: what is sent to other connections leaves in the same turn, once for each, without `flush`."""

    async def main() -> None:
        async with serve(echo=False) as server:
            ears = [await server.dial() for _ in range(5)]
            for ear in ears:
                ear.link.send(ear.link.open(), b"x")
            for remote in server.ears:
                await remote.hears(1)
            flushes: dict[object, int] = {}
            for carrier in server.endpoint._carriers:

                def counting(
                    now: float, carrier: object = carrier, send: object = carrier.quic.datagrams_to_send
                ) -> object:
                    assert callable(send)
                    batch = send(now)
                    flushes[carrier] = flushes.get(carrier, 0) + bool(batch)
                    return batch

                carrier.quic.datagrams_to_send = counting  # type: ignore[method-assign,assignment]
            for _ in range(20):
                for remote in server.ears:
                    remote.link.send(0, b"news")
            for ear in ears:
                await ear.hears(80)
                assert ear.data == b"news" * 20
            assert list(flushes.values()) == [1] * 5

    run(main)


def test_a_migrating_client_is_followed() -> None:
    """R0.13, Q19: a client that changes its port goes on; the server sees the new one."""

    async def main() -> None:
        async with serve() as server:
            ear = await server.dial()
            await ear.say(b"before")
            old = server.ears[0].link.peer
            ear.link._carriage._owner.rebind()  # type: ignore[attr-defined]
            await ear.say(b"after")
            assert server.ears[0].link.peer != old
            assert server.ears[0].link.peer.startswith("127.0.0.1:")

    run(main)


@pytest.mark.parametrize("spoil", ["key", "chain", "unreadable key"])
def test_an_identity_that_cannot_be_used(spoil: str) -> None:
    """A13: a key that does not belong to the certificate, or is none, is refused when the server starts."""
    other = AUTHORITY.issue()
    identity = {
        "key": Identity(IDENTITY.chain, other.key),
        "chain": Identity(b"no certificate", IDENTITY.key),
        "unreadable key": Identity(IDENTITY.chain, b"no key"),
    }[spoil]

    async def main() -> None:
        with pytest.raises(UsageError):
            await listen([("127.0.0.1", 0)], identity, Server(echo=False).on_link)

    run(main)


def test_a_port_that_is_taken() -> None:
    """R4.2: a port or address that cannot be had is one clear line."""

    def nobody(link: Link) -> None:
        raise AssertionError

    async def main() -> None:
        async with serve() as server:
            with pytest.raises(UsageError, match=f"Cannot listen on 127.0.0.1:{server.port}: "):
                await listen([("127.0.0.1", server.port)], IDENTITY, nobody)
        with pytest.raises(UsageError, match=r"There is no address no\.such\.host\.invalid"):
            await listen([("no.such.host.invalid", 0)], IDENTITY, nobody)

    run(main)
