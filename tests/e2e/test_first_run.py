"""The first run and the second one, on real terminals, of each face: what is asked, and what is not asked again."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import Terminal, at
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

QUICK = ("--no-demo", "--signup", "open", "--iterations", "4096")
SECRET = "a long secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), *QUICK) as found:
        yield found


def nothing_secret(home: Path) -> None:
    """What lies in a home holds no password, and what holds a token is nobody else's."""
    files = [each for each in home.rglob("*") if each.is_file()]
    assert files
    for each in files:
        assert SECRET.encode() not in each.read_bytes()
        if "memory" in each.parts or each.name in ("history", "device"):
            assert stat.S_IMODE(each.stat().st_mode) == 0o600, each


@pytest.mark.parametrize("ui", ["plain", "line"])
def test_the_first_two_runs_in_lines(ui: str, server: ServerProcess, tmp_path: Path) -> None:
    """[12.13-1], [12.13-2], [12.13-6]: R1.11: sign up, be in general, read the hints; the second run asks nothing."""
    user = f"ann-{ui}"
    with Terminal(tmp_path / "c", *at(server), ui=ui) as terminal:
        terminal.shows("New there? Choose a name, and a password of at least 8 characters.")
        terminal.shows("User: ")
        terminal.type(f"{user}\n")
        terminal.shows(f"Password of {user}: ")
        terminal.hides()
        terminal.type("short\n")
        terminal.shows("Wrong name or password. Try again, or create the account? [t/c] ")
        terminal.type("c\n")
        for question in (f"New password of {user}: ", f"New account {user}; the password again: "):
            terminal.shows(question)
            terminal.hides()
            terminal.type(f"{SECRET}\n")
        terminal.sees(f"you are {user}", "general at first", "/help lists")
        terminal.type("hello from the first run\r")
        terminal.sees("hello from the first run", f"{user} joined general")
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0
        assert SECRET.encode() not in terminal.raw
    with Terminal(tmp_path / "c", *at(server), ui=ui) as terminal:
        terminal.sees(f"you are {user}")
        assert b"Password" not in terminal.raw
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0
    nothing_secret(tmp_path / "c")


def test_the_first_two_runs_on_the_full_screen(server: ServerProcess, tmp_path: Path) -> None:
    """[12.13-1], [12.13-2], [12.13-6]: a form for the name, one fault told in it, then the chat; then no question."""
    with Terminal(tmp_path / "c", *at(server), ui="tui", columns=80) as terminal:
        terminal.sees("User", "Password", "[ ] make a new account")
        terminal.type("ann-tui\r" + SECRET + "\r")
        terminal.sees("The name or the password is wrong.", "ann-tui")
        terminal.type(SECRET)
        terminal.press("Tab", " ", "Tab")
        terminal.sees("[x] make a new account", "Once more", "at least 8")
        terminal.type(SECRET + "\r")
        terminal.sees("general", "ann-tui")
        terminal.type("hello from the first run\r")
        terminal.until(lambda lines: sum("hello from the first run" in each for each in lines[:-1]))
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0
        assert SECRET.encode() not in terminal.raw
        assert terminal.echoes
    with Terminal(tmp_path / "c", *at(server), ui="tui", columns=80) as terminal:
        terminal.type("before there was a picture")
        terminal.sees("hello from the first run", "general")
        terminal.until(lambda lines: lines[-1] == "before there was a picture")
        terminal.press("Ctrl+u")
        assert "make a new account" not in "\n".join(terminal.everything)
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0
    nothing_secret(tmp_path / "c")


def test_a_second_window_is_for_somebody_else(tmp_path: Path) -> None:
    """[12.13-6]: README: nobody is let in twice at once: who else it is is asked; the first one reads the hints."""
    with (
        ServerProcess(tmp_path / "server", "--demo", "--iterations", "4096") as server,
        Terminal(tmp_path / "c", *at(server), ui="tui", columns=80) as first,
        Terminal(tmp_path / "c", *at(server), ui="tui", columns=80) as second,
    ):
        for terminal, number in ((first, 1), (second, 2)):
            terminal.sees("User", "Password")
            terminal.type(f"user{number}\rpass{number}\r")
            terminal.sees(f"you are user{number}")
        first.sees("general at first")
        assert "general at first" not in second.screen.text
        with Terminal(tmp_path / "c", *at(server), ui="tui", columns=80) as third:
            third.sees("User", "Password")
            third.press("Esc")
            assert third.exit_code() == 5
        for terminal in (first, second):
            terminal.type("/quit\r")
            assert terminal.exit_code() == 0


