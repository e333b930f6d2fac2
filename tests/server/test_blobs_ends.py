"""How an upload on a disk ends: made durable once, or gone without a trace."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.blobs_local import LocalBlobs, disk
from tests.server.stores import refusal, run
from tests.server.test_blobs_contract import CHUNK, DATA, LEAVES, OTHERS, UPLOAD, fill
from tests.server.test_blobs_local import files


def test_only_what_is_whole_is_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[14.4-8]: the end of a stream that leaves something missing asks nothing of the disk."""
    real, synced = os.fsync, 0

    def counted(number: int) -> None:
        nonlocal synced
        synced += 1
        real(number)

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        await fill(blobs, 0, 1, 2, 3)
        monkeypatch.setattr(os, "fsync", counted)
        for _ in range(3):
            assert await blobs.seal(UPLOAD) == ((4 * CHUNK, len(DATA) - 4 * CHUNK),)
        assert synced == 0
        await fill(blobs, 4)
        assert await blobs.seal(UPLOAD) == ()
        assert synced == 3
        await blobs.close()

    run(scenario())


def test_a_removed_upload_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[14.3-7], D3: also where its leaves are about to be kept by a thread that is slow."""
    about, go = threading.Event(), threading.Event()
    real = disk.Files._judged

    def slow(of: disk.Files) -> bool:
        about.set()
        go.wait()
        return real(of)

    async def scenario() -> None:
        blobs = LocalBlobs(tmp_path)
        sink = await blobs.begin(UPLOAD)
        monkeypatch.setattr(disk.Files, "_judged", slow)
        keeping = asyncio.ensure_future(refusal(sink.put_leaves(LEAVES)))
        await asyncio.to_thread(about.wait)
        removing = asyncio.ensure_future(blobs.remove(UPLOAD))
        await asyncio.to_thread(time.sleep, 0.05)
        go.set()
        await asyncio.gather(keeping, removing)
        sink.close()
        assert files(tmp_path) == {}
        late = await blobs.begin(OTHERS)
        await blobs.remove(OTHERS)
        assert await refusal(late.put_leaves(LEAVES)) is Code.NO_SUCH_FILE
        late.close()
        assert files(tmp_path) == {}
        await blobs.close()

    run(scenario())
