"""Safety numbers: the vectors, and that both sides see the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.e2ee.numbers import DIGITS, safety_number, same_digits

VECTORS = json.loads((Path(__file__).parents[3] / "spec" / "vectors" / "safety.json").read_text())
USERS = st.from_regex("[a-z0-9_-]{1,32}", fullmatch=True)
MARKS = st.binary(min_size=20, max_size=20)


def by_hand(user: str, fingerprint: bytes) -> str:
    """30 digits as the spec says it, in other words than the code has."""
    number = hashlib.sha512(b"quicchat safety number 1" + bytes(1) + user.encode() + bytes(1) + fingerprint)
    groups = [int(number.hexdigest()[at : at + 10], 16) % 100_000 for at in range(0, 60, 10)]
    return " ".join(f"{group:05d}" for group in groups)


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, str]) -> None:
    """[15.12-1]: as the spec says, in both orders."""
    one = vector["user"], bytes.fromhex(vector["fingerprint"])
    other = vector["other"], bytes.fromhex(vector["other_fingerprint"])
    assert safety_number(one, other) == safety_number(other, one) == vector["digits"]
    assert vector["digits"] == " ".join(sorted((by_hand(*one), by_hand(*other))))


@given(USERS, MARKS, USERS, MARKS)
def test_both_sides_see_the_same(user: str, mark: bytes, other: str, other_mark: bytes) -> None:
    """[15.12-1]: 60 digits in groups of five, in whatever order the users come."""
    number = safety_number((user, mark), (other, other_mark))
    assert number == safety_number((other, other_mark), (user, mark))
    assert [len(group) for group in number.split(" ")] == [5] * 12
    assert number.replace(" ", "").isdecimal()
    assert len(number.replace(" ", "")) == DIGITS


@given(MARKS, MARKS, st.integers(0, 159))
def test_another_identity_shows(mark: bytes, other: bytes, bit: int) -> None:
    """[15.12-1]: a bit of one fingerprint, or the name it goes by, makes other digits."""
    altered = (int.from_bytes(other, "big") ^ 1 << bit).to_bytes(20, "big")
    number = safety_number(("alice", mark), ("bob", other))
    assert number != safety_number(("alice", mark), ("bob", altered))
    assert number != safety_number(("alice", mark), ("bobby", other))


def test_however_it_is_typed() -> None:
    """[15.12-2]: groups and spaces are for people; a digit more or less is another number."""
    shown = safety_number(("alice", bytes(20)), ("bob", bytes(20)))
    bare = shown.replace(" ", "")
    assert same_digits(bare, shown)
    assert same_digits(f" {bare[:30]}\n{bare[30:]}", shown)
    assert same_digits(shown.replace(" ", "-"), shown)
    for typed in ("", bare[:-1], bare + "0", bare[::-1], bare[:30]):
        assert not same_digits(typed, shown)
