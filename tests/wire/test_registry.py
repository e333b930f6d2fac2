"""The registry: what `@pdu` makes of a class, what it refuses, and that the vocabulary is in order."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator

import pytest

from quicchat.wire.chapters import accounts, messages, presence, rooms, session
from quicchat.wire.codec import decode_body, encode_body
from quicchat.wire.machines import CHAPTERS
from quicchat.wire.registry import (
    BOTH,
    CLIENT,
    FIRST_EXTENSION_KEY,
    LAST_CORE_TYPE,
    RECORDS,
    REGISTRY,
    SERVER,
    VERSIONS,
    Pdu,
    Registry,
    Role,
    Via,
    key,
    pdu,
    record,
)
from quicchat.wire.types import Bool, Text, Uint
from tests.strategies import ALL, name_of

by_class = pytest.mark.parametrize("cls", ALL, ids=name_of)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Whatever a test enters is taken out again."""
    before = set(REGISTRY)
    yield
    for cls in set(REGISTRY) - before:
        REGISTRY.remove(cls)
    assert set(REGISTRY) == before


def entering(number: int = 0x7010, name: str = "TEST", **more: object) -> Callable[[type[Pdu]], type[Pdu]]:
    """`@pdu` with little to say."""
    facts = {"by": BOTH, "via": Via.CONTROL, "section": "0", **more}
    return pdu(number, name, **facts)  # type: ignore[arg-type]


