"""What every store promises, whichever it is: the docstrings of quicchat.server.ports, sentence by sentence."""

from __future__ import annotations

import asyncio

from quicchat.errors import Code
from quicchat.server.model import PRESENCE_ROOM, ROOMS_EACH, Head, Listed, RoomInfo
from quicchat.wire.chapters.messages import Kind, Window
from quicchat.wire.chapters.rooms import EPHEMERAL, Rank
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
    head_of,
    make,
    post,
    refusal,
    run,
    say,
    shown,
    sign_up,
    whole_log,
)


def test_a_new_store_has_standing_rooms_and_nobody(store: Store) -> None:
    """Accounts.is_empty, Accounts.secret: 32 bytes that stay the same."""

    async def scenario() -> None:
        assert await store.accounts.is_empty()
        secret = await store.accounts.secret()
        assert len(secret) == 32
        await sign_up(store, ALICE)
        assert not await store.accounts.is_empty()
        assert await store.accounts.secret() == secret
        assert [listed.room for listed in await store.rooms.listed(ALICE, after=None, limit=9)] == [GENERAL]

    run(scenario())


def test_sign_up_enters_the_standing_rooms(store: Store) -> None:
    """Accounts.sign_up: a JOIN event in `general`, none in `*`; everybody is a member of both."""

    async def scenario() -> None:
        (alice,) = await store.accounts.sign_up(ALICE, credentials(), at=5)
        (bob,) = await store.accounts.sign_up(BOB, credentials(), at=6)
        assert (alice.message.seq, bob.message.seq) == (1, 2)
        assert (bob.message.room, bob.message.kind, bob.message.text) == (GENERAL, Kind.JOIN, "bob joined")
        assert (bob.message.sender, bob.message.ts, bob.message.epoch, bob.dup) == (BOB, 6, 1, False)
        assert await whole_log(store, GENERAL, BOB) == [alice.message, bob.message]
        assert await whole_log(store, ANNOUNCEMENTS, BOB) == []
        assert (await store.rooms.info(ANNOUNCEMENTS, BOB)).members == 2
        assert (await store.rooms.info(GENERAL, BOB)).members == 2
        assert list(await store.rooms.members(ANNOUNCEMENTS, BOB, after=None, limit=9)) == [ALICE, BOB]

    run(scenario())


def test_of_two_who_want_a_name_at_once_one_gets_it(store: Store) -> None:
    """R1.11: exactly one of two simultaneous sign-ups wins; the other changes nothing."""

    async def scenario() -> None:
        asks = [store.accounts.sign_up(ALICE, credentials(mark), at=1) for mark in (1, 2, 3)]
        assert await asyncio.gather(*map(refusal, asks)) == [None, Code.NAME_TAKEN, Code.NAME_TAKEN]
        assert await store.accounts.credentials(ALICE) == credentials(1)
        assert len(await whole_log(store, GENERAL, ALICE)) == 1
        assert list(await store.rooms.members(GENERAL, ALICE, after=None, limit=9)) == [ALICE]

    run(scenario())


def test_credentials_are_kept_and_replaced(store: Store) -> None:
    """R0.8: Accounts.credentials and set_credentials; NO_SUCH_USER where there is none."""

    async def scenario() -> None:
        assert await store.accounts.credentials(ALICE) is None
        assert await refusal(store.accounts.set_credentials(ALICE, credentials(2))) is Code.NO_SUCH_USER
        await sign_up(store, ALICE, BOB)
        await store.accounts.set_credentials(ALICE, credentials(2))
        assert await store.accounts.credentials(ALICE) == credentials(2)
        assert await store.accounts.credentials(BOB) == credentials(1)

    run(scenario())


