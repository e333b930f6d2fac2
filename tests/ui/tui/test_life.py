"""The application comes, bears much, and goes: terminals of any size, crowds, every way to end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from quicchat.client.state import Person, RoomView, State
from quicchat.config import ClientConfig
from quicchat.errors import Refused
from quicchat.ui.outcomes import Freight, Lost, Note, Unsent
from quicchat.ui.tui.face import Screenful
from quicchat.wire.chapters.presence import Show
from tests.ui.stage import ALICE
from tests.ui.tui.showing import PATIENCE, perform, theatre


def face_of(tmp_path: Path, size: tuple[int, int] = (80, 24)) -> Screenful:
    return Screenful(ClientConfig(data=tmp_path), headless=True, size=size)


async def hosted(face: Screenful, work: Any) -> int:
    async with asyncio.timeout(PATIENCE):
        return await face.host(work)


def test_what_breaks_the_screen_is_raised(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """[12.15-7]: an error of the screen itself ends both and goes on; no values of any frame are printed."""

    async def scenario() -> None:
        async def patient() -> int:
            face.app.call_later(lambda: {"secret": 1}["other"])
            await asyncio.Event().wait()
            return 1

        face = face_of(tmp_path)
        with pytest.raises(KeyError):
            await hosted(face, patient())
        assert not face.app.is_running

    perform(scenario)
    assert capfd.readouterr() == ("", "")


def test_the_theme_of_the_settings(tmp_path: Path) -> None:
    """[12.15-8]: until one is chosen it is that of the settings; where there is none of this name it is ours."""
    for theme, shown in (("nord", "nord"), ("no-such", "quicchat"), (None, "quicchat")):
        assert Screenful(ClientConfig(data=tmp_path, theme=theme), headless=True).app.theme == shown


def test_the_last_words_outlive_the_screen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """[12.15-7]: why the connection is gone, and what was not sent, is on standard error afterwards, and harmless."""

    async def scenario() -> None:
        async def ending() -> int:
            face.tell(Note("of no importance"), State())
            face.tell(Lost("", "gone\x1b[2J", retry=False), State())
            face.tell(Unsent(2), State())
            return 3

        face = face_of(tmp_path)
        assert await hosted(face, ending()) == 3

    perform(scenario)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == ["connection lost: gone\u241b[2J", "not sent: 2 lines"]


def test_control_c_twice_leaves(tmp_path: Path) -> None:
    """Once is a question, twice is the goodbye; the exit code is 0."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            alice = await sit().go()
            await alice.press("ctrl+c")
            await alice.shows("Ctrl-C once more leaves")
            assert not alice.task.done()
            await alice.press("ctrl+c")
            assert await alice.ended() == 0
            assert not alice.app.is_running

    perform(scenario)


def test_leaving_without_a_connection(tmp_path: Path) -> None:
    """Nobody has to wait for a server that is not there to get away, nor to close what covers the conversation."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit().go()
            alice.road.open = False
            alice.cut(here)
            await alice.shows("reconnecting")
            await alice.press("f2", "escape", *"x")
            await alice.until(lambda: alice.picture[-1] == "x")
            await alice.press("backspace", "f1")
            await alice.shows("Keys and commands")
            await alice.press("ctrl+c", "ctrl+c")
            await alice.ended()
            assert not alice.app.is_running

    perform(scenario)


def test_the_work_ends_the_screen_and_what_it_raises_goes_on(tmp_path: Path) -> None:
    """[12.15-7]: an exception of the work is raised once the terminal is as it was; so is a refused login."""

    async def scenario() -> None:
        async def broken() -> int:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        face = face_of(tmp_path)
        with pytest.raises(ZeroDivisionError):
            await hosted(face, broken())
        assert not face.app.is_running
        async with theatre(tmp_path) as (here, sit):
            await here.enter("alice", password="another")
            alice = sit()
            with pytest.raises(Refused):
                async with asyncio.timeout(PATIENCE):
                    await alice.front.run(ALICE)
            assert not alice.app.is_running

    perform(scenario)


def test_the_screen_ends_the_work(tmp_path: Path) -> None:
    """[12.15-7]: the screen that ends cancels the work; where somebody cancels, as SIGTERM does, both end."""

    async def scenario() -> None:
        ends: list[str] = []
        begun = asyncio.Event()

        async def patient() -> int:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ends.append("the work")
            return 1

        face = face_of(tmp_path)
        task = asyncio.get_running_loop().create_task(hosted(face, patient()))
        await begun.wait()
        face.app.exit()
        assert await task == 0
        begun.clear()
        face = face_of(tmp_path)
        task = asyncio.get_running_loop().create_task(hosted(face, patient()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ends == ["the work", "the work"]
        assert not face.app.is_running
        # Before there is a first picture.
        task = asyncio.get_running_loop().create_task(hosted(face_of(tmp_path), patient()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    perform(scenario)


@pytest.mark.parametrize(("width", "rooms", "members"), [(140, True, True), (80, True, False), (50, False, False)])
def test_what_has_no_room_is_folded(tmp_path: Path, width: int, rooms: bool, members: bool) -> None:
    """[12.15-5]: below 100 columns there are no members, below 60 no rooms; F2 and F3 still show them."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            await here.enter("somebody-else")
            alice = await sit(size=(width, 24)).go()
            await alice.shows("joined")
            await alice.until(lambda: alice.sees("announcements") is rooms)
            await alice.until(lambda: alice.sees("• somebody-else") is members)
            await alice.press("f3")
            await alice.shows("somebody-else online" if width < 60 else "• somebody-else")
            await alice.press("escape" if width < 60 else "f3")
            await alice.hides("somebody-else online" if width < 60 else "• somebody-else")
            await alice.press("f2")
            await alice.shows("announcements")
            await alice.press("escape" if width < 60 else "f2")
            await alice.hides("announcements")
            await alice.press(*"word")
            await alice.until(lambda: alice.picture[-1] == "word")

    perform(scenario)


