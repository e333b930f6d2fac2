"""What every place for the bytes of files promises: verified as they come, kept, waited for, and given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.blobs_local import LocalBlobs
from quicchat.server.adapters.blobs_memory import MemoryBlobs
from quicchat.server.model import Upload
from quicchat.server.ports import Blobs
from quicchat.transport import virtual
from quicchat.wire import leaves
from tests.server.stores import refusal, run

CHUNK = 4_096
DATA = bytes(range(251)) * 70
FILE, LEAVES = leaves.of(DATA, CHUNK)
#: 17,570 bytes are four chunks and a shorter one.
UPLOAD = Upload(file=FILE, size=len(DATA), chunk=CHUNK, whole=False, place=7)
OTHERS = Upload(file=FILE, size=len(DATA), chunk=CHUNK, whole=False, place=8)
EMPTY = Upload(file=leaves.of(b"", CHUNK)[0], size=0, chunk=CHUNK, whole=True, place=9)
Opened = Callable[[], Any]


@pytest.fixture(params=["memory", "local"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens the blobs for a while; those on the disk are the same ones again."""

    @asynccontextmanager
    async def local() -> AsyncIterator[Blobs]:
        blobs = LocalBlobs(tmp_path / "blobs")
        yield blobs
        await blobs.close()

    @asynccontextmanager
    async def memory() -> AsyncIterator[Blobs]:
        yield MemoryBlobs()

    return local if request.param == "local" else memory


def piece(index: int) -> bytes:
    return DATA[index * CHUNK : (index + 1) * CHUNK]


async def fill(blobs: Blobs, *indexes: int, upload: Upload = UPLOAD) -> None:
    """Put some chunks; all when none is named."""
    sink = await blobs.begin(upload)
    with closing(sink):
        await sink.put_leaves(LEAVES)
        for index in indexes or range(5):
            await sink.put(index, piece(index))


def scenario(opened: Opened, play: Callable[[Blobs], Coroutine[Any, Any, None]]) -> Coroutine[Any, Any, None]:
    async def whole() -> None:
        async with opened() as blobs:
            await play(blobs)

    return whole()


def test_what_is_put_is_read(opened: Opened) -> None:
    """[14.3-9] R0.3: chunks in any order, leaves in pieces of any size, bytes from anywhere across chunks."""

    async def play(blobs: Blobs) -> None:
        sink = await blobs.begin(UPLOAD)
        assert (sink.file, sink.size, sink.chunk) == (FILE, len(DATA), CHUNK)
        for at in range(0, len(LEAVES), 7):
            await sink.put_leaves(LEAVES[at : at + 7])
        for index in (4, 0, 2, 0, 3):
            await sink.put(index, piece(index))
        assert await blobs.held(UPLOAD) == ((0, CHUNK), (2 * CHUNK, len(DATA) - 2 * CHUNK))
        assert await blobs.seal(UPLOAD) == ((CHUNK, CHUNK),)
        await sink.put(1, piece(1))
        sink.close()
        for _ in range(2):
            assert await blobs.seal(UPLOAD) == ()
            assert await blobs.held(UPLOAD) == ((0, len(DATA)),)
        content = await blobs.open(UPLOAD)
        assert (content.file, content.size, content.chunk, content.name) == (FILE, len(DATA), CHUNK, None)
        for offset, size in ((0, len(DATA)), (0, 1), (4_095, 2), (5_000, 9_000), (len(DATA) - 1, 1), (9, 0)):
            assert await content.read(offset, size) == DATA[offset : offset + size]
        assert await content.leaves() == LEAVES
        assert await content.leaves(32, 40) == LEAVES[32:72]
        content.close()
        content.close()

    run(scenario(opened, play))


def test_what_is_wrong_is_not_taken(opened: Opened) -> None:
    """X4, X5: DIGEST for a chunk that is another, too short, too long or beyond the end, before the leaves, and for
    leaves that are others or too many; nothing of it is held, and the right one is taken afterwards."""

    async def play(blobs: Blobs) -> None:
        sink = await blobs.begin(UPLOAD)
        assert await refusal(sink.put(0, piece(0))) is Code.DIGEST
        for wrong in (LEAVES[:-1] + b"?", LEAVES + b"?"):
            other = await blobs.begin(UPLOAD)
            assert await refusal(other.put_leaves(wrong)) is Code.DIGEST
            other.close()
        assert await refusal(sink.put(0, piece(0))) is Code.DIGEST
        await sink.put_leaves(LEAVES)
        flipped = bytes([piece(1)[0] ^ 1]) + piece(1)[1:]
        for index, data in ((1, flipped), (1, piece(1)[:-1]), (1, piece(1) + b"?"), (1, piece(2)), (5, b""), (-1, b"")):
            assert await refusal(sink.put(index, data)) is Code.DIGEST, index
        assert await refusal(sink.put(4, piece(4) + b"?")) is Code.DIGEST
        assert await blobs.held(UPLOAD) == ()
        await sink.put(1, piece(1))
        assert await refusal(sink.put(1, flipped)) is Code.DIGEST
        assert await blobs.held(UPLOAD) == ((CHUNK, CHUNK),)
        sink.close()

    run(scenario(opened, play))


