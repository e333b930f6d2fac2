"""A message as lines: what stands where, in cells, for wide and narrow screens and for every script."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from quicchat.ui.colours import DARK, LIGHT, hue
from quicchat.ui.page import Row
from quicchat.ui.tui import rows
from quicchat.ui.tui.rows import TALLEST, Layout, layout
from quicchat.ui.visible import visible
from quicchat.wire.chapters.messages import Kind
from tests.ui.items import NASTY, STORED


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are told as they are at Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def row(text: str = "hello", **facts: Any) -> Row:
    usual: dict[str, Any] = {"seq": 5, "cid": b"c" * 16, "at": STORED, "sender": "bob", "kind": Kind.TEXT}
    return Row(text=text, **(usual | facts))


def shown(each: Row, form: Layout | int = 40) -> list[str]:
    """Its lines without their styles."""
    form = layout(form, "%H:%M", 5, "alice") if isinstance(form, int) else form
    return ["".join(text for text, _ in line).rstrip() for line in rows.lines(each, form)]


def styled(each: Row, name: str, form: Layout | None = None) -> list[str]:
    """What is shown in a style."""
    found = rows.lines(each, form or layout(80, "%H:%M", 5, "alice"))
    return [text for line in found for text, names in line if name in names.split()]


LONG = "a text that is wrapped because it goes on and on, and then on again until the end"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def test_text_hangs_beside_the_names() -> None:
    """Issue 5, item 1: the time, names to the right, the mark of one's own, and what goes on begins where it began."""
    assert shown(row(LONG, sender="alice", own=True, mark="v"), 62) == [
        "11:04 alice v a text that is wrapped because it goes on and",
        "              on, and then on again until the end",
    ]
    assert shown(row(), 62) == ["11:04   bob   hello"]


def test_below_sixty_columns_the_name_stands_in_the_text() -> None:
    """Issue 5, item 1: it folds below 60 columns; below 30 there are no times."""
    assert shown(row(LONG, own=True, mark=">"), 44) == [
        "11:04 bob > a text that is wrapped because",
        "  it goes on and on, and then on again until",
        "  the end",
    ]
    assert shown(row(), 44) == ["11:04 bob hello"]
    assert shown(row(), 20) == ["bob hello"]
    assert shown(row(sender="b" * 32), 20) == ["bbbbb\u2026 hello"]


def test_whatever_can_be_done_to_a_message_stands_with_it() -> None:
    """Issue 5, item 1: replies, edits, reactions, files, and why something was not sent."""
    assert shown(row(reply=(3, "alice", "what about\nthat?"), edited=True, pinned=True), 70) == [
        "11:04   bob   > alice: what about",
        "              hello (edited) (pinned)",
    ]
    assert shown(row(reply=(3, "", "")), 70)[0].endswith("> #3")
    assert shown(row(reactions=(("+1", 2, True), ("tea", 1, False))), 70)[1:] == ["              +1 2  tea 1"]
    assert shown(row("look", kind=Kind.FILE, files=(("photo.jpg", 1_234_567), ("d/", 10)), get="#12"), 70) == [
        "11:04   bob   look",
        "              photo.jpg (1.2 MB)",
        "              d/ (10 B)",
        "              /get #12",
    ]
    assert shown(row("", kind=Kind.FILE, files=(("a", 1),), get="a"), 70)[0] == "11:04   bob   a (1 B)"
    assert shown(row(own=True, mark="!", reason="You may only listen."), 70) == [
        "11:04   bob ! hello",
        "              not sent: You may only listen.",
    ]
    assert shown(row("", retracted=True, edited=True), 70) == ["11:04   bob   (taken back)"]
    assert shown(row("x" * 50, edited=True), 64)[1:] == ["              (edited)"]


def test_what_happened_is_told_apart_from_what_was_said() -> None:
    """R0.2: facts have no name beside them, emotes begin with it, notes of one's own have no time."""
    assert shown(row("bob joined", kind=Kind.JOIN), 70) == ["11:04    --   bob joined"]
    assert shown(row("waves", kind=Kind.EMOTE), 70) == ["11:04     *   bob waves"]
    assert shown(row("refused\nno", kind=Kind.NOTICE, sender="", at=0), 70) == [
        "         --   refused",
        "              no",
    ]
    assert styled(row("bob joined", kind=Kind.JOIN), "dim") == ["11:04 ", "--", " ", "bob joined"]


