"""The plain front end on terminals: prompts, passwords that are not seen, a half-typed line, Ctrl-C and Ctrl-D."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.clients import PATIENCE, QUICK, ROOT, Client, Terminal, at, environment
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket


def log_in(terminal: Terminal, user: str, password: str) -> None:
    """Answer both questions, the second one unseen."""
    terminal.shows("User: ")
    terminal.type(f"{user}\n")
    terminal.shows(f"Password of {user}: ")
    terminal.hides()
    terminal.type(f"{password}\n")


def test_prompts_until_somebody_is_in(server: ServerProcess, tmp_path: Path) -> None:
    """R1.9, R1.10, R1.11: a wrong password is asked for again; an unknown name may become an account."""
    with Terminal(tmp_path / "c", *at(server)) as terminal:
        log_in(terminal, "user1", "wrong")
        terminal.shows("Wrong name or password. Try again, or create the account? [t/c] ")
        terminal.type("t\n")
        log_in(terminal, "erin", "my secret")
        terminal.shows("[t/c] ")
        terminal.type("c\n")
        terminal.shows("New account erin; the password again: ")
        terminal.hides()
        terminal.type("my secret\n")
        seen = terminal.shows("you are erin")
        terminal.type("/echo I am in\n")
        seen += terminal.shows("I am in\r\n")
        assert "secret" not in seen
        terminal.type("/quit\n")
        assert terminal.exit_code() == 0


def test_a_taken_name_is_asked_for_again(server: ServerProcess, tmp_path: Path) -> None:
    """R1.11: who wants to create an account that exists is told so, and asked again."""
    with Terminal(tmp_path / "c", *at(server)) as terminal:
        log_in(terminal, "user1", "mine alone")
        terminal.shows("[t/c] ")
        terminal.type("c\n")
        terminal.shows("the password again: ")
        terminal.hides()
        terminal.type("mine alone\n")
        terminal.shows("This name is taken.")
        log_in(terminal, "user1", "pass1")
        terminal.shows("you are user1")


def test_only_the_password_is_asked_for(server: ServerProcess, tmp_path: Path) -> None:
    """R1.2: `client HOST PORT USER`."""
    with Terminal(tmp_path / "c", "127.0.0.1", str(server.port), "user2") as terminal:
        assert "User:" not in terminal.shows("Password of user2: ")
        terminal.hides()
        terminal.type("pass2\n")
        terminal.shows("you are user2")


def test_three_terminals(server: ServerProcess, tmp_path: Path) -> None:
    """R1.3, R3.8: three windows; a half-typed line stays while the others speak, and is sent whole (R4.20)."""
    with (
        Terminal(tmp_path / "1", *at(server)) as one,
        Terminal(tmp_path / "2", *at(server)) as two,
        Client(tmp_path / "3", *at(server), first=("carol", "pass3")) as three,
    ):
        for terminal, number in ((one, 1), (two, 2)):
            log_in(terminal, f"user{number}", f"pass{number}")
            terminal.shows("> ")
        # He reads `user2 is online`, or came later and reads of both.
        three.prints("user2", err=True)
        one.type("half a li")
        one.shows("half a li")
        two.type("from two\n")
        seen = one.shows("from two")
        three.type("from three")
        seen += one.shows("from three")
        assert "\x1b[2K" not in seen
        one.type("ne\n")
        two.shows("user1: half a line")
        three.prints("user1: half a line")
        assert three.end() == 0


def test_what_a_program_reads_is_not_read_by_anybody(tmp_path: Path) -> None:
    """R0.5: on a terminal, too, what is printed as JSON counts as delivered, and not as read."""
    with (
        # Whoever has keys on another device already would have to be let in first.
        ServerProcess(tmp_path / "server", *QUICK) as server,
        Terminal(tmp_path / "1", *at(server), "--json") as one,
        Client(tmp_path / "2", *at(server), "--json", first=("user2", "pass2")) as two,
    ):
        log_in(one, "user1", "pass1")
        one.shows('"event":"entered"')
        two.type("/msg user1 hello")
        assert '"by":"user1"' in two.prints('"state":"delivered"')
        assert two.end() == 0


def test_ctrl_c_at_the_line(server: ServerProcess, tmp_path: Path) -> None:
    """R3.11: the key itself: the others hear it within a second, exit code 130, and the terminal is as before."""
    with (
        Terminal(tmp_path / "1", *at(server)) as terminal,
        Client(tmp_path / "2", *at(server), first=("user2", "pass2")) as other,
    ):
        other.prints("you are user2", err=True)
        log_in(terminal, "user1", "pass1")
        terminal.shows("> ")
        other.prints("user1 is online", err=True)
        terminal.type("half")
        terminal.shows("half")
        before = time.monotonic()
        terminal.type("\x03")
        other.prints("user1 left (quit)", err=True)
        assert time.monotonic() - before < 1
        assert terminal.exit_code() == 130
        assert terminal.echoes
        assert other.end() == 0


def test_ctrl_c_in_the_password(server: ServerProcess, tmp_path: Path) -> None:
    """U9: no traceback, exit code 130, and the terminal echoes again."""
    with Terminal(tmp_path / "c", *at(server)) as terminal:
        terminal.shows("User: ")
        terminal.type("user1\n")
        terminal.shows("Password of user1: ")
        terminal.hides()
        terminal.type("\x03")
        assert terminal.exit_code() == 130
        assert terminal.echoes
        assert "Traceback" not in terminal.raw.decode()


def test_ctrl_d(server: ServerProcess, tmp_path: Path) -> None:
    """U9, issue item 9: at the line it is a goodbye (0), at the name nobody logged in (5)."""
    with Terminal(tmp_path / "1", *at(server)) as terminal:
        log_in(terminal, "user1", "pass1")
        terminal.shows("> ")
        terminal.type("\x04")
        assert terminal.exit_code() == 0
    with Terminal(tmp_path / "2", *at(server)) as terminal:
        terminal.shows("User: ")
        terminal.type("\x04")
        terminal.shows("nobody logged in")
        assert terminal.exit_code() == 5


@pytest.mark.parametrize(("term", "columns"), [("dumb", 80), ("xterm", 1), ("no-such-terminal", 20)])
def test_odd_terminals(term: str, columns: int, server: ServerProcess, tmp_path: Path) -> None:
    """U9: TERM=dumb, one column, a terminal nobody knows: no traceback, and the text is there."""
    with Terminal(tmp_path / "c", *at(server), columns=columns, TERM=term) as terminal:
        log_in(terminal, "user1", "pass1")
        terminal.shows(">")
        terminal.type("/echo x\n")
        terminal.shows("x\r\n")
        terminal.type("/quit\n")
        assert terminal.exit_code() == 0


@pytest.fixture
def usual_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For one test at a time, in whatever process it runs: what is gone from a port may be there for another."""
    with (tmp_path_factory.getbasetemp().parent / "usual-port").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def make_chat(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`make chat` by user1; it is over at the end."""
    command = [sys.executable, "-m", "quicchat.tools.chat", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(home), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as chat:
        assert chat.stdin is not None
        chat.stdin.write("user1\npass1\n")
        chat.stdin.flush()
        try:
            yield chat
        finally:
            chat.terminate()


@pytest.mark.usefixtures("usual_port")
def test_make_chat(tmp_path: Path) -> None:
    """Issue item 1: `make chat` starts a server and a client, and leaves no server behind; two at once do so, too."""
    one, two = tmp_path / "1", tmp_path / "2"
    printed = {}
    with make_chat(one, "-e", "/echo hello") as first, make_chat(two, "-e", "/echo hello") as second:
        for home, chat in ((one, first), (two, second)):
            printed[home], said = chat.communicate(timeout=PATIENCE)
            assert chat.returncode == 0, said
    for home, text in printed.items():
        lines = text.splitlines()
        assert lines[-1] == "hello"
        assert any("Log in as user1 with pass1" in line for line in lines)
        assert_gone(text, home)


def assert_gone(printed: str, home: Path) -> None:
    """No server answers any more on the port that `make chat` named."""
    port = printed.split("listens on port ")[1].split(";")[0]
    words = ("client", "-p", port, "--connect-timeout", "2", "--data", str(home / "elsewhere"))
    command = [sys.executable, "echo.py", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(home), input="user1\npass1\n", capture_output=True, text=True
    )
    assert done.returncode == 3


@pytest.mark.usefixtures("usual_port")
def test_make_chat_that_is_ended_from_outside(tmp_path: Path) -> None:
    """Issue item 1: SIGTERM ends the client and the server with it."""
    with make_chat(tmp_path) as chat:
        assert chat.stdout is not None
        assert chat.stderr is not None
        said = [chat.stderr.readline()]
        while "you are user1" not in said[-1]:
            assert said[-1], said
            said.append(chat.stderr.readline())
        chat.send_signal(signal.SIGTERM)
        assert chat.wait(PATIENCE) == 143
        assert_gone(chat.stdout.read(), tmp_path)
