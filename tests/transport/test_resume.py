"""Coming back with a ticket, on real sockets: what it saves, and what it must not open."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aioquic.quic.packet import QuicErrorCode

from quicchat.errors import Code, Refused
from quicchat.protocol.events import Bytes, Closed, Established
from quicchat.transport.dial import dial
from quicchat.transport.endpoint import listen
from quicchat.transport.options import NATIVE, Options
from quicchat.transport.tickets import Ticket, Tickets, opened, sealed
from tests.certs import Authority
from tests.transport.sockets import AUTHORITY, IDENTITY, Ear, Server, acquainted, emptied, run, serve

pytestmark = pytest.mark.socket


async def early(server: Server, ticket: bytes, **options: Any) -> Ear:
    """A client who does not wait."""
    ear = Ear(await dial("127.0.0.1", server.port, trust=AUTHORITY.trust, ticket=ticket, early=True, **options))
    assert ear.link.established is False
    server.clients.append(ear)
    return ear


async def resumed(server: Server, ear: Ear, data: bytes = b"early") -> Ear:
    """The server's end of a connection whose client says something at once."""
    await ear.say(data)
    await server.joined(len(server.clients))
    remote = server.ears[-1]
    await remote.until(lambda: Established() in remote.events)
    return remote


def is_early(remote: Ear) -> bool:
    """Whether a server heard something before the handshake was complete."""
    return isinstance(remote.events[0], Bytes)


def test_a_client_that_was_here_speaks_first() -> None:
    """[13.1-2] facts section 1: what is said early comes before Established; each connection gets a new ticket."""

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server)
            for _ in range(3):
                more: list[bytes] = []
                ear = await early(server, ticket, on_ticket=more.append)
                remote = await resumed(server, ear)
                assert remote.events[:2] == [Bytes(0, b"early", True), Established()]
                assert ear.events[0] == Established()
                assert (ear.link.established, remote.link.established) == (True, True)
                await ear.say(b"later")
                assert more != [ticket]
                (ticket,) = more

    run(main)


def test_a_ticket_is_good_once() -> None:
    """[13.6-1] Q13: a ticket that is offered again opens nothing early; what was said comes after the handshake."""

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server)
            assert is_early(await resumed(server, await early(server, ticket)))
            assert not is_early(await resumed(server, await early(server, ticket)))

    run(main)


def test_a_server_that_forgot() -> None:
    """[13.6-5]: refused early data arrives by itself, once, whole, and without waiting for a time-out."""

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server)
            server.endpoint._tickets = Tickets()
            ear = await early(server, ticket)
            loop = asyncio.get_running_loop()
            data = bytes(range(256)) * 80
            start = loop.time()
            remote = await resumed(server, ear, data)
            assert not is_early(remote)
            assert remote.data == data
            # aioquic alone waits for three packets more, or for a probe that is due after 0.6 s.
            assert loop.time() - start < 0.5

    run(main)


def test_a_server_with_another_key() -> None:
    """[13.6-5] A10, A12: a server that has another authority by now takes no ticket, and is told nothing."""
    other = Authority("Another authority").issue()

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server)
            server.endpoint.set_identity(other)
            ear = await early(server, ticket)
            ear.link.send(ear.link.open(), b"a secret", fin=True)
            closed = await ear.end()
            assert (closed.code, closed.remote) == (0x12A, False)
            assert ear.events == [closed]
            assert len(server.ears) == 1

    run(main)


def test_nobody_is_there_any_more() -> None:
    """R1.4: an early link whose server is gone ends at once, and says where nobody answers."""

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server)
            port = server.port
        ear = Ear(await dial("127.0.0.1", port, trust=AUTHORITY.trust, ticket=ticket, early=True))
        assert await ear.end() == Closed(
            QuicErrorCode.CONNECTION_REFUSED, f"nobody answers at 127.0.0.1:{port}", remote=False
        )

    run(main)