def test_code_keeps_every_space_and_texts_keep_their_lines() -> None:
    """Issue 5, item 1: code is broken only where the line is full."""
    code = row("def f():\n    return 1" + " " * 40 + "# x\n\n\ty", kind=Kind.CODE)
    found = ["".join(text for text, _ in line) for line in rows.lines(code, layout(62, "%H:%M", 5))]
    indent = " " * 14
    assert found[1:] == [f"{indent}    return 1" + " " * 36, f"{indent}    # x", indent, f"{indent}        y"]
    assert shown(row("one\n\n  two"), 70) == ["11:04   bob   one", "", "                two"]


def test_wide_letters_and_those_of_several_signs_are_counted_in_cells() -> None:
    """Issue 5, item 1: CJK, combining, emoji with joiners: a line is never wider than it may be, nothing is parted."""
    assert rows.wrap("日本語の長い文章です", 7) == ["日本語", "の長い", "文章で", "す"]
    assert rows.wrap("ab 日本語", 6) == ["ab 日", "本語"]
    assert rows.wrap(f"{FAMILY} {FAMILY} {FAMILY}", 5) == [f"{FAMILY} {FAMILY}", FAMILY]
    assert rows.chop("e\u0301" * 5, 2) == ["e\u0301" * 2, "e\u0301" * 2, "e\u0301"]
    assert rows.chop("日本", 1) == ["日", "本"]
    assert rows.wrap("", 5) == [""]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), st.integers(2, 30), st.integers(2, 30))
def test_no_line_is_too_wide_and_no_letter_is_lost(text: str, first: int, rest: int) -> None:
    """Issue 5, item 1: whatever is said."""
    text = visible(text)
    for found in (rows.wrap(text, first, rest), rows.chop(text, first, rest)):
        assert [line for line in found[:1] if cell_len(line) > first] == []
        assert [line for line in found[1:] if cell_len(line) > rest] == []
    assert "".join(rows.chop(text, first, rest)) == text
    assert "".join("".join(rows.wrap(text, first, rest)).split()) == "".join(text.split())


@given(
    st.text(max_size=200),
    st.sampled_from(list(Kind)),
    st.integers(1, 130),
    st.booleans(),
    st.sampled_from(["", "!", "v"]),
)
def test_every_row_fits_every_screen(text: str, kind: Kind, width: int, is_full: bool, mark: str) -> None:
    """U9: down to one column; the height that is guessed is at least a line."""
    each = row(text, kind=kind, mark=mark)
    if is_full:
        facts: dict[str, Any] = {"reply": (1, "bob", text), "reactions": ((text[:9], 3, True),), "reason": text}
        each = row(text, kind=kind, mark=mark, files=((text[:9], 3),), get=text[:9], edited=True, **facts)
    form = layout(width, "%H:%M", 32, "alice", ("a",))
    found = rows.lines(each, form)
    assert found
    assert rows.height(each, form) >= 1
    if width >= 12:
        assert [line for line in found if sum(cell_len(span) for span, _ in line) > width] == []


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_nothing_of_others_reaches_the_terminal_as_it_came(text: str) -> None:
    """U1, U2, U4: what could move a cursor, hide, or turn the direction is shown as a sign, wherever it stands."""
    each = row(
        text,
        reply=(1, "bob", text),
        reactions=((text, 1, False),),
        files=((text, 1),),
        get=text,
        reason=text,
        edited=True,
    )
    for width in (120, 40):
        for line in shown(each, width):
            assert line == visible(line)
    assert rows.plain(each).replace("\n", "") == visible(rows.plain(each).replace("\n", ""))


def test_a_name_and_what_is_looked_for_stand_out() -> None:
    """Issue 5, item 1: who is named sees it; search hits are marked, in any case, and no pattern is one."""
    each = row("hi @alice, @alicex: a.b A.B axb", named=True)
    form = layout(80, "%H:%M", 5, "alice", ("a.b",))
    assert styled(each, "hit", form) == ["a.b", "A.B"]
    assert styled(each, "named", form) == ["bob", "@alice"]
    assert styled(row("hi @alice"), "named", form) == []
    assert "".join(text for text, _ in rows.lines(each, form)[0]).endswith(each.text)
    assert styled(row(own=True), "own") == ["bob"]
    assert styled(row(reactions=(("+1", 2, True), ("tea", 1, False))), "mine") == ["+1 2"]


