"""Deadlines, on a clock that only the test moves."""

from __future__ import annotations

import pytest

from quicchat.errors import Code
from quicchat.protocol.connection import Connection, Lost
from quicchat.protocol.events import Bytes, Closed
from quicchat.protocol.limits import Limits
from quicchat.wire.chapters.session import Bye, Echo, Goaway, Ping, Pong, Purpose, StreamOpen, VersionRequest
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import CONTROL, OTHER, QUERY, START, Line, connection, fatal, fate, hear, read, write

WHOLE = write(Echo(data="x" * 40))


def due(end: Connection, at: float) -> None:
    """Not a moment before `at` is anything due; then let it happen."""
    assert end.timer() == pytest.approx(at)
    end.handle_timer(at - 0.001)
    assert end.output() == []
    assert end.state is not State.CLOSED
    end.handle_timer(at)


def run_down(end: Connection, until: float) -> list[float]:
    """Serve every timer up to a time; the times. Fails where one leads nowhere, for that would be a busy loop."""
    times: list[float] = []
    while (at := end.timer()) is not None and at <= until:
        assert times[-3:] != [at] * 3
        times.append(at)
        end.handle_timer(at)
        end.output()
    return times


# Getting in


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_negotiation_must_be_over_in_ten_seconds(role: Role) -> None:
    """[3.1-7]: NEGOTIATING: 10 s, then CLOSED 0x102, counted from the beginning, however many bytes come."""
    end = connection(role, now=100.0)
    if role is Role.CLIENT:
        end.start(CONTROL)
        end.output()
    else:
        hear(end, b"\x40", now=104.0)
    due(end, 110.0)
    found = fate(end, 110.0)
    assert found.closed == Code.NEGOTIATION_TIMEOUT
    # A server has no control stream yet to say it on.
    assert found.error == (Code.NEGOTIATION_TIMEOUT if role is Role.CLIENT else None)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_login_must_be_over_in_fifteen_seconds(role: Role) -> None:
    """A6, [4.2-6]: not authenticated 15 s after the negotiation, however busy: fatal AUTH_FAILED."""
    line = Line()
    line.now = 5.0
    line.negotiate()
    line.tick(9.0)
    line.client.send(START)
    line.run()
    end = line.end(role)
    line.collect()
    end.handle_timer(19.999)
    assert end.state is State.STARTED
    end.output()
    end.handle_timer(20.0)
    assert fate(end, 20.0) == fatal(Code.AUTH_FAILED)


def test_a_login_in_time_lifts_the_deadline() -> None:
    """A6: who is logged in stays for hours."""
    line = Line().log_in()
    line.tick(3_600.0)
    assert line.client.state is line.server.state is State.READY
    assert line.lost(Role.CLIENT) is line.lost(Role.SERVER) is None


def test_a_goaway_during_the_login_lifts_no_deadline() -> None:
    """A6: nobody stays unauthenticated because the server is about to stop."""
    line = Line().negotiate()
    line.server.send(Goaway(code=Code.DRAINING))
    line.collect()
    due(line.server, 15.0)
    assert fate(line.server, 15.0).closed is not None


# Signs of life


def test_a_client_pings_every_ten_seconds() -> None:
    """R3.10, [3.2-2]: a PING at each interval, from the negotiation on; the PONG tells the round-trip time."""
    line = Line().negotiate()
    line.forget()
    line.client.handle_timer(10.0)
    line.collect()
    line.now = 10.25
    line.run()
    assert line.client.health.rtt == 0.25
    assert [each.pdu for each in read(line.said[Role.CLIENT])] == [Ping(nonce=1)]
    line = Line().log_in()
    line.tick(95.0)
    assert [each.pdu for each in read(line.said[Role.CLIENT])] == [Ping(nonce=n) for n in range(1, 10)]
    assert [type(each.pdu) for each in read(line.said[Role.SERVER])] == [Pong] * 9


def test_the_interval_is_negotiated() -> None:
    """[3.1-8]: the smaller interval counts."""
    line = Line(connection(Role.CLIENT), connection(Role.SERVER, limits=Limits(ping=2.0))).log_in()
    line.tick(10.5)
    assert len(read(line.said[Role.CLIENT])) == 5


def test_a_server_does_not_ping() -> None:
    """[3.2-4]: it hears the client's, or gives him up after 30 s."""
    line = Line().log_in()
    due(line.server, 30.0)
    assert line.server.output() == [Closed(Code.NO_ERROR, "no sign of life", remote=False)]
    assert line.server.events() == [Lost(Code.NO_ERROR, "no sign of life", False)]
    assert line.server.timer() is None


def test_a_dead_server_is_noticed_after_fifteen_seconds() -> None:
    """Q25, R4.16, [3.2-3]: PING after 10 s without one, its own deadline of 5 s."""
    line = Line().log_in()
    line.client.handle_timer(10.0)
    line.client.output()
    due(line.client, 15.0)
    assert line.client.output() == [Closed(Code.NO_ERROR, "no sign of life", remote=False)]


def test_whatever_comes_after_a_ping_is_a_sign_of_life() -> None:
    """Q25: a PONG stuck behind a long answer is no death; and death is noticed within 15 s all the same."""
    line = Line().log_in()
    line.client.handle_timer(10.0)
    line.client.output()
    hear(line.client, Echo(data="not yet the PONG"), now=10.1)
    line.client.handle_timer(15.0)
    assert line.client.state is State.READY
    assert line.client.output() == []
    # Nothing more ever comes: the next PING finds out.
    due(line.client, 20.0)
    assert [each.pdu for each in read(line.client.output())] == [Ping(nonce=2)]
    due(line.client, 25.0)
    assert isinstance(line.client.events()[-1], Lost)


