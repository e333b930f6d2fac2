"""What a screen shows of the rooms: the same page, however its events came, and no message twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.events import Progress, Reset
from quicchat.client.events import Sent as Reach
from quicchat.client.memory import Entry
from quicchat.client.state import RoomView, State
from quicchat.ui.book import Book
from quicchat.ui.outcomes import Entered, Gone, Heard, Here, Reached
from quicchat.ui.page import Row
from quicchat.wire.chapters.messages import SAID, Kind, Message, Post
from quicchat.wire.names import ANNOUNCEMENTS
from tests.client.test_view import event, logs, read_anew
from tests.ui.items import heard

STATE = State(user="alice", rooms={"general": RoomView(room="general")})


def entered(state: State = STATE) -> Entered:
    return Entered(user=state.user, place="localhost:1", version=2, session=7)


def read_to(read: int, head: int, room: str = "general") -> State:
    view = RoomView(room=room, head=head, read=read, unread=head - read)
    return replace(STATE, rooms={**STATE.rooms, room: view})


def said(seq: int, text: str | None = None, *, room: str = "general", **facts: Any) -> Heard:
    usual: dict[str, Any] = {"cid": seq.to_bytes(16, "big"), "ts": seq * 1000}
    return heard(f"text {seq}" if text is None else text, room, seq=seq, **(usual | facts))


def told(book: Book, *items: object, state: State = STATE) -> Book:
    for item in items:
        book.tell(item, state)
    return book


def texts(book: Book, room: str = "general") -> list[str]:
    return [row.text for row in book.page(room).rows]


def bare(rows: Sequence[Row]) -> list[Row]:
    """But for what tells only how it came."""
    return [replace(row, late=False) for row in rows]


# The fold


@given(logs(), st.data())
def test_a_room_looks_the_same_however_its_events_came(log: list[Message], data: st.DataObject) -> None:
    """Design §8: pages of the past and what is heard live may come in any order, and more than once."""
    fresh = read_anew(log)
    ordered = told(Book(), *(Heard(each, None) for each in fresh)).page("general").rows
    # What is heard live says what a page of the past, read after it was taken back, says no more.
    parts = [*data.draw(st.permutations(log)), *data.draw(st.lists(st.sampled_from(fresh)))]
    mixed = told(Book(), entered())
    for each in data.draw(st.permutations(parts)):
        if data.draw(st.booleans()):
            mixed.past("general", [Heard(each, None)], more=True)
        else:
            mixed.tell(Heard(each, 1), STATE)
        if data.draw(st.booleans()):
            mixed.page("general")
    assert bare(mixed.page("general").rows) == bare(ordered)


# Rows


def test_what_becomes_of_a_message() -> None:
    """Issue 5, item 1: edits, reactions, replies and pins stand with the message that they are about."""
    book = told(
        Book(),
        said(1, "helo", sender="alice"),
        said(2, "ha", reply=1),
        said(3, "hello", kind=Kind.EDIT, refs=(1,), sender="alice"),
        said(4, "+1", kind=Kind.REACT, refs=(1,)),
        said(5, "+1", kind=Kind.REACT, refs=(1,), sender="alice"),
        said(6, "", kind=Kind.PIN, refs=(1,)),
        said(7, "alice, look", mentions=("alice",)),
    )
    first, second, third = book.page("general").rows
    assert (first.text, first.edited, first.pinned, first.own, first.mark) == ("hello", True, True, True, "v")
    assert first.reactions == (("+1", 2, True),)
    assert second.reply == (1, "alice", "hello")
    assert (second.own, second.mark, second.named, third.named) == (False, "", False, True)
    told(book, said(8, "", kind=Kind.RETRACT, refs=(1,), sender="alice"))
    first, second, _ = book.page("general").rows
    assert (first.text, first.retracted, first.reactions, first.pinned) == ("", True, (), False)
    assert second.reply == (1, "alice", "")


def test_what_happens_in_a_room_is_told_in_words() -> None:
    """Issue 5, item 1: entries, departures, topics and ranks are lines of their own."""
    book = told(
        Book(),
        said(1, "x", kind=Kind.JOIN),
        said(2, "", kind=Kind.LEAVE),
        said(3, "", kind=Kind.LEAVE, by="carol"),
        said(4, "tea", kind=Kind.TOPIC),
        said(5, "bob is an owner now", kind=Kind.ROLE),
    )
    assert texts(book) == [
        "bob joined",
        "bob left",
        "carol put bob out",
        "bob changes what it is about: tea",
        "bob is an owner now",
    ]
    assert not any(row.said for row in book.page("general").rows)


def test_a_file_is_shown_with_its_size_and_how_to_get_it() -> None:
    """Issue 5, item 1: files stand with their names and sizes."""
    files = ((b"f" * 32, 1_234_567, "image/jpeg", "photo.jpg", 0),)
    book = told(Book(), said(1, "photo.jpg", kind=Kind.FILE, attachments=files), said(2, reply=1))
    row, answer = book.page("general").rows
    assert answer.reply == (1, "bob", "photo.jpg")
    assert (row.files, row.get, row.text) == ((("photo.jpg", 1_234_567),), "photo.jpg", "")
    gone = told(Book(), said(1, "", kind=Kind.FILE)).page("general").rows[0]
    assert gone.retracted


def test_late_messages_stand_in_the_order_of_the_log() -> None:
    """Issue 5, item 1: what waited comes after what is new, and stands before it."""
    book = told(Book(), said(7), replace(said(5), late=True), replace(said(6), late=True))
    assert [(row.seq, row.late) for row in book.page("general").rows] == [(5, True), (6, True), (7, False)]


# Our own


def entry(state: Reach, seq: int | None = None, number: int = 9, **facts: Any) -> Entry:
    post = Post(room="general", cid=number.to_bytes(16, "big"), text="mine", **facts)
    return Entry(order=number, post=post, room="general", state=state, seq=seq)


def reached(state: Reach, seq: int | None = None, number: int = 9, **facts: Any) -> Reached:
    return Reached(Progress(number.to_bytes(16, "big"), "general", seq, state, **facts))


def test_what_we_say_is_shown_at_once_and_takes_its_place_once() -> None:
    """Issue 5, item 1: a message of one's own carries the mark of how far it has come, and is never there twice."""
    outbox: list[Entry] = [entry(Reach.QUEUED)]
    book = told(Book(outbox=lambda: outbox), said(1))
    marks = []
    own = said(9, "mine", sender="alice")
    steps: list[object] = [
        reached(Reach.QUEUED),
        reached(Reach.SENT),
        reached(Reach.QUEUED),
        reached(Reach.SENT),
        said(8, "between"),
        reached(Reach.STORED, 9),
        own,
        reached(Reach.DELIVERED, 9, by="bob"),
        reached(Reach.READ, 9, by="bob"),
        reached(Reach.DELIVERED, 9, by="carol"),
        own,
    ]
    for step in steps:
        assert book.tell(step, STATE) <= {"general"}
        mine = [row for row in book.page("general").rows if row.own]
        assert len(mine) == 1
        assert book.page("general").rows[-1] is mine[0]
        marks.append(mine[0].mark)
    assert "".join(marks) == ".>.>>vvvVVV"
    assert [row.seq for row in book.page("general").rows] == [1, 8, 9]


