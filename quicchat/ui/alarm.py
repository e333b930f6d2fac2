"""The ways to draw somebody's attention: bell, terminal, desktop, the title of the window. (spec 12-operation)

A terminal is asked by OSC 9 (iTerm2, WezTerm, Ghostty, kitty) or OSC 777 (foot, urxvt); of most others nothing is
known, and they get a bell. Inside tmux it is the terminal around it that is asked, where it is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping
from typing import Final

from quicchat.ui.notices import Notice
from quicchat.ui.visible import visible

#: Seconds that the desktop's program may take.
_PATIENCE: Final = 1.0
_BELL: Final = "\a"
_ESC: Final = "\x1b"
_END: Final = f"{_ESC}\\"
#: What terminals tell of themselves in the environment, the most certain first: [variable, beginning, its OSC].
_SIGNS: Final = (
    ("WEZTERM_PANE", "", 9),
    ("GHOSTTY_RESOURCES_DIR", "", 9),
    ("KITTY_WINDOW_ID", "", 9),
    ("TERM_PROGRAM", "iTerm.app", 9),
    ("LC_TERMINAL", "iTerm2", 9),
    ("TERM_PROGRAM", "WezTerm", 9),
    ("TERM_PROGRAM", "ghostty", 9),
    ("TERM", "xterm-kitty", 9),
    ("TERM", "xterm-ghostty", 9),
    ("TERM", "foot", 777),
    ("TERM", "rxvt-unicode", 777),
)
#: Terminals that have a title, and where to put one: others would print it.
_TITLED: Final = ("xterm", "tmux", "screen", "rxvt", "foot", "alacritty", "st-", "wezterm", "konsole", "vte", "gnome")

#: Terminals that understand nothing of all this, not even whether it was understood.
_MUTE: Final = ("", "dumb")


class Alarm:
    """Draws attention on one terminal: `ring` takes a sequence there. Nothing that is told can end a sequence.

    A terminal that understands nothing gets nothing. `program` tells the desktop, where there is one.
    """

    def __init__(
        self,
        ring: Callable[[str], None],
        environ: Mapping[str, str],
        *,
        bell: bool,
        desktop: bool,
        program: str | None = None,
    ) -> None:
        term = environ.get("TERM", "")
        is_able = term not in _MUTE
        self._ring = ring
        self._bell = bell and is_able
        self._is_inside = "TMUX" in environ
        self._code = _code(environ) if desktop and is_able else None
        self._program = (program or desktop_program(environ)) if desktop and is_able else None
        self._titled = desktop and is_able and term.startswith(_TITLED)
        self._title: str | None = None
        self._telling: asyncio.Task[None] | None = None

    def announce(self, notice: Notice) -> None:
        """Ring, and tell it where it can be read. Something that is still being told is not interrupted."""
        if self._bell:
            self._ring(_BELL)
        if self._program is not None:
            if self._telling is None or self._telling.done():
                self._telling = asyncio.get_running_loop().create_task(self._tell(self._program, notice))
        elif self._code is not None:
            self._ring(self._around(_notification(self._code, notice)))

    def count(self, number: int) -> None:
        """So many messages wait: the title of the window says so. What it was before comes back with `close`."""
        title = f"({number}) quicchat" if number else "quicchat"
        if not self._titled or title == self._title:
            return
        if self._title is None:
            self._ring(f"{_ESC}[22;2t")
        self._title = title
        self._ring(f"{_ESC}]2;{title}{_END}")

    async def close(self) -> None:
        """The window is as before, and no program is left behind."""
        if self._title is not None:
            # Those that keep no titles get an empty one.
            self._title = None
            self._ring(f"{_ESC}]2;{_END}{_ESC}[23;2t")
        if self._telling is not None and not self._telling.done():
            self._telling.cancel()
            await asyncio.wait([self._telling])

    def _around(self, sequence: str) -> str:
        """For the terminal in which tmux runs."""
        return f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC * 2)}{_END}" if self._is_inside else sequence

    async def _tell(self, program: str, notice: Notice) -> None:
        words = ("--app-name=quicchat", "--", visible(notice.title), _literal(visible(notice.text)))
        null = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(program, *words, stdin=null, stdout=null, stderr=null)
        except OSError:
            self._program = None  # it is gone; the bell stays
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
        except TimeoutError:
            pass  # it waits for a desktop that does not answer
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def desktop_program(environ: Mapping[str, str]) -> str | None:
    """What tells the desktop that one sits at; from afar it is another one's."""
    if environ.get("SSH_CONNECTION") or not (environ.get("WAYLAND_DISPLAY") or environ.get("DISPLAY")):
        return None
    return shutil.which("notify-send", path=environ.get("PATH", ""))


def _code(environ: Mapping[str, str]) -> int | None:
    """Which OSC the terminal takes for a notification, if any."""
    inside = "TMUX" in environ
    for name, beginning, code in _SIGNS:
        # Inside tmux these tell of tmux.
        tells = name in environ and not (inside and name in ("TERM", "TERM_PROGRAM"))
        if tells and environ[name].startswith(beginning):
            return code
    return None


def _notification(code: int, notice: Notice) -> str:
    if code == 9:
        # A number at its beginning would be another command.
        return f"{_ESC}]9;quicchat: {_inert(notice.line)}{_END}"
    return f"{_ESC}]777;notify;{_inert(notice.title)};{_inert(notice.text)}{_END}"


def _inert(text: str) -> str:
    """Text that ends no sequence, and is one field of it."""
    return visible(text).replace(";", ",")


def _literal(text: str) -> str:
    """Text that a desktop shows as it is: the program expands backslashes, and desktops read it as markup."""
    return text.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