@pytest.mark.parametrize("ui", ["plain", "tui"])
def test_a_sign_up_by_invitation(ui: str, tmp_path: Path) -> None:
    """[12.13-3]: whoever has a word for the server gets in; it is asked for once the server wants one."""
    with (
        ServerProcess(tmp_path / "server", *QUICK, "--signup", "invite", "--invite", "sesame") as server,
        Terminal(tmp_path / "c", *at(server), ui=ui, columns=80) as terminal,
    ):
        if ui == "tui":
            terminal.sees("make a new account")
            terminal.type("ann\r" + SECRET)
            terminal.press("Tab", " ", "Tab")
            terminal.type(SECRET + "\r")
            terminal.sees("Do you have", "Invitation", "[x]")
            terminal.type(SECRET)
            terminal.press("Tab", "Tab")
            terminal.type(SECRET)
            terminal.press("Tab")
            terminal.type("sesame\r")
            terminal.sees("general")
        else:
            terminal.shows("User: ")
            terminal.type("ann\n")
            terminal.shows("Password of ann: ")
            terminal.hides()
            terminal.type(f"{SECRET}\n")
            terminal.shows("[t/c] ")
            terminal.type("c\n")
            terminal.shows("the password again: ")
            terminal.hides()
            terminal.type(f"{SECRET}\n")
            terminal.shows("Do you have an invitation? Its word, or Enter: ")
            terminal.type("sesame\n")
            terminal.shows("you are ann")
        terminal.type("/quit\r")
        assert terminal.exit_code() == 0


@pytest.mark.parametrize(("keys", "code"), [(("Esc",), 5), (("Ctrl+c",), 130)])
def test_whoever_leaves_the_form_leaves(
    keys: tuple[str, ...], code: int, server: ServerProcess, tmp_path: Path
) -> None:
    """U9: Esc and Ctrl-C at the first question: no traceback, the exit code of lines, and the terminal is as before."""
    with Terminal(tmp_path / "c", *at(server), ui="tui", columns=50, rows=20) as terminal:
        terminal.sees("User", "Password")
        terminal.press(*keys)
        assert terminal.exit_code() == code
        assert terminal.echoes
        assert "Traceback" not in "\n".join(terminal.everything)


def test_a_signal_at_the_form(server: ServerProcess, tmp_path: Path) -> None:
    """U9: SIGTERM ends it with 143, and leaves neither the other screen nor the mouse switched on."""
    with Terminal(tmp_path / "c", *at(server), ui="tui") as terminal:
        terminal.sees("User", "Password")
        terminal.process.terminate()
        assert terminal.exit_code() == 143
        assert terminal.echoes
        assert not terminal.screen.modes & {"1000", "1003", "1006", "1049", "2004"}


#: Not an address of loopback by its letters, though it is one: so the question comes, and nothing leaves the machine.
ELSEWHERE = "127.1"


def log_in(terminal: Terminal, ui: str) -> None:
    """As user1 of the demo."""
    if ui == "tui":
        terminal.sees("User", "Password")
        terminal.type("user1\rpass1\r")
        return
    terminal.shows("User: ")
    terminal.type("user1\n")
    terminal.shows("Password of user1: ")
    terminal.hides()
    terminal.type("pass1\n")


@pytest.mark.parametrize("ui", ["plain", "tui"])
def test_a_server_elsewhere_is_asked_about_once(ui: str, tmp_path: Path) -> None:
    """[12.13-5], A10: no is exit code 4; yes is kept; another key after that is a hard stop (A12)."""
    flags = ("--demo", "--iterations", "4096", "--name", ELSEWHERE)
    with ServerProcess(tmp_path / "server", *flags) as server:
        where = ("-s", ELSEWHERE, "-p", str(server.port))
        for answer in ("n", "y"):
            with Terminal(tmp_path / "c", *where, ui=ui, columns=80) as terminal:
                log_in(terminal, ui)
                terminal.sees("is new to this device", "quicchat fingerprint", "Trust it from now on?")
                terminal.type(answer if ui == "tui" else f"{answer}\n")
                if answer == "n":
                    terminal.sees("the server is not trusted; nothing was sent")
                    assert terminal.exit_code() == 4
                else:
                    terminal.sees("Welcome to quicchat")
                    terminal.press("Ctrl+c", *(["Ctrl+c"] if ui == "tui" else []))
                    terminal.exit_code()
        with Terminal(tmp_path / "c", *where, ui=ui, columns=80) as terminal:
            terminal.sees("you are user1")
            assert "new to this device" not in "\n".join(terminal.everything)
    with (
        ServerProcess(tmp_path / "other", *flags, port=server.port),
        Terminal(tmp_path / "c", *where, ui=ui, columns=80) as terminal,
    ):
        assert terminal.exit_code() == 4
        terminal.sees("--accept-new-fingerprint")
        shown = "".join(terminal.everything)
        assert shown.count("SHA256:") == 2
        assert "somebody may stand in between" in shown
        assert "Trust it" not in shown
