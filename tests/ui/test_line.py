"""The prompt of the line face: what is half typed stays, what is typed arrives, and what it does not give away."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quicchat.config import ClientConfig
from quicchat.ui import line_prompt
from quicchat.ui.face import Lined
from quicchat.ui.line import Prompted, _named, line
from tests.ui.seat import Seat, sitting
from tests.ui.test_completion import desk

HALF = "gr\u00fc\u00dfe \u4e16\u754c \U0001f600 e\u0301 "


def test_a_half_typed_line_survives_what_comes() -> None:
    """R4.20, [12.11-1]: of several bytes, wrapped, the cursor in the middle: it is below, and can be edited."""

    async def scenario(here: Seat) -> None:
        text = HALF * 3
        await here.shows("general>")
        here.type(text)
        here.press(*["Left"] * 9)
        here.type("|")
        await here.until(lambda: "|" in here.glass.screen.text)
        before, cursor = [row for row in here.lines if row], here.glass.screen.cursor
        for number in (1, 2, 3):
            here.prompt.above(f"bob: message {number}")
            await here.until(lambda each=number: f"message {each}" in here.glass.screen.text)  # type: ignore[misc]
        await here.until(lambda: here.lines[-len(before) :] == before)
        assert here.lines == [*(f"bob: message {number}" for number in (1, 2, 3)), *before]
        assert here.glass.screen.cursor == (cursor[0] + 3, cursor[1])
        here.press("Backspace")
        here.type("X")
        here.press("Enter")
        assert await here.line() == text[:-9] + "X" + text[-9:]
        await here.until(lambda: here.lines[-1] == "general>")

    sitting(scenario, desk(), columns=24)


def test_a_burst_is_printed_in_one_go() -> None:
    """Issue: at 200 messages a second the line is drawn anew some ten times, and what comes stays in its order."""

    async def scenario(here: Seat) -> None:
        here.type("half")
        await here.shows("general> half")
        drawn = here.glass.raw.count("general>")
        for number in range(200):
            here.prompt.above(f"bob: {number}")
            await asyncio.sleep(0)
        await here.shows(*(f"bob: {number}" for number in range(190, 200)), "general> half")
        assert here.glass.raw.count("general>") - drawn <= 3
        assert here.glass.screen.scrolled == [f"bob: {number}" for number in range(189)]

    sitting(scenario, desk())


def test_what_is_typed_arrives() -> None:
    """Issue item 2: lines in their order, also longer than a terminal takes by itself (4 KiB), or of several rows."""

    async def scenario(here: Seat) -> None:
        here.type("one\rtwo\r")
        assert [await here.line(), await here.line()] == ["one", "two"]
        here.type("x" * 5_000 + "\r")
        assert await here.line() == "x" * 5_000
        here.type("first")
        here.press("Alt+Enter")
        here.type("second\r")
        assert await here.line() == "first\nsecond"
        here.press("Ctrl+d")
        assert await here.line() is None

    sitting(scenario, desk())


def test_letters_that_are_none() -> None:
    """U9: bytes that are no letters of the terminal's encoding come as a mark, and end nothing."""
    assert line_prompt._typed("a\udcffb") == "a\ufffdb"


@pytest.mark.parametrize(
    ("facts", "label"),
    [
        ({}, "general>"),
        ({"room": "@alice,bob"}, "@bob>"),
        ({"room": ""}, ">"),
        ({"style": "classic"}, ">"),
        ({"style": "mystic"}, "general>"),
        ({"room": "x" * 64}, ">"),
    ],
)
def test_the_prompt_says_where_one_is(facts: dict[str, Any], label: str) -> None:
    """Issue item 2: the room, or whom one speaks to; nothing where that takes half of the row, or in style classic."""

    async def scenario(here: Seat) -> None:
        await here.shows(label)

    sitting(scenario, desk(**facts))


def test_the_prompt_follows() -> None:
    """Issue item 2: in another room the prompt says so, and the half-typed line is still there."""

    async def scenario(here: Seat) -> None:
        here.type("half")
        await here.shows("general> half")
        table.room = "garden"
        here.prompt.refresh()
        await here.shows("garden> half")

    table = desk()
    sitting(scenario, table)


def test_tab() -> None:
    """Issue item 2: Tab puts in what can only be meant, lists what may be, and rings where there is nothing."""

    async def scenario(here: Seat) -> None:
        here.type("/jo\tga\t")
        await here.shows("garden  games", "general> /join ga")
        here.type("r\t\r")
        assert await here.line() == "/join garden "
        here.type("hello @da\t!\r")
        assert await here.line() == "hello @dave_2!"
        here.type("/xyzzy\t")
        await here.until(lambda: here.glass.screen.bells == 1)
        here.press("Ctrl+c")
        # What stands behind the cursor is left alone.
        here.type("/msg  hi")
        here.press("Left", "Left", "Left")
        here.type("ca\t\r")
        assert await here.line() == "/msg carol hi"

    sitting(scenario, desk())


