"""The SQLite store: durable appends a second, how long one takes, both beside a busy loop; pages. (ARCHITECTURE)

Run by `make bench`, or alone, with a directory on the disk that is meant, for a tmpfs makes every commit free:

    STORE_BENCH_DIRECTORY=/var/tmp python -m tests.bench.bench_store
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from quicchat.server.adapters.store_sqlite import SqliteStore, open_store
from quicchat.server.model import Credentials
from quicchat.wire.chapters.messages import Post, Window
from quicchat.wire.names import GENERAL, Device, Room, User
from tests.bench.table import Row, medians

CREDENTIALS = Credentials(salt=bytes(16), iterations=4096, stored_key=bytes(32), server_key=bytes(32))
TEXT = "a" * 100
DIRECTORY = os.environ.get("STORE_BENCH_DIRECTORY", ".")
SECONDS = 2.0
_cids = itertools.count(1)


@asynccontextmanager
async def opened(users: int, rooms: int) -> AsyncIterator[tuple[SqliteStore, list[User], list[Room]]]:
    """A fresh store with users who are all in all of its rooms; `general` is the first."""
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as folder:
        store = open_store(Path(folder) / "store.db")
        names = [User(f"user{number}") for number in range(users)]
        for name in names:
            await store.accounts.sign_up(name, CREDENTIALS, at=1)
        made = [GENERAL, *(Room(f"room{number}") for number in range(1, rooms))]
        for room in made[1:]:
            await store.rooms.create(room, names[0], topic="", policy=0, cid=cid(), at=1)
            for name in names[1:]:
                await store.rooms.join(room, name, cid=cid(), at=1)
        try:
            yield store, names, made
        finally:
            await store.close()


def cid() -> bytes:
    """A fresh one, spread like random ones over the index."""
    return (next(_cids) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).to_bytes(16)


async def appending(store: SqliteStore, room: Room, user: User, number: int, until: float, took: list[float]) -> None:
    """One client: the next message as soon as the last is durable."""
    device = Device(number.to_bytes(16))
    while time.perf_counter() < until:
        began = time.perf_counter()
        await store.log.append(room, user, device, Post(room=room, cid=cid(), text=TEXT), at=1)
        took.append(time.perf_counter() - began)


async def burning(milliseconds: float) -> None:
    """A loop that never rests: pieces of work of this length, and the poll for sockets between them."""
    while True:
        until = time.perf_counter() + milliseconds / 1000
        while time.perf_counter() < until:
            sum(range(50))
        await asyncio.sleep(0)


async def appends(name: str, in_flight: int, *, rooms: int = 1, busy: float | None = None) -> Row:
    """So many clients, 8 users, 100 characters each time; `busy` is the length in ms of what fills the loop."""
    async with opened(8, rooms) as (store, users, made):
        burner = asyncio.create_task(burning(busy)) if busy is not None else None
        took: list[float] = []
        began, cpu = time.perf_counter(), time.process_time()
        clients = [
            appending(store, made[number % rooms], users[number % len(users)], number, began + SECONDS, took)
            for number in range(in_flight)
        ]
        await asyncio.gather(*clients)
        rate = len(took) / (time.perf_counter() - began)
        used = (time.process_time() - cpu) / len(took) * 1e6
        if burner is not None:
            burner.cancel()
    took.sort()
    p50, p99 = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.99))
    note = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {took[-1] * 1000:.1f} ms"
    return Row(name, rate, "/s", note if busy is not None else f"{note}, CPU {used:.0f} us each")


async def pages() -> Row:
    """Pages of 200 events, in a room of 10,000."""
    async with opened(2, 1) as (store, users, _):
        for _ in range(100):
            asks = [
                store.log.append(GENERAL, users[0], Device(bytes(16)), Post(room=GENERAL, cid=cid(), text=TEXT), at=1)
                for _ in range(100)
            ]
            await asyncio.gather(*asks)
        count, began = 0, time.perf_counter()
        while time.perf_counter() < began + SECONDS:
            anchor = count * 7919 % 9_800
            await store.log.page(GENERAL, users[1], window=Window.AFTER, anchor=anchor, limit=200, budget=60_000)
            count += 1
        return Row("pages of 200 events", count / (time.perf_counter() - began), "/s")


def rows() -> Iterator[Row]:
    """One run of everything."""
    yield asyncio.run(appends("append, alone", 1))
    yield asyncio.run(appends("64 in flight, 1 room", 64))
    yield asyncio.run(appends("64 in flight, 32 rooms", 64, rooms=32))
    yield asyncio.run(appends("256 in flight, 32 rooms", 256, rooms=32))
    for busy in (0.05, 1.0):
        yield asyncio.run(appends(f"alone, loop busy by {busy} ms", 1, busy=busy))
        yield asyncio.run(appends(f"64 in flight, loop busy by {busy} ms", 64, busy=busy))
    yield asyncio.run(pages())


if __name__ == "__main__":
    print("\n".join(medians([rows()])))
