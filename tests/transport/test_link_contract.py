"""What the port says of bulk data, asked of both links: over real sockets, and simulated."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Coroutine

import pytest

from quicchat.protocol.events import Bytes, Closed, Datagram, Established, Reset, Stopped, Writable
from quicchat.transport import virtual
from quicchat.transport.memory import Network, pair
from tests.transport import sockets
from tests.transport.sockets import HIGH, LOW, Ear, Pump, serve

MIB = 1_048_576

Scene = Callable[[Ear, Ear], Coroutine[None, None, None]]
Stage = Callable[[Scene], None]


def over_sockets(scene: Scene) -> None:
    """Play it over QUIC on loopback."""

    async def main() -> None:
        async with serve(echo=False) as server:
            client = await server.dial()
            server.ears[0].link.authenticated()
            await scene(client, server.ears[0])

    sockets.run(main)


def in_memory(scene: Scene) -> None:
    """Play it over a simulated network, in virtual time."""

    async def main() -> None:
        client, server = (Ear(link) for link in pair(Network(latency=0.005)))
        for ear in (client, server):
            await ear.until(lambda ear=ear: Established() in ear.events)  # type: ignore[misc]
        await scene(client, server)

    virtual.run(main())


@pytest.fixture(params=[pytest.param(over_sockets, marks=pytest.mark.socket), in_memory], ids=["quic", "memory"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Plays a scene with a client and a server, which are both established."""
    play: Stage = request.param
    return play


def test_what_has_not_left_is_counted(stage: Stage) -> None:
    """Link.unsent: what was sent and did not leave; on streams that are not there it is nothing."""

    async def scene(client: Ear, server: Ear) -> None:
        link = client.link
        sid = link.open()
        assert link.unsent(sid) == link.unsent(sid + 4) == link.unsent(None) == 0
        link.send(sid, bytes(MIB))
        assert link.unsent(sid) == MIB
        link.flush()
        assert 0 < link.unsent(sid) < MIB
        await server.hears(MIB)
        assert link.unsent(sid) == 0
        link.send(sid, bytes(MIB))
        link.reset(sid, 7)
        assert link.unsent(sid) == 0

    stage(scene)


def test_a_pump_keeps_little_and_loses_nothing(stage: Stage) -> None:
    """Link.watch: 4 MiB go through a window of 256 KiB, whole, although nothing but acknowledgements comes back."""

    async def scene(client: Ear, server: Ear) -> None:
        data = random.Random(1).randbytes(4 * MIB)
        pump = Pump(server, server.link.open(), data)
        await client.until(lambda: isinstance(client.events[-1], Bytes) and client.events[-1].fin)
        assert hashlib.sha256(client.data).digest() == hashlib.sha256(data).digest()
        assert pump.most <= HIGH
        # Once for each time it was asked: no more than there were windows to fill.
        assert server.events.count(Writable(pump.sid)) <= 4 * MIB // (HIGH - LOW) + 1

    stage(scene)


def test_writable_comes_once_and_later(stage: Stage) -> None:
    """Link.watch: where there is room already it comes too, in a later loop turn, and only once."""

    async def scene(client: Ear, server: Ear) -> None:
        link = client.link
        sid = link.open()
        client.turns.clear()
        link.watch(sid, 1)
        link.watch(sid, 1)
        assert client.events == []
        await client.until(lambda: client.turns)
        link.send(sid, b"x", fin=True)
        await server.hears(1)
        assert client.events == [Writable(sid)]

    stage(scene)


def test_a_stream_that_takes_no_more_is_writable(stage: Stage) -> None:
    """Link.watch: also when it was reset, stopped or never was, and nobody will ever wait for nothing."""

    async def scene(client: Ear, server: Ear) -> None:
        link = client.link
        given_up, stopped, never = link.open(), link.open(), 4000
        for sid in (given_up, stopped, never):
            link.send(sid, bytes(4 * MIB))
            link.watch(sid, 0)
        await client.until(lambda: Writable(never) in client.events)
        assert Writable(given_up) not in client.events
        link.reset(given_up, 1)
        await client.until(lambda: Writable(given_up) in client.events)
        await server.until(lambda: Reset(given_up, 1) in server.events)
        server.link.stop(stopped, 2)
        await client.until(lambda: Writable(stopped) in client.events)
        assert Stopped(stopped, 2) in client.events
        assert [event for event in client.events if isinstance(event, Writable)] == [
            Writable(never),
            Writable(given_up),
            Writable(stopped),
        ]

    stage(scene)


