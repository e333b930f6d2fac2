"""What the tests of the shared folder share: a folder, a clock, and questions about it. (spec 14-files)"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from quicchat.server.adapters.clock import ManualClock
from quicchat.server.adapters.share_local import LocalShare, open_share
from quicchat.server.model import Shared

PHOTO = bytes(range(256)) * 2_000


class Place:
    """A shared folder, and a clock that is ten seconds ahead, so that nothing in it is new, unless told otherwise."""

    def __init__(self, home: Path, *, ahead: float = 10.0) -> None:
        self.folder = home / "SharedFiles"
        self.index = home / "shared.db"
        self.clock = ManualClock(time.time_ns() // 1_000_000 + round(ahead * 1000))
        self.share: LocalShare

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[Place]:
        async with open_share(self.folder, self.index, self.clock, **options) as self.share:
            yield self

    async def all(self) -> list[Shared]:
        """All that is there now."""
        self.clock.advance(1)
        return list(await self.share.listed(after=None, limit=10_000))

    async def names(self) -> list[str]:
        return [each.name for each in await self.all()]

    async def known(self) -> list[Shared]:
        """All that is there, once each is digested."""
        found = await self.all()
        while not all(each.file for each in found):
            await asyncio.to_thread(time.sleep, 0.01)
            found = await self.all()
        return found

    async def whole(self, name: str) -> bytes:
        """A file, as a client would get it."""
        found = await self.share.open(name, None)
        try:
            return await found.read(0, found.size)
        finally:
            found.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
