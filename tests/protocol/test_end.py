"""How connections end: closes, failures, cuts, in any order, and once."""

from __future__ import annotations

import pytest

from quicchat.errors import MEANINGS, Code, LocalProtocolError
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Lost, Received
from quicchat.protocol.events import Bytes, Closed, Datagram, LinkEvent, Reset, Stopped
from quicchat.protocol.limits import Limits
from quicchat.wire.chapters.messages import Post
from quicchat.wire.chapters.session import (
    Bye,
    Error,
    Ok,
    StreamOpen,
    VersionRequest,
    VersionResponse,
)
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import (
    CONTROL,
    OPENING,
    POST,
    QUERY,
    Fate,
    Line,
    connection,
    fatal,
    fate,
    hear,
    only,
    read,
    ready,
    write,
)

# Close


def test_a_close_waits_until_all_is_acknowledged_but_not_for_ever() -> None:
    """[3.3-1]: a close drops what is queued: so it waits for the acknowledgement, at most for 1 s."""
    for acknowledged in (True, False):
        line = Line().log_in()
        line.server.send(Ok())
        line.server.close(Code.SESSION_REPLACED, "elsewhere", 1.0)
        line.collect()
        line.server.settle(1, 1.5)
        assert line.server.timer() == 2.0
        if acknowledged:
            line.server.settle(0, 1.5)
        else:
            line.server.handle_timer(2.0)
        line.run()
        assert line.lost(Role.SERVER) == Lost(Code.SESSION_REPLACED, "elsewhere", False)
        assert line.lost(Role.CLIENT) == Lost(Code.SESSION_REPLACED, "elsewhere", True)
        assert line.pdus(Role.CLIENT) == [Ok()]


def test_a_second_close_changes_nothing() -> None:
    """Protocol §5: the first code and its deadline stay: whoever closes again does not put off the end."""
    end = ready(Role.SERVER)
    end.close(Code.SESSION_REPLACED, "first", 0.0)
    end.close(Code.NO_ERROR, "second", 0.9)
    end.leave("third", 0.9)
    assert end.timer() == 1.0
    end.handle_timer(1.0)
    assert end.output() == [Closed(Code.SESSION_REPLACED, "first", remote=False)]
    end.close(Code.NO_ERROR, "fourth", 1.0)
    end.leave("fifth", 1.0)
    end.fail(Code.INTERNAL, "sixth", 1.0)
    end.settle(0, 9.0)
    end.handle_timer(9.0)
    assert end.output() == []
    assert only(end) == Lost(Code.SESSION_REPLACED, "first", False)


def test_a_close_hastens_a_goodbye() -> None:
    """R2.12: who left may still close at once."""
    end = ready(Role.CLIENT)
    end.leave("quit", 0.0)
    end.close(Code.NO_ERROR, "now", 0.5)
    end.output()
    end.settle(0, 0.5)
    assert end.output() == [Closed(Code.NO_ERROR, "now", remote=False)]


def test_the_peer_may_close_first() -> None:
    """Protocol §5: whatever was planned: when the link is gone, that is told once, and nothing more is done."""
    for plan in ("leave", "close", "fail", "nothing"):
        end = ready(Role.CLIENT)
        match plan:
            case "leave":
                end.leave("quit", 0.0)
            case "close":
                end.close(Code.NO_ERROR, "", 0.0)
            case "fail":
                end.fail(Code.INTERNAL, "", 0.0)
        end.output()
        for _ in range(2):
            end.receive(Closed(0x100, "server stopped"), 0.5)
        assert only(end) == Lost(0x100, "server stopped", True)
        hear(end, write(Ok()), now=0.6)
        end.receive(Reset(CONTROL, 0), 0.6)
        end.receive(Datagram(b""), 0.6)
        end.handle_timer(99.0)
        end.settle(0, 99.0)
        assert (end.output(), end.events(), end.timer()) == ([], [], None)


def test_wishes_after_the_end_are_absorbed() -> None:
    """[10.1-4]: the final state takes every wish and does nothing, while it lingers and after it."""
    for over in (False, True):
        end = ready(Role.CLIENT)
        end.open(QUERY, OPENING)
        end.fail(Code.INTERNAL, "", 0.0)
        if over:
            end.settle(0, 0.0)
        end.output()
        end.send(POST)
        end.send(Bye())
        end.open(QUERY, OPENING)
        end.start(8)
        end.finish(QUERY)
        end.leave("", 0.0)
        assert not end.push(b"", Post)
        assert end.output() == []