def test_only_the_answer_to_the_last_ping_tells_the_round_trip() -> None:
    """R3.10: a late PONG, and one that nobody asked for, say nothing about now."""
    line = Line().log_in()
    found = []
    for nonce, at in ((0, 1.0), (7, 10.5), (1, 10.75), (1, 12.0)):
        line.client.handle_timer(min(at, 10.0))
        hear(line.client, Pong(nonce=nonce), now=at)
        found.append(line.client.health.rtt)
    assert found == [None, None, 0.75, 0.75]


def test_a_short_interval_does_not_save_a_dead_server() -> None:
    """Q25, [3.2-2], [3.2-3]: PINGs that go out faster than the deadline do not put it off."""
    line = Line(connection(Role.CLIENT, limits=Limits(ping=1.0))).log_in()
    for second in range(1, 6):
        due(line.client, float(second))
        assert [each.pdu for each in read(line.client.output())] == [Ping(nonce=second)]
    line.client.handle_timer(5.999)
    assert line.client.state is State.READY
    line.client.handle_timer(6.0)
    assert line.client.events() == [Lost(Code.NO_ERROR, "no sign of life", False)]


def test_silence_counts_before_the_deadline_of_a_ping() -> None:
    """[3.2-4]: whichever comes first."""
    line = Line(connection(Role.CLIENT, limits=Limits(silence=12.0))).log_in()
    line.client.handle_timer(10.0)
    line.client.output()
    due(line.client, 12.0)
    assert line.client.events() == [Lost(Code.NO_ERROR, "no sign of life", False)]


def test_no_timer_leads_nowhere() -> None:
    """P7: whatever state an end is left in, its timers come to an end; none is due for ever."""
    lonely = [connection(role) for role in Role]
    starting = connection(Role.CLIENT, limits=Limits(ping=1.0))
    starting.start(CONTROL)
    logging_in = Line(connection(Role.CLIENT, limits=Limits(ping=3.0))).negotiate()
    logged_in = Line(connection(Role.CLIENT)).log_in()
    leaving = Line().log_in()
    leaving.client.send(Bye())
    leaving.run()
    rejected = Line(connection(Role.CLIENT, versions=(9,))).negotiate()
    for end in (
        *lonely,
        starting,
        *(line.end(role) for line in (logging_in, logged_in, leaving, rejected) for role in Role),
    ):
        assert 1 <= len(run_down(end, 1_000.0)) < 10
        assert end.state is State.CLOSED
        assert end.timer() is None


# Frames that are never whole


def test_a_frame_that_trickles_in_has_ten_seconds() -> None:
    """W4, [2.1-5]: one byte a second; what is whole in time is served, the next frame has its own ten seconds."""
    line = Line().log_in()
    for second, byte in enumerate(WHOLE[:9]):
        hear(line.server, bytes((byte,)), now=float(second))
    hear(line.server, WHOLE[9:] + WHOLE[:1], now=9.5)
    assert len(line.server.events()) == 1
    due(line.server, 19.5)
    assert fate(line.server, 19.5) == fatal(Code.LIMIT)


def test_a_frame_that_trickles_in_on_another_stream_ends_that_stream() -> None:
    """W4, Q3, [2.1-5]: stream LIMIT, both ways; the connection goes on."""
    line = Line().log_in()
    opening = write(StreamOpen(kind=Purpose.QUERY))
    line.server.receive(Bytes(QUERY, opening + WHOLE[:5]), 1.0)
    line.server.receive(Bytes(OTHER, b"\x40"), 3.0)
    line.server.receive(Bytes(CONTROL, WHOLE), 5.0)
    line.server.events()
    line.server.handle_timer(11.0)
    assert {event.code for event in line.server.output()} == {Code.LIMIT}  # type: ignore[union-attr]
    assert [event.sid for event in line.server.events()] == [QUERY]  # type: ignore[union-attr]
    assert line.server.timer() == 13.0
    line.server.handle_timer(13.0)
    assert [event.sid for event in line.server.output()] == [OTHER, OTHER]  # type: ignore[union-attr]
    assert len(line.server._channels) == 1
    assert line.server.state is State.READY


def test_the_first_frame_of_the_connection_trickles_in() -> None:
    """W4: before there is a control stream, the negotiation's own deadline comes first, with its code."""
    end = connection(Role.SERVER)
    whole = write(VersionRequest(versions=(2,), device=bytes(16)), version=1)
    for second in range(10):
        hear(end, whole[second : second + 1], now=float(second))
    due(end, 10.0)
    assert fate(end, 10.0).closed == Code.NEGOTIATION_TIMEOUT
    slow = connection(Role.SERVER, limits=Limits(partial=4.0))
    hear(slow, whole[:1], now=2.0)
    due(slow, 6.0)
    assert fate(slow, 6.0).closed == Code.LIMIT


def test_a_client_gives_up_a_server_that_stops_in_mid_frame() -> None:
    """W4: the rule holds for both ends."""
    line = Line().log_in()
    hear(line.client, WHOLE[:1], now=1.0)
    line.client.handle_timer(10.0)
    line.client.output()
    hear(line.client, WHOLE[1:2], now=10.5)
    line.client.handle_timer(11.0)
    assert fate(line.client, 11.0) == fatal(Code.LIMIT)
