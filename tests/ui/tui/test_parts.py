"""What the lines of the screen say, without a screen. (spec 12-operation)"""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual._xterm_parser import XTermParser
from textual.events import Key

from quicchat.client.events import Line
from quicchat.client.state import Person, State
from quicchat.ui.book import Tab
from quicchat.ui.outcomes import Entered, Freight, Lost, Waiting
from quicchat.ui.tui import keys
from quicchat.ui.tui.freight import Hold
from quicchat.ui.tui.listing import apart, fit
from quicchat.ui.tui.members import ordered, without_list
from quicchat.ui.tui.reader import folded
from quicchat.ui.tui.rooms import counted, next_active
from quicchat.ui.tui.status import waiting, writing
from quicchat.ui.tui.switcher import Goal, goals, matching
from quicchat.ui.tui.title import Way
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank


def tab(room: str, unread: int = 0, mentions: int = 0, at: int = 0) -> Tab:
    return Tab(room, room, room.startswith("@"), unread, mentions, at)


def test_where_to_go_next() -> None:
    """[12.15-3]: first where one is named, then who speaks to one alone, then the newest; not where one is."""
    tabs = [tab("a", 5, at=9), tab("b", 1, 1, at=1), tab("@x,y", 1, at=2), tab("c", 7, at=3), tab("d")]
    found, here = [], "d"
    while (room := next_active(tabs, here)) is not None:
        found.append(room)
        tabs = [tab(each.room, at=each.at) if each.room == room else each for each in tabs]
        here = room
    assert found == ["b", "@x,y", "a", "c"]


def test_the_way_to_the_server() -> None:
    """[12.15-6]: connecting, connected with the time it takes, moved, waiting for the next try, gone."""
    way = Way("h:1")
    told = [way.text(0, None)]
    for item, now in (
        (Waiting("h:1", "no"), 0),
        (Entered(user="a", place="h:1", version=2, session=1), 1),
        (Line("moved"), 2),
        (Line("waiting", 4.0), 5),
        (Line("connecting"), 9),
        (Lost("", "gone", retry=False), 10),
    ):
        way.hear(item, now)
        told.append(way.text(now, 0.0124))
    assert told == [
        "connecting to h:1\u2026",
        "waiting for h:1\u2026",
        "TLS only 12 ms",
        "moved network, TLS only 12 ms",
        "reconnecting in 4 s",
        "connecting to h:1\u2026",
        "offline",
    ]
    way.hear(Line("moved"), 2)
    assert way.text(60, None) == "TLS only"


def test_who_is_there_comes_first() -> None:
    """By what people tell of themselves, which is newer than the list; of a conversation with one there is none."""
    rows = [("c", True, Rank.MEMBER), ("a", False, Rank.OWNER), ("b", True, Rank.MEMBER)]
    people = {"b": Person(show=Show.OFFLINE), "a": Person(show=Show.AWAY)}
    assert [user for user, _, _ in ordered(rows, people)] == ["a", "c", "b"]
    assert [row[:2] for row in without_list("@a,b", "b", people)] == [("a", True), ("b", True)]
    assert [row[0] for row in without_list("general", "me", people)] == ["a", "b", "me"]


def test_lines_above_the_input() -> None:
    """Who writes, and where something waits, with the keys that lead there; nothing of it is long."""
    assert writing([]) == ""
    assert writing(["bob"]) == "bob writes\u2026"
    assert writing(["a", "b"]) == "a and b write\u2026"
    assert writing(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more write\u2026"
    tabs = [tab("here", 9), tab("lab", 3), tab("b", 12, 2), tab("@x,y", 1), tab("quiet")]
    assert waiting(tabs, "here") == "Alt-3 b (12 @2)  Alt-4 @x,y (1)  Alt-2 lab (3)"
    assert waiting(tabs[:1], "here") == ""
    assert waiting([tab(f"r{n}", 1) for n in range(12)], "").endswith("Alt-4 r3 (1) and 8 more")
    assert counted(tab("x", 2000)) == "999+"


def test_alt_and_a_digit_as_terminals_send_them() -> None:
    """[12.15-3]: ESC 2 is Alt-2, and not the letter that a Mac would write; a lone one is still typed as it is."""
    keys.tell_digits_apart()
    for digit in "123456789":
        parser = XTermParser()
        assert [event.key for event in (*parser.feed(f"\x1b{digit}"), *parser.feed("")) if isinstance(event, Key)] == [
            f"alt+{digit}"
        ]
    (event,) = XTermParser().feed("\u2122")
    assert isinstance(event, Key)
    assert event.character == "\u2122"


def test_names_by_a_few_letters() -> None:
    """[12.15-3]: what was typed in full comes first; a name that nobody has is joined, what is no name is not."""
    known = [Goal("general-talk", "", "general-talk"), Goal("general", "", "general"), Goal("@gene", "", "@a,gene")]
    assert next(goal.name for goal in matching(known, "general")) == "general"
    assert next(goal.line for goal in matching(known, "gene")) == "@a,gene"
    assert matching(known, "lab")[-1].line == "/join lab"
    assert matching(known, "l\u00e4b!") == []
    assert matching(known, "") == known
    state = State(user="me", people={"me": Person(), "you": Person(show=Show.ONLINE), "bob": Person()})
    found = goals([tab("here", 1), tab("old"), tab("new", 1), tab("@bob,me")], "here", state)
    assert [goal.line for goal in found] == ["new", "old", "@bob,me", "@me,you"]


def test_a_file_that_ended_is_forgotten() -> None:
    """Its bar stays for some seconds."""
    hold = Hold()
    for number, state in ((1, "transferring"), (2, "done")):
        hold.hear(Freight(number=number, name="x", direction="up", mode="fast", state=state), 10.0)
    assert [item.number for item in hold.rows(11.0)] == [1, 2]
    assert [item.number for item in hold.rows(20.0)] == [1]


@pytest.mark.parametrize("width", range(14))
@pytest.mark.parametrize("text", ["plain words", "\u65e5\u672c\u8a9e\u65e5\u672c", "e\u0301" * 9, ""])
def test_what_does_not_fit_is_cut(text: str, width: int) -> None:
    """U9: wide letters, letters in two parts, no room at all: never more columns than there are."""
    assert cell_len(fit(text, width)) <= width
    left, right = apart(text, "12 new", width)
    assert cell_len(left) + cell_len(right) <= width
    assert all(cell_len(row) <= max(8, width) for row in folded(text, max(8, width)))
