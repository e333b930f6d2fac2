"""Downloads: leaves first, each chunk verified, nothing fetched twice, whatever becomes of connection and program."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.api import Chat
from quicchat.client.events import Moved
from quicchat.client.files.phase import Phase
from quicchat.client.files.targets import FolderTarget, StreamTarget, Wanted
from quicchat.errors import Code, LinkLost, Refused
from quicchat.transport.memory import Network
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.session import Error
from tests.client.counter import Counter, served
from tests.client.depot import Depot, reached, within
from tests.client.lives import Listener
from tests.server.house import play


def content(size: int) -> bytes:
    return b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(-(-size // 32)))[:size]


@asynccontextmanager
async def depot(**conditions: Any) -> AsyncIterator[tuple[Chat, Depot, Listener]]:
    counter = Counter(Network(**{"latency": 0.005, **conditions}))
    counter.depot = here = Depot()
    async with served(counter) as alice:
        yield alice, here, Listener(alice)


def test_a_file_comes_whole_over_two_streams(tmp_path: Path) -> None:
    """R2.26, [14.7-1]: the bytes, the name and the time are those of the file, and each chunk came once."""

    async def scenario() -> None:
        async with depot() as (alice, here, ears):
            data = content(1_300_001)
            file = here.share(data)
            wanted = Wanted(file, "my photo.jpg", len(data), "image/jpeg", 1_600_000_000_000)
            transfer = alice.files.get(wanted, FolderTarget(tmp_path / "alice"))
            await transfer.finished()
            path = tmp_path / "alice" / "my photo.jpg"
            assert transfer.path == path
            assert path.read_bytes() == data
            assert path.stat().st_mtime_ns == 1_000_000_000_000 * 1_000_000
            assert (transfer.state, transfer.done, transfer.resumed) == (Phase.DONE, len(data), 0)
            assert transfer.legs[Mode.RELIABLE].carried == len(data)
            assert list(within(path.parent)) == ["my photo.jpg"]
            assert not here.twice()
            assert [len(get.ranges or ()) for get in here.gets] == [0, 1, 1]
            await asyncio.sleep(0.1)
            assert ears.of(Moved)[-1].transfer is transfer

    play(scenario)


@pytest.mark.parametrize("size", [0, 1, 4_095, 4_096, 4_097])
def test_small_files_and_edges(tmp_path: Path, size: int) -> None:
    """[14.7-1]: no chunk at all, one that is short, one that is full, and one byte more."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(size)
            transfer = alice.files.get(Wanted(here.share(data), "f"), FolderTarget(tmp_path))
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data

    play(scenario)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """R2.28, [14.7-4]: what is there stays, also what is called like a part of it; the new one gets a number."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            (tmp_path / "f.txt").write_text("mine")
            (tmp_path / "f.txt.part").write_text("mine too")
            (tmp_path / "f (1).txt.part.map").write_text("and mine")
            file = here.share(content(9_000))
            for _ in range(2):
                await alice.files.get(Wanted(file, "f.txt"), FolderTarget(tmp_path)).finished()
            found = within(tmp_path)
            assert found == {
                "f.txt": b"mine",
                "f.txt.part": b"mine too",
                "f (1).txt.part.map": b"and mine",
                "f (2).txt": content(9_000),
                "f (2) (1).txt": content(9_000),
            }

    play(scenario)


def test_a_lost_connection_is_a_pause(tmp_path: Path) -> None:
    """R0.4, Q19, [14.7-2]: it goes on over the next connection, and nothing comes twice that was verified."""

    async def scenario() -> None:
        async with depot() as (alice, here, ears):
            data = content(400_000)
            here.cut_after = 200_000
            transfer = alice.files.get(Wanted(here.share(data), "f"), FolderTarget(tmp_path), streams=1)
            states: list[Phase] = []
            async with asyncio.timeout(60):
                while not transfer.over:
                    if not states or states[-1] is not transfer.state:
                        states.append(transfer.state)
                    await asyncio.sleep(0.001)
            assert Phase.PAUSED in states
            assert (tmp_path / "f").read_bytes() == data
            # What was under way when the connection went was never here.
            assert len(here.twice()) <= 2_097_152 // here.chunk
            kept = 200_000 // here.chunk
            assert sum(here.served.values()) <= 98 + 98 - kept + 30
            assert ears.of(Moved)

    play(scenario)


def test_a_program_that_dies_goes_on_where_it_was(tmp_path: Path) -> None:
    """Issue 4, item 3, [14.7-2]: another run finds part and map, verifies what they claim, and fetches the rest."""

    async def scenario() -> None:
        data = content(400_000)
        before: dict[tuple[bytes, int], int] = {}
        claimed = 0
        async with depot() as (alice, here, _):
            file = here.share(data, "f")
            transfer = alice.files.get(Wanted(file, "f", shared=True), FolderTarget(tmp_path))
            await reached(lambda: transfer.done >= 100_000)
        with pytest.raises(LinkLost):
            await transfer.finished()
        (unfinished,) = alice.files.unfinished(tmp_path)
        assert unfinished.name == "f"
        assert unfinished.size == 400_000
        assert 100_000 <= unfinished.done < 400_000
        claimed = unfinished.done
        # One byte that the disk lost, of a chunk that the map claims.
        with (tmp_path / "f.part").open("r+b") as part:
            part.seek(5_000)
            part.write(bytes([data[5_000] ^ 1]))
        assert not before
        async with depot() as (alice, here, _):
            here.share(data, "f")
            transfer = alice.files.get(unfinished.what, FolderTarget(tmp_path))
            await transfer.finished()
            assert transfer.resumed == claimed - 4_096
            assert sum(here.served.values()) == 98 - (claimed - 4_096) // 4_096 - (claimed % 4_096 > 0)
            assert not here.twice()
            assert (tmp_path / "f").read_bytes() == data
            assert not alice.files.unfinished(tmp_path)

    play(scenario)


def test_a_wrong_chunk_is_named_and_fetched_again(tmp_path: Path) -> None:
    """R0.7, X5, [14.7-1]: the client says which, gets it again, and ends right."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(100_000)
            file = here.share(data)
            here.damaged[file, 7] = 2
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path))
            said = set()
            while not transfer.over:
                said.add(transfer.words)
                await asyncio.sleep(0.001)
            assert "Chunk 8 of 25 came wrong; it is fetched again." in said
            assert (tmp_path / "f").read_bytes() == data

    play(scenario)


