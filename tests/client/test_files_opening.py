"""Parcels that are opened where they lie: whatever stops that, nothing but the whole file ever has its name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quicchat.client.e2ee.parcels import sealed
from quicchat.client.files import part as part_module
from quicchat.client.files.part import Part
from quicchat.client.files.phase import Phase
from quicchat.client.files.targets import FolderTarget, Wanted
from quicchat.client.memory import PlainMemory
from quicchat.errors import Code, LinkLost, Refused
from tests.client.depot import Depot, reached, within
from tests.client.test_files_down import content
from tests.client.test_files_sealed import SECRET, depot, key_for
from tests.server.house import play


def test_a_program_that_dies_while_it_opens(tmp_path: Path) -> None:
    """[14.7-2], [15.8-6]: half of it opened where it lay, nothing has its name; the next run fetches that again."""

    async def scenario() -> None:
        data = content(1_000_000)
        key, memory, here = key_for(data), PlainMemory(), Depot()
        parcel = sealed(data, SECRET)
        async with depot([key], memory, here) as (alice, _):
            here.share(parcel)
            transfer = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path), streams=1)
            await reached(lambda: transfer.done >= 900_000)
        with pytest.raises(LinkLost):
            await transfer.finished()
        with (tmp_path / "my photo.jpg.part").open("r+b") as part:
            part.write(data[:500_000])
        async with depot([], memory, here) as (alice, _):
            again = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path))
            await again.finished()
            assert 300_000 < again.resumed < 500_000
            assert within(tmp_path) == {"my photo.jpg": data}

    play(scenario)


def test_a_disk_that_fails_while_it_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.8-6], [14.7-2]: nothing has the name, and another run fetches what was opened, and no more than that."""

    async def scenario() -> None:
        data = content(1_300_001)
        key, here = key_for(data), Depot()
        put, broken = Part.put, True

        def fails(part: Part, offset: int, data: bytes | bytearray) -> None:
            if broken and all(part.marks) and offset:
                raise OSError(5, "Input/output error")
            put(part, offset, data)

        monkeypatch.setattr(Part, "put", fails)
        async with depot([key], here=here) as (alice, _):
            here.share(sealed(data, SECRET))
            transfer = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path))
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.STORE_UNAVAILABLE
            assert sorted(within(tmp_path)) == ["my photo.jpg.part", "my photo.jpg.part.map"]
        broken = False
        async with depot([key], here=here) as (alice, _):
            again = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path))
            await again.finished()
            assert within(tmp_path) == {"my photo.jpg": data}
            assert 200_000 < again.resumed < 400_000

    play(scenario)


@pytest.mark.parametrize("wish", ["pause", "cancel", "leave"])
def test_whoever_stops_it_does_not_wait_until_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    """[14.7-2], [15.8-6]: it is opened step by step; a pause goes on with it, another run with what is true."""

    async def scenario() -> None:
        data = content(1_300_001)
        key, here = key_for(data), Depot()
        monkeypatch.setattr(part_module, "_STEP", 100_000)
        async with depot([key], here=here) as (alice, _):
            here.share(sealed(data, SECRET))
            transfer = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path))
            touch, steps = transfer.touch, asyncio.Event()

            def touched() -> None:
                touch()
                if transfer.state is Phase.VERIFYING:
                    # In the middle of a step, as far as anybody can be.
                    steps.set()
                    if wish == "pause" and not transfer.held:
                        transfer.pause()
                    elif wish == "cancel":
                        transfer.cancel()

            monkeypatch.setattr(transfer, "touch", touched)
            await steps.wait()
            if wish == "pause":
                await asyncio.sleep(1)
                assert transfer.state is Phase.PAUSED
                assert sorted(within(tmp_path)) == ["my photo.jpg.part", "my photo.jpg.part.map"]
                monkeypatch.undo()
                transfer.resume()
                await transfer.finished()
                assert (transfer.done, sum(here.served.values())) == (1_300_001, len(here.served))
        if wish == "cancel":
            assert within(tmp_path) == {}
        elif wish == "leave":
            assert sorted(within(tmp_path)) == ["my photo.jpg.part", "my photo.jpg.part.map"]
            async with depot([key], here=here) as (alice, _):
                again = alice.files.get(Wanted(key.file, ""), FolderTarget(tmp_path))
                await again.finished()
                assert 1_000_000 < again.resumed < 1_300_000
        assert within(tmp_path) == ({} if wish == "cancel" else {"my photo.jpg": data})

    play(scenario)
