"""Negotiation, health, errors, leaving and streams, as one connection handles them."""

from __future__ import annotations

import cbor2
import pytest

from quicchat.errors import MEANINGS, Code, LocalProtocolError
from quicchat.protocol.channels import Ended
from quicchat.protocol.closing import DRAIN
from quicchat.protocol.connection import Lost, Received
from quicchat.protocol.events import Bytes, Closed, LinkEvent, Reset, Stopped
from quicchat.protocol.limits import Limits
from quicchat.wire import codec, frame
from quicchat.wire.chapters.messages import History, Post, Window
from quicchat.wire.chapters.rooms import ListRooms
from quicchat.wire.chapters.session import (
    Bye,
    Echo,
    Error,
    Goaway,
    Ping,
    Pong,
    Purpose,
    StreamOpen,
    VersionRequest,
)
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.conformance import ends
from tests.conformance.ends import CONTROL, FROM_SERVER, SECOND, THIRD, at, fresh, hear, is_refusal, outcome

DEVICE = bytes(16)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@pytest.mark.parametrize(
    "state", [State.AUTHENTICATING, State.CHALLENGED, State.READY, State.DRAINING], ids=lambda state: state.name
)
def test_ping_is_answered_at_once(role: Role, state: State) -> None:
    """R3.10, [3.2-1]: with the same nonce and the id, behind all that was written before."""
    end = at(role, state)
    if state is State.READY:
        end.send(Echo(data="before"))
    hear(end, Ping(nonce=2**64 - 1), id=5)
    *before, pong = ends.spoken(end.output())
    assert isinstance(pong.pdu, Pong)
    assert (pong.pdu.nonce, pong.re) == (2**64 - 1, 5)
    assert len(before) == (state is State.READY)


@pytest.mark.parametrize("state", [State.READY, State.DRAINING], ids=lambda state: state.name)
def test_a_client_pings_in_its_interval(state: State) -> None:
    """R3.10, [3.2-2]: every `ping` seconds, and the answer gives the round-trip time."""
    client = at(Role.CLIENT, State.READY)
    client.state = state
    for now in (10.0, 20.0, 30.0):
        assert client.timer() == now
        client.handle_timer(now)
        (ping,) = [each.pdu for each in ends.spoken(client.output())]
        assert isinstance(ping, Ping)
        hear(client, Pong(nonce=ping.nonce), now=now + 0.25)
        assert client.health.rtt == 0.25
        client.handle_timer(now + 9.9)
        assert client.output() == []


def test_a_client_pings_while_somebody_types_his_password() -> None:
    """[3.2-2]: from the end of the negotiation on."""
    client = at(Role.CLIENT, State.AUTHENTICATING)
    client.handle_timer(10.0)
    assert [type(each.pdu) for each in ends.spoken(client.output())] == [Ping]


def test_a_client_gives_up_a_server_that_does_not_answer() -> None:
    """Q25, [3.2-3]: `pong` seconds after the PING; anything heard meanwhile is a sign of life."""
    client = at(Role.CLIENT, State.READY)
    client.handle_timer(10.0)
    client.output()
    hear(client, Echo(data="x"), now=12.0)
    client.handle_timer(15.0)
    assert not [event for event in client.output() if isinstance(event, Closed)]
    client = at(Role.CLIENT, State.READY)
    client.handle_timer(10.0)
    client.output()
    client.handle_timer(14.9)
    assert client.output() == []
    client.handle_timer(15.0)
    (closed,) = client.output()
    assert isinstance(closed, Closed)
    assert client.state is State.CLOSED


def test_long_silence_ends_a_connection() -> None:
    """R3.12, [3.2-4]: `silence` seconds."""
    server = at(Role.SERVER, State.READY)
    server.handle_timer(29.9)
    assert server.output() == []
    server.handle_timer(30.0)
    (closed,) = server.output()
    assert isinstance(closed, Closed)
    (lost,) = server.events()
    assert isinstance(lost, Lost)
    assert not lost.remote


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_failure_is_announced_and_then_closes(acknowledged: bool) -> None:
    """[3.3-1]: ERROR, nothing after it, the close once it is acknowledged or after `linger`, with the same code."""
    end = at(Role.SERVER, State.READY)
    ends.hear_bytes(end, b"\x00", now=5.0)
    (told,) = ends.spoken(end.output())
    assert isinstance(told.pdu, Error)
    assert (told.pdu.code, told.pdu.fatal) == (Code.DECODE, True)
    hear(end, Echo(data="x"), now=5.0)
    end.send(Echo(data="x"))
    end.settle(10, 5.9)
    assert end.output() == []
    if acknowledged:
        end.settle(0, 5.9)
    else:
        assert end.timer() == 6.0
        end.handle_timer(6.0)
    assert [event.code for event in end.output() if isinstance(event, Closed)] == [Code.DECODE]


