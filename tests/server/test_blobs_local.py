"""The bytes of files on a disk that fills, fails, and is left in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from quicchat.errors import Code, Refused, UsageError
from quicchat.server.adapters.blobs_local import LocalBlobs
from quicchat.server.model import Upload
from quicchat.wire import leaves
from tests.server.stores import refusal, run
from tests.server.test_blobs_contract import CHUNK, DATA, FILE, LEAVES, UPLOAD, fill, piece

#: Writes chunks for ever: says the number of each once it is put.
WRITER = """
import asyncio, sys
from pathlib import Path
from quicchat.server.adapters.blobs_local import LocalBlobs
from tests.server.test_blobs_local import BIG, big_piece, big_leaves

async def main():
    sink = await LocalBlobs(Path(sys.argv[1])).begin(BIG)
    await sink.put_leaves(big_leaves())
    for index in map(int, sys.argv[2].split(",")):
        await sink.put(index, big_piece(index))
        print(index, flush=True)

asyncio.run(main())
"""
COUNT = 400


def big_piece(index: int) -> bytes:
    return index.to_bytes(4) * (CHUNK // 4)


def big_leaves() -> bytes:
    return b"".join(leaves.leaf(big_piece(index)) for index in range(COUNT))


BIG = Upload(
    file=leaves.root(COUNT * CHUNK, CHUNK, big_leaves()), size=COUNT * CHUNK, chunk=CHUNK, whole=False, place=3
)


def files(folder: Path) -> dict[str, int]:
    """The files in a folder and below, and their modes."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def only(folder: Path, pattern: str) -> Path:
    """The one file below a folder that is called like this."""
    (found,) = folder.rglob(pattern)
    return found


def test_names_and_modes(tmp_path: Path) -> None:
    """A13, X1: names are made of digests and numbers only; directories 0700, files 0600; a sealed one is named so."""

    async def scenario() -> None:
        folder = tmp_path / "data" / "blobs"
        blobs = LocalBlobs(folder)
        await fill(blobs, 0)
        name = f"{FILE.hex()[:2]}/{FILE.hex()}.7"
        assert files(folder) == {name + ".leaves": 0o600, name + ".part": 0o600}
        assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / name[:2])} == {0o700}
        await fill(blobs)
        assert await blobs.seal(UPLOAD) == ()
        assert files(folder) == {name: 0o600, name + ".leaves": 0o600}
        assert (folder / name).read_bytes() == DATA
        await blobs.remove(UPLOAD)
        assert files(folder) == {}
        await blobs.close()

    run(scenario())


def test_what_is_on_the_disk_is_found_again(tmp_path: Path) -> None:
    """[14.3-9]: another process holds what this one put, whole or not; what is not right there is not held."""

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        await fill(blobs, 0, 3, 4)
        await blobs.close()
        part = only(tmp_path, "*.part")
        with part.open("r+b") as file:
            file.seek(3 * CHUNK + 5)
            file.write(b"?")
        blobs = LocalBlobs(tmp_path)
        assert await blobs.held(UPLOAD) == ((0, CHUNK), (4 * CHUNK, len(DATA) - 4 * CHUNK))
        await fill(blobs, 1, 2, 3)
        assert await blobs.seal(UPLOAD) == ()
        await blobs.close()
        blobs = LocalBlobs(tmp_path)
        assert await blobs.held(UPLOAD) == ((0, len(DATA)),)
        await fill(blobs)
        assert await blobs.seal(UPLOAD) == ()
        await blobs.close()

    run(scenario())


def test_leaves_that_are_not_right_judge_nothing(tmp_path: Path) -> None:
    """[14.3-9]: nothing is held where they were damaged, until they come again."""

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        await fill(blobs)
        await blobs.close()
        path = only(tmp_path, "*.leaves")
        path.write_bytes(bytes(32) + path.read_bytes()[32:])
        blobs = LocalBlobs(tmp_path)
        assert await blobs.held(UPLOAD) == ()
        await fill(blobs)
        assert await blobs.seal(UPLOAD) == ()
        await blobs.close()

    run(scenario())


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_writer_leaves_what_it_said(tmp_path: Path, seed: int) -> None:
    """P1: kill -9 at any time: what was put is held, whatever is held is right, and the rest can follow."""
    order = random.Random(seed).sample(range(COUNT), COUNT)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), ",".join(map(str, order))], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    said = [int(writer.stdout.readline()) for _ in range(1 + seed * 40)]
    writer.send_signal(signal.SIGKILL)
    said += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path, patience=0.001)
        content = await blobs.open(BIG)
        for index in said:
            assert await content.read(index * CHUNK, CHUNK) == big_piece(index)
        rest = set(range(COUNT)) - set(said)
        unsaid = 0
        for index in rest:
            with contextlib.suppress(Refused):
                assert await content.read(index * CHUNK, CHUNK) == big_piece(index)
                unsaid += 1
        assert unsaid <= 1
        content.close()
        sink = await blobs.begin(BIG)
        for index in rest:
            await sink.put(index, big_piece(index))
        sink.close()
        assert await blobs.seal(BIG) == ()
        await blobs.close()

    run(scenario())