# Failure


def test_a_failure_is_announced_then_closed() -> None:
    """[3.3-1]: ERROR on control, acknowledged or 1 s, then the close with the same code."""
    line = Line().log_in()
    line.server.fail(Code.INTERNAL, "", 1.0)
    line.run()
    (said,) = read(line.said[Role.SERVER])
    assert said.pdu == Error(code=Code.INTERNAL, text=MEANINGS[Code.INTERNAL].text, fatal=True)
    assert line.lost(Role.CLIENT) == Lost(Code.INTERNAL, MEANINGS[Code.INTERNAL].text, True)
    # The client has heard it, and closes what is left.
    assert line.lost(Role.SERVER) == Lost(Code.NO_ERROR, "", True)


def test_a_failure_lingers_for_a_second_at_most() -> None:
    """[3.3-1]: a peer that acknowledges nothing is closed all the same, a second later."""
    end = ready(Role.SERVER)
    end.fail(Code.INTERNAL, "\udc80", 1.0)
    end.settle(1, 1.9)
    assert end.timer() == 2.0
    end.handle_timer(2.0)
    error, close = end.output()
    assert [each.pdu.text for each in read([error])] == ["?"]  # type: ignore[union-attr]
    assert close == Closed(Code.INTERNAL, "?", remote=False)


def test_a_failure_overrides_a_close_and_a_goodbye() -> None:
    """[3.3-1]: garbage after our BYE, or while we linger, ends with the code of the garbage."""
    for role in Role:
        for wish in ("leave", "close"):
            end = ready(role)
            getattr(end, wish)(*((Code.NO_ERROR,) if wish == "close" else ()), "so long", 0.0)
            hear(end, b"\x02\xff\xff", now=0.5)
            assert fate(end, 0.5) == fatal(Code.DECODE)
            assert only(end).code == Code.DECODE


def test_the_first_failure_counts() -> None:
    """[3.3-1]: one ERROR, one close, the code of the first."""
    end = ready(Role.SERVER)
    hear(end, b"\x02\xff\xff" + b"\x00")
    hear(end, b"\x00")
    end.fail(Code.INTERNAL, "", 0.0)
    end.send(Error.about(Code.LIMIT, fatal=True))
    assert fate(end) == fatal(Code.DECODE)
    assert only(end).code == Code.DECODE


def test_a_fatal_error_that_is_sent_as_such_closes_too() -> None:
    """[3.3-1]: there is no other way to be dead than to close."""
    end = ready(Role.SERVER)
    end.send(Error.about(Code.SLOW_CONSUMER, fatal=True))
    assert fate(end) == fatal(Code.SLOW_CONSUMER)
    assert only(end).code == Code.SLOW_CONSUMER


def test_a_failure_before_there_is_a_stream_is_a_close() -> None:
    """[3.3-1]: before the first stream there is nowhere to announce anything; start() then does nothing."""
    end = connection(Role.CLIENT)
    end.fail(Code.INTERNAL, "broken", 0.0)
    end.start(CONTROL)
    assert end.output() == []
    end.settle(0, 0.0)
    assert end.output() == [Closed(Code.INTERNAL, "broken", remote=False)]
    assert only(end) == Lost(Code.INTERNAL, "broken", False)


@pytest.mark.parametrize("state", ["START", "AUTHENTICATING", "READY"])
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_fatal_error_of_the_peer_ends_it_at_once(role: Role, state: str) -> None:
    """[3.3-3]: its code is what is told, and the link is closed without another word; also with FIN behind it."""
    for fin in (True, False):
        line = Line()
        if state != "START":
            line = line.log_in() if state == "READY" else line.negotiate()
        elif role is Role.CLIENT:
            line.client.start(CONTROL)
        end = line.end(role)
        line.collect()
        hear(end, write(Error.about(Code.SLOW_CONSUMER, "too slow", fatal=True), version=end.version or 1), fin=fin)
        assert end.output() == [Closed(Code.NO_ERROR, "", remote=False)]
        assert only(end) == Lost(Code.SLOW_CONSUMER, "too slow", True)


# The control stream ends


