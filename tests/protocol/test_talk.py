"""Two connections that talk: whatever the network does to the order of their bytes, they understand each other."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Received
from quicchat.protocol.events import Bytes, Established
from quicchat.protocol.limits import Limits
from quicchat.wire import codec
from quicchat.wire.chapters.messages import History, HistoryPage, Posted
from quicchat.wire.chapters.session import (
    Echo,
    Error,
    Ok,
    Ping,
    Pong,
    VersionRequest,
    VersionResponse,
)
from quicchat.wire.registry import Pdu, Role
from quicchat.wire.states import State
from tests.protocol.line import (
    ASK,
    CHALLENGE,
    CONTROL,
    OPENING,
    OTHER,
    POST,
    QUERY,
    RESPONSE,
    START,
    THIRD,
    WELCOME,
    Line,
    connection,
    hear,
    read,
)

POSTED = Posted(cid=bytes(16), room="general", seq=1, ts=1, epoch=1)
PAGE = HistoryPage(room="general", epoch=1, first=1, head=0, events=())


def test_the_first_words() -> None:
    """R3.5, R3.14, [3.1-1], [3.1-10]: first VERSION_REQUEST, then VERSION_RESPONSE."""
    line = Line().negotiate()
    assert [type(each.pdu) for role in Role for each in read(line.said[role])] == [VersionRequest, VersionResponse]
    assert (line.client.version, line.server.version) == (2, 2)
    assert line.client.state is line.server.state is State.AUTHENTICATING
    assert line.client.negotiation.transcript == line.server.negotiation.transcript
    sent = [each for role in Role for event in line.said[role] if isinstance(event, Bytes) for each in [event.data]]
    payloads = [data[2 if data[0] >= 0x40 else 1 :] for data in sent]
    assert line.client.negotiation.transcript == hashlib.sha256(b"".join(payloads)).digest()
    assert (line.client.negotiation.peer, line.server.negotiation.peer) == tuple(
        each.pdu for role in (Role.SERVER, Role.CLIENT) for each in read(line.said[role])
    )


@given(
    st.lists(st.sampled_from((1, 2, 77)), min_size=1, max_size=4),
    st.lists(st.sampled_from((1, 2)), min_size=1, max_size=2),
)
def test_the_highest_common_version_is_chosen(offered: list[int], spoken: list[int]) -> None:
    """S6, S7, [3.1-2], [3.1-4]: the highest version of both lists, in any order; or none, and then the close."""
    line = Line(
        connection(Role.CLIENT, versions=tuple(offered)), connection(Role.SERVER, versions=tuple(spoken))
    ).negotiate()
    common = max(set(offered) & set(spoken), default=None)
    assert line.client.version == line.server.version == common
    if common is None:
        assert line.client.state is line.server.state is State.CLOSED
        line.settle()
        for role in Role:
            lost = line.lost(role)
            assert lost is not None
            assert lost.code == Code.NO_COMMON_VERSION
        assert [pdu.versions for pdu in line.pdus(Role.CLIENT)] == [tuple(spoken)]  # type: ignore[attr-defined]


def test_a_login_brings_both_to_ready() -> None:
    """[10.1-1]: AUTH_START, AUTH_CHALLENGE, AUTH_RESPONSE, AUTH_OK: each end is told of the other's, in order."""
    line = Line().negotiate()
    line.forget()
    for end, pdu, state in (
        (line.client, START, State.STARTED),
        (line.server, CHALLENGE, State.CHALLENGED),
        (line.client, RESPONSE, State.PROVING),
        (line.server, WELCOME, State.READY),
    ):
        end.send(pdu, id=7)
        line.run()
        assert line.client.state is line.server.state is state
    assert line.pdus(Role.SERVER) == [START, RESPONSE]
    assert line.pdus(Role.CLIENT) == [CHALLENGE, WELCOME]


