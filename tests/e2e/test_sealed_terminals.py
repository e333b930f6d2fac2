"""Encryption on real terminals: what two people see of it, and what they see when somebody has other keys."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.clients import Terminal, at
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket
pytest.importorskip("pysequoia")

#: One of the lines of a safety number, or of a recovery code.
_GROUPS = re.compile(r"^\W*((?:\d{4,5}  ){2,3}\d{4,5})\b")


class Window(Terminal):
    """A client on a terminal, that logs in by itself."""

    def __init__(self, server: ServerProcess, home: Path, user: str, ui: str = "line") -> None:
        home.mkdir(exist_ok=True)
        password = home / "password"
        password.touch(mode=0o600)
        password.write_text(f"{user.replace('user', 'pass')}\n")
        super().__init__(home, *at(server), "-u", user, ui=ui, QUICCHAT_PASSWORD_FILE=str(password))

    def digits(self) -> list[str]:
        """The numbers that stand on the screen."""
        return [found[1] for line in self.everything if (found := _GROUPS.match(line))]


def with_other_keys(server: ServerProcess, home: Path, one: Window) -> None:
    """User2 has lost everything, and begins anew; what user1 says to him waits until that is decided."""
    shutil.rmtree(home / "client")
    with Window(server, home, "user2") as two:
        two.sees("not let in yet")
        two.type("/renew\r")
        two.sees("[y/N]")
        two.type("y\r")
        two.sees("Your recovery code")
        one.type("is it still you?\r")
        one.sees("held: ")
        one.sees("not sent yet: ")
        assert "is it still you?" not in "\n".join(two.everything)
        one.type("/accept user2\r")
        two.sees("is it still you?")
        one.sees("end-to-end")
        one.type("/quit\r")
        assert one.exit_code() == 0


def test_two_talk_compare_numbers_and_notice_other_keys(server: ServerProcess, tmp_path: Path) -> None:
    """[12.16-2], [12.16-5], [12.16-10], [12.16-11]: on the full screen and in lines: it is told that it is encrypted,
    both see the same digits, and what is said to somebody verified with other keys waits until that is decided.
    """
    with Window(server, tmp_path / "1", "user1", "tui") as one:
        one.sees("TLS only")
        with Window(server, tmp_path / "2", "user2") as two:
            two.sees("general>")
            two.type("/query user1\r")
            two.sees("what is said in @user1 is encrypted from end to end")
            two.type("hello\r")
            two.sees("sent to user1, encrypted from end to end")
            one.type("/query user2\r")
            one.sees("end-to-end")
            one.sees("hello")
            one.type("/verify user2\r")
            one.sees("The safety number of you and user2")
            shown = one.digits()[-3:]
            two.type("/verify user1\r")
            two.sees("/verify user1 yes")
            assert shown
            assert len(shown) == 3
            assert two.digits()[-3:] == shown
            one.type("q")
            one.sees("to @user2; / begins a command")
            one.type("/verify user2 yes\r")
            one.sees("end-to-end, verified")
            two.type("/quit\r")
            assert two.exit_code() == 0
        with_other_keys(server, tmp_path / "2", one)
