"""Files from the command line and at the keyboard, as processes: pipes, terminals, crashes in the middle."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import ROOT, Client, Terminal, at, environment
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

#: Large enough that something can be done while it comes.
LARGE = 60_000_000
PATIENCE = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server shares; nothing in it is as new as one that is still being copied."""
    found = tmp_path_factory.mktemp("shared")
    (found / "a udp").write_bytes(b"two words")
    (found / "a").write_bytes(b"one word")
    with (found / "large.bin").open("wb") as file:
        for _ in range(LARGE // 1_000_000):
            file.write(os.urandom(1_000_000))
    for path in found.iterdir():
        os.utime(path, (1_800_000_000, 1_700_000_000))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[ServerProcess]:
    flags = ("--demo", "--signup", "open", "--iterations", "4096", "--share", str(folder))
    with ServerProcess(tmp_path_factory.mktemp("server"), *flags) as found:
        yield found


class Home:
    """Somebody's home: runs errands in it."""

    def __init__(self, path: Path, server: ServerProcess, user: str = "user1") -> None:
        path.mkdir(exist_ok=True)
        self.path = path
        self._flags = (*at(server), "-u", user)
        password = path / "password"
        password.write_text(f"{user.replace('user', 'pass')}\n")
        password.chmod(0o600)
        self._first: tuple[str, ...] = ("--password-file", str(password))

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, str(ROOT / "echo.py"), *words, *self._flags, *self._first]

    def run(self, *words: str, code: int = 0, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            self.argv(*words),
            cwd=self.path,
            env=environment(self.path),
            input=given,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done
        # The token that it was given is enough from now on.
        self._first = ()
        return done


def test_bytes_go_through_pipes(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8], issue 4, 5: `send room -f - < x`, `get NAME -o -`; only content on standard output, no word besides."""
    home, data = Home(tmp_path / "h", server), os.urandom(1_000_003)
    sent = home.run("send", "general", "-f", "-", "--name", "x.bin", given=data)
    assert (sent.stdout, sent.stderr) == (b"", b"")
    got = home.run("get", "x.bin", "-o", "-")
    assert (got.stdout == data, got.stderr) == (True, b"")
    listed = json.loads(home.run("files", "general", "--json").stdout)["files"]
    assert [(each["name"], each["size"], each["from"]) for each in listed][:1] == [("x.bin", len(data), "user1")]
    by_id = home.run("get", listed[0]["file"], "-o", "-", "--json")
    assert by_id.stdout == data
    states = [json.loads(line)["state"] for line in by_id.stderr.splitlines()]
    assert states[-1] == "done"


def test_names_that_end_in_a_mode(server: ServerProcess, tmp_path: Path) -> None:
    """R2.27: on the command line nothing of a name is a mode; in the chat the longest name wins."""
    home = Home(tmp_path / "h", server)
    assert home.run("get", "a udp", "-o", "-").stdout == b"two words"
    assert home.run("get", "a", "-o", "-").stdout == b"one word"
    with Client(tmp_path / "c", *at(server), "--downloads", str(tmp_path / "d"), first=("user1", "pass1")) as client:
        client.type("/get a udp", '/get "a"', "mystic files", "/mystic download a tcp")
        assert client.end() == 0
    assert {path.name: path.read_text() for path in (tmp_path / "d" / "user1").iterdir()} == {
        "a udp": "two words",
        "a": "one word",
        "a (1)": "one word",
    }


def test_what_is_wrong_is_one_line(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8]: a name that is not there, a file that is not, a room one is not in; exit code 6, no traceback."""
    home = Home(tmp_path / "h", server)
    for words in (
        ("get", "nothing"),
        ("send", "general", "-f", "nothing"),
        ("send", "nowhere", "-f", "password"),
        ("files", "no"),
    ):
        done = home.run(*words, code=6)
        assert done.stdout == b""
        assert done.stderr.startswith(b"quicchat: ")
        assert done.stderr.count(b"\n") == 1


def test_a_directory_goes_to_one_person(server: ServerProcess, tmp_path: Path) -> None:
    """Issue 4, 5: files and directories in one command, unpacked where they come; `-o FILE` keeps the archive."""
    one, two = Home(tmp_path / "1", server), Home(tmp_path / "2", server, "user2")
    (one.path / "photos" / "sub").mkdir(parents=True)
    (one.path / "photos" / "sub" / "a.txt").write_text("a")
    os.utime(one.path / "photos" / "sub" / "a.txt", (1_700_000_000, 1_700_000_000))
    (one.path / "my notes.txt").write_text("notes")
    one.run("send", "@user2", "-f", "photos", "my notes.txt")
    two.run("get", "photos", "--room", "@user1", "-o", "got/")
    two.run("get", "@user1/my notes.txt", "-o", "got/")
    two.run("get", "@user1/photos.tar", "-o", "got/p.tar")
    assert {str(path.relative_to(two.path / "got")) for path in (two.path / "got").rglob("*")} == {
        "photos",
        "photos/sub",
        "photos/sub/a.txt",
        "my notes.txt",
        "p.tar",
    }
    assert (two.path / "got" / "photos" / "sub" / "a.txt").stat().st_mtime == 1_700_000_000
    with tarfile.open(fileobj=io.BytesIO((two.path / "got" / "p.tar").read_bytes())) as archive:
        assert "photos/sub/a.txt" in archive.getnames()


def test_an_errand_beside_a_client(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8]: both at once as one user in one home; the client is told of the file like of anybody's."""
    home = Home(tmp_path / "h", server)
    with Client(home.path, *at(server), first=("user1", "pass1")) as client:
        client.prints("you are user1", err=True)
        (home.path / "beside.txt").write_text("beside")
        home.run("send", "general", "-f", "beside.txt")
        assert client.prints("user1 sends beside.txt (6 B): /get beside.txt")
        assert client.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_what_was_begun_goes_on(server: ServerProcess, folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Issue 4, 3: ended in the middle, by Ctrl-C or without a word, the same command goes on with what is there."""
    home = Home(tmp_path / "h", server)
    home.run("files")
    with subprocess.Popen(
        home.argv("get", "large.bin", "--json"),
        cwd=home.path,
        env=environment(home.path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["done"] > 10_000_000:
                break
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    if number is signal.SIGINT:
        assert process.returncode == 130
        assert "of large.bin is kept, and the same command goes on from there" in errors
    assert (home.path / "large.bin.part").exists()
    lines = home.run("get", "large.bin", "--json").stdout.splitlines()
    last = json.loads(lines[-1])
    assert last["state"] == "done"
    assert last["resumed"] > 5_000_000
    assert (home.path / "large.bin").read_bytes() == (folder / "large.bin").read_bytes()
    assert not list(home.path.glob("*.part*"))


def killed_while_it_sends(home: Home, name: str, data: bytes) -> None:
    """An upload that ended in the middle, without a word."""
    (home.path / name).write_bytes(data)
    home.run("files")
    words = home.argv("send", "general", "-f", name, "--json")
    with subprocess.Popen(
        words, cwd=home.path, env=environment(home.path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["done"] > 5_000_000:
                break
        process.kill()
        process.communicate(timeout=PATIENCE)


def test_an_errand_minds_its_own_files(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8]: what became of another one that was interrupted is not what this one is asked for."""
    home = Home(tmp_path / "h", server)
    killed_while_it_sends(home, "left.bin", os.urandom(LARGE))
    (home.path / "left.bin").unlink()
    got = home.run("get", "a", "-o", "-")
    assert (got.stdout, got.stderr) == (b"one word", b"")


def test_an_upload_goes_on_and_is_one_message(server: ServerProcess, tmp_path: Path) -> None:
    """[12.8]: interrupted and typed again, a file is sent once, and nothing of it twice."""
    home, data = Home(tmp_path / "h", server), os.urandom(LARGE)
    killed_while_it_sends(home, "up.bin", data)
    last = json.loads(home.run("send", "general", "-f", "up.bin", "--json").stdout.splitlines()[-1])
    assert (last["state"], last["resumed"] > 4_000_000) == ("done", True)
    listed = json.loads(home.run("files", "general", "--json").stdout)["files"]
    assert [each["standing"] for each in listed if each["name"] == "up.bin"] == ["whole"]
    assert home.run("get", "up.bin", "-o", "-").stdout == data


def test_a_person_is_asked_and_told(server: ServerProcess, folder: Path, tmp_path: Path) -> None:
    """R4.20, issue 4, 3 and 7: at the keyboard lines tell of a file; the next time one is asked in words that say what
    happens, and a half-typed line stays."""
    flags = (*at(server), "-u", "user1", "--downloads", str(tmp_path / "d"))
    with Terminal(tmp_path / "c", *flags) as terminal:
        terminal.shows("Password of user1: ")
        terminal.hides()
        terminal.type("pass1\n")
        terminal.shows("you are user1")
        terminal.type("/get large.bin\n")
        terminal.shows("-- fetching large.bin (60 MB)")
        begun = tmp_path / "d" / "user1" / "large.bin.part"
        end = time.monotonic() + PATIENCE
        while not begun.exists() or begun.stat().st_blocks < 1000:
            assert time.monotonic() < end
            time.sleep(0.01)
        terminal.type("/pause\n")
        terminal.shows("-- large.bin is paused at ")
        terminal.type("/quit\n")
        assert terminal.exit_code() == 0
    with Terminal(tmp_path / "c", *flags) as terminal:
        terminal.shows("-- not finished: large.bin (")
        terminal.type("/get large.bin\n")
        terminal.shows("-- Resume large.bin (")
        terminal.shows("to go)? [Y/n] (n throws away what is here, and fetches all of it again)")
        terminal.type("y\n")
        terminal.shows("-- fetching large.bin (60 MB)")
        terminal.type("half a line")
        terminal.shows("60 MB in ")
        terminal.type(" and the rest\n/history 1\n")
        terminal.shows("user1: half a line and the rest")
        terminal.type("/quit\n")
        assert terminal.exit_code() == 0
    assert (tmp_path / "d" / "user1" / "large.bin").read_bytes() == (folder / "large.bin").read_bytes()
