"""Where lines are printed: as they are, or on a terminal above the line that is being typed. (spec 12-operation)"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from quicchat.ui.visible import columns

PROMPT: Final = "> "

#: Make room above the cursor's line and return to where it was: one row down (scrolling if need be), remember
#: the place, one row up, insert a row, print, go back. Nobody has to know what was typed so far.
_ABOVE: Final = "\x1bD\x1b7\x1b[A\x1b[L\r{row}\x1b8"


class Plain:
    """Prints lines to two streams. They hold no control characters: that is what `visible` is for."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        for stream in (out, err):
            # A letter that the locale does not have must not end the program.
            if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
                reconfigure(errors="backslashreplace")

    def show(self, line: str) -> None:
        """A message, or what a command brought."""
        self._print(self._out, line)

    def note(self, line: str) -> None:
        """Anything else."""
        self._print(self._err, line)

    def picture(self, rows: Sequence[str]) -> None:
        """Nothing is drawn: whoever has this read to him hears the digits that stand beside it."""

    def entered(self) -> None:
        """A line was typed and ended."""

    def prompt(self) -> None:
        """The next line may be typed."""

    def hide(self, hidden: bool) -> None:
        """Whether what is typed next must not be seen."""

    def ring(self, sequence: str) -> None:
        """Have the terminal carry out an escape sequence that moves nothing; there is none."""

    def close(self) -> None:
        """Nothing more will be typed."""

    def _print(self, stream: TextIO, line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()


class Terminal(Plain):
    """A person types here: what comes is printed above his line, which stays as it is (R4.20)."""

    def __init__(self, out: TextIO, err: TextIO, *, dumb: bool) -> None:
        super().__init__(out, err)
        self._dumb = dumb
        self._is_typing = False
        self._is_hidden = False

    def entered(self) -> None:
        self._is_typing = False

    def prompt(self) -> None:
        if not self._is_typing:
            self._is_typing = True
            self._out.write(PROMPT)
            self._out.flush()

    def hide(self, hidden: bool) -> None:
        if hidden is not self._is_hidden:
            self._is_hidden = hidden
            _echo(not hidden)

    def ring(self, sequence: str) -> None:
        self._out.write(sequence)
        self._out.flush()

    def close(self) -> None:
        self.hide(False)
        if self._is_typing:
            self._is_typing = False
            self._out.write("\n")
            self._out.flush()

    def _print(self, stream: TextIO, line: str) -> None:
        if not self._is_typing or not stream.isatty():
            super()._print(stream, line)
        elif self._dumb:
            stream.write(f"\n{line}\n{PROMPT}")
            stream.flush()
        else:
            width = shutil.get_terminal_size().columns
            stream.write("".join(_ABOVE.format(row=row) for row in rows(line, width)))
            stream.flush()


def paper(out: TextIO, err: TextIO, *, interactive: bool) -> Plain:
    """What fits the streams; `interactive` when a person types."""
    if not interactive or not out.isatty():
        return Plain(out, err)
    return Terminal(out, err, dumb=os.environ.get("TERM", "dumb") == "dumb")


def _echo(on: bool) -> None:
    """Have the terminal show what is typed, or not; where there is no such switch it is shown."""
    try:
        import termios
    except ImportError:
        return
    settings = termios.tcgetattr(0)
    settings[3] = settings[3] | termios.ECHO if on else settings[3] & ~termios.ECHO
    # Between two prompts something may have been typed already: it is kept.
    termios.tcsetattr(0, termios.TCSADRAIN, settings)


def rows(line: str, width: int) -> Iterator[str]:
    """The line, cut so that no piece reaches the last column, where terminals differ."""
    room = max(2, width - 1)
    if line.isascii():
        yield from (line[at : at + room] for at in range(0, max(1, len(line)), room))
        return
    row, used = "", 0
    for letter in line:
        wide = columns(letter)
        if used + wide > room:
            yield row
            row, used = "", 0
        row += letter
        used += wide
    yield row
