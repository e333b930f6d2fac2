"""What every store promises about ranks: who changes, puts out, mutes and ranks whom. (ports.Rooms)"""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from quicchat.errors import Code
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import EPHEMERAL, INVITE_ONLY, Rank
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Room, User
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    PHONE,
    Store,
    changes,
    cid,
    enters,
    make,
    post,
    rank,
    refusal,
    run,
    say,
    shown,
    sign_up,
    whole_log,
)

DAVE = User("dave")


async def ranks(store: Store, room: Room = HALL, user: User = ALICE) -> dict[User, Rank]:
    return dict(await store.rooms.members(room, user, after=None, limit=9))


def test_a_rank_outlives_the_membership(store: Store) -> None:
    """Rooms: the maker is OWNER, others MEMBER; leaving keeps a rank; the next room of a name knows none of them."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB, policy=EPHEMERAL)
        assert await ranks(store) == {ALICE: Rank.OWNER, BOB: Rank.MEMBER}
        assert (await store.rooms.info(HALL, ALICE)).rank is Rank.OWNER
        await rank(store, BOB, Rank.MODERATOR)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await store.rooms.join(HALL, ALICE, cid=cid(), at=1)
        assert await ranks(store) == {ALICE: Rank.OWNER, BOB: Rank.MODERATOR}
        await changes(store, ALICE, secret="knock")
        await rank(store, BOB, Rank.OUTCAST)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await store.rooms.create(HALL, BOB, topic="", policy=0, cid=cid(), at=1)
        assert await enters(store, ALICE) is None
        assert await ranks(store) == {ALICE: Rank.MEMBER, BOB: Rank.OWNER}

    run(scenario())


def test_topics_are_events(store: Store) -> None:
    """Rooms.change: for MODERATORs; TOPIC says the new one, and nothing where it is the old one."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, BOB)
        assert await changes(store, BOB, topic="mine") is Code.FORBIDDEN
        assert await changes(store, CAROL, topic="mine") is Code.NO_SUCH_ROOM
        await rank(store, BOB, Rank.MODERATOR)
        told = await store.rooms.change(HALL, BOB, topic="ours", cid=b"t" * 16, at=7)
        assert told is not None
        message = told.message
        assert (message.kind, message.sender, message.text, message.cid, message.ts) == (
            *(Kind.TOPIC, BOB, "ours"),
            *(b"t" * 16, 7),
        )
        assert (await whole_log(store, HALL, ALICE))[-1] == message
        assert await store.rooms.change(HALL, BOB, topic="ours", cid=cid(), at=7) is None
        assert (await store.rooms.info(HALL, ALICE)).topic == "ours"
        assert await changes(store, BOB, topic="x", policy=INVITE_ONLY) is Code.FORBIDDEN
        assert await changes(store, BOB, secret="x") is Code.FORBIDDEN
        info = await store.rooms.info(HALL, ALICE)
        assert (info.topic, info.policy, info.head) == ("ours", 0, message.seq)
        assert await refusal(store.rooms.change(HALL, BOB, topic="z", cid=b"t" * 16, at=7)) is Code.CID_CONFLICT

    run(scenario())