def test_a_refused_login_begins_again() -> None:
    """[3.3-2], [4.2-4]: ERROR stays in the login: the next AUTH_START is legal at both ends."""
    line = Line().negotiate()
    for _ in range(2):
        line.client.send(START)
        line.run()
        line.server.send(Error.about(Code.AUTH_FAILED))
        line.run()
        assert line.client.state is line.server.state is State.AUTHENTICATING


def test_an_answer_goes_where_the_question_came_from() -> None:
    """[2.3-3]: every request with an id gets exactly one PDU with that `re`, on the stream of the request."""
    line = Line().log_in()
    line.client.open(QUERY, OPENING)
    line.client.send(ASK, sid=QUERY, id=5)
    line.client.finish(QUERY)
    line.run()
    (opened, asked, ended) = line.told[Role.SERVER]
    assert isinstance(opened, Received)
    assert isinstance(asked, Received)
    assert (opened.envelope.pdu, asked.envelope.pdu, asked.sid, asked.envelope.id) == (OPENING, ASK, QUERY, 5)
    assert ended == Ended(QUERY)
    line.server.send(PAGE, sid=QUERY, re=5)
    line.server.finish(QUERY)
    line.run()
    (answer, end) = line.told[Role.CLIENT]
    assert isinstance(answer, Received)
    assert (answer.envelope.pdu, answer.sid, answer.envelope.re) == (PAGE, QUERY, 5)
    assert end == Ended(QUERY)


def test_a_finished_query_leaves_nothing_behind() -> None:
    """P7, Q5: after 300 queries, by whichever end they are finished first, each end has its control stream only."""
    line = Line().log_in()
    for number in range(1, 301):
        sid = 4 * number
        line.client.open(sid, OPENING)
        line.client.send(ASK, sid=sid, id=number)
        line.run()
        ends = [line.client, line.server]
        for end in ends if number % 2 else reversed(ends):
            end.finish(sid)
            line.run()
    assert len(line.client._channels) == len(line.server._channels) == 1
    assert len(line.pdus(Role.SERVER)) == 600
    assert line.client.state is line.server.state is State.READY


def test_what_was_finished_is_not_sent_on() -> None:
    """[3.7-5]: after FIN nothing more is put out on a stream, and a second FIN neither."""
    line = Line().log_in()
    line.client.open(QUERY, OPENING)
    line.client.finish(QUERY)
    line.collect()
    line.forget()
    line.client.send(ASK, sid=QUERY)
    line.client.finish(QUERY)
    line.collect()
    assert line.said[Role.CLIENT] == []


def test_control_is_not_finished_and_unknown_streams_are_nothing() -> None:
    """[3.5-4]: the control stream lives as long as the connection; a stream that is not there takes nothing."""
    line = Line().log_in()
    line.client.finish(CONTROL)
    line.client.finish(THIRD)
    line.client.send(ASK, sid=THIRD)
    line.collect()
    assert line.said[Role.CLIENT] == []


def test_a_ping_is_answered_by_the_connection_itself() -> None:
    """R3.10, R4.15, [3.2-1]: PONG with the same nonce, the clock, and `re`; nobody above is told of the PING."""
    line = Line().log_in()
    line.now = 3.0
    line.client.send(Ping(nonce=99), id=4)
    line.run()
    assert line.told[Role.SERVER] == []
    (event,) = line.told[Role.CLIENT]
    assert isinstance(event, Received)
    assert event.envelope.re == 4
    assert event.envelope.pdu == Pong(nonce=99, time=1_800_000_003_000)


def test_the_handshake_moves_nothing_by_itself() -> None:
    """Protocol §5: that it is complete is told, for those who held something back, and changes no state."""
    end = connection(Role.SERVER)
    before = end.established
    end.receive(Established(), 0.0)
    assert (before, end.established) == (False, True)
    assert (end.events(), end.output(), end.state) == ([Established()], [], State.START)


# Any order, any split

