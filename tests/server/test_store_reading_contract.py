"""What every store promises of how far people have come, and of what is unread."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.model import (
    BY_NAME,
    COUNTED,
    Progress,
    Receipts,
    Target,
    Unread,
)
from quicchat.wire.chapters.messages import Message, Window
from quicchat.wire.codec import decode_body
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Room, User
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    LAPTOP,
    PHONE,
    PLENTY,
    TABLET,
    Store,
    cid,
    credentials,
    make,
    post,
    refusal,
    run,
    say,
    sign_up,
)

DIRECT = Room("@alice,bob")


async def crowd(store: Store, size: int) -> list[User]:
    """So many accounts, all of them in `general`."""
    users = [User(f"user{number:04}") for number in range(size)]
    await asyncio.gather(*(store.accounts.sign_up(user, credentials(), at=1) for user in users))
    return users


def test_a_receipt_tells_what_it_moved(store: Store) -> None:
    """R4.12, R0.5: what others may see, and whose messages it is about; nothing when nothing moved."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        for sender in (ALICE, CAROL, ALICE):
            await say(store, GENERAL, sender)

        async def told(device: bytes, at: int, **places: Any) -> Any:
            return await store.log.receipt(GENERAL, BOB, device, at=at, **{"delivered": None, "read": None, **places})  # type: ignore[arg-type]

        moved = await told(PHONE, 7, delivered=4)
        assert (moved.own, moved.members) == (None, 3)
        assert moved.shown == Progress(user=BOB, delivered=4, read=1, at=7)
        assert moved.senders == {ALICE, CAROL}
        moved = await told(LAPTOP, 8, delivered=4)
        assert (moved.own, moved.shown, moved.senders) == (None, None, frozenset())
        moved = await told(LAPTOP, 9, delivered=6, read=5)
        assert moved.shown == Progress(user=BOB, delivered=6, read=5, at=9)
        assert moved.own == Unread(read=5, unread=1, mentions=0)
        assert moved.senders == {ALICE, CAROL}
        moved = await told(PHONE, 10, read=6)
        assert (moved.shown, moved.senders) == (Progress(user=BOB, delivered=6, read=6, at=10), {ALICE})
        assert await store.log.receipt(HALL, BOB, PHONE, delivered=1, read=1, at=1) is None

    run(scenario())


def test_what_is_read_privately_is_shown_to_nobody(store: Store) -> None:
    """Protocol 7.13: a private receipt moves what is unread to oneself, and nothing that others see."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await say(store, DIRECT, ALICE)
        moved = await store.log.receipt(DIRECT, BOB, PHONE, delivered=None, read=1, private=True, at=5)
        assert moved is not None
        assert (moved.own, moved.shown) == (Unread(read=1, unread=0, mentions=0), None)
        assert (await store.log.progress(DIRECT, ALICE)).people == (Progress(user=BOB, delivered=0, read=0, at=0),)
        moved = await store.log.receipt(DIRECT, BOB, PHONE, delivered=None, read=1, at=6)
        assert moved is not None
        assert (moved.own, moved.shown) == (None, Progress(user=BOB, delivered=0, read=1, at=6))

    run(scenario())


def test_the_cursor_waits_for_who_is_away(store: Store) -> None:
    """R4.13: how far the others have come, and since when, is there for whoever asks later; members only."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, BOB)
        await say(store, HALL, ALICE)
        await store.log.receipt(HALL, BOB, PHONE, delivered=3, read=2, at=9)
        assert await store.log.progress(HALL, ALICE) == Receipts(
            people=(Progress(user=BOB, delivered=3, read=2, at=9),)
        )
        assert await refusal(store.log.progress(HALL, CAROL)) is Code.NO_SUCH_ROOM
        await store.rooms.leave(HALL, BOB, cid=cid(), at=1)
        assert await store.log.progress(HALL, ALICE) == Receipts()

    run(scenario())


def test_larger_rooms_are_counted(store: Store) -> None:
    """Protocol 7.7: by name up to 32 members, then as a count of those who hold all."""

    async def scenario() -> None:
        users = await crowd(store, BY_NAME)
        seq = (await say(store, GENERAL, users[0])).seq
        for user in users[1:4]:
            await store.log.receipt(GENERAL, user, TABLET, delivered=seq, read=None, at=2)
        assert len((await store.log.progress(GENERAL, users[0])).people) == BY_NAME - 1
        await sign_up(store, ALICE)
        assert await store.log.progress(GENERAL, users[0]) == Receipts(count=0)
        assert await store.log.holding(GENERAL, seq) == 4  # ALICE's membership began behind it
        moved = await store.log.receipt(GENERAL, users[2], TABLET, delivered=seq + 1, read=None, at=3)
        assert moved is not None
        assert (moved.members, moved.senders) == (BY_NAME + 1, frozenset({ALICE}))
        assert await store.log.progress(GENERAL, users[0]) == Receipts(count=1)

    run(scenario())


