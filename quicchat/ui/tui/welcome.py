"""Who logs in, and whether a server is the right one, asked on the whole terminal. (spec 12-operation)

Each question is an application of its own, since nobody waits for an answer while a connection is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import ClassVar, Final, TypeVar

from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from quicchat.client.identity import Identity
from quicchat.errors import Code, Refused, UsageError
from quicchat.ui.entry import LEAST, NOT_IN, SHORT, checked, explained, identity, is_worth_another
from quicchat.ui.tui.canvas import Canvas
from quicchat.ui.tui.order import bound
from quicchat.ui.visible import visible

Answer = TypeVar("Answer")

_INTERRUPTED: Final = 130
_FINGERPRINT: Final = "SHA256:"
#: Hexadecimal digits that are compared at a glance, and how many such groups stand in a row.
_GROUP, _GROUPS = 4, 8
_WRONG: Final = "The name or the password is wrong. New here? Then tick the box."
_NO_NAME: Final = "Who are you? A name has letters, digits, _ and -; if you are new, choose one and tick the box."


class Question(Canvas[Answer]):
    """A sheet in the middle of the screen. It gives None to whoever leaves."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Question { align: center middle; }
    Screen { align: center middle; background: $background; }
    #sheet { width: 100%; max-width: 60; height: auto; padding: 0 2; background: $surface; }
    #sheet Static { height: auto; }
    #sheet Horizontal { height: 1; }
    #sheet .label { width: 12; }
    #sheet Input { border: none; height: 1; padding: 0; background: $panel; }
    #sheet Tick:focus { text-style: reverse; }
    #error { color: $error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("ctrl+c", "interrupt", "Leave at once", show=False, priority=True),
    ]
    #: The exit code of a signal that ended it.
    ended = 0

    def on_mount(self) -> None:
        """A signal leaves the terminal as it was."""
        for name in ("SIGTERM", "SIGHUP"):
            # Not every system has both, not every loop can, and only the main thread may listen.
            with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
                number = getattr(signal, name)
                if signal.getsignal(number) is not signal.SIG_IGN:
                    asyncio.get_running_loop().add_signal_handler(number, self._end, 128 + number)

    def action_leave(self) -> None:
        """There is no answer."""
        self.exit(None)

    def action_interrupt(self) -> None:
        """Ctrl-C."""
        self._end(_INTERRUPTED)

    def _end(self, code: int) -> None:
        self.ended = code
        self.exit(None)


class Field(Input):
    """A line to fill, by keys in their order."""

    async def _on_key(self, event: events.Key) -> None:
        if await bound(self, event.key):
            event.stop()
            event.prevent_default()


class Tick(Static, can_focus=True):
    """Yes or no; one sees which without colours."""

    class Changed(Message):
        """It is the other way now."""

    def __init__(self, label: str, on: bool) -> None:
        self._label, self.on = label, on
        super().__init__(self._row)

    @property
    def _row(self) -> Content:
        return Content(f"[{'x' if self.on else ' '}] {self._label}")

    def on_click(self) -> None:
        """As the key."""
        self.turn()

    def turn(self) -> None:
        """The other way."""
        self.on = not self.on
        self.update(self._row)
        self.post_message(self.Changed())


