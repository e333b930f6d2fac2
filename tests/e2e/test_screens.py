"""The screen that tests look at: it shows what a terminal would, and answers what a terminal is asked."""

from __future__ import annotations

import pytest

from tests.e2e.screens import Screen, keys


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_is_drawn(size: int) -> None:
    """Text, movement, colours, titles and bells, however the bytes are cut; what scrolled out is kept."""
    screen = Screen(20, 3)
    data = (
        "\x1b]2;a title\x07one\r\ntwo\r\n\x1b[1;31mthrée\x1b[0m\r\nfour\x1b[1;1H\x1b[2K\x07\x1b[>4;1mx\x1b[<u".encode()
    )
    for place in range(0, len(data), size):
        assert screen.feed(data[place : place + size]) == b""
    assert screen.lines == ["x", "thrée", "four"]
    assert screen.scrolled == ["one"]
    assert (screen.title, screen.bells, screen.cursor) == ("a title", 1, (0, 1))
    cell = screen.cells(1)[2]
    assert (cell.data, cell.fg, cell.bold) == ("r", "red", True)
    assert not screen.cells(0)[0].underscore
    assert screen.find("four") == (2, 0)


def test_the_other_screen_goes_away() -> None:
    """What a full-screen program draws is gone with it, and what stood there before is back."""
    screen = Screen(20, 3)
    screen.feed(b"before\x1b[?1049h\x1b[Hinside")
    assert (screen.lines[0], screen.is_alternate) == ("inside", True)
    screen.feed(b"\x1b[?1049l")
    assert (screen.lines[0], screen.is_alternate) == ("before", False)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"ab\r\nc\x1b[6n", b"\x1b[2;2R"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"\x1b[c", b"\x1b[?62;22c"),
        (b"\x1b[>0q", b"\x1bP>|tests\x1b\\"),
        (b"\x1b[?2026$p", b"\x1b[?2026;2$y"),
        (b"\x1b[?2026h\x1b[?2026$p", b"\x1b[?2026;1$y"),
        (b"\x1b[?2048$p", b"\x1b[?2048;0$y"),
        (b"\x1b]11;?\x07", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
        (b"\x1bP+q544e\x1b\\", b"\x1bP0+r\x1b\\"),
    ],
)
def test_what_is_answered(question: bytes, answer: bytes) -> None:
    """Questions are answered at once, and leave nothing on the screen."""
    screen = Screen(20, 3)
    assert screen.feed(question) == answer
    assert "".join(screen.lines) in ("", "abc")


def test_keys() -> None:
    """Keys send what xterm sends."""
    assert keys("Alt+a", "Ctrl+k", "Up", "x", "Alt+Enter") == "\x1ba\x0b\x1b[Ax\x1b\r"
