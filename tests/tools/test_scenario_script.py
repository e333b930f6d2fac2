"""The language of scenario scripts: what is read, what is refused, and how lines are compared."""

from __future__ import annotations

import pytest

from quicchat.tools.scenario.compare import compare, difference
from quicchat.tools.scenario.script import (
    Enter,
    Exit,
    Expected,
    Mistake,
    Part,
    Serve,
    Turn,
    Type,
    Wait,
    filled,
    filler,
    read,
)

SCRIPT = """\
# Two who talk.
server --sessions single

x, y start --style classic
  x, y< [Welcome.]
z starts as x
x: send y  hi
  y<  x:  hi
  x~ loose
  x< ...
wait 1.5 s
server is killed
server starts
y ends
y exits 0
x is killed
"""


def lines(*texts: str, loose: tuple[str, ...] = ()) -> list[Expected]:
    return [Expected(1, "x", text) for text in texts] + [Expected(1, "x", text, loose=True) for text in loose]


def test_a_script_is_read() -> None:
    """Issue 3, scenarios: one line, one deed or one expectation; steps end where a deed follows expectations."""
    script = read("a.chat", SCRIPT)
    classic = ("--style", "classic")
    first, second, third = [step.deeds for step in script.steps]
    assert first == [Serve(2, ("--sessions", "single")), Enter(4, "x", "x", classic), Enter(4, "y", "y", classic)]
    assert second == [Enter(6, "z", "x", ()), Type(7, "x", "send y  hi")]
    assert third[:3] == [Wait(11, 1.5), Turn(12, "is killed"), Turn(13, "starts")]
    assert third[3:] == [Part(14, "y", killed=False), Exit(15, "y", 0), Part(16, "x", killed=True)]
    assert script.steps[0].expected == [Expected(5, "x", "[Welcome.]"), Expected(5, "y", "[Welcome.]")]
    assert script.steps[1].of("y") == [Expected(8, "y", " x:  hi")]
    assert script.steps[1].of("x") == [Expected(9, "x", "loose", loose=True), Expected(10, "x", "...")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("z: hello", "z has not started"),
        ("x, z< hello", "z has not started"),
        ("server starts < now", "is no line of a script"),
        ("x says hello", "is no line of a script"),
        ("x exits soon", "is no line of a script"),
        ("wait a while", "is no line of a script"),
        ("wait starts", "wait is no name"),
        ("X starts", "is no line of a script"),
        ("x~ ...", "~ stands for one line"),
        ("x< hello ", "a blank at the end"),
        ("\tx< hello", "a tab"),
        ("y starts --style 'classic", "No closing quotation"),
    ],
)
def test_mistakes_name_file_and_line(line: str, words: str) -> None:
    """Issue 3, scenarios: the grammar is strict, and a mistake names FILE:LINE."""
    with pytest.raises(Mistake) as caught:
        read("a.chat", f"server\nx starts\n{line}\n")
    assert str(caught.value).startswith("a.chat:3: ")
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_script_begins_with_a_server() -> None:
    """Issue 3, scenarios: nobody can enter where there is no server."""
    with pytest.raises(Mistake, match="begins with"):
        read("a.chat", "x starts\n")


@pytest.mark.parametrize("size", [1, 2, 45, 1024, 1_048_576])
def test_fillers_have_their_length(size: int) -> None:
    """R0.3: `{N bytes}` is a text of so many bytes, the same wherever it stands."""
    assert len(filler(size).encode()) == size
    assert filler(size).strip() == filler(size)
    assert filled(f"a {{{size} bytes}} b") == f"a {filler(size)} b"


def test_times_have_names() -> None:
    """R4.10, R4.11: T1 is any time, and the same one wherever T1 stands."""
    times = compare(lines("sent at T1 saved", "T2 and T1 and T"), ["sent at 23:32:21 saved"] * 1, {})
    assert times is None
    times = compare(
        lines("sent at T1 saved", "T2 and T1 and T"),
        ["sent at 23:32:21 saved", "23:32:22 and 23:32:21 and 01:01:01"],
        {},
    )
    assert times == {"T1": "23:32:21", "T2": "23:32:22"}
    assert compare(lines("y: T1 hi"), ["y: 23:32:21 hi"], times) == times
    assert compare(lines("y: T1 hi"), ["y: 23:32:22 hi"], times) is None
    assert compare(lines("y: T1 T1"), ["y: 11:11:11 11:11:12"], {}) is None
    assert compare(lines("y: T hi"), ["y: 99:00:00 hi"], {}) is None


@pytest.mark.parametrize(
    ("expected", "shown", "fits"),
    [
        (lines(), [], True),
        (lines(), ["a"], False),
        (lines("a"), [], False),
        (lines("a", "b"), ["a", "b"], True),
        (lines("a", "b"), ["b", "a"], False),
        (lines("a", "...", "b"), ["a", "x", "y", "b"], True),
        (lines("...", "b"), ["a", "b", "a"], False),
        (lines("..."), [], True),
        (lines("a", "b", loose=("x",)), ["a", "x", "b"], True),
        (lines("a", "b", loose=("x",)), ["x", "a", "b"], True),
        (lines("a", "b", loose=("x",)), ["a", "b"], False),
        (lines("a", loose=("x",)), ["a", "x", "x"], False),
        (lines("a.c"), ["abc"], False),
        (lines("a {...} c"), ["a (b) c"], True),
        (lines("{3 bytes}!"), [f"{filler(3)}!"], True),
        (lines("{3 bytes}"), [filler(4)], False),
    ],
)
def test_lines_are_compared(expected: list[Expected], shown: list[str], *, fits: bool) -> None:
    """Issue 3, scenarios: every line in order and none besides, but where the script says otherwise."""
    assert (compare(expected, shown, {}) is not None) == fits


def test_the_difference_is_readable() -> None:
    """Issue 3, scenarios: what was missing and what was too much stand at their place among what was right."""
    assert difference(lines("a", "b T1", "d"), ["a", "c", "d", "e"], {}) == [
        "    a",
        "  - b T1",
        "  + c",
        "    d",
        "  + e",
    ]
