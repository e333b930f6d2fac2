"""Bells, notifications and titles: what each terminal is sent, and the program that tells a desktop."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.ui.alarm import Alarm, desktop_program
from quicchat.ui.notices import Notice
from tests.ui.items import NASTY

HI = Notice("bob", "hi", "@alice,bob")


def rung(environ: Mapping[str, str], notice: Notice = HI, *, bell: bool = False, desktop: bool = True) -> str:
    """What a terminal is sent for a notice."""
    sent: list[str] = []
    Alarm(sent.append, environ, bell=bell, desktop=desktop).announce(notice)
    return "".join(sent)


@pytest.mark.parametrize(
    ("environ", "sequence"),
    [
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "\x1b]9;quicchat: bob: hi\x1b\\"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "\x1b]9;quicchat: bob: hi\x1b\\"),
        ({"TERM": "xterm-kitty"}, "\x1b]9;quicchat: bob: hi\x1b\\"),
        ({"TERM": "foot"}, "\x1b]777;notify;bob;hi\x1b\\"),
        ({"TERM": "rxvt-unicode-256color"}, "\x1b]777;notify;bob;hi\x1b\\"),
        ({"TERM": "xterm-256color"}, ""),
        ({"TERM": "linux"}, ""),
        ({"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"}, ""),
        ({"TERM_PROGRAM": "iTerm.app"}, ""),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x,1,0", "TERM_PROGRAM": "tmux"}, ""),
        (
            {"TERM": "tmux-256color", "TMUX": "/tmp/x,1,0", "TERM_PROGRAM": "tmux", "LC_TERMINAL": "iTerm2"},
            "\x1bPtmux;\x1b\x1b]9;quicchat: bob: hi\x1b\x1b\\\x1b\\",
        ),
    ],
)
def test_each_terminal_in_its_own_words(environ: dict[str, str], sequence: str) -> None:
    """[12.10-5]: OSC 9 or 777 where it is known to be understood, through tmux too; elsewhere nothing."""
    assert rung(environ) == sequence
    assert rung(environ, desktop=False) == ""


@pytest.mark.parametrize("term", ["xterm", "linux", "vt100"])
def test_the_bell(term: str) -> None:
    """[12.10-5]: one BEL, where bells are wanted and the terminal is one."""
    assert rung({"TERM": term}, bell=True) == "\a"
    assert rung({"TERM": "dumb"}, bell=True) == rung({}, bell=True) == ""


_WHOLE = re.compile(
    r"\x1b\]9;[^\x00-\x1f\x7f-\x9f;]*\x1b\\|\x1b\]777;notify;[^\x00-\x1f\x7f-\x9f;]*;[^\x00-\x1f\x7f-\x9f;]*\x1b\\"
)


@given(st.sampled_from(sorted(NASTY.values())) | st.text(), st.sampled_from(["foot", "xterm-kitty"]))
def test_nobody_ends_a_sequence(text: str, term: str) -> None:
    """[12.10-5] U1: whatever others wrote, it is one sequence with the fields that ours have, and ends with ours."""
    assert _WHOLE.fullmatch(rung({"TERM": term}, Notice(text, f"4;{text};x\x07\x1b\\\x9c")))
    inside = rung({"TERM": "screen", "TMUX": "x", "KITTY_WINDOW_ID": "1"}, Notice(text, text))
    assert inside.startswith("\x1bPtmux;")
    assert inside.endswith("\x1b\\")
    assert _WHOLE.fullmatch(inside[7:-2].replace("\x1b\x1b", "\x1b"))


def test_titles_only_where_there_is_one() -> None:
    """[12.10-6]: no title on a console, none where none is wanted, and none is restored that was not set."""

    async def counts(environ: Mapping[str, str], *, desktop: bool = True) -> list[str]:
        sent: list[str] = []
        alarm = Alarm(sent.append, environ, bell=True, desktop=desktop)
        for number in (0, 0, 2, 2, 0):
            alarm.count(number)
        await alarm.close()
        return sent

    titles = ["\x1b]2;quicchat\x1b\\", "\x1b]2;(2) quicchat\x1b\\", "\x1b]2;quicchat\x1b\\"]
    assert asyncio.run(counts({"TERM": "xterm"})) == ["\x1b[22;2t", *titles, "\x1b]2;\x1b\\\x1b[23;2t"]
    for term in ("linux", "dumb", "vt100", ""):
        assert asyncio.run(counts({"TERM": term})) == []
    assert asyncio.run(counts({"TERM": "xterm"}, desktop=False)) == []


def program(tmp_path: Path, script: str) -> Mapping[str, str]:
    """A desktop whose program does this; the environment in which it is found."""
    path = tmp_path / "notify-send"
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\nhere = {str(tmp_path)!r}\n{script}\n")
    path.chmod(0o755)
    return {"PATH": str(tmp_path), "DISPLAY": ":0", "TERM": "xterm"}


async def _all(alarm: Alarm) -> None:
    assert alarm._telling is not None
    await alarm._telling


def test_the_desktop_is_told(tmp_path: Path) -> None:
    """[12.10-5]: by arguments, behind `--`, none of which is an option, markup, or goes through a shell."""
    environ = program(tmp_path, "open(here + '/said', 'w').write(repr(sys.argv[1:]))")

    async def scenario() -> None:
        alarm = Alarm(lambda sequence: None, environ, bell=True, desktop=True)
        alarm.announce(Notice("--icon=x", "$(touch y) <b>&\\033[2J\x1b"))
        await _all(alarm)
        await alarm.close()

    asyncio.run(scenario())
    text = "$(touch y) &lt;b&gt;&amp;\\\\033[2J\u241b"
    assert (tmp_path / "said").read_text() == repr(["--app-name=quicchat", "--", "--icon=x", text])


def test_a_dumb_terminal_has_no_desktop(tmp_path: Path) -> None:
    """[12.10-5]: where TERM is dumb or missing nothing is started either."""
    environ = dict(program(tmp_path, "open(here + '/said', 'w')"))

    async def scenario() -> None:
        for term in ("dumb", ""):
            alarm = Alarm(lambda sequence: None, environ | {"TERM": term}, bell=True, desktop=True)
            alarm.announce(HI)
            await asyncio.sleep(0)
            assert alarm._telling is None
            await alarm.close()

    asyncio.run(scenario())


def test_a_desktop_that_does_not_answer(tmp_path: Path) -> None:
    """[12.10-5]: its program is killed after a second, and is not started a second time meanwhile."""
    environ = program(tmp_path, "open(here + '/pids', 'a').write(f'{os.getpid()}\\n')\ntime.sleep(60)")

    async def scenario() -> None:
        alarm = Alarm(lambda sequence: None, environ, bell=True, desktop=True)
        before = time.monotonic()
        for _ in range(5):
            alarm.announce(HI)
            await asyncio.sleep(0)
        await _all(alarm)
        assert time.monotonic() - before < 10
        await alarm.close()

    asyncio.run(scenario())
    (pid,) = (tmp_path / "pids").read_text().split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_the_end_waits_for_no_desktop(tmp_path: Path) -> None:
    """[12.10-5]: whoever leaves leaves at once, and no process behind."""
    environ = program(tmp_path, "open(here + '/pids', 'a').write(f'{os.getpid()}\\n')\ntime.sleep(60)")

    async def scenario() -> None:
        alarm = Alarm(lambda sequence: None, environ, bell=True, desktop=True)
        alarm.announce(HI)
        async with asyncio.timeout(20):
            while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text().endswith("\n"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        before = time.monotonic()
        await alarm.close()
        assert time.monotonic() - before < 0.5

    asyncio.run(scenario())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pids").read_text()), 0)


def test_a_program_that_cannot_run(tmp_path: Path) -> None:
    """[12.10-5]: it is not tried again, and nothing is raised; the bell rings all the same."""
    environ = program(tmp_path, "")
    (tmp_path / "notify-send").write_text("#!/nonexistent\n")
    sent: list[str] = []

    async def scenario() -> None:
        alarm = Alarm(sent.append, environ, bell=True, desktop=True)
        alarm.announce(HI)
        await _all(alarm)
        alarm.announce(HI)
        await alarm.close()

    asyncio.run(scenario())
    assert sent == ["\a", "\a"]


def test_whose_desktop_it_is(tmp_path: Path) -> None:
    """[12.10-5]: only that of the machine one sits at, and only where there is one."""
    environ = dict(program(tmp_path, ""))
    assert desktop_program(environ) == str(tmp_path / "notify-send")
    assert desktop_program(environ | {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}) is None
    assert desktop_program(environ | {"DISPLAY": ""}) is None
    assert desktop_program(environ | {"DISPLAY": "", "WAYLAND_DISPLAY": "wayland-0"}) is not None
    assert desktop_program(environ | {"PATH": "/nonexistent"}) is None
