"""What comes before its time: RESUME beside the negotiation, and other streams before the login."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Lost, Received
from quicchat.protocol.events import Reset, Stopped
from quicchat.wire.chapters.accounts import HAVE, OUTSTANDING, Resume, Resumed
from quicchat.wire.chapters.messages import History, Window
from quicchat.wire.chapters.session import Bye, Error, Ping
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.protocol.line import (
    ASK,
    CHALLENGE,
    CONTROL,
    FROM_SERVER,
    OPENING,
    OTHER,
    QUERY,
    REQUEST,
    RESPONSE,
    START,
    THIRD,
    WELCOME,
    Fate,
    Line,
    connection,
    fatal,
    fate,
    given_up,
    hear,
    in_login,
    read,
    received,
    write,
)


def test_what_comes_before_login_is_served_after_it_in_order() -> None:
    """[3.7-2]: whole frames are held; the streams' ends too; then each stream is served in its order."""
    end = in_login()
    for sid, text in ((QUERY, "a"), (OTHER, "b")):
        hear(end, write(OPENING) + write(ASK, id=1), sid=sid)
        hear(end, write(History(room=text, window=Window.LATEST), id=2), sid=sid, fin=sid == QUERY)
    assert (end.events(), end.output()) == ([], [])
    end.send(WELCOME)
    events = end.events()
    told = [
        (event.sid, event.envelope.id) if isinstance(event, Received) else event
        for event in events
        if not isinstance(event, Lost)
    ]
    assert told == [(QUERY, None), (QUERY, 1), (QUERY, 2), Ended(QUERY), (OTHER, None), (OTHER, 1), (OTHER, 2)]
    assert end.state is State.READY
    end.finish(QUERY)
    end.finish(OTHER)
    hear(end, b"", sid=OTHER, fin=True)
    assert len(end._channels) == 1


def test_a_stream_may_overtake_the_negotiation() -> None:
    """[3.7-2]: streams are not ordered among each other, so a STREAM_OPEN may arrive before VERSION_REQUEST."""
    end = connection(Role.SERVER)
    hear(end, write(OPENING) + write(ASK, id=3), sid=QUERY)
    hear(end, b"", sid=QUERY, fin=True)
    assert (end.events(), end.output()) == ([], [])
    hear(end, write(REQUEST, version=1))
    assert end.version == 2
    hear(end, START)
    end.send(CHALLENGE)
    hear(end, RESPONSE)
    end.events()
    end.send(WELCOME)
    events = end.events()
    assert [event.envelope.pdu for event in events if isinstance(event, Received)] == [OPENING, ASK]
    assert events[-1] == Ended(QUERY)


def test_an_early_stream_that_is_cut_is_forgotten() -> None:
    """[3.7-2]: who resets his early stream has taken back what he said on it."""
    for cut in (Reset(QUERY, 5), Stopped(QUERY, 5)):
        end = in_login()
        hear(end, write(OPENING) + write(ASK), sid=QUERY)
        end.receive(cut, 0.0)
        assert end.output() == given_up(QUERY, 5)
        end.events()
        end.send(WELCOME)
        assert end.events() == []
        assert len(end._channels) == 1


def test_an_early_stream_that_ends_within_a_frame_is_given_up() -> None:
    """W5, [2.1-6]: stream DECODE, also before login; what was whole on it is not served."""
    end = in_login()
    hear(end, write(OPENING) + b"\x20\xa3", sid=QUERY, fin=True)
    assert end.output() == given_up(QUERY, Code.DECODE)
    end.events()
    end.send(WELCOME)
    assert end.events() == []


def test_what_is_held_is_judged_when_its_time_comes() -> None:
    """S14, W6: an early stream may turn out to be nothing; the login that brings it out is no fault of ours."""
    for early, found in (
        (write(Ping(nonce=1)) + write(OPENING), Fate(None, None)),
        (b"\x02\xff\xff", fatal(Code.DECODE)),
        (write(WELCOME), fatal(Code.STATE)),
        (write(OPENING, version=2).replace(b"\xa3\x00\x02", b"\xa3\x00\x03"), fatal(Code.VERSION)),
    ):
        end = in_login()
        hear(end, early, sid=QUERY, fin=True)
        end.send(WELCOME)
        output = end.output()
        assert read(output[:1])[0].pdu == WELCOME
        if found.error is None:
            assert output[1:] == given_up(QUERY, Code.UNSUPPORTED)
            assert end.events() == [Ended(QUERY, Code.UNSUPPORTED)]
            assert end.state is State.READY
        else:
            assert [each.pdu.code for each in read(output[1:])] == [found.error]  # type: ignore[union-attr]
            end.settle(0, 0.0)
            assert isinstance(end.events()[-1], Lost)


def test_what_is_held_is_not_served_to_somebody_who_leaves() -> None:
    """[3.7-2]: BYE before login opens no door to what was held."""
    end = in_login()
    hear(end, write(OPENING) + write(ASK), sid=QUERY)
    hear(end, Bye())
    assert received(end) == [(CONTROL, Bye())]


def test_data_before_login_is_bounded() -> None:
    """P7, Q3, [4.2-7]: 16 KiB on all streams together, frames and fragments alike, then fatal LIMIT."""
    end = in_login()
    hear(end, b"\x7f\xff" + bytes(8_000), sid=QUERY)
    hear(end, b"\x7f\xff" + bytes(7_900), sid=OTHER)
    assert end.output() == []
    hear(end, b"\x7f\xff" + bytes(480), sid=THIRD)
    assert fate(end) == fatal(Code.LIMIT)


