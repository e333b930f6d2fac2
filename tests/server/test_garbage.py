"""Files that nobody needs any more: their bytes go, in the end, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from quicchat.errors import Code, Refused
from quicchat.server.adapters.blobs_memory import MemoryBlobs
from quicchat.server.adapters.clock import ManualClock
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import collect
from quicchat.server.model import UNNAMED, Quota, Upload
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Range
from quicchat.wire.names import GENERAL
from tests.server.stores import ALICE, PHONE, post, refusal, run, sign_up

DAY = 24 * 3600
QUOTA = Quota(size=1 << 30, files=1_000, uploads=500)


class Shaky(MemoryBlobs):
    """Refuses to remove anything as long as it is told to."""

    failure: Exception | None = None

    async def remove(self, upload: Upload) -> None:
        if self.failure is not None:
            raise self.failure
        await super().remove(upload)


class Place:
    """A store with blobs, and time that passes for the rounds."""

    def __init__(self) -> None:
        self.store, self.blobs, self.clock = MemoryStore(), Shaky(), ManualClock()

    @asynccontextmanager
    async def collected(self) -> AsyncIterator[None]:
        await sign_up(self.store, ALICE)
        rounds = asyncio.get_running_loop().create_task(collect(self.store.files, self.blobs, self.clock))
        yield
        rounds.cancel()
        await asyncio.wait([rounds])
        assert rounds.cancelled()

    async def upload(self, data: bytes) -> Upload:
        file, digests = leaves.of(data, 4_096)
        at = self.clock.now()
        upload = await self.store.files.offer(ALICE, file, len(data), 4_096, room=None, quota=QUOTA, at=at)
        sink = await self.blobs.begin(upload)
        await sink.put_leaves(digests)
        await sink.put(0, data)
        await self.store.files.received(ALICE, upload, at=at)
        return upload

    async def held(self, *uploads: Upload) -> list[Sequence[Range]]:
        return [await self.blobs.held(upload) for upload in uploads]

    async def wait(self, seconds: float) -> None:
        """Let time pass by the hour, so that every round is held."""
        while seconds > 0:
            step = min(3600.0, seconds)
            self.clock.advance(step)
            seconds -= step
            for _ in range(500):
                await asyncio.sleep(0)


def test_files_that_nobody_names_go_after_a_day() -> None:
    """Issue 4.2: what was uploaded and never named goes after 24 hours, however much; what is named stays."""

    async def scenario() -> None:
        place = Place()
        async with place.collected():
            idle = [await place.upload(b"%d" % number) for number in range(250)]
            named = await place.upload(b"named")
            attached = ((named.file, 5, "text/plain", "named.txt", 0),)
            await place.store.log.append(GENERAL, ALICE, PHONE, post(attachments=attached), at=place.clock.now())
            await place.wait(UNNAMED / 1000 - 60)
            assert all(await place.held(*idle, named))
            await place.wait(2 * 3600)
            assert not any(await place.held(*idle))
            assert await place.held(named) == [((0, 5),)]
            assert await refusal(place.store.files.readable(ALICE, idle[0].file)) is Code.NO_SUCH_FILE

    run(scenario())


@pytest.mark.parametrize("failure", [Refused(Code.STORE_UNAVAILABLE), ValueError("a bug")])
def test_what_cannot_be_removed_is_tried_again(caplog: pytest.LogCaptureFixture, failure: Exception) -> None:
    """D3, Q27: what fails leaves garbage behind, which the next round takes; nothing of it can be read meanwhile."""

    async def scenario() -> None:
        place = Place()
        async with place.collected():
            idle = await place.upload(b"idle")
            place.blobs.failure = failure
            await place.wait(DAY + 2 * 3600)
            assert await place.held(idle) == [((0, 4),)]
            assert await refusal(place.store.files.readable(ALICE, idle.file)) is Code.NO_SUCH_FILE
            place.blobs.failure = None
            await place.wait(3600)
            assert await place.held(idle) == [()]

    run(scenario())
    assert "cannot remove unused files" in caplog.text
