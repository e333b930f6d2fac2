"""Bytes from a peer who means no good: no exception, one of the documented codes, one end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from quicchat.errors import Code
from quicchat.protocol.connection import Connection, Lost, Received
from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent, Reset, Stopped
from quicchat.wire import codec, frame
from quicchat.wire.chapters.session import Bye, Error, Goaway, Purpose, StreamOpen
from quicchat.wire.codec import Envelope
from quicchat.wire.registry import REGISTRY, Role
from quicchat.wire.states import State
from tests.protocol.line import (
    CHALLENGE,
    CONTROL,
    OTHER,
    QUERY,
    RESPONSE,
    START,
    THIRD,
    WELCOME,
    Line,
    connection,
    hear,
    read,
    write,
)
from tests.strategies import any_pdu, least, mutations, pdus, splits

#: What a broken PDU may bring about; nothing else is documented for it.
FATAL = frozenset(
    {Code.FRAME_TOO_LARGE, Code.DECODE, Code.SCHEMA, Code.STATE, Code.VERSION, Code.STREAM_MISUSE, Code.LIMIT}
)
REFUSALS = frozenset({Code.STATE, Code.UNSUPPORTED, Code.STREAM_MISUSE})
#: What an end itself may close with, besides: it was told to, or heard nobody, or shares no version.
OURS = FATAL | {
    Code.NO_ERROR,
    Code.NO_COMMON_VERSION,
    Code.NEGOTIATION_TIMEOUT,
    Code.AUTH_FAILED,
    Code.RATE_LIMITED,
}


def _fresh(role: Role) -> Connection:
    end = connection(role)
    if role is Role.CLIENT:
        end.start(CONTROL)
        end.output()
    return end


def _step(steps: int) -> Callable[[Role], Connection]:
    def make(role: Role) -> Connection:
        line = Line().negotiate()
        words = [(line.client, START), (line.server, CHALLENGE), (line.client, RESPONSE), (line.server, WELCOME)]
        for end, pdu in words[:steps]:
            end.send(pdu)
            line.run()
        if steps == len(words):
            line.client.open(QUERY, StreamOpen(kind=Purpose.QUERY))
            line.run()
        line.collect()
        return line.end(role)

    return make


def _after(wish: Callable[[Connection], None]) -> Callable[[Role], Connection]:
    def make(role: Role) -> Connection:
        end = _step(4)(role)
        wish(end)
        end.output()
        return end

    return make


#: Ends in every state in which anything may come, each with nothing left to drain.
PLACES: dict[str, Callable[[Role], Connection]] = {
    "fresh": _fresh,
    "authenticating": _step(0),
    "started": _step(1),
    "challenged": _step(2),
    "proving": _step(3),
    "ready": _step(4),
    "left": _after(lambda end: end.leave("", 0.0)),
    "closing": _after(lambda end: end.close(Code.NO_ERROR, "", 0.0)),
    "failed": _after(lambda end: end.fail(Code.INTERNAL, "", 0.0)),
    "draining": _after(lambda end: hear(end, Goaway(code=1) if end.role is Role.CLIENT else Bye())),
}


def check(end: Connection, events: list[LinkEvent]) -> None:
    """Let an end have these events, and look at everything it does until it is over."""
    now = 0.0
    told, output = end.events(), end.output()
    for event in events:
        end.receive(event, now)
        told += end.events()
        output += end.output()
    for _ in range(2_000):
        at = end.timer()
        if at is None:
            break
        now = max(now, at)
        end.handle_timer(now)
        told += end.events()
        output += end.output()
    assert end.timer() is None, "no end comes to an end"
    assert end.state is State.CLOSED
    lost = [event for event in told if isinstance(event, Lost)]
    assert [told[-1]] == lost
    closes = [event for event in output if isinstance(event, Closed)]
    assert len(closes) <= 1
    for close in closes:
        assert close.code in OURS | {Code.INTERNAL}
        assert not close.remote
    errors = [envelope.pdu for envelope in _whole(output) if isinstance(envelope.pdu, Error)]
    for error in errors:
        assert error.code in (OURS if error.fatal else REFUSALS)
    fatal = [error.code for error in errors if error.fatal]
    assert len(fatal) <= 1
    if fatal and closes:
        assert closes[0].code in (fatal[0], Code.NO_ERROR)


def _whole(output: list[LinkEvent]) -> list[Envelope]:
    return read([event for event in output if isinstance(event, Bytes)])


@st.composite
def scribbles(draw: st.DrawFn) -> list[LinkEvent]:
    """Anything a link may report: real PDUs, broken ones, noise, ends of streams, in any order."""
    sids = st.sampled_from((CONTROL, CONTROL, CONTROL, QUERY, OTHER, THIRD, 1, 3))
    noise = st.binary(max_size=40)
    framed = noise.filter(bool).map(frame.wrap)
    real = any_pdu().map(lambda pdu: write(pdu, version=2))
    broken = any_pdu().flatmap(lambda pdu: mutations(codec.encode(pdu, version=2))).map(frame.wrap)
    cut = any_pdu().flatmap(lambda pdu: mutations(write(pdu)))
    data = st.one_of(real, real, broken, cut, framed, noise)
    code = st.integers(0, 2**32)
    event: SearchStrategy[LinkEvent] = st.one_of(
        st.builds(Bytes, sids, data, st.sampled_from((False, False, False, True))),
        st.builds(Bytes, sids, data),
        st.builds(Datagram, st.one_of(noise, any_pdu().map(lambda pdu: codec.encode(pdu, version=2)))),
        st.builds(Reset, sids, code),
        st.builds(Stopped, sids, code),
        st.just(Established()),
    )
    return draw(st.lists(event, max_size=8))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@given(events=scribbles())
def test_nothing_that_comes_raises(role: Role, place: str, events: list[LinkEvent]) -> None:
    """R0.12, Q26: whatever comes in whatever state: no exception, the documented codes, one end and one Lost."""
    check(PLACES[place](role), events)


@pytest.mark.parametrize("place", ["fresh", "authenticating", "ready"])
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@given(data=st.binary(max_size=200))
def test_noise_on_control_ends_with_a_documented_code(role: Role, place: str, data: bytes) -> None:
    """W6, P8: bytes that are no PDUs end the connection, at once or when the frame is never whole."""
    check(PLACES[place](role), [Bytes(CONTROL, data)])


@given(st.data())
def test_a_frame_with_a_few_wrong_bytes_is_a_pdu_or_fatal(data: st.DataObject) -> None:
    """P8, Q26: a mutated PDU on control is understood, refused, ignored, or fatal with the code for its fault."""
    cls = data.draw(st.sampled_from(REGISTRY.sent_by(Role.CLIENT)))
    payload = data.draw(mutations(codec.encode(data.draw(pdus(cls)), version=2)))
    end = PLACES["ready"](Role.SERVER)
    hear(end, frame.wrap(payload) if payload else b"\x00")
    output = end.output()
    events = end.events()
    errors = [envelope.pdu for envelope in _whole(output) if isinstance(envelope.pdu, Error)]
    if end.closing is not None:
        (error,) = errors
        assert error.fatal
        assert end.closing.closed.code == error.code
        assert error.code in FATAL
        assert events == []
    elif errors:
        (error,) = errors
        assert error.code in REFUSALS
        assert events == []


@given(st.data())
def test_the_split_of_hostile_bytes_does_not_matter_for_the_end(data: st.DataObject) -> None:
    """R0.3, W5: the same broken bytes in any pieces: the same code, and no PDU more or fewer before the fault."""
    words = data.draw(st.lists(pdus(StreamOpen).map(write) | any_pdu().map(write), max_size=3))
    broken = data.draw(st.sampled_from((b"\x02\xff\xff", b"\x01\xa0", write(WELCOME), b"\x05\x20")))
    whole = [*words, broken]
    found = []
    for pieces in (whole, [piece for part in whole for piece in data.draw(splits(part))]):
        end = PLACES["ready"](Role.SERVER)
        for piece in pieces:
            hear(end, piece)
        told = [event.envelope.pdu for event in end.events() if isinstance(event, Received)]
        code = end.closing.closed.code if end.closing is not None else None
        found.append((told, code, end.state))
    assert found[0] == found[1]


def test_pdus_before_a_broken_one_are_handed_up() -> None:
    """P8: a fault takes back nothing that was said before it."""
    end = PLACES["ready"](Role.SERVER)
    good = Error.about(Code.STATE)
    hear(end, write(good) + b"\x02\xff\xff" + write(good))
    (event,) = end.events()
    assert isinstance(event, Received)
    assert event.envelope.pdu == good


def test_every_letter_of_the_wrong_end_is_fatal() -> None:
    """S2: what only the other end may send is STATE, in READY too."""
    for role in Role:
        for cls in REGISTRY.sent_by(role):
            if role.peer in cls.SPEC.by:
                continue
            end = PLACES["ready"](role)
            hear(end, least(cls, 2))
            assert end.closing is not None, cls
            assert end.closing.closed.code == Code.STATE
