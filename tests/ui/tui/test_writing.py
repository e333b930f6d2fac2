"""The input of the full-screen client: keys, what was typed before, completion, what was pasted, what nobody sees."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from textual import events

from quicchat.ui.history import History
from quicchat.ui.slots import TEXT_BYTES
from quicchat.ui.tui.pasted import EDITED, harmless, literal
from quicchat.ui.words import Call
from tests.ui.stage import vocabulary
from tests.ui.tui.writer import Stage, on_stage


def test_enter_says_it_and_other_keys_begin_a_row() -> None:
    """[12.14-1]: Enter submits; Ctrl-J and Alt-Enter begin a row; the input grows to five rows and shrinks again."""

    async def play(here: Stage) -> None:
        await here.types("hello")
        assert here.writing.size.height == 1
        await here.press("ctrl+j", *"you", "alt+enter", *"there")
        assert here.writing.size.height == 3
        await here.press(*(["ctrl+j", "x"] * 6))
        assert here.writing.size.height == 5
        assert here.screen[-1] == "x"
        await here.press("enter")
        assert here.app.said == ["hello\nyou\nthere" + "\nx" * 6]
        assert (here.writing.text, here.writing.size.height) == ("", 1)
        await here.press("enter")
        assert here.app.said[-1] == ""

    on_stage(play)


def test_keys_that_come_together_keep_their_order() -> None:
    """[12.14-1]: over a slow line keys come in bulk: what was typed behind Enter is not said with it."""

    async def play(here: Stage) -> None:
        for key in [*"acx", "backspace", "left", "b", "enter", *"de", "ctrl+a", "ctrl+j", "up", "z", "enter", "f"]:
            here.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await here.press()
        assert here.app.said == ["abc", "z\nde"]
        assert here.writing.text == "f"

    on_stage(play)


def test_a_long_line_is_wrapped() -> None:
    """[12.14-1]: what does not fit a row goes on in the next one, and is one line when it is said."""

    async def play(here: Stage) -> None:
        await here.types("word " * 30)
        assert here.writing.size.height == 2
        await here.press("enter")
        assert here.app.said == ["word " * 30]

    on_stage(play)


def test_keys_of_a_shell() -> None:
    """Issue 5, item 1: Ctrl-A, Ctrl-E, Ctrl-U, Ctrl-W, Ctrl-K, Alt-B and Alt-D do what people are used to."""

    async def play(here: Stage) -> None:
        await here.types("one two three")
        assert await here.press("ctrl+w") == "one two "
        assert await here.press("ctrl+a", "X") == "Xone two "
        assert await here.press("ctrl+e", "Y") == "Xone two Y"
        assert await here.press("alt+b", "alt+d") == "Xone two "
        assert await here.press("ctrl+a", "right", "ctrl+k") == "X"
        assert await here.press("ctrl+u") == ""
        assert here.app.noted == []

    on_stage(play)


def test_keys_that_others_need_get_there() -> None:
    """Issue 5, item 1: Ctrl-K at the end of the text, PgUp, and Ctrl-C without a selection are the application's."""

    async def play(here: Stage) -> None:
        await here.types("x")
        await here.press("ctrl+k", "pageup", "ctrl+c")
        assert here.app.noted == ["switch", "pageup", "leave"]

    on_stage(play)


