"""The SQLite store when things go wrong: failing statements, a full disk, a locked file, kill -9."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite import SqliteStore, open_store
from quicchat.server.model import Stored
from quicchat.sqlite import database
from quicchat.wire.chapters.messages import Post, Window
from quicchat.wire.names import GENERAL, Room, User
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
    sign_up,
    whole_log,
)

#: How often the process is killed; each round goes on with the database of the last.
KILLS = int(os.environ.get("STORE_KILL_ROUNDS", "3"))


@dataclass(slots=True)
class Faults:
    """Fails the n-th statement from `arm` on, before or after it took effect: that one, or all until `disarm`."""

    left: int = 0
    lasting: bool = False
    late: bool = False
    armed: bool = False
    told: int = 0
    connections: list[sqlite3.Connection] = field(default_factory=list)

    def arm(self, number: int, *, lasting: bool, late: bool) -> None:
        self.left, self.lasting, self.late, self.armed, self.told = number, lasting, late, True, 0

    def disarm(self) -> None:
        self.armed = False

    def strikes(self) -> bool:
        if not self.armed:
            return False
        self.left -= 1
        struck = self.left == 0 or (self.lasting and self.left < 0)
        self.told += struck
        return struck

    def factory(self) -> type[sqlite3.Connection]:
        faults = self

        class Faulty(sqlite3.Connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                faults.connections.append(self)

            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if faults.strikes():
                    # SQLite reports a failed COMMIT or BEGIN only when it did not happen.
                    if faults.late and sql not in ("COMMIT", "BEGIN IMMEDIATE", "BEGIN"):
                        super().execute(sql, parameters)
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql, parameters)

        return Faulty


async def day(store: SqliteStore) -> tuple[list[Post], list[Stored | Code]]:
    """Much of what can happen, in two bursts; what was posted, and what became of it."""
    hall = [post(f"hall {number}") for number in range(3)]
    plain = [post(f"general {number}") for number in range(3)]
    direct = post("psst")
    posted = [*plain, *hall, plain[0], direct]
    asks = [
        *(store.log.append(GENERAL, ALICE, PHONE, each, at=1) for each in plain),
        store.rooms.join(HALL, BOB, cid=cid(), at=1),
        *(store.log.append(HALL, BOB, PHONE, each, at=1) for each in hall),
        store.log.append(GENERAL, ALICE, PHONE, plain[0], at=1),
        store.log.append(Room("@alice,bob"), BOB, PHONE, direct, at=1),
        store.rooms.leave(HALL, BOB, cid=cid(), at=1),
        store.log.receipt(GENERAL, BOB, PHONE, delivered=2, read=2, at=1),
    ]
    outcomes: list[Stored | Code] = []
    for burst in (asks[:6], asks[6:]):
        for found in await asyncio.gather(*burst, return_exceptions=True):
            code, found = getattr(found, "code", None), getattr(found, "stored", found)
            if isinstance(found, Stored):
                outcomes.append(found)
            elif isinstance(found, BaseException):
                assert code in (Code.STORE_UNAVAILABLE, Code.NOT_MEMBER), repr(found)
                outcomes.append(code)
    return posted, outcomes


async def checked_log(store: SqliteStore, room: Room, user: User) -> Counter[bytes]:
    """The cids of a log that has no gap and no double."""
    if await refusal(store.rooms.info(room, user)) is Code.NO_SUCH_ROOM:
        return Counter()
    events = await whole_log(store, room, user)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    cids = Counter(event.cid for event in events)
    assert set(cids.values()) == {1}
    return cids


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_whichever_statement_fails(tmp_path: Path, lasting: bool, late: bool) -> None:
    """P1, P2, P3: for every n, when the n-th statement fails, nothing acked is lost and nothing refused is stored."""

    async def scenario(number: int) -> bool:
        faults = Faults()
        path = tmp_path / f"{number}.db"
        store = open_store(path, readers=1, factory=faults.factory())
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        faults.arm(number, lasting=lasting, late=late)
        posted, outcomes = await day(store)
        struck = faults.told > 0
        faults.disarm()
        acked = {each.message.cid: each.message for each in outcomes if isinstance(each, Stored)}
        for reopened in (False, True):
            if reopened:
                await store.close()
                store = open_store(path, readers=1)
            logs = {room: await whole_log(store, room, ALICE) for room in (GENERAL, HALL)}
            held = Counter[bytes]()
            for room in (GENERAL, HALL, Room("@alice,bob")):
                held += await checked_log(store, room, ALICE)
            assert all(message in logs[Room(message.room)] for message in acked.values() if message.room in logs)
            assert {each.cid for each in posted} & set(held) == {each.cid for each in posted} & set(acked)
            assert set(acked) <= set(held)
        for each in posted[:3]:
            again = await store.log.append(GENERAL, ALICE, PHONE, each, at=1)
            assert again.dup == (each.cid in acked)
        await checked_log(store, GENERAL, ALICE)
        await store.close()
        return struck

    number = 1
    while run(scenario(number)):
        number += 1
    assert number > 25


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_whichever_question_fails(tmp_path: Path, lasting: bool) -> None:
    """Ports: a read that fails is refused STORE_UNAVAILABLE; the next ones are answered again."""

    async def scenario() -> None:
        faults = Faults()
        store = open_store(tmp_path / "store.db", readers=1, factory=faults.factory())
        await sign_up(store, ALICE)
        struck, number = True, 0
        while struck:
            number += 1
            faults.arm(number, lasting=lasting, late=False)
            page = store.log.page(GENERAL, ALICE, window=Window.AFTER, anchor=0, limit=9, budget=PLENTY)
            code = await refusal(page)
            struck = faults.told > 0
            assert code is (Code.STORE_UNAVAILABLE if struck else None)
            faults.disarm()
            assert len(await whole_log(store, GENERAL, ALICE)) == 1
        assert number > 4
        await store.close()

    run(scenario())


@asynccontextmanager
async def held_up(store: SqliteStore) -> AsyncIterator[None]:
    """The writer is in the middle of a transaction: what is asked meanwhile makes the next one."""
    entered, go = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        entered.set()
        assert go.wait(20)

    waiting = store._writer.do(wait)
    assert await asyncio.to_thread(entered.wait, 20)
    yield
    go.set()
    await waiting


def test_a_commit_that_fails_fails_all_of_its_batch(tmp_path: Path) -> None:
    """P1: an error at COMMIT refuses every operation of the transaction, and none of them is stored."""

    async def scenario() -> None:
        faults = Faults()
        store = open_store(tmp_path / "store.db", factory=faults.factory())
        await sign_up(store, ALICE)
        async with held_up(store):
            tasks = [asyncio.create_task(refusal(say(store, GENERAL, ALICE))) for _ in range(20)]
            await asyncio.sleep(0)
            # The first COMMIT, then BEGIN, the question for the places, INSERT, COMMIT.
            faults.arm(5, lasting=False, late=False)
        assert await asyncio.gather(*tasks) == [Code.STORE_UNAVAILABLE] * 20
        assert (await store.rooms.info(GENERAL, ALICE)).head == 1
        assert (await say(store, GENERAL, ALICE)).seq == 2
        await store.close()

    run(scenario())


def test_a_careless_operation_harms_itself_alone(tmp_path: Path) -> None:
    """P1: one that fails after it has written, with Refused or a bug, is undone; its neighbours are stored."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO account VALUES ('mallory', x'00', 1, x'00', x'00', 0)")

    def refuse(connection: sqlite3.Connection) -> None:
        write(connection)
        raise Refused(Code.LIMIT)

    def stumble(connection: sqlite3.Connection) -> None:
        write(connection)
        raise ZeroDivisionError

    async def scenario() -> None:
        store = open_store(tmp_path / "store.db")
        await sign_up(store, ALICE)
        async with held_up(store):
            tasks = [
                asyncio.ensure_future(ask)
                for ask in (
                    say(store, GENERAL, ALICE, "before"),
                    store._writer.do(refuse),
                    say(store, GENERAL, ALICE, "between"),
                    store._writer.do(stumble),
                    say(store, GENERAL, ALICE, "after"),
                )
            ]
            await asyncio.sleep(0)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(each, "seq", type(each)) for each in found] == [2, Refused, 3, ZeroDivisionError, 4]
        assert await store.accounts.credentials(User("mallory")) is None
        await store.close()

    run(scenario())


