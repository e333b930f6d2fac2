"""A PDU that did not exist a moment ago: one file, and everything that follows from the registry has it."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol import judgement, writing
from quicchat.tools.specgen import output, vectors
from quicchat.wire import codec
from quicchat.wire.machine import Machine
from quicchat.wire.machines import CHAPTERS, Chapter, connection_machine
from quicchat.wire.registry import REGISTRY, Pdu, Role
from quicchat.wire.states import State
from tests.conformance.cases import cells
from tests.conformance.checks import check_bodies, check_legal, check_not_sent, check_refused, check_samples

#: All that anybody writes to add a PDU.
CHAPTER = '''
"""Toys: a chapter that lives as long as one test. (spec 11-toys)"""

from quicchat.wire.fields import SHORT
from quicchat.wire.registry import CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import State, stay
from quicchat.wire.types import Array, Uint


@pdu(0x7c, "TOY", by=CLIENT, via=Via.CONTROL | Via.QUERY, section="11.1", since=2)
class Toy(Pdu):
    """Asks for toys; answered by TOY_R."""

    name: str = key(1, SHORT, "what to play with")
    sizes: tuple[int, ...] | None = key(2, Array(Uint(99, 1), 7), "how big they may be", default=None)


@pdu(0x7d, "TOY_R", by=SERVER, via=Via.CONTROL | Via.QUERY, section="11.1", since=2)
class Toys(Pdu):
    """Some toys."""

    count: int = key(1, Uint(99), "how many there are")


ROWS = tuple(stay((State.READY,), Toy, Toys))
'''


@dataclass(frozen=True, slots=True)
class Playroom:
    """The vocabulary with the toys in it."""

    chapters: tuple[Chapter, ...]
    machine: Machine[State]
    toys: list[type[Pdu]]


@pytest.fixture
def playroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Playroom]:
    """The toy chapter, in the registry and in the automaton; afterwards it never was."""
    (tmp_path / "toy_chapter.py").write_text(CHAPTER)
    monkeypatch.syspath_prepend(tmp_path)
    before = list(REGISTRY)
    module = importlib.import_module("toy_chapter")
    toys = [cls for cls in REGISTRY if cls not in before]
    try:
        chapters = (*CHAPTERS, module)
        machine = connection_machine(chapters)
        for user in (writing, judgement):
            monkeypatch.setattr(user, "CONNECTION", machine)
        yield Playroom(chapters, machine, toys)
    finally:
        for cls in toys:
            REGISTRY.remove(cls)
        del sys.modules["toy_chapter"]


def test_the_codec_has_it(playroom: Playroom) -> None:
    """Issue 1, "a toy PDU": bytes there and back, with its limits."""
    toy = playroom.toys[0](name="brick", sizes=(1, 99))  # type: ignore[call-arg]
    data = codec.encode(toy, version=2, id=5)
    assert codec.decode(data, version=2).pdu == toy
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode(data.replace(b"\x18\x63", b"\x18\x64"), version=2)
    assert caught.value.code is Code.SCHEMA


def test_the_specification_has_it(playroom: Playroom) -> None:
    """Issue 1, "a toy PDU": CDDL, diagrams, tables, examples and vectors, and nothing else changes."""
    before = output.generate()
    after = output.generate(REGISTRY, playroom.chapters)

    def text(name: str) -> str:
        return after.get(f"spec/{name}") or after[f"spec/generated/{name}"]

    assert "TOY = {envelope, 1 => 124, 5 => TOY-body}" in text("quicchat.cddl")
    assert "? 2 => [0*7 (1..99)]," in text("quicchat.cddl")
    assert "| 0x7c | TOY | client | control, query | 2 | TOY_R |" in text("pdus.md")
    assert "| 1 | name | `text .size (0..64)` |  | 2 | what to play with |" in text("toy_chapter.md")
    assert "## TOY\n" in text("examples.md")
    for picture in ("states.mmd", "states.dot", "states.md"):
        assert re.search(r"KEY_RESTORE,(?:\s|\\l)+TOY\b", text(picture))
        assert "TOY_R" in text(picture)
    golden = json.loads(after["spec/vectors/toy_chapter.json"])
    assert {vector["pdu"] for vector in golden["valid"]} == {"TOY", "TOY_R"}
    assert {"TOY name missing", "TOY sizes above", "TOY_R count above"} <= {each["name"] for each in golden["invalid"]}
    for name in ("rooms.md", "errors.md", "session.md"):
        assert text(name) == before[f"spec/generated/{name}"]


def test_the_conformance_cases_have_it(playroom: Playroom) -> None:
    """Issue 1, "a toy PDU": every state and both ends, every field; and they pass."""
    own = [cell for cell in cells(playroom.machine) if cell.letter.pdu in playroom.toys]
    assert len(own) == 2 * 2 * (len(playroom.machine.states) - 1)
    legal = [(cell.state, cell.by, cell.letter.pdu.SPEC.name) for cell in own if cell.to is not None]
    assert sorted(legal, key=str) == sorted(
        [
            (state, by, name)
            for state in (State.READY, State.DRAINING)
            for by, name in ((Role.CLIENT, "TOY"), (Role.SERVER, "TOY_R"))
        ],
        key=str,
    )
    for cell in own:
        if cell.to is not None:
            check_legal(cell)
        else:
            check_not_sent(cell)
            check_refused(cell)
    for cls in playroom.toys:
        for field in cls.SPEC.fields:
            check_samples(cls, field)
        check_bodies(cls)
        assert list(vectors.good(cls))


def test_it_leaves_no_trace() -> None:
    """Issue 1, "a toy PDU": after the test the vocabulary is what it was."""
    assert all(cls.SPEC.name not in ("TOY", "TOY_R") for cls in REGISTRY)
    assert not any("TOY" in text for text in output.generate().values())
    assert "toy_chapter" not in sys.modules
