"""The shared folder: what the operator drops in is there, known by its content, and read as long as it stays."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code, Refused, UsageError
from quicchat.server.adapters.share_memory import MemoryShare
from quicchat.server.ports import Share
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Standing
from tests.server.shelf import PHOTO, Place, descriptors
from tests.server.stores import refusal, run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("name", ["SharedFiles", "with blanks/Bücher и фото/日本"])
def test_the_folder_is_made(tmp_path: Path, name: str) -> None:
    """R2.5 R2.6: the folder is made where it is missing, wherever it is to be; one that is there stays as it is."""

    async def scenario() -> None:
        place = Place(tmp_path)
        place.folder = tmp_path / name
        async with place.open():
            assert await place.all() == []
        (place.folder / "a.txt").write_bytes(b"a")
        async with place.open():
            assert await place.names() == ["a.txt"]

    run(scenario())
    assert (tmp_path / name).is_dir()


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    """R2.5: one line says why a folder cannot be shared, and nothing is left open."""
    (tmp_path / "SharedFiles").write_bytes(b"")

    async def scenario() -> None:
        async with Place(tmp_path).open():
            raise AssertionError("it was shared")

    before = descriptors()
    with pytest.raises(UsageError, match="SharedFiles cannot be shared"):
        run(scenario())
    assert descriptors() == before


def test_what_is_dropped_in_appears(place: Place) -> None:
    """R2.7 [14.2-3]: files that come, change and go show in the next list; nobody restarts anything."""

    async def scenario() -> None:
        async with place.open():
            assert await place.names() == []
            (place.folder / "photo.jpg").write_bytes(PHOTO)
            (shown,) = await place.known()
            assert (shown.name, shown.size, shown.media_type) == ("photo.jpg", len(PHOTO), "image/jpeg")
            assert (shown.file, shown.standing) == (leaves.of(PHOTO)[0], Standing.WHOLE)
            assert shown.modified == (place.folder / "photo.jpg").stat().st_mtime_ns // 1_000_000
            assert (shown.sender, shown.seq) == (None, 0)
            (place.folder / "with blanks udp").write_bytes(b"")
            assert [each.file for each in await place.known()] == [leaves.of(PHOTO)[0], leaves.of(b"")[0]]
            (place.folder / "photo.jpg").unlink()
            assert await place.names() == ["with blanks udp"]

    run(scenario())


def test_a_file_is_read_as_it_is(place: Place) -> None:
    """[14.2-6]: by name, by content, or by both; a name that has another content, and no such file, are told apart."""

    async def scenario() -> None:
        async with place.open():
            (place.folder / "photo.jpg").write_bytes(PHOTO)
            (place.folder / "empty").write_bytes(b"")
            file, digests = leaves.of(PHOTO)
            await place.known()
            for name, wanted in (("photo.jpg", None), (None, file), ("photo.jpg", file)):
                found = await place.share.open(name, wanted)
                assert (found.file, found.size, found.chunk, found.name) == (file, len(PHOTO), 262_144, "photo.jpg")
                assert await found.leaves() == digests
                assert await found.read(0, found.size) == PHOTO
                assert await found.read(262_000, 1_000) == PHOTO[262_000:263_000]
                found.close()
                found.close()
                assert await refusal(found.read(0, 1)) is Code.NO_SUCH_FILE
            assert await place.whole("empty") == b""
            assert await refusal(place.share.open("photo.jpg", leaves.of(b"")[0])) is Code.FILE_CHANGED
            assert await refusal(place.share.open("nothing", None)) is Code.NO_SUCH_FILE
            assert await refusal(place.share.open("nothing", file)) is Code.NO_SUCH_FILE
            assert await refusal(place.share.open(None, bytes(32))) is Code.NO_SUCH_FILE
            assert await refusal(place.share.open(None, None)) is Code.NO_SUCH_FILE

    before = descriptors()
    run(scenario())
    assert descriptors() <= before


def test_a_file_that_is_being_copied(tmp_path: Path) -> None:
    """R2.7 [14.2-4]: a file written to within two seconds is marked, and is to be asked for later; then it is whole."""
    place = Place(tmp_path, ahead=0)

    async def scenario() -> None:
        async with place.open():
            (place.folder / "film").write_bytes(b"half")
            place.clock.set(time.time_ns() // 1_000_000)
            (shown,) = await place.share.listed(after=None, limit=9)
            assert (shown.standing, shown.file) == (Standing.CHANGING, b"")
            with pytest.raises(Refused) as refused:
                await place.share.open("film", None)
            assert (refused.value.code, refused.value.retry_after) == (Code.OVERLOADED, 2_000)
            place.clock.advance(2.5)
            (shown,) = await place.known()
            assert (shown.standing, shown.file) == (Standing.WHOLE, leaves.of(b"half")[0])
            assert await place.whole("film") == b"half"

    run(scenario())


def test_a_file_that_changed_between_two_looks(place: Place) -> None:
    """[14.2-4]: on a disk with a clock of its own, a file that is not what it was shows as changing all the same."""

    async def scenario() -> None:
        async with place.open():
            (place.folder / "film").write_bytes(b"half")
            await place.known()
            (place.folder / "film").write_bytes(b"the whole film")
            (shown,) = await place.all()
            assert (shown.standing, shown.file, shown.size) == (Standing.CHANGING, b"", 14)
            assert await refusal(place.share.open("film", None)) is Code.OVERLOADED
            place.clock.advance(2)
            assert (await place.known())[0].file == leaves.of(b"the whole film")[0]

    run(scenario())


def test_an_id_that_is_not_known_yet(place: Place) -> None:
    """[14.2-5]: a list does not wait for anybody to read files; who asks for one by name does."""

    async def scenario() -> None:
        place.folder.mkdir()
        (place.folder / "photo.jpg").write_bytes(PHOTO)
        async with place.open():
            (shown,) = await place.share.listed(after=None, limit=9)
            assert (shown.file, shown.standing) == (b"", Standing.WHOLE)
            found = await place.share.open("photo.jpg", None)
            assert found.file == leaves.of(PHOTO)[0]
            found.close()

    run(scenario())


@pytest.mark.parametrize("deed", ["append", "overwrite", "truncate"])
def test_a_file_that_changes_while_it_is_sent(place: Place, deed: str) -> None:
    """X3 [14.2-7]: from then on nothing of it is sent any more."""

    async def scenario() -> None:
        path = place.folder / "film"
        async with place.open():
            path.write_bytes(PHOTO)
            found = await place.share.open("film", None)
            assert await found.read(0, 1_000) == PHOTO[:1_000]
            with path.open("r+b") as file:
                file.seek(0 if deed == "overwrite" else len(PHOTO))
                if deed == "truncate":
                    file.truncate(300_000)
                else:
                    file.write(b"other")
            os.utime(path, ns=(1, 1))
            assert await refusal(found.read(1_000, 1_000)) is Code.FILE_CHANGED
            assert await refusal(found.read(400_000, 1_000)) is Code.FILE_CHANGED
            found.close()

    run(scenario())


def test_a_file_that_is_replaced_while_it_is_sent(place: Place) -> None:
    """X3 [14.2-7]: who began with the old one gets the old one, whole; who asks now is told that there is another."""

    async def scenario() -> None:
        path, aside = place.folder / "film", place.folder / ".new"
        async with place.open():
            path.write_bytes(PHOTO)
            found = await place.share.open("film", None)
            assert await found.read(0, 1_000) == PHOTO[:1_000]
            aside.write_bytes(b"another film")
            aside.replace(path)
            assert (await place.all())[0].size == 12
            assert await found.read(1_000, len(PHOTO) - 1_000) == PHOTO[1_000:]
            assert await found.leaves() == leaves.of(PHOTO)[1]
            place.clock.advance(2)
            assert await refusal(place.share.open("film", found.file)) is Code.FILE_CHANGED
            await place.known()
            assert await found.leaves(32) == leaves.of(PHOTO)[1][32:]
            path.unlink()
            assert await found.read(0, len(PHOTO)) == PHOTO
            found.close()

    run(scenario())


def test_nothing_is_read_twice(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 4.1: each version is digested once, also over restarts and for many who ask at once; another is anew."""
    digested: list[int] = []
    leaf = leaves.leaf
    file, digests = leaves.of(PHOTO)

    def counted(data: bytes | memoryview) -> bytes:
        digested.append(len(data))
        return leaf(data)

    monkeypatch.setattr(leaves, "leaf", counted)

    async def scenario() -> None:
        async with place.open():
            (place.folder / "photo.jpg").write_bytes(PHOTO)
            found = await asyncio.gather(*(place.share.open("photo.jpg", None) for _ in range(20)))
            assert {each.file for each in found} == {file}
            for each in found:
                each.close()
            await place.known()
        async with place.open():
            (shown,) = await place.share.listed(after=None, limit=9)
            assert shown.file == file
            again = await place.share.open("photo.jpg", None)
            assert await again.leaves() == digests
            again.close()
            assert sum(digested) == len(PHOTO)
            (place.folder / "photo.jpg").write_bytes(PHOTO[:1_000])
            await place.known()
            assert sum(digested) == len(PHOTO) + 1_000

    run(scenario())


