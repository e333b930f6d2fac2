"""Edges that a fault once hid behind: exactly at a limit, and what a PDU carries besides. (spec/mutation.md)"""

from __future__ import annotations

import base64

import pytest

from quicchat.errors import Code, LocalProtocolError, Refused, RemoteProtocolError
from quicchat.protocol import judgement, scram, writing
from quicchat.protocol.conduct import Conduct
from quicchat.protocol.connection import Lost
from quicchat.protocol.events import Closed, Datagram
from quicchat.protocol.health import Health
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello, Negotiation
from quicchat.wire import codec
from quicchat.wire.chapters.presence import Typing
from quicchat.wire.chapters.session import Echo, Error, Limit, Ping, VersionRequest, VersionResponse
from quicchat.wire.grease import Grease
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import WALL, Line, connection, fatal, fate, in_login, read, ready, received

TYPING = Typing(room="general", counter=1, ttl=1)


def test_an_early_datagram_is_dropped_though_it_is_well_formed() -> None:
    """[1.3-2], Q17: what may come in a datagram may do so in READY and DRAINING only."""
    for end in (connection(Role.SERVER), in_login()):
        end.receive(Datagram(codec.encode(TYPING, version=2)), 0.0)
        assert (end.output(), received(end)) == ([], [])
        assert end.conduct.dropped == 1
    end = ready()
    end.receive(Datagram(codec.encode(TYPING, version=2)), 0.0)
    assert received(end) == [(None, TYPING)]


def test_a_datagram_of_another_version_is_dropped() -> None:
    """[2.3-1], Q17: it is not for this connection."""
    for version, comes in ((2, True), (3, False)):
        data = codec.encode(TYPING, version=2).replace(b"\x00\x02", bytes((0, version)), 1)
        found = judgement.ephemeral(data, sender=Role.CLIENT, state=State.READY, version=2)
        assert (found is not None) == comes


def test_a_datagram_may_be_as_long_as_the_limit() -> None:
    """[1.3-2]: 1,100 bytes come, one more does not."""
    for size, comes in ((codec.MAX_DATAGRAM, True), (codec.MAX_DATAGRAM + 1, False)):
        empty = codec.encode(Typing(room="general", counter=1, ttl=1, extra={33: b"x" * 900}), version=2)
        pdu = Typing(room="general", counter=1, ttl=1, extra={33: b"x" * (900 + size - len(empty))})
        data = codec.encode(pdu, version=2)
        assert len(data) == size
        found = judgement.ephemeral(data, sender=Role.CLIENT, state=State.READY, version=2)
        assert (found is not None) == comes


def test_what_is_sprinkled_leaves_the_rest_as_it_was() -> None:
    """[2.5-7]: id and re of an answer stay; a long PDU and one that has a strange key already are left alone."""
    grease = Grease(1)
    short = codec.encode(Echo(data="x"), version=2, id=3, re=4)
    found = codec.decode(writing.greased(short, Echo(data="x"), grease, version=2, id=3, re=4))
    assert (found.id, found.re, found.version) == (3, 4, 2)
    assert found.pdu.extra  # type: ignore[union-attr]
    strange = Echo(data="x", extra={33: 1})
    data = codec.encode(strange, version=2)
    assert writing.greased(data, strange, grease, version=2) == data
    for size, same in ((1_023, False), (1_024, True)):
        over = len(codec.encode(Echo(data="x" * 900), version=2)) - 900
        pdu = Echo(data="x" * (size - over))
        data = codec.encode(pdu, version=2)
        assert len(data) == size
        assert (writing.greased(data, pdu, grease, version=2) == data) == same


def test_a_fatal_error_after_a_timer() -> None:
    """[3.3-1]: the linger is counted from the time that the timer told."""
    end = ready()
    end.handle_timer(7.0)
    end.output()
    end.send(Error(code=Code.INTERNAL, fatal=True))
    assert end.timer() == 7.0 + end.limits.linger


def test_a_long_text_of_a_failure_is_cut() -> None:
    """[2.4-2]: whatever somebody has to say about it, ERROR holds 512 bytes."""
    end = ready()
    end.fail(Code.INTERNAL, "\N{EURO SIGN}" * 400, 0.0)
    assert fate(end) == fatal(Code.INTERNAL)


def test_an_alert_of_tls_is_no_code_of_ours() -> None:
    """A10: whose close it was is told to the end."""
    for application in (True, False):
        end = ready()
        end.receive(Closed(0x12A, "", application=application), 0.0)
        (lost,) = end.events()
        assert isinstance(lost, Lost)
        assert lost.application is application


