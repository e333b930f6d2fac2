"""Sealed files on their way here: fetched as all others, opened when all of it is here, and never anything but true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.api import Chat
from quicchat.client.e2ee.keyring import Drawer
from quicchat.client.e2ee.parcels import CHUNK, sealed, sealed_size
from quicchat.client.files.api import LOCKED
from quicchat.client.files.phase import Phase
from quicchat.client.files.targets import FolderTarget, MemoryTarget, StreamTarget, Wanted
from quicchat.client.memory import Change, PlainMemory
from quicchat.errors import Code, LinkLost, Refused
from quicchat.transport.memory import Network
from quicchat.wire import leaves
from quicchat.wire.chapters.files import FileList, Mode, Standing
from quicchat.wire.chapters.messages import DIRECTORY, WHOLE
from quicchat.wire.sealed import FileKey, packed
from tests.client.counter import Counter, served
from tests.client.depot import Depot, reached, within
from tests.client.test_files_down import content
from tests.server.house import play

SECRET = bytes(range(32))
WHEN = 1_600_000_000_000


def key_for(data: bytes, chunk: int = 4_096, **other: Any) -> FileKey:
    """What opens the parcel of some bytes, as the depot has it."""
    return FileKey(
        **{
            "file": leaves.of(sealed(data, SECRET), chunk)[0],
            "secret": SECRET,
            "size": len(data),
            "root": leaves.of(data, CHUNK)[0],
            "name": "my photo.jpg",
            "media_type": "image/jpeg",
            "modified": WHEN,
            **other,
        }
    )


def known(*keys: FileKey) -> Change:
    return Change(secrets={(Drawer.FILE, key.file): packed(key) for key in keys})


@asynccontextmanager
async def depot(
    keys: Sequence[FileKey], memory: PlainMemory | None = None, here: Depot | None = None, **conditions: Any
) -> AsyncIterator[tuple[Chat, Depot]]:
    """Alice, who knows these keys, at a server that says what it is told to."""
    counter = Counter(Network(**{"latency": 0.005, **conditions}))
    counter.depot = here = here or Depot()
    async with served(counter, known(*keys), memory=memory) as alice:
        yield alice, here


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 1_300_001])
@pytest.mark.parametrize("streams", [1, 4])
def test_a_sealed_file_comes_open(tmp_path: Path, size: int, streams: int) -> None:
    """[15.8-4], [14.7-4]: bytes, name and time are those that its message told; progress counts what people know."""

    async def scenario() -> None:
        data = content(size)
        key = key_for(data)
        async with depot([key]) as (alice, here):
            here.share(sealed(data, SECRET))
            wanted = Wanted(key.file, "", sealed_size(size))
            transfer = alice.files.get(wanted, FolderTarget(tmp_path), streams=streams)
            assert (transfer.name, transfer.size) == ("my photo.jpg", size)
            most = 0
            while not transfer.over:
                most = max(most, transfer.done)
                await asyncio.sleep(0.001)
            assert (transfer.state, transfer.done, transfer.size, transfer.resumed) == (Phase.DONE, size, size, 0)
            assert most <= size
            path = tmp_path / "my photo.jpg"
            assert transfer.path == path
            assert within(tmp_path) == {"my photo.jpg": data}
            assert path.stat().st_mtime_ns // 1_000_000 == WHEN
            assert not here.twice()

    play(scenario)


@pytest.mark.parametrize("share", [None, 20, 2])
def test_fast(tmp_path: Path, share: int | None) -> None:
    """[15.8-4], R2.36: in datagrams too, whatever of them is lost; pieces are those of the parcel."""

    async def scenario() -> None:
        data = content(300_001)
        key = key_for(data)
        async with depot([key]) as (alice, here):
            here.share(sealed(data, SECRET))
            here.loses = lambda index: share is not None and index * 7919 % share == 0
            transfer = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path), mode=Mode.FAST)
            await transfer.finished()
            assert within(tmp_path) == {"my photo.jpg": data}
            assert (transfer.done, transfer.pieces) == (300_001, -(-sealed_size(300_001) // 1_024))
            assert (transfer.lost > 0) == (share is not None)

    play(scenario)


def test_what_is_missing_of_a_fast_one_is_fetched_another_time(tmp_path: Path) -> None:
    """[14.7-5], [15.8-6]: without repair nothing is opened, or has its name; later the rest comes, and it is."""

    async def scenario() -> None:
        data = content(300_001)
        key = key_for(data)
        async with depot([key]) as (alice, here):
            here.share(sealed(data, SECRET))
            here.loses = lambda index: index % 100 == 50
            transfer = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path), mode=Mode.FAST, repair=False)
            with pytest.raises(Refused):
                await transfer.finished()
            await asyncio.sleep(0.1)
            assert sorted(within(tmp_path)) == ["my photo.jpg.part", "my photo.jpg.part.map"]
            again = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path))
            await again.finished()
            assert within(tmp_path) == {"my photo.jpg": data}
            assert 0 < again.resumed < again.done == 300_001

    play(scenario)


def test_it_outlives_connection_and_program(tmp_path: Path) -> None:
    """[14.7-2], [15.8-6]: what is on the disk meanwhile is the parcel; it goes on where it was, and is opened then."""

    async def scenario() -> None:
        data = content(400_000)
        key, memory, here = key_for(data), PlainMemory(), Depot()
        async with depot([key], memory, here) as (alice, _):
            here.share(sealed(data, SECRET))
            here.cut_after = 100_000
            transfer = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path), streams=1)
            await reached(lambda: transfer.done >= 200_000)
        with pytest.raises(LinkLost):
            await transfer.finished()
        part = (tmp_path / "my photo.jpg.part").read_bytes()
        assert not any(data[at : at + 64] in part for at in range(0, len(data), 4_096))
        assert SECRET not in (tmp_path / "my photo.jpg.part.map").read_bytes()
        assert SECRET.hex().encode() not in (tmp_path / "my photo.jpg.part.map").read_bytes()
        async with depot([], memory, here) as (alice, _):
            (unfinished,) = alice.files.unfinished(tmp_path)
            assert (unfinished.name, unfinished.size) == ("my photo.jpg", 400_000)
            assert 200_000 <= unfinished.done < 400_000
            again = alice.files.get(unfinished.what, FolderTarget(tmp_path))
            await again.finished()
            assert again.resumed == unfinished.done
            assert within(tmp_path) == {"my photo.jpg": data}

    play(scenario)


def test_into_a_pipe_and_into_memory() -> None:
    """[15.8-4]: what goes on as it comes is opened as it comes; a byte that is not true does not."""

    async def scenario() -> None:
        data = content(300_001)
        key = key_for(data)
        async with depot([key]) as (alice, here):
            here.share(sealed(data, SECRET))
            out, memory = BytesIO(), MemoryTarget(1_000_000)
            await alice.files.get(Wanted(key.file, ""), StreamTarget(out), streams=4).finished()
            await alice.files.get(Wanted(key.file, ""), memory).finished()
            assert out.getvalue() == data
            assert memory.landing is not None
            assert memory.landing.data == data

    play(scenario)


def damaged(data: bytes, how: str) -> bytes:
    """A parcel that somebody who has no key made of one."""
    parcel = bytearray(sealed(data, SECRET))
    one, two = 40, 40 + CHUNK + 16
    if how == "altered":
        parcel[150_000] ^= 1
    elif how == "exchanged":
        size = CHUNK + 16
        parcel[one:two], parcel[two : two + size] = parcel[two : two + size], parcel[one:two]
    elif how == "cut":
        del parcel[40 + 3 * (CHUNK + 16) :]
    elif how == "longer":
        parcel += bytes(16)
    elif how == "another":
        return sealed(data[::-1], bytes(32))
    return bytes(parcel)


@pytest.mark.parametrize("how", ["altered", "exchanged", "cut", "longer", "another", "root", "size"])
@pytest.mark.parametrize("where", ["folder", "pipe"])
def test_what_is_not_true_is_not_there(tmp_path: Path, how: str, where: str) -> None:
    """[15.8-5], [15.8-6]: the server names what it made of a parcel by its right id, and nobody gets anything of it."""

    async def scenario() -> None:
        data = content(300_001)
        parcel = damaged(data, how)
        key = key_for(data, file=leaves.of(parcel, 4_096)[0])
        key = replace(key, root=bytes(32)) if how == "root" else key
        key = replace(key, size=len(data) - 1) if how == "size" else key
        async with depot([key]) as (alice, here):
            here.share(parcel)
            out = BytesIO()
            target = StreamTarget(out) if where == "pipe" else FolderTarget(tmp_path)
            transfer = alice.files.get(Wanted(key.file, ""), target)
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert (caught.value.code, transfer.state) == (Code.DIGEST, Phase.FAILED)
            # What has the wrong size is not even fetched.
            early = caught.value.text == "The file has another size than its message says."
            assert early == (how in ("size", "cut", "longer"))
            await asyncio.sleep(0.1)
            assert within(tmp_path) == {}
            assert data.startswith(out.getvalue())

    play(scenario)


def test_without_its_key(tmp_path: Path) -> None:
    """[15.8-7]: what is called nothing and cannot be opened is listed as encrypted, and not passed off as a file."""

    async def scenario() -> None:
        data = content(9_000)
        key = key_for(data)
        whole = replace(key, file=bytes([7]) * 32, media_type=WHOLE)
        folder = replace(key, file=bytes([8]) * 32, media_type=DIRECTORY, name="holiday.tar")
        neutral = (0, "application/octet-stream")
        rows = (
            ("", sealed_size(9_000), *neutral, key.file, Standing.WHOLE, "bob", 5),
            ("", 99, *neutral, whole.file, Standing.WHOLE, "bob", 4),
            ("", 99, *neutral, folder.file, Standing.COMING, "bob", 3),
            ("old.txt", 99, 5, "text/plain", bytes(32), Standing.WHOLE, "bob", 2),
        )

        async def seals(conversation: str) -> bool:
            return conversation == "general"

        async with depot([whole, folder]) as (alice, here):
            here.share(sealed(data, SECRET))
            alice.files.seals = seals
            here.listed = [FileList(files=rows)]
            locked, tar, plain = await alice.files.listed("general")
            assert (locked.name, locked.size, locked.sealed) == (LOCKED, sealed_size(9_000), True)
            assert (tar.name, tar.size, tar.media_type, tar.modified) == ("holiday.tar", 9_000, DIRECTORY, WHEN)
            assert (plain.name, plain.size, plain.sealed) == ("old.txt", 99, False)
            transfer = alice.files.get(locked.wanted, FolderTarget(tmp_path))
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.FORBIDDEN
            assert not here.gets
            # The message that has its key comes; and as nobody knows the rest of the list, it is asked for again.
            alice.files._keyring.put(Drawer.FILE, key.file, packed(key))
            here.listed = [FileList(files=rows[:1])]
            (found,) = await alice.files.listed("general")
            assert (found.name, found.size, found.modified) == ("my photo.jpg", 9_000, WHEN)
            await alice.files.get(found.wanted, FolderTarget(tmp_path)).finished()
            assert within(tmp_path) == {"my photo.jpg": data}
            # In a conversation that is not encrypted a file may have no name.
            here.listed = [FileList(files=rows[:1])]
            assert [each.name for each in await alice.files.listed("other")] == ["my photo.jpg"]
            here.listed = [FileList(files=(("", 5, *neutral, bytes(32), Standing.WHOLE, "bob", 5),))]
            assert [each.name for each in await alice.files.listed("other")] == [""]

    play(scenario)


def test_a_part_whose_key_is_gone_is_not_finished(tmp_path: Path) -> None:
    """[15.8-6]: without its key the parcel is never given the name of the file."""

    async def scenario() -> None:
        data = content(400_000)
        key, here = key_for(data), Depot()
        async with depot([key], here=here) as (alice, _):
            here.share(sealed(data, SECRET))
            transfer = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path), streams=1)
            await reached(lambda: transfer.done >= 100_000)
        async with depot([], here=here) as (alice, _):
            (unfinished,) = alice.files.unfinished(tmp_path)
            with pytest.raises(Refused) as caught:
                await alice.files.get(unfinished.what, FolderTarget(tmp_path)).finished()
            assert caught.value.code is Code.FORBIDDEN
        assert sorted(within(tmp_path)) == ["my photo.jpg.part", "my photo.jpg.part.map"]

    play(scenario)
