"""The judge, asked directly: every kind of answer, in forgiving states and in the others."""

from __future__ import annotations

import pytest

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol.judgement import (
    FORGIVING,
    PUSHABLE,
    Ignored,
    Judgement,
    Legal,
    Misplaced,
    Nameless,
    ephemeral,
    judge,
    purpose_of,
)
from quicchat.wire import codec
from quicchat.wire.chapters.messages import History, Message, Post, Window
from quicchat.wire.chapters.session import (
    Bye,
    Error,
    Ok,
    Ping,
    Purpose,
    StreamOpen,
    VersionRequest,
    VersionResponse,
)
from quicchat.wire.codec import Unknown
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import REGISTRY, Pdu, Role, Via
from quicchat.wire.states import State
from tests.protocol.line import START, connection, fatal, fate, hear
from tests.strategies import least

POST = Post(room="general", cid=bytes(16), text="hi")
ASK = History(room="general", window=Window.LATEST)
OPENING = StreamOpen(kind=Purpose.QUERY)
REQUEST = VersionRequest(versions=(2,), device=bytes(16))
EVEN, ODD = Unknown(200, False, "type 0xc8"), Unknown(201, True, "type 0xc9")
DEAD = Error.about(Code.INTERNAL, fatal=True)


def judged(
    pdu: Pdu | Unknown, state: State, via: Via | None = Via.CONTROL, sender: Role = Role.CLIENT
) -> Judgement | Code:
    """The judgement, or the code that was raised."""
    try:
        return judge(pdu, sender=sender, state=state, via=via)
    except RemoteProtocolError as error:
        return error.code


@pytest.mark.parametrize(
    ("pdu", "state", "via", "wanted"),
    [
        (REQUEST, State.START, None, Legal(REQUEST, State.NEGOTIATING, Via.CONTROL)),
        (DEAD, State.START, None, Legal(DEAD, State.CLOSED, Via.CONTROL)),
        (Ping(nonce=1), State.START, None, Code.STATE),
        (POST, State.START, None, Code.STATE),
        (ODD, State.START, None, Ignored()),
        (EVEN, State.START, None, Code.STATE),
        (START, State.AUTHENTICATING, Via.CONTROL, Legal(START, State.STARTED, Via.CONTROL)),
        (START, State.AUTHENTICATING, Via.QUERY, Code.STREAM_MISUSE),
        (START, State.AUTHENTICATING, None, Code.STATE),
        (START, State.STARTED, Via.CONTROL, Code.STATE),
        (POST, State.AUTHENTICATING, Via.CONTROL, Code.STATE),
        (EVEN, State.PROVING, Via.CONTROL, Code.STATE),
        (ODD, State.PROVING, Via.CONTROL, Ignored()),
        (POST, State.READY, Via.CONTROL, Legal(POST, State.READY, Via.CONTROL)),
        (POST, State.READY, Via.ROOM, Legal(POST, State.READY, Via.ROOM)),
        (ASK, State.READY, Via.QUERY, Legal(ASK, State.READY, Via.QUERY)),
        (OPENING, State.READY, None, Legal(OPENING, State.READY, Via.QUERY)),
        (OPENING, State.READY, Via.QUERY, Misplaced(Code.STREAM_MISUSE, "STREAM_OPEN does not belong on this stream")),
        (
            OPENING,
            State.READY,
            Via.CONTROL,
            Misplaced(Code.STREAM_MISUSE, "STREAM_OPEN does not belong on this stream"),
        ),
        (POST, State.READY, Via.QUERY, Misplaced(Code.STREAM_MISUSE, "MSG_SEND does not belong on this stream")),
        (POST, State.READY, None, Nameless()),
        (ODD, State.READY, None, Ignored()),
        (EVEN, State.READY, None, Nameless()),
        (EVEN, State.READY, Via.QUERY, Misplaced(Code.UNSUPPORTED, "type 0xc8 is not understood")),
        (START, State.READY, Via.CONTROL, Misplaced(Code.STATE, "AUTH_START in READY")),
        (REQUEST, State.READY, None, Misplaced(Code.STATE, "VERSION_REQUEST in READY")),
        (VersionResponse(version=2, versions=(2,)), State.READY, Via.CONTROL, Code.STATE),
        (Bye(), State.READY, Via.CONTROL, Legal(Bye(), State.DRAINING, Via.CONTROL)),
        (POST, State.DRAINING, Via.CONTROL, Legal(POST, State.DRAINING, Via.CONTROL)),
        (POST, State.CLOSED, Via.CONTROL, Legal(POST, State.CLOSED, Via.CONTROL)),
    ],
    ids=str,
)
def test_what_a_client_says(pdu: Pdu | Unknown, state: State, via: Via | None, wanted: Judgement | Code) -> None:
    """S1-S5, S14, W22, [3.7-3]: legal, passed over, refused or fatal, by state and stream."""
    assert judged(pdu, state, via) == wanted


