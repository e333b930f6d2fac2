"""The connection's automaton: every state times every letter, against a second reading of the same rows."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import cast

import pytest

from quicchat.wire.chapters.accounts import AuthChallenge, AuthOk, AuthResponse, AuthStart, Resume, Resumed, Signup
from quicchat.wire.chapters.messages import Message, Post
from quicchat.wire.chapters.session import Bye, Error, Goaway, Ok, Ping, Pong, VersionRequest, VersionResponse
from quicchat.wire.machine import Letter, MalformedMachine
from quicchat.wire.machines import CHAPTERS, CONNECTION, Chapter, connection_machine
from quicchat.wire.registry import Pdu, Role, Via
from quicchat.wire.states import LOGIN, State, move, stay
from tests.strategies import ALL

LETTERS = [letter for cls in ALL for letter in Letter.all_of(cls)]
LIVE = (*LOGIN, State.READY)


def interpret(state: str, by: str, pdu: str, outcome: str | None) -> str | None:
    """The automaton once more, in the simplest way: read all rows, as text, and see."""
    if state == "closed":
        return "closed"
    found = {
        row.to.value
        for row in CONNECTION.rows
        if (row.state.value, row.by.value, row.letter.pdu.SPEC.name, row.letter.outcome) == (state, by, pdu, outcome)
    }
    return found.pop() if len(found) == 1 else None


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_every_state_times_every_letter(state: State) -> None:
    """S1: every cell of the table, for both ends, as an independent interpreter computes it."""
    for by, letter in itertools.product(Role, LETTERS):
        to = CONNECTION.step(state, by, letter)
        expected = interpret(state.value, by.value, letter.pdu.SPEC.name, letter.outcome)
        assert (None if to is None else to.value) == expected, (by, letter)
        assert (letter in CONNECTION.legal(state, by)) == (expected is not None and state is not State.CLOSED)


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_both_ends_end_in_one_state_however_words_cross(state: State) -> None:
    """spec 10-states: each end sees its own word first; the proof of `Machine`, done again from outside."""

    def word(at: State, *steps: tuple[Role, Letter]) -> str | None:
        now: str | None = at.value
        for by, letter in steps:
            now = interpret(now, by.value, letter.pdu.SPEC.name, letter.outcome) if now is not None else None
        return now

    if state is State.CLOSED:
        return
    for mine, theirs in itertools.product(CONNECTION.legal(state, Role.CLIENT), CONNECTION.legal(state, Role.SERVER)):
        client, server = (Role.CLIENT, mine), (Role.SERVER, theirs)
        assert word(state, client, server) == word(state, server, client) is not None


def test_s2_nobody_says_the_others_words() -> None:
    """S2: no row lets an end send what only the other one sends."""
    for state, by, letter in itertools.product(State, Role, LETTERS):
        if by not in letter.pdu.SPEC.by and state is not State.CLOSED:
            assert CONNECTION.step(state, by, letter) is None


def legal(state: State, by: Role) -> set[str]:
    return {str(letter) for letter in CONNECTION.legal(state, by)}


def test_s3_the_first_word_is_version_request() -> None:
    """S3, R3.5: before it nothing but giving up."""
    assert legal(State.START, Role.CLIENT) == {"VERSION_REQUEST", "ERROR(fatal)"}
    assert legal(State.START, Role.SERVER) == {"ERROR(fatal)"}
    assert legal(State.NEGOTIATING, Role.SERVER) == {
        "VERSION_RESPONSE(accepted)",
        "VERSION_RESPONSE(rejected)",
        "ERROR(fatal)",
    }
    # RESUME may leave before the answer has come, so that it fits the first flight; nothing may follow it.
    assert legal(State.NEGOTIATING, Role.CLIENT) == {"RESUME", "ERROR(fatal)"}
    assert legal(State.EARLY, Role.CLIENT) == {"ERROR(fatal)"}
    assert legal(State.EARLY, Role.SERVER) == legal(State.NEGOTIATING, Role.SERVER)


def test_s4_negotiation_happens_once() -> None:
    """S4: a second VERSION_REQUEST is legal nowhere."""
    for state in State:
        if state not in (State.START, State.CLOSED):
            assert CONNECTION.step(state, Role.CLIENT, Letter(VersionRequest)) is None
            responses = {str(x) for x in Letter.all_of(VersionResponse)} & legal(state, Role.SERVER)
            assert bool(responses) is (state in (State.NEGOTIATING, State.EARLY))


def test_s5_no_login_when_logged_in() -> None:
    """S5: READY knows no word of the login."""
    for cls in (AuthStart, AuthChallenge, AuthResponse, AuthOk, Signup, Resume, Resumed):
        for by in Role:
            assert CONNECTION.step(State.READY, by, Letter(cls)) is None


def test_r1_9_nothing_is_said_before_login() -> None:
    """R1.9: MSG_SEND in AUTHENTICATING is an error, and so is all but login, health and farewell."""
    allowed = {"AUTH_START", "AUTH_RESPONSE", "SIGNUP", "RESUME", "PING", "PONG", "BYE", "ERROR(fatal)"}
    for state in LOGIN:
        assert legal(state, Role.CLIENT) <= allowed
        assert CONNECTION.step(state, Role.CLIENT, Letter(Post)) is None
        assert CONNECTION.step(state, Role.SERVER, Letter(Message)) is None


@pytest.mark.parametrize(
    "words",
    [
        [AuthStart(mechanism="X", user="a", data=b""), AuthChallenge(data=b""), AuthResponse(data=b"")],
        [AuthStart(mechanism="X", user="a", data=b""), Error(code=0x201)],
        [Signup(user="a", salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32)), Ok()],
        [Signup(user="a", salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32)), Error(code=0x207)],
        [Resume(token=bytes(32), have=(), outstanding=()), Error(code=0x204)],
    ],
    ids=lambda words: words[-1].SPEC.name + "-after-" + words[-2].SPEC.name,
)
def test_the_login_step_by_step(words: list[Pdu]) -> None:
    """spec 04-accounts: each step has one place; a refusal leads back to the start of the login."""
    at: State | None = State.AUTHENTICATING
    for turn, pdu in enumerate(words):
        assert at is not None
        by = Role.CLIENT if turn % 2 == 0 else Role.SERVER
        assert CONNECTION.after(at, by.peer, pdu) is None
        at = CONNECTION.after(at, by, pdu)
    if len(words) == 3:
        assert at is State.PROVING
        proof = AuthOk(user="a", session=1, proof=b"")
        assert CONNECTION.after(State.PROVING, Role.SERVER, proof) is State.READY
        assert CONNECTION.after(State.PROVING, Role.SERVER, Error(code=0x201)) is State.AUTHENTICATING
    else:
        assert at is State.AUTHENTICATING


def test_resuming_has_its_place_before_and_after_the_negotiation() -> None:
    """[4.3-4], design §3: RESUME in the first flight and later end in one state; a refusal leads to the login."""
    resume = Resume(token=bytes(32), have=(), outstanding=())
    accepted = VersionResponse(version=2, versions=(2,))
    early = CONNECTION.after(State.NEGOTIATING, Role.CLIENT, resume)
    assert early is State.EARLY
    late = CONNECTION.after(State.NEGOTIATING, Role.SERVER, accepted)
    assert late is State.AUTHENTICATING
    assert CONNECTION.after(early, Role.SERVER, accepted) is State.RESUMING
    assert CONNECTION.after(late, Role.CLIENT, resume) is State.RESUMING
    assert CONNECTION.after(early, Role.SERVER, VersionResponse(version=0, versions=(2,))) is State.CLOSED
    assert CONNECTION.step(State.RESUMING, Role.SERVER, Letter(Resumed)) is State.READY
    assert CONNECTION.after(State.RESUMING, Role.SERVER, Error(code=0x204)) is State.AUTHENTICATING
    for state in State:
        if state not in (State.NEGOTIATING, State.AUTHENTICATING, State.DRAINING, State.CLOSED):
            assert CONNECTION.after(state, Role.CLIENT, resume) is None


def test_what_is_legal_in_every_living_state() -> None:
    """protocol §5: PING and PONG, BYE, and a fatal ERROR, from either end; GOAWAY from the server."""
    for state in (*LIVE, State.DRAINING):
        for by in Role:
            assert CONNECTION.step(state, by, Letter(Ping)) is state
            assert CONNECTION.step(state, by, Letter(Pong)) is state
            assert CONNECTION.step(state, by, Letter(Bye)) is State.DRAINING
            assert CONNECTION.step(state, by, Letter(Error, "fatal")) is State.CLOSED
        assert CONNECTION.step(state, Role.SERVER, Letter(Goaway)) is State.DRAINING


def test_draining_allows_what_was_on_its_way() -> None:
    """protocol §5: every word that was legal while the connection lived, and no other, changes nothing more."""
    for by in Role:
        before = {letter for state in LIVE for letter in CONNECTION.legal(state, by)}
        assert set(CONNECTION.legal(State.DRAINING, by)) == before
        for letter in before:
            to = CONNECTION.step(State.DRAINING, by, letter)
            assert to is (State.CLOSED if letter.outcome == "fatal" else State.DRAINING)


def test_closed_absorbs() -> None:
    """S10, S1: after the end every word is ignored, not judged."""
    for by, letter in itertools.product(Role, LETTERS):
        assert CONNECTION.step(State.CLOSED, by, letter) is State.CLOSED


def test_every_pdu_of_a_stream_can_be_sent_somewhere() -> None:
    """S1: a PDU that travels on streams has a row for each end that may send it; a datagram has none."""
    for cls in ALL:
        for by in cls.SPEC.by:
            has_row = any(row.letter.pdu is cls and row.by is by for row in CONNECTION.rows)
            assert has_row or cls.SPEC.via is Via.DATAGRAM, (cls, by)


def test_replay_safe_words_are_the_only_early_ones() -> None:
    """Q13, design §3: what may leave in early data; the login is not among it."""
    safe = {cls.SPEC.name for cls in ALL if cls.SPEC.replay_safe}
    assert {"VERSION_REQUEST", "PING", "HISTORY", "STREAM_OPEN"} <= safe
    assert not safe & {"MSG_SEND", "AUTH_START", "AUTH_RESPONSE", "SIGNUP", "ROOM_CREATE", "ROOM_JOIN", "ROOM_LEAVE"}
    assert all(Role.CLIENT in cls.SPEC.by for cls in ALL if cls.SPEC.replay_safe)


def test_a_bad_row_in_a_chapter_is_found_when_the_machine_is_put_together() -> None:
    """design §3: a fault in a chapter never gets as far as a connection."""
    assert connection_machine().rows == CONNECTION.rows
    rows = (move(State.READY, Role.SERVER, Ok, State.AUTHENTICATING),)
    with pytest.raises(MalformedMachine, match="READY server OK stands twice"):
        connection_machine([*CHAPTERS, cast(Chapter, SimpleNamespace(ROWS=rows))])
    rows = (move(State.READY, Role.CLIENT, AuthStart, State.STARTED),)
    with pytest.raises(MalformedMachine, match="in READY AUTH_START and MSG may cross"):
        connection_machine([*CHAPTERS, cast(Chapter, SimpleNamespace(ROWS=rows))])


def test_rows_are_the_same_in_every_run() -> None:
    """spec 10-states: the generated tables do not depend on how sets are ordered."""
    rows = list(stay((State.READY,), Error, Ok))
    assert [(row.by.value, str(row.letter)) for row in rows] == [
        ("client", "ERROR(refused)"),
        ("client", "ERROR(fatal)"),
        ("server", "ERROR(refused)"),
        ("server", "ERROR(fatal)"),
        ("client", "OK"),
        ("server", "OK"),
    ]
    assert all(row.state is row.to is State.READY for row in rows)
    assert list(stay((), Error)) == []
