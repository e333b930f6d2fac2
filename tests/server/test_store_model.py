"""The two stores, told the same, say the same: every method of every port, alone and many at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from quicchat.errors import Refused
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.wire.chapters.messages import Kind, Post, Window
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User
from tests.server.stores import Store, credentials

USERS = [User(name) for name in ("alice", "bob", "carol")]
DEVICES = [Device(bytes([number] * 16)) for number in range(2)]
ROOMS = [Room(name) for name in ("hall", "attic", GENERAL, ANNOUNCEMENTS, "@alice,bob", "@bob,alice", "@carol,carol")]
# Few choices a call: an example has room for many calls only where each costs little.
CIDS = [bytes([number] * 16) for number in range(60)]
POSTS = [
    Post(cid=CIDS[0], **fields)
    for fields in (
        {"text": "a"},
        {"text": "a", "kind": Kind.TEXT, "topic": "t"},
        {"text": "a", "kind": Kind.EMOTE},
        {"text": "", "reply": 3, "refs": (1, 2), "mentions": ("bob",), "sent": 2**53},
        {"text": "gr\u00fc\u00df " * 40, "expires": 1, "extra": {33: [1, b"x"]}},
        {"text": "b", "extra": {2 * number + 33: 0 for number in range(50)}},
    )
]

users, devices, cids = st.sampled_from(USERS), st.sampled_from(DEVICES), st.sampled_from(CIDS)
rooms = st.sampled_from(ROOMS + 3 * ROOMS[:1] + 3 * [GENERAL])
posts = st.builds(replace, st.sampled_from(POSTS), cid=cids)
times, places = st.integers(0, 9), st.integers(0, 12) | st.just(2**53)
maybe_places = st.none() | places
windows = st.sampled_from([*Window, Window.AROUND])


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a port's method, for both stores."""

    name: str
    make: Callable[[Store], Awaitable[Any]]
    admits: tuple[User, Device] | None = None

    def __repr__(self) -> str:
        return self.name


def receipts() -> st.SearchStrategy[Call]:
    return st.builds(_receipt, rooms, users, devices, maybe_places, maybe_places)


def talk() -> st.SearchStrategy[Call]:
    return st.builds(_append, rooms, users, devices, posts, times)


def changes() -> st.SearchStrategy[Call]:
    """Accounts and memberships, with arguments from small sets, so that they meet each other."""
    return st.one_of(
        st.builds(_sign_up, users, st.integers(1, 3), times),
        st.builds(_set_credentials, users, st.integers(1, 3)),
        st.builds(_admit, users, devices, times),
        st.builds(_create, rooms, users, st.sampled_from([0, EPHEMERAL]), cids, times),
        st.builds(_join, rooms, users, st.sampled_from([None, 0, EPHEMERAL]), cids, times),
        st.builds(_leave, rooms, users, cids, times),
    )


def _sign_up(user: User, mark: int, at: int) -> Call:
    return Call(f"sign_up {user}", lambda store: store.accounts.sign_up(user, credentials(mark), at=at))


def _set_credentials(user: User, mark: int) -> Call:
    return Call(f"set {user}", lambda store: store.accounts.set_credentials(user, credentials(mark)))


def _admit(user: User, device: Device, at: int) -> Call:
    return Call(
        f"admit {user} {device[0]}", lambda store: store.accounts.admit(user, device, "x", at=at), (user, device)
    )


def _create(room: Room, by: User, policy: int, cid: bytes, at: int) -> Call:
    return Call(
        f"create {room} {by} {policy}",
        lambda store: store.rooms.create(room, by, topic=f"of {by}", policy=policy, cid=cid, at=at),
    )


def _join(room: Room, user: User, make: int | None, cid: bytes, at: int) -> Call:
    return Call(f"join {room} {user} {make}", lambda store: store.rooms.join(room, user, make=make, cid=cid, at=at))


def _leave(room: Room, user: User, cid: bytes, at: int) -> Call:
    return Call(f"leave {room} {user}", lambda store: store.rooms.leave(room, user, cid=cid, at=at))