WORDS: dict[Role, tuple[Pdu, ...]] = {
    Role.CLIENT: (POST, Echo(data="x" * 500), Ping(nonce=1), ASK, Ok(), Error.about(Code.STATE)),
    Role.SERVER: (POSTED, Echo(data="y" * 90), Ping(nonce=2), PAGE, Ok(), Error.about(Code.STATE)),
}


@given(st.data())
def test_any_split_and_interleaving_gives_the_same_conversation(data: st.DataObject) -> None:
    """R0.3, R0.6, [2.1-2]: two ends talk on several streams while bytes arrive in any pieces, in any order of streams.

    Every PDU arrives once, in order, on its stream; both ends agree on state, version, limits and transcript.
    """
    seeds = data.draw(st.tuples(st.integers(0, 99), st.integers(0, 99)))
    line = Line(connection(Role.CLIENT, seed=seeds[0]), connection(Role.SERVER, seed=seeds[1]))
    most = data.draw(st.integers(1, 400))

    def choose(ways: list[tuple[Role, int | None]]) -> tuple[tuple[Role, int | None], int]:
        return data.draw(st.sampled_from(ways)), data.draw(st.integers(1, most))

    line.client.start(CONTROL)
    line.run(choose)
    for end, pdu in ((line.client, START), (line.server, CHALLENGE), (line.client, RESPONSE), (line.server, WELCOME)):
        end.send(pdu)
        line.run(choose)
    line.forget()
    sent: dict[tuple[Role, int], list[Pdu]] = {}
    for sid in data.draw(st.sets(st.sampled_from((QUERY, OTHER, THIRD)))):
        line.client.open(sid, OPENING)
        sent[Role.SERVER, sid] = [OPENING]
    for _ in range(data.draw(st.integers(0, 12))):
        role = data.draw(st.sampled_from(Role))
        word = data.draw(st.sampled_from(WORDS[role]))
        open_here = [sid for to, sid in sent if sid != CONTROL and isinstance(word, History)]
        sid = data.draw(st.sampled_from([CONTROL, *sorted(set(open_here))]))
        line.end(role).send(word, sid=sid)
        sent.setdefault((role.peer, sid), []).append(word)
        for _ in range(data.draw(st.integers(0, 3))):
            if ways := line.ways():
                line.deliver(*choose(ways))
    line.run(choose)
    for role in Role:
        for sid in (CONTROL, QUERY, OTHER, THIRD):
            heard = [_plain(each) for each in line.told[role] if isinstance(each, Received) and each.sid == sid]
            wanted = [pdu for pdu in sent.get((role, sid), []) if not isinstance(pdu, Ping)]
            assert [pdu for pdu in heard if not isinstance(pdu, Pong)] == wanted
    assert line.client.state is line.server.state is State.READY
    assert line.client.version == line.server.version
    assert line.client.limits == line.server.limits
    assert line.client.negotiation.transcript == line.server.negotiation.transcript
    assert line.client.conduct.misuses == line.server.conduct.misuses == 0


def _plain(event: Received) -> Pdu:
    """A PDU without the reserved keys that were sprinkled over it."""
    assert isinstance(event.envelope.pdu, Pdu)
    return replace(event.envelope.pdu, extra=None)


