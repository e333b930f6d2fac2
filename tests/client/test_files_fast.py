"""Fast downloads: pieces in datagrams, what is lost of them counted, and mended over streams."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quicchat.client.files.fast import Shelf
from quicchat.client.files.landing import Known, Leaves, MemoryLanding
from quicchat.client.files.phase import Phase
from quicchat.client.files.targets import FolderTarget, StreamTarget, Wanted
from quicchat.errors import Code, Refused
from quicchat.transport.driver import Driver
from quicchat.wire import leaves
from quicchat.wire.chapters.files import FileChunk, FileEnd, FileHeader, GetFile, Mode, Part
from tests.client.depot import reached
from tests.client.test_files_down import content, depot
from tests.server.house import play


def test_without_loss_it_comes_by_itself(tmp_path: Path) -> None:
    """R2.36, [14.7-5]: all pieces in datagrams, none missing, nothing to mend; the rate of either way is known."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(300_001)
            transfer = alice.files.get(Wanted(here.share(data), "f"), FolderTarget(tmp_path), mode=Mode.FAST)
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data
            assert (transfer.pieces, transfer.missing, transfer.lost) == (293, 0, 0)
            assert transfer.legs[Mode.FAST].carried == 300_001
            assert transfer.legs[Mode.FAST].rate > 0
            assert Mode.RELIABLE not in transfer.legs
            assert [get.mode for get in here.gets] == [Mode.RELIABLE, Mode.FAST]

    play(scenario)


@pytest.mark.parametrize("share", [100, 20, 2])
def test_what_is_lost_is_mended(tmp_path: Path, share: int) -> None:
    """R2.36, R2.39, [14.7-5]: the client says how many are missing, fetches those and no others, and ends right."""

    async def scenario() -> None:
        async with depot(duplication=0.05, reordering=0.05) as (alice, here, _):
            data = content(300_001)
            here.loses = lambda index: index * 7919 % share == 0
            lost = sum(map(here.loses, range(293)))
            transfer = alice.files.get(Wanted(here.share(data), "f"), FolderTarget(tmp_path), mode=Mode.FAST)
            said = set()
            while not transfer.over:
                said.add(transfer.words)
                await asyncio.sleep(0.001)
            assert f"{lost} of 293 pieces are missing." in said
            assert (tmp_path / "f").read_bytes() == data
            assert (transfer.lost, transfer.missing) == (lost, 0)
            asked = [span for get in here.gets if get.mode is Mode.RELIABLE for span in get.ranges or ()]
            assert sum(-(-size // 1_024) for _, size in asked) == lost
            assert transfer.legs[Mode.RELIABLE].carried > 0

    play(scenario)


def test_without_repair_it_says_what_is_missing(tmp_path: Path) -> None:
    """R2.36, [14.7-5]: never silently incomplete: FAILED, n of m pieces; what is whole stays for another time."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(300_001)
            here.loses = lambda index: index % 100 == 50
            wanted = Wanted(here.share(data), "f")
            transfer = alice.files.get(wanted, FolderTarget(tmp_path), mode=Mode.FAST, repair=False)
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.text == "290 of 293 pieces are here, 3 are missing."
            assert transfer.state is Phase.FAILED
            await asyncio.sleep(0.1)
            again = alice.files.get(wanted, FolderTarget(tmp_path))
            await again.finished()
            assert again.resumed == 300_001 - 3 * 4_096
            assert (tmp_path / "f").read_bytes() == data

    play(scenario)


def test_a_tail_that_is_lost_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    """[14.7-3]: where a whole window is lost, nobody knows of it; the client allows more, and mends."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(3_000_000)
            here.loses = lambda index: 900 < index < 2_920
            file = here.share(data, chunk=262_144)
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path), mode=Mode.FAST)
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data
            assert transfer.lost == 2_019
            assert here.most_allowed <= 4_194_304

    play(scenario)