def test_what_two_bring_is_theirs(opened: Opened) -> None:
    """[14.3-3] Z2: the same file at two places; nothing of the one is held at the other."""

    async def play(blobs: Blobs) -> None:
        await fill(blobs)
        assert await blobs.held(OTHERS) == ()
        assert await refusal(blobs.open(OTHERS)) is Code.NO_SUCH_FILE
        await fill(blobs, 3, upload=OTHERS)
        assert await blobs.held(OTHERS) == ((3 * CHUNK, CHUNK),)
        await blobs.remove(UPLOAD)
        assert await blobs.held(OTHERS) == ((3 * CHUNK, CHUNK),)

    run(scenario(opened, play))


def test_nothing_needs_no_place(opened: Opened) -> None:
    """[14.3-1]: an empty file can be read, though nobody brought it; one that is not begun cannot."""

    async def play(blobs: Blobs) -> None:
        assert await blobs.held(EMPTY) == await blobs.seal(EMPTY) == ()
        content = await blobs.open(EMPTY)
        assert await content.read(0, 0) == await content.leaves() == b""
        content.close()
        for asked in (blobs.open(UPLOAD), blobs.seal(UPLOAD)):
            assert await refusal(asked) is Code.NO_SUCH_FILE
        assert await blobs.held(UPLOAD) == ()

    run(scenario(opened, play))


def test_a_reader_follows_the_writer(opened: Opened) -> None:
    """[14.3-10]: cut-through: chunks are waited for, and the leaves; each is read as soon as it is put."""

    async def play(blobs: Blobs) -> None:
        sink = await blobs.begin(UPLOAD)
        content = await blobs.open(UPLOAD)
        read: asyncio.Queue[bytes] = asyncio.Queue()

        async def follow() -> None:
            read.put_nowait(await content.leaves())
            for at in range(0, len(DATA), 1_000):
                read.put_nowait(await content.read(at, min(1_000, len(DATA) - at)))

        reading = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        assert read.empty()
        await sink.put_leaves(LEAVES)
        assert await read.get() == LEAVES
        got = b""
        for index in range(5):
            await sink.put(index, piece(index))
            end = len(DATA) if index == 4 else (index + 1) * CHUNK // 1_000 * 1_000
            while len(got) < end:
                got += await read.get()
            assert read.empty()
        assert got == DATA
        await reading
        assert await blobs.seal(UPLOAD) == ()
        assert await content.read(0, len(DATA)) == DATA
        sink.close()
        content.close()

    run(scenario(opened, play))


def test_nobody_waits_for_ever(opened: Opened) -> None:
    """[14.3-10]: NO_SUCH_FILE when nothing came for a minute; any chunk that comes gives another minute."""

    async def play(blobs: Blobs) -> None:
        time = asyncio.get_running_loop().time
        await fill(blobs, 0)
        content = await blobs.open(UPLOAD)
        began = time()
        assert await refusal(content.read(CHUNK - 1, 2)) is Code.NO_SUCH_FILE
        assert time() - began == pytest.approx(60)
        waiting = asyncio.ensure_future(refusal(content.read(0, len(DATA))))
        for index in (1, 2, 3):
            await asyncio.sleep(50)
            await fill(blobs, index)
        assert not waiting.done()
        await asyncio.sleep(50)
        await fill(blobs, 4)
        assert await waiting is None
        content.close()

    virtual.run(scenario(opened, play))


def test_what_is_removed_is_gone(opened: Opened) -> None:
    """[14.3-7]: who reads what is not whole, or would write, is refused NO_SUCH_FILE; nobody begins there again."""

    async def play(blobs: Blobs) -> None:
        await fill(blobs, 0)
        sink, content = await blobs.begin(UPLOAD), await blobs.open(UPLOAD)
        waiting = asyncio.ensure_future(refusal(content.read(CHUNK, 1)))
        await asyncio.sleep(0)
        await blobs.remove(UPLOAD)
        assert await waiting is Code.NO_SUCH_FILE
        for asked in (
            sink.put(1, piece(1)),
            sink.put_leaves(LEAVES),
            content.read(CHUNK, 1),
            content.read(0, 1),
            content.leaves(),
            blobs.open(UPLOAD),
            blobs.begin(UPLOAD),
            blobs.seal(UPLOAD),
        ):
            assert await refusal(asked) is Code.NO_SUCH_FILE
        assert await blobs.held(UPLOAD) == ()
        sink.close()
        content.close()
        await blobs.remove(UPLOAD)
        await fill(blobs, upload=OTHERS)
        assert await blobs.seal(OTHERS) == ()

    run(scenario(opened, play))


def test_many_bring_one_file(opened: Opened) -> None:
    """[14.3-9]: several streams put parts of one upload at once, some of them twice."""

    async def play(blobs: Blobs) -> None:
        await asyncio.gather(*(fill(blobs, *order) for order in ((0, 1, 2), (2, 1, 4), (3, 0, 4), (4, 3, 2))))
        assert await blobs.seal(UPLOAD) == ()
        content = await blobs.open(UPLOAD)
        assert await content.read(0, len(DATA)) == DATA
        content.close()

    run(scenario(opened, play))
