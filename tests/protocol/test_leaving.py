"""How one end leaves: what it still hears, what the other still does, and for how long."""

from __future__ import annotations

import pytest

from quicchat.errors import Code
from quicchat.protocol.connection import Lost, Received
from quicchat.protocol.events import Closed, Datagram, Reset, Stopped
from quicchat.wire.chapters.session import (
    Bye,
    Echo,
    Error,
    Goaway,
    Ok,
    Ping,
)
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import (
    CONTROL,
    POST,
    QUERY,
    START,
    Line,
    connection,
    hear,
    only,
    read,
    ready,
    write,
)


def test_a_goodbye_lets_run_what_runs() -> None:
    """R2.12, R0.17: after BYE the server still answers what was asked before it, then closes; nobody waits longer."""
    line = Line().log_in()
    line.client.send(POST, id=1)
    line.client.leave("quit", 0.0)
    line.run()
    assert line.pdus(Role.SERVER) == [POST, Bye(reason="quit")]
    line.server.send(Echo(data="late answer"), re=1)
    line.server.close(Code.NO_ERROR, "bye", 0.0)
    line.run()
    assert line.pdus(Role.CLIENT) == [Echo(data="late answer")]
    assert line.lost(Role.CLIENT) is None
    line.settle()
    assert line.lost(Role.SERVER) == Lost(Code.NO_ERROR, "bye", False)
    assert line.lost(Role.CLIENT) == Lost(Code.NO_ERROR, "bye", True)


def test_what_comes_after_a_goodbye_is_ignored() -> None:
    """S10, [3.5-1]: PDUs, ends of streams and datagrams after BYE are neither handled, nor answered, nor counted."""
    for rest in (
        write(POST),
        write(Ping(nonce=1)),
        write(Bye()),
        b"\xff\xff",
        b"\x00\x00",
        b"\x80\x01\x00\x01",
        write(Error.about(Code.STATE, fatal=True)),
    ):
        end = ready(Role.SERVER)
        hear(end, write(Bye(reason="off")) + rest)
        hear(end, rest, fin=True)
        hear(end, rest, sid=QUERY)
        end.receive(Reset(CONTROL, 1), 0.0)
        end.receive(Stopped(CONTROL, 1), 0.0)
        end.receive(Datagram(b"?"), 0.0)
        assert [each.envelope.pdu for each in end.events() if isinstance(each, Received)] == [Bye(reason="off")]
        assert end.output() == []
        assert end.state is State.DRAINING
        assert (end.conduct.misuses, end.conduct.dropped) == (0, 0)


def test_a_goodbye_with_the_end_of_the_stream_is_a_goodbye() -> None:
    """S12: whoever says BYE and then FIN is still answered; the FIN changes nothing."""
    for together in (True, False):
        line = Line().log_in()
        line.client.send(POST, id=1)
        line.collect()
        line.run()
        hear(line.server, write(Bye()), fin=together)
        if not together:
            hear(line.server, b"", fin=True)
        assert line.server.state is State.DRAINING
        line.server.send(Ok(), re=1)
        line.run()
        assert line.pdus(Role.CLIENT) == [Ok()]


def test_a_goodbye_that_nobody_hears_ends_after_five_seconds() -> None:
    """[3.5-3]: DRAINING lasts at most 5 s: the one who left closes then, whatever the peer does."""
    end = ready(Role.CLIENT)
    end.leave("quit", 1.0)
    end.output()
    for late in ("again", "and again"):
        end.leave(late, 3.0)
    assert end.output() == []
    assert end.timer() == 6.0
    end.settle(0, 5.9)
    assert end.state is State.DRAINING
    end.handle_timer(6.0)
    assert end.output() == [Closed(Code.NO_ERROR, "quit", remote=False)]
    assert only(end) == Lost(Code.NO_ERROR, "quit", False)


@pytest.mark.parametrize("word", [Bye(reason="off"), Goaway(code=Code.DRAINING)], ids=["BYE", "GOAWAY"])
def test_who_is_left_alone_closes_after_five_seconds_too(word: Bye | Goaway) -> None:
    """[3.5-5]: DRAINING lasts at most 5 s, also at the end that was told, when nothing else happens."""
    end = ready(Role.CLIENT)
    hear(end, word, now=2.0)
    end.events()
    assert end.timer() == 7.0
    end.handle_timer(7.0)
    assert end.output() == []
    end.settle(0, 7.0)
    assert end.output() == [Closed(Code.NO_ERROR, "what ran took too long", remote=False)]
    assert only(end).code == Code.NO_ERROR


def test_two_who_leave_at_once_do_not_wait_for_each_other() -> None:
    """Protocol §5: BYE from both ends crosses on the wire; both close when theirs is acknowledged."""
    line = Line().log_in()
    line.client.leave("me first", 0.0)
    line.server.leave("no, me", 0.0)
    line.run()
    line.settle()
    assert line.lost(Role.CLIENT) is not None
    assert line.lost(Role.SERVER) is not None
    assert line.client.timer() is line.server.timer() is None


def test_to_leave_somebody_who_has_left_is_to_close() -> None:
    """[3.5-2]: the answer to BYE is the close."""
    line = Line().log_in()
    line.client.leave("quit", 0.0)
    line.run()
    line.forget()
    line.server.leave("me too", 0.0)
    line.settle()
    assert line.said[Role.SERVER] == [Closed(Code.NO_ERROR, "me too", remote=False)]


@pytest.mark.parametrize("state", [State.START, State.NEGOTIATING], ids=lambda state: state.name)
def test_to_leave_before_there_is_a_conversation_is_to_close(state: State) -> None:
    """Protocol §5: BYE is legal from AUTHENTICATING on; before that the close alone says it."""
    end = connection(Role.CLIENT)
    if state is State.NEGOTIATING:
        end.start(CONTROL)
        end.output()
    end.leave("never mind", 0.0)
    assert end.output() == []
    end.settle(0, 0.0)
    assert end.output() == [Closed(Code.NO_ERROR, "never mind", remote=False)]
    assert only(end).reason == "never mind"


def test_a_goodbye_during_the_login_is_said() -> None:
    """Protocol §5: BYE is legal in every state of the login."""
    line = Line().negotiate()
    line.client.send(START)
    line.client.leave("wrong server", 0.0)
    line.run()
    assert line.pdus(Role.SERVER)[-1] == Bye(reason="wrong server")
    assert line.server.state is State.DRAINING


def test_a_goodbye_of_any_length_and_any_characters_is_said() -> None:
    """R2.12: what a terminal hands us (lone surrogates, 10,000 characters) is cut and mended, not refused."""
    end = ready(Role.CLIENT)
    end.leave("\udcff\u20ac" * 5_000, 0.0)
    (said,) = read(end.output())
    assert isinstance(said.pdu, Bye)
    assert said.pdu.reason == ("?\u20ac" * 5_000).encode()[:512].decode(errors="ignore")
    end.handle_timer(5.0)
    (closed,) = end.output()
    assert isinstance(closed, Closed)
    assert 1020 < len(closed.reason.encode()) <= 1024


def test_a_goodbye_is_told_and_ends_nothing_by_itself() -> None:
    """Protocol §5: BYE moves both ends to DRAINING, where what runs is finished."""
    line = Line().log_in()
    line.client.send(Bye(reason="off"))
    line.run()
    assert line.pdus(Role.SERVER) == [Bye(reason="off")]
    assert line.client.state is line.server.state is State.DRAINING
