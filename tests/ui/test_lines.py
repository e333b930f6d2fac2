"""Typed lines: however they come, bounded, and without hanging anybody."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from quicchat.ui.lines import LONGEST, Lines


def lines_of(data: bytes, *, pieces: int = 1 << 20) -> list[str]:
    """What is read of a pipe that brings these bytes, so many at a time."""
    reader, writer = os.pipe()

    def write() -> None:
        for start in range(0, len(data), pieces):
            os.write(writer, data[start : start + pieces])
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    lines = Lines(reader)
    found = list(iter(lines.read, None))
    thread.join()
    os.close(reader)
    assert lines.read() is None
    return found


@pytest.mark.parametrize("pieces", [1, 3, 1 << 20])
def test_lines_are_read_however_they_come(pieces: int) -> None:
    """U9: any split of the bytes, either kind of line end, none at the end, and bytes that are no UTF-8."""
    data = "one\ntwo\r\n\n\u00fcber\nlast".encode()
    assert lines_of(data, pieces=pieces) == ["one", "two", "", "\u00fcber", "last"]
    assert lines_of(b"a\xff\xfeb\n", pieces=pieces) == ["a\ufffd\ufffdb"]
    assert lines_of(b"") == []


def test_an_endless_line_takes_bounded_memory() -> None:
    """W1 at the keyboard: of a line without end so much is kept as to see that it is too long."""
    first, second = lines_of(b"x" * (3 * LONGEST) + b"\nafter\n")
    assert (len(first), second) == (LONGEST, "after")
    assert [len(line) for line in lines_of(b"x" * (2 * LONGEST))] == [LONGEST]


def test_a_descriptor_that_cannot_be_read_is_an_end(tmp_path: Path) -> None:
    """U9: stdin closed, a directory, or nothing at all: the input is over, and nothing else happens."""
    folder = os.open(tmp_path, os.O_RDONLY)
    assert Lines(folder).read() is None
    os.close(folder)
    assert Lines(folder).read() is None
    assert Lines(None).read() is None
    assert not Lines(None).interactive


def test_reading_ahead_is_bounded_and_blocks_nobody() -> None:
    """R1.7: the thread reads some lines ahead and waits; the loop goes on meanwhile, and all lines come in order."""

    async def scenario() -> None:
        reader, writer = os.pipe()
        lines = Lines(reader)
        lines.start()
        async with asyncio.timeout(0.05):
            turns = 0
            while turns < 100:
                turns += 1
                await asyncio.sleep(0)
        expected = [str(number) for number in range(5000)]

        def write() -> None:
            os.write(writer, "".join(f"{number}\n" for number in expected).encode())
            os.close(writer)

        await asyncio.to_thread(write)
        found = [await lines.next() for _ in range(5001)]
        assert found == [*expected, None]
        os.close(reader)

    asyncio.run(scenario())
