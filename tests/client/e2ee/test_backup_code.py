"""The recovery code: what is typed wrongly is told at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.e2ee import recovery
from quicchat.client.e2ee.faults import BadKey

CHANCE = st.binary(min_size=15, max_size=15)


@given(CHANCE)
def test_a_code_has_36_digits_and_is_read_in_any_grouping(chance: bytes) -> None:
    """[15.9-20]: in nine groups of four, as it is shown; in threes, with hyphens, in wide digits."""
    code = recovery.made(lambda _: b"\0" + chance[1:])
    assert len(code) == 36
    assert recovery.shown(code).split(" ") == [code[at : at + 4] for at in range(0, 36, 4)]
    threes = "-".join(code[at : at + 3] for at in range(0, 36, 3))
    wide = "".join(chr(ord("０") + int(each)) for each in code)
    for typed in (code, recovery.shown(code), threes, f"  {recovery.shown(code)}\n", wide):
        assert recovery.read(typed) == code


@given(CHANCE, st.integers(0, 35), st.integers(1, 9))
def test_a_digit_that_was_misread_is_told(chance: bytes, at: int, off: int) -> None:
    """[15.9-20]: each wrong digit, wherever it stands."""
    code = recovery.made(lambda _: b"\0" + chance[1:])
    wrong = code[:at] + str((int(code[at]) + off) % 10) + code[at + 1 :]
    with pytest.raises(BadKey, match="slip"):
        recovery.read(wrong)


@given(CHANCE, st.integers(0, 34))
def test_two_digits_that_changed_places_are_told(chance: bytes, at: int) -> None:
    """[15.9-20]: neighbours, the commonest slip of all."""
    code = recovery.made(lambda _: b"\0" + chance[1:])
    wrong = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    if wrong == code:
        assert recovery.read(wrong) == code
    else:
        with pytest.raises(BadKey, match="slip"):
            recovery.read(wrong)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "no recovery code"),
        ("1234", "36 digits, and this has 4"),
        ("12" * 20, "36 digits, and this has 40"),
        ("1234 567O", "only digits"),
        ("٣" * 36, "slip|only digits"),
    ],
)
def test_what_is_no_code_is_told_as_what_it_is(typed: str, words: str) -> None:
    """[15.9-20]: how many digits there are, or that it has letters."""
    with pytest.raises(BadKey, match=words):
        recovery.read(typed)


def test_numbers_that_would_favour_some_codes_are_drawn_again() -> None:
    """A code is as likely as any other: what is left above the last whole multiple is not used."""
    drawn = [bytes(15), b"\xff" * 15]
    assert recovery.made(lambda _: drawn.pop()) == "0" * 34 + "98"
    assert not drawn