def test_very_large_rooms_are_not_told(store: Store) -> None:
    """Protocol 7.7: above 1000 members nobody hears of receipts; they are stored all the same."""

    async def scenario() -> None:
        users = await crowd(store, COUNTED + 1)
        seq = (await say(store, GENERAL, users[0])).seq
        moved = await store.log.receipt(GENERAL, users[1], PHONE, delivered=seq, read=seq, at=2)
        assert moved is not None
        assert moved.shown is not None
        assert moved.senders == frozenset()
        assert await store.log.progress(GENERAL, users[0]) == Receipts()
        assert (await store.rooms.info(GENERAL, users[1])).read == seq

    run(scenario())


def test_senders_are_looked_for_within_bounds(store: Store) -> None:
    """P7: however far a receipt jumps, only the last messages before its places are looked at; leavers are left out."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, BOB, CAROL)
        await say(store, HALL, CAROL)
        await asyncio.gather(*(say(store, HALL, ALICE) for _ in range(100)))
        moved = await store.log.receipt(HALL, BOB, PHONE, delivered=104, read=None, at=1)
        assert moved is not None
        assert moved.senders == {ALICE}
        await say(store, HALL, CAROL)
        await store.rooms.leave(HALL, CAROL, cid=cid(), at=1)
        moved = await store.log.receipt(HALL, BOB, PHONE, delivered=106, read=None, at=1)
        assert moved is not None
        assert moved.senders == frozenset()

    run(scenario())


def test_mentions_are_counted_until_they_are_read(store: Store) -> None:
    """Protocol 7.9: for members whom somebody else named, each message once."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        posts = [post(mentions=names) for names in (("bob", "bob", "alice"), ("nobody",), None, ("bob",))]
        for each in posts:
            await store.log.append(GENERAL, ALICE, PHONE, each, at=1)
        for each in posts:
            assert (await store.log.append(GENERAL, ALICE, PHONE, each, at=1)).dup

        async def count(user: User) -> int:
            (target,) = [each for each in await store.log.targets(user, after=None, limit=9) if each.room == GENERAL]
            assert target.mentions == (await store.rooms.info(GENERAL, user)).mentions
            return target.mentions

        assert (await count(ALICE), await count(BOB)) == (0, 2)
        moved = await store.log.receipt(GENERAL, BOB, PHONE, delivered=None, read=4, at=1)
        assert moved is not None
        assert moved.own == Unread(read=4, unread=2, mentions=1)
        await store.log.receipt(GENERAL, BOB, PHONE, delivered=None, read=1, at=1)
        assert await count(BOB) == 1
        await store.log.receipt(GENERAL, BOB, PHONE, delivered=None, read=99, at=1)
        assert await count(BOB) == 0

    run(scenario())


def test_conversations_come_by_name_and_in_pages(store: Store) -> None:
    """Log.targets: rooms, direct messages and announcements of the user alone, with what is unread."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, BOB)
        await say(store, DIRECT, ALICE)
        await say(store, ANNOUNCEMENTS, BOB)
        expected = [
            Target(room=ANNOUNCEMENTS, epoch=1, head=1, read=0, unread=1, mentions=0),
            Target(room=DIRECT, epoch=1, head=1, read=1, unread=0, mentions=0),
            Target(room=GENERAL, epoch=1, head=3, read=1, unread=2, mentions=0),
        ]
        assert list(await store.log.targets(ALICE, after=None, limit=9)) == expected
        assert list(await store.log.targets(ALICE, after=ANNOUNCEMENTS, limit=1)) == expected[1:2]
        assert list(await store.log.targets(ALICE, after=GENERAL, limit=9)) == []

    run(scenario())


@pytest.mark.parametrize(
    ("anchor", "until", "limit", "places"),
    [(2, 5, 9, [3, 4]), (0, 3, 9, [1, 2]), (2, 9, 3, [3, 4, 5]), (9, 99, 9, [10]), (4, 5, 9, []), (5, 2, 9, [])],
)
def test_what_lies_between(store: Store, anchor: int, until: int, limit: int, places: list[int]) -> None:
    """P4, Log.page: above the anchor and below `until`, both left out, the nearest to the anchor first kept."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        for _ in range(9):
            await say(store, GENERAL, ALICE)
        bounds: dict[str, Any] = {"anchor": anchor, "until": until, "limit": limit, "budget": PLENTY}
        page = await store.log.page(GENERAL, ALICE, window=Window.BETWEEN, **bounds)
        assert [decode_body(Message, body, version=2).seq for body in page.events] == places

    run(scenario())
