"""What scripts say and hear from the command line, as processes: texts, pipes, signals, a server that goes away."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import ROOT, Client, at, environment
from tests.e2e.test_errands import PATIENCE, Home
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

FLAGS = ("--demo", "--signup", "open", "--iterations", "4096")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), *FLAGS) as found:
        yield found


def tail(home: Home, *words: str) -> Client:
    """`quicchat tail …` as it runs."""
    argv = home.argv("tail", *words)[3:]
    return Client(home.path, *argv, command=("tail",))


def events(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_a_text_is_said(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-1]: words with one blank between them, to a room, one user or everybody; --json tells where it is."""
    home, other = Home(tmp_path / "1", server), Home(tmp_path / "2", server, "user2")
    other.run("files")
    done = home.run("send", "general", "built", "in   42 s")
    assert (done.stdout, done.stderr) == (b"", b"")
    (posted,) = events(home.run("send", "@user2", "psst", "--json").stdout.decode().splitlines())
    assert (posted["event"], posted["room"], posted["to"], posted["seq"]) == ("posted", "@user1,user2", "user2", 1)
    home.run("send", "*", "dinner is ready")
    home.run("send", "general", "--emote", "waves")
    home.run("send", "general", "--code", "x = 1")
    home.run("send", "general", "--reply", "#2", "and", "more")
    heard = other.run("tail", "general", "--no-follow", "--json", "-n", "4").stdout.decode().splitlines()
    said = [(each["kind"], each["text"], each["reply"]) for each in events(heard)]
    assert said == [
        ("text", "built in   42 s", None),
        ("emote", "waves", None),
        ("code", "x = 1", None),
        ("text", "and more", 2),
    ]
    psst = other.run("tail", "@user1", "--no-follow").stdout.decode()
    assert psst.endswith(" (user1 to user2) psst\n")
    assert other.run("tail", "*", "--no-follow").stdout.decode().endswith(" (to everybody) user1: dinner is ready\n")


def test_standard_input_is_one_text(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-1], [12.8-2]: `-` is all of it but its last line end, long or not; what is no text is a file."""
    home = Home(tmp_path / "h", server)
    long = "\u00e4" * 400_000 + "\nend"
    for given, said in ((b"one\ntwo\n", "one\ntwo"), (b"three\r\n", "three"), (f"{long}\n".encode(), long)):
        assert home.run("send", "general", "-", given=given).stdout == b""
        (line,) = home.run("tail", "general", "--no-follow", "--json", "-n", "1").stdout.decode().splitlines()
        assert json.loads(line)["text"] == said
    for given, why in ((b"\xff\xfe", b"--file -"), (b"\n", b"nothing to say"), (b"x" * 1_048_577, b"at most")):
        done = home.run("send", "general", "-", given=given, code=2)
        assert why in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_what_cannot_be_said_is_one_line(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-1]: a room one is not in, a user there is not: exit code 6 and why."""
    home = Home(tmp_path / "h", server)
    for words in (("send", "nowhere", "hi"), ("send", "@nobody", "hi"), ("tail", "nowhere"), ("tail", "@a,b")):
        done = home.run(*words, code=2 if "," in words[1] else 6)
        assert done.stdout == b""
        assert done.stderr.startswith(b"quicchat: ")
        assert done.stderr.count(b"\n") == 1


def test_a_file_may_have_a_caption(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-2]: -f sends files; the text is their caption, and without -f it stays a text, whatever it names."""
    home = Home(tmp_path / "h", server)
    (home.path / "a.txt").write_text("a")
    home.run("send", "general", "look", "at this", "-f", "a.txt")
    home.run("send", "general", "a.txt")
    one, two = home.run("tail", "general", "--no-follow", "-n", "2").stdout.decode().splitlines()
    assert one.endswith('user1 sends a.txt (1 B) "look at this": /get a.txt')
    assert two.endswith(" [general] user1: a.txt")


def test_tail_prints_what_was_and_what_comes(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-3]: the last of a log, then each message as it is said, to a pipe, line by line; 143 after SIGTERM."""
    home, other = Home(tmp_path / "1", server), Home(tmp_path / "2", server, "user2")
    home.run("files")
    other.run("files")
    for number in range(5):
        home.run("send", "general", f"before {number}")
    with tail(home, "general", "-n", "2") as running:
        running.prints("before 4")
        other.run("send", "general", "live 1")
        running.prints("live 1")
        other.run("send", "@user1", "elsewhere")
        other.run("send", "general", "live 2")
        running.prints("live 2")
        running.signal(signal.SIGTERM)
        assert running.finished() == 143
        said = [line.rpartition(": ")[2] for line in running.out]
        assert (said, running.err) == (["before 3", "before 4", "live 1", "live 2"], [])


