"""How the SQLite store finds its rows: by an index, always."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from quicchat.server.adapters.store_sqlite import SqliteStore, open_store
from quicchat.server.model import Word
from quicchat.wire import leaves
from quicchat.wire.chapters.messages import WHOLE, Kind, Window
from quicchat.wire.names import Room
from tests.server.sealing import given, key_of, key_post, signed
from tests.server.stores import (
    ALICE,
    BOB,
    HALL,
    LAPTOP,
    PHONE,
    PLENTY,
    cid,
    credentials,
    make,
    moderate,
    offer,
    post,
    refusal,
    run,
    say,
    sign_up,
    upload,
)

#: What is read from end to end, but for what is small: arguments, results of a limit, and the index of words.
SCANS = "SCAN (?!asked|few|said|store|words VIRTUAL|garbage|pragma|[0-9 ]*CONSTANT)"


class Watched(sqlite3.Connection):
    """Keeps what it is told."""

    told: ClassVar[list[str]] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.told.append(sql)
        return super().execute(sql, parameters)


async def talk_about(store: SqliteStore) -> None:
    """All that is about what was said before."""
    parts = (Word(parts=("hello",)),)
    abouts: tuple[dict[str, Any], ...] = (
        {"kind": Kind.EDIT, "refs": (3,), "attachments": ((bytes(32), 10_000, WHOLE, "", 0),)},
        {"kind": Kind.PIN, "refs": (3,)},
    )
    for fields in abouts:
        await refusal(store.log.append(HALL, ALICE, PHONE, post(**fields), at=1))
    await store.log.search(ALICE, parts, room=HALL, after=None, limit=9, budget=PLENTY)
    await store.log.append(HALL, ALICE, PHONE, post("", kind=Kind.RETRACT, refs=(3,)), at=1)
    await store.log.search(ALICE, parts, room=None, after=None, limit=9, budget=PLENTY)
    await store.log.progress(HALL, ALICE)
    await store.log.holding(HALL, 1)
    await store.log.targets(ALICE, after=None, limit=9)
    await store.log.receipt(HALL, BOB, PHONE, delivered=9, read=9, at=1)
    await store.log.receipt(HALL, BOB, PHONE, delivered=9, read=9, at=1)


async def share(store: SqliteStore) -> None:
    """All that is done with files, before one is named."""
    files = store.files
    for user in (ALICE, BOB):
        await offer(store, user, bytes(32), room=HALL)
    await offer(store, ALICE, leaves.of(b"")[0], 0, chunk=leaves.CHUNK)
    await offer(store, ALICE, b"1" * 32)
    await files.cancel(ALICE, b"1" * 32)
    for user in (ALICE, BOB):
        await files.received(user, await files.uploading(user, bytes(32)), at=1)
    await files.readable(BOB, bytes(32))
    await files.listed(HALL, ALICE, before=None, limit=9)
    await files.removed([each.place for each in await files.unused(before=2, limit=9)])
    await upload(store, ALICE, bytes(32))


async def come_and_go(store: SqliteStore, said: bytes) -> None:
    """All that is done with devices and their tokens."""
    assert await store.accounts.bearer(PHONE * 2, PHONE, at=1) == ALICE
    await store.accounts.gaps(ALICE, PHONE, have={HALL: (1, 1)}, outstanding=[said])
    await store.accounts.rotate(PHONE * 2, bytes(32), PHONE, "phone", expires=9, at=1)
    await store.accounts.seen(ALICE, PHONE, at=2)
    await store.accounts.devices(ALICE, limit=9)
    await store.accounts.revoke(ALICE, PHONE)


async def seal(store: SqliteStore) -> None:
    """All that is done with keys, and an event for one device."""
    keys = store.keys
    for user in (ALICE, BOB):
        await keys.publish(user, key_of(PHONE, 1), None, at=1)
        await keys.publish(user, key_of(PHONE, 1), signed(1, 1), at=1)
    for mark in (2, 3):
        await keys.publish(BOB, key_of(LAPTOP, mark), signed(mark, mark), at=1)
    await keys.of([(ALICE, 0), (BOB, 3)], budget=PLENTY)
    await keys.waiting(ALICE, at=1)
    await keys.concerned(ALICE)
    for generation, part in ((1, 0), (1, 1), (2, 0)):
        await keys.back_up(ALICE, generation, part, b"x", most=9)
    await keys.restore(ALICE, 0)
    for _ in range(2):
        await store.log.append(HALL, ALICE, PHONE, key_post(3, cid=bytes(16)), at=1)
    await store.log.append(Room("@alice,bob"), ALICE, PHONE, key_post(3), at=1)
    assert await given(store, HALL, BOB, LAPTOP) == [{3: b"packet 3"}]


def values(sql: str) -> list[None] | dict[str, None]:
    """Nothing for each parameter, by place or by name."""
    return dict.fromkeys(re.findall(r":(\w+)", sql)) or [None] * sql.count("?")


def test_no_question_reads_a_whole_table(tmp_path: Path) -> None:
    """D9, P7: every statement finds its rows by an index, so that none grows slow with the log."""
    store = open_store(tmp_path / "store.db", factory=Watched)

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await store.accounts.set_credentials(ALICE, credentials(2))
        await make(store, HALL, ALICE, BOB, policy=1)
        await say(store, Room("@alice,bob"), ALICE)
        await asyncio.gather(*(say(store, HALL, user) for user in (ALICE, BOB)))
        said = post(mentions=(BOB,))
        for _ in range(2):
            await store.log.append(HALL, ALICE, PHONE, said, at=1)
        await share(store)
        await seal(store)
        await talk_about(store)
        for device in (PHONE, LAPTOP):
            await store.log.receipt(HALL, ALICE, PHONE, delivered=1, read=1, at=1)
            await store.accounts.admit(ALICE, device, "", token=device * 2, expires=9, at=1)
        await come_and_go(store, said.cid)
        for window in Window:
            await store.log.page(HALL, ALICE, window=window, anchor=1, limit=9, budget=PLENTY)
        await store.rooms.listed(ALICE, after=None, limit=9)
        await store.rooms.members(HALL, ALICE, after=None, limit=9)
        await store.rooms.audible(ALICE)
        await store.rooms.neighbours(ALICE)
        await store.rooms.leave(HALL, BOB, cid=cid(), at=1)
        await moderate(store, HALL, ALICE, BOB)
        await store.close()

    Watched.told.clear()
    run(scenario())
    asked = {sql for sql in Watched.told if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)", sql)}
    assert len(asked) > 60
    with closing(sqlite3.connect(tmp_path / "store.db")) as scratch:
        for sql in asked:
            plan = scratch.execute("EXPLAIN QUERY PLAN " + sql, values(sql)).fetchall()
            assert [row[3] for row in plan if re.match(SCANS, row[3])] == [], sql