def test_what_nobody_owns(store: Store) -> None:
    """Rooms: `general` has no owner but operators, stays open to all, and is left by nobody; others have no ranks."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await say(store, Room("@alice,bob"), ALICE)
        assert await changes(store, ALICE, room=GENERAL, topic="x") is Code.FORBIDDEN
        assert await changes(store, ALICE, room=GENERAL, topic="x", operator=True) is None
        assert (await store.rooms.info(GENERAL, BOB)).topic == "x"
        for what in ({"policy": EPHEMERAL}, {"secret": "s"}):
            assert await changes(store, ALICE, room=GENERAL, operator=True, **what) is Code.FORBIDDEN
        assert await refusal(rank(store, BOB, Rank.OUTCAST, room=GENERAL, operator=True)) is Code.FORBIDDEN
        await rank(store, BOB, Rank.VISITOR, room=GENERAL, operator=True)
        assert await refusal(say(store, GENERAL, BOB)) is Code.FORBIDDEN
        for room in (ANNOUNCEMENTS, Room("@alice,bob"), Room("nowhere")):
            assert await changes(store, ALICE, room=room, topic="x", operator=True) is Code.NO_SUCH_ROOM
            for asked in (
                rank(store, BOB, Rank.VISITOR, room=room, operator=True),
                rank(store, BOB, Rank.OUTCAST, room=room, operator=True),
                store.rooms.invite(room, BOB, ALICE, operator=True, at=1),
            ):
                assert await refusal(asked) is Code.NO_SUCH_ROOM

    run(scenario())


def test_putting_out_and_banning_are_events(store: Store) -> None:
    """Rooms.kick: LEAVE of the one who goes, `by` who did it; with a ban ROLE before it, in one transaction."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL, DAVE)
        await make(store, HALL, ALICE, BOB, CAROL)
        (left,) = await store.rooms.kick(HALL, BOB, ALICE, reason="noise", cid=b"k" * 16, at=5)
        message = left.message
        assert (message.kind, message.sender, message.by, message.ts, message.seq) == (Kind.LEAVE, BOB, ALICE, 5, 4)
        assert message.text == "bob was put out by alice: noise"
        assert await refusal(say(store, HALL, BOB)) is Code.NOT_MEMBER
        assert await refusal(store.rooms.kick(HALL, BOB, ALICE, cid=cid(), at=1)) is Code.NO_SUCH_USER
        assert await enters(store, BOB) is None
        banned, left = await store.rooms.kick(HALL, BOB, ALICE, ban=True, cid=cid(), at=1)
        assert (banned.message.kind, banned.message.sender, banned.message.text) == (
            Kind.ROLE,
            ALICE,
            "alice banned bob",
        )
        assert (banned.message.mentions, banned.message.rank) == ((BOB,), Rank.OUTCAST)
        assert (left.message.seq, left.message.text) == (banned.message.seq + 1, "bob was put out by alice")
        assert (await whole_log(store, HALL, ALICE))[-2:] == [banned.message, left.message]
        assert await enters(store, BOB) is Code.BANNED
        assert list(await store.rooms.kick(HALL, BOB, ALICE, ban=True, cid=cid(), at=1)) == []
        (only,) = await store.rooms.kick(HALL, DAVE, ALICE, ban=True, cid=cid(), at=1)
        assert only.message.kind is Kind.ROLE
        assert await enters(store, DAVE) is Code.BANNED
        assert await enters(store, DAVE, operator=True) is None
        assert await refusal(store.rooms.kick(HALL, User("nobody"), ALICE, ban=True, cid=cid(), at=1)) is (
            Code.NO_SUCH_USER
        )
        await rank(store, BOB, Rank.MEMBER)
        assert await enters(store, BOB) is None

    run(scenario())


def test_the_last_may_be_put_out(store: Store) -> None:
    """R2.22, Rooms.kick: an ephemeral room ends so, too; and one that becomes ephemeral when nobody is in it."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, policy=EPHEMERAL)
        await store.rooms.kick(HALL, ALICE, BOB, operator=True, cid=cid(), at=1)
        assert await enters(store, ALICE) is Code.NO_SUCH_ROOM
        await make(store, HALL, ALICE)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert await changes(store, BOB, policy=EPHEMERAL, operator=True) is None
        assert await enters(store, ALICE) is Code.NO_SUCH_ROOM

    run(scenario())


def may(actor: int, target: Rank, to: Rank) -> bool:
    """The rule again, in other words than the stores'."""
    if actor == Rank.OWNER + 1:
        return True
    if actor == Rank.OWNER:
        return target != Rank.OWNER
    return actor == Rank.MODERATOR and target < Rank.MODERATOR and to < Rank.MODERATOR


