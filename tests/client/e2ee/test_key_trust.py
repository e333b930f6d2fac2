"""How far an identity is trusted: the table, every state by every event, and that the spec shows the same."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from quicchat.client.e2ee.trust import SEALS, TABLE, Sight, Trust, after
from quicchat.client.seal import Seal

SPEC = Path(__file__).parents[3] / "spec" / "15-keys.md"
DECISIONS = (Sight.ACCEPT, Sight.VERIFY, Sight.UNTRUST)


def in_the_spec() -> dict[tuple[str, str], str | None]:
    """The table of section 15.11."""
    section = SPEC.read_text().split("\n## 15.11 ")[1].split("\n## ")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    return {
        (row[0], event): to if to != "-" else None for row in rows for event, to in zip(head[1:], row[1:], strict=True)
    }


@pytest.mark.parametrize(("state", "sight"), list(product(Trust, Sight)))
def test_every_state_and_event(state: Trust, sight: Sight) -> None:
    """[15.11-1]: the state after each event in each state is the one of the table in the spec."""
    found = after(state, sight)
    assert in_the_spec()[state.name, sight.name] == (found.name if found is not None else None)


def test_the_spec_shows_no_more() -> None:
    """[15.11-1]: and there are no other states and events."""
    assert set(in_the_spec()) == {(state.name, sight.name) for state, sight in product(Trust, Sight)}
    assert set(SEALS) == set(Trust)


@pytest.mark.parametrize("state", Trust)
def test_only_the_user_settles_what_has_changed(state: Trust) -> None:
    """[15.11-2]: another identity never leads to a settled state of itself, but where none was known."""
    to = after(state, Sight.OTHER)
    assert to is not None
    assert to.is_settled is (state is Trust.UNKNOWN)
    assert all(TABLE[state, Sight.SAME].is_settled for state in Trust if state is not Trust.UNKNOWN)


def test_what_was_verified_blocks() -> None:
    """[15.11-3]: whatever happens to somebody who was verified, a new identity never goes on without the user."""
    reached = {Trust.VERIFIED}
    while more := {TABLE[state, sight] for state in reached for sight in (Sight.SAME, Sight.OTHER)} - reached:
        reached |= more
    assert reached == {Trust.VERIFIED, Trust.BLOCKED}


def test_seals() -> None:
    """[15.11-2]: only what is settled looks as if it were trusted."""
    assert {state for state, seal in SEALS.items() if seal in (Seal.PINNED, Seal.VERIFIED)} == {
        state for state in Trust if state.is_settled
    }
