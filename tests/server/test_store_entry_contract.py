"""What every store promises about entering rooms: keys, invitations, one group at a time. (ports.Rooms)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from quicchat.errors import Code
from quicchat.server.model import INVITATIONS_EACH, Invitation
from quicchat.wire.chapters.rooms import EPHEMERAL, INVITE_ONLY, Rank
from quicchat.wire.names import Room, User
from tests.server.stores import ALICE, BOB, CAROL, HALL, Store, changes, cid, enters, make, rank, refusal, run, sign_up

DAVE = User("dave")


def test_a_room_with_a_key(store: Store, tmp_path: Path) -> None:
    """R0.2, Rooms.join: the key, an invitation or a MODERATOR's rank opens; only a digest is kept."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, CAROL)
        assert await changes(store, ALICE, secret="open sesame") is None
        for secret in (None, "", "open sesam", "open sesame "):
            assert await enters(store, BOB, secret=secret) is Code.FORBIDDEN
        assert await enters(store, BOB, secret="open sesame") is None
        assert await enters(store, CAROL) is None
        await rank(store, CAROL, Rank.MODERATOR)
        for user in (BOB, CAROL):
            await store.rooms.leave(HALL, user, cid=cid(), at=1)
        assert await enters(store, CAROL) is None
        await store.rooms.invite(HALL, BOB, CAROL, at=1)
        assert await enters(store, BOB) is None
        await store.rooms.leave(HALL, BOB, cid=cid(), at=1)
        assert await enters(store, BOB) is Code.FORBIDDEN
        assert await changes(store, ALICE, secret="") is None
        assert await enters(store, BOB) is None

    run(scenario())
    run(store.close())
    assert not [path for path in tmp_path.iterdir() if b"open sesame" in path.read_bytes()]


def test_only_a_member_is_told(store: Store) -> None:
    """[5.2-10], Rooms.join: with `member` who is in is told the room, and nobody enters, invited or not."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        await store.rooms.invite(HALL, BOB, ALICE, at=1)
        found = await store.rooms.join(HALL, ALICE, member=True, cid=cid(), at=1)
        assert (found.stored, found.info) == (None, await store.rooms.info(HALL, ALICE))
        for room in (HALL, Room("nowhere")):
            asked = store.rooms.join(room, BOB, make=0, member=True, cid=cid(), at=1)
            assert await refusal(asked) is Code.NOT_MEMBER
        # The invitation is still there.
        assert await enters(store, BOB) is None
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert await refusal(store.rooms.join(HALL, ALICE, member=True, cid=cid(), at=1)) is Code.NOT_MEMBER

    run(scenario())


def test_a_room_by_invitation_only(store: Store) -> None:
    """Z1, Rooms.join and listed: to who is neither in nor let in there is no such room; an invitation opens once."""

    async def listed(user: User, *, operator: bool = False) -> bool:
        found = await store.rooms.listed(user, after=None, limit=9, operator=operator)
        return HALL in {each.room for each in found}

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL, DAVE)
        await make(store, HALL, ALICE, BOB)
        assert await changes(store, ALICE, policy=INVITE_ONLY) is None
        assert [await listed(user) for user in (ALICE, BOB, CAROL)] == [True, True, False]
        assert await enters(store, CAROL) is Code.NO_SUCH_ROOM
        assert await refusal(store.rooms.join(HALL, CAROL, make=0, cid=cid(), at=1)) is Code.NO_SUCH_ROOM
        assert await refusal(store.rooms.invite(HALL, CAROL, BOB, at=1)) is Code.FORBIDDEN
        assert await store.rooms.invite(HALL, CAROL, ALICE, at=1)
        assert await listed(CAROL)
        assert await enters(store, CAROL) is None
        await store.rooms.leave(HALL, CAROL, cid=cid(), at=1)
        assert await enters(store, CAROL) is Code.NO_SUCH_ROOM
        assert not await listed(CAROL)
        await rank(store, BOB, Rank.MODERATOR)
        await store.rooms.leave(HALL, BOB, cid=cid(), at=1)
        assert await listed(BOB)
        assert await enters(store, BOB) is None
        assert await listed(DAVE, operator=True)
        assert await enters(store, DAVE, operator=True) is None

    run(scenario())


def test_invitations_wait_until_they_are_used(store: Store) -> None:
    """Rooms.invite, invitations: news only once; for members, and for outcasts, there is none; LIMIT."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, BOB)
        assert not await store.rooms.invite(HALL, BOB, ALICE, at=1)
        assert await refusal(store.rooms.invite(HALL, DAVE, ALICE, at=1)) is Code.NO_SUCH_USER
        assert await refusal(store.rooms.invite(HALL, BOB, CAROL, at=1)) is Code.NO_SUCH_ROOM
        assert [await store.rooms.invite(HALL, CAROL, by, at=1) for by in (BOB, BOB, ALICE)] == [True, False, False]
        assert list(await store.rooms.invitations(CAROL)) == [Invitation(room=HALL, by=BOB)]
        await store.rooms.join(HALL, CAROL, cid=cid(), at=1)
        assert list(await store.rooms.invitations(CAROL)) == []
        await rank(store, BOB, Rank.VISITOR)
        await store.rooms.leave(HALL, CAROL, cid=cid(), at=1)
        assert await refusal(store.rooms.invite(HALL, CAROL, BOB, at=1)) is Code.FORBIDDEN
        assert await store.rooms.invite(HALL, CAROL, ALICE, at=1)
        await rank(store, CAROL, Rank.OUTCAST)
        assert list(await store.rooms.invitations(CAROL)) == []
        assert await refusal(store.rooms.invite(HALL, CAROL, ALICE, at=1)) is Code.FORBIDDEN
        rooms = [Room(f"r{number:03}") for number in range(INVITATIONS_EACH + 1)]
        for room in rooms:
            await make(store, room, ALICE)
        for room in rooms[:-1]:
            assert await store.rooms.invite(room, BOB, ALICE, at=1)
        assert await refusal(store.rooms.invite(rooms[-1], BOB, ALICE, at=1)) is Code.LIMIT
        assert [each.room for each in await store.rooms.invitations(BOB)] == rooms[:-1]
        assert await enters(store, BOB, room=rooms[5]) is None
        assert await store.rooms.invite(rooms[-1], BOB, ALICE, at=1)

    run(scenario())


