"""The line face on terminals: its keys, what it hides, windows that change, and terminals of all kinds."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import PATIENCE, QUICK, ROOT, Client, Terminal, at, environment
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket


class Window(Terminal):
    """A client with a prompt, as user1."""

    def __init__(self, server: ServerProcess, home: Path, *flags: str, columns: int = 80, **more: str) -> None:
        home.mkdir(exist_ok=True)
        password = home / "password"
        password.touch(mode=0o600)
        password.write_text("pass1\n")
        flags = ("-s", "127.0.0.1", "-p", str(server.port), "-u", "user1", *flags)
        facts: dict[str, Any] = {"QUICCHAT_PASSWORD_FILE": str(password), **more}
        super().__init__(home, *flags, columns=columns, ui="line", **facts)

    def prompts(self, typed: str = "") -> None:
        """Wait until the lowest line is the prompt, with what is typed there."""
        self.until(lambda lines: lowest(lines) == f"general> {typed}".rstrip())


def lowest(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line), "")


def test_a_password_leaves_no_trace(server: ServerProcess, tmp_path: Path) -> None:
    """[12.11-3]: what is asked for behind /password is on no screen and in no file, whatever comes meanwhile."""
    with Window(server, tmp_path / "1") as one, Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as two:
        one.prompts()
        two.prints("you are user2", err=True)
        one.type("/password\r")
        one.sees("current?")
        one.type("sesa")
        one.until(lambda lines: lowest(lines) == "> ****")
        two.type("hello")
        one.until(lambda lines: "user2: hello" in "\n".join(lines) and lowest(lines) == "> ****")
        one.type("me1\r")
        one.sees("new?")
        one.type("open2\r")
        one.sees("again?")
        one.type("other3\r")
        one.sees("typed in two ways")
        one.prompts()
        one.type("/quit\r")
        assert one.exit_code() == 0
        for secret in (b"sesa", b"me1", b"open2", b"other3"):
            assert secret not in one.raw
    kept = (tmp_path / "1" / "client" / "history").read_text()
    assert kept == '"/password"\n"/quit"\n'


def test_ctrl_c_twice(server: ServerProcess, tmp_path: Path) -> None:
    """R3.11 at the prompt: it clears the line, asks, and leaves with a goodbye, code 130 and the terminal as it was."""
    with Window(server, tmp_path / "1") as one, Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as two:
        one.prompts()
        two.prints("user1", err=True)
        one.type("half")
        one.prompts("half")
        one.press("Ctrl+c")
        one.prompts()
        one.press("Ctrl+c")
        one.sees("Ctrl-C again leaves")
        one.press("Ctrl+c")
        two.prints("user1 left (quit)", err=True)
        assert one.exit_code() == 130
        restored(one)


def restored(window: Terminal) -> None:
    """The terminal is as it was: it echoes, shows its cursor, and says of nothing that it was pasted."""
    assert window.echoes
    window.until(lambda _: "25" in window.screen.modes and "2004" not in window.screen.modes)
    assert b"Traceback" not in window.raw


def test_ctrl_d(server: ServerProcess, tmp_path: Path) -> None:
    """U9: at an empty line it is a goodbye (0), and the empty prompt goes with it."""
    with Window(server, tmp_path / "1") as one:
        one.prompts()
        one.type("x")
        one.prompts("x")
        one.press("Ctrl+d")
        one.press("Backspace")
        one.press("Ctrl+d")
        assert one.exit_code() == 0
        restored(one)
        assert not any("general>" in line for line in one.screen.lines)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_signals(number: signal.Signals, code: int, server: ServerProcess, tmp_path: Path) -> None:
    """U9: from outside, too, the end is a goodbye, the half-typed line stays, and the terminal is as it was."""
    with Window(server, tmp_path / "1") as one:
        one.prompts()
        one.type("half")
        one.prompts("half")
        # The shell has become the client.
        one.signal(number)
        assert one.exit_code() == code
        restored(one)
        assert any(line == "general> half" for line in one.screen.lines)


def test_the_server_goes_and_comes(tmp_path: Path) -> None:
    """R4.20, P6: what is half typed survives a lost connection, and what was said meanwhile arrives."""
    with ServerProcess(tmp_path / "server", *QUICK) as server, Window(server, tmp_path / "1") as one:
        one.prompts()
        one.type("half")
        one.prompts("half")
        server.stop()
        one.sees("connection lost")
        one.prompts("half")
        one.type(" a line\r")
        one.prompts()
        server.start()
        one.sees("connected again")
        with Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as two:
            two.type("/history 1")
            assert "user1: half a line" in two.prints("half")
            assert two.end() == 0


def test_a_window_that_changes(server: ServerProcess, tmp_path: Path) -> None:
    """U9: wider, narrower, one column: the line is still there, once, and goes as it was typed."""
    text = "a line that is rather long, and \u4e16\u754c in it"
    with Window(server, tmp_path / "1", columns=100) as one:
        one.prompts()
        one.type(text)
        one.prompts(text)
        for columns in (40, 1, 13, 1, 100, 60):
            one.resize(columns, 20)
        one.until(lambda lines: lowest(lines) == f"general> {text}")
        one.type("!\r")
        one.type("/history 1\r")
        one.sees(f"user1: {text}!")


@pytest.mark.parametrize("term", ["xterm", "screen", "vt100", "tmux-256color", "linux", "no-such-terminal"])
def test_terminals(term: str, server: ServerProcess, tmp_path: Path) -> None:
    """U9, [12.11-4]: any terminal that can move its cursor has a prompt, and is asked nothing it may not answer."""
    with Window(server, tmp_path / "1", TERM=term) as one:
        one.prompts()
        one.type("/echo here\r")
        one.until(lambda lines: "here" in lines and lowest(lines) == "general>")
        one.press("Ctrl+d")
        assert one.exit_code() == 0
        assert b"\x1b[6n" not in one.raw
        assert b"CPR" not in one.raw


def test_a_terminal_without_a_cursor(server: ServerProcess, tmp_path: Path) -> None:
    """U9: where no cursor can be moved, the plain face serves."""
    with Window(server, tmp_path / "1", TERM="dumb") as one:
        one.sees(">")
        one.type("/echo here\n")
        one.sees("here")
        one.type("/quit\n")
        assert one.exit_code() == 0
        assert b"\x1b" not in one.raw


def test_no_colour(server: ServerProcess, tmp_path: Path) -> None:
    """[12.11-5]: names and notices have colours where they are wanted, and none with NO_COLOR."""
    for wanted, coloured in (("", True), ("1", False)):
        home = tmp_path / str(coloured)
        with (
            Window(server, home, NO_COLOR=wanted) as one,
            Client(home / "2", *at(server), first=("user2", "pass2")) as two,
        ):
            one.prompts()
            two.type("hello")
            one.sees("user2: hello")
            row, column = one.screen.find("user2: hello") or (0, 0)
            assert (one.screen.cells(row)[column].fg != "default") is coloured
            assert (b"\x1b[2m--" in one.raw) is coloured
            two.end()


@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1"])
def test_locales(locale: str, server: ServerProcess, tmp_path: Path) -> None:
    """U9: a locale that has few letters ends nothing."""
    with Window(server, tmp_path / "1", LC_ALL=locale, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") as one:
        one.prompts()
        one.type("/echo gr\u00fc\u00dfe \u4e16\r")
        one.sees("general> /echo")
        one.type("/echo still here\r")
        one.until(lambda lines: "still here" in lines)
        assert b"Traceback" not in one.raw


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with job control")
def test_ctrl_z(server: ServerProcess, tmp_path: Path) -> None:
    """Issue item 2: Ctrl-Z gives the terminal back to the shell, and fg brings the half-typed line again."""
    bash = ("bash", "--norc", "--noprofile", "-i")
    with Terminal(tmp_path, program=bash, command=(), PS1="$ ", TERM="xterm") as shell:
        shell.sees("$")
        (tmp_path / "password").touch(mode=0o600)
        (tmp_path / "password").write_text("pass1\n")
        flags = f"-s 127.0.0.1 -p {server.port} -u user1 --password-file {tmp_path}/password --ui line"
        shell.type(f"{sys.executable} echo.py client {flags}\r")
        shell.until(lambda lines: lowest(lines) == "general>")
        shell.type("half")
        shell.until(lambda lines: lowest(lines) == "general> half")
        shell.press("Ctrl+z")
        shell.sees("Stopped")
        shell.type("echo $((40+2))\r")
        shell.until(lambda lines: "42" in lines)
        shell.type("fg\r")
        shell.until(lambda lines: lowest(lines) == "general> half")
        shell.press("Ctrl+c", "Ctrl+d")
        shell.until(lambda lines: lowest(lines) == "$")
        shell.type("exit\r")
        assert shell.exit_code() == 0


def test_what_waits_elsewhere_is_told(server: ServerProcess, tmp_path: Path) -> None:
    """Issue item 2: after the login a line says what waits in the rooms that one does not look at, and where."""
    with Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as two:
        with Window(server, tmp_path / "1", NO_COLOR="1") as one:
            one.prompts()
            one.type("/create garden\r")
            one.sees("garden>")
            two.type("/join garden")
            one.sees("user2 joined garden")
            one.press("Ctrl+d")
            assert one.exit_code() == 0
        two.type("to nobody", "@user1: to you", "/ping")
        two.prints(" ms")
        with Window(server, tmp_path / "1", NO_COLOR="1") as one:
            one.sees("2 new in garden, 1 for you")
            one.prompts()
            assert "new in general" not in one.screen.text
        assert two.end() == 0


@pytest.mark.parametrize("ignored", ["", "trap '' HUP; "])
def test_a_terminal_that_is_gone(ignored: str, server: ServerProcess, tmp_path: Path) -> None:
    """U9: a window that is closed ends the client with a goodbye, also where nobody sends it a signal."""
    master, slave = os.openpty()
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text("pass1\n")
    flags = (*at(server), "-u", "user1", "--password-file", str(tmp_path / "password"), "--ui", "line")
    client = (sys.executable, "echo.py", "client", *flags)
    with subprocess.Popen(
        ["/bin/sh", "-c", f'{ignored}exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave), *client],
        cwd=ROOT,
        env=environment(tmp_path, TERM="xterm"),
        start_new_session=True,
    ) as process:
        seen = b""
        while b"general>" not in seen:
            assert select.select([master], [], [], PATIENCE)[0], seen
            seen += os.read(master, 65_536)
        os.close(slave)
        os.close(master)
        assert process.wait(PATIENCE) not in (0, 1)
