"""Datagrams: dropped and counted, unless they are what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from quicchat.errors import Code, LocalProtocolError
from quicchat.protocol.conduct import FLOOD
from quicchat.protocol.connection import Received
from quicchat.protocol.events import Datagram
from quicchat.wire import codec
from quicchat.wire.chapters.presence import Typing
from quicchat.wire.chapters.session import Bye, Echo, Ping
from quicchat.wire.registry import REGISTRY, SERVER, Pdu, Role, Via, key, pdu
from quicchat.wire.types import Uint
from tests.protocol.line import (
    Line,
    connection,
    fatal,
    fate,
    hear,
    in_login,
    ready,
)


def test_datagrams_that_come_to_nothing_are_counted() -> None:
    """Q17, [1.3-2]: early, malformed, too long, or no PDU of datagrams: dropped and counted, never fatal."""
    good = codec.encode(Ping(nonce=1), version=2)
    reserved = bytes.fromhex("a3000201188105a0")
    for end in (in_login(), ready()):
        for number, data in enumerate((good, b"", b"\xff\xff", good + b"\0", bytes(1_101), reserved)):
            end.receive(Datagram(data), 0.0)
            assert end.conduct.dropped == number + 1
        assert (end.output(), end.events()) == ([], [])
        assert end.conduct.misuses == 0


def test_a_flood_of_datagrams_is_fatal() -> None:
    """Q17, [1.3-2]: more than 1,000 within a second that come to nothing: RATE_LIMITED. Slower, they never are."""
    end = ready()
    for second in range(3):
        for _ in range(FLOOD):
            end.receive(Datagram(b""), 10.0 + second)
    assert end.output() == []
    end.receive(Datagram(b""), 12.9)
    assert fate(end, 12.9) == fatal(Code.RATE_LIMITED)
    end.receive(Datagram(b""), 12.9)


@pytest.fixture
def tick() -> Iterator[Callable[..., Pdu]]:
    """A PDU that comes in datagrams, while there is none in the vocabulary."""

    @pdu(0x7E, "TEST_TICK", by=SERVER, via=Via.DATAGRAM, section="0.0")
    class Tick(Pdu):
        """For this test."""

        count: int = key(1, Uint(), "counts")

    yield Tick
    REGISTRY.remove(Tick)


def test_a_datagram_is_told_without_a_stream(tick: Callable[..., Pdu]) -> None:
    """[1.3-2]: it changes no state; from the wrong end, or after BYE, it is dropped."""
    word = tick(count=5)
    data = Datagram(codec.encode(word, version=2))
    client, server = ready(Role.CLIENT), ready(Role.SERVER)
    client.receive(data, 0.0)
    (event,) = client.events()
    assert isinstance(event, Received)
    assert (event.sid, event.envelope.pdu) == (None, word)
    server.receive(data, 0.0)
    assert server.events() == []
    assert server.conduct.dropped == 1
    hear(client, Bye())
    client.events()
    client.receive(data, 0.0)
    assert client.events() == []


def test_echo_is_not_a_datagram() -> None:
    """[1.3-2]: a PDU of streams is dropped when it comes in a datagram."""
    end = ready()
    end.receive(Datagram(codec.encode(Echo(data="x"), version=2)), 0.0)
    assert end.events() == []


TYPING = Typing(room="general", counter=1, ttl=5)


def test_what_travels_in_datagrams_is_sent_so() -> None:
    """[3.9-1]: one by one, or encoded once for many; nothing else is, nothing too long or early."""
    end = ready(Role.SERVER)
    data = codec.encode(TYPING, version=2)
    end.datagram(TYPING)
    assert end.push(data, Typing)
    assert end.output() == [Datagram(data)] * 2
    long = Typing(room="general", counter=1, ttl=5, extra={33: bytes(1_100)})
    for wrong, code in ((Echo(data="x"), Code.STREAM_MISUSE), (long, Code.FRAME_TOO_LARGE)):
        with pytest.raises(LocalProtocolError) as failed:
            end.datagram(wrong)
        assert failed.value.code is code
    with pytest.raises(LocalProtocolError):
        end.send(TYPING)
    early = in_login()
    early.datagram(TYPING)
    assert not early.push(data, Typing)
    assert end.output() == early.output() == []
    old = Line(connection(Role.CLIENT, versions=(1,))).log_in().server
    with pytest.raises(LocalProtocolError):
        old.datagram(TYPING)
