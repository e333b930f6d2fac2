"""The driver: what goes between a link and its connection, and when."""

from __future__ import annotations

import asyncio
import logging

import pytest

from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.protocol.connection import Connection, Event, Lost, Received
from quicchat.protocol.events import Bytes, Closed, Datagram, Reset, Stopped
from quicchat.transport.driver import UNREAD, Driver
from quicchat.transport.link import Link
from quicchat.transport.memory import Network
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.session import Bye, Echo, Goaway, Ok, Ping, Pong, Purpose, StreamOpen
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import CHALLENGE, CONTROL, QUERY, RESPONSE, START, WELCOME, connection, write
from tests.transport.driving import MESSAGE, Bench, play, turn


def test_what_is_sent_leaves_once_and_in_order() -> None:
    """Driver: everything of a loop turn leaves in the next, in one go, and only once."""

    async def scenario() -> None:
        bench = Bench()
        await turn()
        for number in range(3):
            bench.driver.send(Echo(data=str(number)))
        assert bench.link.done == []
        await turn()
        assert bench.said() == [Echo(data=str(number)) for number in range(3)]
        await asyncio.sleep(1)
        assert len(bench.link.done) == 1

    play(scenario)


def test_what_happened_is_told_once_a_batch_and_in_order() -> None:
    """Driver: the events of one report are told together; what is answered meanwhile leaves at once."""

    async def scenario() -> None:
        bench = Bench()

        def answer(event: Event) -> None:
            if isinstance(event, Received) and isinstance(event.envelope.pdu, Echo):
                bench.driver.send(event.envelope.pdu, re=event.envelope.id)

        bench.answer = answer
        bench.hear(Echo(data="a"), Echo(data="b"), Ok())
        assert bench.turns == 1
        assert [event.envelope.pdu for event in bench.told if isinstance(event, Received)] == [
            Echo(data="a"),
            Echo(data="b"),
            Ok(),
        ]
        # No loop turn has passed.
        assert bench.said() == [Echo(data="a"), Echo(data="b")]
        await asyncio.sleep(1)
        assert bench.turns == 1
        assert len(bench.link.done) == 1

    play(scenario)


def test_pushes_go_to_the_link_as_one_piece() -> None:
    """Driver: behind what was sent before them; until then they count as backlog; the forbidden is not pushed."""

    async def scenario() -> None:
        bench = Bench()
        await turn()
        assert bench.driver.push(write(MESSAGE), Message)
        bench.driver.send(Goaway(code=1))
        assert bench.driver.push(write(MESSAGE), Message)
        assert bench.driver.backlog() == 2 * len(write(MESSAGE))
        await turn()
        assert bench.driver.backlog() == bench.link.backlog()
        assert bench.said() == [MESSAGE, Goaway(code=1), MESSAGE]
        assert len(bench.link.done) == 1
        assert not bench.driver.push(write(Ok()), StreamOpen)
        bench.driver.fail(Code.INTERNAL)
        assert not bench.driver.push(write(MESSAGE), Message)

    play(scenario)


def test_every_kind_of_output_reaches_the_link() -> None:
    """Driver: bytes, the ends of streams, datagrams and the close, each as the port has it."""

    async def scenario() -> None:
        bench = Bench()
        bench.hear(Ok(), sid=QUERY)
        assert bench.link.done == [Reset(QUERY, Code.UNSUPPORTED), Stopped(QUERY, Code.UNSUPPORTED)]
        bench.link.done.clear()
        bench.hear(StreamOpen(kind=Purpose.QUERY), sid=QUERY)
        bench.driver.finish(QUERY)
        await turn()
        assert bench.link.done == [Bytes(QUERY, b"", fin=True)]
        bench.connection._channels.output.append(Datagram(b"tick"))
        bench.driver.touch()
        await turn()
        bench.driver.close(Code.NO_ERROR, "bye")
        await turn()
        assert bench.link.done[1:] == [Datagram(b"tick"), Closed(Code.NO_ERROR, "bye", remote=False)]

    play(scenario)


def test_a_wish_that_is_refused_does_nothing() -> None:
    """[10.1-1]: the driver raises what the connection raises, and nothing leaves."""

    async def scenario() -> None:
        bench = Bench(Role.CLIENT)
        with pytest.raises(LocalProtocolError):
            bench.driver.send(MESSAGE)
        await asyncio.sleep(1)
        assert bench.link.done == []

    play(scenario)


# Time