def test_many_small_frames_before_login_are_bounded_too() -> None:
    """P7, [4.2-7]: a frame costs more to hold than its bytes; some 200 of two bytes are too many."""
    end = in_login()
    hear(end, write(OPENING), sid=QUERY)
    for _ in range(200):
        hear(end, b"\x02\xa0\xa0", sid=QUERY)
    assert end.output() == []
    for _ in range(100):
        hear(end, b"\x02\xa0\xa0", sid=QUERY)
    assert fate(end) == fatal(Code.LIMIT)


def test_a_server_may_say_more_before_login_but_not_on_streams_of_its_own() -> None:
    """P7: AUTH_OK may be long; what a server sends on other streams is held within the same bound."""
    line = Line().negotiate()
    for end, word in ((line.client, START), (line.server, CHALLENGE), (line.client, RESPONSE)):
        end.send(word)
        line.run()
    rooms = tuple((f"room{n}", 1, 1, 1) for n in range(512))
    long = type(WELCOME)(user="alice", session=1, proof=b"x" * 1000, heads=rooms, welcome="w" * 2000)
    client = line.client
    line.collect()
    hear(client, b"\x7f\xff" + bytes(16_000), sid=FROM_SERVER)
    hear(client, long)
    assert client.state is State.READY
    other = Line().negotiate().client
    other.output()
    hear(other, b"\x7f\xff" + bytes(16_384), sid=FROM_SERVER)
    assert fate(other) == fatal(Code.LIMIT)


# RESUME beside VERSION_REQUEST

RESUME = Resume(token=bytes(32), have=(("general", 1, 7),), outstanding=(bytes(16),))
RESUMED = Resumed(session=1, token=bytes(32), rooms=(), known=(), user="alice", expires=1, proof=bytes(32))


def states(line: Line) -> tuple[State, State]:
    """Where both ends are."""
    return line.client.state, line.server.state


def test_resume_may_leave_with_the_first_word() -> None:
    """[3.1-1]: both in the first flight, RESUME in version 2; then the session goes on."""
    line = Line()
    line.client.start(CONTROL)
    line.client.send(RESUME, id=1)
    assert states(line) == (State.EARLY, State.START)
    first = line.client.output()
    assert [(each.pdu.SPEC.number, each.version) for each in read(first)] == [(0x01, 1), (0x18, 2)]  # type: ignore[union-attr]
    for event in first:
        line.server.receive(event, 0.0)
    assert [pdu for _, pdu in received(line.server)][1:] == [RESUME]
    assert line.server.version == 2
    line.run()
    assert states(line) == (State.RESUMING, State.RESUMING)
    line.server.send(RESUMED, re=1)
    line.run()
    assert states(line) == (State.READY, State.READY)
    assert line.pdus(Role.CLIENT)[-1] == RESUMED
    assert line.client.negotiation.transcript == line.server.negotiation.transcript


def test_a_refused_resumption_leads_back_to_the_login() -> None:
    """[3.3-2]: the same connection logs in by password then."""
    line = Line()
    line.client.start(CONTROL)
    line.client.send(RESUME, id=1)
    line.run()
    line.server.send(Error.about(Code.TOKEN_EXPIRED), re=1)
    line.run()
    assert states(line) == (State.AUTHENTICATING, State.AUTHENTICATING)
    for end, word in ((line.client, START), (line.server, CHALLENGE), (line.client, RESPONSE), (line.server, WELCOME)):
        end.send(word)
        line.run()
    assert states(line) == (State.READY, State.READY)


def test_resume_beside_another_version_is_fatal() -> None:
    """[3.1-11]: RESUME is in version 2; a server that chose version 1 refuses it as any PDU of a wrong version."""
    line = Line(server=connection(Role.SERVER, versions=(1,)))
    line.client.start(CONTROL)
    line.client.send(RESUME, id=1)
    line.run()
    line.settle()
    assert line.lost(Role.CLIENT) == Lost(Code.VERSION, line.lost(Role.CLIENT).reason, True)  # type: ignore[union-attr]


def test_resume_beside_no_version_at_all_is_ignored() -> None:
    """[3.1-4]: where there is no common version, nothing but that is told."""
    line = Line(server=connection(Role.SERVER, versions=(9,)))
    line.client.start(CONTROL)
    line.client.send(RESUME, id=1)
    line.run()
    line.settle()
    assert line.lost(Role.CLIENT) == Lost(Code.NO_COMMON_VERSION, "no common version", True)


def test_the_longest_resume_fits_before_the_login() -> None:
    """[4.2-7] P7: as many rooms and message ids as it may name, with the longest names."""
    have = tuple((f"@{'a' * 32},{'b' * 27}{number:05}", 2**32 - 1, 2**53) for number in range(HAVE))
    long = Resume(token=bytes(64), have=have, outstanding=(bytes(16),) * OUTSTANDING, device_name="x" * 64)
    line = Line()
    line.client.start(CONTROL)
    line.client.send(long, id=1)
    line.run()
    assert line.pdus(Role.SERVER)[-1] == long
    assert line.server.state is State.RESUMING


def test_the_negotiation_may_carry_an_id() -> None:
    """[2.3-3]: every request with an id is answered with it, VERSION_REQUEST too."""
    end = connection(Role.SERVER)
    hear(end, write(REQUEST, version=1, id=77))
    (answer,) = read(end.output())
    assert (answer.pdu.SPEC.name, answer.re) == ("VERSION_RESPONSE", 77)  # type: ignore[union-attr]
