"""How simulated links begin and end: the handshake, closes, silence, sudden death, migration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent
from quicchat.transport.link import Link
from quicchat.transport.memory import SERVER, MemoryLink, pair
from tests.transport.ears import HOP, LATENCY, Ear, connected, line, now, virtually


@virtually
async def test_both_ends_are_established_after_one_round_trip() -> None:
    """R3.5: the client when the answer is there, the server a round trip after the client's first packet."""
    client, server = pair(line())
    at_client, at_server = Ear(client), Ear(server)
    await asyncio.sleep(10)
    assert at_client.heard == [(2 * LATENCY, Established())]
    assert at_server.heard == [(3 * LATENCY, Established())]


@virtually
async def test_events_wait_for_whoever_drives_the_link() -> None:
    """Link.on_events: what came before it was set is kept, in order, and comes in a turn of its own."""
    client, server = pair(line())
    client.send(client.open(), b"hello")
    await asyncio.sleep(5)
    ear = Ear(server)
    assert ear.heard == []
    await asyncio.sleep(0)
    assert ear.events == [Established(), Bytes(0, b"hello")]
    server.on_events([Datagram(b"x")])
    assert ear.datagrams == [b"x"]


@virtually
async def test_without_a_driver_events_are_kept_where_they_are() -> None:
    """Link.on_events: calling it before it is set loses nothing."""
    client, _ = pair(line())
    client.on_events([Datagram(b"x")])
    ear = Ear(client)
    await asyncio.sleep(0)
    assert ear.datagrams == [b"x"]


@virtually
async def test_close() -> None:
    """Link.close: both ends hear code and reason, once, and who closed; what was queued is lost."""
    client, _, at_client, at_server = await connected(line())
    began = now()
    sid = client.open()
    client.send(sid, b"lost")
    client.close(0x100, "bye")
    client.close(0x101, "again")
    assert at_client.events == []
    await asyncio.sleep(5)
    assert at_client.heard == [(began, Closed(0x100, "bye", remote=False))]
    assert at_server.heard == [(began + LATENCY, Closed(0x100, "bye", remote=True))]
    assert client.closed == Closed(0x100, "bye", remote=False)


@virtually
async def test_what_was_under_way_before_a_close_arrives() -> None:
    """Link.close: only what was queued is lost for certain."""
    client, _, _, at_server = await connected(line())
    client.send(client.open(), b"under way")
    client.flush()
    client.close(0x100)
    await asyncio.sleep(5)
    assert at_server.events == [Bytes(0, b"under way"), Closed(0x100)]


@virtually
async def test_after_the_end_every_call_does_nothing() -> None:
    """Link: everything after the link has closed does nothing, at either end."""
    network = line()
    client, server, at_client, at_server = await connected(network)
    sid = client.open()
    client.send(sid, b"x")
    await asyncio.sleep(1)
    client.close(0x100)
    await asyncio.sleep(1)
    sent, heard = len(network.trace), (list(at_client.heard), list(at_server.heard))
    for link in (client, server):
        link.send(sid, b"y", fin=True)
        link.send(link.open(), b"y")
        link.reset(sid, 1)
        link.stop(sid, 1)
        link.authenticated()
        link.close(5)
        link.flush()
        assert not link.datagram(b"y")
        assert link.backlog() == link.backlog(sid) == 0
    await asyncio.sleep(100)
    assert network.trace[sent:] == []
    assert (at_client.heard, at_server.heard) == heard


@virtually
async def test_the_reason_of_a_close_is_cut_to_what_quic_carries() -> None:
    """protocol §1: at most 1024 bytes, and never half a character."""
    client, _, at_client, at_server = await connected(line())
    client.close(5, "€" * 1024)
    await asyncio.sleep(1)
    assert at_server.closed == Closed(5, "€" * 341)
    assert at_client.closed == Closed(5, "€" * 341, remote=False)


@virtually
async def test_silence_ends_a_connection() -> None:
    """facts §1: silent death; only the idle timeout tells, 30 s after the last packet that came."""
    client, _, at_client, at_server = await connected(line())
    client.send(client.open(), b"x")
    await asyncio.sleep(10)
    client.send(0, b"x")
    at = now()
    await asyncio.sleep(100)
    assert at_server.heard[-1] == (at + LATENCY + 30, Closed(1, "Idle timeout", remote=False))
    assert at_client.heard[-1] == (at + 2 * LATENCY + 30, Closed(1, "Idle timeout", remote=False))


@virtually
async def test_whoever_talks_stays() -> None:
    """R3.10: a ping every ten seconds keeps a connection for as long as one likes."""
    client, _, at_client, at_server = await connected(line())
    sid = client.open()
    for _ in range(360):
        client.send(sid, b"p")
        await asyncio.sleep(10)
    assert at_client.closed is at_server.closed is None
    assert at_server.said[sid] == b"p" * 360


