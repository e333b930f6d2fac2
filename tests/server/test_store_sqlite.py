"""What the SQLite store adds to the contract: group commit, prompt threads, reads beside writes, cheap questions."""

from __future__ import annotations

import asyncio
import ctypes
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_sqlite import SqliteStore, open_store
from quicchat.server.model import Stored
from quicchat.sqlite import writer
from quicchat.wire.chapters.messages import Window
from quicchat.wire.names import GENERAL
from tests.server.stores import (
    ALICE,
    BOB,
    HALL,
    PHONE,
    PLENTY,
    cid,
    make,
    post,
    refusal,
    run,
    say,
    shown,
    sign_up,
    whole_log,
)


class Watched(sqlite3.Connection):
    """Keeps what it is told, and waits before each COMMIT until `gate` is open; `arrived` tells that it does."""

    told: ClassVar[list[str]] = []
    arrived: ClassVar[threading.Event] = threading.Event()
    gate: ClassVar[threading.Event] = threading.Event()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.told.append(sql)
        if sql == "COMMIT":
            self.arrived.set()
            assert self.gate.wait(20)
        return super().execute(sql, parameters)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    Watched.told.clear()
    Watched.gate.set()
    opened = open_store(tmp_path / "store.db", factory=Watched)
    yield opened
    Watched.gate.set()
    run(opened.close())


def commits() -> int:
    return Watched.told.count("COMMIT")


@asynccontextmanager
async def stalled() -> AsyncIterator[None]:
    """A disk that does not finish any commit meanwhile."""
    Watched.arrived.clear()
    Watched.gate.clear()
    try:
        yield
    finally:
        Watched.gate.set()


async def started(*asks: Any) -> list[asyncio.Task[Any]]:
    """Tasks that have taken their first step."""
    tasks = [asyncio.create_task(ask) for ask in asks]
    await asyncio.sleep(0)
    return tasks


async def commit_begun() -> None:
    """Waits for a transaction that has come as far as its COMMIT since `stalled` began."""
    assert await asyncio.to_thread(Watched.arrived.wait, 20)


def test_nothing_is_acked_before_its_commit(store: SqliteStore) -> None:
    """D4: while the disk stalls no append is acked, the loop runs on and readers are answered."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        async with stalled():
            (task,) = await started(say(store, GENERAL, ALICE, "slow"))
            await commit_begun()
            assert await shown(store, GENERAL, ALICE) == (await shown(store, GENERAL, ALICE))[:1]
            assert (await store.rooms.info(GENERAL, ALICE)).head == 1
            assert not task.done()
        assert (await task).seq == 2
        assert (await store.rooms.info(GENERAL, ALICE)).head == 2

    run(scenario())


def test_what_waits_together_is_committed_together(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """D2: group commit: at most 64 a transaction, one hand-over to the loop each, futures done in queue order."""
    handed: list[object] = []
    done: list[int] = []

    def counted(loop: asyncio.AbstractEventLoop) -> None:
        call_soon_threadsafe = loop.call_soon_threadsafe

        def hand_over(callback: Any, *args: Any) -> asyncio.Handle:
            handed.append(callback)
            return call_soon_threadsafe(callback, *args)

        monkeypatch.setattr(loop, "call_soon_threadsafe", hand_over)

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        before = commits()
        async with stalled():
            tasks = await started(say(store, GENERAL, ALICE, "first"))
            await commit_begun()
            tasks += await started(*(say(store, GENERAL, (ALICE, BOB)[n % 2], f"{n}") for n in range(130)))
            for number, task in enumerate(tasks):
                task.add_done_callback(lambda _, number=number: done.append(number))  # type: ignore[misc]
            counted(asyncio.get_running_loop())
        messages = await asyncio.gather(*tasks)
        assert commits() - before == 1 + 3
        assert len(handed) == 1 + 3
        assert done == list(range(131))
        assert [message.seq for message in messages] == list(range(3, 134))

    run(scenario())


def test_who_writes_alone_waits_for_nobody(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """D2: a lone append is committed at once; after a crowd it waits one short slice, then learns better."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(writer, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))

    async def scenario() -> None:
        await sign_up(store, ALICE)
        before = commits()
        for _ in range(10):
            await say(store, GENERAL, ALICE)
        assert commits() - before == 10
        assert slept == []
        async with stalled():
            crowd = await started(*(say(store, GENERAL, ALICE) for _ in range(40)))
        await asyncio.gather(*crowd)
        slept.clear()
        for _ in range(10):
            await say(store, GENERAL, ALICE)
        assert len(slept) <= 1

    run(scenario())


def test_a_crowd_is_waited_for_five_milliseconds_at_most(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """D2: others who keep coming, one by one, do not keep the first waiting: the transaction closes after 5 ms."""
    clock = [0.0]

    async def scenario() -> None:
        await sign_up(store, ALICE)
        loop, queue = asyncio.get_running_loop(), store._writer._queue

        def sleep(seconds: float) -> None:
            clock[0] += seconds
            queue.put(writer._Work(writer.one_by_one, lambda _: None, loop.create_future()))

        monkeypatch.setattr(writer, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock[0]))
        store._writer._crowd = 60
        async with stalled():
            await started(say(store, GENERAL, ALICE))
            await commit_begun()
            assert 0.005 <= clock[0] < 0.006
            assert store._writer._crowd < 60
            store._writer._crowd = 1

    run(scenario())


