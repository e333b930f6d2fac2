"""What there is to see before anything else is loaded, and what is typed meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.clients import Terminal
from tests.processes import CHEAP, ServerProcess

#: Ends where the rest would be loaded, and tells what has been so far.
_TELLS = """
import os, sys
from quicchat import __main__
from quicchat.ui import main

def told():
    with open(os.environ["LOADED"], "w", encoding="ascii") as file:
        file.write(" ".join(sys.modules))
    os._exit(7)

main._load = told
sys.exit(__main__.main())
"""
#: What speaks to a server, keeps things, or carries out commands.
_LATER = {"aioquic", "cryptography", "OpenSSL", "service_identity", "sqlite3", "cbor2._decoder"} | {
    f"quicchat.{each}"
    for each in ("client.api", "client.session", "client.connect", "protocol", "transport", "ui.commands", "ui.front")
}
_OTHERS = {"plain": {"prompt_toolkit", "textual", "rich"}, "line": {"textual", "rich"}, "tui": {"prompt_toolkit"}}


@pytest.mark.parametrize("ui", _OTHERS)
def test_nothing_is_loaded_before_there_is_something_to_see(ui: str, tmp_path: Path) -> None:
    """[12.15-1], issue 5: by the first picture nothing is loaded of library and QUIC, nor of other faces."""
    loaded = tmp_path / "loaded"
    program = (sys.executable, "-c", _TELLS)
    with Terminal(tmp_path, "-u", "alice", ui=ui, program=program, LOADED=str(loaded)) as terminal:
        assert terminal.exit_code() == 7
        terminal.until(lambda lines: any(lines))
    modules = set(loaded.read_text("ascii").split())
    assert {"quicchat.ui.main", "quicchat.ui.face"} <= modules
    assert (_LATER | _OTHERS[ui]) & modules == set()


@pytest.mark.parametrize("ui", ["plain", "line"])
def test_what_is_typed_before_one_is_in_is_not_lost(ui: str, tmp_path: Path) -> None:
    """[12.11-8]: who comes again has a prompt before there is a server; what he types is said later."""
    server = ServerProcess(tmp_path / "server", *CHEAP)
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("my secret\n")
    with server:
        at = ("-s", "127.0.0.1", "-p", str(server.port), "-u", "alice")
        with Terminal(tmp_path / "home", *at, QUICCHAT_PASSWORD_FILE=str(password)) as first:
            first.shows("you are")
            first.type("/quit\n")
            assert first.exit_code() == 0
        port = server.port
    with Terminal(tmp_path / "home", *at, "--wait", ui=ui) as again:
        again.shows(">")
        again.type("typed too early\r")
        again.shows("typed too early")
        with ServerProcess(tmp_path / "server", "-p", str(port), *CHEAP):
            again.shows("you are alice")
            again.type("/history\r")
            again.shows("alice: typed too early")
            again.type("/quit\r")
            assert again.exit_code() == 0


@pytest.mark.parametrize("ui", ["plain", "line"])
def test_what_is_typed_before_one_is_in_is_no_answer(ui: str, tmp_path: Path) -> None:
    """[12.11-8]: who is not let in after all is asked for his password, and what he typed for others is none."""
    with ServerProcess(tmp_path / "server", *CHEAP) as server:
        at = ("-s", "127.0.0.1", "-p", str(server.port), "-u", "alice")
        with Terminal(tmp_path / "home", *at, ui=ui) as terminal:
            terminal.shows(">")
            terminal.type("for the room\r")
            terminal.shows("Password of alice:")
            terminal.type("my secret\r")
            terminal.shows("create the account? [t/c]")
            terminal.type("c\r")
            terminal.shows("the password again:")
            terminal.type("my secret\r")
            terminal.shows("you are alice")
            terminal.type("/history\r")
            assert "alice: for the room" not in terminal.shows("alice: alice joined")
            terminal.type("/quit\r")
            assert terminal.exit_code() == 0
