"""The messages of a room on a screen: scrolling, keeping one's place, painting seldom, choosing a message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from quicchat.client.events import Sent
from quicchat.ui.page import Page
from quicchat.ui.tui.blocks import Blocks
from quicchat.ui.tui.log import Log
from quicchat.wire.chapters.messages import Kind
from tests.ui.test_book import entry, reached, read_to, said
from tests.ui.tui.window import NOON, Window, focus, one, play, several, until


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are told as they are at Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def bodies(app: Window) -> list[str]:
    return [line.split("   ")[-1] for line in app.seen() if line]


def test_the_newest_stays_in_view() -> None:
    """Issue 5, item 1: at its end the view goes along with what comes."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*several(30))
        assert bodies(app)[-1] == "text 30"
        assert len(app.seen()) == 10
        app.hear(one(31))
        await until(pilot, lambda: bodies(app)[-1] == "text 31")
        assert app.log_view.at_end

    play(scene)


def test_who_scrolled_up_keeps_his_place() -> None:
    """Issue 5, item 1: neither what comes nor older rows in front move what one reads; a sign counts what is below."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.book.past("general", [said(seq, ts=NOON) for seq in range(101, 160)], more=True)
        app.hear(one(160, sender="alice"))
        log = app.log_view
        await focus(log, pilot)
        await pilot.press("pageup", "pageup")
        before = app.seen()
        assert not log.at_end
        app.hear(*several(5, 161), one(166, sender="alice"))
        await until(pilot, lambda: "5 new below" in app.seen()[-1])
        assert app.seen()[:-1] == before[:-1]
        # Long ones, of which nobody knows how high they are before they are wrapped.
        app.book.past("general", [said(seq, "bla " * (seq % 90), ts=NOON) for seq in range(1, 101)], more=False)
        app.show()
        await until(pilot, lambda: log.virtual_size.height > 150)
        assert app.seen()[:-1] == before[:-1]
        await pilot.press("end")
        assert app.seen()[-1].endswith("text 166")
        assert app.told == ["at end"]
        await pilot.press("home")
        assert app.seen()[0].endswith("2027 " + "\u2500" * 60)
        assert app.seen()[1].endswith("bla")

    play(scene)


def test_paging_up_shows_every_line_once() -> None:
    """Issue 5, item 1: no line is skipped though the height of rows above was only guessed."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        words = [f"w{number}" for number in range(3000)]
        # Words that wrap badly: guesses are wrong.
        texts = [
            " ".join(f"{word:->{7 + at % 40}}" for at, word in enumerate(words[i : i + 30])) for i in range(0, 3000, 30)
        ]
        app.hear(*(one(seq, text) for seq, text in enumerate(texts, 1)))
        log = app.log_view
        await focus(log, pilot)
        pages = [app.seen()]
        while log.scroll_y > 0:
            await pilot.press("pageup")
            pages.append(app.seen())
        flat = [line for page in reversed(pages) for line in page]
        found = [word.strip("-") for line in flat for word in line.split() if word.strip("-").startswith("w")]
        assert list(dict.fromkeys(found)) == words

    play(scene)


def test_another_width_keeps_the_message_in_view() -> None:
    """Issue 5, item 1: a terminal that changes its size shows the same message in its first line."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*(one(seq, f"begin{seq} " + "bla " * (seq % 40)) for seq in range(1, 400)))
        log = app.log_view
        await focus(log, pilot)
        assert log.jump_to(200)
        log.scroll_to(
            y=next(y for y, line in enumerate(app.seen()) if "begin200" in line) + log.scroll_y, animate=False
        )
        await until(pilot, lambda: "begin200" in app.seen()[0])
        for size in ((50, 10), (120, 30), (20, 5), (80, 10)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda width=size[0] - 1: log._blocks.form.width == width)  # type: ignore[misc]
            assert "begin200" in app.seen()[0]
        await pilot.press("end")
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: log.size.height == 12)
        assert app.seen()[-1].endswith("bla")
        assert log.at_end

    play(scene)


def test_older_rows_are_asked_for_once() -> None:
    """Issue 5, item 1: near its top the log wants what was before, and after a failure only when it is told to."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        log = app.log_view
        app.book.past("general", [said(seq, ts=NOON) for seq in range(101, 141)], more=True)
        app.show()
        await until(pilot, lambda: bodies(app)[-1:] == ["text 140"])
        assert app.told == []
        await focus(log, pilot)
        await pilot.press("pageup", "pageup", "pageup")
        await until(pilot, lambda: ("older", "general", 101) in app.told)
        asked = len(app.told)
        log.scroll_to(y=2, animate=False)
        log.scroll_to(y=1, animate=False)
        await pilot.pause()
        assert len(app.told) == asked
        await pilot.press("home")
        assert len(app.told) == asked + 1
        app.book.past("general", [said(seq, ts=NOON) for seq in range(81, 101)], more=True)
        app.show()
        await until(pilot, lambda: log.virtual_size.height == 61)
        await pilot.press("home")
        assert app.told[-1] == ("older", "general", 81)
        app.book.past("general", [], more=False)
        app.show()
        told = list(app.told)
        await pilot.pause(0.15)
        await pilot.press("end", "home")
        assert [each for each in app.told if each not in told and each != "at end"] == []

    play(scene)


