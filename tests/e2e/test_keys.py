"""Keys from the command line, as processes: recovery by the code alone, files that gpg opens, errands."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.e2ee.gnupg import Gnupg, gnupg
from tests.e2e.clients import PATIENCE, Client, at, environment
from tests.e2e.test_errands import Home
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = ("--demo", "--signup", "open", "--iterations", "4096")
    with ServerProcess(tmp_path_factory.mktemp("server"), *flags) as found:
        yield found


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gnupg]:
    with gnupg() as found:
        yield found


class Desk:
    """A machine of somebody: a client in his home, and what he runs beside it."""

    def __init__(self, path: Path, server: ServerProcess, user: str) -> None:
        self.home = Home(path, server, user)
        self._server = server
        self._login = (user, user.replace("user", "pass"))

    def client(self) -> Client:
        return Client(self.home.path, *at(self._server), first=self._login)

    def keys(self, *words: str, code: int = 0, given: str = "") -> str:
        """`quicchat keys`, with the token of the client."""
        argv = [*self.home.argv("keys", *words)]
        argv = argv[: argv.index("--password-file")] if "--password-file" in argv else argv
        done = subprocess.run(
            argv,
            cwd=self.home.path,
            env=environment(self.home.path),
            input=given.encode(),
            capture_output=True,
            timeout=PATIENCE * 2,
            check=False,
        )
        assert done.returncode == code, done
        assert b"Traceback" not in done.stderr
        return (done.stdout if code == 0 else done.stderr).decode()

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.keys("show", "--json", "--secret"))
        return found

    def settled(self) -> dict[str, Any]:
        """What `keys show` tells, once the keys of a client that has just begun are made."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                found = self.shown()
            except AssertionError:
                found = {}
            if found.get("identity"):
                return found
            time.sleep(0.2)
        raise AssertionError("no keys were made")


def code_of(desk: Desk) -> str:
    """The recovery code that the first client of an account has made."""
    end = time.monotonic() + PATIENCE
    while (code := desk.settled()["backup"]["code"]) is None:
        assert time.monotonic() < end
        time.sleep(0.2)
    return str(code)


def test_recovery_from_the_code_alone(server: ServerProcess, tmp_path: Path) -> None:
    """[15.9-25], [12.17-2]: the first machine is gone; on another one the code lets its client in."""
    first, second = Desk(tmp_path / "a", server, "user1"), Desk(tmp_path / "b", server, "user1")
    with first.client() as client:
        code = code_of(first)
        assert client.end() == 0
    before = first.shown()
    with second.client() as client:
        assert not second.settled()["listed"]
        assert client.end() == 0
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    assert "slip" in second.keys("restore", code=2, given=f"{wrong}\n")
    assert "code" in second.keys("restore", code=6, given="0" * 34 + "98\n")
    assert not second.shown()["listed"]
    assert "let in" in second.keys("restore", given=f"{code}\n")
    after = second.shown()
    assert (after["listed"], after["signs"], after["identity"]) == (True, True, before["identity"])
    assert after["backup"]["code"] == code
    assert len(after["devices"]) == 2


def test_a_backup_file_opens_with_gpg_and_here(server: ServerProcess, tmp_path: Path, gpg: Gnupg) -> None:
    """[15.9-28], [12.17-2]: gpg needs the file and the 36 digits; another machine of the user no more."""
    first, second = Desk(tmp_path / "a", server, "user2"), Desk(tmp_path / "b", server, "user2")
    with first.client() as client:
        code = code_of(first)
        assert client.end() == 0
    assert "gpg --decrypt" in first.keys("backup", "mine.pgp")
    file = first.home.path / "mine.pgp"
    assert file.stat().st_mode & 0o777 == 0o600
    found = gpg.good("--pinentry-mode", "loopback", "--passphrase", code, "--decrypt", str(file))
    assert b"user2" in found
    assert "--yes" in first.keys("backup", "mine.pgp", code=2)
    with second.client() as client:
        second.settled()
        assert client.end() == 0
    second.keys("restore", str(file), given=f"{code}\n")
    with second.client() as client:
        end = time.monotonic() + PATIENCE
        while not second.shown()["listed"] and time.monotonic() < end:
            time.sleep(0.2)
        assert second.shown()["listed"]
        assert client.end() == 0


def test_errands_are_let_in_by_the_client_of_the_machine(server: ServerProcess, tmp_path: Path) -> None:
    """[15.9-30], [12.8-7]: with its identity they say what is encrypted, also while it runs; without it, why not."""
    first, second = Desk(tmp_path / "a", server, "user3"), Desk(tmp_path / "b", server, "user3")
    other = Desk(tmp_path / "c", server, "user4")
    with other.client() as client:
        code_of(other)
        with first.client() as mine:
            code_of(first)
            first.home.run("send", "@user4", "said by an errand")
            client.prints("said by an errand")
            assert mine.end() == 0
        assert client.end() == 0
    (errand,) = [each for each in first.shown()["devices"] if not each["own"]]
    assert errand["name"].endswith(" (errands)")
    with second.client() as client:
        second.settled()
        done = second.home.run("send", "@user4", "never", code=6)
        assert b"not let in" in done.stderr
        assert client.end() == 0
    tail = first.home.run("tail", "@user4", "--no-follow")
    assert b"said by an errand" in tail.stdout
    assert b"never" not in tail.stdout


def test_a_client_that_comes_after_an_errand_is_let_in_by_it(server: ServerProcess, tmp_path: Path) -> None:
    """[15.9-30]: what a script has made is not lost to the person; the code is his."""
    desk = Desk(tmp_path / "a", server, "user6")
    desk.home.run("send", "@user1", "first of all")
    with desk.client() as client:
        code_of(desk)
        assert desk.shown()["listed"]
        assert client.end() == 0


def test_while_the_client_runs_keys_are_shown_but_not_changed(server: ServerProcess, tmp_path: Path) -> None:
    """[12.17-1]: reading disturbs nobody; what would change something says what to type in the client."""
    desk = Desk(tmp_path / "a", server, "user5")
    with desk.client() as client:
        code_of(desk)
        assert "(let in)" in desk.keys("show")
        desk.keys("export")
        desk.keys("backup", "b.pgp")
        assert "/restore" in desk.keys("restore", code=3, given="1\n")
        assert "/verify" in desk.keys("verify", "user1", "yes", code=3)
        assert client.end() == 0
