"""Bells, notifications and titles, as a terminal and a desktop get them from a client process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import PATIENCE, QUICK, Client, Terminal
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

UIS = ["plain", "line", "tui"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "server", *QUICK) as found:
        yield found


@pytest.fixture
def login(tmp_path: Path, server: ServerProcess) -> dict[str, str]:
    file = tmp_path / "password"
    file.write_text("pass1\n")
    file.chmod(0o600)
    return {"QUICCHAT_PASSWORD_FILE": str(file), "QUICCHAT_USER": "user1", "QUICCHAT_PORT": str(server.port)}


def elsewhere(terminal: Terminal) -> None:
    """He is in, and looks at another room than the others talk in."""
    terminal.shows("you are user1")
    terminal.type("/create garden\r")
    terminal.until(lambda lines: any("garden" in line and "/create" not in line for line in lines))


def other(tmp_path: Path, server: ServerProcess) -> Client:
    return Client(tmp_path / "2", "-p", str(server.port), first=("user2", "pass2"))


@pytest.mark.parametrize("ui", UIS)
def test_a_terminal_rings(ui: str, server: ServerProcess, login: dict[str, str], tmp_path: Path) -> None:
    """[12.10-5], [12.10-6] U10: a bell, OSC 9 and the count in the title; at the end the title is as before."""
    with (
        Terminal(tmp_path / "1", ui=ui, TERM_PROGRAM="iTerm.app", **login) as terminal,  # type: ignore[arg-type]
        other(tmp_path, server) as two,
    ):
        elsewhere(terminal)
        # Textual ends a question about the terminal with one.
        bells = bytes(terminal.raw).count(b"\x07")
        two.type("nobody is meant", "@user1 come \x1b\\;9;x")
        terminal.shows("\x1b]2;(1) quicchat\x1b\\")
        terminal.shows("\x1b]9;quicchat: user2 in general: @user1 come \u241b\\,9,x\x1b\\")
        assert bytes(terminal.raw).count(b"\x07") == bells + 1
        two.type(*(f"@user1 {number}" for number in range(50)))
        terminal.shows("(51) quicchat")
        terminal.type("/quit\r")
        terminal.shows("\x1b]2;\x1b\\\x1b[23;2t")
        assert terminal.exit_code() == 0
        assert bytes(terminal.raw).count(b"\x07") <= bells + 4
        assert bytes(terminal.raw).count(b"\x1b[22;2t") == 1
        assert two.end() == 0


def test_a_desktop_is_told(server: ServerProcess, login: dict[str, str], tmp_path: Path) -> None:
    """[12.10-5]: the program of the desktop that one sits at gets it as arguments, and the bell rings besides."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "notify-send").write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(tools / 'said')!r}, 'w').write(repr(sys.argv[1:]))\n"
    )
    (tools / "notify-send").chmod(0o755)
    login |= {"PATH": f"{tools}:{os.environ['PATH']}", "DISPLAY": ":99", "SSH_CONNECTION": ""}
    with Terminal(tmp_path / "1", **login) as terminal, other(tmp_path, server) as two:  # type: ignore[arg-type]
        elsewhere(terminal)
        two.type("@user1 <b>$(id)")
        terminal.shows("\x07")
        end = time.monotonic() + PATIENCE
        while not (tools / "said").exists() or not (tools / "said").read_text().endswith("]"):
            assert time.monotonic() < end, "no desktop was told"
            time.sleep(0.02)
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0
        assert two.end() == 0
    said = ["--app-name=quicchat", "--", "user2 in general", "@user1 &lt;b&gt;$(id)"]
    assert (tools / "said").read_text() == repr(said)


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"QUICCHAT_BELL": "no", "QUICCHAT_DESKTOP": "no"}])
def test_silence(more: dict[str, str], server: ServerProcess, login: dict[str, str], tmp_path: Path) -> None:
    """[12.10-5]: nothing of it where the terminal is dumb, or where it is not wanted."""
    login |= {"TERM_PROGRAM": "iTerm.app", **more}
    with Terminal(tmp_path / "1", **login) as terminal, other(tmp_path, server) as two:  # type: ignore[arg-type]
        elsewhere(terminal)
        two.type("@user1 come")
        terminal.shows("@user1 come")
        terminal.type("/dnd\r")
        terminal.shows("do not disturb: off")
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0
        for sequence in (b"\x07", b"\x1b]", b"\x1bP", b";2t"):
            assert sequence not in terminal.raw
        assert two.end() == 0