def test_a_short_page_asks_for_more_at_once() -> None:
    """Issue 5, item 8: a room of which less than a screen is held is filled up."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(one(7))
        await until(pilot, lambda: app.told == [("older", "general", 7)])
        app.hear(*several(3, 8))
        await pilot.pause(0.2)
        assert app.told == [("older", "general", 7)]

    play(scene)


def test_a_message_is_chosen_by_keys() -> None:
    """Issue 5, item 1: what can be clicked can be reached with the keyboard: reply, edit, react, take back, copy."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*several(20), one(21, "", kind=Kind.JOIN), one(22, "evil \x1b[2J\ntext"))
        log = app.log_view
        log.action_choose(-1)
        await until(pilot, lambda: log.has_focus)
        chosen = log.chosen
        assert chosen is not None
        assert chosen.seq == 22
        for key in ("enter", "e", "r", "d"):
            await pilot.press(key)
        assert app.told == [("reply", 22), ("edit", 22), ("react", 22), ("retract", 22)]
        await pilot.press("y")
        assert app.clipboard == "evil \u241b[2J\ntext"
        # What happened is no message.
        await pilot.press("alt+up")
        assert (log.chosen or chosen).seq == 20
        for _ in range(30):
            await pilot.press("up")
        assert (log.chosen or chosen).seq == 1
        assert "text 1" in " ".join(app.seen())
        assert [log.render_line(y) for y in range(2)][1]._segments[0].style != log.render_line(2)._segments[0].style
        await pilot.press("down", "escape")
        assert log.chosen is None
        assert app.told[-1] == "released"
        await pilot.press("end", "up", "down")
        assert log.chosen is None
        assert app.told.count("released") == 2

    play(scene)


def test_a_click_chooses_without_taking_the_keyboard() -> None:
    """Issue 5, item 1: the mouse is not needed, and takes nothing away from who writes."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*several(5))
        await pilot.click(Log, offset=(20, 3))
        assert app.told[-1] == ("click", 3)
        assert (app.log_view.chosen is not None, app.log_view.has_focus) == (True, False)
        await pilot.click(Log, offset=(20, 0))
        await pilot.click(Log, offset=(20, 9))
        assert app.told[-1] == ("click", 3)

    play(scene)


def test_the_new_line_and_the_day_line_are_shown() -> None:
    """Issue 5, item 1: above what is new to who came, and where another day begins."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        day = 86_400_000
        app.hear(one(1), one(2), one(3, ts=NOON + day), one(4, ts=NOON + day))
        app.book.look("general", read_to(3, 4))
        app.show()
        await until(pilot, lambda: any(" new " in line for line in app.seen()))
        found = [line.strip("\u2500 ") or line for line in app.seen()]
        assert [line.split("   ")[-1] for line in found] == [
            "Thu 14 Jan 2027",
            "text 1",
            "text 2",
            "Fri 15 Jan 2027",
            "text 3",
            "new",
            "text 4",
            *[""] * 3,
        ]
        app.book.look("den", read_to(4, 4))
        app.book.look("general", read_to(4, 4))
        app.show()
        await until(pilot, lambda: not any(" new " in line for line in app.seen()))

    play(scene)


def test_what_one_says_brings_one_to_the_end() -> None:
    """Issue 5, item 1: who speaks sees what he said, wherever he was; what others say moves nothing."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.book.outbox = lambda: [entry(Sent.QUEUED)]
        app.hear(*several(40))
        log = app.log_view
        await focus(log, pilot)
        await pilot.press("pageup", "pageup")
        app.hear(reached(Sent.QUEUED))
        await until(pilot, lambda: app.seen()[-1].endswith(" mine"))
        assert app.seen()[-1].split() == ["alice", ".", "mine"]
        assert log.at_end
        await pilot.press("pageup")
        app.hear(one(41, "mine", sender="alice", cid=(9).to_bytes(16, "big")))
        await pilot.pause(0.2)
        assert not log.at_end

    play(scene)


def test_search_hits_are_marked_and_jumped_to() -> None:
    """Issue 5, item 1: Ctrl-F brings the message into view with what was looked for."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*several(300))
        log = app.log_view
        log.mark(["text 77"])
        assert log.jump_to(77)
        assert not log.jump_to(999)
        # What was loaded just now need not have been painted.
        app.book.past("general", [said(301, ts=NOON)], more=False)
        app.show()
        assert log.jump_to(301)
        assert log.jump_to(77)
        shown = app.seen()
        assert 0 < next(y for y, line in enumerate(shown) if line.endswith("text 77")) < 6
        assert not log.at_end
        log.mark([])
        assert app.seen() == shown

    play(scene)


def test_a_hundred_events_are_painted_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5, measured: at 200 messages/s only what is seen is wrapped, and the screen changes ten times a second."""
    painted: list[int] = []
    take = Blocks.take

    def counted(self: Blocks, page: Page) -> None:
        painted.append(len(page.rows))
        take(self, page)

    monkeypatch.setattr(Blocks, "take", counted)

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for seq in range(1, 101):
            app.hear(one(seq))
            await asyncio.sleep(0.005)
        await until(pilot, lambda: painted[-1] == 100)
        assert len(painted) <= (loop.time() - begin) * 10 + 2
        assert bodies(app)[-1] == "text 100"

    play(scene)


def test_a_page_of_another_room_takes_its_place_at_once() -> None:
    """Issue 5, item 1: changing the room does not wait for the next painting, and begins at its end."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*several(50))
        log = app.log_view
        await focus(log, pilot)
        await pilot.press("pageup")
        for seq in range(1, 31):
            app.book.tell(said(seq, f"den {seq}", room="den", ts=NOON), app.state)
        app.show("den")
        assert bodies(app)[-1] == "den 30"
        assert log.at_end
        app.log_view.show(Page("empty"), times="%H:%M", user="alice")
        assert app.seen() == [""] * 10

    play(scene)


def test_one_column_and_one_line_are_enough() -> None:
    """U9: the smallest terminals do no harm."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*several(20))
        for size in ((1, 1), (2, 2), (5, 1), (80, 1)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            app.seen()
        assert bodies(app) == ["text 20"]

    play(scene)


def test_what_came_before_the_screen_is_shown() -> None:
    """Issue 5, measured: the first picture needs no second event."""

    async def run() -> None:
        app = Window()
        log = Log()
        for seq in range(1, 30):
            app.book.tell(one(seq), app.state)
        log.show(app.book.page("general"), times="%H:%M", user="alice")
        async with app.run_test(size=(80, 10)) as pilot, asyncio.timeout(60):
            await app.query_one(Log).remove()
            await app.mount(log)
            await until(pilot, lambda: log.size.height == 10)
            assert bodies(app)[-1] == "text 29"

    asyncio.run(run())


def test_the_wheel_and_the_bar_move_it_as_well() -> None:
    """Issue 5, item 1: whatever scrolls it, the view follows the newest only at its end."""

    async def scene(app: Window, pilot: Pilot[None]) -> None:
        app.hear(*several(60))
        log = app.log_view
        wheel: dict[str, Any] = {"delta_x": 0, "delta_y": 1, "button": 0, "shift": False, "meta": False, "ctrl": False}
        log.post_message(MouseScrollUp(log, 3, 3, **wheel))
        await until(pilot, lambda: not log.at_end)
        for _ in range(9):
            log.post_message(MouseScrollDown(log, 3, 3, **wheel))
        await until(pilot, lambda: log.at_end)
        log.scroll_page_up(animate=False)
        await until(pilot, lambda: not log.at_end)
        log.scroll_end(animate=False)
        await until(pilot, lambda: log.at_end)
        assert bodies(app)[-1] == "text 60"

    play(scene)
