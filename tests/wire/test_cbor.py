"""CBOR: its heads, against cbor2 and RFC 8949, and what the profile lets an extension hold."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest

from quicchat.wire import cbor
from quicchat.wire.cbor import MAX_PAIRS, UINT64, plain

EDGES = (0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1)


@pytest.mark.parametrize("value", EDGES)
def test_an_integer_takes_the_fewest_bytes(value: int) -> None:
    """spec 02-framing, "the encoder writes deterministic CBOR": RFC 8949 section 4.2.1, shortest argument."""
    assert cbor.head(cbor.UINT, value) == cbor2.dumps(value)
    assert len(cbor.head(cbor.UINT, value)) == 1 + (value > 23) + (value > 255) + 2 * (value > 65_535) + 4 * (
        value > 2**32 - 1
    )


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65_535, 65_536])
def test_a_string_has_its_length_before_it(size: int) -> None:
    """RFC 8949 section 3.1, major types 2 to 5: the argument is the length."""
    assert cbor.head(cbor.BYTES, size) + bytes(size) == cbor2.dumps(bytes(size))
    assert cbor.head(cbor.TEXT, size) + b"x" * size == cbor2.dumps("x" * size)
    assert cbor.head(cbor.ARRAY, size) + bytes(size) == cbor2.dumps([0] * size)
    assert cbor.head(cbor.MAP, size) == cbor2.dumps(dict.fromkeys(range(size), 0))[: len(cbor.head(cbor.MAP, size))]


def test_the_simple_values() -> None:
    """RFC 8949 section 3.3."""
    assert cbor2.loads(cbor.FALSE) is False
    assert cbor2.loads(cbor.TRUE) is True


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        UINT64,
        -UINT64 - 1,
        "x",
        b"x",
        [],
        {},
        [[{1: [None]}]],
        {UINT64: {0: 0}},
        dict.fromkeys(range(64)),
    ],
    ids=str,
)
def test_what_an_extension_may_hold(value: object) -> None:
    """W23: what a relay keeps unread still keeps to the profile."""
    assert plain(value, 14)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        UINT64 + 1,
        -UINT64 - 2,
        cbor2.undefined,
        cbor2.CBORSimpleValue(99),
        (1,),
        {1},
        [1.0],
        {1: 1.0},
        {-1: 1},
        {"a": 1},
        {True: 1},
        dict.fromkeys(range(MAX_PAIRS + 1)),
    ],
    ids=str,
)
def test_what_an_extension_may_not_hold(value: object) -> None:
    """W19, W23: floats, simple values, integers beyond 64 bits, keys that are not unsigned, too many pairs."""
    assert not plain(value, 14)


def test_an_extension_is_nested_so_deep_and_no_deeper() -> None:
    """W12: what we relay, the next one can read."""
    value: Any = 0
    for depth in range(4):
        assert plain(value, depth)
        value = [value] if depth % 2 else {1: value}
    assert not plain(value, 3)
    endless: list[object] = []
    endless.append(endless)
    assert not plain(endless, 14)