def test_every_cell_of_the_table() -> None:
    """S1, S2: on control, the judge says what the table says, for every PDU, state and end."""
    for cls in REGISTRY:
        pdu = least(cls, 2)
        via = None if cls is StreamOpen else next(iter(cls.SPEC.via))
        for state in State:
            for sender in Role:
                found = judged(pdu, state, via, sender)
                to = CONNECTION.after(state, sender, pdu)
                if sender not in cls.SPEC.by:
                    assert found is Code.STATE
                elif to is not None:
                    assert found == Legal(pdu, to, via or Via.ROOM)
                elif state in FORGIVING:
                    assert isinstance(found, Misplaced)
                    assert found.code is Code.STATE
                else:
                    assert found is Code.STATE


def test_what_a_stream_is_for() -> None:
    """[1.3-1], [3.7-1]: STREAM_OPEN names it, VERSION_REQUEST is control; a fatal ERROR needs no name."""
    assert [purpose_of(StreamOpen(kind=kind)) for kind in Purpose] == [Via.ROOM, Via.QUERY, Via.FILE]
    assert purpose_of(REQUEST) is purpose_of(DEAD) is Via.CONTROL
    assert purpose_of(Error.about(Code.STATE)) is purpose_of(POST) is None


def test_what_is_pushed_moves_nothing() -> None:
    """[10.1-1]: only what stays in its state, on control or in datagrams, with one outcome, is encoded for many."""
    assert Message in PUSHABLE[Role.SERVER, State.READY]
    assert Message in PUSHABLE[Role.SERVER, State.DRAINING]
    assert Message not in PUSHABLE[Role.CLIENT, State.READY]
    for (role, state), classes in PUSHABLE.items():
        for cls in classes:
            assert CONNECTION.after(state, role, least(cls, 2)) is state
            assert Via.CONTROL in cls.SPEC.via or cls.SPEC.via is Via.DATAGRAM
            assert not cls.SPEC.outcomes
    assert not any(PUSHABLE[role, state] for role in Role for state in (State.START, State.NEGOTIATING, State.CLOSED))


def test_what_comes_in_datagrams() -> None:
    """Q17: nothing of today's vocabulary, and nothing broken or too long."""
    for data in (b"", b"\xa0", codec.encode(Ok(), version=2), bytes(1101)):
        assert ephemeral(data, sender=Role.CLIENT, state=State.READY, version=2) is None


def test_control_ends_within_a_frame() -> None:
    """W5: fatal DECODE on control, and on what may still become it; a RESET is no broken frame."""
    for end, data in ((connection(Role.SERVER), b"\x40"), (connection(Role.SERVER), b"\x20\xa3")):
        hear(end, data, fin=True)
        assert fate(end).closed == Code.DECODE
    end = connection(Role.SERVER)
    hear(end, REQUEST)
    end.output()
    hear(end, b"\x20\xa3", fin=True)
    assert fate(end) == fatal(Code.DECODE)
