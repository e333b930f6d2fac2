"""Every state and every letter, for both ends, in memory."""

from __future__ import annotations

import cbor2
import pytest

from quicchat.errors import Code, LocalProtocolError
from quicchat.protocol.events import Closed
from quicchat.wire import codec, frame
from quicchat.wire.machine import Letter
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.conformance import ends
from tests.conformance.cases import FORGIVING, Cell, cells, letters, sensible
from tests.conformance.checks import check_legal, check_not_sent, check_refused, say

CELLS = list(cells())
LEGAL = [cell for cell in CELLS if cell.to is not None]
ILLEGAL = [cell for cell in CELLS if cell.to is None]


@pytest.mark.parametrize("cell", LEGAL, ids=str)
def test_a_legal_word_brings_both_ends_to_the_same_state(cell: Cell) -> None:
    """S1, [10.1-1]: what the table allows is sent as it is, accepted, and leaves both ends in one state."""
    check_legal(cell)


@pytest.mark.parametrize("cell", ILLEGAL, ids=str)
def test_an_illegal_word_is_not_sent(cell: Cell) -> None:
    """S1, [10.1-1]: the sender refuses, emits nothing, and stays where it is."""
    check_not_sent(cell)


@pytest.mark.parametrize("cell", ILLEGAL, ids=str)
def test_an_illegal_word_is_answered_with_its_code(cell: Cell) -> None:
    """S1, S2, S4, S5, [10.1-2], [10.1-3], [3.1-6]: STATE, fatal before READY and from the wrong end, else a refusal."""
    check_refused(cell)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_the_final_state_absorbs_every_word(role: Role) -> None:
    """[10.1-4]: after the end nothing is sent, nothing is answered, nothing is told."""
    for letter in letters():
        check_absorbed(role, letter)


@pytest.mark.parametrize("state", CONNECTION.states, ids=lambda state: state.name)
def test_version_1_knows_its_own_words_only(state: State) -> None:
    """[1.2-1], [1.2-2], [2.5-2]: a PDU of version 2 is neither sent nor accepted on a version-1 connection."""
    seen = 0
    # Where no version is agreed on yet, and where only a resumption leads, which version 1 does not know.
    elsewhere = (State.START, State.NEGOTIATING, State.EARLY, State.RESUMING)
    for cell in cells():
        if cell.state is not state or state in elsewhere:
            continue
        seen += 1
        if cell.letter.pdu.SPEC.since == 1:
            (check_legal if cell.to is not None else check_not_sent)(cell, version=1)
            continue
        end = ends.at(cell.by, state, version=1)
        with pytest.raises(LocalProtocolError) as caught:
            say(end, cell.letter)
        assert caught.value.code is (Code.STATE if cell.to is None else Code.UNSUPPORTED)
        assert end.output() == []
        rude = ends.at(cell.by.peer, state, version=1)
        number = cell.letter.pdu.SPEC.number
        ends.hear_bytes(rude, framed({codec.VERSION: 1, codec.TYPE: number, codec.ID: 9, codec.BODY: {}}))
        found = ends.outcome(rude)
        if state in FORGIVING:
            assert ends.is_refusal(found, Code.UNSUPPORTED, re=9)
            assert rude.state is state
        else:
            assert ends.is_fatal(found, Code.STATE)
    assert seen or state in (*elsewhere, State.CLOSED)


def framed(outer: dict[int, object]) -> bytes:
    return frame.wrap(cbor2.dumps(outer))


def check_absorbed(role: Role, letter: Letter) -> None:
    """Say it to an end that is over, and have it say so."""
    for end in (ends.at(role, State.CLOSED), ends.at(role, State.AUTHENTICATING), ends.at(role, State.READY)):
        if end.state is not State.CLOSED:
            end.fail(Code.INTERNAL, "", 0.0)
            assert ends.is_fatal(ends.outcome(end), Code.INTERNAL)
            end.events()
        ends.hear(end, sensible(letter))
        end.receive(Closed(0, ""), 0.0)
        end.events()
        end.send(sensible(letter))
        assert end.output() == []
        assert end.state is State.CLOSED
        assert end.timer() is None
