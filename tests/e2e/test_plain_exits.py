"""How the command `client` ends, and what it says: exit codes, one line each, nothing harmful on the output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.clients import PATIENCE, QUICK, ROOT, Client, at, environment
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket


def client(home: Path, *words: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "echo.py", "client", *words],
        cwd=ROOT,
        env=environment(home, **more),
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


LOGIN = "user1\npass1\n"


@pytest.mark.parametrize("words", [("-p", "abc"), ("-p", "70000"), ("-p",), ("h", "70000"), ("-p", "0")])
def test_a_port_that_is_none(words: tuple[str, ...], tmp_path: Path) -> None:
    """R4.2, R4.3: missing or impossible ports: a message, exit code 2."""
    done = client(tmp_path, *words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_commands_of_the_command_line(server: ServerProcess, tmp_path: Path) -> None:
    """Issue item 9: 0 when all was done; 2 for one that is refused, and for nonsense, before anything is sent."""
    where = at(server)
    done = client(tmp_path, *where, "-e", "hello", "-e", "/history general 1", given=LOGIN)
    assert done.returncode == 0
    assert "user1: hello" in done.stdout
    assert client(tmp_path, *where, "-e", "/join nowhere", given=LOGIN).returncode == 2
    done = client(tmp_path, *where, "-e", "never said", "-e", "/jion", given=LOGIN)
    assert (done.returncode, done.stdout) == (2, "")
    done = client(tmp_path, *where, "-e", "/history", "--json", given=LOGIN)
    assert "never said" not in done.stdout


def test_the_password_file(server: ServerProcess, tmp_path: Path) -> None:
    """Issue item 9: -u and QUICCHAT_PASSWORD_FILE, which others must not be able to read; nothing on stdin."""
    file = tmp_path / "password"
    file.write_text("pass1\n")
    file.chmod(0o600)
    words = (*at(server), "-u", "user1")
    done = client(tmp_path, *words, given="/echo said at once\n", QUICCHAT_PASSWORD_FILE=str(file))
    assert (done.returncode, done.stdout) == (0, "said at once\n")
    file.chmod(0o640)
    done = client(tmp_path, *words, QUICCHAT_PASSWORD_FILE=str(file))
    assert done.returncode == 2
    assert "chmod 600" in done.stderr


@pytest.mark.parametrize("given", ["", "user1\n", "user1\n\n", "no name at all\nx\n", "user1\nwrong\n"])
def test_no_login(given: str, server: ServerProcess, tmp_path: Path) -> None:
    """Issue item 9: exit code 5 and one line, whatever is missing or wrong."""
    done = client(tmp_path, *at(server), given=given)
    assert done.returncode == 5
    assert [line for line in done.stderr.splitlines() if line.startswith("quicchat: ")] == done.stderr.splitlines()[-1:]


def test_sign_up_is_closed(tmp_path: Path) -> None:
    """R1.11: where the policy allows no sign-up, an unknown user is refused, exit code 5."""
    with ServerProcess(tmp_path / "server", "--signup", "closed", "--iterations", "4096") as server:
        done = client(tmp_path, *at(server), given="mallory\nx\n")
        assert done.returncode == 5
        assert "does not accept new accounts" in done.stderr


def test_another_server_on_the_same_port(tmp_path: Path) -> None:
    """A12: exit code 4, both fingerprints, and --accept-new-fingerprint for whoever knows better."""
    with ServerProcess(tmp_path / "first", *QUICK) as first:
        assert client(tmp_path, *at(first), given=LOGIN).returncode == 0
    with ServerProcess(tmp_path / "second", *QUICK, port=first.port) as second:
        done = client(tmp_path, *at(second), given=LOGIN)
        assert done.returncode == 4
        assert done.stderr.count("SHA256:") == 2
        assert client(tmp_path, *at(second), "--accept-new-fingerprint", given=LOGIN).returncode == 0
        assert client(tmp_path, *at(second), given=LOGIN).returncode == 0


def test_nothing_harmful_comes_out(server: ServerProcess, tmp_path: Path) -> None:
    """U1, U2, R2.35: what somebody types into a pipe reaches another terminal as visible signs."""
    nasty = "\x1b]0;owned\x07\x1b[2J\r[SERVER] you are banned\x9b\u202e"
    with Client(tmp_path / "2", *at(server), "--style", "mystic", first=("user2", "pass2")) as other:
        other.prints("you are user2", err=True)
        assert client(tmp_path / "1", *at(server), given=f"{LOGIN}{nasty}\n").returncode == 0
        line = other.prints("you are banned")
        assert line.isprintable()
        assert line.startswith("[GLOBAL] user1: \u241b]0;owned\u2407")
        assert other.end() == 0


def test_json_is_ascii(server: ServerProcess, tmp_path: Path) -> None:
    """U8, issue item 9: one object to a line, no control byte, and the text as it was."""
    done = client(tmp_path, *at(server), "--json", given=f"{LOGIN}\x1b[2J \u00fc\n")
    assert done.returncode == 0
    assert done.stdout.isascii()
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["text"] for each in events if each["event"] == "message" and each["own"]] == ["\x1b[2J \u00fc"]
    assert events[0]["event"] == "notice"
    assert [each["user"] for each in events if each["event"] == "entered"] == ["user1"]


def test_a_reader_that_goes_away(server: ServerProcess, tmp_path: Path) -> None:
    """U9: `client | head -1`: no traceback, and the exit code that a shell expects."""
    command = [sys.executable, "echo.py", "client", *at(server), "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path), stdin=pipe, stdout=pipe, stderr=pipe) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        assert one.stderr is not None
        one.stdin.write(LOGIN.encode())
        one.stdin.flush()
        one.stdout.readline()
        one.stdout.close()
        one.stdin.write(b"hello\n" * 3)
        one.stdin.flush()
        assert one.wait(PATIENCE) == 141
        assert b"Traceback" not in one.stderr.read()


def test_standard_input_is_closed(server: ServerProcess, tmp_path: Path) -> None:
    """U9: no descriptor 0 at all: there is nobody to log in, and no socket is read in its place."""
    file = tmp_path / "password"
    file.write_text("pass1\n")
    file.chmod(0o600)
    shell = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "echo.py", "client", *at(server)]
    done = subprocess.run(shell, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 5
    home = environment(tmp_path, QUICCHAT_PASSWORD_FILE=str(file))
    done = subprocess.run([*shell, "-u", "user1"], cwd=ROOT, env=home, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0
    assert "you are user1" in done.stderr


def test_a_locale_without_most_letters(server: ServerProcess, tmp_path: Path) -> None:
    """U9: with an ASCII output foreign letters are written out; nothing is raised."""
    done = client(tmp_path, *at(server), given=f"{LOGIN}/echo \u4f60\n", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stdout) == (0, "\\u4f60\n")


def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """Issue item 10: one clear line, exit code 2."""
    (tmp_path / "file").write_text("")
    done = client(tmp_path, "--data", str(tmp_path / "file" / "x"), given=LOGIN)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["file"]
