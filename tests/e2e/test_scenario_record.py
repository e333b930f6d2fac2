"""A session that is recorded is a script that can be played."""

from __future__ import annotations

from pathlib import Path

import pytest

from quicchat.__main__ import client_config, server_config
from quicchat.tools.scenario import main
from quicchat.tools.scenario.script import Type, read
from tests.e2e.clients import Client
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket


def test_what_was_recorded_can_be_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 3, scenarios: what is typed and shown becomes a script without names, passwords and times, and plays."""
    script = tmp_path / "session.chat"
    with ServerProcess(tmp_path / "server", "--no-demo", "--signup", "open", "--iterations", "4096") as server:
        ca = server.data / "certs" / "ca.pem"
        words = ("-p", str(server.port), "-s", "127.0.0.1", "-u", "x", "--ca", str(ca))
        record = ("scenario", "--record", str(script))
        with Client(tmp_path / "home", *words, command=record, first=("my secret",)) as client:
            client.prints("x joined general", err=True)
            for typed, shown, err in (
                ("/create r1 a topic", "you are in r1 now", True),
                ("/echo hello", "hello", False),
                ("/jion r2", "did you mean", True),
                ("/rooms", "* r1 (1)  a topic", False),
            ):
                client.type(typed)
                client.prints(shown, err=err)
            client.type("/quit")
            assert client.finished() == 0
        with Client(tmp_path / "home", *words, command=record) as client:
            client.prints("exists already", err=True)
            assert client.exit_code() == 2
    text = script.read_text()
    assert "my secret" not in text
    deeds = [deed for step in read("x", text).steps for deed in step.deeds if isinstance(deed, Type)]
    assert [deed.text for deed in deeds] == ["/create r1 a topic", "/echo hello", "/jion r2", "/rooms", "/quit"]
    assert main.play([str(script)], client_config, server_config) == 0, capsys.readouterr().out