def test_calls_happen_in_the_order_in_which_they_begin(store: SqliteStore) -> None:
    """P5: what one session starts, its first step enqueues; so nothing overtakes, whatever kinds of calls these are."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        outcomes = await asyncio.gather(
            refusal(say(store, HALL, BOB)),
            store.rooms.join(HALL, BOB, cid=cid(), at=1),
            say(store, HALL, BOB, "here"),
            store.rooms.leave(HALL, BOB, cid=cid(), at=1),
            refusal(say(store, HALL, BOB)),
            say(store, HALL, ALICE, "gone?"),
        )
        assert (outcomes[0], outcomes[4]) == (Code.NOT_MEMBER, Code.NOT_MEMBER)
        assert [text for *_, text in await shown(store, HALL, ALICE)] == [
            "alice joined",
            "bob joined",
            "here",
            "bob left",
            "gone?",
        ]

    run(scenario())


def test_a_reader_sees_what_was_acked(store: SqliteStore) -> None:
    """P4: whatever was acknowledged before a read was asked for is in it, on whichever connection it runs."""

    async def one(number: int) -> None:
        for _ in range(30):
            seq = (await say(store, GENERAL, ALICE)).seq
            page = await store.log.page(GENERAL, ALICE, window=Window.AFTER, anchor=seq - 1, limit=1, budget=PLENTY)
            assert page.head >= seq
            assert len(page.events) == 1
            (head,) = [head for head in await store.accounts.admit(ALICE, PHONE, "", at=1) if head.room == GENERAL]
            assert head.head >= seq

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await asyncio.gather(*map(one, range(6)))

    run(scenario())


def test_close_finishes_what_was_asked(tmp_path: Path) -> None:
    """C10: closing commits the queue first; what was acked is there after reopening, and the secret is the same."""

    async def scenario() -> list[Stored]:
        opened = open_store(tmp_path / "store.db")
        await sign_up(opened, ALICE)
        secrets.append(await opened.accounts.secret())
        tasks = await started(*(opened.log.append(GENERAL, ALICE, PHONE, post(), at=1) for _ in range(200)))
        await opened.close()
        assert all(task.done() for task in tasks)
        return [task.result() for task in tasks]

    async def afterwards() -> None:
        opened = open_store(tmp_path / "store.db")
        assert (await whole_log(opened, GENERAL, ALICE))[1:] == [each.message for each in stored]
        secrets.append(await opened.accounts.secret())
        await opened.close()

    secrets: list[bytes] = []
    stored = run(scenario())
    assert len(stored) == 200
    run(afterwards())
    assert secrets[0] == secrets[1]
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_who_gives_up_waiting_disturbs_nobody(store: SqliteStore) -> None:
    """P2: a cancelled append may be stored, once, and its retry learns so; a loop that ends takes nobody along."""
    said = post("again")

    async def scenario() -> None:
        await sign_up(store, ALICE)
        async with stalled():
            task, other = await started(
                store.log.append(GENERAL, ALICE, PHONE, said, at=1), say(store, GENERAL, ALICE, "other")
            )
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
        assert (await other).seq == 3
        assert (await store.log.append(GENERAL, ALICE, PHONE, said, at=1)).dup

    async def abandoned() -> None:
        Watched.gate.clear()
        await started(*(say(store, GENERAL, ALICE, f"left {number}") for number in range(3)))

    async def afterwards() -> None:
        Watched.gate.set()
        assert (await say(store, GENERAL, ALICE)).seq == 7
        assert len(await whole_log(store, GENERAL, ALICE)) == 7

    run(scenario())
    run(abandoned())
    run(afterwards())


def test_the_queue_is_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: while the disk stalls, what waits is bounded; beyond that STORE_UNAVAILABLE at once, and later it works."""
    monkeypatch.setattr(writer, "BACKLOG", 10)

    async def scenario() -> None:
        await sign_up(store, ALICE)
        async with stalled():
            tasks = await started(refusal(say(store, GENERAL, ALICE)))
            await commit_begun()
            tasks += await started(*(refusal(say(store, GENERAL, ALICE)) for _ in range(15)))
        assert await asyncio.gather(*tasks) == [None] * 11 + [Code.STORE_UNAVAILABLE] * 5
        assert (await say(store, GENERAL, ALICE)).seq == 13

    run(scenario())


def test_the_threads_of_the_store_are_prompt(store: SqliteStore) -> None:
    """P6, P7: both settings without which a saturated event loop starves them for seconds."""

    def slack(_: sqlite3.Connection) -> int:
        get_timer_slack = 30
        return int(ctypes.CDLL(None).prctl(get_timer_slack, 0, 0, 0, 0))

    async def scenario() -> None:
        assert await store._writer.do(lambda _: sys.getswitchinterval()) <= 2e-5
        if sys.platform == "linux":
            assert await store._writer.do(slack) == 1
            assert await store._reader.ask(slack) == 1

    run(scenario())


def test_a_loop_that_never_rests_does_not_starve_the_store(store: SqliteStore) -> None:
    """P6, P7: beside a saturated event loop lone appends and reads go on."""

    async def busy() -> None:
        while True:
            pause = time.perf_counter() + 50e-6
            while time.perf_counter() < pause:
                sum(range(20))
            await asyncio.sleep(0)

    async def scenario() -> float:
        await sign_up(store, ALICE)
        burner = asyncio.create_task(busy())
        began = time.perf_counter()
        for _ in range(25):
            await say(store, GENERAL, ALICE)
            await store.rooms.info(GENERAL, ALICE)
        burner.cancel()
        return time.perf_counter() - began

    assert run(scenario()) < 10


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    """A13, R0.8: the database and what lies beside it have mode 0600, also where it was made with another."""
    path = tmp_path / "store.db"
    for _ in range(2):
        opened = open_store(path)
        run(sign_up(opened, ALICE) if not path.stat().st_size else opened.accounts.is_empty())
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
        assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
        run(opened.close())
        path.chmod(0o644)
