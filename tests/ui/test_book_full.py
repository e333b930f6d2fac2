"""How much the book holds, whatever comes: the cap, floods, and events that no honest server sends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quicchat.ui.book import HEAVY, KEPT, Book
from quicchat.ui.outcomes import Heard
from quicchat.ui.page import BESIDE, EXCERPT
from quicchat.wire.chapters.messages import Kind
from tests.ui.test_book import STATE, read_to, said, told

EVENTS = st.builds(
    lambda seq, kind, about, text: said(seq, text, kind=kind, refs=(about,), reply=about),
    st.integers(1, 30),
    st.sampled_from(sorted(Kind)),
    st.integers(1, 30),
    st.sampled_from(["", "x"]),
)


@given(st.lists(EVENTS, max_size=60), st.integers(1, 20), st.booleans())
def test_no_server_can_break_a_page(events: list[Heard], limit: int, looks: bool) -> None:
    """R0.2: events about themselves, about later ones or about nothing do no harm, in any order and number."""
    book = Book(limit)
    if looks:
        book.look("general", STATE)
    for each in events:
        told(book, each)
        if each.message.seq % 3:
            rows = book.page("general").rows
            assert [row.seq for row in rows] == sorted({row.seq or 0 for row in rows})
    story = book._stories["general"] if events else None
    assert story is None or len(story._stale) <= story.size <= max(limit, KEPT)


def test_the_cap_takes_the_oldest_where_nobody_looks() -> None:
    """Issue 5, item 8: so many events in all; those of the room in view, and 200 of each looked at, go last."""
    book = Book(limit=1000)
    state = read_to(0, 0, "den")
    for room in ("den", "general"):
        book.look(room, state)
    for seq in range(1, 601):
        told(book, said(seq), said(seq, room="den"), said(seq, room="far") if seq <= 300 else None)
    sizes = {room: len(book.page(room).rows) for room in ("general", "den", "far")}
    assert sizes == {"general": 600, "den": 400, "far": 0}
    assert book.page("den").rows[0].seq == 201
    assert book.page("den").more
    for seq in range(601, 1200):
        told(book, said(seq))
    assert {room: len(book.page(room).rows) for room in ("general", "den")} == {"general": 800, "den": KEPT}
    book.past("den", [said(seq, room="den") for seq in range(301, 401)], more=True)
    assert [row.seq for row in book.page("den").rows] == list(range(401, 601))


def test_a_page_that_is_full_asks_for_no_more() -> None:
    """Issue 5, item 8: what is read to fill it up does not push itself out again, over and over."""
    book = Book(limit=1000)
    book.look("general", STATE)
    book.past("general", [said(seq) for seq in range(301, 1101)], more=True)
    assert (book.page("general").more, book.page("general").full) == (True, False)
    book.past("general", [said(seq) for seq in range(201, 301)], more=True)
    assert (book.page("general").more, book.page("general").full) == (False, True)
    assert len(book.page("general").rows) == 900
    book.past("general", [], more=False)
    assert (book.page("general").more, book.page("general").full) == (False, False)


def test_what_is_done_to_messages_counts_as_well() -> None:
    """U10: a flood of reactions to one message takes no more room than as many messages."""
    book = Book(limit=500)
    book.look("general", STATE)
    told(book, said(1))
    for seq in range(2, 2000):
        told(book, said(seq, f"{seq}", kind=Kind.REACT, refs=(1,)))
    story = book._stories["general"]
    assert story.size == 500
    assert len(story._fold.about) == 500
    book.past("general", [said(1)], more=False)
    row = book.page("general").rows
    assert len(row) <= 1
    for number in range(2 * BESIDE):
        book.note("general", "note", bytes([number % 256, number // 256]))
    assert len(book.page("general").rows) - len(row) == BESIDE


def test_a_flood_of_long_texts_takes_no_more_than_its_share() -> None:
    """U10: messages of a megabyte each are not kept by the thousand; the newest always is."""
    book = Book()
    book.look("general", STATE)
    told(book, *(said(seq, room="den") for seq in range(1, 301)))
    for seq in range(1, 51):
        told(book, said(seq, "x" * 1_000_000))
    held = sum(len(row.text) for row in book.page("general").rows)
    assert (held <= HEAVY, book.page("general").rows[-1].seq, len(book.page("den").rows)) == (True, 50, 300)
    assert book.page("general").more
    told(book, said(51, "x" * 2 * HEAVY), said(52, reply=51))
    assert [row.seq for row in book.page("general").rows] == [51, 52]
    assert book.page("general").rows[-1].reply == (51, "bob", "x" * EXCERPT)
