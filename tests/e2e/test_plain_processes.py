"""The plain front end as processes on pipes, at a server process, over loopback."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import PATIENCE, QUICK, ROOT, Client, at, environment
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

USER1, USER2 = ("user1", "pass1"), ("user2", "pass2")


def echo(home: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """`python echo.py …` from beginning to end."""
    command = [sys.executable, "echo.py", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment(home), input=given, capture_output=True, text=True, timeout=PATIENCE
    )


def script(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_three_processes_hear_each_other(server: ServerProcess, tmp_path: Path) -> None:
    """R1.3, R3.8, R3.9, R3.16: three terminals, each sees what the others say, and who comes and goes."""
    where = at(server)
    with (
        Client(tmp_path / "1", *where, first=USER1) as one,
        Client(tmp_path / "2", *where, first=USER2) as two,
        Client(tmp_path / "3", *where, first=("carol", "pass3")) as three,
    ):
        clients = {"user1": one, "user2": two, "carol": three}
        for name, client in clients.items():
            client.prints(f"you are {name}", err=True)
        for name, client in clients.items():
            client.type(f"hello from {name}")
        for name, client in clients.items():
            for other in clients:
                if other != name:
                    client.prints(f"{other}: hello from {other}")
        three.type("/qqq")
        assert three.finished() == 0
        for client in (one, two):
            client.prints("carol left (quit)", err=True)
        assert one.end() == two.end() == 0


def test_positional_forms(tmp_path: Path) -> None:
    """R1.1, R1.2: `server PORT`, and `client HOST PORT USER`, which asks for the password only."""
    port = free_port()
    command = [sys.executable, "echo.py", "server", str(port), "--log-format", "json", *QUICK]
    with subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path / "s"), stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            while json.loads(process.stderr.readline())["event"] != "listening":
                continue
            done = echo(tmp_path / "c", "client", "localhost", str(port), "user1", given=script("pass1", "/echo hi"))
            assert (done.returncode, done.stdout) == (0, "hi\n")
        finally:
            process.terminate()
            process.communicate()
    assert process.returncode == 0


def test_without_a_server_there_is_one_clear_line(tmp_path: Path) -> None:
    """R1.4: exit code 3 within the timeout, one line, no traceback."""
    before = time.monotonic()
    done = echo(tmp_path, "client", "-p", str(free_port()), given=script(*USER1))
    assert time.monotonic() - before < 10
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("quicchat: cannot connect to localhost:")


def test_a_client_that_waits_gets_in_when_the_server_appears(tmp_path: Path) -> None:
    """R1.4: with --wait it says so once, and goes on trying."""
    server = ServerProcess(tmp_path / "server", *QUICK, port=free_port())
    with Client(tmp_path / "c", *at(server), "--wait", first=(*USER1, "/echo here")) as client:
        client.prints("is not there yet", err=True)
        with server:
            client.prints("here")
            assert client.end() == 0
        assert sum("not there yet" in line for line in client.err) == 1


def test_ex_ends_the_session(server: ServerProcess, tmp_path: Path) -> None:
    """R1.8: EX in style classic: exit code 0, the others are told, what follows it is never sent."""
    with Client(tmp_path / "2", *at(server), first=USER2) as other:
        other.prints("you are user2", err=True)
        done = echo(tmp_path / "1", "client", *at(server), "--style", "classic", given=script(*USER1, "EX", "too late"))
        assert done.returncode == 0
        assert "[Welcome, You are registered.]" in done.stderr
        other.prints("user1 left (quit)", err=True)
        assert other.end() == 0
        assert not any("too late" in line for line in other.out)


def test_accounts_are_made_and_survive(tmp_path: Path) -> None:
    """R1.11, issue item 9: an unknown user is signed up without a question; after a restart he is known."""
    with ServerProcess(tmp_path / "server", *QUICK) as server:
        assert echo(tmp_path / "c", "client", *at(server), given=script("carol", "one", "hi")).returncode == 0
        server.stop()
        server.start()
        assert echo(tmp_path / "c", "client", *at(server), given=script("carol", "one")).returncode == 0
        wrong = echo(tmp_path / "c", "client", *at(server), given=script("carol", "two"))
        assert (wrong.returncode, wrong.stderr) == (5, "quicchat: the password of carol is wrong\n")


def test_of_two_who_want_the_same_name_one_gets_it(server: ServerProcess, tmp_path: Path) -> None:
    """R1.11: signed up at the same time with different passwords: exactly one is in, the other ends with 5."""
    with (
        Client(tmp_path / "1", *at(server), first=("dave", "one")) as one,
        Client(tmp_path / "2", *at(server), first=("dave", "two")) as two,
    ):
        assert sorted((one.end(), two.end())) == [0, 5]


def test_an_unknown_command_sends_nothing(server: ServerProcess, tmp_path: Path) -> None:
    """R1.13: a hint, and not a word to the others."""
    with Client(tmp_path / "2", *at(server), first=USER2) as other:
        other.prints("you are user2", err=True)
        done = echo(tmp_path / "1", "client", *at(server), given=script(*USER1, "/secrte plan", "all clear"))
        assert done.returncode == 0
        assert "/secrte is no command" in done.stderr
        other.prints("all clear")
        assert not any("plan" in line for line in other.out)
        assert other.end() == 0


@pytest.fixture
def usual_port() -> Iterator[int]:
    """55667, for one test at a time; where somebody else has it, another one."""
    with open(Path(tempfile.gettempdir()) / "quicchat-test-55667.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield 55667 if is_free(55667) else free_port()


@pytest.mark.parametrize("with_flags", [False, True])
def test_the_four_command_lines(with_flags: bool, usual_port: int, tmp_path: Path) -> None:
    """R3.2, R3.3, R3.7: `server` and `client` meet without arguments, and with those of the founding text."""
    flags = (("-l", "127.0.0.1"), ("-s", "127.0.0.1"), ("-p", str(usual_port))) if with_flags else ((), (), ())
    home = environment(tmp_path)
    if usual_port != 55667:
        home["QUICCHAT_PORT"] = str(usual_port)
    server = [sys.executable, "echo.py", "server", *flags[0], *flags[2]]
    client = [sys.executable, "echo.py", "client", *flags[1], *flags[2]]
    with subprocess.Popen(server, cwd=ROOT, env=home, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "listening" in line:
                    break
                assert "DEMO ACCOUNTS" in line
            for user, password in (USER1, USER2):
                given = script(user, password, "/echo parrot me")
                done = subprocess.run(
                    client, cwd=ROOT, env=home, input=given, capture_output=True, text=True, timeout=PATIENCE
                )
                assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "parrot me")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    assert process.returncode == 0


def test_versions_on_the_command_line(server: ServerProcess, tmp_path: Path) -> None:
    """R3.6: `--versions 9,1` picks 1; `--versions 9` ends with the list of the server, exit code 3."""
    done = echo(tmp_path, "client", *at(server), "--versions", "9,1", given=script(*USER1, "/echo hi"))
    assert (done.returncode, "hi" in done.stdout.splitlines()) == (0, True)
    assert "protocol version 1" in done.stderr
    done = echo(tmp_path, "client", *at(server), "--versions", "9", given=script(*USER1))
    assert (done.returncode, done.stderr) == (3, "quicchat: no common version (server speaks 1..2)\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_says_goodbye(number: signal.Signals, code: int, server: ServerProcess, tmp_path: Path) -> None:
    """R3.11: Ctrl-C of a client is noticed within a second; its exit code is 130."""
    with (
        Client(tmp_path / "1", *at(server)) as one,
        Client(tmp_path / "2", *at(server), first=USER2) as two,
    ):
        two.prints("you are user2", err=True)
        one.type(*USER1)
        two.prints("user1 is online", err=True)
        before = time.monotonic()
        one.signal(number)
        two.prints("user1 left (quit)", err=True)
        assert time.monotonic() - before < 1
        assert one.finished() == code
        assert not any("Traceback" in line for line in one.err)
        assert two.end() == 0


def test_the_server_is_killed(tmp_path: Path) -> None:
    """R4.16: with --on-server-loss exit: `[Server not responding]`, `[Exiting]`, exit code 3."""
    with ServerProcess(tmp_path / "server", *QUICK, "--ping-interval", "0.5") as server:
        with Client(tmp_path / "c", *at(server), "--on-server-loss", "exit", first=USER1) as client:
            client.prints("you are user1", err=True)
            server.kill()
            assert client.finished() == 3
            assert client.err[-2:] == ["[Server not responding]", "[Exiting]"]
        server.start()


def test_the_server_is_killed_and_comes_back(tmp_path: Path) -> None:
    """R4.16, R4.17, P1, P2: said once, tried again, and what was typed in between is in the log once."""
    with ServerProcess(tmp_path / "server", *QUICK, "--ping-interval", "0.5") as server:
        with Client(tmp_path / "c", *at(server), first=(*USER1, "before")) as client:
            client.prints("you are user1", err=True)
            client.type("/echo stored")
            client.prints("stored")
            server.kill()
            client.type("between")
            client.prints("connection lost", err=True)
            server.start()
            client.prints("connected again as user1", err=True)
            client.type("after")
            assert client.end() == 0
        done = echo(tmp_path / "d", "client", *at(server), "--json", given=script(*USER2, "/history"))
        (page,) = [found for found in map(json.loads, done.stdout.splitlines()) if found["event"] == "history"]
        texts = [each["text"] for each in page["messages"] if each["kind"] == "text"]
        assert texts == ["before", "between", "after"]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return os.name == "posix"