def test_a_flood_in_one_message_is_cut() -> None:
    """U10: a message of a million characters, or of lines, costs no more than a screenful or two."""
    for text in ("x" * 1_000_000, "\n" * 1_000_000, "日" * 1_000_000, "\t" * 1_000_000):
        for kind in (Kind.TEXT, Kind.CODE):
            begin = time.process_time()
            found = shown(row(text, kind=kind), 80)
            assert time.process_time() - begin < 0.5
            assert len(found) <= TALLEST + 1
            assert found[-1].endswith("(it goes on)")
            assert rows.height(row(text, kind=kind), layout(80, "%H:%M", 5)) <= 2 * TALLEST


def test_a_flood_of_reactions_is_cut() -> None:
    """U10: thousands of different words under one message take a few lines."""
    flood = tuple((f"word{number}", 1, False) for number in range(5000))
    for width in range(12, 140):
        found = shown(row(reactions=flood), width)
        assert len(found) < 80
        assert max(cell_len(line) for line in found) <= width


def test_times_that_no_calendar_has_are_a_dash() -> None:
    """R2.5: the server may tell any number; the format may be any, too."""
    assert shown(row(at=10**30), 70)[0].startswith("-")
    assert rows.day_of(10**30) == 0
    assert shown(row(), layout(80, "%H:%M:%S", 5))[0] == "11:04:20   bob   hello"
    assert shown(row(), layout(80, "\x1b%H", 5))[0].startswith("\u241b11")


def test_another_day_and_what_is_new_have_a_line() -> None:
    """Issue 5, item 1: day lines, and the line above what is new, as wide as the screen."""
    form = layout(30, "%H:%M", 5)
    assert rows.day_line(STORED, form) == (("\u2500\u2500 Thu 14 Jan 2027 " + "\u2500" * 11, "day"),)
    assert rows.new_line(form) == (("\u2500\u2500 new " + "\u2500" * 23, "new"),)
    assert rows.day_of(STORED) == rows.day_of(STORED + 1000) != rows.day_of(STORED + 86_400_000)
    assert rows.day_of(0) == 0


def test_heights_are_guessed_well() -> None:
    """Issue 5, measured: what is not wrapped yet is about as high as it will be."""
    texts = ["hi", LONG, LONG * 3, "one\ntwo\n\nthree", "日本語" * 30]
    for width in (50, 80, 140):
        form = layout(width, "%H:%M", 5)
        for text in texts:
            assert abs(rows.height(row(text), form) - len(rows.lines(row(text), form))) <= 1
        files = row("", kind=Kind.FILE, files=(("a", 1), ("b", 2)), get="#1")
        assert rows.height(files, form) == len(rows.lines(files, form))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_of_names_are_stable_and_can_be_read() -> None:
    """Issue 5, item 1: the same name has the same colour in every run, with 4.5 : 1 on dark and on light ground."""
    assert [hue(name) for name in ("alice", "bob", "carol", "dave")] == [1, 5, 11, 3]
    assert {hue(f"user{number}") for number in range(200)} == set(range(len(DARK)))
    assert min(contrast(each, ground) for each in DARK for ground in ("#000000", "#1e1e1e", "#2e3440")) >= 4.5
    assert min(contrast(each, ground) for each in LIGHT for ground in ("#ffffff", "#f5f5f5", "#e8e8e8")) >= 4.5


# What encryption tells


def test_what_cannot_be_trusted_is_marked() -> None:
    """[12.16-6]: a sign in the column of signs, words behind the text where they fit, else below it."""
    plain = row("hello", mark="~", seal="(not encrypted)")
    assert shown(plain, 62) == ["11:04   bob ~ hello (not encrypted)"]
    assert styled(plain, "failed") == ["~", " (not encrypted)"]
    assert shown(row(LONG, mark="~", seal="(not encrypted)"), 62)[-1].strip() == "(not encrypted)"
    forged = row("", mark="!", seal="(forged: not by bob)")
    assert shown(forged, 62) == ["11:04   bob ! (forged: not by bob)"]
    assert styled(forged, "failed") == ["!", "(forged: not by bob)"]
    waiting = row("", mark=".", seal="(waiting for the key; it comes when bob is online)")
    assert styled(waiting, "failed") == []
    brought = row("", mark="~", seal="(not encrypted)", kind=Kind.FILE, files=(("a.txt", 5),))
    assert shown(brought, 62) == ["11:04   bob ~ (not encrypted)", "              a.txt (5 B)"]


def test_what_is_kept_back_says_why() -> None:
    """[12.16-10]: it is not sent yet, and what failed never is."""
    assert shown(row("hi", own=True, mark=".", reason="/accept bob"), 62)[1].strip() == "not sent yet: /accept bob"
    assert shown(row("hi", own=True, mark="!", reason="refused"), 62)[1].strip() == "not sent: refused"