def test_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D3: STORE_UNAVAILABLE and rolled back, readers go on, and writes resume when there is space again;
    the log has a line at either end of it."""

    async def scenario() -> None:
        faults = Faults()
        store = open_store(tmp_path / "store.db", factory=faults.factory())
        writing = faults.connections[0]
        await sign_up(store, ALICE, BOB)
        ((pages,),) = writing.execute("PRAGMA page_count")
        writing.execute(f"PRAGMA max_page_count = {pages + 20}")
        said = [post("x" * 3_000) for _ in range(60)]
        outcomes = [await refusal(store.log.append(GENERAL, ALICE, PHONE, each, at=1)) for each in said[:20]]
        outcomes += await asyncio.gather(
            *(refusal(store.log.append(GENERAL, ALICE, PHONE, each, at=1)) for each in said[20:])
        )
        assert set(outcomes) == {None, Code.STORE_UNAVAILABLE}
        assert not writing.in_transaction
        held = {event.cid for event in await whole_log(store, GENERAL, BOB)}
        assert {each.cid for each in said} & held == {
            each.cid for each, code in zip(said, outcomes, strict=True) if code is None
        }
        writing.execute("PRAGMA max_page_count = 1000000")
        for each in said:
            again = await store.log.append(GENERAL, ALICE, PHONE, each, at=1)
            assert again.dup == (each.cid in held)
        assert len(await checked_log(store, GENERAL, BOB)) >= 62
        lines = [record.message for record in caplog.records]
        assert lines == ["store cannot write", "store works again"] * (len(lines) // 2)
        assert lines
        await store.close()

    run(scenario())


def test_a_file_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: writes are refused after a while, reads go on, and all is well when the other lets go."""
    monkeypatch.setattr(database, "BUSY_MS", 50)
    path = tmp_path / "store.db"

    async def scenario() -> None:
        store = open_store(path)
        await sign_up(store, ALICE)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asks = [refusal(say(store, GENERAL, ALICE)) for _ in range(3)]
            assert await asyncio.gather(*asks) == [Code.STORE_UNAVAILABLE] * 3
            assert (await store.rooms.info(GENERAL, ALICE)).head == 1
        assert (await say(store, GENERAL, ALICE)).seq == 2
        await store.close()

    run(scenario())