def test_a_full_disk_refuses_and_keeps_what_was_there(tmp_path: Path) -> None:
    """D3, X10: STORE_UNAVAILABLE for the chunk that finds no room, and no byte of it stays; others are read and
    written meanwhile; when there is room again it is taken."""

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        await fill(blobs, 0, 1)
        part = only(tmp_path, "*.part")
        content, sink = await blobs.open(UPLOAD), await blobs.begin(UPLOAD)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * CHUNK + 100, hard))
        try:
            for index in (2, 4):
                assert await refusal(sink.put(index, piece(index))) is Code.STORE_UNAVAILABLE
                assert part.stat().st_size == 2 * CHUNK
            assert await content.read(0, 2 * CHUNK) == DATA[: 2 * CHUNK]
            other = leaves.of(b"small", CHUNK)
            small = Upload(file=other[0], size=5, chunk=CHUNK, whole=False, place=1)
            beside = await blobs.begin(small)
            await beside.put_leaves(other[1])
            await beside.put(0, b"small")
            beside.close()
            assert await blobs.seal(small) == ()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert await blobs.held(UPLOAD) == ((0, 2 * CHUNK),)
        for index in (2, 3, 4):
            await sink.put(index, piece(index))
        sink.close()
        content.close()
        assert await blobs.seal(UPLOAD) == ()
        await blobs.close()

    run(scenario())


@pytest.mark.parametrize("call", ["pwrite", "fsync", "rename", "open", "mkdir"])
def test_whatever_call_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    """D3, X10: each call to the disk fails once, at its first, second, ... time: the one who asked is refused
    STORE_UNAVAILABLE, the log says so once, and asked again all is right."""
    caplog.set_level(logging.WARNING, "quicchat.server.blobs")
    real = getattr(os, call)
    left = 0

    def failing(*args: object, **options: object) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.EIO, "the disk fails")
        return real(*args, **options)

    async def attempt(number: int) -> bool:
        nonlocal left
        blobs = LocalBlobs(tmp_path / str(number))
        caplog.clear()
        left = number
        monkeypatch.setattr(os, call, failing)

        async def bring() -> None:
            await fill(blobs)
            assert await blobs.seal(UPLOAD) == ()

        first = await refusal(bring())
        struck = left <= 0
        assert first is (Code.STORE_UNAVAILABLE if struck else None)
        monkeypatch.setattr(os, call, real)
        assert await refusal(bring()) is None
        assert [record.getMessage() for record in caplog.records] == (
            ["blobs cannot be used", "blobs can be used again"] if struck else []
        )
        content = await blobs.open(UPLOAD)
        assert await content.read(0, len(DATA)) == DATA
        content.close()
        await blobs.close()
        return struck

    number = 1
    while run(attempt(number)):
        number += 1
    assert number > 1


def test_a_failing_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: EIO while reading, and a file that lost its end, are STORE_UNAVAILABLE."""

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        await fill(blobs)
        await blobs.seal(UPLOAD)
        content = await blobs.open(UPLOAD)

        def failing(*_: object) -> bytes:
            raise OSError(errno.EIO, "the disk fails")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", failing)
            assert await refusal(content.read(0, 9)) is Code.STORE_UNAVAILABLE
        assert await content.read(0, 9) == DATA[:9]
        whole = only(tmp_path, "*.7")
        os.truncate(whole, 100)
        assert await refusal(content.read(0, 101)) is Code.STORE_UNAVAILABLE
        content.close()
        await blobs.close()

    run(scenario())


def test_nothing_is_opened_through_a_link(tmp_path: Path) -> None:
    """X2: somebody who can write the directory puts a link where a part is to be: it is not followed."""

    async def scenario() -> None:
        target = tmp_path / "secret"
        target.write_bytes(b"secret")
        blobs = LocalBlobs(tmp_path / "blobs")
        await fill(blobs, 0)
        part = only(tmp_path / "blobs", "*.part")
        part.unlink()
        part.symlink_to(target)
        assert await refusal(blobs.open(UPLOAD)) is Code.STORE_UNAVAILABLE
        assert await refusal(fill(blobs, 1)) is Code.STORE_UNAVAILABLE
        assert target.read_bytes() == b"secret"
        await blobs.close()

    run(scenario())


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """D6: one line that names it."""
    (tmp_path / "blobs").write_bytes(b"")
    with pytest.raises(UsageError, match="blobs cannot be used for files: "):
        LocalBlobs(tmp_path / "blobs")


def test_holes_are_passed_over(tmp_path: Path) -> None:
    """[14.3-9] P7: a part of 8 GiB with one chunk at its end is looked through in no time, and in little memory."""
    chunk = 1_048_576
    number = 8_192
    data = b"end" * 1_000
    hashes = leaves.leaf(bytes(chunk)) * (number - 1) + leaves.leaf(data)
    size = (number - 1) * chunk + len(data)
    upload = Upload(file=leaves.root(size, chunk, hashes), size=size, chunk=chunk, whole=False, place=1)

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        sink = await blobs.begin(upload)
        await sink.put_leaves(hashes)
        await sink.put(number - 1, data)
        sink.close()
        await blobs.close()
        blobs = LocalBlobs(tmp_path)
        tracemalloc.start()
        began = time.monotonic()
        assert await blobs.held(upload) == ((size - len(data), len(data)),)
        assert time.monotonic() - began < 5
        assert tracemalloc.get_traced_memory()[1] < 3 * chunk
        tracemalloc.stop()
        await blobs.close()

    run(scenario())


def test_who_is_cancelled_leaves_no_harm(tmp_path: Path) -> None:
    """P8: readers and writers that go away in the middle of it, with what they had open closed under the threads."""

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        await fill(blobs)
        for _ in range(50):
            sink, content = await blobs.begin(UPLOAD), await blobs.open(UPLOAD)
            tasks = [
                asyncio.ensure_future(sink.put_leaves(LEAVES)),
                asyncio.ensure_future(sink.put(1, piece(1))),
                asyncio.ensure_future(content.read(0, len(DATA))),
            ]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            sink.close()
            content.close()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert await blobs.seal(UPLOAD) == ()
        content = await blobs.open(UPLOAD)
        assert await content.read(0, len(DATA)) == DATA
        content.close()
        await blobs.close()
        assert len(os.listdir("/proc/self/fd")) < 64

    run(scenario())