@pytest.mark.parametrize(
    "cut", [Reset(CONTROL, 7), Stopped(CONTROL, 7), Bytes(CONTROL, b"", True)], ids=["reset", "stop", "fin"]
)
@pytest.mark.parametrize("state", ["AUTHENTICATING", "READY"])
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_the_control_stream_is_cut(cut: LinkEvent, state: str, role: Role) -> None:
    """S12, [3.5-4]: FIN, RESET and STOP_SENDING on control end the connection, without an error."""
    line = Line().log_in() if state == "READY" else Line().negotiate()
    end = line.end(role)
    line.collect()
    end.receive(cut, 0.0)
    assert end.output() == [Closed(Code.NO_ERROR, "control stream ended", remote=False)]
    assert [event for event in end.events() if isinstance(event, Lost)] == [
        Lost(Code.NO_ERROR, "control stream ended", True)
    ]
    assert end.timer() is None


def test_the_first_stream_is_cut_before_it_says_anything() -> None:
    """S12: what may still become control counts as control."""
    end = connection(Role.SERVER)
    hear(end, b"", fin=True)
    assert only(end).reason == "control stream ended"


def test_control_is_cut_while_we_fail() -> None:
    """S12: the code of the failure stays; the peer's FIN is no news."""
    end = ready(Role.SERVER)
    hear(end, b"\x02\xff\xff")
    hear(end, b"", fin=True)
    end.receive(Reset(CONTROL, 0), 0.0)
    assert fate(end) == fatal(Code.DECODE)
    assert only(end).code == Code.DECODE


# No common version


def test_a_client_that_is_rejected_waits_for_the_close_but_not_for_ever() -> None:
    """S6: the server closes with NO_COMMON_VERSION; where that does not come, the client does, after 1 s."""
    end = connection(Role.CLIENT, versions=(1,))
    end.start(CONTROL)
    end.output()
    hear(end, VersionResponse(version=0, versions=(2,)), fin=True, now=3.0)
    assert end.state is State.CLOSED
    end.leave("", 3.0)
    end.close(Code.NO_ERROR, "", 3.0)
    end.settle(0, 3.0)
    assert end.output() == []
    assert end.timer() == 4.0
    end.handle_timer(4.0)
    assert end.output() == [Closed(Code.NO_COMMON_VERSION, "no common version", remote=False)]
    received, lost = end.events()
    assert isinstance(received, Received)
    assert lost == Lost(Code.NO_COMMON_VERSION, "no common version", False)


def test_a_server_that_rejects_closes_when_it_was_heard() -> None:
    """S6: VERSION_RESPONSE with version 0, acknowledged or 1 s, then the close with NO_COMMON_VERSION."""
    end = connection(Role.SERVER, versions=(1,))
    hear(end, VersionRequest(versions=(9,), device=bytes(16)))
    assert [type(each.pdu) for each in read(end.output())] == [VersionResponse]
    end.settle(1, 0.5)
    assert end.output() == []
    end.settle(0, 0.5)
    assert end.output() == [Closed(Code.NO_COMMON_VERSION, "no common version", remote=False)]


# What is left


def test_events_keep_their_order() -> None:
    """Connection: what happened is told in the order in which it did, and after Lost there is nothing."""
    end = ready(Role.SERVER)
    hear(end, write(OPENING), sid=QUERY, fin=True)
    hear(end, write(Ok()))
    hear(end, write(OPENING), sid=8)
    end.receive(Reset(8, 3), 0.0)
    end.receive(Closed(0, "gone"), 0.0)
    events = end.events()
    told = [type(event.envelope.pdu) if isinstance(event, Received) else event for event in events]
    assert told == [StreamOpen, Ended(QUERY), Ok, StreamOpen, Ended(8, 3), Lost(0, "gone", True)]


def test_limits_of_one_end_are_its_own() -> None:
    """Protocol §7.11: an operator's linger is kept."""
    end = connection(Role.SERVER, limits=Limits(linger=0.25))
    end.fail(Code.INTERNAL, "", 0.0)
    assert end.timer() == 0.25
    assert fate(end) == Fate(None, Code.INTERNAL)


def test_illegal_wishes_raise_until_the_end_and_are_absorbed_then() -> None:
    """[10.1-1]: illegal words of ours raise until the end, and are absorbed from then on."""
    end = ready(Role.CLIENT)
    with pytest.raises(LocalProtocolError):
        end.send(VersionRequest(versions=(2,), device=bytes(16)))
    end.fail(Code.INTERNAL, "", 0.0)
    end.output()
    end.send(VersionRequest(versions=(2,), device=bytes(16)))
    assert end.output() == []