def test_a_pipe_that_nobody_reads_does_not_keep_it(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-6]: a tail that hangs in a full pipe ends on SIGTERM within seconds, with its code."""
    home = Home(tmp_path / "1", server)
    for _ in range(4):
        home.run("send", "general", "x" * 50_000)
    running = subprocess.Popen(
        home.argv("tail", "general"),
        cwd=home.path,
        env=environment(home.path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert running.stdout is not None
        waits, end = array("i", [0]), time.monotonic() + PATIENCE
        while waits[0] < select.PIPE_BUF * 8:
            assert time.monotonic() < end
            time.sleep(0.05)
            fcntl.ioctl(running.stdout, termios.FIONREAD, waits)
        running.terminate()
        assert running.wait(PATIENCE) == 128 + signal.SIGTERM
    finally:
        running.kill()
        running.communicate()


def test_tail_of_all(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-3]: `all` is what one hears anywhere, in the order of its saying, and rooms that begin meanwhile."""
    home, other = Home(tmp_path / "1", server, "user3"), Home(tmp_path / "2", server, "user4")
    home.run("files")
    other.run("files")
    other.run("send", "general", "to all")
    other.run("send", "@user3", "to one")
    with tail(home, "all", "-n", "2", "--json") as running:
        running.prints('"to one"')
        other.run("send", "general", "and more")
        running.prints('"and more"')
        running.signal(signal.SIGINT)
        assert running.finished() == 130
        assert [each["text"] for each in events(running.out)] == ["to all", "to one", "and more"]


def test_tail_reads_for_nobody(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-4]: what tail prints stays unread for its user."""
    home, other = Home(tmp_path / "1", server, "user5"), Home(tmp_path / "2", server, "user6")
    other.run("files")
    home.run("send", "@user6", "unread")
    with tail(other, "@user5") as running:
        running.prints("unread")
        home.run("send", "@user6", "as well")
        running.prints("as well")
    with Client(tmp_path / "c", *at(server), "-e", "/unread", first=("user6", "pass6")) as client:
        assert client.finished() == 0
        (line,) = [line for line in client.out if line.startswith("@user5,user6 ")]
        assert int(line.split()[1]) >= 2


def test_tail_outlives_the_server(tmp_path: Path) -> None:
    """[12.8-3], P4: over a server that stopped and came back, each message is printed once, in order."""
    with ServerProcess(tmp_path / "server", *FLAGS) as server:
        home, other = Home(tmp_path / "1", server), Home(tmp_path / "2", server, "user2")
        home.run("send", "general", "zero")
        with tail(home, "general", "-n", "1", "--json") as running:
            running.prints('"zero"')
            other.run("send", "general", "one")
            running.prints('"one"')
            server.stop()
            server.start()
            other.run("send", "general", "two")
            other.run("send", "general", "three")
            running.prints('"three"')
            running.signal(signal.SIGTERM)
            assert running.finished() == 143
        said = [each["text"] for each in events(running.out) if each["kind"] == "text"]
        assert said == ["zero", "one", "two", "three"]


def test_a_pipe_that_nobody_reads_ends_tail(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8-3]: `quicchat tail general | head -1` ends without waiting for another message, and without a word."""
    home = Home(tmp_path / "h", server)
    home.run("send", "general", "the last one")
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, str(ROOT / "echo.py"), *home.argv("tail", "general", "-n", "1")[2:]],
        cwd=home.path,
        env=environment(home.path),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.readline().endswith(b": the last one\n")
        assert process.wait(20) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
