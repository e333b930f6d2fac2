"""What every store promises of reading: pages without gaps, within limits, and cursors that only go forward."""

from __future__ import annotations

from typing import Any

import pytest

from quicchat.wire.chapters.messages import Message, Window
from quicchat.wire.codec import decode_body
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Room
from tests.server.stores import ALICE, BOB, HALL, PHONE, PLENTY, Store, cid, head_of, make, post, run, say, sign_up


@pytest.mark.parametrize(
    ("window", "anchor", "limit", "places"),
    [
        (Window.AFTER, 0, 3, [1, 2, 3]),
        (Window.AFTER, 8, 200, [9, 10]),
        (Window.AFTER, 10, 3, []),
        (Window.AFTER, 2**53, 3, []),
        (Window.BEFORE, 5, 3, [2, 3, 4]),
        (Window.BEFORE, 2**53, 2, [9, 10]),
        (Window.BEFORE, 1, 3, []),
        (Window.BEFORE, 0, 3, []),
        (Window.LATEST, 0, 3, [8, 9, 10]),
        (Window.LATEST, 0, 200, list(range(1, 11))),
        (Window.AROUND, 5, 1, [5]),
        (Window.AROUND, 5, 2, [5, 6]),
        (Window.AROUND, 5, 5, [3, 4, 5, 6, 7]),
        (Window.AROUND, 1, 4, [1, 2, 3, 4]),
        (Window.AROUND, 10, 4, [7, 8, 9, 10]),
        (Window.AROUND, 2**53, 2, [9, 10]),
        (Window.AROUND, 0, 2, [1, 2]),
    ],
)
def test_pages(store: Store, window: Window, anchor: int, limit: int, places: list[int]) -> None:
    """Log.page, P4: a page is a piece without gaps, the nearest to its anchor, ascending."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await make(store, HALL, ALICE)
        for _ in range(9):
            await say(store, HALL, ALICE)
        page = await store.log.page(HALL, ALICE, window=window, anchor=anchor, limit=limit, budget=PLENTY)
        assert [decode_body(Message, body, version=2).seq for body in page.events] == places
        assert (page.epoch, page.first, page.head) == (1, 1, 10)

    run(scenario())


@pytest.mark.parametrize(
    ("window", "sizes", "budget", "places"),
    [
        (Window.AFTER, [100, 100, 100], 450, [3, 4]),
        (Window.AFTER, [900, 100, 100], 450, [3]),
        (Window.AFTER, [100, 900, 100], 450, [3]),
        (Window.BEFORE, [100, 100, 100], 450, [4, 5]),
        (Window.LATEST, [100, 100, 900], 450, [5]),
        (Window.AROUND, [100, 100, 100], 450, [4, 5]),
        (Window.AROUND, [100, 900, 100], 450, [4]),
    ],
)
def test_pages_keep_to_a_budget(store: Store, window: Window, sizes: list[int], budget: int, places: list[int]) -> None:
    """D9, P7: a page holds no more bytes than asked for, but one event if there is any."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        for size in sizes:
            await say(store, GENERAL, ALICE, "x" * size)
        anchor = {Window.AFTER: 2, Window.BEFORE: 6, Window.LATEST: 0, Window.AROUND: 4}[window]
        page = await store.log.page(GENERAL, BOB, window=window, anchor=anchor, limit=200, budget=budget)
        assert [decode_body(Message, body, version=2).seq for body in page.events] == places

    run(scenario())


def test_receipts_go_forward_and_not_beyond_the_head(store: Store) -> None:
    """Rule 7.7, Log.receipt: monotone, clamped; `delivered` is the device's, `read` the user's."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        for _ in range(4):
            await say(store, GENERAL, ALICE)
        for delivered, read, held, seen in (
            (3, None, 3, 2),
            (None, 4, 3, 4),
            (1, 1, 3, 4),
            (0, 0, 3, 4),
            (2**53, 5, 6, 5),
            (6, 2**53, 6, 6),
        ):
            await store.log.receipt(GENERAL, BOB, PHONE, delivered=delivered, read=read, at=1)
            assert (await head_of(store, BOB, PHONE, GENERAL)).delivered == held
            assert (await store.rooms.info(GENERAL, BOB)).read == seen
        assert (await store.rooms.info(GENERAL, ALICE)).read == 1
        await say(store, ANNOUNCEMENTS, ALICE)
        await store.log.receipt(ANNOUNCEMENTS, BOB, PHONE, delivered=9, read=9, at=1)
        assert (await store.rooms.info(ANNOUNCEMENTS, BOB)).read == 1
        assert (await head_of(store, BOB, PHONE, ANNOUNCEMENTS)).delivered == 1

    run(scenario())


def test_own_posts_do_not_move_own_cursors(store: Store) -> None:
    """Log.append: the sender's device is not taken to hold what it sent, since other events may lie before it.
    What lies between is unread; where nothing does, what he said himself is read."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await say(store, GENERAL, ALICE)
        assert (await head_of(store, ALICE, PHONE, GENERAL)).delivered == 0
        assert (await store.rooms.info(GENERAL, ALICE)).read == 2
        await sign_up(store, BOB)
        await say(store, GENERAL, ALICE)
        assert (await store.rooms.info(GENERAL, ALICE)).read == 2
        await store.log.receipt(GENERAL, ALICE, PHONE, delivered=None, read=3, at=1)
        assert (await store.rooms.info(GENERAL, ALICE)).read == 4

    run(scenario())


def test_receipts_of_strangers_are_passed_over(store: Store) -> None:
    """Log.receipt: silent where the user is no member or there is no room."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        for room in (HALL, Room("nowhere")):
            await store.log.receipt(room, BOB, PHONE, delivered=1, read=1, at=1)
        await store.rooms.join(HALL, BOB, cid=cid(), at=1)
        assert (await head_of(store, BOB, PHONE, HALL)).delivered == 1

    run(scenario())


def test_however_much_was_missed_it_comes_page_by_page(store: Store) -> None:
    """D9, P7: thousands of messages, in pages that keep to their limits whatever is asked for; all, once, in order."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        many, limit, budget = 3_000, 200, 20_000
        posts = [(GENERAL, post("x" * (number % 300))) for number in range(many)]
        for start in range(0, many, 60):
            await store.log.append_many(ALICE, PHONE, posts[start : start + 60], at=1)
        places: list[int] = []
        while True:
            bounds: dict[str, Any] = {
                "anchor": places[-1] if places else 2,
                "until": many + 3,
                "limit": limit,
                "budget": budget,
            }
            page = await store.log.page(GENERAL, BOB, window=Window.BETWEEN, **bounds)
            if not page.events:
                break
            assert len(page.events) <= limit
            assert sum(map(len, page.events)) <= budget
            places += [decode_body(Message, body, version=2).seq for body in page.events]
        assert places == list(range(3, many + 3))

    run(scenario())
