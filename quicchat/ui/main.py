"""The client: which face it shows, who logs in, and then one run of it. (spec 12-operation)

A face is there before what it needs later: whoever comes again has something to see, and may type, while the library
and what speaks QUIC are loaded.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

from quicchat.client.reserve import is_held
from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.errors import Refused, UsageError
from quicchat.ui.entry import Entry, Person, Script
from quicchat.ui.face import Face
from quicchat.ui.lines import Lines
from quicchat.ui.logs import LOG, logged
from quicchat.ui.plain import plain
from quicchat.ui.users import last_user
from quicchat.ui.visit import Doubt, ask, visit
from quicchat.ui.words import Asks, Call, Unclear, Vocabulary

if TYPE_CHECKING:
    from quicchat.client.identity import Identity
    from quicchat.ui.front import Front

Faces = Literal["tui", "line", "plain"]

_NO_TUI: Final = "this needs Textual: pip install 'quicchat[tui]', or take --ui line"
_NO_TERMINAL: Final = "--ui {ui} needs a terminal for what is typed and for what is shown; --ui plain needs none"
#: What has time until a face is there.
_LATER: Final = ("quicchat.ui.front", "quicchat.client.connect")


def run(config: ClientConfig, *, lines: Lines | None = None, face: Callable[[], Face] | None = None) -> int:
    """Talk until the person or the script has said all; the exit code. Raises UsageError, KeyboardInterrupt.

    `lines` is standard input unless it is given; `face` makes one for each visit, unless it is found out here.
    """
    understood(config)
    lines = lines or Lines.of_stdin()
    kind = _kind(config, lines) if face is None else "plain"
    with _loading():
        make = face or _maker(kind, config, lines)
        asking = _asking(config, lines, full=kind == "tui")
    asks = lines.interactive and (config.user is None or config.password_file is None)
    entry = asking if asks else Script(config.user, config.password_file, lines, config.invitation)
    agrees = asking.agrees if lines.interactive else None

    def visitor(agreed: frozenset[str] | None) -> _Visitor:
        return _Visitor(config, make(), lines, agreed, names=asks)

    with logged(config.data / LOG):
        return visit(entry, agrees, visitor)


class _Visitor:
    """Has a face show itself, and the front behind it loaded meanwhile."""

    def __init__(
        self, config: ClientConfig, face: Face, lines: Lines, agreed: frozenset[str] | None, *, names: bool
    ) -> None:
        self._config = config
        self._face = face
        self._lines = lines
        self._agreed = agreed
        self._names = names

    async def run(self, identity: Identity) -> int:
        """As `Front.run`."""
        # Who has been here is let in, as a rule. Others are asked more, and what they type is no message yet.
        is_expected = identity.password is None and not self._config.commands
        if is_expected:
            self._face.prompt()
        try:
            return await self._face.host(self._visit(identity))
        except (Doubt, Refused):
            if is_expected:
                # What was meant for a room is no answer to what is asked now.
                self._lines.forget()
            raise

    async def _visit(self, identity: Identity) -> int:
        # What is typed is seen meanwhile.
        await asyncio.to_thread(_load)
        return await self._front().visit(identity)

    def _front(self) -> Front:
        from quicchat.ui.commands import COMMANDS
        from quicchat.ui.contact import Contact
        from quicchat.ui.front import Front

        words = Vocabulary(COMMANDS, self._config.style, secrets.token_bytes)
        contact = Contact(self._config, self._agreed, names=self._names)
        return Front(self._config, words, self._face, contact, calls=understood(self._config))


def chosen(config: ClientConfig, *, terminal: bool, term: str, textual: bool) -> Faces:
    """The face that fits: `terminal` where both ends are one, whose kind is `term`. Raises UsageError."""
    if config.ui == "tui" and not textual:
        raise UsageError(_NO_TUI)
    if config.ui in ("tui", "line") and not terminal:
        raise UsageError(_NO_TERMINAL.format(ui=config.ui))
    if config.ui != "auto":
        return config.ui
    if not terminal or config.json or config.commands or term in ("", "dumb"):
        return "plain"
    # The other styles are about lines.
    return "tui" if textual and config.style == "default" else "line"


def _kind(config: ClientConfig, lines: Lines) -> Faces:
    """The face that fits what we were started with."""
    terminal = lines.interactive and sys.stdout is not None and sys.stdout.isatty()
    textual = find_spec("textual") is not None
    if config.ui == "auto" and not (sys.stderr is not None and sys.stderr.isatty()):
        textual = False  # that is where it draws
    return chosen(config, terminal=terminal, term=os.environ.get("TERM", ""), textual=textual)


def _maker(kind: Faces, config: ClientConfig, lines: Lines) -> Callable[[], Face]:
    """Makes such a face."""
    match kind:
        case "tui":
            from quicchat.ui.tui.face import tui

            return lambda: tui(config)
        case "line":
            from quicchat.ui.line import line

            return lambda: line(config)
        case "plain":
            return lambda: plain(config, lines)


def _asking(config: ClientConfig, lines: Lines, *, full: bool) -> Entry:
    """Who asks the person who logs in, in lines or on the `full` terminal."""
    where = place(config.host, config.port)
    user = config.user
    if user is None and (last := last_user(config.data, where)) is not None:
        # Whoever comes to a second window is somebody else.
        user = last if not is_held(config.data, where, last) else None
    if full:
        from quicchat.ui.tui.welcome import Welcome

        return Welcome(user, where, config.invitation, config.hint)
    return Person(user, lines, ask, place=where, invitation=config.invitation)


def understood(config: ClientConfig) -> Sequence[Call]:
    """What -e asks for. Raises UsageError before anything is sent where a line makes no sense."""
    if not config.commands:
        return ()
    from quicchat.ui.commands import COMMANDS

    words = Vocabulary(COMMANDS, config.style, secrets.token_bytes)
    calls = []
    for line in config.commands:
        match words.parse(line):
            case Call() as call:
                calls.append(call)
            case Unclear(text):
                raise UsageError(text)
            case Asks(question=question):
                raise UsageError(f"{line}: {question}")
    return calls


def _load() -> None:
    with _loading():
        for name in _LATER:
            import_module(name)


@contextmanager
def _loading() -> Iterator[None]:
    """What is loaded never becomes garbage: to look for some takes a quarter of the time, and is part of each pause."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
