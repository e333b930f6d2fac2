"""Rows one below the other: what changed little by little is what would be there had it come at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.state import State
from quicchat.ui.book import Book
from quicchat.ui.outcomes import Heard
from quicchat.ui.tui import blocks
from quicchat.ui.tui.blocks import Blocks
from quicchat.ui.tui.rows import Line
from quicchat.ui.tui.rows import lines as wrapped
from quicchat.wire.chapters.messages import Kind
from tests.ui.test_book import read_to, said
from tests.ui.tui.window import NOON, one

HOUR = 3_600_000
STATE = State(user="alice")


def event(seq: int, kind: Kind, about: int) -> Heard:
    """An event of a log with several a day; some of its texts are long."""
    refs = None if kind is Kind.TEXT else (about,)
    text = f"{seq} " + "bla " * (seq * 7 % 60)
    return said(seq, text, kind=kind, refs=refs, ts=NOON + seq * 5 * HOUR, sender="bob" * (1 + seq % 3))


def all_lines(sheet: Blocks) -> list[Line]:
    """Everything, wrapped from the first row to the last."""
    for where in range(0, len(sheet), 5):
        sheet.wrap(where, 20)
    return [sheet.line(at)[1] for at in range(sheet.total)]


STEPS = st.lists(
    st.tuples(st.sampled_from(["live", "past", "look", "edit", "retract", "note"]), st.integers(1, 40)), max_size=25
)


@given(STEPS, st.sampled_from([40, 80]), st.integers(10, 400))
def test_what_grew_is_what_would_be_there_at_once(steps: list[tuple[str, int]], width: int, limit: int) -> None:
    """Issue 5, item 1: whatever comes, goes or changes, no row, day line or new line is lost, old or doubled."""
    book, sheet = Book(limit), Blocks()
    book.look("general", STATE)
    first, last = 1000, 999
    for step, count in steps:
        if step == "live":
            for seq in range(last + 1, last + count + 1):
                book.tell(event(seq, Kind.TEXT, 0), STATE)
            last += count
        elif step == "past":
            book.past("general", [event(seq, Kind.TEXT, 0) for seq in range(first - count, first)], more=True)
            first -= count
        elif step == "look":
            book.look("", read_to(last, last))
            book.look("general", read_to(max(first, last - count), last))
        elif step == "note":
            book.note("general", "note", bytes([count]))
        elif last - count >= first:
            last += 1
            kind = Kind.EDIT if step == "edit" else Kind.RETRACT
            book.tell(event(last, kind, last - 1 - count), STATE)
        sheet.take(book.page("general"))
        sheet.shape(width, "%H:%M", "alice", ())
        sheet.wrap(None, 5)
    fresh = Blocks()
    fresh.take(book.page("general"))
    fresh.shape(width, "%H:%M", "alice", ())
    if fresh.form == sheet.form:
        assert all_lines(sheet) == all_lines(fresh)
    assert [sheet.row(at) for at in range(len(sheet))] == list(book.page("general").rows)


def test_only_what_changed_is_wrapped_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5, measured: 5,000 rows are not wrapped at once, nor again for each message, nor for another width."""
    count = 0

    def counted(*args: Any) -> Any:
        nonlocal count
        count += 1
        return wrapped(*args)

    monkeypatch.setattr(blocks, "lines", counted)
    book = Book()
    book.past("general", [said(seq) for seq in range(1, 5001)], more=False)
    sheet = Blocks()

    def put(width: int = 80, where: int | None = None) -> int:
        nonlocal count
        count = 0
        sheet.take(book.page("general"))
        sheet.shape(width, "%H:%M", "alice", ())
        sheet.wrap(where, 30)
        return count

    assert put() <= 60
    assert put() == 0
    book.tell(one(5001), STATE)
    assert (len(sheet), put(), len(sheet)) == (5000, 1, 5000)
    book.tell(one(5002, "other", kind=Kind.EDIT, refs=(5001,)), STATE)
    assert put() == 1
    assert put(100) <= 60
    for where in range(0, 5000, 100):
        put(100, where)
    assert sum(each.lines is not None for each in sheet._blocks) <= 1200
