"""What was typed before: bounded, nobody else's to read, and without secrets."""

from __future__ import annotations

import stat
from pathlib import Path

from quicchat.ui.history import KEPT, History
from tests.ui.stage import vocabulary


def test_secrets_on_lines_are_left_out(tmp_path: Path) -> None:
    """[12.14-4]: of a command that names a secret the history keeps the rest, or nothing."""
    history, words = History(tmp_path / "history"), vocabulary("default")
    for line in (
        "/join garden sesame",
        "/JOIN garden sesame and more",
        "/key sesame",
        "/password old new new",
        "/key",
        "/jion garden sesame",
        "  ",
        "x" * 10_000,
    ):
        history.add(line, words)
    assert [*history.lines] == ["/join garden", "/key", "/jion garden sesame"]
    assert "sesame" not in (tmp_path / "history").read_text()
    assert [*History(tmp_path / "history").lines] == ["/join garden", "/key"]


def test_the_history_is_bounded_and_survives(tmp_path: Path) -> None:
    """[12.14-2]: the last thousand lines, of several rows each; what else stands in the file is no harm."""
    path, words = tmp_path / "history", vocabulary("default")
    two = [History(path), History(path)]
    for number in range(KEPT + 5):
        two[number % 2].add(f"line\n{number} \u00e4", words)
    assert len(History(path).lines) == KEPT
    assert History(path).lines[-1] == f"line\n{KEPT + 4} \u00e4"
    with path.open("ab") as file:
        file.write(b'"torn\n7\n\xff\xfe\n[]\n' + b'"x"\n' * KEPT)
    assert [*History(path).lines][-1] == "x"
    assert path.read_bytes().count(b"\n") == KEPT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    broken = History(tmp_path)
    broken.add("kept for now", words)
    assert [*broken.lines] == ["kept for now"]