@pytest.mark.parametrize("resuming", ["waiting", "early"])
def test_a_login_is_bound_to_the_certificate_that_was_shown(resuming: str) -> None:
    """[13.6-6]: also when the server shows another leaf by now, and over two resumptions."""
    fresh = AUTHORITY.issue()

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server)
            server.endpoint.set_identity(fresh)
            for _ in range(2):
                more: list[bytes] = []
                if resuming == "early":
                    ear = await early(server, ticket, on_ticket=more.append)
                else:
                    ear = await server.dial(ticket=ticket, on_ticket=more.append)
                remote = await resumed(server, ear)
                assert ear.link.certificate_hash == remote.link.certificate_hash == IDENTITY.leaf_hash
                await ear.say(b"later")
                (ticket,) = more
            full = await server.dial()
            assert full.link.certificate_hash == server.ears[-1].link.certificate_hash == fresh.leaf_hash

    run(main)


def test_a_ticket_of_another_alpn() -> None:
    """[13.6-2] Q15: a ticket that was given under another ALPN lets nobody speak early."""

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server)
            for kept in server.endpoint._tickets._kept.values():
                kept.alpn = "h3"
            assert not is_early(await resumed(server, await early(server, ticket)))

    run(main)


@pytest.mark.parametrize(("logged_in", "good"), [("alice", False), ("bob", True)])
def test_tickets_of_an_account_are_forgotten(logged_in: str, good: bool) -> None:
    """[13.6-3] Q16: after `disown` no ticket of that account is good, whichever connection got it; others are."""

    async def main() -> None:
        async with serve() as server:
            ticket = await acquainted(server, owner="alice")
            # Its successor belongs to the same account, before anybody has logged in again.
            more: list[bytes] = []
            await resumed(server, await early(server, ticket, on_ticket=more.append))
            await server.clients[-1].say(b"later")
            other = await server.dial()
            server.ears[-1].link.disown()
            server.ears[-1].link.authenticated(logged_in)
            server.ears[-1].link.disown()
            await other.say(b"still here")
            assert is_early(await resumed(server, await early(server, more[0]))) == good

    run(main)


def test_tickets_are_bounded_and_end() -> None:
    """[13.6-1]: of too many tickets the oldest goes; after a day, or after the certificate's end, one is no good."""

    async def main() -> None:
        async with serve() as server:
            ticket = opened(await acquainted(server), server_name="127.0.0.1", alpn=NATIVE)
            (kept,) = server.endpoint._tickets._kept.values()
            assert ticket is not None
            for each in (ticket, kept):
                assert timedelta(0) < each.not_valid_after - datetime.now(UTC) <= timedelta(days=1)
            store = Tickets(most=3)
            for name in (b"1", b"2", b"3", b"4"):
                store.put(Ticket(**{**vars(kept), "ticket": name}))
            assert [store.take(name, NATIVE) is not None for name in (b"1", b"2", b"3", b"4")] == [False] + [True] * 3
            store.put(Ticket(**{**vars(kept), "not_valid_after": datetime.now(UTC) - timedelta(seconds=1)}))
            assert store.take(kept.ticket, NATIVE) is None
            assert len(store) == 0

    run(main)


def test_who_wants_no_ticket_gets_none() -> None:
    """P7: for a client that will not come back the server remembers nothing."""

    async def main() -> None:
        async with serve() as server:
            ear = await server.dial()
            await ear.say(b"hello")
            assert len(server.endpoint._tickets) == 0

    run(main)


@pytest.mark.parametrize("how", ["close", "hang up"])
def test_an_early_link_that_is_given_up_at_once(how: str) -> None:
    """Link.close: also before the first packet has left nothing is left behind."""

    async def main() -> None:
        async with serve(options=Options(handshake_timeout=0.3)) as server:
            ear = await early(server, await acquainted(server))
            ear.link.send(ear.link.open(), b"never mind")
            if how == "close":
                ear.link.close(Code.NO_ERROR, "never mind")
            else:
                ear.link._carriage._owner.hang_up()  # type: ignore[attr-defined]
            assert (await ear.end()).remote is False
            await emptied(server.endpoint)
            assert not any(isinstance(event, Established) for event in ear.events)

    run(main)


