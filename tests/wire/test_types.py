"""The field types: what each loads, dumps, packs and refuses, at its limits."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import cbor2
import pytest

from quicchat.wire.cbor import UINT64
from quicchat.wire.types import KINDS, Array, Bool, Bytes, Choice, Text, Tuple, Type, Uint, UintMap
from tests.strategies import ALL


class Colour(IntEnum):
    RED = 1
    GREEN = 300


class Size(IntEnum):
    SMALL = 1


#: Every type that a PDU uses, once, and what none of them happens to use.
TYPES: list[Type] = [
    *dict.fromkeys(field.type for cls in ALL for field in cls.SPEC.fields),
    Uint(),
    Uint(9, 3),
    Bool(),
    Text(4),
    Text(40, 8),
    Text(9, 1, '[a-z]"?', example="a"),
    Bytes(70_000, 2),
    Choice(Colour),
    Array(Array(Uint(), 2), 3),
    Tuple((Uint(), Text(4), Choice(Colour))),
    UintMap(Bytes(4), 2),
]


@pytest.mark.parametrize("of", TYPES, ids=str)
def test_every_sample_is_legal_and_survives(of: Type) -> None:
    """W20: the samples of a type are legal on either side, and each way of writing one gives the same bytes."""
    samples = list(of.samples())
    assert samples
    for sample in samples:
        assert of.load(of.dump(sample)) == sample
        assert type(of.load(of.dump(sample))) is type(sample)
        assert of.pack(sample) == cbor2.dumps(of.dump(sample))
        assert of.load(cbor2.loads(of.pack(sample))) == sample


@pytest.mark.parametrize("of", TYPES, ids=str)
def test_every_wrong_value_is_refused(of: Type) -> None:
    """W20: what a type calls wrong is a ValueError, and it calls wrong every kind of CBOR item but its own."""
    wrong = dict(of.wrong())
    assert len(set(KINDS) - set(wrong)) == 1
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=r"."):
            of.load(value)
        if name not in ("array", "map") and not name.startswith(("item", "value-", "above", "below", "short", "long")):
            with pytest.raises((ValueError, TypeError)):
                of.dump(value)
            with pytest.raises((ValueError, TypeError)):
                of.pack(value)


@pytest.mark.parametrize("of", TYPES, ids=str)
def test_nothing_stands_for_a_missing_value(of: Type) -> None:
    """spec 02-framing: null is not absence; a field that has no value is left out."""
    for face in (of.load, of.dump, of.pack):
        with pytest.raises(ValueError, match=r"not "):
            face(None)


@pytest.mark.parametrize(
    ("of", "good", "bad"),
    [
        (Uint(9, 3), (3, 9), (2, 10, -1, 3.0, True, "3", None)),
        (Uint(), (0, UINT64), (-1, UINT64 + 1)),
        (Bool(), (True, False), (1, 0, None)),
        (Text(4), ("", "abcd", "€x", "🙂"), ("abcde", "€€", "🙂x", b"abcd", None)),
        (Text(9, 3), ("abc", "€", "€€€"), ("ab", "é", "€€€x")),
        (Text(9, 1, "[a-z]+"), ("a", "abcdefghi"), ("", "abcdefghij", "A", "a\n", "a b")),
        (Bytes(3, 2), (b"ab", b"abc"), (b"a", b"abcd", bytearray(b"ab"), "ab")),
    ],
    ids=str,
)
def test_limits_hold_both_ways(of: Type, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    """W20, W25: limits are inclusive, those of texts are in bytes, and both ends check them."""
    for value in good:
        assert of.load(value) == of.dump(value) == cbor2.loads(of.pack(value)) == value
    for value in bad:
        for face in (of.load, of.dump, of.pack):
            with pytest.raises(ValueError, match=r"not |does not"):
                face(value)


def test_a_lone_surrogate_is_no_text() -> None:
    """W18: what UTF-8 cannot write is refused before it is sent, with or without a pattern."""
    for of in (Text(99), Text(99, 0, ".*")):
        for face in (of.dump, of.pack):
            with pytest.raises(ValueError, match="surrogates not allowed"):
                face("\ud800")


def test_a_checked_name_is_remembered_and_a_bad_one_is_not() -> None:
    """W20: the memory of names that matched changes no verdict."""
    of = Text(3, 1, "[a-z]+", example="a")
    for _ in range(3):
        assert of.pack("abc") == b"\x63abc"
        assert of.load("abc") == "abc"
        for bad in ("abcd", "A", ""):
            with pytest.raises(ValueError, match=r"not"):
                of.load(bad)


def test_an_integer_may_be_a_member_of_an_enum_when_it_is_sent() -> None:
    """spec 09-errors: codes and limits are named in the code and numbers on the wire, nothing else."""
    of = Uint(300)
    assert of.dump(Colour.GREEN) == 300
    assert type(of.dump(Colour.GREEN)) is int
    assert of.pack(Colour.GREEN) == cbor2.dumps(300)
    for face in (of.dump, of.pack):
        with pytest.raises(ValueError, match="from 0 to 300"):
            face(True)


def test_a_choice_knows_its_own_members_only() -> None:
    """W20: a number of another enum, or a bare one, is a mistake of the sender; an unknown one the peer's."""
    of = Choice(Colour)
    assert of.load(300) is Colour.GREEN
    for value in (2, "RED", True, None, 1.0):
        with pytest.raises(ValueError, match="not a Colour"):
            of.load(value)
    for value in (1, Size.SMALL, "RED", None):
        with pytest.raises(ValueError, match="not a Colour"):
            of.pack(value)


