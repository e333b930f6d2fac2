"""The SQLite store when statements about keys fail: what they are to do is done whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_sqlite import SqliteStore, open_store
from quicchat.server.model import Backup
from quicchat.wire.chapters.messages import Kind, Post
from quicchat.wire.chapters.rooms import ENCRYPTED
from tests.server.sealing import given, key_of, key_post, lists, signed
from tests.server.stores import (
    ALICE,
    BOB,
    HALL,
    LAPTOP,
    PHONE,
    PLENTY,
    cid,
    make,
    post,
    refusal,
    run,
    sign_up,
    whole_log,
)
from tests.server.test_store_faults import Faults


async def steps(store: SqliteStore, keys: Post, said: bytes) -> list[Code | None]:
    """BOB lists a second device, drops the first, and is given a key; ALICE makes a backup anew, and turns it on."""
    backup = [store.keys.back_up(ALICE, 2, part, b"new", most=99) for part in (0, 1)]
    return [
        await refusal(store.keys.publish(BOB, key_of(LAPTOP, 3), signed(2, 3), at=2)),
        await refusal(store.log.append(HALL, ALICE, PHONE, keys, at=2)),
        *[await refusal(each) for each in backup],
        await refusal(store.rooms.change(HALL, ALICE, policy=ENCRYPTED, cid=said, at=2)),
    ]


async def furnished(path: Path, faults: Faults) -> SqliteStore:
    store = open_store(path, readers=1, factory=faults.factory())
    await sign_up(store, ALICE, BOB)
    await make(store, HALL, ALICE, BOB)
    await lists(store, BOB, {PHONE: 2})
    for part in (0, 1):
        await store.keys.back_up(ALICE, 1, part, b"old", most=99)
    return store


async def whole(store: SqliteStore, outcomes: list[Code | None]) -> None:
    """What was acknowledged is there, and of what was refused nothing."""
    published, keyed, first, second, encrypted = outcomes
    (told,) = await store.keys.of([(BOB, 0)], budget=PLENTY)
    mark = 2 if published else 3
    assert (told.serial, told.certificates) == (1 if published else 2, (bytes([mark]) * 40,))
    events = await whole_log(store, HALL, ALICE)
    happened = [*([] if keyed else [Kind.KEY]), *([] if encrypted else [Kind.TOPIC])]
    assert sorted(each.kind for each in events) == sorted([Kind.JOIN, Kind.JOIN, *happened])
    assert await given(store, HALL, BOB, LAPTOP) == ([] if keyed else [{3: b"packet 3"}])
    assert (await store.rooms.info(HALL, BOB)).unread == (0 if encrypted else 1)
    expected = Backup(generation=1, count=2, data=b"old")
    if not first:
        expected = Backup(generation=2, count=1 if second else 2, data=b"new")
    assert await store.keys.restore(ALICE, 0) == expected


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_whichever_statement_about_keys_fails(tmp_path: Path, late: bool) -> None:
    """P1, P2, D3, [15.2-3], [15.5-3]: all or nothing, before and after the store is opened again; then all of it."""

    async def scenario(number: int) -> bool:
        faults, path = Faults(), tmp_path / f"{number}.db"
        store = await furnished(path, faults)
        keys, said = key_post(3), cid()
        faults.arm(number, lasting=False, late=late)
        outcomes = await steps(store, keys, said)
        struck = faults.told > 0
        faults.disarm()
        assert set(outcomes) <= {None, Code.STORE_UNAVAILABLE, Code.KEYS_STALE, Code.SCHEMA}
        assert struck == (outcomes != [None] * 5)
        await whole(store, outcomes)
        await store.close()
        store = open_store(path, readers=1)
        await whole(store, outcomes)
        await steps(store, keys, said)
        await whole(store, [None] * 5)
        assert await refusal(store.log.append(HALL, ALICE, PHONE, post(), at=1)) is Code.SEALED_ONLY
        await store.close()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return struck

    number = 1
    while run(scenario(number)):
        number += 1
    assert number > 30