def test_what_pdu_makes() -> None:
    """design §2.1: a frozen dataclass whose facts are all in SPEC, fields in the order of their keys."""

    @pdu(0x7010, "TEST", by=SERVER, via=Via.ROOM | Via.FILE, section="9.9", since=2, replay_safe=True)
    class Test(Pdu):
        """Says nothing."""

        late: int | None = key(7, Uint(9), "the last", default=None, since=2)
        first: bool = key(1, Bool(), "the first")

    spec = Test.SPEC
    assert (spec.number, spec.name, spec.by, spec.via) == (0x7010, "TEST", SERVER, Via.ROOM | Via.FILE)
    assert (spec.section, spec.since, spec.outcomes, spec.replay_safe, spec.doc) == (
        "9.9",
        2,
        (),
        True,
        "Says nothing.",
    )
    assert [(f.name, f.key, f.since, f.optional, f.doc) for f in spec.fields] == [
        ("first", 1, 1, False, "the first"),
        ("late", 7, 2, True, "the last"),
    ]
    assert spec.by_key == {1: spec.fields[0], 7: spec.fields[1]}
    assert REGISTRY.get(0x7010) is Test
    made = Test(first=True)
    assert (made.first, made.late, made.extra) == (True, None, None)
    assert made == Test(first=True, late=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.first = False  # type: ignore[misc]
    with pytest.raises(TypeError):
        Test(True)  # type: ignore[call-arg,arg-type]


def test_a_number_or_a_name_is_given_once() -> None:
    """design §2.1: two PDUs cannot be mistaken for each other."""
    ping = session.Ping.SPEC
    for number, name in ((ping.number, "OTHER"), (0x7010, ping.name)):
        with pytest.raises(ValueError, match="clashes with PING"):
            entering(number, name)(type("Other", (Pdu,), {"__doc__": "Test.", "__annotations__": {}}))


def test_a_key_is_given_once() -> None:
    """design §2.1: two fields cannot be mistaken for each other."""

    class Twice(Pdu):
        one: int = key(1, Uint(), "")
        two: int = key(1, Uint(), "")

    with pytest.raises(ValueError, match="TEST: a body key is used twice"):
        entering()(Twice)


def test_outcome_words_and_the_property_go_together() -> None:
    """spec 10-states: what moves the machine is a letter of the alphabet, and every such letter can be spelled."""

    def silent() -> type[Pdu]:
        return type("Silent", (Pdu,), {})

    def telling() -> type[Pdu]:
        return type("Telling", (Pdu,), {"outcome": property(lambda _: "yes")})

    with pytest.raises(ValueError, match="go together"):
        entering(outcome=("yes", "no"))(silent())
    with pytest.raises(ValueError, match="go together"):
        entering()(telling())
    assert entering(outcome=("yes",))(telling()).SPEC.outcomes == ("yes",)


def test_none_is_the_only_default() -> None:
    """W20: absent and None are one; a default would make a PDU that was sent differ from the one that came."""
    with pytest.raises(ValueError, match="key 1: "):
        key(1, Uint(), "", default=0)


def test_nothing_runs_when_a_pdu_is_decoded() -> None:
    """W20: checks that the codec would pass over are refused where they are written."""

    class Checking(Pdu):
        def __post_init__(self) -> None:
            raise AssertionError

    with pytest.raises(ValueError, match="TEST: the codec does not run __post_init__"):
        entering()(Checking)


def test_the_registry_is_in_numeric_order() -> None:
    """design §2.1: every table generated from it is the same in every run."""
    numbers = [cls.SPEC.number for cls in REGISTRY]
    assert numbers == sorted(numbers)
    ours = Registry()
    for cls in (session.Pong, session.Ping, messages.Message):
        ours.add(cls)
    assert list(ours) == [session.Ping, session.Pong, messages.Message]
    assert ours.sent_by(Role.CLIENT) == [session.Ping, session.Pong]
    assert ours.sent_by(Role.SERVER) == list(ours)
    assert ours.get(1) is None
    ours.remove(session.Pong)
    assert list(ours) == [session.Ping, messages.Message]


def test_roles() -> None:
    """spec 10-states: two ends, each the other's peer, found in a table by identity."""
    assert Role.CLIENT.peer is Role.SERVER
    assert Role.SERVER.peer is Role.CLIENT
    assert {Role("client"): 1}[Role.CLIENT] == 1
    assert CLIENT | SERVER == BOTH
    assert not CLIENT & SERVER


# The vocabulary


@by_class
def test_a_pdu_is_told_in_full(cls: type[Pdu]) -> None:
    """R3.15: what the specification prints of a PDU is there: a sentence, a section, and a word for every field."""
    spec = cls.SPEC
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*", spec.name)
    assert re.fullmatch(r"\d+\.\d+", spec.section)
    assert spec.doc.splitlines()[0].endswith(".")
    assert spec.by
    assert spec.via
    assert spec.since in VERSIONS
    for field in spec.fields:
        assert field.doc
        assert field.since in VERSIONS
        assert field.since >= spec.since or field.since == 1


@by_class
def test_numbers_and_keys_belong_to_the_core(cls: type[Pdu]) -> None:
    """W22, W23: types up to 127 and keys below 32 are ours; beyond, odd and even have a meaning."""
    assert 0 < cls.SPEC.number <= LAST_CORE_TYPE
    assert all(0 < field.key < FIRST_EXTENSION_KEY for field in cls.SPEC.fields)


def test_the_core_of_version_1() -> None:
    """protocol §1: version 1 is the classic core and nothing more."""
    names = {cls.SPEC.name for cls in ALL if cls.SPEC.since == 1}
    assert names == {
        "VERSION_REQUEST",
        "VERSION_RESPONSE",
        "PING",
        "PONG",
        "ERROR",
        "OK",
        "BYE",
        "ECHO",
        "AUTH_START",
        "AUTH_CHALLENGE",
        "AUTH_RESPONSE",
        "AUTH_OK",
        "SIGNUP",
        "MSG_SEND",
        "MSG_ACK",
        "MSG",
        "PRESENCE_SNAPSHOT",
    }


def test_numbers_of_the_protocol() -> None:
    """protocol §4: numbers given there stay."""
    given = {
        0x01: session.VersionRequest,
        0x02: session.VersionResponse,
        0x05: session.Error,
        0x10: accounts.AuthStart,
        0x13: accounts.AuthOk,
        0x21: rooms.Join,
        0x22: rooms.Leave,
        0x30: messages.Post,
        0x31: messages.Posted,
        0x32: messages.Message,
        0x43: messages.History,
        0x52: presence.PresenceSnapshot,
    }
    for number, cls in given.items():
        assert REGISTRY.get(number) is cls
    assert [field.name for field in messages.Message.SPEC.fields][:8] == [
        "room",
        "epoch",
        "seq",
        "cid",
        "sender",
        "device",
        "kind",
        "ts",
    ]


def test_every_pdu_is_in_a_chapter_of_the_machine() -> None:
    """design §2.2: no chapter is left out when the automaton is put together."""
    homes = {cls.__module__ for cls in ALL}
    assert homes == {chapter.__name__ for chapter in CHAPTERS}


def test_a_record_that_never_leaves_the_device() -> None:
    """A record without a section is packed like any other, and stands in no table."""

    @record("note", section="")
    class Note(Pdu):
        """For this test."""

        text: str = key(1, Text(9), "anything")

    assert Note not in RECORDS
    assert decode_body(Note, encode_body(Note(text="x"), version=2), version=2) == Note(text="x")