def test_a_text_is_not_an_array_of_texts() -> None:
    """W20: mentions="bob" would otherwise name b, o and b."""
    of = Array(Text(9), 4)
    assert of.load(["bob"]) == ("bob",)
    for value in ("bob", ["bob"], {"bob"}, ("x",) * 5, ("x", 1)):
        for face in (of.dump, of.pack):
            with pytest.raises(ValueError, match=r"not a "):
                face(value)


def test_a_tuple_has_exactly_its_items() -> None:
    """W20: an array of fixed length, each item with its own type."""
    of = Tuple((Uint(9), Bool()))
    assert of.load([9, True]) == (9, True)
    for value in ([9], [9, True, 0], (9, True), [True, 9]):
        with pytest.raises(ValueError, match=r"not a"):
            of.load(value)
    for wrong in ((9,), (9, True, 0), [9, True], (True, 9)):
        for face in (of.dump, of.pack):
            with pytest.raises(ValueError, match=r"not a"):
                face(wrong)


def test_a_map_is_written_in_the_order_of_its_keys() -> None:
    """spec 02-framing: keys ascending, so that equal values are equal bytes."""
    of = UintMap(Uint(9), 3)
    assert list(of.dump({300: 1, 2: 2})) == [2, 300]
    assert of.pack({300: 1, 2: 2}) == cbor2.dumps({2: 2, 300: 1})
    assert of.pack({Colour.GREEN: 1}) == cbor2.dumps({300: 1})
    for value in ({-1: 1}, {"a": 1}, {1: 10}, {1: 1, 2: 2, 3: 3, 4: 4}, [(1, 1)]):
        for face in (of.load, of.dump, of.pack):
            with pytest.raises(ValueError, match=r"not a"):
                face(value)


@pytest.mark.parametrize(
    ("of", "cddl"),
    [
        (Uint(), "uint"),
        (Uint(9, 1), "1..9"),
        (Bool(), "bool"),
        (Text(9, 1), "text .size (1..9)"),
        (Text(9, 1, r'a\.|"', example="a."), r'(text .size (1..9)) .and (text .regexp "a\\.|\"")'),
        (Bytes(9), "bytes .size (0..9)"),
        (Bytes(9, 9), "bytes .size 9"),
        (Choice(Colour), "1 / 300"),
        (Array(Bool(), 3), "[0*3 bool]"),
        (Array(Uint(9), 3), "[0*3 (0..9)]"),
        (Array(Text(9), 3), "[0*3 (text .size (0..9))]"),
        (Tuple((Bool(), Uint())), "[bool, uint]"),
        (UintMap(Bytes(4), 2), "{0*2 uint => bytes .size (0..4)}"),
    ],
    ids=str,
)
def test_cddl(of: Type, cddl: str) -> None:
    """spec 02-framing: the schema in RFC 8610; text literals escape as JSON does, so a backslash is two."""
    assert of.cddl() == cddl
