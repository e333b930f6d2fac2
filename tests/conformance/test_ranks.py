"""Who may do what in a room, from the outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from quicchat.errors import Code
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import (
    EPHEMERAL,
    INVITE_ONLY,
    Create,
    Invite,
    Join,
    Kick,
    Leave,
    ListMembers,
    Rank,
    SetRank,
    SetRoom,
)
from quicchat.wire.registry import Pdu
from tests.conformance.house import House, Place, play, simulated, somebody
from tests.conformance.inside import done, events, listed, next_event, ranks, state
from tests.conformance.peer import Peer, calling, entered
from tests.conformance.talk import post, said


@asynccontextmanager
async def ruled(*, exclusive_groups: bool = False) -> AsyncIterator[tuple[Place, Peer]]:
    """A server with an operator, who is there."""
    name = somebody()
    async with (
        simulated(operators=frozenset({name}), exclusive_groups=exclusive_groups) as place,
        calling(place) as operator,
    ):
        await operator.enter(name)
        operator.heard.clear()
        yield place, operator


def test_the_maker_rules(house: House) -> None:
    """[5.1-4], [5.2-9], [5.5-2], [5.9-6]: owner, also after he came back; everybody else is a member."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            assert (await state(alice, Create(room=room))).rank is Rank.OWNER
            assert (await state(bob, Join(room=room))).rank is Rank.MEMBER
            await done(alice, SetRank(room=room, user=bob.user, rank=Rank.MODERATOR), Leave(room=room))
            assert (await state(alice, Join(room=room))).rank is Rank.OWNER
            assert await ranks(bob, room) == {alice.user: Rank.OWNER, bob.user: Rank.MODERATOR}

    house.run(scenario())


def test_ranks_end_with_the_room(house: House) -> None:
    """[5.9-6]: in the next room of the name, an outcast of the last one may be the owner."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await state(alice, Create(room=room, policy=EPHEMERAL))
            await done(alice, Kick(room=room, user=bob.user, ban=True), Leave(room=room))
            assert (await state(bob, Create(room=room))).rank is Rank.OWNER
            assert (await state(alice, Join(room=room))).rank is Rank.MEMBER

    house.run(scenario())


def test_put_out(house: House) -> None:
    """R0.2, [5.9-2], [5.10-3]: LEAVE with `by` is the last that his sessions hear; others, and who asked, hear it."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = somebody()
            await state(alice, Create(room=room))
            await state(bob, Join(room=room))
            async with entered(house.place, user=bob.user) as other_device:
                await state(carol, Join(room=room))
                for peer in (alice, bob, other_device):
                    await peer.barrier()
                    peer.heard.clear()
                await done(alice, Kick(room=room, user=bob.user, reason="noise"))
                for peer in (alice, bob, other_device, carol):
                    left = await next_event(peer, room)
                    assert (left.kind, left.sender, left.by, left.seq) == (Kind.LEAVE, bob.user, alice.user, 4)
                    assert left.text == f"{bob.user} was put out by {alice.user}: noise"
                await said(alice, post("gone?", room=room))
                assert (await next_event(carol, room)).text == "gone?"
                for peer in (bob, other_device):
                    assert await peer.refused(post("no", room=room)) == Code.NOT_MEMBER
                    assert await peer.refused(ListMembers(room=room)) == Code.NO_SUCH_ROOM
                    assert [each for each in peer.heard if getattr(each.pdu, "room", None) == room] == []
            assert await alice.refused(Kick(room=room, user=bob.user)) == Code.NO_SUCH_USER
            assert (await state(bob, Join(room=room))).head == 6

    house.run(scenario())


