"""What was said before, and what becomes of what one says: history, search, corrections, lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quicchat.client.events import Reset
from quicchat.client.memory import PlainMemory
from quicchat.ui.book import Book
from quicchat.ui.outcomes import Heard
from quicchat.ui.tui.seat import Seat
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import GENERAL
from tests.server.house import heard, play, world
from tests.ui.stage import ALICE, desk_of
from tests.ui.tui.showing import perform, theatre


def test_page_up_loads_what_was_said_before(tmp_path: Path) -> None:
    """[12.15-4]: PgUp at the top fetches older messages, down to the beginning of the room; Ctrl-End goes back."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            bob = await here.enter("bob")
            for number in range(250):
                await bob.post("general", f"word {number}.")
            alice = await sit().go()
            await alice.shows("word 249.")

            async def up() -> bool:
                await alice.press("pageup")
                return alice.sees("word 0.")

            for _ in range(60):
                if await up():
                    break
            await alice.shows("word 0.")
            for _ in range(5):
                await alice.press("pageup")
            await alice.shows("this is the beginning of the room")
            await alice.press("ctrl+end")
            await alice.shows("word 249.")

    perform(scenario)


def test_search_finds_and_goes_there(tmp_path: Path) -> None:
    """[12.15-4]: Ctrl-F: words, Enter, Enter; what lies above is loaded until the message is in sight."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            bob = await here.enter("bob")
            await bob.post("general", "the needle")
            for number in range(300):
                await bob.post("general", f"hay {number}.")
            alice = await sit().go()
            await alice.shows("hay 299.")
            await alice.press("ctrl+f", *"needle", "enter")
            await alice.shows("1 found")
            await alice.press("enter")
            await alice.until(lambda: alice.sees("hay 0.") and alice.sees("the needle"))
            await alice.press("ctrl+f", *"nothing", "enter")
            await alice.shows("nothing found")
            await alice.press("tab")
            await alice.shows("Search everywhere")
            await alice.press("escape")
            await alice.hides("Search everywhere")

    perform(scenario)


def test_up_takes_up_the_last_message(tmp_path: Path) -> None:
    """Up in an empty line edits what one said last; the others read the new words."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            alice = await sit().go()
            await alice.type("helo")
            await alice.shows("v helo")
            await alice.press("up")
            await alice.shows("Editing #")
            await alice.press("backspace", *"lo", "enter")
            await alice.shows("hello (edited)")
            await alice.press("f6", "up", "r")
            await alice.shows("/react #")
            await alice.type("+1")
            await alice.shows("+1")

    perform(scenario)


def test_what_was_read_stays_read(tmp_path: Path) -> None:
    """Issue 5.8: the next run shows as read what was read in the last one."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            memory = PlainMemory()
            alice = await sit(memory=memory).go()
            bob = await here.enter("bob")
            await alice.type("hello")
            await alice.shows("alice v hello")
            bob.mark_read("general")
            await alice.shows("alice V hello")
            await alice.type("/quit")
            assert await alice.ended() == 0
            again = await sit(memory=memory).go(replace(ALICE, sign_up=False))
            await again.shows("alice V hello")

    perform(scenario)


def test_what_is_typed_without_a_connection_waits(tmp_path: Path) -> None:
    """[12.15-6]: the title says when it is tried again, what was said waits with a dot, and goes out then."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit().go()
            await alice.type("before")
            await alice.shows("v before")
            alice.road.open = False
            alice.cut(here)
            await alice.shows("reconnecting")
            await alice.type("meanwhile")
            await alice.shows("alice . meanwhile")
            alice.road.open = True
            await alice.shows("alice v meanwhile")
            assert alice.picture[0].endswith("ms") or alice.picture[0].endswith("TLS only")

    perform(scenario)


def test_drafts_and_themes_are_kept(tmp_path: Path) -> None:
    """[12.15-8]: what was typed in a room waits there, also for the next run; so does the theme."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            memory = PlainMemory()
            alice = await sit(memory=memory).go()
            await alice.type("/create lab")
            await alice.until(lambda: alice.picture[0].startswith(" lab"))
            await alice.press(*"half a")
            await alice.press("ctrl+k", *"general", "enter")
            await alice.until(lambda: alice.picture[0].startswith(" general"))
            await alice.until(lambda: alice.picture[-1].startswith("to general"))
            await alice.press("ctrl+k", *"lab", "enter")
            await alice.until(lambda: alice.picture[-1] == "half a")
            assert alice.app.theme == "quicchat"
            alice.app.theme = "nord"
            await alice.press("ctrl+k", *"general", "enter")
            await alice.until(lambda: alice.picture[0].startswith(" general"))
            await alice.type("/quit")
            assert await alice.ended() == 0
            kept = await memory.load()
            assert (kept.preferences["draft:lab"], kept.preferences["theme"]) == ("half a", "nord")

    perform(scenario)


def test_what_was_submitted_is_no_draft(tmp_path: Path) -> None:
    """[12.15-8]: what was kept while it was written, and then said, does not stand there again in the next run."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            memory = PlainMemory()
            alice = await sit(memory=memory).go()
            await alice.press(*"half")
            await alice.until(lambda: "draft:general" in alice.front._chat.preferences)
            await alice.type("way")
            await alice.type("/quit")
            assert await alice.ended() == 0
            assert "draft:general" not in (await memory.load()).preferences

    perform(scenario)


def test_pages_join_what_is_held(tmp_path: Path) -> None:
    """[12.15-4]: what the book let go of while older messages were under way leaves no hole: they come again."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            for number in range(20):
                await alice.post(GENERAL, f"word {number}.")
            await heard(alice)
            newest = [Heard(event, None) for event in await alice.history(GENERAL, limit=12)]
            book = Book()
            seat = Seat(desk_of(alice), book)
            book.past(GENERAL, newest[:3], more=True)
            past, gate = alice.past, asyncio.Event()

            async def late(*asked: Any) -> Sequence[Message]:
                events = await past(*asked)
                await gate.wait()
                return events

            alice.past = late  # type: ignore[assignment]
            loading = asyncio.get_running_loop().create_task(seat.older(GENERAL))
            await asyncio.sleep(0)
            book.tell(Reset(GENERAL), alice.state)
            book.tell(newest[-1], alice.state)
            gate.set()
            await loading
            assert [row.seq for row in book.page(GENERAL).rows] == [newest[-1].message.seq]
            assert await seat.older(GENERAL)
            places = [row.seq for row in book.page(GENERAL).rows]
            assert places == list(range(1, newest[-1].message.seq + 1))

    play(scenario)