def test_a_first_device_starts_before_its_users_membership(store: Store) -> None:
    """Accounts.admit, P4: it gets all since the user came, his own JOIN included; 0 in direct messages."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await say(store, GENERAL, ALICE)
        await say(store, ANNOUNCEMENTS, ALICE)
        await sign_up(store, BOB)
        direct = Room("@alice,bob")
        await say(store, direct, ALICE)
        assert await store.accounts.admit(BOB, PHONE, "phone", at=9) == (
            Head(room=ANNOUNCEMENTS, epoch=1, head=1, delivered=1),
            Head(room=direct, epoch=1, head=1, delivered=0),
            Head(room=GENERAL, epoch=1, head=3, delivered=2),
        )
        assert await refusal(store.accounts.admit(CAROL, PHONE, "phone", at=9)) is Code.NO_SUCH_USER

    run(scenario())


def test_a_new_device_starts_at_the_furthest_and_then_goes_its_own_way(store: Store) -> None:
    """Protocol 7.6: delivered cursors are per device."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        for _ in range(5):
            await say(store, GENERAL, ALICE)
        assert (await head_of(store, ALICE, PHONE, GENERAL)).delivered == 0
        assert (await head_of(store, ALICE, LAPTOP, GENERAL)).delivered == 0
        await store.log.receipt(GENERAL, ALICE, PHONE, delivered=4, read=None, at=1)
        assert (await head_of(store, ALICE, LAPTOP, GENERAL)).delivered == 0
        assert (await head_of(store, ALICE, TABLET, GENERAL)).delivered == 4
        await store.log.receipt(GENERAL, ALICE, PHONE, delivered=6, read=None, at=1)
        assert (await head_of(store, ALICE, TABLET, GENERAL)).delivered == 4
        assert (await head_of(store, ALICE, PHONE, GENERAL)).delivered == 6

    run(scenario())


def test_cursors_belong_to_one_user_and_one_membership(store: Store) -> None:
    """Accounts.admit: another user with the same device, and one's own earlier membership, have no part in it."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        await store.log.receipt(HALL, ALICE, PHONE, delivered=2, read=2, at=1)
        assert (await head_of(store, BOB, PHONE, HALL)).delivered == 1
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert HALL not in {head.room for head in await store.accounts.admit(ALICE, PHONE, "x", at=1)}
        await say(store, HALL, BOB)
        await store.rooms.join(HALL, ALICE, cid=cid(), at=1)
        assert (await head_of(store, ALICE, PHONE, HALL)).delivered == 4
        assert (await store.rooms.info(HALL, ALICE)).read == 5

    run(scenario())


def test_making_entering_and_leaving_are_events(store: Store) -> None:
    """R0.1, P3: a room's membership is part of its log, numbered like everything else."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        made = (await store.rooms.create(HALL, ALICE, topic="talk", policy=0, cid=b"c" * 16, at=7)).stored
        assert made is not None
        assert (made.message.cid, made.message.ts, made.message.room, made.message.seq) == (b"c" * 16, 7, HALL, 1)
        assert await refusal(store.rooms.create(HALL, BOB, topic="", policy=0, cid=cid(), at=7)) is Code.ROOM_EXISTS
        await say(store, HALL, ALICE, "hi")
        for event in (True, False):
            entered = await store.rooms.join(HALL, BOB, cid=cid(), at=8)
            assert (entered.stored is not None) == event
            assert entered.info == await store.rooms.info(HALL, BOB)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=9)
        assert await shown(store, HALL, BOB) == [
            (1, ALICE, Kind.JOIN, "alice joined"),
            (2, ALICE, Kind.TEXT, "hi"),
            (3, BOB, Kind.JOIN, "bob joined"),
            (4, ALICE, Kind.LEAVE, "alice left"),
        ]
        info = RoomInfo(
            room=HALL, topic="talk", policy=0, epoch=1, first=1, head=4, read=3, unread=1, members=1, rank=Rank.MEMBER
        )
        assert await store.rooms.info(HALL, BOB) == info

    run(scenario())