@pytest.mark.parametrize("actor", range(Rank.VISITOR, Rank.OWNER + 2))
def test_who_may_rank_whom(store: Store, actor: int) -> None:
    """Z9, Rooms.set_rank and kick: every rank against every rank; what is refused changes nothing."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        for number, (target, to) in enumerate(product(Rank, Rank)):
            room = Room(f"r{number}")
            await make(store, room, ALICE, BOB, CAROL)
            operator = actor > Rank.OWNER
            await rank(store, CAROL, target, room=room)
            if not operator:
                await rank(store, BOB, Rank(actor), room=room)
            before = await shown(store, room, ALICE)
            code = await refusal(rank(store, CAROL, to, BOB, room=room, operator=operator))
            assert (code is None) == may(actor, target, to), (target, to, code)
            assert code in (None, Code.FORBIDDEN)
            events = (await shown(store, room, ALICE))[len(before) :]
            if code is not None or target is to:
                assert events == []
            else:
                kinds = [kind for _, _, kind, _ in events]
                assert kinds == ([Kind.ROLE, Kind.LEAVE] if to is Rank.OUTCAST else [Kind.ROLE])
                members = await ranks(store, room)
                assert members.get(CAROL, Rank.OUTCAST) == (to if target is not Rank.OUTCAST else Rank.OUTCAST)

    run(scenario())


def test_nobody_ranks_himself(store: Store) -> None:
    """Z9, Rooms: neither up nor down, nor does he put himself out, not even as an operator."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await make(store, HALL, ALICE)
        for operator in (False, True):
            for to in Rank:
                assert await refusal(rank(store, ALICE, to, operator=operator)) is Code.FORBIDDEN
        assert await refusal(rank(store, BOB, Rank.MEMBER)) is Code.NO_SUCH_USER

    run(scenario())


def test_the_muted_do_not_speak(store: Store) -> None:
    """Log.append: FORBIDDEN to a VISITOR; what he said before is still known, and others are not held up by him."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        said = post("before")
        first = await store.log.append(HALL, BOB, PHONE, said, at=1)
        await rank(store, BOB, Rank.VISITOR)
        again = await store.log.append(HALL, BOB, PHONE, said, at=1)
        assert (again.dup, again.message) == (True, first.message)
        asks = [say(store, HALL, user, "x") for user in (ALICE, BOB, ALICE)]
        assert await asyncio.gather(*map(refusal, asks)) == [None, Code.FORBIDDEN, None]
        assert await refusal(say(store, GENERAL, BOB)) is None
        await rank(store, BOB, Rank.MEMBER)
        assert await refusal(say(store, HALL, BOB)) is None

    run(scenario())


def test_what_is_asked_after_a_ban_comes_too_late(store: Store) -> None:
    """R0.2, P3: asked at once, they happen in order; the append looks at the rank in its own transaction."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        asks = [
            say(store, HALL, BOB, "in time"),
            store.rooms.set_rank(HALL, BOB, ALICE, Rank.VISITOR, cid=cid(), at=1),
            say(store, HALL, BOB, "muted"),
            store.rooms.kick(HALL, BOB, ALICE, ban=True, cid=cid(), at=1),
            say(store, HALL, BOB, "out"),
            store.rooms.join(HALL, BOB, cid=cid(), at=1),
        ]
        found = await asyncio.gather(*map(refusal, asks))
        assert found == [None, None, Code.FORBIDDEN, None, Code.NOT_MEMBER, Code.BANNED]
        assert [(sender, kind) for _, sender, kind, _ in await shown(store, HALL, ALICE)][2:] == [
            (BOB, Kind.TEXT),
            (ALICE, Kind.ROLE),
            (ALICE, Kind.ROLE),
            (BOB, Kind.LEAVE),
        ]

    run(scenario())


def test_after_close_nobody_rules(store: Store) -> None:
    """Ports: Refused(STORE_UNAVAILABLE) once the store is closed."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await store.close()
        for asked in (
            store.rooms.change(GENERAL, ALICE, topic="x", cid=cid(), at=1),
            store.rooms.invite(GENERAL, BOB, ALICE, at=1),
            store.rooms.invitations(ALICE),
            store.rooms.kick(GENERAL, BOB, ALICE, cid=cid(), at=1),
            store.rooms.set_rank(GENERAL, BOB, ALICE, Rank.OWNER, cid=cid(), at=1),
        ):
            assert await refusal(asked) is Code.STORE_UNAVAILABLE

    run(scenario())