@pytest.mark.parametrize("code", [int(Code.SESSION_REPLACED), int(Code.NO_SUCH_USER), 0xFFFF_FFFF])
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_fatal_error_ends_the_connection_whatever_its_code(role: Role, code: int) -> None:
    """[3.3-3], [9.1-1]: the field decides, also for codes that this end does not know."""
    end = at(role, State.READY)
    hear(end, Error(code=code, text="why", fatal=True))
    assert end.events() == [Lost(code, "why", True)]
    assert end.state is State.CLOSED
    end = at(role, State.READY)
    hear(end, Error(code=code, text="why"))
    assert end.state is State.READY
    assert ends.is_alive(end)


def test_every_code_has_a_text() -> None:
    """R2.30, [9.1-3]: an ERROR that is made without one gets that of its code."""
    assert set(MEANINGS) == set(Code)
    for code in Code:
        assert Error.about(code).text == MEANINGS[code].text != ""


def test_misuse_is_counted() -> None:
    """[3.3-5]: what is refused with STATE, UNSUPPORTED or STREAM_MISUSE may not go on for ever."""
    end = at(Role.SERVER, State.READY, limits=Limits(misuses=9))
    for number in range(3):
        hear(end, VersionRequest(versions=(2,), device=DEVICE), id=number)
        assert is_refusal(outcome(end), Code.STATE, re=number)
        ends.hear_bytes(end, frame.wrap(cbor2.dumps({0: 2, 1: 200, 2: number, 5: {}})))
        assert is_refusal(outcome(end), Code.UNSUPPORTED, re=number)
        hear(end, StreamOpen(kind=Purpose.QUERY), id=number)
        assert is_refusal(outcome(end), Code.STREAM_MISUSE, re=number)
    hear(end, VersionRequest(versions=(2,), device=DEVICE))
    output = end.output()
    assert [each.pdu.code for each in ends.spoken(output) if isinstance(each.pdu, Error)][-1] == Code.LIMIT
    assert end.state is State.CLOSED


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_what_follows_bye_is_ignored(role: Role) -> None:
    """S10, R0.17, [3.5-1]: neither answered nor told, nor is anything broken held against it."""
    end = at(role, State.READY)
    hear(end, Bye(reason="quit"))
    (event,) = end.events()
    assert isinstance(event, Received)
    hear(end, Ping(nonce=1))
    hear(end, Post(room="general", cid=bytes(16), text="late") if role is Role.SERVER else Echo(data="late"))
    ends.hear_bytes(end, b"\x00\xff")
    assert (end.events(), end.output()) == ([], [])
    assert end.state is State.DRAINING


def test_whoever_said_bye_does_not_wait_for_ever() -> None:
    """R1.8, [3.5-3]: it closes by itself, with NO_ERROR."""
    end = at(Role.CLIENT, State.READY)
    end.leave("quit", 100.0)
    assert [type(each.pdu) for each in ends.spoken(end.output())] == [Bye]
    end.settle(0, 101.0)
    assert end.output() == []
    assert end.timer() == 100.0 + DRAIN
    end.handle_timer(100.0 + DRAIN)
    assert end.output() == [Closed(Code.NO_ERROR, "quit", remote=False)]


def test_a_client_closes_after_goaway_if_nobody_else_does() -> None:
    """[3.5-5]: after the time `drain`."""
    end = at(Role.CLIENT, State.READY)
    hear(end, Goaway(code=int(Code.DRAINING)), now=50.0)
    end.handle_timer(50.0 + DRAIN)
    end.settle(0, 50.0 + DRAIN)
    assert [event.code for event in end.output() if isinstance(event, Closed)] == [Code.NO_ERROR]


@pytest.mark.parametrize("end_of_stream", [Bytes(CONTROL, b"", fin=True), Reset(CONTROL, 0), Stopped(CONTROL, 0)])
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_the_end_of_the_control_stream_is_the_end(role: Role, end_of_stream: LinkEvent) -> None:
    """S12, [3.5-4]: the peer has left."""
    end = at(role, State.READY)
    end.receive(end_of_stream, 0.0)
    (lost,) = end.events()
    assert isinstance(lost, Lost)
    assert (lost.code, lost.remote) == (Code.NO_ERROR, True)
    assert [event.code for event in end.output() if isinstance(event, Closed)] == [Code.NO_ERROR]


