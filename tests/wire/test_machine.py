"""The proof of an automaton: each check is shown to fail on a fault planted for it, and on no other."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import pytest

from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.rooms import Leave
from quicchat.wire.chapters.session import Bye, Error, Goaway, Ok, Ping, VersionRequest, VersionResponse
from quicchat.wire.machine import Letter, Machine, MalformedMachine, Row
from quicchat.wire.registry import Pdu, Role

C, S = Role.CLIENT, Role.SERVER


class At(Enum):
    OUT = "out"
    ASKED = "asked"
    IN = "in"
    LEAVING = "leaving"
    OVER = "over"


def row(state: At, by: Role, pdu: type[Pdu], to: At, outcome: str | None = None) -> Row[At]:
    return Row(state, by, Letter(pdu, outcome), to)


#: A sound machine: who leaves may still get what was on its way.
SOUND = [
    row(At.OUT, C, VersionRequest, At.ASKED),
    row(At.ASKED, S, VersionResponse, At.IN, "accepted"),
    row(At.ASKED, S, VersionResponse, At.OVER, "rejected"),
    row(At.IN, S, Message, At.IN),
    row(At.IN, C, Leave, At.LEAVING),
    row(At.LEAVING, S, Message, At.LEAVING),
    row(At.LEAVING, S, Ok, At.OVER),
]


def build(rows: Iterable[Row[At]]) -> Machine[At]:
    return Machine("test", rows, initial=At.OUT, final=At.OVER)


def faults(rows: Iterable[Row[At]]) -> list[str]:
    """What is said against a machine."""
    with pytest.raises(MalformedMachine) as caught:
        build(rows)
    name, _, text = str(caught.value).partition(": ")
    assert name == "test"
    return text.split("; ")


def test_a_sound_machine() -> None:
    """spec 10-states: without a fault nothing is said, and the rows are what was given."""
    machine = build(SOUND)
    assert machine.rows == tuple(SOUND)
    assert machine.states == [At.OUT, At.ASKED, At.IN, At.LEAVING, At.OVER]
    assert (machine.initial, machine.final) == (At.OUT, At.OVER)


def test_the_final_state_comes_last_wherever_its_rows_stand() -> None:
    """spec 10-states: tables and pictures begin at the beginning."""
    assert build(reversed(SOUND)).states == [At.OUT, At.LEAVING, At.IN, At.ASKED, At.OVER]


def test_a_row_twice() -> None:
    """spec 10-states: one word, one meaning: the same place twice, whether it leads elsewhere or not."""
    said = "IN server MSG stands twice"
    assert faults([*SOUND, row(At.IN, S, Message, At.IN)]) == [said]
    assert said in faults([*SOUND, row(At.IN, S, Message, At.OVER)])


def test_the_same_letter_of_both_ends_is_no_duplicate() -> None:
    """spec 10-states: rows differ by who speaks, and by the outcome."""
    both = [row(state, by, Ping, state) for by in (C, S) for state in (At.IN, At.LEAVING)]
    assert len(build([*SOUND, *both]).rows) == len(SOUND) + 4


def test_a_state_that_cannot_be_reached() -> None:
    """spec 10-states: a state that nothing leads to is a mistake in the rows."""
    short = [row(At.IN, C, Leave, At.OVER) if each.letter == Letter(Leave) else each for each in SOUND]
    assert faults(short) == ["LEAVING cannot be reached"]
    assert "OVER cannot be reached" in faults([row(At.OUT, C, VersionRequest, At.OUT)])


def test_a_state_that_never_ends() -> None:
    """spec 10-states: from everywhere some word leads to the end."""
    circling = [row(At.LEAVING, S, Ok, At.LEAVING) if each.letter == Letter(Ok) else each for each in SOUND]
    assert faults(circling) == ["IN never ends", "LEAVING never ends"]
    silent = [each for each in SOUND if each.state is not At.LEAVING]
    assert "LEAVING never ends" in faults(silent)


def test_a_row_out_of_the_final_state() -> None:
    """spec 10-states: the final state absorbs; it has no rows of its own."""
    assert faults([*SOUND, row(At.OVER, C, Ping, At.OVER)]) == ["a row leaves the final state OVER"]


def test_a_word_in_the_wrong_mouth() -> None:
    """S2: a row may not let the client say what only the server says, nor the other way round."""
    assert faults([*SOUND, row(At.OUT, C, Message, At.OUT)]) == ["MSG is never sent by the client"]
    assert faults([*SOUND, row(At.ASKED, S, Leave, At.ASKED)]) == ["ROOM_LEAVE is never sent by the server"]


@pytest.mark.parametrize("letter", [Letter(Error), Letter(Error, "maybe"), Letter(Ping, "refused")], ids=str)
def test_a_letter_that_no_pdu_spells(letter: Letter) -> None:
    """spec 10-states: every outcome is a letter; one that never comes would hide a hole in the table."""
    (fault,) = faults([*SOUND, Row(At.OUT, C, letter, At.OUT)])
    assert fault.startswith(f"no PDU spells {letter}: its outcomes are ")


def test_words_that_cross() -> None:
    """spec 10-states: a LEAVE that crosses a message on the wire, the classic fault of chat protocols."""
    deaf = [each for each in SOUND if each != row(At.LEAVING, S, Message, At.LEAVING)]
    assert faults(deaf) == ["in IN ROOM_LEAVE and MSG may cross: illegal against LEAVING"]


def test_words_that_cross_and_end_apart() -> None:
    """spec 10-states: both orders legal is not enough: both ends must be in the same state after it."""
    rows = [
        row(At.OUT, C, Bye, At.IN),
        row(At.OUT, S, Goaway, At.LEAVING),
        row(At.IN, S, Goaway, At.OVER),
        row(At.LEAVING, C, Bye, At.LEAVING),
        row(At.LEAVING, S, Ok, At.OVER),
    ]
    assert faults(rows) == ["in OUT BYE and GOAWAY may cross: OVER against LEAVING"]
    assert build([*rows[:3], row(At.LEAVING, C, Bye, At.OVER), rows[4]]).rows


def test_words_that_cross_both_illegal() -> None:
    """spec 10-states: two words of which each forbids the other."""
    rows = [
        row(At.OUT, C, Bye, At.IN),
        row(At.OUT, S, Goaway, At.LEAVING),
        row(At.IN, C, Ping, At.OVER),
        row(At.LEAVING, S, Ping, At.OVER),
    ]
    assert faults(rows) == ["in OUT BYE and GOAWAY may cross: illegal against illegal"]


def test_crossing_with_the_end_is_no_fault() -> None:
    """spec 10-states: late words are absorbed by the final state, whoever said them."""
    rows = [row(At.OUT, C, Error, At.OVER, "fatal"), row(At.OUT, S, Ping, At.OUT)]
    assert build(rows).step(At.OVER, S, Letter(Ping)) is At.OVER


def test_all_faults_are_named_at_once() -> None:
    """spec 10-states: whoever mends rows sees the whole list."""
    bad = [*SOUND, row(At.IN, S, Message, At.IN), row(At.OVER, C, Ping, At.OVER), row(At.OUT, C, Message, At.OUT)]
    assert len(faults(bad)) == 3


def test_step() -> None:
    """S1: what stands in a row is legal, and nothing else."""
    machine = build(SOUND)
    for each in SOUND:
        assert machine.step(each.state, each.by, each.letter) is each.to
    assert machine.step(At.OUT, S, Letter(VersionRequest)) is None
    assert machine.step(At.IN, C, Letter(VersionRequest)) is None
    assert machine.step(At.ASKED, S, Letter(VersionResponse, None)) is None
    assert machine.step(At.LEAVING, C, Letter(Leave)) is None
    assert machine.step(At.OVER, C, Letter(Leave)) is At.OVER


def test_after_is_step_for_the_letter_of_a_pdu() -> None:
    """S1: a PDU is judged by its class and its outcome, never by its other fields."""
    machine = build(SOUND)
    accepted, rejected = VersionResponse(version=1, versions=(1,)), VersionResponse(version=0, versions=(1,))
    for pdu in (accepted, rejected, Ok(), Leave(room="a"), Leave(room="b"), Ping(nonce=1), Error(code=1, fatal=True)):
        for state in At:
            for by in Role:
                assert machine.after(state, by, pdu) is machine.step(state, by, Letter.of(pdu))
    assert machine.after(At.ASKED, S, accepted) is At.IN
    assert machine.after(At.ASKED, S, rejected) is At.OVER
    assert machine.after(At.ASKED, C, accepted) is None


def test_legal() -> None:
    """spec 10-states: the letters of a state and an end, in the order of the rows."""
    machine = build(SOUND)
    assert list(machine.legal(At.ASKED, S)) == [
        Letter(VersionResponse, "accepted"),
        Letter(VersionResponse, "rejected"),
    ]
    assert list(machine.legal(At.ASKED, C)) == []
    assert list(machine.legal(At.OVER, C)) == []


def test_letters() -> None:
    """spec 10-states: a letter is a PDU, or a PDU with one of its outcomes."""
    assert Letter.of(Ping(nonce=1)) == Letter(Ping)
    assert Letter.of(Error(code=1)) == Letter(Error, "refused")
    assert Letter.of(Error(code=1, fatal=False)) == Letter(Error, "refused")
    assert Letter.of(Error(code=1, fatal=True)) == Letter(Error, "fatal")
    assert Letter.all_of(Ping) == [Letter(Ping)]
    assert Letter.all_of(VersionResponse) == [Letter(VersionResponse, "accepted"), Letter(VersionResponse, "rejected")]
    assert [str(letter) for letter in (*Letter.all_of(Error), Letter(Ping))] == [
        "ERROR(refused)",
        "ERROR(fatal)",
        "PING",
    ]