@pytest.mark.parametrize("as_role", [False, True], ids=["KICK", "ROLE"])
def test_banned(house: House, as_role: bool) -> None:
    """[5.2-6], [5.9-3]: ROLE, then LEAVE; also who is not in is kept out, until he is a member again."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = somebody()
            await state(alice, Create(room=room))
            await state(bob, Join(room=room))
            await done(alice, Invite(room=room, user=carol.user))
            bob.heard.clear()
            for user in (bob.user, carol.user):
                ban = (
                    SetRank(room=room, user=user, rank=Rank.OUTCAST)
                    if as_role
                    else Kick(room=room, user=user, ban=True)
                )
                await done(alice, ban)
            role, left = await next_event(bob, room), await next_event(bob, room)
            assert (role.kind, role.sender, role.mentions, role.rank) == (
                *(Kind.ROLE, alice.user),
                *((bob.user,), Rank.OUTCAST),
            )
            assert (role.text, left.kind, left.sender) == (f"{alice.user} banned {bob.user}", Kind.LEAVE, bob.user)
            assert await events(alice, room) == [
                (Kind.JOIN, alice.user),
                (Kind.JOIN, bob.user),
                (Kind.ROLE, alice.user),
                (Kind.LEAVE, bob.user),
                (Kind.ROLE, alice.user),
            ]
            for peer in (bob, carol):
                assert await peer.refused(Join(room=room)) == Code.BANNED
                assert await alice.refused(Invite(room=room, user=peer.user)) == Code.FORBIDDEN
                await done(alice, SetRank(room=room, user=peer.user, rank=Rank.MEMBER))
                await state(peer, Join(room=room))

    house.run(scenario())


def test_muted(house: House) -> None:
    """[5.9-4], [5.9-5]: ROLE for all to see, once; what he posts is refused and stored nowhere; he still hears."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await state(alice, Create(room=room))
            await state(bob, Join(room=room))
            await done(alice, *(2 * [SetRank(room=room, user=bob.user, rank=Rank.VISITOR)]))
            role = await next_event(bob, room)
            assert (role.kind, role.sender, role.mentions, role.rank, role.seq) == (
                *(Kind.ROLE, alice.user),
                *((bob.user,), Rank.VISITOR, 3),
            )
            for kind in (Kind.TEXT, Kind.EMOTE, Kind.REACT):
                assert await bob.refused(post("mm", room=room, kind=kind, refs=(1,))) == Code.FORBIDDEN
            assert await bob.refused(Invite(room=room, user=somebody())) == Code.FORBIDDEN
            await said(alice, post("hush", room=room))
            assert ((heard := await next_event(bob, room)).text, heard.seq) == ("hush", 4)
            await done(alice, SetRank(room=room, user=bob.user, rank=Rank.MEMBER))
            assert (await said(bob, post("ah", room=room))).seq == 6

    house.run(scenario())


def test_who_ranks_too_low(house: House) -> None:
    """Z9, [5.9-1]: FORBIDDEN to members, to moderators among themselves, and towards oneself; others see no room."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = somebody()
            await state(alice, Create(room=room))

            def all_of(user: str) -> list[Pdu]:
                return [
                    Kick(room=room, user=user),
                    Kick(room=room, user=user, ban=True),
                    *(SetRank(room=room, user=user, rank=rank) for rank in (Rank.VISITOR, Rank.OWNER)),
                ]

            for pdu in (*all_of(alice.user), SetRoom(room=room, topic="x"), Invite(room=room, user=alice.user)):
                assert await bob.refused(pdu) == Code.NO_SUCH_ROOM
            for peer in (bob, carol):
                await state(peer, Join(room=room))
            for pdu in (*all_of(alice.user), *all_of(carol.user), *all_of(bob.user), SetRoom(room=room, topic="x")):
                assert await bob.refused(pdu) == Code.FORBIDDEN
            await done(alice, *(SetRank(room=room, user=each.user, rank=Rank.MODERATOR) for each in (bob, carol)))
            for pdu in (*all_of(alice.user), *all_of(carol.user), *all_of(bob.user)):
                assert await bob.refused(pdu) == Code.FORBIDDEN
            for pdu in all_of(alice.user):
                assert await alice.refused(pdu) == Code.FORBIDDEN
            assert len(await events(alice, room)) == 5

    house.run(scenario())


def test_rooms_without_ranks(house: House) -> None:
    """[5.9-1], [5.9-7], [5.10-2]: announcements and direct messages have none; in `general` only operators rank."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            posted = await said(alice, post("hi", user=bob.user))
            for room in ("*", posted.room, "general"):
                for pdu in (
                    SetRoom(room=room, topic="mine"),
                    SetRoom(room=room, policy=INVITE_ONLY),
                    Kick(room=room, user=bob.user),
                    SetRank(room=room, user=bob.user, rank=Rank.VISITOR),
                ):
                    assert await alice.refused(pdu) == Code.FORBIDDEN
            for room in ("*", posted.room):
                assert await alice.refused(Invite(room=room, user=bob.user)) == Code.FORBIDDEN

    house.run(scenario())