@pytest.mark.parametrize("seed", range(1, 13))
def test_grease_does_not_disturb(seed: int) -> None:
    """[2.5-7]: reserved types, keys and capabilities are sprinkled by both ends, and nobody minds.

    Each end says one PDU of a reserved type when it is logged in; keys turn up among the PDUs that follow.
    """
    line = Line(connection(Role.CLIENT, seed=seed), connection(Role.SERVER, seed=seed * 977))
    line.negotiate()
    for end, pdu in ((line.client, START), (line.server, CHALLENGE), (line.client, RESPONSE), (line.server, WELCOME)):
        end.send(pdu)
        line.run()
    for number in range(200):
        line.client.send(Echo(data=str(number)))
        line.server.send(Echo(data=str(number)))
    line.run()
    for role in Role:
        assert [pdu.data for pdu in line.pdus(role) if isinstance(pdu, Echo)] == [str(n) for n in range(200)]
        said = [each.pdu for each in read(line.said[role])]
        reserved = [pdu.number for pdu in said if isinstance(pdu, codec.Unknown)]
        assert len(reserved) == 1
        assert reserved[0] > 127
        assert reserved[0] % 2 == 1
        keys = [key for pdu in said if isinstance(pdu, Pdu) for key in pdu.extra or ()]
        assert keys
        assert all(key > 32 and key % 2 for key in keys)
        assert line.end(role).conduct.misuses == 0
    assert line.client.state is line.server.state is State.READY


def test_without_a_seed_nothing_is_sprinkled() -> None:
    """[2.5-7]: seed 0 makes a connection that can be compared byte by byte."""
    line = Line().log_in()
    for number in range(2_000):
        line.client.send(Ping(nonce=number))
    line.collect()
    assert [each.pdu for each in read(line.said[Role.CLIENT])] == [Ping(nonce=number) for number in range(2_000)]


def test_grease_never_makes_a_frame_too_long() -> None:
    """[2.1-3], [2.1-7]: a PDU that just fits is sent as it is, however often."""
    line = Line(connection(Role.CLIENT, seed=5), connection(Role.SERVER, seed=6)).log_in()
    full = Echo(data="", extra={33: bytes(65_536 - 14)})
    assert len(codec.encode(full, version=2)) == 65_536
    for _ in range(200):
        line.client.send(full)
    line.run()
    assert line.pdus(Role.SERVER) == [full] * 200


# Limits


def test_both_ends_use_the_smaller_limits() -> None:
    """[3.1-8]: limits are exchanged and the smaller counts; what makes no sense is raised to what works."""
    ours = Limits(text=500, pipeline=3, page=7, ping=2.0, room_streams=5)
    theirs = Limits(frame=1 << 22, text=0, pipeline=0, page=0, ping=0.0, room_streams=0)
    line = Line(connection(Role.CLIENT, limits=ours), connection(Role.SERVER, limits=theirs)).negotiate()
    for end in (line.client, line.server):
        agreed = end.limits
        assert (agreed.frame, agreed.text, agreed.pipeline, agreed.page) == (65_536, 256, 1, 1)
        assert (agreed.ping, agreed.room_streams) == (1.0, 0)


def test_a_frame_may_grow_up_to_the_hard_limit() -> None:
    """[2.1-3], [3.1-8]: two ends that both allow more than 1 MiB agree on 1 MiB, and then take such frames."""
    big = Limits(frame=1 << 22)
    line = Line(connection(Role.CLIENT, limits=big), connection(Role.SERVER, limits=big)).log_in()
    assert line.client.limits.frame == line.server.limits.frame == 1 << 20
    full = Echo(data="", extra={33: bytes(200_000)})
    line.client.send(full)
    line.run()
    assert line.pdus(Role.SERVER) == [full]


def test_an_end_without_limits_is_taken_at_its_word() -> None:
    """[3.1-8]: the maps of limits are optional; ours count then."""
    end = connection(Role.SERVER, limits=Limits(page=9))
    hear(end, VersionRequest(versions=(2,), device=bytes(16)))
    assert end.limits == Limits(page=9)


def test_a_version_that_was_not_offered_is_refused() -> None:
    """[3.1-5]: the server may only choose from the list; the client closes with VERSION."""
    line = Line(connection(Role.CLIENT, versions=(2,)))
    line.client.start(CONTROL)
    hear(line.client, VersionResponse(version=1, versions=(1,)))
    line.run()
    line.settle()
    lost = line.lost(Role.CLIENT)
    assert lost is not None
    assert (lost.code, lost.remote) == (Code.VERSION, False)