def test_an_invitation_may_be_declined(store: Store) -> None:
    """Rooms.leave: by who is invited and not in; nothing is written, and he may be invited again."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, policy=INVITE_ONLY)
        await store.rooms.invite(HALL, BOB, ALICE, at=1)
        assert await store.rooms.leave(HALL, BOB, cid=cid(), at=1) is None
        assert list(await store.rooms.invitations(BOB)) == []
        assert await refusal(store.rooms.leave(HALL, BOB, cid=cid(), at=1)) is Code.NOT_MEMBER
        assert await enters(store, BOB) is Code.NO_SUCH_ROOM
        assert (await store.rooms.info(HALL, ALICE)).head == 1
        assert await store.rooms.invite(HALL, BOB, ALICE, at=1)

    run(scenario())


def test_an_invitation_ends_with_its_room(store: Store) -> None:
    """Rooms.leave: what waits for a room that is gone is gone."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, policy=EPHEMERAL | INVITE_ONLY)
        await store.rooms.invite(HALL, BOB, ALICE, at=1)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert list(await store.rooms.invitations(BOB)) == []
        await make(store, HALL, ALICE, policy=INVITE_ONLY)
        assert await enters(store, BOB) is Code.NO_SUCH_ROOM

    run(scenario())


def test_one_group_at_a_time(store: Store) -> None:
    """R2.23, Rooms.create and join: where rooms are exclusive, ONE_GROUP_ONLY; `general` is none, leaving frees."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, BOB)
        asks = [
            store.rooms.join(HALL, ALICE, exclusive=True, cid=cid(), at=1),
            store.rooms.join(Room("den"), ALICE, make=0, exclusive=True, cid=cid(), at=1),
            store.rooms.create(Room("attic"), ALICE, topic="", policy=0, exclusive=True, cid=cid(), at=1),
            store.rooms.join(HALL, ALICE, exclusive=True, cid=cid(), at=1),
        ]
        found = await asyncio.gather(*map(refusal, asks))
        assert found == [None, Code.ONE_GROUP_ONLY, Code.ONE_GROUP_ONLY, None]
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert await refusal(store.rooms.join(Room("den"), ALICE, make=0, exclusive=True, cid=cid(), at=1)) is None

    run(scenario())
