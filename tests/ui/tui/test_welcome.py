"""Who logs in, asked on the whole terminal: forms that say what is wrong, and the question whether to trust."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partialmethod
from typing import Any

import pytest
from textual import events
from textual.message import Message
from textual.pilot import Pilot

from quicchat.client.login import Identity
from quicchat.errors import Code, Refused, UsageError
from quicchat.ui.tui import welcome
from quicchat.ui.tui.welcome import Login, Question, Trust, Welcome, grouped
from tests.ui.stage import ALICE

PLACE = "chat.example:5000"
MARK = "SHA256:" + "0123456789abcdef" * 4
QUESTION = f"{PLACE} is new.\x1b[2J\n  {MARK}\nIs that right?\nTrust it from now on? [y/N] "


def shown(app: Question[Any]) -> str:
    """What is on the screen."""
    return "\n".join("".join(each.text for each in strip).rstrip() for strip in app.screen._compositor.render_strips())


def answered(
    app: Question[Any], play: Callable[[Pilot[Any]], Awaitable[object]], size: tuple[int, int] = (80, 24)
) -> object:
    """The answer that these keys give."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await play(pilot)

    asyncio.run(run())
    return app.return_value


def test_name_and_password() -> None:
    """[12.13-1]: Enter goes from the name to the password, which nobody sees, and from there to the server."""

    async def play(pilot: Pilot[Any]) -> None:
        await pilot.press(*"Ann", "enter", *"se[c]", "enter")

    app = Login(PLACE)
    assert answered(app, play) == Identity(user="ann", password="se[c]", prove=True)
    app = Login(PLACE, "ann", "Wrong. [b]New here?")

    async def look(pilot: Pilot[Any]) -> None:
        await pilot.press(*"hunter2")
        await pilot.pause()
        picture = shown(app)
        assert PLACE in picture
        assert "Wrong. [b]New here?" in picture
        assert "hunter2" not in picture
        assert "\u2022" * 7 in picture
        assert "Once more" not in picture

    answered(app, look)


def test_a_new_account_in_a_narrow_window() -> None:
    """[12.13-2]: the least length is told before, the password is typed twice, and faults are told in the form."""
    app = Login(PLACE)

    async def play(pilot: Pilot[Any]) -> None:
        await pilot.press(*"ann", "enter", *"short", "tab", "space", "tab", *"short", "enter")
        await pilot.pause()
        picture = shown(app)
        assert "at least 8" in picture.replace("\n", " ")
        assert "[x] make a new account" in picture
        assert len(picture.split("\n")) == 20
        await pilot.press("shift+tab", "shift+tab", *"long enough", "tab", "tab", "enter")
        await pilot.pause()
        assert "not the same" in shown(app)
        await pilot.press(*"long enough", "enter")

    found = answered(app, play, (50, 20))
    assert found == Identity(user="ann", password="long enough", prove=True, sign_up=True)


def test_a_password_typed_ahead_is_not_seen() -> None:
    """[12.13-1]: keys that come all at once go each to its line, and no letter of a password to that of the name."""
    app = Login(PLACE)

    async def play(pilot: Pilot[Any]) -> None:
        again = [*"long enough", "x", "backspace"]
        for key in ["A", "n", "enter", *again, "tab", " ", "tab", *again, "enter"]:
            name = "space" if key == " " else key
            app.post_message(events.Key(name, key if len(key) == 1 else None))
        await pilot.pause()

    assert answered(app, play) == Identity(user="an", password="long enough", prove=True, sign_up=True)


def test_a_name_that_cannot_be_one() -> None:
    """[12.13-1]: it is told in the form, and nothing is tried; Esc leaves."""
    app = Login(PLACE)

    async def play(pilot: Pilot[Any]) -> None:
        await pilot.press(*"no name", "enter", *"x", "enter")
        await pilot.pause()
        assert "no name" in str(app.query_one("#error").visual)  # type: ignore[attr-defined]
        assert app.is_running
        await pilot.press("ctrl+a", "ctrl+k")  # back where the fault is
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert "Who are you?" in shown(app)
        await pilot.press("escape")

    assert answered(app, play) is None