def test_its_event_may_come_before_the_answer() -> None:
    """Issue 5, item 1: that the server has it may be told after the event itself."""
    book = Book(outbox=lambda: [entry(Reach.STORED, 9)])
    told(book, reached(Reach.QUEUED), reached(Reach.SENT), said(9, "mine", sender="alice"), reached(Reach.STORED, 9))
    assert [(row.seq, row.mark) for row in book.page("general").rows] == [(9, "v")]


def test_what_failed_stays_where_it_was_said_with_its_reason() -> None:
    """Issue 5, item 1: `!` and why; what comes later stands behind it. Said again, it waits at the end again."""
    outbox = [replace(entry(Reach.FAILED), reason="You may only listen here.")]
    book = told(Book(outbox=lambda: outbox), said(1), reached(Reach.SENT), reached(Reach.FAILED), said(2))
    rows = book.page("general").rows
    assert [(row.text, row.mark, row.reason) for row in rows] == [
        ("text 1", "", ""),
        ("mine", "!", "You may only listen here."),
        ("text 2", "", ""),
    ]
    outbox[:] = [entry(Reach.QUEUED)]
    told(book, reached(Reach.QUEUED))
    assert [row.mark for row in book.page("general").rows] == ["", "", "."]


def test_what_waited_since_an_earlier_run_is_shown() -> None:
    """Issue 5, item 8: one's own messages survive a restart; what was done to others' makes no line."""
    edit = entry(Reach.QUEUED, number=3, kind=Kind.EDIT, refs=(1,))
    outbox = [entry(Reach.STORED, 1, 1), entry(Reach.FAILED, None, 2), edit, entry(Reach.QUEUED, None, 4)]
    book = Book(outbox=lambda: outbox)
    assert book.tell(entered(), STATE) == {"general"}
    assert [(row.cid[-1], row.mark) for row in book.page("general").rows] == [(4, ".")]
    whole = replace(entry(Reach.QUEUED), whole=b"a long text")
    assert texts(told(Book(outbox=lambda: [whole]), reached(Reach.QUEUED))) == ["a long text"]


def test_of_what_is_no_longer_in_view_nothing_comes_back() -> None:
    """Issue 5, item 8: that somebody read an old message of ours does not put it at the end."""
    book = told(Book(outbox=lambda: [entry(Reach.READ, 9)]), said(20), reached(Reach.READ, 9))
    assert texts(book) == ["text 20"]
    told(book, said(9, "mine", sender="alice"))
    assert [(row.seq, row.mark) for row in book.page("general").rows] == [(9, "V"), (20, "")]


# The new line, and the rooms