def test_a_timer_is_set_anew_only_for_an_earlier_time() -> None:
    """Driver: what comes puts a deadline off without touching the loop; a timer that fires too early looks again."""

    async def scenario() -> None:
        bench = Bench(Role.SERVER)
        await turn()
        first = bench.driver._timer
        assert first is not None
        assert first.when() == 30.0
        for _ in range(20):
            await asyncio.sleep(1)
            bench.hear(Ok())
            assert bench.driver._timer is first
        await asyncio.sleep(10.5)
        assert bench.connection.state is State.READY
        second = bench.driver._timer
        assert second is not None
        assert second is not first
        assert second.when() == 50.0
        bench.link.on_events([Bytes(CONTROL, b"\x40")])
        third = bench.driver._timer
        assert third is not None
        assert third.when() == 40.5
        assert second.cancelled()
        await asyncio.sleep(10.1)
        assert bench.connection.closing is not None

    play(scenario)


def test_time_alone_keeps_a_client_alive_and_ends_it() -> None:
    """R3.10, Q25: nobody calls; PINGs leave in time, and the end is told."""

    async def scenario() -> None:
        bench = Bench(Role.CLIENT)
        await asyncio.sleep(10.001)
        assert bench.said() == [Ping(nonce=1)]
        bench.hear(Pong(nonce=1))
        await asyncio.sleep(10.0)
        assert bench.said() == [Ping(nonce=1), Ping(nonce=2)]
        await asyncio.sleep(5.0)
        assert bench.told[-1] == Lost(Code.NO_ERROR, "no sign of life", False)
        assert bench.link.done[-1] == Closed(Code.NO_ERROR, "no sign of life", remote=False)
        assert bench.driver._timer is None

    play(scenario)


# The end


def test_a_close_waits_for_the_backlog() -> None:
    """[3.3-1]: the link is asked every moment; when all is acknowledged it is closed, and that is told at once."""

    async def scenario() -> None:
        bench = Bench()
        bench.link.unread = 7
        bench.driver.close(Code.SESSION_REPLACED, "elsewhere")
        await asyncio.sleep(0.5)
        assert bench.link.done == []
        assert 20 < bench.link.asked < 40
        bench.link.unread = 0
        await asyncio.sleep(0.03)
        assert bench.link.done == [Closed(Code.SESSION_REPLACED, "elsewhere", remote=False)]
        assert bench.told == [Lost(Code.SESSION_REPLACED, "elsewhere", False)]
        asked = bench.link.asked
        await asyncio.sleep(60)
        assert bench.link.asked == asked
        assert bench.driver._timer is None

    play(scenario)


def test_a_close_does_not_wait_for_ever() -> None:
    """[3.3-1]: after the linger the link is closed, acknowledged or not."""

    async def scenario() -> None:
        bench = Bench()
        bench.link.unread = 7
        bench.driver.fail(Code.INTERNAL, "broken")
        await asyncio.sleep(0.99)
        assert len(bench.link.done) == 1
        await asyncio.sleep(0.02)
        assert bench.link.done[-1] == Closed(Code.INTERNAL, "broken", remote=False)
        assert bench.told == [Lost(Code.INTERNAL, "broken", False)]

    play(scenario)


def test_a_goodbye_waits_for_the_peer() -> None:
    """[3.5-3]: BYE is said, what runs is heard, and after five seconds it is over."""

    async def scenario() -> None:
        bench = Bench(Role.CLIENT)
        bench.driver.leave("quit")
        await asyncio.sleep(1)
        assert bench.said() == [Bye(reason="quit")]
        bench.hear(Echo(data="late"))
        assert len(bench.told) == 1
        await asyncio.sleep(4.01)
        assert bench.told[-1] == Lost(Code.NO_ERROR, "quit", False)

    play(scenario)


def test_the_end_is_told_once() -> None:
    """Driver: however many ways lead to it, even from a link that reports its close within the call."""

    async def scenario() -> None:
        for hasty in (True, False):
            bench = Bench()
            bench.link.hasty = hasty
            bench.driver.fail(Code.INTERNAL)
            bench.driver.close(Code.NO_ERROR, "")
            await asyncio.sleep(2)
            bench.link.on_events([Closed(0, "", remote=False)])
            bench.driver.send(Ok())
            bench.driver.leave("")
            await asyncio.sleep(2)
            assert [type(event) for event in bench.told] == [Lost]
            assert len([event for event in bench.link.done if isinstance(event, Closed)]) == 1

    play(scenario)