def _append(room: Room, user: User, device: Device, said: Post, at: int) -> Call:
    return Call(
        f"append {room} {user} {said.cid.hex()[:4]} {said.text!r}",
        lambda store: store.log.append(room, user, device, said, at=at),
    )


def _receipt(room: Room, user: User, device: Device, delivered: int | None, read: int | None) -> Call:
    return Call(
        f"receipt {room} {user} {device[0]} {delivered} {read}",
        lambda store: store.log.receipt(room, user, device, delivered=delivered, read=read),
    )


async def outcome(asked: Awaitable[Any]) -> Any:
    """What a call returned, or the code it was refused with."""
    try:
        found = await asked
    except Refused as refused:
        return refused.code
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
        for number, user in enumerate(sorted(known)):
            self.same(_sign_up(user, 1, 1).make)
            self.same(_join(ROOMS[0], user, EPHEMERAL, bytes([200 + number] * 16), 1).make)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.sqlite.close())
            self.runner.close()
            self.folder.cleanup()

    def same(self, make: Callable[[Store], Awaitable[Any]]) -> None:
        expected = self.runner.run(outcome(make(self.memory)))
        assert self.runner.run(outcome(make(self.sqlite))) == expected

    @rule(call=changes())
    def alone(self, call: Call) -> None:
        self.same(call.make)
        self.note(call)

    @rule(calls=st.lists(receipts(), min_size=2))
    def acknowledge(self, calls: list[Call]) -> None:
        for call in calls:
            self.same(call.make)

    def note(self, call: Call) -> None:
        if call.admits is not None:
            self.seen.add(call.admits)

    @rule(together=st.lists(talk() | talk() | receipts() | changes(), min_size=4, max_size=16))
    def at_once(self, together: list[Call]) -> None:
        """Asked in one turn of the loop: they share a transaction, and happen in the order in which they were asked."""

        async def burst(store: Store) -> list[Any]:
            return await asyncio.gather(*(outcome(call.make(store)) for call in together))

        # What `admit` answers is read after its transaction, and may show what was asked later.
        expected, found = (self.runner.run(burst(store)) for store in (self.memory, self.sqlite))
        for call, one, other in zip(together, expected, found, strict=True):
            self.note(call)
            if not call.name.startswith("admit") or not isinstance(one, list):
                assert one == other, call

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.sqlite.close())
        self.sqlite = open_store(self.path, readers=1)

    @rule(asked=st.lists(st.tuples(rooms, users, windows, places, st.integers(1, 6), st.integers(1, 900)), min_size=4))
    def pages(self, asked: list[tuple[Room, User, Window, int, int, int]]) -> None:
        for room, user, window, anchor, limit, budget in asked:
            limits = {"anchor": anchor, "limit": limit, "budget": budget}
            self.same(lambda store: store.log.page(room, user, window=window, **limits))  # noqa: B023 - called at once

    @rule(user=users, after=st.none() | rooms, room=rooms, past=st.none() | users, limit=st.integers(1, 3))
    def lists(self, user: User, after: Room | None, room: Room, past: User | None, limit: int) -> None:
        self.same(lambda store: store.rooms.listed(user, after=after, limit=limit))
        self.same(lambda store: store.rooms.members(room, user, after=past, limit=limit))

    @invariant()
    def equal(self) -> None:
        """One who could see anything of a room sees the same of it in both."""
        if hasattr(self, "runner"):
            expected, found = (self.runner.run(_state(store, self.seen)) for store in (self.memory, self.sqlite))
            assert found == expected


async def _state(store: Store, seen: set[tuple[User, Device]]) -> list[Any]:
    # A device that logged in before may do so again without changing anything.
    asks = [outcome(store.accounts.admit(user, device, "x", at=1)) for user, device in sorted(seen)]
    for user in USERS:
        asks += [outcome(store.accounts.credentials(user)), outcome(store.rooms.audible(user))]
        asks += [outcome(store.rooms.info(room, user)) for room in ROOMS]
    return await asyncio.gather(*asks)


#: P2, P3, P4, R1.6: after any calls, alone or at once, and after reopening, the same answers and refusals.
TestTwins = Twins.TestCase
TestTwins.settings = settings(stateful_step_count=20)