def test_joining_can_make_the_room(store: Store) -> None:
    """R2.18, Rooms.join: with `make` a room that is not there is made, with that policy."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        assert await refusal(store.rooms.join(HALL, ALICE, cid=cid(), at=1)) is Code.NO_SUCH_ROOM
        made = (await store.rooms.join(HALL, ALICE, make=EPHEMERAL, cid=cid(), at=1)).stored
        assert made is not None
        assert made.message.seq == 1
        await store.rooms.join(HALL, BOB, make=0, cid=cid(), at=1)
        info = await store.rooms.info(HALL, BOB)
        assert (info.policy, info.members, info.topic) == (EPHEMERAL, 2, "")

    run(scenario())


def test_what_nobody_may_leave_or_make(store: Store) -> None:
    """Rooms.leave, Rooms.create: standing rooms and direct messages are not left, and none is made."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        direct = Room("@alice,bob")
        await say(store, direct, ALICE)
        for room, code in (
            (GENERAL, Code.FORBIDDEN),
            (ANNOUNCEMENTS, Code.FORBIDDEN),
            (direct, Code.FORBIDDEN),
            (HALL, Code.NOT_MEMBER),
        ):
            assert await refusal(store.rooms.leave(room, ALICE, cid=cid(), at=1)) is code
        await make(store, HALL, BOB)
        assert await refusal(store.rooms.leave(HALL, ALICE, cid=cid(), at=1)) is Code.NOT_MEMBER
        for room, code in (
            (GENERAL, Code.ROOM_EXISTS),
            (ANNOUNCEMENTS, Code.ROOM_EXISTS),
            (direct, Code.FORBIDDEN),
            (Room("@alice,carol"), Code.FORBIDDEN),
        ):
            assert await refusal(store.rooms.create(room, ALICE, topic="", policy=0, cid=cid(), at=1)) is code
        assert await refusal(store.rooms.create(Room("r"), CAROL, topic="", policy=0, cid=cid(), at=1)) is (
            Code.NO_SUCH_USER
        )
        assert (await store.rooms.join(direct, ALICE, cid=cid(), at=1)).stored is None
        assert await refusal(store.rooms.join(direct, CAROL, cid=cid(), at=1)) is Code.NO_SUCH_ROOM

    run(scenario())


def test_an_ephemeral_room_ends_with_its_last_member(store: Store) -> None:
    """R2.22: it is gone for everybody; made again it has the next epoch and begins at 1 (protocol 7.4)."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB, policy=EPHEMERAL)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert await refusal(store.rooms.info(HALL, BOB)) is None
        await store.rooms.leave(HALL, BOB, cid=cid(), at=1)
        assert [listed.room for listed in await store.rooms.listed(BOB, after=None, limit=9)] == [GENERAL]
        assert await refusal(store.rooms.info(HALL, BOB)) is Code.NO_SUCH_ROOM
        assert await refusal(store.rooms.join(HALL, BOB, cid=cid(), at=1)) is Code.NO_SUCH_ROOM
        assert await refusal(say(store, HALL, BOB)) is Code.NOT_MEMBER
        again = (await store.rooms.create(HALL, BOB, topic="new", policy=0, cid=cid(), at=1)).stored
        assert again is not None
        assert (again.message.epoch, again.message.seq) == (2, 1)
        assert await whole_log(store, HALL, BOB) == [again.message]
        assert await head_of(store, BOB, PHONE, HALL) == Head(room=HALL, epoch=2, head=1, delivered=0)
        assert await refusal(store.rooms.info(HALL, ALICE)) is Code.NO_SUCH_ROOM

    run(scenario())


def test_another_room_outlives_its_members(store: Store) -> None:
    """Conflict C6: rooms are persistent unless they are made otherwise."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert Listed(room=HALL, members=0, topic="", joined=False) in await store.rooms.listed(
            BOB, after=None, limit=9
        )
        await store.rooms.join(HALL, BOB, cid=cid(), at=1)
        assert [seq for seq, *_ in await shown(store, HALL, BOB)] == [1, 2, 3]

    run(scenario())


def test_nobody_is_in_more_rooms_than_the_limit(store: Store) -> None:
    """Z6: LIMIT at 500 rooms, made or entered; direct messages do not count; leaving one makes place."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, BOB)
        await say(store, Room("@alice,bob"), BOB)
        rooms = [Room(f"room{number}") for number in range(ROOMS_EACH - 1)]
        await asyncio.gather(*(store.rooms.create(room, ALICE, topic="", policy=0, cid=cid(), at=1) for room in rooms))
        assert await refusal(store.rooms.join(HALL, ALICE, cid=cid(), at=1)) is Code.LIMIT
        assert await refusal(store.rooms.join(Room("new"), ALICE, make=0, cid=cid(), at=1)) is Code.LIMIT
        assert len(await store.accounts.admit(ALICE, PHONE, "x", at=1)) == ROOMS_EACH + 2
        await store.rooms.leave(rooms[0], ALICE, cid=cid(), at=1)
        assert await refusal(store.rooms.join(HALL, ALICE, cid=cid(), at=1)) is None

    run(scenario())


def test_rooms_are_listed_by_name_and_in_pages(store: Store) -> None:
    """R2.14, Rooms.listed: no direct messages, no announcements; `joined` is seen by the one who asks."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await say(store, Room("@alice,bob"), ALICE)
        await store.rooms.create(Room("zoo"), ALICE, topic="beasts", policy=0, cid=cid(), at=1)
        await make(store, Room("a-room"), BOB, ALICE)
        first = await store.rooms.listed(BOB, after=None, limit=2)
        assert list(first) == [
            Listed(room=Room("a-room"), members=2, topic="", joined=True),
            Listed(room=GENERAL, members=2, topic="", joined=True),
        ]
        assert list(await store.rooms.listed(BOB, after=GENERAL, limit=2)) == [
            Listed(room=Room("zoo"), members=1, topic="beasts", joined=False)
        ]
        assert list(await store.rooms.listed(BOB, after=Room("zoo"), limit=2)) == []

    run(scenario())


