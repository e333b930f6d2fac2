"""What every store promises of what can be searched."""

from __future__ import annotations

from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_sqlite import search
from quicchat.server.model import Finds
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.codec import decode_body
from quicchat.wire.names import GENERAL, Room, User
from quicchat.wire.search import wanted
from tests.server.stores import (
    ALICE,
    BOB,
    FILE,
    HALL,
    PHONE,
    PLENTY,
    Store,
    cid,
    make,
    name,
    post,
    refusal,
    run,
    say,
    sign_up,
    upload,
)

DIRECT = Room("@alice,bob")


async def find(store: Store, user: User, words: str, room: Room | None = None, **bounds: Any) -> Finds:
    asked = {"after": None, "limit": 99, "budget": PLENTY, **bounds}
    return await store.log.search(user, wanted(words), room=room, **asked)


def read(found: Finds) -> list[str | None]:
    return [decode_body(Message, body, version=2).text for body in found.events]


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("tea", ["green tea!", "Tea time"]),
        ("TEA tIMe", ["Tea time"]),
        ("te*", ["ten o'clock", "green tea!", "Tea time"]),
        ("tea ti*", ["Tea time"]),
        ("o'clock", ["ten o'clock"]),
        ("clock'o", []),
        ("cafe", ["Caf\u00e9 cre\u0300me"]),
        ("cr\u00e8me", ["Caf\u00e9 cre\u0300me"]),
        ("a_file.txt", ["see a_file.txt"]),
        ("tea coffee", []),
        ('"tea" OR NOT', []),
        ("text:tea*", []),
        ("te", []),
        ("-tea", ["green tea!", "Tea time"]),
        ('tea"', ["green tea!", "Tea time"]),
        ("tea\0*", ["green tea!", "Tea time"]),
        ("place : r2e1", []),
        ("r2e1", []),
        ("mouse", ["mouse"]),
        ("joined", []),
    ],
)
def test_what_is_found(store: Store, words: str, texts: list[str]) -> None:
    """Log.search: all words, whole unless they end in *, newest first; no word has another meaning than its letters."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        for text in ("Tea time", "green tea!", "ten o'clock", "Caf\u00e9 cre\u0300me", "see a_file.txt", "cat"):
            await say(store, GENERAL, ALICE, text)
        await store.log.append(GENERAL, ALICE, PHONE, post("mouse", kind=Kind.EDIT, refs=(7,)), at=1)
        await store.log.append(GENERAL, ALICE, PHONE, post("tea", kind=Kind.REACT, refs=(7,)), at=1)
        assert read(await find(store, ALICE, words)) == texts

    run(scenario())


def test_only_ones_own_rooms_are_searched(store: Store) -> None:
    """Z1, Z2: NO_SUCH_ROOM for another's; nothing of rooms that one has left or is not in, or of an ended one."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, policy=1)
        for room in (GENERAL, HALL, DIRECT):
            await say(store, room, ALICE, f"tea in {room}")
        assert len(read(await find(store, ALICE, "tea"))) == 3
        assert set(read(await find(store, BOB, "tea"))) == {"tea in general", "tea in @alice,bob"}
        assert await refusal(find(store, BOB, "tea", HALL)) is Code.NO_SUCH_ROOM
        assert read(await find(store, ALICE, "tea", HALL)) == ["tea in hall"]
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await make(store, HALL, ALICE)
        assert read(await find(store, ALICE, "tea", HALL)) == []
        assert read(await find(store, User("nobody"), "tea")) == []

    run(scenario())


def test_finds_come_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7, D7: newest first in every room, without a double or a gap, also where the clock was set back; the index
    takes more than one slice, and goes on where it was."""
    monkeypatch.setattr(search, "SLICE", 7)

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        for number in range(40):
            await store.log.append(GENERAL, ALICE, PHONE, post(f"tea {number}"), at=(50 - number) * 1000)
        await store.log.append(DIRECT, BOB, PHONE, post("tea for two"), at=60_000)
        texts: list[str | None] = []
        after = None
        pages = 0
        while after is not None or not pages:
            found = await find(store, ALICE, "tea", after=after, limit=6)
            texts += read(found)
            after, pages = found.next, pages + 1
            if pages == 2:
                await store.log.append(GENERAL, ALICE, PHONE, post("tea later"), at=90_000)
        assert texts == ["tea for two", *(f"tea {number}" for number in reversed(range(40)))]
        assert pages == 7
        assert len(read(await find(store, ALICE, "tea", budget=1))) == 1
        assert await refusal(find(store, ALICE, "tea", after=b"?")) is Code.SCHEMA
        assert read(await find(store, ALICE, "later")) == ["tea later"]

    run(scenario())


def test_after_close_these_are_refused_too(store: Store) -> None:
    """Ports: Refused(STORE_UNAVAILABLE) once the store is closed."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await store.close()
        for asked in (
            store.log.append_many(ALICE, PHONE, [(GENERAL, post())], at=1),
            store.log.progress(GENERAL, ALICE),
            store.log.holding(GENERAL, 1),
            store.log.targets(ALICE, after=None, limit=1),
            find(store, ALICE, "tea"),
        ):
            assert await refusal(asked) is Code.STORE_UNAVAILABLE

    run(scenario())


def test_what_is_said_with_a_file_is_found(store: Store) -> None:
    """[6.8-1]: a message of the kind file, by its text."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await upload(store, ALICE)
        await name(store, DIRECT, ALICE, FILE)
        assert read(await find(store, BOB, "beginning")) == ["beginning"]
        assert read(await find(store, BOB, "txt")) == []

    run(scenario())
