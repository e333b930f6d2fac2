"""A terminal's screen: what a person sees of what a program writes, and what the terminal answers when it is asked.

pyte draws; it knows neither the alternate screen nor questions newer than its time, so those are dealt with here.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Sequence
from typing import Final

import pyte
from pyte.screens import Char

#: What the keys send, as xterm does; `Alt+x` and `Ctrl+x` go without being named here.
KEYS: Final = {
    "Enter": "\r",
    "Tab": "\t",
    "Shift+Tab": "\x1b[Z",
    "Backspace": "\x7f",
    "Esc": "\x1b",
    "Up": "\x1b[A",
    "Down": "\x1b[B",
    "Right": "\x1b[C",
    "Left": "\x1b[D",
    "Home": "\x1b[H",
    "End": "\x1b[F",
    "PgUp": "\x1b[5~",
    "PgDn": "\x1b[6~",
    "Del": "\x1b[3~",
    "F1": "\x1bOP",
    "F2": "\x1bOQ",
    "F3": "\x1bOR",
    "F4": "\x1bOS",
}
_SEQUENCE: Final = re.compile(
    r"\x1b\[(?P<mark>[<=>?]?)(?P<args>[0-9;:]*)(?P<between>[ -/]*)(?P<end>[@-~])"
    r"|\x1b\](?P<osc>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|\x1b[PX^_](?P<device>[^\x1b]*)\x1b\\"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
#: The beginning of a sequence whose rest has not come yet.
_BEGUN: Final = re.compile(r"\x1b(?:\[[<=>?]?[0-9;:]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)?\Z")
_ALTERNATE: Final = ("1049", "1047", "47")
_SCROLLED: Final = 10_000


def keys(*names: str) -> str:
    """What a terminal sends when these keys are pressed: `keys("Alt+a", "Ctrl+k", "Up")`."""
    return "".join(_key(name) for name in names)


def _key(name: str) -> str:
    prefix, _, rest = name.partition("+")
    if name in KEYS:
        return KEYS[name]
    if prefix == "Alt":
        return "\x1b" + _key(rest)
    if prefix == "Ctrl":
        return chr(ord(rest.upper()) & 0x1F)
    assert len(name) == 1, f"no key is called {name}"
    return name


class Screen:
    """`feed` takes what the program wrote and gives what the terminal answers; all else is what stands there now.

    Nothing is drawn before somebody looks, for drawing takes longer than reading.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.title = ""
        #: Sequences of an operating system command, such as 9 and 777 for notifications, in order.
        self.commands: list[str] = []
        #: How often it rang.
        self.bells = 0
        #: Numbers of the private modes that are set.
        self.modes: set[str] = {"7", "25"}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._undrawn: list[str] = []
        self._main = self._now = _Paper(columns, rows)
        self._stream = pyte.Stream(self._now)

    # What comes

    def feed(self, data: bytes) -> bytes:
        """What the program wrote; returns what the terminal answers."""
        text = self._rest + self._decoder.decode(data)
        begun = _BEGUN.search(text)
        self._rest = text[begun.start() :] if begun is not None else ""
        text = text[: len(text) - len(self._rest)]
        answers = []
        place = 0
        for found in _SEQUENCE.finditer(text):
            self._text(text[place : found.start()])
            place = found.end()
            answers.append(self._sequence(found))
        self._text(text[place:])
        return "".join(answers).encode()

    def resize(self, columns: int, rows: int) -> None:
        """The window has another size."""
        self._draw()
        for paper in {self._main, self._now}:
            paper.resize(rows, columns)

    # What stands there

    @property
    def lines(self) -> list[str]:
        """The rows of the screen, without the blanks at their ends."""
        self._draw()
        return [row.rstrip() for row in self._now.display]

    @property
    def scrolled(self) -> list[str]:
        """The lines that went out at the top, oldest first."""
        self._draw()
        return list(self._main.scrolled)

    @property
    def text(self) -> str:
        """The lines of the screen as one text."""
        return "\n".join(self.lines)

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, counted from 0."""
        self._draw()
        return self._now.cursor.y, self._now.cursor.x

    @property
    def is_alternate(self) -> bool:
        """Whether the screen is a second one, which goes away when the program ends."""
        self._draw()
        return self._now is not self._main

    def cells(self, row: int) -> list[Char]:
        """The characters of a row with their colours and attributes (`fg`, `bg`, `bold`, `reverse` ...)."""
        self._draw()
        return [self._now.buffer[row][column] for column in range(self._now.columns)]

    def find(self, text: str) -> tuple[int, int] | None:
        """Row and column at which a text begins, the topmost one."""
        for row, line in enumerate(self.lines):
            if (column := line.find(text)) >= 0:
                return row, column
        return None

    # How it gets there

    def _text(self, text: str) -> None:
        if text:
            self.bells += text.count("\a")
            self._undrawn.append(text)

    def _sequence(self, found: re.Match[str]) -> str:
        """Keep it, or answer it."""
        if (command := found["osc"]) is not None:
            return self._command(command)
        if found["device"] is not None:
            # XTGETTCAP and DECRQSS: not known.
            return "\x1bP0+r\x1b\\" if found["device"].startswith("+q") else ""
        if found["end"] is None:
            self._undrawn.append(found[0])
            return ""
        mark, args, end = found["mark"], found["args"], found["between"] + found["end"]
        if (answer := self._answer(mark, args, end)) is not None:
            return answer
        if mark == "?" and end in ("h", "l"):
            self._mode(args.split(";"), found[0], on=end == "h")
        elif not mark and not found["between"]:
            self._undrawn.append(found[0])
        return ""

    def _answer(self, mark: str, args: str, end: str) -> str | None:
        """What the terminal says to a question; None where it is none."""
        match mark, args, end:
            case "", "6", "n":
                row, column = self.cursor
                return f"\x1b[{row + 1};{column + 1}R"
            case "", "5", "n":
                return "\x1b[0n"
            case "", "" | "0", "c":
                return "\x1b[?62;22c"
            case ">", "" | "0", "c":
                return "\x1b[>0;0;0c"
            case ">", "" | "0", "q":
                return "\x1bP>|tests\x1b\\"
            case "?", _, "$p":
                # 1 is set, 2 is not set, 0 is not known: of what one may ask only synchronised output is.
                known = 1 if args in self.modes else 2 if args == "2026" else 0
                return f"\x1b[?{args};{known}$y"
            case "", "18", "t":
                return f"\x1b[8;{self._now.lines};{self._now.columns}t"
        return None

    def _command(self, command: str) -> str:
        number, _, rest = command.partition(";")
        if rest == "?" and number in ("10", "11"):
            shade = "ffff" if number == "10" else "0000"
            return f"\x1b]{number};rgb:{shade}/{shade}/{shade}\x1b\\"
        if number in ("0", "2"):
            self.title = rest
        else:
            self.commands.append(command)
        return ""

    def _mode(self, numbers: Sequence[str], sequence: str, *, on: bool) -> None:
        self.modes = self.modes.union(numbers) if on else self.modes.difference(numbers)
        self._undrawn.append(sequence)

    def _draw(self) -> None:
        undrawn, self._undrawn = self._undrawn, []
        for text in undrawn:
            if text.startswith("\x1b[?") and any(number in text[3:-1].split(";") for number in _ALTERNATE):
                self._switch(on=text.endswith("h"))
            else:
                self._stream.feed(text)

    def _switch(self, *, on: bool) -> None:
        if on == (self._now is not self._main):
            return
        self._now = _Paper(self._now.columns, self._now.lines) if on else self._main
        self._stream = pyte.Stream(self._now)


class _Paper(pyte.Screen):
    """Keeps the lines that go out at the top."""

    def __init__(self, columns: int, rows: int) -> None:
        self.scrolled: deque[str] = deque(maxlen=_SCROLLED)
        super().__init__(columns, rows)

    def index(self) -> None:
        """One line down; at the bottom all go up."""
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y == bottom and top == 0:
            self.scrolled.append("".join(self.buffer[0][column].data for column in range(self.columns)).rstrip())
        super().index()
