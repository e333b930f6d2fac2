"""The two stores, told the same, say the same: every method of every port, alone and many at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from quicchat.errors import Refused
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.server.model import Word
from quicchat.wire.chapters.messages import Window
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.names import Device, Room, User
from tests.server.calls import (
    DEVICES,
    FILES,
    ROOMS,
    USERS,
    WORDS,
    Call,
    ages,
    anything,
    arrival,
    changes,
    cids,
    collection,
    devices,
    join_of,
    keyed,
    places,
    rarely,
    receipts,
    rooms,
    sharing,
    sign_up_of,
    times,
    token_of,
    uploads,
    users,
    windows,
)
from tests.server.stores import Store


async def outcome(asked: Awaitable[Any]) -> Any:
    """What a call returned, or the code it was refused with."""
    try:
        found = await asked
    except Refused as refused:
        return refused.code
    if isinstance(found, dict):
        return list(found.items())
    return list(found) if isinstance(found, list | tuple) else found


class Twins(RuleBasedStateMachine):
    """The same calls for both stores, and the same questions after each."""

    @initialize(known=st.sets(users, min_size=2))
    def begin(self, known: set[User]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "store.db"
        self.runner = asyncio.Runner()
        self.memory, self.sqlite = MemoryStore(), open_store(self.path, readers=1)
        self.seen: set[tuple[User, Device]] = set()
        self.shared = 0
        for number, user in enumerate(sorted(known)):
            self.same(sign_up_of(user, 1, 1).make)
            self.same(join_of(ROOMS[0], user, EPHEMERAL, None, False, False, bytes([200 + number] * 16), 1).make)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.sqlite.close())
            self.runner.close()
            self.folder.cleanup()

    def same(self, make: Callable[[Store], Awaitable[Any]]) -> None:
        expected = self.runner.run(outcome(make(self.memory)))
        assert self.runner.run(outcome(make(self.sqlite))) == expected

    @rule(call=st.deferred(changes) | st.deferred(uploads))
    def alone(self, call: Call) -> None:
        self.same(call.make)
        self.note(call)

    @rule(calls=st.lists(st.deferred(receipts), min_size=2))
    def acknowledge(self, calls: list[Call]) -> None:
        for call in calls:
            self.same(call.make)

    def note(self, call: Call) -> None:
        if call.admits is not None:
            self.seen.add(call.admits)

    @rule(together=st.lists(st.deferred(anything), min_size=4, max_size=16))
    def at_once(self, together: list[Call]) -> None:
        """Asked in one turn of the loop: they share a transaction, and happen in the order in which they were asked."""

        async def burst(store: Store) -> list[Any]:
            return await asyncio.gather(*(outcome(call.make(store)) for call in together))

        # What these two answer is read after their transaction, and may show what was asked later.
        expected, found = (self.runner.run(burst(store)) for store in (self.memory, self.sqlite))
        for call, one, other in zip(together, expected, found, strict=True):
            self.note(call)
            if not call.name.startswith(("admit", "rotate")) or not isinstance(one, list):
                assert one == other, call

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.sqlite.close())
        self.sqlite = open_store(self.path, readers=1)

    @rule(
        asked=st.lists(
            st.tuples(rooms, users, windows, places, st.integers(1, 6), st.integers(1, 900), places), min_size=4
        )
    )
    def pages(self, asked: list[tuple[Room, User, Window, int, int, int, int]]) -> None:
        for room, user, window, anchor, limit, budget, until in asked:
            limits: dict[str, Any] = {"anchor": anchor, "limit": limit, "budget": budget, "until": until}
            for device in DEVICES[: 1 + limit % 2]:
                facts = {**limits, "device": device}
                self.same(lambda store: store.log.page(room, user, window=window, **facts))  # noqa: B023 - called at once

    @rule(user=users, words=st.sampled_from(WORDS), room=rooms, limit=st.integers(1, 3))
    def search(self, user: User, words: tuple[Word, ...], room: Room, limit: int) -> None:
        """In one room page by page in the same order; between rooms equal times may stand in any order."""
        self.same(lambda store: _paged(store, user, words, room, limit))
        self.same(lambda store: _all_found(store, user, words))

    @rule(asked=st.lists(st.tuples(users, st.integers(0, 3), rooms, st.tuples(st.booleans(), rarely)), min_size=3))
    def share(self, asked: list[tuple[User, int, Room, tuple[bool, bool]]]) -> None:
        for user, number, room, parts in asked:
            self.shared += 1
            for call in sharing(user, number, room, parts, b"shared" + self.shared.to_bytes(10)):
                self.same(call.make)

    @rule(asked=st.lists(st.tuples(users, users, devices, st.integers(1, 3), rooms), min_size=2, max_size=4))
    def seal(self, asked: list[tuple[User, User, Device, int, Room]]) -> None:
        """Devices are listed, and keys are given to them, in whatever rooms the two have in common."""
        for user, other, device, mark, room in asked:
            self.shared += 1
            for call in keyed(user, other, device, mark, room, 10 + self.shared):
                self.same(call.make)

    @rule(user=users, number=st.integers(0, 3), at=times)
    def arrive(self, user: User, number: int, at: int) -> None:
        self.same(arrival(user, number, at).make)

    @rule(room=rooms, user=users, before=st.none() | places, limit=st.integers(1, 4), age=ages, many=st.integers(1, 6))
    def files(self, room: Room, user: User, before: int | None, limit: int, age: int, many: int) -> None:
        self.same(lambda store: store.files.listed(room, user, before=before, limit=limit))
        self.same(collection(age, many).make)

    @rule(user=users, after=st.none() | rooms, room=rooms, past=st.none() | users, limit=st.integers(1, 3))
    def lists(self, user: User, after: Room | None, room: Room, past: User | None, limit: int) -> None:
        self.same(lambda store: store.rooms.listed(user, after=after, limit=limit))
        self.same(lambda store: store.rooms.members(room, user, after=past, limit=limit))
        self.same(lambda store: store.log.targets(user, after=after, limit=limit))
        self.same(lambda store: store.keys.concerned(user))
        self.same(lambda store: store.keys.of([(each, 1) for each in USERS], budget=300 * limit))
        self.same(lambda store: store.keys.restore(user, 0))

    @rule(
        user=users,
        device=devices,
        have=st.dictionaries(rooms, st.tuples(st.integers(1, 2), places)),
        asked=st.lists(cids, unique=True),
    )
    def missed(self, user: User, device: Device, have: dict[Room, tuple[int, int]], asked: list[bytes]) -> None:
        self.same(lambda store: store.accounts.gaps(user, device, have=have, outstanding=asked))
        for mark in (1, 2, 3):
            self.same(lambda store: store.accounts.bearer(token_of(user, device, mark), device, at=1))  # noqa: B023

    @invariant()
    def equal(self) -> None:
        """One who could see anything of a room sees the same of it in both."""
        if hasattr(self, "runner"):
            expected, found = (self.runner.run(_state(store, self.seen)) for store in (self.memory, self.sqlite))
            assert found == expected


async def _paged(store: Store, user: User, words: tuple[Word, ...], room: Room, limit: int) -> list[bytes]:
    found: list[bytes] = []
    after = None
    while True:
        page = await store.log.search(user, words, room=room, after=after, limit=limit, budget=1 << 20)
        found += page.events
        if (after := page.next) is None:
            return found


async def _all_found(store: Store, user: User, words: tuple[Word, ...]) -> list[bytes]:
    page = await store.log.search(user, words, room=None, after=None, limit=10_000, budget=1 << 30)
    return sorted(page.events)


async def _state(store: Store, seen: set[tuple[User, Device]]) -> list[Any]:
    asks = [outcome(store.accounts.gaps(user, device, have={}, outstanding=[])) for user, device in sorted(seen)]
    for user in USERS:
        asks += [outcome(store.accounts.credentials(user)), outcome(store.rooms.audible(user))]
        asks += [outcome(store.rooms.invitations(user))]
        asks += [outcome(store.rooms.info(room, user)) for room in ROOMS]
        asks += [outcome(store.rooms.neighbours(user)), outcome(store.accounts.devices(user, limit=9))]
        asks += [outcome(store.log.progress(room, user)) for room in ROOMS[:4]]
        asks += [outcome(store.log.targets(user, after=None, limit=99))]
        asks += [outcome(store.files.readable(user, file)) for file, _ in FILES]
        asks += [outcome(store.files.uploading(user, file)) for file, _ in FILES]
        asks += [outcome(store.files.listed(room, user, before=None, limit=99)) for room in ROOMS[:5]]
        asks += [outcome(store.keys.waiting(user, at=5)), outcome(store.keys.restore(user, 1))]
    asks += [outcome(store.keys.of([(user, 2) for user in USERS], budget=100_000))]
    asks += [outcome(store.log.holding(room, 4)) for room in ROOMS[:3]]
    return await asyncio.gather(*asks)


#: P2, P3, P4, R1.6: after any calls, alone or at once, and after reopening, the same answers and refusals.
TestTwins = Twins.TestCase
TestTwins.settings = settings(stateful_step_count=20)