def test_what_a_response_says() -> None:
    """spec 03-session: capabilities with a reserved one, time, mechanisms, and the name of the node."""
    hello = Hello(versions=(2,), mechanisms=("SCRAM-SHA-256",), capabilities=(7,), node="n1")
    asked = VersionRequest(versions=(2,), device=bytes(16))
    found = Negotiation(hello, Limits()).respond(asked, 4097, 1234)
    assert (found.capabilities, found.time, found.mechanisms, found.node) == ((7, 4097), 1234, ("SCRAM-SHA-256",), "n1")


def test_a_pong_has_the_digest_that_it_is_given() -> None:
    """[3.2-5]: of the heads, where there are any."""
    health = Health(Limits(), pings=False, now=0.0, wall=1.0)
    assert health.pong(Ping(nonce=5), 2.0, b"12345678") == health.pong(Ping(nonce=5), 2.0).__class__(
        nonce=5, time=3_000, digest=b"12345678"
    )


def test_an_extension_is_sent_as_deep_as_it_may_be() -> None:
    """[2.4-2], W12: fourteen levels below a key of the body are sixteen in all; a fifteenth is not sent."""

    def nested(depth: int) -> object:
        return [nested(depth - 1)] if depth else 1

    data = codec.encode(Ping(nonce=1, extra={33: nested(14)}), version=2)
    assert codec.decode(data).pdu == Ping(nonce=1, extra={33: nested(14)})
    with pytest.raises(LocalProtocolError):
        codec.encode(Ping(nonce=1, extra={33: nested(15)}), version=2)


def test_the_shortest_and_the_longest_password() -> None:
    """A5: one byte is a password; the limit counts what is left when it is prepared."""
    assert scram.prepare("x") == b"x"
    assert scram.prepare("x" * scram.PASSWORD_BYTES) == b"x" * scram.PASSWORD_BYTES
    with pytest.raises(Refused, match="bytes"):
        scram.prepare("x" * (scram.PASSWORD_BYTES + 1))


def test_letters_that_base64_has_not() -> None:
    """RFC 5802: they are not passed over: a challenge that holds them is refused."""
    salt = base64.b64encode(bytes(16)).decode()
    assert scram.ClientLogin.parameters(f"r=x,s={salt},i=1".encode())[0] == bytes(16)
    with pytest.raises(Refused, match="AUTH_FAILED"):
        scram.ClientLogin.parameters(f"r=x,s=!{salt},i=1".encode())


@pytest.mark.parametrize(("count", "good"), [(0, False), (1, True), (10_000_000, True), (10_000_001, False)])
def test_how_often_a_password_may_be_hashed(count: int, good: bool) -> None:
    """RFC 5802: a server cannot keep a client busy for ever."""
    challenge = f"r=x,s={base64.b64encode(bytes(16)).decode()},i={count}".encode()
    if good:
        assert scram.ClientLogin.parameters(challenge)[1] == count
    else:
        with pytest.raises(Refused, match="broken"):
            scram.ClientLogin.parameters(challenge)


def test_grease_takes_no_number_away() -> None:
    """[2.3-3], [2.5-7]: whichever PDU it is sprinkled on, ids and answers are as they were."""
    end = Line(connection(Role.CLIENT, seed=5), connection(Role.SERVER, seed=5)).log_in().client
    for number in range(1, 200):
        end.send(Ping(nonce=number), id=number, re=number + 1)
    said = [each for each in read(end.output()) if isinstance(each.pdu, Ping)]
    assert [(each.id, each.re) for each in said] == [(number, number + 1) for number in range(1, 200)]
    assert any(each.pdu.extra for each in said if isinstance(each.pdu, Ping))


def test_what_both_say_of_themselves() -> None:
    """spec 03-session: agent, capabilities with a reserved one, limits in their units, and the server's time of day."""
    hello = Hello(versions=(2,), capabilities=(7,), agent="me")
    asked = Negotiation(hello, Limits()).request(4097)
    assert (asked.agent, asked.capabilities) == ("me", (7, 4097))
    assert Limits(ping=2.5).offer()[Limit.PING] == 2_500
    line = Line().negotiate()
    (answer,) = [pdu for pdu in line.pdus(Role.CLIENT) if isinstance(pdu, VersionResponse)]
    assert answer.time == WALL * 1_000


def test_what_a_stranger_may_say_counts_to_the_last_byte() -> None:
    """P7: `before_login` bytes are served, one more is LIMIT."""
    limits = Limits()
    conduct = Conduct(limits)
    conduct.early(limits.before_login)
    with pytest.raises(RemoteProtocolError) as caught:
        conduct.early(1)
    assert caught.value.code is Code.LIMIT
