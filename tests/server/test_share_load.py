"""The shared folder with much in it, and with people who come and go: nothing waits, nothing is left over."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from pathlib import Path

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.share_local import content
from quicchat.server.model import Shared
from quicchat.wire import leaves
from tests.server.shelf import PHOTO, Place, descriptors
from tests.server.stores import refusal, run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_thousands_of_files(place: Place) -> None:
    """R2.7: a folder of 5,000 files is listed page by page without a wait, while it is digested and afterwards."""

    async def pages() -> tuple[list[Shared], float]:
        loop = asyncio.get_running_loop()
        begin, slowest, found = loop.time(), 0.0, list[Shared]()
        while more := await place.share.listed(after=found[-1].name if found else None, limit=100):
            found += more
            slowest = max(slowest, loop.time() - begin)
            begin = loop.time()
        return found, slowest

    async def scenario() -> None:
        place.folder.mkdir()
        for number in range(5_000):
            (place.folder / f"file {number:04}").write_bytes(b"%d" % number)
        async with place.open():
            found, slowest = await pages()
            assert len(found) == 5_000
            assert slowest < 2
            found = await place.known()
            assert [each.file for each in found] == [leaves.of(b"%d" % number)[0] for number in range(5_000)]
        async with place.open():
            found, slowest = await pages()
            assert slowest < 2
            assert all(each.file for each in found)

    run(scenario())


def test_a_large_file_costs_no_memory(place: Place) -> None:
    """P7: a file of 1 GiB is digested and read in the memory of a few chunks."""
    size = 1 << 30

    async def scenario() -> int:
        place.folder.mkdir()
        with (place.folder / "large").open("wb") as file:
            file.truncate(size)
        async with place.open():
            tracemalloc.start()
            try:
                found = await place.share.open("large", None)
                for offset in range(0, size, size // 64):
                    assert not any(await found.read(offset, 65_536))
                zero = leaves.leaf(bytes(262_144))
                assert found.file == leaves.root(size, 262_144, zero * 4_096)
                assert await found.leaves() == zero * 4_096
                found.close()
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert run(scenario()) < 4 * 1_048_576


def test_who_goes_away_leaves_nothing_open(place: Place) -> None:
    """P7: an opening that is given up at any moment costs no descriptor."""

    async def scenario() -> None:
        place.folder.mkdir()
        (place.folder / "photo.jpg").write_bytes(PHOTO)
        async with place.open():
            await place.known()
            before = descriptors()
            for turns in range(30):
                opening = asyncio.get_running_loop().create_task(place.share.open("photo.jpg", None))
                for _ in range(turns % 6):
                    await asyncio.sleep(0.0001)
                opening.cancel()
                (done,) = await asyncio.gather(opening, return_exceptions=True)
                if not isinstance(done, BaseException):
                    done.close()
            (await place.share.open("photo.jpg", None)).close()
            assert descriptors() == before

    run(scenario())


def test_those_who_wait_for_a_digest_are_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: each has a file open, however often he comes again: one too many is OVERLOADED, and may try later."""
    monkeypatch.setattr(content, "WAITING", 5)
    go = threading.Event()
    real = leaves.leaf

    def slow(data: bytes) -> bytes:
        go.wait()
        return real(data)

    async def scenario() -> None:
        place.folder.mkdir()
        (place.folder / "large").write_bytes(PHOTO)
        async with place.open():
            before = descriptors()
            monkeypatch.setattr(leaves, "leaf", slow)
            waiting = [asyncio.ensure_future(place.share.open("large", None)) for _ in range(8)]
            try:
                async with asyncio.timeout(5):
                    await asyncio.gather(*waiting[5:], return_exceptions=True)
                assert descriptors() <= before + 6
            finally:
                go.set()
            assert [await refusal(each) for each in waiting[5:]] == [Code.OVERLOADED] * 3
            for each in waiting[:5]:
                (await each).close()
            (await place.share.open("large", None)).close()

    run(scenario())