@virtually
async def test_kill() -> None:
    """R4.14, C1: a process that died says nothing, hears nothing, and reports nothing; its peer finds out by itself."""
    client, server, at_client, at_server = await connected(line())
    sid = client.open()
    client.send(sid, b"under way")
    await asyncio.sleep(LATENCY / 2)
    client.send(sid, b"never sent")
    client.kill()
    died = now()
    await asyncio.sleep(HOP)
    server.send(sid, b"to nobody")
    await asyncio.sleep(100)
    assert at_server.events == [Bytes(sid, b"under way"), Closed(1, "Idle timeout", remote=False)]
    assert at_server.heard[-1][0] == pytest.approx(died + LATENCY / 2 + 30)
    assert at_client.events == []
    assert client.backlog() == 0


@virtually
async def test_addresses_and_certificate() -> None:
    """Link.peer, Link.certificate_hash: as the port shows them; a client in a browser may see no certificate."""
    client, server, *_ = await connected(line(certificate_hash=b"h" * 32))
    assert client.peer == server.address == SERVER
    assert server.peer == client.address != SERVER
    assert client.certificate_hash == server.certificate_hash == b"h" * 32
    client.certificate_hash = b""
    assert server.certificate_hash == b"h" * 32


@virtually
async def test_migration() -> None:
    """Q19, R0.13: the server learns the new address from the next packet; streams go on."""
    client, server, _, at_server = await connected(line())
    sid = client.open()
    client.send(sid, b"from here, ")
    await asyncio.sleep(1)
    client.address = "203.0.113.9:999"
    assert server.peer != client.address
    client.send(sid, b"and from there")
    await asyncio.sleep(1)
    assert server.peer == "203.0.113.9:999"
    assert at_server.said[sid] == b"from here, and from there"


@virtually
async def test_a_link_migrates_when_it_is_asked() -> None:
    """Q19, Link.migrate: the server learns it without anything being said; a server's link stays where it is."""
    client, server, at_client, at_server = await connected(line())
    client.migrate(999)
    await asyncio.sleep(HOP)
    assert server.peer == client.address == f"{client.address.rpartition(':')[0]}:999"
    client.migrate()
    await asyncio.sleep(HOP)
    assert server.peer == client.address != f"{client.address.rpartition(':')[0]}:999"
    server.migrate(1)
    assert server.address == SERVER
    client.close(0)
    client.migrate(7)
    assert not client.address.endswith(":7")
    assert at_server.events == at_client.events == []


@virtually
async def test_a_first_flight_that_is_sent_again() -> None:
    """[13.1-2] Q13: its bytes are heard, Established never comes, answers reach nobody, and the link ends after 5 s."""
    network = line()
    accepted: list[MemoryLink] = []
    network.listen(accepted.append)
    client = network.dial(early=True)
    at_client = Ear(client)
    client.send(client.open(), b"pay 100")
    client.flush()
    network.replay(client)
    await asyncio.sleep(HOP)
    first, second = (Ear(link) for link in accepted)
    accepted[1].send(0, b"an answer")
    accepted[1].disown()
    await asyncio.sleep(10)
    assert first.events == [Bytes(0, b"pay 100"), Established()]
    assert second.heard == [
        (HOP, Bytes(0, b"pay 100")),
        (5 + LATENCY, Closed(1, "the handshake was not finished in time", remote=False)),
    ]
    assert [link.established for link in accepted] == [True, False]
    assert at_client.events == [Established()]


@virtually
async def test_early_data_comes_before_the_handshake_is_complete() -> None:
    """facts §1 (0-RTT): it saves a round trip, answers may flow, and the server is told it is early."""
    client, server = pair(line(), early=True)
    at_client, at_server = Ear(client), Ear(server)
    client.send(client.open(), b"early")
    await asyncio.sleep(HOP)
    assert (client.established, server.established) == (False, False)
    assert at_server.heard == [(LATENCY, Bytes(0, b"early"))]
    server.send(0, b"an answer")
    await asyncio.sleep(5)
    assert at_client.heard == [(2 * LATENCY, Established()), (HOP + LATENCY, Bytes(0, b"an answer"))]
    assert at_server.heard[1:] == [(3 * LATENCY, Established())]
    assert (client.established, server.established) == (True, True)


@virtually
async def test_other_data_waits_for_the_handshake() -> None:
    """facts §1: without a ticket the first bytes leave when the client is established."""
    client, server = pair(line())
    ear = Ear(server)
    client.send(client.open(), b"patient")
    server.send(server.open(), b"patient too")
    await asyncio.sleep(5)
    assert ear.heard == [(3 * LATENCY, Established()), (3 * LATENCY, Bytes(0, b"patient"))]


@virtually
async def test_a_driver_that_fails_disturbs_nobody_else() -> None:
    """Q27: an exception in one link's `on_events` is the loop's to report; that link and all others go on."""
    network = line()
    client, server, _, _ = await connected(network)
    _, _, at_other, _ = others = await connected(network)
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))

    def fail(events: list[LinkEvent]) -> None:
        raise ZeroDivisionError

    server.on_events = fail
    client.send(client.open(), b"x")
    others[1].send(others[1].open(), b"hello")
    await asyncio.sleep(1)
    assert [type(each) for each in failures] == [ZeroDivisionError]
    assert at_other.said[1] == b"hello"
    assert client.backlog() == 0


@virtually
async def test_it_is_a_link() -> None:
    """design §3 (port): a memory link stands wherever a Link is asked for."""
    links: tuple[Link, Link] = pair(line())
    assert len(links) == 2
