"""Where lines are printed: above what is being typed, which stays as it is."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.ui.paper import PROMPT, Plain, Terminal, rows
from quicchat.ui.visible import columns


class Screen(io.StringIO):
    """A terminal of so many columns and rows that understands what `Terminal` sends, and no more."""

    def __init__(self, columns: int, height: int) -> None:
        super().__init__()
        self.columns, self.height = columns, height
        self.cells = [[" "] * columns for _ in range(height)]
        self.row = self.column = 0
        self.saved = (0, 0)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        rest = text
        while rest:
            for code, action in self._actions().items():
                if rest.startswith(code):
                    action()
                    rest = rest[len(code) :]
                    break
            else:
                assert rest[0].isprintable(), f"{rest[:8]!r} is not understood"
                assert self.column < self.columns, "a line reached the last column"
                self.cells[self.row][self.column] = rest[0]
                self.column += 1
                rest = rest[1:]
        return len(text)

    def _actions(self) -> dict[str, Callable[[], None]]:
        return {
            "\x1bD": self._down,
            "\x1b7": self._save,
            "\x1b8": self._restore,
            "\x1b[A": self._up,
            "\x1b[L": self._insert,
            "\r": self._home,
            "\n": self._new_line,
        }

    def _down(self) -> None:
        if self.row == self.height - 1:
            self.cells = [*self.cells[1:], [" "] * self.columns]
        else:
            self.row += 1

    def _up(self) -> None:
        self.row = max(0, self.row - 1)

    def _save(self) -> None:
        self.saved = (self.row, self.column)

    def _restore(self) -> None:
        self.row, self.column = self.saved

    def _insert(self) -> None:
        self.cells.insert(self.row, [" "] * self.columns)
        del self.cells[self.height]

    def _home(self) -> None:
        self.column = 0

    def _new_line(self) -> None:
        self._down()
        self._home()

    def typed(self, text: str) -> None:
        """What the terminal echoes while somebody types."""
        self.write(text)

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.cells]


@pytest.mark.parametrize("height", [3, 6, 24])
def test_a_half_typed_line_stays_as_it_is(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.20: half a line is typed, three messages come: they stand above it, the cursor is where it was."""
    monkeypatch.setenv("COLUMNS", "40")
    screen = Screen(40, height)
    paper = Terminal(screen, screen, dumb=False)
    paper.show("welcome")
    paper.prompt()
    screen.typed("half a li")
    for number in range(3):
        paper.show(f"message {number}")
    expected = ["welcome", "message 0", "message 1", "message 2", "> half a li"]
    assert [line for line in screen.lines if line] == expected[-height:]
    screen.typed("ne")
    assert "> half a line" in screen.lines

    screen.typed("\r\n")
    paper.entered()
    paper.show("an answer")
    paper.prompt()
    paper.prompt()
    assert [line for line in screen.lines if line][-3:] == ["> half a line", "an answer", ">"][-height:]


def test_a_long_message_is_cut_into_rows_above_the_typed_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.20, U9: more than a row fits; a wide letter takes two columns; nothing reaches the last column."""
    monkeypatch.setenv("COLUMNS", "10")
    screen = Screen(10, 8)
    paper = Terminal(screen, screen, dumb=False)
    paper.prompt()
    screen.typed("abc")
    paper.show("123456789" + "ABCDEFGHI" + "xyz")
    assert screen.lines[:4] == ["123456789", "ABCDEFGHI", "xyz", "> abc"]
    assert list(rows("\u4f60\u597d\u4f60\u597d\u4f60", 10)) == ["\u4f60\u597d\u4f60\u597d", "\u4f60"]
    assert list(rows("e\u0301" * 9, 10)) == ["e\u0301" * 9]


@given(st.text(), st.integers(1, 200))
def test_rows_lose_nothing(line: str, width: int) -> None:
    """R4.20: the rows of a line are the line, whatever is in it and however narrow the terminal."""
    pieces = list(rows(line, width))
    assert "".join(pieces) == line
    assert all(sum(map(columns, each)) <= max(2, width - 1) for each in pieces)
    assert pieces == [""] or all(pieces)


def test_a_dumb_terminal_gets_no_escapes() -> None:
    """U9: with TERM=dumb a message starts a new line, and the prompt comes again."""
    out = Screen(80, 24)
    paper = Terminal(out, out, dumb=True)
    paper.prompt()
    paper.show("hello")
    paper.close()
    assert out.lines[:3] == [PROMPT.strip(), "hello", PROMPT.strip()]
    assert (out.row, out.column) == (3, 0)


def test_a_letter_that_the_locale_lacks_is_written_out() -> None:
    """U9: in a Latin-1 locale a foreign letter is escaped; the program goes on."""
    raw = io.BytesIO()
    paper = Plain(io.TextIOWrapper(raw, encoding="latin-1"), io.StringIO())
    paper.show("\u00fc \u4f60")
    assert raw.getvalue() == b"\xfc \\u4f60\n"
