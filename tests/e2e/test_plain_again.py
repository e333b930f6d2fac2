"""The plain front end when it comes back: without a question, and with all that it had to say."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.e2e.clients import PATIENCE, QUICK, Client, Terminal, at, environment
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

LINES = 40


def log_in(terminal: Terminal, user: str, password: str) -> None:
    terminal.shows("User: ")
    terminal.type(f"{user}\n")
    terminal.shows(f"Password of {user}: ")
    terminal.hides()
    terminal.type(f"{password}\n")
    terminal.shows(f"you are {user}")


def events(client: Client, name: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in list(client.out)]
    return [each for each in found if each["event"] == name]


def wait_for(client: Client, state: str, count: int) -> None:
    """Until so many messages have come so far."""
    for _ in range(int(PATIENCE * 20)):
        if len({each["cid"] for each in events(client, "progress") if each["state"] == state}) >= count:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"not {count} are {state}: {client.out[-3:]} and {client.err}")


def kept(folder: Path, text: str) -> bool:
    """Whether a text stands in a file of the client's."""
    files = [each for each in (folder / "c").rglob("*") if each.is_file()]
    assert any(each.parent.name == "memory" for each in files)
    return any(text.encode() in each.read_bytes() for each in files)


def test_the_second_run_asks_nothing(tmp_path: Path) -> None:
    """Issue 3, item 4, [6.12-5]: name and password are asked once; then the token of this device serves, until /logout.

    After that nothing of what was said is in its files.
    """
    said = "a word that nobody else says"
    with ServerProcess(tmp_path / "server", *QUICK) as server:
        with Terminal(tmp_path / "c", *at(server)) as terminal:
            log_in(terminal, "user1", "pass1")
            terminal.type(f"{said}\n/quit\n")
            assert terminal.exit_code() == 0
        assert kept(tmp_path, said)
        errand = [sys.executable, "-m", "quicchat", "send", "general", errands := "what an errand says"]
        errand += [*at(server), "-u", "user1"]
        (tmp_path / "password").write_text("pass1")
        (tmp_path / "password").chmod(0o600)
        home = environment(tmp_path / "c")
        for more in ({"QUICCHAT_PASSWORD_FILE": str(tmp_path / "password")}, {}):
            subprocess.run(errand, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, env={**home, **more})
        assert kept(tmp_path, errands)
        for word in ("/quit", "/logout"):
            with Terminal(tmp_path / "c", *at(server)) as terminal:
                assert "Password" not in terminal.shows("you are user1")
                terminal.type(f"{word}\n")
                assert terminal.exit_code() == 0
        assert not kept(tmp_path, said)
        assert not kept(tmp_path, errands)
        # No errand is let in without a password, either.
        assert subprocess.run(errand, timeout=PATIENCE, stdin=subprocess.DEVNULL, env=home).returncode == 5
        with Terminal(tmp_path / "c", *at(server)) as terminal:
            terminal.shows("User: ")
            terminal.type("\x04")
            assert terminal.exit_code() == 5


def test_a_password_is_changed_unseen(tmp_path: Path) -> None:
    """R0.8, U9: /password asks for three words that nobody sees; the new one holds, and this session lives on."""
    with ServerProcess(tmp_path / "server", *QUICK) as server, Terminal(tmp_path / "c", *at(server)) as terminal:
        log_in(terminal, "user1", "pass1")
        terminal.type("/password\n")
        for question, word in (("current?", "pass1"), ("new?", "pass word"), ("again?", "pass word")):
            terminal.shows(question)
            terminal.hides()
            terminal.type(f"{word}\n")
        seen = terminal.shows("the password is changed")
        assert "word" not in seen.replace("the password", "")
        terminal.type("/ping\n")
        terminal.shows(" ms")
        assert terminal.echoes
        with Terminal(tmp_path / "other", *at(server)) as other:
            log_in(other, "user1", "pass word")
        terminal.type("/quit\n")
        assert terminal.exit_code() == 0


def test_what_a_killed_client_had_to_say_is_said_once(tmp_path: Path) -> None:
    """R4.17, P1, P2: the server dies, lines are typed, the client is killed; both come back, and each line is once."""
    with ServerProcess(tmp_path / "server", *QUICK) as server:
        words = (*at(server), "--json")
        with Client(tmp_path / "c", *words, first=("user1", "pass1")) as client:
            client.prints('"entered"')
            client.type("the first")
            wait_for(client, "stored", 1)
            server.kill()
            client.type(*(f"line {number}" for number in range(LINES)))
            wait_for(client, "queued", LINES + 1)
            client.signal(signal.SIGKILL)
            client.exit_code()
        server.start()
        with Client(tmp_path / "c", *words, first=("user1", "pass1")) as client:
            wait_for(client, "stored", LINES)
            client.type(f"/history {LINES + 20}")
            client.prints('"history"')
            assert client.end() == 0
        (past,) = events(client, "history")
        said = [each["text"] for each in past["messages"] if each["kind"] == "text"]  # type: ignore[attr-defined]
        assert said == ["the first", *(f"line {number}" for number in range(LINES))]