def test_the_end_comes_after_all_who_watch(stage: Stage) -> None:
    """Link.watch: when the link closes, `Closed` is the last that is told; then `watch` does nothing."""

    async def scene(client: Ear, server: Ear) -> None:
        sid = client.link.open()
        client.link.send(sid, bytes(4 * MIB))
        client.link.watch(sid, 0)
        client.link.watch(None, 0)
        client.link.flush()
        await server.hears(1)
        server.link.close(9, "enough")
        await client.end()
        assert client.events[-3:] == [Writable(sid), Writable(None), Closed(9, "enough")]
        assert client.link.unsent(sid) == client.link.unsent(None) == 0
        turns = len(client.turns)
        client.link.watch(sid, 1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(client.turns) == turns

    stage(scene)


def test_bulk_datagrams_wait_for_room(stage: Stage) -> None:
    """[13.7-3] Link.datagram: of 500 none is dropped here; ephemera overtake them; `unsent` falls, which is told."""

    async def scene(client: Ear, server: Ear) -> None:
        link = client.link
        numbers = [number.to_bytes(2, "big") for number in range(500)]
        for number in numbers:
            assert link.datagram(number + bytes(998), bulk=True)
        assert link.datagram(b"typing")
        assert link.unsent(None) == 500_000
        link.watch(None, 100_000)
        await client.until(lambda: Writable(None) in client.events)
        assert link.unsent(None) < 100_000

        def heard() -> list[bytes]:
            return [event.data for event in server.events if isinstance(event, Datagram)]

        await server.until(lambda: len(heard()) == 501)
        assert [data[:2] for data in heard() if data != b"typing"] == numbers
        assert heard().index(b"typing") < 100
        assert link.unsent(None) == 0

    stage(scene)


def test_bulk_datagrams_have_an_end(stage: Stage) -> None:
    """[13.7-4] Link.datagram: beyond 512 KiB they are refused, so that whoever does not heed `unsent` fills nothing."""

    async def scene(client: Ear, server: Ear) -> None:
        taken = sum(client.link.datagram(bytes(1024), bulk=True) for _ in range(600))
        assert taken == 512
        assert client.link.unsent(None) == MIB // 2
        assert client.link.datagram(b"typing")

    stage(scene)


def test_bulk_datagrams_and_bulk_streams_take_turns(stage: Stage) -> None:
    """[13.7-3]: neither waits for the other to end."""

    async def scene(client: Ear, server: Ear) -> None:
        link = client.link
        sid = link.open()
        link.send(sid, bytes(MIB // 2))
        link.watch(sid, LOW)
        for _ in range(400):
            link.datagram(bytes(1000), bulk=True)
        await server.until(lambda: len(server.data) > MIB // 8)
        assert sum(isinstance(event, Datagram) for event in server.events) > 20
        await server.until(lambda: sum(isinstance(event, Datagram) for event in server.events) > 350)
        assert len(server.data) > MIB // 4

    stage(scene)


def test_chat_overtakes_bulk(stage: Stage) -> None:
    """[13.7-1] Link.watch: what is said on another stream leaves before what waits on a watched one."""

    async def scene(client: Ear, server: Ear) -> None:
        link = client.link
        bulk, chat = link.open(), link.open()
        link.send(bulk, bytes(4 * MIB))
        link.watch(bulk, 1)
        link.send(chat, b"hi", fin=True)
        for _ in range(20):
            link.datagram(bytes(1000), bulk=True)
        await server.until(lambda: Bytes(chat, b"hi", fin=True) in server.events)
        assert sum(len(event.data) for event in server.events if isinstance(event, (Bytes, Datagram))) < 200_000

    stage(scene)