def test_terminals_of_any_size(tmp_path: Path) -> None:
    """[12.15-5]: a burst of resizes, and a terminal of one column and one row, break nothing."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            alice = await sit().go()
            await alice.type("something to wrap around in narrow places")
            for width, height in ((1, 1), (2, 50), (300, 2), (40, 10), (1, 24), (99, 3), (60, 20)):
                await alice.resize(width, height)
                await alice.press("f1", "escape", "ctrl+k", "escape", "ctrl+f", "escape")
            await alice.resize(80, 24)
            await alice.shows("something to wrap")

    perform(scenario)


def test_a_bar_for_each_file(tmp_path: Path) -> None:
    """Name, share, rate and time to go of what is on its way; afterwards the panel folds away."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            alice = await sit().go()
            moving = Freight(
                number=1, name="[b]a\x1b.iso", direction="down", mode="reliable", state="transferring",
                size=1000, done=470, rate=3_400_000.0, eta=12.0,
            )  # fmt: skip
            alice.face.tell(moving, alice.app._scene.state)
            await alice.shows("< [b]a\u241b.iso")
            assert any("47 %  3.4 MB/s  12 s to go" in row for row in alice.picture)
            others = [Freight(number=n, name="x", direction="up", mode="fast", state="offered") for n in range(2, 9)]
            for each in others:
                alice.face.tell(each, alice.app._scene.state)
            await alice.shows("and 5 more; /transfers lists them")
            done = [Freight(number=n, name="x", direction="up", mode="fast", state="done") for n in range(1, 9)]
            for each in done:
                alice.face.tell(each, alice.app._scene.state)
            await alice.hides("/transfers lists them")

    perform(scenario)


def test_a_thousand_rooms_and_five_thousand_people(tmp_path: Path) -> None:
    """Design: a note costs what is on the screen, not what the state holds; and the loop is never held for long."""
    small, large = (_work_of_a_note(tmp_path / str(size), size) for size in (10, 1000))
    assert large < 3 * small


def _work_of_a_note(path: Path, size: int) -> int:
    """The most calls of functions within one turn, with so many rooms and five times as many people.

    What others do on this machine meanwhile changes a time, but not this.
    """
    path.mkdir()
    calls = worst = 0

    def count(frame: FrameType, event: str, about: object) -> None:
        nonlocal calls
        calls += event == "call"

    async def scenario() -> None:
        names = [f"{number:05}-" + "n" * 26 for number in range(5 * size)]
        people = {name: Person(show=Show(1 + place % 3), status="[red]x") for place, name in enumerate(names)}
        rooms = {f"r{n:04}-{'w' * 58}": RoomView(room=f"r{n:04}", head=n, unread=n % 3) for n in range(size)}
        state = State(user="alice", rooms=rooms, people=people)

        async def crowd() -> int:
            nonlocal calls, worst
            for number in range(30):
                calls = 0
                sys.setprofile(count)
                face.tell(Note(f"note {number}"), state)
                await asyncio.sleep(0.01)
                sys.setprofile(None)
                worst = max(worst, calls)
            return 7

        face = face_of(path, (140, 40))
        assert await hosted(face, crowd()) == 7

    perform(scenario)
    return worst


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    """What /password asks for shows as stars, in whatever room, and no draft gets among it."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            alice = await sit().go()
            await alice.press(*"half a line", "alt+2")
            await alice.hides("half a line")
            await alice.type("/password")
            await alice.shows("current?")
            await alice.press("alt+1")
            await alice.until(lambda: alice.picture[0].startswith(" general"))
            assert not alice.sees("half a line")
            await alice.press(*"secret")
            await alice.shows("******")
            assert not alice.sees("secret")
            await alice.press("enter")
            await alice.shows("new?")
            await alice.type("better words")
            await alice.shows("again?")
            await alice.type("better words")
            await alice.shows("the password is changed")
            await alice.type("/password")
            await alice.shows("Nobody sees what you type")
            await alice.press("ctrl+c", "ctrl+c")
            assert await alice.ended() == 0

    perform(scenario)