def test_the_new_line_stays_until_he_has_left_having_read_all() -> None:
    """Issue 5, item 1: it stands after what he had read when he came, and does not move while he reads."""
    book = told(Book(), *(said(seq) for seq in range(1, 6)))
    assert book.page("general").new_after is None
    book.look("general", read_to(3, 5))
    assert book.page("general").new_after == 3
    told(book, said(6), state=read_to(5, 6))
    book.look("general", read_to(6, 6))
    assert book.page("general").new_after == 3
    book.look("", read_to(5, 6))
    assert book.page("general").new_after == 3
    book.look("general", read_to(5, 6))
    book.look("den", read_to(6, 6))
    assert book.page("general").new_after is None
    book.look("general", read_to(6, 6))
    assert book.page("general").new_after is None


def test_rooms_come_first_and_those_first_in_which_something_was_said_last() -> None:
    """Issue 5, item 1: the list of rooms has counts, and stands in the order of activity."""
    rooms = {
        name: RoomView(room=name, unread=2, mentions=1) for name in ("den", "general", "@alice,bob", ANNOUNCEMENTS)
    }
    state = State(user="alice", rooms=rooms)
    book = told(Book(), said(1), said(5, room="@alice,bob"), said(9, room=ANNOUNCEMENTS), state=state)
    told(book, said(2, room="@alice,carol"), state=state)
    found = [(tab.label, tab.direct, tab.unread, tab.mentions) for tab in book.tabs(state)]
    assert found == [
        ("general", False, 2, 1),
        ("den", False, 2, 1),
        ("@bob", True, 2, 1),
        ("@carol", True, 0, 0),
        ("announcements", False, 2, 1),
    ]
    told(book, said(3, room="den"), state=state)
    assert book.tabs(state)[0].label == "den"
    told(book, Here("@alice,dora"), state=state)
    assert [tab.label for tab in book.tabs(state) if tab.direct] == ["@bob", "@carol", "@dora"]


def test_a_room_that_begins_anew_or_is_left_shows_nothing_of_before() -> None:
    """Issue 5, item 8: the places of another epoch mean something else; what waits to be sent still waits."""
    book = told(Book(outbox=lambda: [entry(Reach.QUEUED)]), said(1), said(2), reached(Reach.QUEUED))
    assert book.tell(Reset("general"), STATE) == {"general"}
    assert texts(book) == ["mine"]
    told(book, said(1, "new", epoch=2), said(2, "old", epoch=1))
    assert texts(book) == ["new", "mine"]
    told(book, said(1, "newest", epoch=3))
    assert texts(book) == ["newest", "mine"]
    assert book.tell(Gone("general", "den"), STATE) == {"general"}
    assert texts(book) == []
    assert told(Book(), Gone("nowhere", "den")).page("nowhere").rows == ()


def test_a_note_stands_where_it_was_made() -> None:
    """Issue 5, item 1: what a command answered stays behind what was said by then, also where that is read later."""
    state = read_to(5, 5)
    book = told(Book(), entered(state), state=state)
    assert book.note("general", "refused", b"note") == {"general"}
    told(book, said(6))
    book.past("general", [said(seq) for seq in (3, 4, 5)], more=False)
    assert texts(book) == ["text 3", "text 4", "text 5", "refused", "text 6"]
    assert not book.page("general").rows[3].said


def test_what_is_unread_is_told_though_the_server_does_not_count() -> None:
    """R0.2: of a room that began since we came, everything is new."""
    state = replace(STATE, rooms={"general": RoomView(room="general", head=4, read=1)})
    book = Book()
    assert book.tabs(state)[0].unread == 3
    book.look("general", state)
    assert book.page("general").new_after == 1


def test_who_comes_back_to_a_room_sees_no_gap() -> None:
    """Issue 5, item 8: what was said while one was out of a room is read again, not passed over."""
    book = told(Book(), said(1), said(2, "", kind=Kind.LEAVE, sender="alice"))
    told(book, said(9, "", kind=Kind.JOIN, sender="alice"))
    page = book.page("general")
    assert ([row.seq for row in page.rows], page.more, book.oldest("general")) == ([9], True, 9)


def test_a_page_stays_the_same_until_something_happens() -> None:
    """Design §8: who paints asks often; an unchanged page is the same object."""
    book = told(Book(), said(1))
    page = book.page("general")
    assert book.page("general") is page
    assert book.tell(said(1), STATE) == set()
    assert book.page("general") is page
    assert book.tell(said(2), STATE) == {"general"}
    assert book.page("general").version > page.version
    assert book.page("general").rows[0] is page.rows[0]


def test_every_kind_makes_a_row_or_changes_one() -> None:
    """R0.2: no event is passed over."""
    for kind in Kind:
        book = told(Book(), said(1), said(2, "x", kind=kind, refs=(1,)))
        assert len(book.page("general").rows) == (2 if kind in SAID or kind.value in range(9, 13) else 1)
    assert event(3).room == "general"
