"""What a screen shows of what is sealed: rows whose words come later, and what is kept back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.events import Progress
from quicchat.client.events import Sent as Reach
from quicchat.client.memory import Entry
from quicchat.client.seal import Seal, opened
from quicchat.ui.book import Book
from quicchat.ui.outcomes import Entered, Heard, Reached, Readable
from quicchat.ui.page import Row
from quicchat.ui.seals import seen
from quicchat.wire.chapters.messages import Kind, Post
from tests.ui.items import message
from tests.ui.test_book import STATE, said, told

UNREAD = [seal for seal in Seal if not seal.opened]


def sealed(seq: int, seal: Seal, text: str = "", **facts: Any) -> Heard:
    usual: dict[str, Any] = {"cid": seq.to_bytes(16, "big"), "ts": seq * 1000}
    return Heard(seen(opened(message(text or f"text {seq}", "general", seq=seq, **usual | facts), seal)), 1)


def row(book: Book, seq: int) -> Row:
    (found,) = [each for each in book.page("general").rows if each.seq == seq]
    return found


@pytest.mark.parametrize("seal", UNREAD)
def test_words_come_later(seal: Seal) -> None:
    """[12.16-9]: the row stands in its place, without words, and has them once its key is there; none is doubled."""
    book = told(Book(), said(1), sealed(2, seal, reply=1), said(3))
    before = row(book, 2)
    assert (before.text, before.retracted, before.reply, before.mark) != ("", True, None, "")
    assert before.seal
    assert not before.retracted
    readable = Readable("general", [sealed(2, Seal.PINNED, "at last", reply=1, mentions=("alice",))])
    assert book.tell(readable, STATE) == {"general"}
    after = row(book, 2)
    assert (after.text, after.seal, after.mark, after.named) == ("at last", "", "", True)
    assert after.reply == (1, "bob", "text 1")
    assert [each.seq for each in book.page("general").rows] == [1, 2, 3]
    assert book.tell(readable, STATE) == set()
    # What is not held is read once somebody scrolls there.
    assert book.tell(Readable("general", [sealed(7, Seal.PINNED)]), STATE) == set()
    assert [each.seq for each in book.page("general").rows] == [1, 2, 3]


def test_it_may_turn_out_that_they_never_come() -> None:
    """[12.16-6]: another reason replaces the one before; what is known is not forgotten again."""
    book = told(Book(), sealed(1, Seal.WAITING))
    waiting = row(book, 1).seal
    assert book.tell(Readable("general", [sealed(1, Seal.LOST)]), STATE) == {"general"}
    assert row(book, 1).seal not in ("", waiting)
    book.tell(Readable("general", [sealed(1, Seal.OWN)]), STATE)
    book.past("general", [sealed(1, Seal.WAITING)], more=False)
    assert (row(book, 1).text, row(book, 1).seal) == ("text 1", "")


def test_a_correction_that_waits_changes_nothing_yet() -> None:
    """[12.16-7]: the message says what it said; once the correction can be read it says that."""
    edit: dict[str, Any] = {"kind": Kind.EDIT, "refs": (1,)}
    book = told(Book(), sealed(1, Seal.PINNED), sealed(2, Seal.WAITING, **edit))
    assert (row(book, 1).text, row(book, 1).edited) == ("text 1", False)
    book.tell(Readable("general", [sealed(2, Seal.PINNED, "mended", **edit)]), STATE)
    assert (row(book, 1).text, row(book, 1).edited) == ("mended", True)


def test_keys_of_sessions_make_no_row() -> None:
    """[12.16-8]: the log has no gap, and nobody sees anything of it; nothing was said there."""
    book = told(Book(), said(1), said(2, "", kind=Kind.KEY), said(3, "", kind=Kind.KEY))
    assert [each.seq for each in book.page("general").rows] == [1]
    assert book.oldest("general") == 1
    (tab,) = book.tabs(STATE)
    assert tab.at == 1000
    fresh = told(Book(), said(7, "", kind=Kind.KEY))
    assert fresh.oldest("general") == 7


def test_forged_messages_are_nobodys() -> None:
    """[12.16-7]: one that claims to be ours is neither edited as ours nor marked as sent."""
    book = told(Book(), sealed(1, Seal.FORGED, sender="alice"), sealed(2, Seal.OWN, sender="alice"))
    assert (row(book, 1).own, row(book, 1).mark) == (False, "!")
    assert (row(book, 2).own, row(book, 2).mark) == (True, "v")


def test_what_is_held_back_says_why() -> None:
    """[12.16-10]: the message waits in its place with the command that helps; once that is done, without."""
    cid = b"h" * 16
    entry = Entry(order=1, post=Post(room="general", cid=cid, text="hello"), room="general", state=Reach.QUEUED)
    book = Book(outbox=lambda: [entry])
    why = "bob shows another identity: /accept bob or /verify bob"
    book.tell(Reached(Progress(cid, "general", None, Reach.QUEUED, reason=why), held=True), STATE)
    (held,) = book.page("general").rows
    assert (held.reason, held.mark) == (why, ".")
    book.tell(Reached(Progress(cid, "general", None, Reach.QUEUED, reason="the server is busy")), STATE)
    (busy,) = book.page("general").rows
    assert busy.reason == ""
    book.tell(Reached(Progress(cid, "general", None, Reach.SENT)), STATE)
    (sent,) = book.page("general").rows
    assert (sent.reason, sent.mark) == ("", ">")


STEPS = st.tuples(st.integers(1, 6), st.sampled_from([*UNREAD, Seal.PINNED, None]))


@given(st.lists(STEPS, max_size=20), st.integers(2, 6))
def test_it_holds_as_many_as_it_counts(steps: Sequence[tuple[int, Seal | None]], limit: int) -> None:
    """[12.16-9]: whatever becomes readable when, the book holds no more than it may, and forgets none."""
    book = told(Book(limit), Entered(user="alice", place="", version=2, session=1))
    for seq, seal in steps:
        if seal is None:
            book.tell(said(seq, "", kind=Kind.KEY), STATE)
        else:
            book.tell(sealed(seq, seal), STATE)
            book.tell(Readable("general", [sealed(7 - seq, Seal.PINNED)]), STATE)
        held = book._stories["general"]
        assert book._size == held.size <= limit
        assert held.weight == sum(held._weights) == sum(len(each.text) for each in book.page("general").rows)