VICTIM = """
import asyncio, os, random, sys
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.server.model import Credentials
from quicchat.wire.chapters.messages import Post

KEYS = Credentials(salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))

async def talk(store, user, room, rng):
    while True:
        cid = rng.randbytes(16)
        text = "x" * int(rng.expovariate(1 / 700))
        stored = await store.log.append(room, user, bytes(16), Post(cid=cid, text=text), at=1)
        os.write(1, f"{room} {user} {cid.hex()} {stored.message.seq}\\n".encode())

async def main(path, seed):
    store = open_store(path)
    for user in ("ann", "ben", "cat"):
        if await store.accounts.credentials(user) is None:
            await store.accounts.sign_up(user, KEYS, at=1)
    rooms = ("general", "@ann,ben", "*")
    async with asyncio.TaskGroup() as group:
        for number in range(24):
            user, rng = ("ann", "ben", "cat")[number % 3], random.Random(f"{seed} {number}")
            room = rooms[number % 2] if user != "cat" else rooms[2]
            group.create_task(talk(store, user, room, rng))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.timeout(60 + 20 * KILLS)
def test_kill_minus_nine(tmp_path: Path) -> None:
    """D1, P1, P2, P3: killed at random while it appends; afterwards every acked row is there, once, without a gap."""
    path = tmp_path / "store.db"
    chance = random.Random(os.environ.get("STORE_KILL_SEED", "7"))
    acked: dict[tuple[str, bytes], tuple[str, int]] = {}
    for number in range(KILLS):
        for line in _killed(path, f"{chance.random()}", chance.randrange(1, 4_000)):
            room, user, said, seq = line.split()
            acked[user, bytes.fromhex(said)] = (room, int(seq))
        run(_verified(path, acked))
        assert len(acked) > number


def _killed(path: Path, seed: str, lines: int) -> list[str]:
    """Run the victim until it has acked so many lines, kill it, and return all that it acked in full."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path), seed],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as victim:
        assert victim.stdout is not None
        found = [line for line, _ in zip(victim.stdout, range(lines), strict=False)]
        victim.send_signal(signal.SIGKILL)
        found += victim.stdout.readlines()
    assert victim.returncode == -signal.SIGKILL
    return [line.decode() for line in found if line.endswith(b"\n")]


async def _verified(path: Path, acked: dict[tuple[str, bytes], tuple[str, int]]) -> None:
    store = open_store(path)
    found: dict[tuple[str, bytes], tuple[str, int]] = {}
    for room, user in ((GENERAL, "ann"), (Room("@ann,ben"), "ann"), (Room("*"), "cat")):
        if await refusal(store.rooms.info(room, User(user))) is None:
            await checked_log(store, room, User(user))
            for event in await whole_log(store, room, User(user)):
                assert (event.sender, event.cid) not in found
                found[event.sender, event.cid] = (room, event.seq)
    await store.close()
    assert acked.items() <= found.items()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