def test_members_are_told_to_members_only(store: Store) -> None:
    """Z1: the same answer for a room one is not in and for one that does not exist."""

    async def scenario() -> None:
        await sign_up(store, CAROL, ALICE, BOB)
        await make(store, HALL, BOB, ALICE)
        assert await store.rooms.members(HALL, BOB, after=None, limit=1) == {ALICE: Rank.MEMBER}
        assert await store.rooms.members(HALL, BOB, after=ALICE, limit=9) == {BOB: Rank.OWNER}
        for room in (HALL, Room("nowhere"), Room("@alice,bob")):
            assert await refusal(store.rooms.members(room, CAROL, after=None, limit=9)) is Code.NO_SUCH_ROOM
            assert await refusal(store.rooms.info(room, CAROL)) is Code.NO_SUCH_ROOM
            page = store.log.page(room, CAROL, window=Window.LATEST, anchor=0, limit=9, budget=PLENTY)
            assert await refusal(page) is Code.NO_SUCH_ROOM

    run(scenario())


def test_a_user_is_audible_in_small_rooms(store: Store) -> None:
    """Protocol 7.8: presence goes to rooms of at most 200 members, and not to direct messages."""

    async def scenario() -> None:
        users = [User(f"user{number}") for number in range(PRESENCE_ROOM)]
        await asyncio.gather(*(store.accounts.sign_up(user, credentials(), at=1) for user in users))
        await make(store, HALL, users[0], users[1])
        await say(store, Room("@user0,user1"), users[0])
        assert await store.rooms.audible(users[0]) == {GENERAL, ANNOUNCEMENTS, HALL}
        await sign_up(store, ALICE)
        assert await store.rooms.audible(users[0]) == {HALL}
        assert await store.rooms.audible(User("nobody")) == frozenset()
        assert await store.rooms.neighbours(users[0]) == {users[0]: 0, users[1]: 0}
        assert await store.rooms.neighbours(User("nobody")) == {}

    run(scenario())


def test_after_close_everything_is_refused(store: Store) -> None:
    """Ports: Refused(STORE_UNAVAILABLE) once the store is closed; closing twice is harmless."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await store.close()
        await store.close()
        for asked in (
            store.accounts.secret(),
            store.accounts.is_empty(),
            store.accounts.sign_up(BOB, credentials(), at=1),
            store.accounts.credentials(ALICE),
            store.accounts.set_credentials(ALICE, credentials()),
            store.accounts.admit(ALICE, PHONE, "x", at=1),
            store.accounts.bearer(bytes(32), PHONE, at=1),
            store.accounts.gaps(ALICE, PHONE, have={}, outstanding=[]),
            store.accounts.rotate(bytes(32), bytes(32), PHONE, "", expires=1, at=1),
            store.accounts.seen(ALICE, PHONE, at=1),
            store.accounts.devices(ALICE, limit=1),
            store.accounts.revoke(ALICE, PHONE),
            store.rooms.create(HALL, ALICE, topic="", policy=0, cid=cid(), at=1),
            store.rooms.join(GENERAL, ALICE, cid=cid(), at=1),
            store.rooms.leave(HALL, ALICE, cid=cid(), at=1),
            store.rooms.listed(ALICE, after=None, limit=1),
            store.rooms.info(GENERAL, ALICE),
            store.rooms.members(GENERAL, ALICE, after=None, limit=1),
            store.rooms.audible(ALICE),
            store.rooms.neighbours(ALICE),
            store.log.append(GENERAL, ALICE, PHONE, post(), at=1),
            store.log.page(GENERAL, ALICE, window=Window.LATEST, anchor=0, limit=1, budget=1),
            store.log.receipt(GENERAL, ALICE, PHONE, delivered=1, read=1, at=1),
        ):
            assert await refusal(asked) is Code.STORE_UNAVAILABLE

    run(scenario())
