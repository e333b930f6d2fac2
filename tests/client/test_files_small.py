"""Small files: leaves and bytes over one stream, and nothing believed that is not proved."""

from __future__ import annotations

import asyncio
from pathlib import Path

from quicchat.client.files.targets import FolderTarget, Wanted
from tests.client.depot import within
from tests.client.test_files_down import content, depot
from tests.server.house import play


def test_a_small_file_takes_one_round_trip(tmp_path: Path) -> None:
    """Issue 4, item 3: leaves and bytes over one stream, believed no sooner than in two; what is said to be small and
    is not comes as any other."""

    async def scenario() -> None:
        async with depot(latency=1.0) as (alice, here, _):
            data = content(50_000)
            wanted = Wanted(here.share(data), "f", len(data))
            here.damaged[wanted.file or b"", 3] = 1
            await alice.files.get(wanted, FolderTarget(tmp_path), streams=1).finished()
            assert [each.leaves for each in here.gets] == [True, False]
            assert (here.gets[1].ranges or ())[0][0] == 3 * 4_096
            here.gets.clear()
            start = asyncio.get_running_loop().time()
            await alice.files.get(wanted, FolderTarget(tmp_path)).finished()
            assert len(here.gets) == 1
            assert asyncio.get_running_loop().time() - start < 4
            large = content(2_000_000)
            await alice.files.get(Wanted(here.share(large), "g", 10), FolderTarget(tmp_path)).finished()
            assert within(tmp_path) == {"f": data, "f (1)": data, "g": large}

    play(scenario)
