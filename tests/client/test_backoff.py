"""When a client tries again, and when it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.backoff import FIRST, LONGEST, Backoff, is_worth_trying
from quicchat.client.chance import fraction
from quicchat.errors import MEANINGS, Code, LinkLost, Refused, UsageError


@given(st.binary(min_size=8, max_size=8))
def test_waits_are_anywhere_up_to_a_bound_that_doubles(drawn: bytes) -> None:
    """[3.5-7], hostile S20: full jitter, 0.5 s to 60 s, so that a thousand clients do not come back at once."""
    assert 0.0 <= fraction(lambda _: drawn) < 1.0
    backoff = Backoff(lambda _: drawn)
    share = fraction(lambda _: drawn)
    bounds = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [backoff.next() for _ in bounds] == [share * bound for bound in bounds]
    backoff.begin()
    assert backoff.next() == share * FIRST
    assert backoff.next(least=7.0) == 7.0 + share
    assert bounds[-1] == LONGEST


@pytest.mark.parametrize("code", list(MEANINGS))
def test_the_code_says_whether_another_try_makes_sense(code: Code) -> None:
    """protocol §7.10: each code has its verdict; a refused login is tried again only for the moment's sake."""
    assert is_worth_trying(LinkLost(code)) is MEANINGS[code].reconnect
    assert is_worth_trying(Refused(code)) is MEANINGS[code].temporary


def test_other_failures() -> None:
    """Issue item 4: time-outs and vanished servers pass; another protocol and another key do not."""
    assert is_worth_trying(LinkLost(0, "idle timeout", application=False))
    assert is_worth_trying(LinkLost(1, application=False))
    assert not is_worth_trying(LinkLost(0x178, application=False))
    assert not is_worth_trying(UsageError("another key"))