def test_who_asked_first_went_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 4.1: what was digested for somebody who has gone is good for the next, and its leaves are kept then."""
    digested: list[int] = []
    leaf = leaves.leaf

    def counted(data: bytes | memoryview) -> bytes:
        digested.append(len(data))
        return leaf(data)

    async def scenario() -> None:
        async with place.open():
            await place.all()
            monkeypatch.setattr(leaves, "leaf", counted)
            (place.folder / "photo.jpg").write_bytes(PHOTO)
            asking = asyncio.get_running_loop().create_task(place.share.open("photo.jpg", None))
            while not digested:
                await asyncio.to_thread(time.sleep, 0.001)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            for _ in range(3):
                found = await place.share.open("photo.jpg", None)
                for offset in range(0, 64, 32):
                    assert await found.leaves(offset, 32) == leaf(PHOTO[offset * 8_192 :][:262_144])
                found.close()
        assert sum(digested) <= 2 * len(PHOTO)

    run(scenario())


def test_pages_by_name(place: Place) -> None:
    """[14.2-2]: files by name; what comes and goes meanwhile doubles and hides none of the others."""

    async def page(after: str | None) -> list[str]:
        place.clock.advance(1)
        return [each.name for each in await place.share.listed(after=after, limit=3)]

    async def scenario() -> None:
        async with place.open():
            for name in ("b", "d", "Z", "ä", "a", "c", "日", "\U0001f600"):
                (place.folder / name).write_bytes(b"")
            assert await page(None) == ["Z", "a", "b"]
            (place.folder / "b").unlink()
            (place.folder / "aa").write_bytes(b"")
            assert await page("b") == ["c", "d", "ä"]
            assert await page("ä") == ["日", "\U0001f600"]
            assert await page("\U0001f600") == []

    run(scenario())


def both(place: Place, files: dict[str, bytes]) -> Sequence[Callable[[], Any]]:
    """Both adapters over the same files."""

    @asynccontextmanager
    async def local() -> AsyncIterator[Share]:
        place.folder.mkdir()
        for name, data in files.items():
            (place.folder / name).write_bytes(data)
        async with place.open():
            await place.known()
            yield place.share

    @asynccontextmanager
    async def memory() -> AsyncIterator[Share]:
        yield MemoryShare(files)

    return local, memory


@pytest.mark.parametrize("which", [0, 1])
def test_both_adapters_answer_alike(place: Place, which: int) -> None:
    """Design §7: the share in memory, which tests use, is the same to whoever asks."""
    files = {"a": b"one", "b": PHOTO, "c": b""}

    async def scenario() -> None:
        async with both(place, files)[which]() as share:
            shown = await share.listed(after=None, limit=2)
            assert [(each.name, each.size, each.file) for each in shown] == [
                (name, len(data), leaves.of(data)[0]) for name, data in list(files.items())[:2]
            ]
            assert [each.name for each in await share.listed(after="b", limit=2)] == ["c"]
            for name, data in files.items():
                for asked in ((name, None), (None, leaves.of(data)[0]), (name, leaves.of(data)[0])):
                    found = await share.open(*asked)
                    assert (found.file, found.size, found.chunk) == (leaves.of(data)[0], len(data), 262_144)
                    assert await found.leaves() == leaves.of(data)[1]
                    assert await found.leaves(32, 64) == leaves.of(data)[1][32:96]
                    assert await found.read(0, len(data)) == data
                    assert await refusal(found.read(len(data), 1)) is Code.FILE_CHANGED
                    found.close()
                    assert await refusal(found.read(0, 1)) is Code.NO_SUCH_FILE
            assert await refusal(share.open("a", leaves.of(b"")[0])) is Code.FILE_CHANGED
            assert await refusal(share.open("d", leaves.of(b"")[0])) is Code.NO_SUCH_FILE
            assert await refusal(share.open(None, bytes(32))) is Code.NO_SUCH_FILE

    run(scenario())


def test_one_content_under_two_names(place: Place) -> None:
    """[14.2-6]: asked for by its id it comes under the first of its names, as long as there is one."""

    async def scenario() -> None:
        async with place.open():
            for name in ("b", "a", "c"):
                (place.folder / name).write_bytes(b"same" if name != "c" else b"other")
            file = (await place.known())[0].file
            for name in ("a", "b"):
                found = await place.share.open(None, file)
                assert found.name == name
                found.close()
                (place.folder / name).unlink()
                assert name not in await place.names()
            assert await refusal(place.share.open(None, file)) is Code.NO_SUCH_FILE

    run(scenario())