def test_a_chunk_that_stays_wrong_is_the_end(tmp_path: Path) -> None:
    """R0.7, X5, [14.7-1]: FAILED, with the chunk by its number; never silently wrong, and nothing under the name."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            file = here.share(content(100_000))
            here.damaged[file, 7] = 99
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path))
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.DIGEST
            assert caught.value.text == "Chunk 8 of 25 came wrong 3 times."
            assert transfer.state is Phase.FAILED
            assert not (tmp_path / "f").exists()
            assert (tmp_path / "f.part").exists()

    play(scenario)


def test_pausing_going_on_and_giving_up(tmp_path: Path) -> None:
    """Issue 4, item 3: while it stands still nothing comes; what is given up leaves nothing behind."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(400_000)
            file = here.share(data)
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path))
            await reached(lambda: transfer.done >= 50_000)
            transfer.pause()
            await asyncio.sleep(1)
            sent, done = here.sent, transfer.done
            await asyncio.sleep(5)
            assert (here.sent, transfer.done, transfer.state) == (sent, done, Phase.PAUSED)
            transfer.resume()
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data
            other = alice.files.get(Wanted(file, "g"), FolderTarget(tmp_path))
            await reached(lambda: other.done >= 50_000)
            other.cancel()
            await other.finished()
            await asyncio.sleep(1)
            assert other.state is Phase.CANCELLED
            assert list(within(tmp_path)) == ["f"]

    play(scenario)