def test_a_hint_for_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5.4: what the setting `hint` says is read before anything is typed, and it is no markup."""
    hint = "Log in as user1 with [b]pass1[/b]."
    with monkeypatch.context() as patch:
        forms = Forms(patch, ALICE, ALICE)
        Welcome(None, PLACE, hint=hint).first()
        Welcome(None, PLACE, hint=hint).again(replace(ALICE, sign_up=False), Refused(Code.AUTH_FAILED))
        assert [form._hint for form in forms.seen] == [hint, hint]
    app = Login(PLACE, hint=hint)

    async def look(pilot: Pilot[Any]) -> None:
        assert hint in shown(app)

    answered(app, look)


def test_an_invitation() -> None:
    """[12.13-3]: it is asked for where one is needed, or brought."""
    app = Login(PLACE, "ann", new=True, invitation="")

    async def play(pilot: Pilot[Any]) -> None:
        keys = [*"password", "tab", "tab", *"password", "tab", *"sesame", "enter"]
        await pilot.press(*keys)

    assert answered(app, play) == Identity(user="ann", password="password", prove=True, sign_up=True, invite="sesame")


@pytest.mark.parametrize(
    ("keys", "answer"),
    [(["y"], True), (["Y"], True), (["n"], False), (["escape"], None), (["enter", "space", "escape"], None)],
)
def test_only_yes_trusts(keys: list[str], answer: bool | None) -> None:
    """A10, [12.13-5]: the fingerprint is shown in groups, and nothing but Y trusts it."""
    app = Trust(QUESTION)

    async def play(pilot: Pilot[Any]) -> None:
        picture = shown(app)
        assert picture.count("0123 4567 89ab cdef 0123 4567 89ab cdef") == 2
        assert "\u241b" in picture
        await pilot.press(*keys)

    assert answered(app, play, (50, 20)) is answer


def test_what_was_typed_before_the_picture() -> None:
    """[12.13-5], [12.15-1]: it is not lost, but nobody vouches with it for a server that he has not seen."""

    async def scenario(app: Question[Any]) -> str:
        def hook(message: Message) -> None:
            if isinstance(message, events.Load):
                app.post_message(events.Key("y", "y"))

        async with app.run_test(message_hook=hook) as pilot:
            assert app._early is None
            await pilot.pause()
            return shown(app)

    assert "User        y" in asyncio.run(scenario(Login(PLACE)))
    trust = Trust(QUESTION)
    assert "Y trusts it" in asyncio.run(scenario(trust))
    assert trust.return_value is None


def test_groups_are_the_fingerprint() -> None:
    """[12.13-5]: no digit is lost on the way."""
    assert "".join("".join(grouped(MARK)).split()) == MARK


def test_ctrl_c_ends_it() -> None:
    """U9: at once, and with the exit code of an interrupt."""
    app = Login(PLACE)
    assert answered(app, lambda pilot: pilot.press("x", "ctrl+c")) is None
    assert app.ended == 130


class Forms:
    """Stands for the terminal: answers each question, and keeps it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: object, ended: int = 0) -> None:
        self.seen: list[Any] = []
        given = [*answers]

        def run(question: Any) -> object:
            self.seen.append(question)
            question.ended = ended
            return given.pop(0)

        monkeypatch.setattr(welcome.Question, "run", run)


def test_each_refusal_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.13-1], [12.13-4]: R1.10: a form says why it is there again; only what no answer mends ends it."""
    tried = replace(ALICE, sign_up=False)
    for code, sign_up, said, new in (
        (Code.AUTH_FAILED, False, "The name or the password is wrong", False),
        (Code.NAME_TAKEN, True, "This name is taken", True),
        (Code.SIGNUP_CLOSED, True, "Do you have an invitation?", True),
        (Code.RATE_LIMITED, False, "Try again in 3 seconds", False),
    ):
        forms = Forms(monkeypatch, ALICE)
        refusal = Refused(code, retry_after=3000 if code is Code.RATE_LIMITED else None)
        assert Welcome(None, PLACE).again(replace(tried, sign_up=sign_up), refusal) is ALICE
        (form,) = forms.seen
        assert said in form._said
        assert (form._user, form._new) == ("alice", new)
    with pytest.raises(UsageError, match="already logged in") as caught:
        Welcome(None, PLACE).again(tried, Refused(Code.ALREADY_LOGGED_IN))
    assert caught.value.exit_code == 5


def test_who_is_known_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.13-6]: a name from last time comes back by its token; where that is no good, only the password is asked."""
    forms = Forms(monkeypatch, ALICE, None)
    asking = Welcome("Alice", PLACE)
    assert asking.first() == Identity(user="alice")
    assert not forms.seen
    assert asking.again(Identity(user="alice"), Refused(Code.TOKEN_EXPIRED)) is ALICE
    assert (forms.seen[0]._user, forms.seen[0]._said) == ("alice", "")
    with pytest.raises(UsageError, match="nobody logged in"):
        Welcome(None, PLACE).first()


def test_how_it_may_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """U9: Ctrl-C interrupts; a signal ends with its own code; no answer is no trust."""
    Forms(monkeypatch, None, ended=130)
    with pytest.raises(KeyboardInterrupt):
        Welcome(None, PLACE).first()
    Forms(monkeypatch, None, ended=143)
    with pytest.raises(SystemExit) as caught:
        Welcome(None, PLACE).agrees(QUESTION)
    assert caught.value.code == 143
    Forms(monkeypatch, None, True, False)
    assert [Welcome(None, PLACE).agrees(QUESTION) for _ in range(3)] == [False, True, False]


def test_what_breaks_a_form_prints_no_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """[12.13-1]: an error of a form goes on to who asked, and no values of any frame are printed."""

    def broken(self: Login) -> Identity:
        password = "hunter2"
        raise ZeroDivisionError(len(password))

    async def type_and_go(pilot: Pilot[Any]) -> None:
        await pilot.press(*"hunter2", "enter")

    monkeypatch.setattr(Login, "_answer", broken)
    monkeypatch.setattr(Login, "run", partialmethod(Login.run, headless=True, auto_pilot=type_and_go))
    with pytest.raises(ZeroDivisionError):
        Welcome(None, PLACE)._log_in(Login(PLACE, "ann"))
    assert "hunter2" not in "".join(capfd.readouterr())
