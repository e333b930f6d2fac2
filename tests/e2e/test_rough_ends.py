"""What may happen to a terminal or a stream under a client: it ends without a traceback, and leaves all as it was."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.clients import PATIENCE, ROOT, Client, Terminal, at, environment
from tests.e2e.test_nasty import is_restored
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

UIS = ["plain", "line", "tui"]


@pytest.fixture
def password(tmp_path: Path) -> dict[str, str]:
    """Who logs in without a question."""
    file = tmp_path / "password"
    file.write_text("pass1\n")
    file.chmod(0o600)
    return {"QUICCHAT_PASSWORD_FILE": str(file), "QUICCHAT_USER": "user1"}


def shell(
    tmp_path: Path, redirected: str, *words: str, given: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """A command with its streams as a shell was told."""
    command = ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "echo.py", *words]
    home = environment(tmp_path / "home", **more)
    return subprocess.run(command, cwd=ROOT, env=home, input=given, capture_output=True, text=True, timeout=PATIENCE)


# Streams that are closed, full, or not read


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(closed: str, server: ServerProcess, password: dict[str, str], tmp_path: Path) -> None:
    """[12.4-1] U9: no descriptor 1 or 2: what was to be said is said, nothing is printed into a socket or a file."""
    done = shell(tmp_path, closed, "client", *at(server), "-e", f"hello from {closed}", **password)
    assert (done.returncode, done.stderr if "2>" in closed else "") == (0, "")
    seen = shell(tmp_path, "", "client", *at(server), "-e", "/history general 5", **password)
    assert f"hello from {closed}" in seen.stdout
    assert shell(tmp_path, closed, "client", "-p", "abc").returncode == 2


def test_a_disk_that_is_full(server: ServerProcess, password: dict[str, str], tmp_path: Path) -> None:
    """[12.4-1] U9: what cannot be written is one line about it, and no traceback at the end of the interpreter."""
    done = shell(tmp_path, ">/dev/full", "client", *at(server), "-e", "/history general 5", **password)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("quicchat: cannot write: No space")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# Terminals


def log_in(terminal: Terminal, user: str = "user1", password: str = "pass1") -> None:
    terminal.shows("User: ")
    terminal.type(f"{user}\n")
    terminal.shows(f"Password of {user}: ")
    terminal.hides()
    terminal.type(f"{password}\n")
    terminal.shows(f"you are {user}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_while_a_password_is_asked_for(number: signal.Signals, server: ServerProcess, tmp_path: Path) -> None:
    """[12.4-1] U9: at the first password and at a new one: the terminal shows again what is typed."""
    with Terminal(tmp_path / "c", *at(server)) as terminal:
        terminal.shows("User: ")
        terminal.type("user1\n")
        terminal.shows("Password of user1: ")
        terminal.hides()
        terminal.signal(number)
        assert terminal.exit_code() == 128 + number
        assert terminal.echoes
    with Terminal(tmp_path / "c", *at(server)) as terminal:
        log_in(terminal)
        terminal.type("/password\n")
        terminal.shows("current?")
        terminal.hides()
        terminal.signal(number)
        assert terminal.exit_code() == 128 + number
        assert terminal.echoes
        assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_at_the_first_screen(end: signal.Signals, server: ServerProcess, tmp_path: Path) -> None:
    """[12.4-1] U9: a screen that asks who logs in goes as it came, at Ctrl-C as well."""
    with Terminal(tmp_path / "c", *at(server), ui="tui") as terminal:
        terminal.sees("User", "Password")
        if end is signal.SIGINT:
            terminal.press("Ctrl+c")
        else:
            terminal.signal(end)
        assert terminal.exit_code() == 128 + end
        terminal.until(lambda _: is_restored(bytes(terminal.raw)))
        assert terminal.echoes
        assert b"Traceback" not in terminal.raw


def test_ctrl_c_while_a_new_password_is_asked_for(server: ServerProcess, tmp_path: Path) -> None:
    """[12.4-1] U9: 130, and the terminal shows again what is typed."""
    with Terminal(tmp_path / "c", *at(server)) as terminal:
        log_in(terminal)
        terminal.type("/password\n")
        terminal.shows("current?")
        terminal.hides()
        terminal.type("secr\x03")
        assert terminal.exit_code() == 130
        assert terminal.echoes
        assert b"secr" not in terminal.raw


_SHELL = 'eval "$TRAP"; exec "$@" <"$0" >"$0" 2>"$ERRORS"'
#: How a program hears of the end of its terminal: by SIGHUP, which may be ignored, and which only the first one gets.
HEARD = ["told", "ignored", "untold"]


def on_terminal(
    heard: str, terminal: str, errors: str, home: Path, *words: str, **more: str
) -> subprocess.Popen[bytes]:
    """A client that is the first program of this terminal, unless it is to hear nothing of its end."""
    more |= {"TERM": "xterm", "ERRORS": errors, "TRAP": "trap '' HUP" if heard == "ignored" else ""}
    return subprocess.Popen(
        ["/bin/sh", "-c", _SHELL, terminal, sys.executable, "echo.py", "client", *words],
        cwd=ROOT,
        env=environment(home, **more),
        start_new_session=heard != "untold",
    )


@pytest.mark.parametrize("heard", HEARD)
def test_a_form_whose_terminal_goes_away(heard: str, tmp_path: Path) -> None:
    """[12.4-1] U9: the window is closed while a form asks who comes: it ends, also where nobody hears SIGHUP."""
    master, slave = os.openpty()
    client = on_terminal(heard, os.ttyname(slave), os.ttyname(slave), tmp_path, "--ui", "tui")
    try:
        shown = b""
        end = time.monotonic() + PATIENCE
        while b"Password" not in shown:
            assert time.monotonic() < end, shown
            if select.select([master], [], [], 0.2)[0]:
                shown += os.read(master, 65_536)
        os.close(master)
        os.close(slave)
        assert client.wait(PATIENCE) in (129, 141)
    finally:
        client.kill()
        client.wait()


@pytest.mark.parametrize("ui", UIS)
@pytest.mark.parametrize("heard", HEARD)
def test_a_terminal_that_goes_away(
    heard: str, ui: str, server: ServerProcess, password: dict[str, str], tmp_path: Path
) -> None:
    """[12.4-1] U9: the window is closed: the client says goodbye and ends, also where nobody hears SIGHUP."""
    master, slave = os.openpty()
    errors = tmp_path / "errors"
    errors.touch()
    # A full screen is painted on standard error.
    where = os.ttyname(slave) if ui == "tui" else str(errors)
    client = on_terminal(heard, os.ttyname(slave), where, tmp_path / "1", "--ui", ui, *at(server), **password)
    try:
        with Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as other:
            other.prints("you are user2", err=True)
            # A screen that nobody reads fills up.
            end = time.monotonic() + PATIENCE
            while not any("user1" in line for line in other.err):
                assert time.monotonic() < end, "nobody came"
                if select.select([master], [], [], 0.2)[0]:
                    os.read(master, 65_536)
            os.close(master)
            os.close(slave)
            other.type("are you there?")
            assert client.wait(PATIENCE) in (129, 141)
            other.prints("user1 left (quit)", err=True)
            assert other.end() == 0
    finally:
        client.kill()
        client.wait()
    assert "Traceback" not in errors.read_text()
    assert "mistake" not in errors.read_text()


@pytest.mark.parametrize("ui", UIS)
def test_stopped_and_taken_up_again(ui: str, server: ServerProcess, password: dict[str, str], tmp_path: Path) -> None:
    """[12.4-1] U9: Ctrl-Z and fg: what was typed is there, and what came meanwhile comes."""
    with (
        Terminal(tmp_path / "1", *at(server), ui=ui, **password) as terminal,  # type: ignore[arg-type]
        Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as other,
    ):
        terminal.shows("you are user1")
        terminal.type("half")
        terminal.shows("half")
        terminal.signal(signal.SIGSTOP)
        other.type("meanwhile")
        other.prints("you are user2", err=True)
        terminal.signal(signal.SIGCONT)
        terminal.shows("meanwhile")
        terminal.type(" a line\r")
        other.prints("half a line")
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0
        assert other.end() == 0


@pytest.mark.parametrize("ui", UIS)
def test_a_storm_of_sizes(ui: str, server: ServerProcess, password: dict[str, str], tmp_path: Path) -> None:
    """[12.4-1] U9: two hundred sizes, one column among them, while messages come: no traceback, and it goes on."""
    with (
        Terminal(tmp_path / "1", *at(server), ui=ui, **password) as terminal,  # type: ignore[arg-type]
        Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as other,
    ):
        terminal.shows("you are user1")
        other.prints("user1", err=True)
        for number in range(200):
            terminal.resize(1 + number * 7 % 120, 1 + number * 3 % 40)
            if number % 20 == 0:
                other.type(f"\u4f60\u597d {number} " + "wide " * 20)
        terminal.resize(100, 24)
        terminal.type("still here\r")
        other.prints("still here")
        terminal.signal(signal.SIGHUP)
        assert terminal.exit_code() == 128 + signal.SIGHUP
        terminal.until(lambda _: is_restored(bytes(terminal.raw)))
        assert terminal.echoes
        assert b"Traceback" not in terminal.raw
        assert other.end() == 0


@pytest.mark.parametrize("ui", UIS)
@pytest.mark.parametrize("more", [{"TERM": ""}, {"LC_ALL": "C", "LANG": "C"}, {"PYTHONIOENCODING": "latin-1"}])
def test_other_terminals_and_languages(
    more: dict[str, str], ui: str, server: ServerProcess, password: dict[str, str], tmp_path: Path
) -> None:
    """[12.4-1] U9: no TERM, no locale, one of 256 letters: what cannot be shown is written out, nothing is raised."""
    with (
        Terminal(tmp_path / "1", *at(server), ui=ui, **password, **more) as terminal,  # type: ignore[arg-type]
        Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as other,
    ):
        terminal.shows("you are user1")
        other.type("\u4f60\u597d gr\u00fc\u00dfe")
        terminal.shows("gr")
        terminal.type("here too\r")
        other.prints("here too")
        terminal.signal(signal.SIGTERM)
        assert terminal.exit_code() == 128 + signal.SIGTERM
        terminal.until(lambda _: is_restored(bytes(terminal.raw)))
        assert terminal.echoes
        assert b"Traceback" not in terminal.raw
        assert other.end() == 0
