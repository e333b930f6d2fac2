"""What the one above wishes to send, and may not."""

from __future__ import annotations

import pytest

from quicchat.errors import Code, LocalProtocolError
from quicchat.wire.chapters.messages import Kind, Message, Post, Posted
from quicchat.wire.chapters.rooms import RoomList
from quicchat.wire.chapters.session import (
    Echo,
    Error,
    Goaway,
    StreamOpen,
)
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import (
    CHALLENGE,
    CONTROL,
    OPENING,
    OTHER,
    POST,
    QUERY,
    RESPONSE,
    START,
    WELCOME,
    Line,
    connection,
    write,
)

POSTED = Posted(cid=bytes(16), room="general", seq=1, ts=1, epoch=1)


def test_a_wish_that_is_illegal_sends_nothing() -> None:
    """[10.1-1]: a PDU of the wrong state, the wrong end, too long, or on the wrong stream raises, and that is all."""
    line = Line()
    with pytest.raises(LocalProtocolError) as caught:
        line.server.start(CONTROL)
    assert caught.value.code is Code.STATE
    assert len(line.server._channels) == 0
    line.negotiate()
    for end, pdu in ((line.client, POST), (line.server, START), (line.client, CHALLENGE), (line.server, POSTED)):
        with pytest.raises(LocalProtocolError) as caught:
            end.send(pdu)
        assert caught.value.code is Code.STATE
    with pytest.raises(LocalProtocolError) as caught:
        line.client.open(QUERY, OPENING)
    assert caught.value.code is Code.STATE
    line.forget()
    line.run()
    assert line.said == {Role.CLIENT: [], Role.SERVER: []}
    assert len(line.client._channels) == 1
    assert line.client.state is line.server.state is State.AUTHENTICATING


def test_a_wish_that_cannot_be_written_sends_nothing() -> None:
    """[2.1-7], [2.4-2], W25: a value beyond its limit, a PDU beyond the frame, a field of another version."""
    line = Line().log_in()
    wide = tuple((f"room{n}", 1, "t" * 500, True) for n in range(200))
    for pdu, sid, code in (
        (Echo(data="x" * 32_769), None, Code.SCHEMA),
        (RoomList(rooms=wide, more=False), None, Code.FRAME_TOO_LARGE),
        (Echo(data="x", extra={34: 1}), None, Code.SCHEMA),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            line.server.send(pdu, sid=sid)
        assert caught.value.code is code
    line.client.open(QUERY, OPENING)
    line.run()
    line.forget()
    for end, word in ((line.client, POST), (line.server, POSTED)):
        with pytest.raises(LocalProtocolError) as caught:
            end.send(word, sid=QUERY)
        assert caught.value.code is Code.STREAM_MISUSE
    line.run()
    assert line.said == {Role.CLIENT: [], Role.SERVER: []}


def test_a_stream_is_opened_once_and_only_where_the_version_has_it() -> None:
    """[1.2-1], [3.7-3]: a second opening, and any in version 1, is a fault of ours that leaves no stream."""
    line = Line().log_in()
    line.client.open(QUERY, OPENING)
    for sid in (QUERY, CONTROL):
        with pytest.raises(LocalProtocolError) as caught:
            line.client.open(sid, OPENING)
        assert caught.value.code is Code.STREAM_MISUSE
    with pytest.raises(LocalProtocolError) as caught:
        line.client.start(OTHER)
    assert caught.value.code is Code.STATE
    assert len(line.client._channels) == 2
    old = Line(connection(Role.CLIENT, versions=(1,))).log_in()
    with pytest.raises(LocalProtocolError) as caught:
        old.client.open(QUERY, OPENING)
    assert caught.value.code is Code.UNSUPPORTED
    assert len(old.client._channels) == 1


# Pushes


def test_what_was_encoded_for_many_is_pushed_where_it_is_legal() -> None:
    """[10.1-1], [10.1-5]: a message goes to a client that is logged in, before GOAWAY and after it, and to no other."""
    message = Message(room="general", epoch=1, seq=1, cid=bytes(16), sender="bob", kind=Kind.TEXT, ts=1, text="hi")
    framed = write(message)
    line = Line()
    assert not line.server.push(framed, Message)
    line.negotiate()
    assert not line.server.push(framed, Message)
    line.client.send(START)
    line.run()
    for end, pdu in ((line.server, CHALLENGE), (line.client, RESPONSE), (line.server, WELCOME)):
        end.send(pdu)
        line.run()
    line.forget()
    assert line.server.push(framed, Message)
    assert not line.server.push(write(POST), Post)
    assert not line.client.push(framed, Message)
    assert not line.server.push(write(Error.about(Code.STATE)), Error)
    line.server.send(Goaway(code=Code.DRAINING))
    assert line.server.push(framed, Message)
    line.server.fail(Code.INTERNAL, "", 0.0)
    assert not line.server.push(framed, Message)
    line.run()
    assert line.pdus(Role.CLIENT) == [message, Goaway(code=Code.DRAINING), message]


def test_a_stream_is_never_opened_by_a_push() -> None:
    """[3.7-3]: STREAM_OPEN is legal in READY, but not on control, where pushes go."""
    line = Line().log_in()
    assert not line.client.push(write(OPENING), StreamOpen)