def test_what_was_typed_comes_back(tmp_path: Path) -> None:
    """[12.14-2]: Ctrl-P goes back, Up and Down go on from there, and what was not submitted is there at the end."""

    async def play(here: Stage) -> None:
        for line in ("first", "second", "second", "third"):
            await here.types(line)
            await here.press("enter")
        await here.types("new")
        assert await here.press("ctrl+p") == "third"
        assert await here.press("up") == "second"
        assert await here.press("ctrl+up") == "first"
        assert await here.press("ctrl+p") == "first"
        assert here.writing.draft == "new"
        assert await here.press("down", "ctrl+n") == "third"
        assert await here.press("down") == "new"
        assert await here.press("down") == "new"
        await here.press("ctrl+p", "!", "enter")
        assert here.app.said[-1] == "third!"
        assert here.writing.text == ""

    path = tmp_path / "data" / "history"
    on_stage(play, History(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def later(here: Stage) -> None:
        assert await here.press("ctrl+p") == "third!"
        assert await here.press("ctrl+p") == "third"

    on_stage(later, History(path))


def test_a_secret_that_is_typed_ahead(tmp_path: Path) -> None:
    """[12.14-4]: what stands behind /password before anybody has asked for it is as secret; no list tells of it."""
    history = History(tmp_path / "history")

    async def play(here: Stage) -> None:
        for key in [*"/password", "enter", "/", "q", "u", "enter", "/", "q"]:
            here.app.post_message(events.Key("slash" if key == "/" else key, key if len(key) == 1 else None))
        await here.press()
        assert here.app.said == ["/password", "/qu"]
        assert here.screen == ["**"]
        assert here.offered == ""
        here.writing.hide(False)
        await here.types("seen")
        assert here.screen == ["seen"]

    on_stage(play, history)
    assert [*history.lines] == ["/password"]


def test_up_edits_the_last_message() -> None:
    """[12.14-3]: Up in an empty input takes up one's last message; Enter replaces it, Esc leaves it as it is."""

    async def play(here: Stage) -> None:
        assert await here.press("up") == "old text"
        assert "#12" in here.above
        assert await here.press("!") == "old text!"
        await here.press("enter")
        assert here.app.said == ["/edit #12 old text!"]
        assert (here.writing.text, here.above) == ("", "")
        await here.types("a draft")
        here.writing.revise(7, "another")
        assert here.writing.draft == "a draft"
        assert await here.press("escape") == "a draft"
        assert here.above == ""
        assert len(here.app.said) == 1
        here.writing.revise(7, "gone")
        assert await here.press("ctrl+u", "enter") == "a draft"
        assert len(here.app.said) == 1

    on_stage(play)


def test_a_secret_is_not_seen_and_not_kept(tmp_path: Path) -> None:
    """[12.14-4]: what is typed while it is hidden shows as stars, and no key brings it back."""
    history = History(tmp_path / "history")

    async def play(here: Stage) -> None:
        here.writing.hide(True)
        await here.types("se(cr)et")
        assert here.screen == ["********"]
        assert here.writing.draft == ""
        await here.press("ctrl+j")
        await here.press("ctrl+a", "shift+end", "ctrl+c")
        assert here.app.clipboard == ""
        await here.pastes("one\ntwo")
        assert here.writing.text == "one"
        await here.press("enter")
        assert here.app.said == ["one"]
        here.writing.hide(False)
        for key in ("ctrl+z", "ctrl+y", "ctrl+p", "up"):
            assert "one" not in await here.press(key)
        assert not history.lines

    on_stage(play, history)
    assert not (tmp_path / "history").exists()


def test_tab_completes() -> None:
    """[12.14-5]: Tab puts what all begin with, then goes through the list; Esc closes it; Enter takes, then sends."""

    async def play(here: Stage) -> None:
        await here.types("/jo")
        assert await here.press("tab") == "/join "
        assert await here.types("ga") == "/join ga"
        assert await here.press("tab") == "/join garden "
        assert "garden" in here.offered
        assert "games" in here.offered
        assert await here.press("tab") == "/join games "
        assert await here.press("shift+tab") == "/join garden "
        assert await here.press("down") == "/join games "
        assert await here.press("enter") == "/join games "
        assert (here.offered, here.app.said) == ("", [])
        await here.press("enter")
        assert here.app.said == ["/join games "]

    on_stage(play)


def test_nicks_come_with_the_last_speaker_first() -> None:
    """[12.14-5]: at the beginning of a line a nick gets a colon, elsewhere none; who spoke last comes first."""

    async def play(here: Stage) -> None:
        assert await here.types("b") == "b"
        assert here.offered == ""
        assert await here.press("tab") == "bob: "
        assert await here.press("tab") == "bert: "
        assert await here.press("escape") == "bert: "
        assert here.offered == ""
        assert await here.types("see @car") == "bert: see @car"
        assert await here.press("tab") == "bert: see @carol"
        await here.press("ctrl+u")
        assert await here.press(*"first", "ctrl+j", *"@al", "left", "left", "tab") == "first\n@al"

    on_stage(play)


def test_a_command_that_is_begun_is_offered() -> None:
    """[12.14-5]: what a slash may become is shown at once, with what it does; Enter sends what stands there."""

    async def play(here: Stage) -> None:
        await here.types("/")
        assert "of " in here.offered
        await here.types("ping")
        assert "measure the way" in here.offered
        await here.press("enter")
        assert here.app.said == ["/ping"]
        assert here.offered == ""
        await here.types("//pi")
        assert here.offered == ""

    on_stage(play)


def test_nothing_foreign_reaches_the_screen() -> None:
    """U1: what others are called and say of themselves is shown without their control characters."""

    async def play(here: Stage) -> None:
        await here.types("/msg b")
        await here.press("tab")
        assert "\x1b" not in here.offered
        assert "lunch" in here.offered

    on_stage(play)


def test_several_pasted_lines_are_asked_for() -> None:
    """[12.14-6]: nothing of a paste of several lines is sent before one has said how."""

    async def play(here: Stage) -> None:
        assert await here.pastes("one line\n") == "one line"
        await here.press("ctrl+u")
        for key, said in (
            ("O", [" //quit\n\nsend bob hi"]),
            ("l", [" //quit", "send bob hi"]),
            ("escape", []),
        ):
            here.app.said.clear()
            assert await here.pastes(" /quit\r\n\r\nsend bob hi\r\n") == ""
            assert "3 lines pasted" in here.above
            assert await here.press("x") == ""
            assert await here.press(key) == ""
            assert here.app.said == said
            assert here.above == ""
        await here.pastes("a\nb")
        assert await here.press("enter") == "a\nb"
        assert here.app.said == []
        assert await here.pastes("c\nd") == "a\nbc\nd"
        # Before the login there is nobody to say it to; it is not lost.
        here.writing.draft, here.writing.desk = "", None
        await here.pastes("e\nf")
        assert await here.press("o") == "e\nf"

    on_stage(play)


def test_a_paste_that_is_too_large() -> None:
    """[12.14-6]: more than one edits is sent as one message or not at all; more than a message holds is refused."""

    async def play(here: Stage) -> None:
        await here.pastes("x" * (EDITED + 1))
        assert f"{EDITED + 1:,} bytes" in here.above
        assert "/send" in here.above
        assert await here.press("i", "l") == ""
        await here.press("o")
        assert here.app.said == ["x" * (EDITED + 1)]
        here.app.said.clear()
        await here.pastes("x\n" * TEXT_BYTES)
        assert f"{TEXT_BYTES:,}" in here.above
        assert await here.press("o", "enter") == ""
        assert here.app.said == []

    on_stage(play)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\x1b[2Jb\x9b31mc", "a[2Jb31mc"),
        ("one\r\ntwo\rthree\n\n", "one\ntwo\nthree"),
        ("a\tb\x00\x08", "a    b"),
        ("\u202eevil\u200b\ufeff\U000e0041", "evil"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
    ],
)
def test_what_is_pasted_is_harmless(text: str, left: str) -> None:
    """[12.14-6]: U1, U4: what one cannot see is not pasted."""
    assert harmless(text) == left


def test_what_is_pasted_is_no_command() -> None:
    """[12.14-6]: a pasted line that looks like a command is said."""
    for style in ("default", "mystic", "classic"):
        words = vocabulary(style)
        for text in ("/quit", "//x", "  /quit", "send bob hi", "EX", "mystic help", "plain", "dereg", "a\n/quit"):
            call = words.parse(literal(text, words))
            assert isinstance(call, Call)
            assert (call.command.name, call["text"]) == ("say", text)