def test_a_ticket_ends_with_the_certificate() -> None:
    """[13.6-4]: nobody resumes on a certificate that is out of date, though the ticket would be good for a day."""

    async def main() -> None:
        server = Server(echo=True)
        server.endpoint = await listen([("127.0.0.1", 0)], AUTHORITY.issue(days=0.01), server.on_link)
        ticket = opened(await acquainted(server), server_name="127.0.0.1", alpn=NATIVE)
        (kept,) = server.endpoint._tickets._kept.values()
        for each in (ticket, kept):
            assert each is not None
            assert each.not_valid_after <= each.certificate_until < datetime.now(UTC) + timedelta(days=0.02)
        await server.endpoint.close()

    run(main)


def test_a_kept_ticket_is_whole_or_nothing() -> None:
    """[13.6-4]: what is damaged, or for another name or ALPN, is no ticket, and raises nothing."""

    async def main() -> None:
        async with serve() as server:
            blob = await acquainted(server)
            ticket = opened(blob, server_name="127.0.0.1", alpn=NATIVE)
            assert ticket is not None
            assert sealed(ticket) == blob
            assert opened(blob, server_name="localhost", alpn=NATIVE) is None
            assert opened(blob, server_name="127.0.0.1", alpn="h3") is None
            for at in range(len(blob)):
                opened(blob[:at] + bytes((blob[at] ^ 0xFF,)) + blob[at + 1 :], server_name="127.0.0.1", alpn=NATIVE)
                assert opened(blob[:at], server_name="127.0.0.1", alpn=NATIVE) is None
            # Whoever is given rubbish waits for the handshake.
            await (await server.dial(ticket=b"rubbish", early=True)).say(b"hello")
            assert server.clients[-1].events[0] == Established()

    run(main)


def test_early_data_survives_a_retry() -> None:
    """[13.3-2] Q9: a client that has to prove its address first says again what it said early."""

    async def main() -> None:
        async with serve(options=Options(retry_above=0)) as server:
            ticket = await acquainted(server)
            data = bytes(range(256)) * 40
            remote = await resumed(server, await early(server, ticket), data)
            assert remote.data == data
            assert is_early(remote)

    run(main)


def test_early_data_keeps_to_the_limits_of_a_stranger() -> None:
    """[13.2-3] P7: a ticket of somebody who had logged in allows 16 streams and 64 KiB before the next login."""

    async def main() -> None:
        async with serve() as server:
            ear = await early(server, await acquainted(server, owner="alice"))
            assert ear.link._quic._remote_max_data == 65_536  # type: ignore[attr-defined]
            for number in range(16):
                ear.link.send(ear.link.open(), bytes((number,)))
            with pytest.raises(Refused):
                ear.link.open()
            await ear.hears(16)

    run(main)


@pytest.mark.parametrize("version", ["as kept", "changed"])
def test_nothing_is_early_without_the_address_that_gave_the_ticket(version: str) -> None:
    """R1.4: where a host has moved, the client waits for whoever answers there."""

    async def main() -> None:
        async with serve() as server:
            ticket = opened(await acquainted(server), server_name="127.0.0.1", alpn=NATIVE)
            assert ticket is not None
            moved = sealed(replace(ticket, host="127.0.0.9" if version == "changed" else ticket.host))
            ear = Ear(await dial("127.0.0.1", server.port, trust=AUTHORITY.trust, ticket=moved, early=True))
            server.clients.append(ear)
            assert ear.link.established == (version == "changed")
            await resumed(server, ear)

    run(main)