def test_no_stream_is_opened_when_the_end_is_near() -> None:
    """Driver: LinkLost instead; a link that has no more streams refuses."""

    async def scenario() -> None:
        bench = Bench(Role.CLIENT)
        assert bench.driver.open() == QUERY
        bench.link.unread = 1
        with pytest.raises(Refused):
            bench.driver.open()
        bench.driver.leave("quit")
        for _ in range(2):
            with pytest.raises(LinkLost):
                bench.driver.open()
            await asyncio.sleep(6)

    play(scenario)


# What goes wrong


def test_a_mistake_of_ours_ends_this_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """Q27, [3.3-6]: an exception in what handles events is logged and fatal INTERNAL, and goes no further."""

    async def scenario() -> None:
        bench = Bench()

        def stumble(event: Event) -> None:
            raise RuntimeError("stumbled")

        bench.answer = stumble
        bench.hear(Echo(data="a"), Echo(data="b"))
        assert bench.connection.state is State.CLOSED
        await asyncio.sleep(2)
        assert [error.code for error in bench.said()] == [Code.INTERNAL]  # type: ignore[attr-defined]
        assert bench.link.done[-1] == Closed(Code.INTERNAL, "The server made a mistake.", remote=False)
        assert isinstance(bench.told[-1], Lost)

    with caplog.at_level(logging.ERROR, "quicchat.transport"):
        play(scenario)
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


def test_a_mistake_of_the_link_stops_no_clock() -> None:
    """Driver: whatever a link raises is its caller's to handle; the connection still comes to its end."""

    async def scenario() -> None:
        bench = Bench()
        await turn()

        def broken(sid: int, data: bytes, *, fin: bool = False) -> None:
            raise OSError("no route")

        bench.link.send = broken  # type: ignore[method-assign]
        bench.connection.send(Ok())
        with pytest.raises(OSError, match="no route"):
            bench.hear(Ok())
        await asyncio.sleep(31)
        assert bench.told[-1] == Lost(Code.NO_ERROR, "no sign of life", False)

    play(scenario)


def test_who_asks_and_does_not_read_is_given_up() -> None:
    """P7, Q6, [6.7-1]: a client with more unacknowledged bytes than the limit: SLOW_CONSUMER."""

    async def scenario() -> None:
        bench = Bench(unread=1_000)
        bench.link.unread = 1_000
        bench.hear(Ping(nonce=1))
        assert not bench.is_closing
        bench.link.unread = 1_001
        bench.hear(Ping(nonce=2))
        assert bench.connection.state is State.CLOSED
        await asyncio.sleep(1.01)
        assert bench.told[-1] == Lost(Code.SLOW_CONSUMER, "You read too slowly.", False)
        client = Bench(Role.CLIENT)
        client.link.unread = UNREAD + 1
        client.hear(Ping(nonce=1))
        assert client.connection.state is State.READY

    play(scenario)


# Over a simulated network


def test_two_drivers_talk_over_a_bad_line() -> None:
    """R0.3, P4: negotiation and 200 PDUs each way over loss, reordering and splits: all arrive, in order."""

    async def scenario() -> None:
        network = Network(seed=3, latency=0.05, loss=0.1, jitter=0.02, reordering=0.2, split=0.5)
        told: dict[Role, list[Event]] = {role: [] for role in Role}
        drivers: dict[Role, Driver] = {}

        def drive(role: Role, link: Link) -> Connection:
            now = asyncio.get_running_loop().time()
            end = connection(role, seed=9, now=now)
            drivers[role] = Driver(link, end, told[role].extend)
            return end

        def accept(link: Link) -> None:
            drive(Role.SERVER, link)

        network.listen(accept)
        client = drive(Role.CLIENT, link := network.dial())
        client.start(link.open())
        drivers[Role.CLIENT].touch()
        await asyncio.sleep(5)
        assert client.version == 2
        for number, pdu in enumerate((START, CHALLENGE, RESPONSE, WELCOME)):
            drivers[(Role.CLIENT, Role.SERVER)[number % 2]].send(pdu)
            await asyncio.sleep(2)
        for number in range(200):
            for role in Role:
                drivers[role].send(Echo(data=str(number)))
            await asyncio.sleep(0.005)
        await asyncio.sleep(10)
        drivers[Role.CLIENT].leave("done")
        await asyncio.sleep(0.5)
        drivers[Role.SERVER].close(Code.NO_ERROR, "done")
        await asyncio.sleep(20)
        for role in Role:
            pdus = [event.envelope.pdu for event in told[role] if isinstance(event, Received)]
            assert [pdu.data for pdu in pdus if isinstance(pdu, Echo)] == [str(number) for number in range(200)]
            assert isinstance(told[role][-1], Lost)
            assert drivers[role]._timer is None

    play(scenario)
