"""Files: how fast they come and go, what they cost, what chat feels of it, and the same bytes by other programs."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.bench import others
from tests.bench.table import Row
from tests.e2e.parcels import content
from tests.processes import CHEAP, ServerProcess, status
from tests.visitors import Errand

#: Bytes of what is timed, and of what is weighed; the latter is a hole, which costs everybody else nothing.
SIZE = int(os.environ.get("QUICCHAT_BENCH_MIB", "256")) * 2**20
LARGE = 2**31
_LONG_AGO = (1_700_000_000, 1_700_000_000)


class Bench:
    """A server that shares a file, and a place for what comes of it."""

    def __init__(self, server: ServerProcess, home: Path) -> None:
        self.server = server
        self._home = home
        self._number = 0

    async def errand(self, do: str, then: str, **what: Any) -> tuple[dict[str, Any], float, int]:
        """What a client process said at the end, the server's CPU seconds, and the client's peak of memory."""
        self._number += 1
        home = self._home / f"{self._number}"
        home.mkdir(parents=True)
        what = {"timed": True, "into": str(home / "into"), **what}
        async with Errand(self.server, f"user{self._number}", home, do, **what) as run:
            await run.says("online")
            cpu = self.server.cpu()
            said = await run.says(then)
            used, peak = self.server.cpu() - cpu, status(run.pid, "VmHWM")
        for path in (home / "into").glob("*"):
            path.unlink()
        return said, used, peak

    async def carried(self, name: str, do: str = "get", /, **what: Any) -> Row:
        """Megabytes a second, and the CPU time that both ends took for it."""
        said, server, _ = await self.errand(do, "done", **{"name": "file.bin", **what})
        rate = SIZE / said["seconds"] / 1e6
        note = f"CPU s: server {server:.1f}, client {said['cpu']:.1f}, of {said['seconds']:.1f}"
        if what.get("mode") == "FAST":
            note += f"; {said['lost']} of {said['pieces']} pieces lost"
        return Row(name, rate, "MB/s", note)

    async def felt(self, name: str, do: str, **what: Any) -> Row:
        """Round trips of chat, on the connection that carries the file or without any."""
        said, _, _ = await self.errand(do, "pulse", pulse=True, name="file.bin", **what)
        return Row(name, said["p99"] * 1000, "ms p99", f"p50 {said['p50'] * 1000:.2f} ms, of {said['count']}")

    async def weighed(self) -> list[Row]:
        """The most memory that both ends held."""
        _, _, client = await self.errand("get", "done", name="large.bin")
        return [
            Row(f"peak memory for 2 GiB, {who}", size / 2**20, "MiB")
            for who, size in (("server", self.server.peak()), ("client", client))
        ]


async def _files() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        small, large = home / "shared" / "file.bin", home / "large" / "large.bin"
        for path in (small, large):
            path.parent.mkdir()
        small.write_bytes(content(SIZE, 1))
        with large.open("wb") as file:
            file.truncate(LARGE)
        for path in (small, large):
            os.utime(path, _LONG_AGO)
        # Each folder has a server of its own: what it hashes in the background is no part of any figure.
        with ServerProcess(home / "one", *CHEAP, "--share", str(large.parent)) as server:
            rows = await Bench(server, home / "visitors one").weighed()
        flags = (*CHEAP, "--share", str(small.parent))
        with ServerProcess(home / "two", *flags) as server:
            bench = Bench(server, home / "visitors two")
            rows += [
                await bench.carried("download, reliable"),
                await bench.carried("download, 4 streams", streams=4),
                await bench.carried("download, fast", mode="FAST"),
                await bench.carried("upload", "send", room="general", path=str(small)),
                await bench.felt("round trip, no file", "rest", seconds=3),
                await bench.felt("round trip beside a download", "get"),
                await bench.felt("round trip beside a fast one", "get", mode="FAST"),
            ]
        with ServerProcess(home / "three", *flags, module="tests.bench.narrow") as server:
            bench = Bench(server, home / "visitors three")
            rows += [
                await bench.carried("download, 1200-byte datagrams", jumbo=False),
                await bench.carried("fast, 1200-byte datagrams", mode="FAST", jumbo=False),
            ]
        return rows + _others(small, home)


def _others(file: Path, home: Path) -> list[Row]:
    rows = []
    what: tuple[tuple[str, Callable[[Path, Path], AbstractContextManager[others.Fetch | None]]], ...]
    what = (("curl over TLS", others.https), ("scp", others.ssh))
    for name, begin in what:
        place = home / name.split()[0]
        place.mkdir()
        with begin(file, place) as fetch:
            if fetch is None:
                continue
            start = time.perf_counter()
            fetch(place / "copy")
            rows.append(Row(f"the same by {name}", SIZE / (time.perf_counter() - start) / 1e6, "MB/s"))
    return rows


def rows() -> list[Row]:
    """All measurements of this module, once."""
    return asyncio.run(_files())