def test_a_wrong_piece_costs_its_chunk_and_no_more(tmp_path: Path) -> None:
    """X5, X7, [14.7-1]: all of the chunk comes again, over a stream."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(100_000)
            file = here.share(data)
            here.damaged[file, 7] = 1
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path), mode=Mode.FAST)
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data
            assert transfer.lost == 4
            asked = [span for get in here.gets if get.mode is Mode.RELIABLE for span in get.ranges or ()]
            assert (min(asked)[0], sum(size for _, size in asked)) == (28_672, 4_096)

    play(scenario)


def test_pieces_that_nobody_asked_for_are_nothing(tmp_path: Path) -> None:
    """X7: beyond the end, of another transfer, too short, doubled: dropped, and the rest comes right."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(20_000)
            file = here.share(data)

            def rogue(driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
                if get.mode is Mode.RELIABLE:
                    here.rogue = None
                    here._get(driver, sid, get, number)
                    here.rogue = rogue
                    return
                span = (get.ranges or ())[0]
                header = FileHeader(file=file, size=len(data), chunk=4_096, range=span, part=Part.PIECES)
                driver.send(header, sid=sid, re=number)
                bad = [(get.handle, 20, b"x" * 1_024), (get.handle, 2**31, b"x"), (get.handle + 1, 0, b"x" * 1_024)]
                bad += [(get.handle, 0, b"x" * 5), (get.handle, 19, b"x" * 1_024)]
                good = [(get.handle, index, data[index * 1_024 :][:1_024]) for index in range(20)]
                for handle, index, piece in (*bad, *good, *good):
                    driver.datagram(FileChunk(handle=handle, index=index, data=piece))
                driver.send(FileEnd(status=0, carried=len(data)), sid=sid)
                driver.finish(sid)

            here.rogue = rogue
            transfer = alice.files.get(Wanted(file, "f"), FolderTarget(tmp_path), mode=Mode.FAST)
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data
            assert transfer.legs[Mode.FAST].carried >= len(data)

    play(scenario)


def test_a_lost_connection_is_a_pause_for_it_too(tmp_path: Path) -> None:
    """Q19, [14.7-2]: chunks that were whole are not asked for again."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            data = content(300_001)
            here.cut_after = 200_000
            transfer = alice.files.get(Wanted(here.share(data), "f"), FolderTarget(tmp_path), mode=Mode.FAST)
            await reached(lambda: transfer.done > 0)
            assert [each.mode for each in alice.files.unfinished(tmp_path)] == [Mode.FAST]
            await transfer.finished()
            assert (tmp_path / "f").read_bytes() == data
            second = [get for get in here.gets if get.mode is Mode.FAST][1]
            assert sum(size for _, size in second.ranges or ()) < 200_000

    play(scenario)


def test_a_pipe_takes_nothing_fast() -> None:
    """Issue 4, item 5: pieces come in any order, a pipe takes one; that is said, and nothing is written."""

    async def scenario() -> None:
        from io import BytesIO

        async with depot() as (alice, here, _):
            out = BytesIO()
            transfer = alice.files.get(Wanted(here.share(content(9_000)), "f"), StreamTarget(out), mode=Mode.FAST)
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.UNSUPPORTED
            assert not out.getvalue()

    play(scenario)


@pytest.mark.parametrize("chunk", [4_096, 5_000, 4_097])
def test_pieces_find_their_chunks(chunk: int) -> None:
    """[14.7-5]: pieces in any order, also where they lie on the border of two chunks, and more chunks than are held."""

    async def scenario() -> None:
        data = content(60_000)
        file, proofs = leaves.of(data, chunk)
        known = Known(file=file, size=len(data), chunk=chunk, name="f")
        held = Leaves(file, len(data), chunk)
        held.add(proofs)
        landing = MemoryLanding(known, held)
        right: list[int] = []
        shelf = Shelf(landing, [(0, known.chunks)], lambda index, size: right.append(size))
        shelf._most = 2
        assert shelf.missing == 59
        order = sorted(range(59), key=lambda index: index * 7919 % 59)
        for count, index in enumerate(order):
            assert shelf.open
            assert shelf.missing == 59 - count
            await shelf.fill(index * 1_024, data[index * 1_024 :][:1_024])
        assert not shelf.open
        assert shelf.holes() == []
        assert bytes(landing.data) == data
        assert sum(right) == len(data)
        held.close()

    play(scenario)
