"""The SQLite store when statements fail: what takes several of them happens whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_sqlite import SqliteStore, open_store
from quicchat.server.model import Word
from quicchat.wire.chapters.messages import WHOLE, Kind, Post
from quicchat.wire.names import GENERAL
from tests.server.stores import ALICE, BOB, PHONE, PLENTY, offer, post, refusal, run, sign_up, upload, whole_log
from tests.server.test_store_faults import Faults, checked_log

FILE = b"file" * 8
WORDS = (Word(parts=("hello",)),)


def conversation() -> tuple[Post, ...]:
    """Three messages sent together, a correction of the first with a long text, and the first taken back."""
    return (
        post(mentions=(BOB,)),
        post("hello again"),
        post("x"),
        post("hello", kind=Kind.EDIT, refs=(3,), attachments=((FILE, 3_000, WHOLE, "", 0),)),
        post("", kind=Kind.RETRACT, refs=(3,)),
    )


async def steps(store: SqliteStore, posts: Sequence[Post]) -> list[Code | None]:
    """All of it, one after the other; what each step was refused with."""
    *many, correction, back = posts
    return [
        await refusal(offer(store, ALICE, FILE, 3_000)),
        await refusal(upload(store, ALICE, FILE, 3_000)),
        await refusal(store.log.append_many(ALICE, PHONE, [(GENERAL, each) for each in many], at=1)),
        await refusal(store.log.append(GENERAL, ALICE, PHONE, correction, at=1)),
        await refusal(store.log.receipt(GENERAL, BOB, PHONE, delivered=4, read=2, at=1)),
        await refusal(store.log.search(BOB, WORDS, room=None, after=None, limit=9, budget=PLENTY)),
        await refusal(store.log.append(GENERAL, ALICE, PHONE, back, at=1)),
    ]


async def check_end(store: SqliteStore, posts: Sequence[Post]) -> None:
    """After a second try all is as if nothing had failed; only what came too late for its target is missing."""
    again = await steps(store, posts)
    assert again[2:3] + again[4:] == [None] * 4
    assert again[3] in (None, Code.NO_SUCH_MESSAGE)
    events = await whole_log(store, GENERAL, ALICE)
    assert sorted(each.kind for each in events if each.text) == [Kind.TEXT, Kind.TEXT, Kind.JOIN, Kind.JOIN]
    assert (await store.rooms.info(GENERAL, BOB)).mentions == 0
    found = await store.log.search(BOB, WORDS, room=None, after=None, limit=9, budget=PLENTY)
    assert len(found.events) == 1
    await checked_log(store, GENERAL, ALICE)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_whichever_statement_of_the_rest_fails(tmp_path: Path, late: bool) -> None:
    """P1, P2, D3: many posts, taking back, receipts, files, the index: what was acknowledged is there, once; what
    was refused left nothing and can be done again."""

    async def scenario(number: int) -> bool:
        faults = Faults()
        path = tmp_path / f"{number}.db"
        store = open_store(path, readers=1, factory=faults.factory())
        await sign_up(store, ALICE, BOB)
        posts = conversation()
        faults.arm(number, lasting=False, late=late)
        outcomes = await steps(store, posts)
        struck = faults.told > 0
        faults.disarm()
        assert set(outcomes) <= {None, Code.STORE_UNAVAILABLE, Code.NO_SUCH_FILE, Code.NO_SUCH_MESSAGE}
        assert struck == (outcomes != [None] * 7)
        cids = await checked_log(store, GENERAL, ALICE)
        assert [each.cid in cids for each in posts] == [outcomes[step] is None for step in (2, 2, 2, 3, 6)]
        await store.close()
        store = open_store(path, readers=1)
        assert await checked_log(store, GENERAL, ALICE) == cids
        await check_end(store, posts)
        await store.close()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return struck

    number = 1
    while run(scenario(number)):
        number += 1
    assert number > 60