def test_many_candidates() -> None:
    """Issue item 2: of a long list so much is shown as a screen holds, and how many there are besides."""

    async def scenario(here: Seat) -> None:
        here.type("/\t")
        more = f"... and {len(table.words.commands) - 60} more"
        await here.shows(more, "general> /")

    table = desk()
    table.words.commands += [replace(table.words.commands[0], name=f"x{number}") for number in range(50)]
    sitting(scenario, table)


def test_history(tmp_path: Path) -> None:
    """Issue item 2: what was typed is there again by Up and Ctrl-R, also the next time, in a file of one's own."""
    path = tmp_path / "history"

    async def scenario(here: Seat) -> None:
        for text in ("one", "/join quiet sesame", "t\u00fcr\rlast"):
            here.type(f"{text}\r")
            await here.line()
        await here.line()
        here.press("Up", "Up")
        await here.shows("general> t\u00fcr")
        here.press("Up")
        await here.shows("general> /join quiet")
        here.press("Down", "Down", "Down")
        here.press("Ctrl+r")
        here.type("on")
        await here.until(lambda: "one" in here.lines[-1])
        here.press("Enter")
        await here.shows("general> one")
        here.press("Enter")
        assert await here.line() == "one"

    async def again(here: Seat) -> None:
        here.press("Up", "Up")
        await here.shows("general> last")

    sitting(scenario, desk(), path=path)
    sitting(again, desk(), path=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "sesame" not in path.read_text()


def test_what_must_not_be_seen(tmp_path: Path) -> None:
    """[12.11-3]: a password is not shown, leaves no trace on the screen, in the history or in a list of Tab."""
    path = tmp_path / "history"

    async def scenario(here: Seat) -> None:
        here.prompt.above("-- current?")
        here.prompt.hide(True)
        here.type("b\t")
        await here.until(lambda: here.glass.screen.bells == 1)
        here.type("sesame\r")
        assert await here.line() == "bsesame"
        here.paste("from a\nclipboard")
        here.press("Enter")
        assert await here.line() == "from a"
        here.type("half")
        await here.until(lambda: "****" in here.glass.screen.text)
        here.press("Ctrl+c")
        assert await here.line() == ""
        here.prompt.hide(False)
        await here.shows("-- current?", "general>")
        here.press("Up")
        here.type("x\r")
        assert await here.line() == "x"
        for secret in ("sesame", "bse", "clip", "half"):
            assert secret not in here.glass.raw

    sitting(scenario, desk(), path=path)
    assert path.read_text() == '"x"\n'


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue item 2: it clears the line; at an empty one it asks, and leaves when it comes again."""
    signals: list[int] = []
    monkeypatch.setattr("signal.raise_signal", signals.append)

    async def scenario(here: Seat) -> None:
        here.type("half a line")
        await here.shows("general> half a line")
        here.press("Ctrl+c")
        await here.shows("general>")
        here.press("Ctrl+c")
        await here.shows("-- Ctrl-C again leaves, and so does /quit.", "general>")
        # Whoever goes on typing has thought better of it.
        here.type("x")
        here.press("Backspace", "Ctrl+c")
        await here.until(lambda: here.glass.screen.text.count("again leaves") == 2)
        assert signals == []
        here.press("Ctrl+c")
        here.type("x")
        await here.shows("general> x")
        assert signals == [2]

    sitting(scenario, desk())


ASKS = "-- 3 lines: send them as (o)ne message, (l)ine by line, (e)dit them first, or (c)ancel?"


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("o", ["he said one\ntwo\nthree."]),
        ("l", ["he said one", "two", "three."]),
        ("eX", ["he said one\ntwo\nthreeX."]),
        ("c", ["he said ."]),
        ("\x03", ["he said ."]),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_paste_of_several_lines_is_asked_about(key: str, lines: list[str], end: str) -> None:
    """[12.11-2]: nothing of it is sent before somebody says how; what stood there stays around it."""

    async def scenario(here: Seat) -> None:
        here.type("he said .")
        here.press("Left")
        here.paste(end.join(("one", "two", "three", "")))
        await here.shows(ASKS, "o/l/e/c> he said .")
        # Neither Enter nor anything else answers.
        here.type("\r\tx?")
        await here.until(lambda: here.glass.screen.bells == 4)
        here.type(key)
        if key in ("eX", "c", "\x03"):
            await here.until(lambda: here.lines[-1] != "o/l/e/c> he said .")
            here.press("Enter")
        assert [await here.line() for _ in lines] == lines
        await here.shows("general>")

    sitting(scenario, desk(), columns=100)


def test_what_a_paste_holds() -> None:
    """U1: a single line goes into the line; controls in it do nothing; a second paste is joined to the first."""

    async def scenario(here: Seat) -> None:
        here.paste("a\x1b[2J\x03\x04b\n")
        await here.shows("general> a[2Jb")
        here.press("Enter")
        assert await here.line() == "a[2Jb"
        here.paste("one\ntwo\n")
        here.paste("three")
        here.type("l")
        assert [await here.line() for _ in range(3)] == ["one", "two", "three"]

    sitting(scenario, desk())


def test_a_large_paste() -> None:
    """P7 at the keyboard: what is much too long to be shown is sent as it is, and its beginning is shown."""
    text = "\n".join(f"{number} {'x' * 70}" for number in range(1000))

    async def scenario(here: Seat) -> None:
        await asyncio.to_thread(here.paste, text)
        await here.until(lambda: here.lines[-1] == "o/l/c>")
        here.type("eo")
        assert await here.line() == text
        await here.shows(f"general> 0 {'x' * 58} ... (1000 lines)", "general>")

    sitting(scenario, desk(), columns=120)


def test_the_end_leaves_what_was_half_typed() -> None:
    """U9: an empty prompt goes, a half-typed line stays, and what was still to be printed is printed."""

    async def half(here: Seat) -> None:
        here.prompt.above("one")
        here.prompt.above("two")
        here.type("half")
        await here.shows("general> half")
        here.prompt.above("three")
        await here.prompt.stop()
        assert "three" in here.glass.screen.text
        assert "half" in here.glass.screen.text
        assert "25" in here.glass.screen.modes
        assert "2004" not in here.glass.screen.modes

    async def empty(here: Seat) -> None:
        here.prompt.above("one")
        await here.shows("one", "general>")
        await here.prompt.stop()
        assert here.lines == ["one"]

    sitting(half, desk())
    sitting(empty, desk())


def test_a_mistake_of_ours_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Q27 at the keyboard: what goes wrong in a key is raised to whoever waits for the line."""

    def broken(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(line_prompt, "complete", broken)

    async def scenario(here: Seat) -> None:
        here.type("x\t")
        with pytest.raises(ArithmeticError):
            await here.line()

    sitting(scenario, desk())


def test_a_bell_moves_nothing() -> None:
    """Issue item 7: a sequence for the terminal goes out at once, and the line stays."""

    async def scenario(here: Seat) -> None:
        here.type("half")
        await here.shows("general> half")
        here.prompt.ring("\a\x1b]9;news\x1b\\")
        assert here.glass.screen.bells == 1
        assert here.glass.screen.commands == ["9;news"]
        assert here.lines == ["general> half"]

    sitting(scenario, desk())


@pytest.mark.parametrize(("columns", "rows"), [(1, 5), (2, 1), (10, 2), (200, 60)])
def test_odd_windows(columns: int, rows: int) -> None:
    """U9: however small the window, what is typed arrives."""

    async def scenario(here: Seat) -> None:
        here.type("some text ")
        here.prompt.above("a message")
        await here.until(lambda: "mes" in here.glass.raw)
        here.type("\u4e16\u754c\r")
        assert await here.line() == "some text \u4e16\u754c"

    sitting(scenario, desk(), columns=columns, rows=rows)


def test_where_there_is_no_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """U9, issue: a terminal that cannot move its cursor, scripts and JSON get the plain face."""
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(line(ClientConfig(data=tmp_path)), Prompted)
    assert isinstance(line(ClientConfig(data=tmp_path, json=True)), Lined)
    assert isinstance(line(ClientConfig(data=tmp_path, commands=("/ping",))), Lined)
    for term in ("dumb", ""):
        monkeypatch.setenv("TERM", term)
        assert isinstance(line(ClientConfig(data=tmp_path)), Lined)
    monkeypatch.delenv("TERM")
    assert isinstance(line(ClientConfig(data=tmp_path)), Lined) is (os.name == "posix")


def test_names_have_their_colours() -> None:
    """Issue item 2: who says it, and not the room that is called like him, nor what he says."""
    found = _named("12:00 [bob] bob: bob and bobby", "bob")
    head, _, tail = found.partition("\x1b[22;39m")
    assert head.startswith("12:00 [bob] \x1b[")
    assert head.endswith("mbob")
    assert tail == ": bob and bobby"
