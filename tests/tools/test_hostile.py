"""The table of hostile rows: of this repository, and of planted faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from quicchat.tools import hostile

ROOT = Path(__file__).resolve().parents[2]
PAGE = """\
# Rows

| id | input or fault | outcome |
|---|---|---|
| W1 | much is announced | fatal |
| A13 | a key for all to read | start refused |
"""
TESTS = {
    "tests/hostile/test_wire.py": 'def test_w1() -> None:\n    """W1: it is."""\n',
    "tests/server/test_keys.py": 'def test_key() -> None:\n    """A13, W1: it is."""\n',
}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository, in which one row is apart."""
    monkeypatch.setattr(hostile, "APART", {"A13": "it does not start"})
    for name, text in {"spec/hostile.md": PAGE, **TESTS}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_every_row_is_played() -> None:
    """Issue 7, item 6: no row of the page is without a test, and none is apart without a reason."""
    found = hostile.rows(ROOT)
    assert hostile.faults(found) == []
    assert len(found) > 90
    assert sum(bool(row.played) for row in found) > 70


def test_the_page_shows_rows_beside_tests(planted: Path) -> None:
    """Issue 7, item 6: who plays a row, who else tests it, and why a row is apart."""
    assert hostile.faults(hostile.rows(planted)) == []
    page = hostile.markdown(planted)
    assert "1 of 2 rows are played" in page
    assert "| much is announced | `test_wire.py::test_w1` | `tests/server/test_keys.py::test_key` |" in page
    assert "| a key for all to read | it does not start | `tests/server/test_keys.py::test_key` |" in page


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("tests/hostile/test_wire.py", "W1", "W2", "W1 is not played, and nobody says why"),
        ("tests/server/test_keys.py", "A13", "A14", "A13 is tested nowhere"),
        ("tests/hostile/test_wire.py", "W1", "W1, A13", "A13 is played, so it is not apart"),
        ("spec/hostile.md", "| A13", "| W1", "W1 stands twice"),
        ("spec/hostile.md", "| A13", "| A12", "A13 is no row"),
    ],
)
def test_faults_are_found(planted: Path, name: str, old: str, new: str, fault: str) -> None:
    """Issue 7, item 6: the check can fail, in each of its ways."""
    path = planted / name
    path.write_text(path.read_text().replace(old, new))
    assert fault in hostile.faults(hostile.rows(planted))