def test_the_topic(house: House) -> None:
    """[5.10-1], [5.10-2], [5.10-3]: an event for all, the one who asked too; moderators set it, owners the rest."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await state(alice, Create(room=room))
            await state(bob, Join(room=room))
            await done(alice, SetRank(room=room, user=bob.user, rank=Rank.MODERATOR))
            await bob.barrier()
            bob.heard.clear()
            await done(bob, *(2 * [SetRoom(room=room, topic="bees")]))
            for pdu in (SetRoom(room=room, policy=1), SetRoom(room=room, topic="x", secret="x")):
                assert await bob.refused(pdu) == Code.FORBIDDEN
            told = [each.pdu for each in bob.heard if getattr(each.pdu, "kind", None) is Kind.TOPIC]
            assert [(each.sender, each.text, each.seq) for each in told] == [(bob.user, "bees", 4)]  # type: ignore[attr-defined]
            assert bob.heard[0].pdu == told[0], "before the OK"
            assert (await alice.hear(type(told[0]), lambda each: each.kind is Kind.TOPIC)) == told[0]  # type: ignore[attr-defined]
            assert (room, 2, "bees", True) in await listed(alice)
            assert (await state(alice, Join(room=room))).head == 4

    house.run(scenario())


def test_operators() -> None:
    """Z9, [5.9-1], [5.9-7], [5.2-9]: above every owner, in or not; nobody touches them; `general` is theirs."""

    async def scenario() -> None:
        async with ruled() as (place, operator), entered(place) as alice, entered(place) as bob:
            room = somebody()
            await state(alice, Create(room=room, policy=INVITE_ONLY))
            await done(operator, SetRoom(room=room, topic="looked at", secret="s"), Invite(room=room, user=bob.user))
            await state(bob, Join(room=room))
            for pdu in (
                Kick(room=room, user=operator.user, ban=True),
                SetRank(room=room, user=operator.user, rank=Rank.VISITOR),
            ):
                assert await alice.refused(pdu) == Code.FORBIDDEN
                assert await operator.refused(pdu) == Code.FORBIDDEN
            assert await operator.refused(ListMembers(room=room)) == Code.NO_SUCH_ROOM
            assert (await state(operator, Join(room=room))).rank is Rank.OWNER
            assert (await ranks(bob, room))[operator.user] is Rank.OWNER
            await done(operator, Kick(room=room, user=alice.user, ban=True))
            assert await alice.refused(Join(room=room)) == Code.BANNED
            await done(operator, SetRoom(room="general", topic="be kind"))
            await done(operator, SetRank(room="general", user=bob.user, rank=Rank.VISITOR))
            assert await bob.refused(post("x", room="general")) == Code.FORBIDDEN
            for pdu in (
                Kick(room="general", user=bob.user),
                SetRank(room="general", user=bob.user, rank=Rank.OUTCAST),
            ):
                assert await operator.refused(pdu) == Code.FORBIDDEN
            assert await operator.refused(SetRoom(room="general", policy=EPHEMERAL)) == Code.FORBIDDEN

    play(scenario())


def test_version_1_is_told_what_happened_in_general() -> None:
    """[5.9-4], [5.10-1]: to version 1 these are notices with the text, from the one who did it."""

    async def scenario() -> None:
        async with ruled() as (place, operator), entered(place, 1) as old:
            await done(operator, SetRoom(room="general", topic="be kind"))
            await done(operator, SetRank(room="general", user=old.user, rank=Rank.VISITOR))
            told = [await next_event(old, "general") for _ in range(2)]
            assert [(each.kind, each.sender, each.text) for each in told] == [
                (Kind.NOTICE, operator.user, "be kind"),
                (Kind.NOTICE, operator.user, f"{operator.user} muted {old.user}"),
            ]
            assert {each.rank for each in told} == {None}

    play(scenario())


def test_one_group_at_a_time() -> None:
    """R2.20, R2.23, [5.1-5]: a second one is refused, made or entered; after leaving it is not."""

    async def scenario() -> None:
        async with ruled(exclusive_groups=True) as (_, operator):
            await state(operator, Create(room="one"))
            await state(operator, Join(room="one"))
            for pdu in (Create(room="two"), Join(room="two", create=True)):
                assert await operator.refused(pdu) == Code.ONE_GROUP_ONLY
            await done(operator, Leave(room="one"))
            await state(operator, Create(room="two"))
            assert await operator.refused(Join(room="one")) == Code.ONE_GROUP_ONLY

    play(scenario())