class Login(Question[Identity]):
    """Name and password, or a new account; `said` is why it is asked again, `hint` is for who has never been here.

    An `invitation` that is not None is asked for, too. Keys that lead to another line are taken before all else, so
    that what is typed behind them goes there.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", "Go on", show=False, priority=True),
        Binding("tab", "move(1)", "Next line", show=False, priority=True),
        Binding("shift+tab", "move(-1)", "Line before", show=False, priority=True),
        Binding("space", "turn", "Tick", show=False, priority=True),
    ]

    def __init__(
        self,
        place: str,
        user: str = "",
        said: str = "",
        *,
        new: bool = False,
        invitation: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__()
        self._hint = hint
        self._place, self._user, self._said = place, user, said
        self._new, self._invitation = new, invitation

    def compose(self) -> ComposeResult:
        """A form."""
        with Vertical(id="sheet"):
            yield Static(Content.assemble(("quicchat", "bold"), "  ", (visible(self._place), "dim")))
            yield Static(" ")
            if self._hint is not None:
                yield Static(Content(f"{visible(self._hint)}\n"))
            yield _line("user", "User", Field(self._user, id="user", max_length=64))
            yield _line("password", "Password", Field(password=True, id="password", max_length=1024))
            yield _line("new", "", Tick("make a new account", self._new))
            yield _line("again", "Once more", Field(password=True, id="again", max_length=1024))
            yield _line("invite", "Invitation", Field(self._invitation, id="invite", max_length=64))
            yield Static(SHORT, id="short")
            yield Static(Content(self._said), id="error")
            yield Static(Content.styled("Enter goes on, Tab moves, Space ticks, Esc leaves", "dim"))

    def on_mount(self) -> None:
        """Begin where something is missing."""
        self._arrange()
        self.query_one("#password" if self._user else "#user", Input).focus()

    def action_next(self) -> None:
        """To the next line; what the last one does with the key is `on_input_submitted`."""
        if isinstance(self.focused, Tick):
            self.focused.turn()
            self._arrange()
            return
        fields = [each for each in self.query(Field) if each.parent is None or each.parent.display]
        if self.focused not in fields[:-1]:
            raise SkipAction
        self.screen.set_focus(fields[fields.index(self.focused) + 1])

    def action_move(self, step: int) -> None:
        """To the line below or above."""
        _ = self.screen.focus_next() if step > 0 else self.screen.focus_previous()

    def action_turn(self) -> None:
        """Tick, where that is what has the focus."""
        if not isinstance(self.focused, Tick):
            raise SkipAction
        self.action_next()

    def on_tick_changed(self) -> None:
        """A new account asks for more."""
        self._arrange()

    def on_input_submitted(self) -> None:
        """The last line is filled."""
        try:
            self.exit(self._answer())
        except UsageError as error:
            user = self.query_one("#user", Input)
            self.query_one("#error", Static).update(Content(visible(str(error)) if user.value.strip() else _NO_NAME))
            if not _is_name(user.value):
                user.focus()

    @property
    def _is_new(self) -> bool:
        return self.query_one(Tick).on

    def _arrange(self) -> None:
        invited = self._is_new and self._invitation is not None
        for each, shown in (("#of-again", self._is_new), ("#short", self._is_new), ("#of-invite", invited)):
            self.query_one(each).display = shown

    def _answer(self) -> Identity:
        """Who is to be let in. Raises UsageError."""
        user, password, again, invite = (self.query_one(f"#{each}", Input).value for each in _FIELDS)
        found = identity(user, password)
        if not self._is_new:
            return found
        if len(password) < LEAST:
            raise UsageError(SHORT)
        if password != again:
            raise UsageError("The two passwords are not the same.")
        return Identity(user=found.user, password=password, prove=True, sign_up=True, invite=invite.strip() or None)


def _is_name(text: str) -> bool:
    """Whether a user may be called so."""
    try:
        checked(text)
    except UsageError:
        return False
    return True


def _line(name: str, label: str, field: Widget) -> Horizontal:
    return Horizontal(Static(label, classes="label"), field, id=f"of-{name}")


_FIELDS: Final = ("user", "password", "again", "invite")


class Trust(Question[bool]):
    """Whether a server that is new is the right one."""

    #: Nobody vouches for what he has not seen.
    TRUSTS_EARLY = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "answer(True)", "Trust it", show=False),
        Binding("n,N", "answer(False)", "Leave", show=False),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """What was asked, with the fingerprint in groups that one can compare."""
        *lines, last = self._question.strip().split("\n")
        with Vertical(id="sheet"):
            for line in lines:
                bare = line.strip()
                yield from map(_row, grouped(bare) if bare.startswith(_FINGERPRINT) else [line])
            yield Static(Content.assemble((visible(last.partition("[")[0].strip()), "bold")))
            yield Static(Content.styled("Y trusts it, N or Esc leaves; nothing was sent yet", "dim"))

    def action_answer(self, yes: bool) -> None:
        """Y or N."""
        self.exit(yes)


def grouped(text: str) -> list[str]:
    """A fingerprint in rows of groups."""
    digits = text.removeprefix(_FINGERPRINT)
    groups = [digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP)]
    rows = [" ".join(groups[at : at + _GROUPS]) for at in range(0, len(groups), _GROUPS)]
    return [_FINGERPRINT, *(f"  {row}" for row in rows)]


def _row(text: str) -> Static:
    return Static(Content(visible(text)))


class Welcome:
    """Asks on the whole terminal, as `Person` does in lines."""

    def __init__(self, user: str | None, place: str, invitation: str | None = None, hint: str | None = None) -> None:
        self._user, self._place, self._invitation, self._hint = user, place, invitation, hint

    def first(self) -> Identity:
        if self._user is not None:
            return Identity(user=checked(self._user))
        return self._log_in(Login(self._place, invitation=self._invitation, hint=self._hint))

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        if tried.password is None and refusal.code in (Code.AUTH_FAILED, Code.TOKEN_EXPIRED):
            return self._log_in(Login(self._place, tried.user))
        if refusal.code is Code.AUTH_FAILED and not tried.sign_up:
            return self._log_in(Login(self._place, tried.user, _WRONG, invitation=self._invitation, hint=self._hint))
        if not is_worth_another(refusal) and refusal.code is not Code.RATE_LIMITED:
            raise UsageError(explained(refusal), NOT_IN)
        said, invitation = visible(explained(refusal)), tried.invite or self._invitation
        if refusal.code is Code.SIGNUP_CLOSED:
            said, invitation = f"{said} Do you have an invitation?", invitation or ""
        return self._log_in(Login(self._place, tried.user, said, new=tried.sign_up, invitation=invitation))

    def agrees(self, question: str) -> bool:
        return _asked(Trust(question)) is True

    def _log_in(self, form: Login) -> Identity:
        found = _asked(form)
        if found is None:
            raise UsageError("nobody logged in", NOT_IN)
        return found


def _asked(question: Question[Answer]) -> Answer | None:
    """Show it, and wait for the answer. Raises KeyboardInterrupt, SystemExit."""
    found = question.run()
    if question.broken is not None:
        raise question.broken
    if question.ended == _INTERRUPTED:
        raise KeyboardInterrupt
    if question.ended:
        raise SystemExit(question.ended)
    return found