@pytest.mark.parametrize("first", [Echo(data="x"), Post(room="general", cid=bytes(16), text="x"), Ping(nonce=1)])
def test_a_stream_that_does_not_say_what_it_is_for_is_given_up(first: Echo | Post | Ping) -> None:
    """S14, [3.7-1]: that stream only, with UNSUPPORTED."""
    end = at(Role.SERVER, State.READY)
    hear(end, first, sid=SECOND)
    found = outcome(end)
    assert (found.given_up, found.error, found.closed) == ({SECOND: Code.UNSUPPORTED}, None, None)
    assert end.events() == [Ended(SECOND, Code.UNSUPPORTED)]
    assert ends.is_alive(end)


def test_the_first_pdu_tells_what_a_stream_is_for() -> None:
    """[1.3-1]: whatever the number of the stream; control may be any of them."""
    server = fresh(Role.SERVER)
    hear(server, VersionRequest(versions=(2,), device=DEVICE), sid=THIRD)
    (answer,) = server.output()
    assert isinstance(answer, Bytes)
    assert answer.sid == THIRD
    end = at(Role.CLIENT, State.READY)
    hear(end, Echo(data="x"), sid=FROM_SERVER)
    assert outcome(end).given_up == {FROM_SERVER: Code.UNSUPPORTED}


@pytest.mark.parametrize("kind", [Purpose.ROOM, Purpose.QUERY])
def test_a_pdu_belongs_on_its_streams(kind: Purpose) -> None:
    """[3.7-3]: elsewhere it is refused with STREAM_MISUSE, there, and not sent at all by us."""
    post, page = Post(room="general", cid=bytes(16), text="x"), History(room="general", window=Window.LATEST)
    right, wrong = (post, page) if kind is Purpose.ROOM else (page, post)
    end = at(Role.SERVER, State.READY)
    hear(end, StreamOpen(kind=kind), sid=SECOND)
    hear(end, right, sid=SECOND)
    assert [event.envelope.pdu for event in end.events() if isinstance(event, Received)][1:] == [right]
    for each in (wrong, ListRooms() if kind is Purpose.ROOM else Echo(data="x"), StreamOpen(kind=kind)):
        hear(end, each, sid=SECOND, id=8)
        (sent,) = end.output()
        assert isinstance(sent, Bytes)
        assert sent.sid == SECOND
        assert is_refusal_of(sent, Code.STREAM_MISUSE, re=8)
        assert end.events() == []
    client = at(Role.CLIENT, State.READY)
    client.open(SECOND, StreamOpen(kind=kind))
    client.output()
    with pytest.raises(LocalProtocolError) as caught:
        client.send(wrong, sid=SECOND)
    assert caught.value.code is Code.STREAM_MISUSE
    assert client.output() == []


def is_refusal_of(sent: Bytes, code: Code, *, re: int) -> bool:
    (envelope,) = ends.spoken([sent])
    return isinstance(envelope.pdu, Error) and envelope.pdu.code == code and envelope.re == re


@pytest.mark.parametrize(("state", "most"), [(State.AUTHENTICATING, 3), (State.READY, 6)])
def test_a_stream_too_many_is_given_up(state: State, most: int) -> None:
    """Q3, [3.7-4]: with LIMIT; those that are open live on."""
    end = at(Role.SERVER, state, limits=Limits(streams_before_login=3, streams=6))
    for number in range(1, most):
        ends.hear_bytes(end, b"\x10", sid=4 * number)
    assert end.output() == []
    ends.hear_bytes(end, b"\x10", sid=4 * most)
    found = outcome(end)
    assert (found.given_up, found.error, found.closed) == ({4 * most: Code.LIMIT}, None, None)
    assert ends.is_alive(end)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_frame_beyond_the_limit_is_not_sent(role: Role) -> None:
    """[2.1-7]: the sender refuses, and nothing is sent."""
    end = at(role, State.READY)
    end.send(Echo(data="x" * 32_768))
    assert len(end.output()) == 1
    with pytest.raises(LocalProtocolError) as caught:
        end.send(Echo(data="x" * 32_768, extra={33: bytes(32_768)}))
    assert caught.value.code is Code.FRAME_TOO_LARGE
    assert end.output() == []
    assert ends.is_alive(end)


def test_an_unfinished_stream_end_is_answered_on_its_stream() -> None:
    """[3.7-5]: the end of a stream is told, and ours follows when we say so."""
    end = at(Role.SERVER, State.READY)
    opening = frame.wrap(codec.encode(StreamOpen(kind=Purpose.QUERY), version=2))
    ends.hear_bytes(end, opening, sid=SECOND, fin=True)
    assert end.events()[-1] == Ended(SECOND)
    assert end.output() == []
    end.finish(SECOND)
    assert end.output() == [Bytes(SECOND, b"", fin=True)]
