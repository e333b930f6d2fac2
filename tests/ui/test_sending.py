"""What is sent from where people talk: paths as they are typed, all of them or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quicchat.client.files.sources import PathSource
from quicchat.errors import Refused
from quicchat.ui.files import paths_of
from tests.ui.shelf import Act, Counter, do, finish


def test_files_and_directories_are_sent(counter: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 4, 2 and 5: here or to one user; names with blanks, quotes, `~`, directories, more than one message."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("my file.txt", "a", "b", *(f"n{number}" for number in range(20))):
        (tmp_path / name).write_text(name)
    (tmp_path / "photos").mkdir()

    async def scenario(counter: Counter) -> None:
        for line in (
            "/send my file.txt",
            "/send ~/a 'my file.txt' photos",
            '/send @bob a "my file.txt"',
            f"/send {' '.join(f'n{number}' for number in range(20))}",
        ):
            await do(counter, line)
        assert counter.shelf.asked == [
            ("general", False, ["my file.txt"]),
            ("general", False, ["a", "my file.txt", "photos.tar"]),
            ("bob", True, ["a", "my file.txt"]),
            ("general", False, [f"n{number}" for number in range(16)]),
            ("general", False, [f"n{number}" for number in range(16, 20)]),
        ]
        finish(counter.shelf.transfers[0])
        assert counter.hear() == ["sent"]

    counter(scenario)


@pytest.mark.parametrize(
    "line", ["/send nothing", "/send ''", "/send a ''", "/send a nothing", "/send 'a", "/send @bob", "/send @b,b a"]
)
def test_nothing_is_sent_where_something_is_wrong(
    counter: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """[12.6]: all of the files or none, and a line that says why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("a")

    async def scenario(counter: Counter) -> None:
        with pytest.raises(Refused):
            await do(counter, line)
        assert counter.shelf.asked == []

    counter(scenario)


def test_what_was_meant_for_one_is_no_file(counter: Act) -> None:
    """R4.7: `/send bob hi` says nothing to anybody, and how to."""

    async def scenario(counter: Counter) -> None:
        with pytest.raises(Refused, match="/msg"):
            await do(counter, "/send bob hi")

    counter(scenario)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """X2: what is no regular file is refused at once."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Exception, match="not a file"):
        PathSource(tmp_path / "pipe")
    assert paths_of(str(tmp_path / "pipe")) == [tmp_path / "pipe"]
