"""Streams other than control: how many there may be, what comes early, what is given up, what is left of them."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Lost
from quicchat.protocol.events import Bytes, Reset, Stopped
from quicchat.wire import frame
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.session import Error, Ok, Ping, Purpose, StreamOpen
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import (
    ASK,
    CONTROL,
    FROM_SERVER,
    OPENING,
    OTHER,
    POST,
    QUERY,
    REQUEST,
    THIRD,
    Line,
    fatal,
    fate,
    given_up,
    hear,
    in_login,
    read,
    ready,
    received,
    write,
)

#: A PDU of a type that nobody knows and everybody may pass over.
RESERVED = frame.wrap(bytes.fromhex("a3000201188105a0"))


# How many


def test_too_many_streams_are_refused() -> None:
    """Q3, [3.7-4]: 16 before login, 128 after it; one more is given up with LIMIT, and the others go on."""
    for end, most in ((in_login(), 16), (ready(), 128)):
        for number in range(1, most):
            hear(end, b"\x40", sid=4 * number)
        assert end.output() == []
        for _ in range(2):
            hear(end, b"\x40" * 3, sid=4 * most, fin=True)
        assert end.output() == given_up(4 * most, Code.LIMIT)
        assert end.events() == []
        hear(end, Ping(nonce=1))
        assert len(read(end.output())) == 1


def test_streams_with_one_byte_are_given_up_after_ten_seconds() -> None:
    """Q3, [2.1-5]: all of them, with LIMIT, and then there is room again."""
    end = ready()
    for number in range(1, 128):
        hear(end, b"\x40", sid=4 * number, now=1.0)
    end.handle_timer(11.0)
    assert end.output() == [event for number in range(1, 128) for event in given_up(4 * number, Code.LIMIT)]
    assert len(end._channels) == 1
    hear(end, OPENING, sid=4 * 200, now=11.0)
    assert received(end) == [(4 * 200, OPENING)]


def test_a_stream_on_which_nothing_comes_is_given_up_too() -> None:
    """Q3: a stream that was opened without a byte has its ten seconds all the same."""
    end = ready()
    hear(end, b"", sid=QUERY, now=1.0)
    hear(end, b"", sid=QUERY, now=9.0)
    end.handle_timer(11.0)
    assert end.output() == given_up(QUERY, Code.LIMIT)


# What a stream is for


def test_a_stream_that_does_not_say_what_it_is_for_is_given_up() -> None:
    """S14, [3.7-1]: stream UNSUPPORTED; nothing else that came with it is looked at."""
    for first in (write(POST), write(Ok()), frame.wrap(bytes.fromhex("a3000201188205a0"))):
        end = ready()
        hear(end, first + write(OPENING) + write(ASK) + b"\xff", sid=QUERY, fin=True)
        hear(end, write(OPENING), sid=QUERY)
        assert end.output() == given_up(QUERY, Code.UNSUPPORTED)
        assert end.events() == [Ended(QUERY, Code.UNSUPPORTED)]
        assert end.conduct.misuses == 1
        assert len(end._channels) == 1


def test_a_client_gives_up_streams_of_the_server() -> None:
    """S15, [3.7-1]: a server has nothing to open; the client refuses the stream, and the session stays."""
    end = ready(Role.CLIENT)
    hear(end, Ok(), sid=FROM_SERVER)
    assert end.output() == given_up(FROM_SERVER, Code.UNSUPPORTED)
    hear(end, Ping(nonce=3))
    assert len(read(end.output())) == 1


def test_a_stream_of_reserved_types_is_no_fault() -> None:
    """[2.5-7]: a peer may sprinkle whole streams; such a one ends in order, and is forgotten."""
    end = ready()
    hear(end, RESERVED, sid=QUERY)
    hear(end, RESERVED, sid=QUERY, fin=True)
    assert end.output() == [Bytes(QUERY, b"", fin=True)]
    assert end.events() == []
    assert end.conduct.misuses == 0
    assert len(end._channels) == 1


def test_an_empty_stream_is_no_fault() -> None:
    """[3.7-5]: FIN alone is answered with FIN."""
    end = ready()
    hear(end, b"", sid=QUERY, fin=True)
    assert end.output() == [Bytes(QUERY, b"", fin=True)]
    assert end.events() == []
    assert len(end._channels) == 1


def test_a_second_control_stream_is_refused() -> None:
    """S4: VERSION_REQUEST on another stream is answered with STATE there, and the stream stays what it is: nothing."""
    end = ready()
    hear(end, write(REQUEST, id=4), sid=QUERY)
    (answer,) = read(end.output())
    assert answer.re == 4
    assert isinstance(answer.pdu, Error)
    assert answer.pdu.code == Code.STATE
    hear(end, b"", sid=CONTROL, fin=True)
    assert isinstance(end.events()[-1], Lost)


def test_a_word_on_the_wrong_stream_is_refused() -> None:
    """[3.3-5], [3.7-3]: STREAM_MISUSE, not fatal, counted; more than 100 such faults are LIMIT."""
    end = ready()
    hear(end, OPENING, sid=QUERY)
    end.events()
    for number in range(100):
        hear(end, write(POST, id=number), sid=QUERY)
        (answer,) = read(end.output())
        assert (answer.re, answer.pdu.code) == (number, Code.STREAM_MISUSE)  # type: ignore[union-attr]
    assert end.events() == []
    assert end.state is State.READY
    hear(end, write(POST), sid=QUERY)
    assert fate(end) == fatal(Code.LIMIT)


# What is left of a stream


def test_a_stream_that_is_cut_is_given_up_both_ways() -> None:
    """Q5: after RESET or STOP_SENDING neither end keeps anything; late bytes of the same batch are no new stream."""
    for cut in (Reset(QUERY, 9), Stopped(QUERY, 9)):
        for role in Role:
            line = Line().log_in()
            line.client.open(QUERY, OPENING)
            line.run()
            end = line.end(role)
            line.forget()
            end.receive(cut, 0.0)
            hear(end, write(OPENING), sid=QUERY)
            end.receive(Reset(QUERY, 9), 0.0)
            assert end.output() == given_up(QUERY, 9)
            assert end.events() == [Ended(QUERY, 9)]
            assert len(end._channels) == 1
            end.send(Ok(), sid=QUERY)
            end.finish(QUERY)
            assert end.output() == []


def test_a_stream_that_is_cut_before_its_first_byte_is_given_up() -> None:
    """Q5: a cut may overtake what was said before it; our half is closed, and late bytes are no new stream."""
    for cut in (Reset(QUERY, 9), Stopped(QUERY, 9)):
        end = ready()
        end.receive(cut, 0.0)
        hear(end, write(OPENING), sid=QUERY)
        assert end.output() == given_up(QUERY, 9)
        assert end.events() == []


def test_stop_sending_on_every_stream_leaves_nothing() -> None:
    """Q5: over 1,000 streams, both ends keep their control stream only."""
    line = Line().log_in()
    for number in range(1, 1_001):
        sid = 4 * number
        line.client.open(sid, OPENING)
        line.client.send(ASK, sid=sid)
        if number % 2:
            line.run()
        line.collect()
        line.server.receive(Stopped(sid, 0), 0.0)
        line.run()
    for end in (line.client, line.server):
        assert len(end._channels) == 1
        assert len(end._channels._given_up) == 0


def test_bytes_after_the_end_of_a_stream_are_nothing() -> None:
    """Link: it does not report any; were it to, they would not be taken for a new stream."""
    end = ready()
    hear(end, OPENING, sid=QUERY, fin=True)
    end.events()
    hear(end, ASK, sid=QUERY)
    assert (end.events(), end.output()) == ([], [])


def test_a_stop_after_the_last_byte_ends_our_half_too() -> None:
    """Q5: who has said all and then stops listening frees the stream."""
    end = ready()
    hear(end, OPENING, sid=QUERY, fin=True)
    end.receive(Stopped(QUERY, 3), 0.0)
    assert end.output() == given_up(QUERY, 3)
    assert len(end._channels) == 1


# Pushing on streams


def test_events_are_pushed_where_they_belong() -> None:
    """[3.7-3] [3.7-7]: what was encoded once goes to control or to a room's stream, and nowhere else."""
    end = ready(Role.SERVER)
    event = Message(room="general", epoch=1, seq=1, cid=bytes(16), sender="bob", kind=Kind.TEXT, ts=1, text="hi")
    framed = write(event)
    hear(end, StreamOpen(kind=Purpose.ROOM, room="general"), sid=OTHER)
    hear(end, OPENING, sid=QUERY)
    assert end.push(framed, Message)
    assert end.push(framed, Message, OTHER)
    assert not end.push(framed, Message, QUERY)
    assert not end.push(framed, Message, THIRD)
    assert end.output() == [Bytes(CONTROL, framed), Bytes(OTHER, framed)]
    end.finish(OTHER)
    assert not end.push(framed, Message, OTHER)
    assert end.output() == [Bytes(OTHER, b"", fin=True)]


def test_a_stream_may_be_given_up_for_a_reason() -> None:
    """[3.7-9]: both ways, with a code; control is not given up so, and what is not there is passed over."""
    end = ready(Role.SERVER)
    hear(end, OPENING, sid=QUERY)
    end.finish(QUERY, Code.NOT_MEMBER)
    end.finish(QUERY, Code.NOT_MEMBER)
    end.finish(CONTROL, Code.NOT_MEMBER)
    assert end.output() == given_up(QUERY, Code.NOT_MEMBER)
    assert [event for event in end.events() if isinstance(event, Ended)] == [Ended(QUERY, Code.NOT_MEMBER)]
