"""Files in words: what a message brings, and what is told of one that is on its way."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from quicchat.wire.chapters.messages import Kind
from tests.ui.items import STORED, freight, heard, told


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


PHOTO = (b"f" * 32, 1_234_567, "image/jpeg", "photo.jpg", STORED)
NOTES = (b"g" * 32, 999, "text/plain", "my notes.txt", STORED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("photo.jpg, 1.2 MB\nmy notes.txt, 999 B", ""),
        ("look, bob\nphoto.jpg, 1.2 MB\nmy notes.txt, 999 B", ' "look, bob"'),
        ("photo.jpg\nhere\n\nthey are", ' "here they are"'),
    ],
)
def test_what_is_said_with_files(text: str, said: str) -> None:
    """[12.6]: what was said besides is shown, and not what stands there for those who know no files."""
    (line,), _ = told(heard(text, "r1", kind=Kind.FILE, attachments=(PHOTO, NOTES)))
    assert line == f"11:04:20 [r1] bob sends photo.jpg (1.2 MB), my notes.txt (999 B){said}: /get r1/#5"


@pytest.mark.parametrize("sender", ["alice", "bob"])
def test_a_file_between_two_has_one_place(sender: str) -> None:
    """[12.6]: what one sent from elsewhere is had where it was sent to."""
    files = (PHOTO, NOTES)
    (line,), _ = told(heard("", "@alice,bob", kind=Kind.FILE, sender=sender, attachments=files))
    assert line.endswith("/get @bob/#5")


def test_small_files_have_no_rate() -> None:
    """Issue 4, 7: a rate is told where it means something."""
    small, large = freight("x", step="sent", seconds=0.01), freight("x", step="sent", seconds=2.0, resumed=0)
    assert "B/s" not in told(small)[1][0]
    assert told(large)[1][0].endswith(" in 2.0 s, 500 kB/s")