def test_two_do_not_write_into_one_part(tmp_path: Path) -> None:
    """Issue 4, item 3: the second is told so, and the first goes on."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(400_000)
            file = here.share(data)
            first = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path))
            await reached(lambda: first.done >= 50_000)
            second = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path))
            await asyncio.sleep(0.02)
            assert "is being written already" in second.words
            second.cancel()
            await first.finished()
            assert (tmp_path / "f").read_bytes() == data

    play(scenario)


def test_different_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    """[14.7-4]: two people call their photos the same; both come, each under a name of its own."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            one, two = content(50_000), content(60_000)[::-1]
            transfers = [
                alice.files.get(Wanted(here.share(data), "image.jpg"), FolderTarget(tmp_path)) for data in (one, two)
            ]
            for transfer in transfers:
                await transfer.finished()
            assert set(within(tmp_path).values()) == {one, two}

    play(scenario)


def test_a_shared_file_that_changes_is_fetched_anew(tmp_path: Path) -> None:
    """X3, [14.7-2]: what was begun of the old one is dropped, and the user is told."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            here.share(content(400_000), "log.txt")
            here.cut_after = 100_000
            transfer = alice.files.get(Wanted(None, "log.txt", shared=True), FolderTarget(tmp_path), streams=1)
            await reached(lambda: transfer.state is Phase.PAUSED)
            assert transfer.done > 50_000
            other = content(500_000)[::-1]
            here.share(other, "log.txt")
            said = set()
            while not transfer.over:
                said.add(transfer.words)
                await asyncio.sleep(0.001)
            assert "The file changed on the server; it is fetched anew." in said
            assert (tmp_path / "log.txt").read_bytes() == other
            assert transfer.size == 500_000
            assert list(within(tmp_path)) == ["log.txt"]

    play(scenario)


def test_a_mistake_of_ours_ends_a_transfer_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Q27: whoever waits for it is told, the log tells where, and the conversation goes on."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):

            def wrong(*_: Any) -> None:
                raise ZeroDivisionError

            monkeypatch.setattr(FolderTarget, "begin", wrong)
            transfer = alice.files.get(Wanted(here.share(content(9_000)), "f"), FolderTarget(tmp_path))
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.INTERNAL
            assert "ZeroDivisionError" in caplog.text
            assert await alice.ping() < 1

    play(scenario)


def test_into_a_pipe_it_comes_in_order() -> None:
    """Issue 4, item 5: `-o -`; a wrong chunk and a lost connection change nothing about the order."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(200_000)
            file = here.share(data)
            here.damaged[file, 9] = 1
            here.cut_after = 100_000
            out = BytesIO()
            transfer = alice.files.get(Wanted(file, "f"), StreamTarget(out), streams=4)
            await transfer.finished()
            assert out.getvalue() == data

    play(scenario)


def test_what_is_still_being_uploaded_takes_its_time(tmp_path: Path) -> None:
    """Issue 4, item 8: each chunk comes as soon as it is there."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(100_000)
            file = here.share(data, have=3)
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path))
            await asyncio.sleep(30)
            assert transfer.done == 3 * 4_096
            assert transfer.state is Phase.TRANSFERRING
            while not here.blobs[file].whole:
                here.arrive(file)
                await asyncio.sleep(1)
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data

    play(scenario)


def test_an_upload_that_is_given_up_stops_those_who_fetch_it(tmp_path: Path) -> None:
    """Issue 4, item 8: paused, with words; it goes on once it is there again."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(100_000)
            file = here.share(data)
            here.reset_after = 50_000, Code.NO_SUCH_FILE
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path))
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.NO_SUCH_FILE
            assert transfer.state is Phase.PAUSED
            transfer.resume()
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data

    play(scenario)


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    """[14.7-2]: refused for the moment it waits, as long as it was told to."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(10_000)
            file = here.share(data)
            here.errors = [Error.about(Code.OVERLOADED, "", retry_after=5_000), Error.about(Code.LIMIT, "")]
            start = asyncio.get_running_loop().time()
            await alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path)).finished()
            assert asyncio.get_running_loop().time() - start > 5
            with pytest.raises(Refused) as caught:
                await alice.files.get(Wanted(bytes(32), "g"), FolderTarget(tmp_path)).finished()
            assert caught.value.code is Code.NO_SUCH_FILE

    play(scenario)
