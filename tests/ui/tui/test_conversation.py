"""The application before a real server in memory: what a person sees and presses. (spec 12-operation)"""

from __future__ import annotations

from pathlib import Path

from textual.events import Key

from quicchat.wire.chapters.presence import Show
from tests.ui.tui.showing import perform, theatre


def test_the_first_picture_says_where_it_connects(tmp_path: Path) -> None:
    """[12.15-1]: nobody looks at an empty terminal while the login is under way; then he is in `general`, and talks."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit().go(upto="connecting to localhost:55667")
            await alice.shows("TLS")
            bob = await here.enter("bob")
            await bob.post("general", "good morning")
            await alice.shows("good morning")
            await alice.type("hello to you")
            await alice.until(lambda: any("alice v hello to you" in row for row in alice.picture))
            assert alice.picture[-1].startswith("to general; / begins a command")

    perform(scenario)


def test_what_others_write_is_no_markup(tmp_path: Path) -> None:
    """[12.15-2], U1: brackets and escape sequences are shown as what they are, in messages, topics, statuses."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=(140, 30)).go()
            bob = await here.enter("bob")
            await bob.create("lab", topic="[red]topic[/red] \x1b]0;mine\x07")
            await bob.post("general", "[bold]x[/bold] [@click=app.exit]y[/] \x1b[2J\u202e")
            await alice.shows("[bold]x[/bold] [@click=app.exit]y[/] \u241b[2J")
            await alice.type("/join lab")
            await alice.shows("[red]topic[/red] \u241b]0;mine\u2407")
            await bob.show(Show.AWAY, "[/red] away")
            await alice.shows("[/red]")

    perform(scenario)


def test_what_is_typed_goes_where_it_is_shown(tmp_path: Path) -> None:
    """[12.6-6]: letters, Enter and Alt-2 at once: what was typed before the last key is said where it was typed."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit().go()
            bob = await here.enter("bob")
            await bob.create("lab")
            await alice.type("/join lab")
            await alice.until(lambda: alice.face._scene.here == "lab")
            await alice.until(lambda: alice.picture[0].startswith(" lab"))
            place = str(1 + [tab.room for tab in alice.app.conversation.body.rooms.tabs].index("general"))
            driver = alice.app._driver
            assert driver is not None
            for key in (*"to lab", "enter", f"alt+{place}", *"to all", "enter"):
                driver.send_message(Key("space" if key == " " else key, key if len(key) == 1 else None))
            await alice.until(lambda: alice.picture[0].startswith(" general"))
            await alice.shows("v to all")
            said = [[each.text for each in await bob.history(room, limit=1)] for room in ("lab", "general")]
            assert said == [["to lab"], ["to all"]]

    perform(scenario)


def test_what_the_keys_do_is_told(tmp_path: Path) -> None:
    """Issue 5.1: whoever chooses a message or goes to a list sees what the keys do; a refusal names itself."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=(100, 30)).go()
            bob = await here.enter("bob")
            await bob.post("general", "good morning")
            await alice.shows("good morning")
            assert not alice.sees(" new ")  # she has read nothing yet: all would be below that line
            await alice.press("f6")
            await alice.shows("Enter answers, e edits")
            await alice.press("escape", "f2")
            await alice.shows("Enter goes there")
            await alice.press("escape")
            await alice.hides("Enter goes there")
            await alice.type("/pin")
            await alice.shows("/pin refused: ")

    perform(scenario)


def test_all_keys_that_lead_to_rooms(tmp_path: Path) -> None:
    """[12.15-3]: Alt-A goes where one is named, then on; Alt-2 by place, Ctrl-K by letters, and to new rooms."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit().go()
            bob = await here.enter("bob")
            await bob.create("lab")
            await alice.type("/join lab")
            await alice.shows(" lab  ")
            await alice.press("ctrl+k", *"gene", "enter")
            await alice.until(lambda: alice.picture[0].startswith(" general"))
            await bob.tell("alice", "psst")
            await bob.post("lab", "here, @alice", mentions=["alice"])
            await alice.shows("1 @1")
            await alice.press("alt+a")
            await alice.until(lambda: alice.picture[0].startswith(" lab"))
            await alice.press("alt+a")
            await alice.until(lambda: alice.picture[0].startswith(" @bob"))
            assert alice.sees("psst")
            await alice.type("yes?")
            await alice.shows("alice")
            place = next(n for n, tab in enumerate(alice.app.conversation.body.rooms.tabs, 1) if tab.room == "general")
            await alice.press(f"alt+{place}")
            await alice.until(lambda: alice.picture[0].startswith(" general"))
            await alice.press("ctrl+k", *"nowhere")
            await alice.shows("enter or ask for this room")
            await alice.press("escape")
            await alice.hides("enter or ask for this room")

    perform(scenario)
