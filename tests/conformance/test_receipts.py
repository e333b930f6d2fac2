"""How far people have come: what is stored, delivered and read, who is told, and how often; from the outside."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from quicchat.errors import Code
from quicchat.wire.chapters.messages import (
    ListReceipts,
    ListTargets,
    Receipt,
    ReceiptEvent,
    ReceiptList,
    TargetList,
)
from quicchat.wire.chapters.rooms import Create, Join
from quicchat.wire.chapters.session import Ok
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import Peer, calling, entered
from tests.conformance.talk import post, said


async def standing(peer: Peer, room: str) -> ReceiptList:
    """What RECEIPTS tells."""
    answer = await peer.ask(ListReceipts(room=room))
    assert isinstance(answer, ReceiptList)
    return answer


async def target(peer: Peer, room: str) -> tuple[int, int, int, int]:
    """Head, read, unread and mentions of one conversation."""
    answer = await peer.ask(ListTargets())
    assert isinstance(answer, TargetList)
    (found,) = [each for each in answer.targets if each[0] == room]
    return found[2:]


def test_stored_delivered_and_read_are_three_things(house: House) -> None:
    """R0.5, R4.12, [6.4-11], [6.4-8]: the sender is told of each, with the time; nothing moves without a receipt."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            posted = await said(alice, post(user=bob.user))
            await bob.barrier()
            assert [each[:3] for each in (await standing(alice, posted.room)).people] == [(bob.user, 0, 0)]
            assert alice.all(ReceiptEvent) == []
            await bob.ask(Receipt(room=posted.room, delivered=1))
            told = await alice.hear(ReceiptEvent)
            assert (told.room, told.user, told.delivered, told.read) == (posted.room, bob.user, 1, 0)
            assert (told.at or 0) >= posted.ts
            await bob.ask(Receipt(room=posted.room, read=1))
            assert (await alice.hear(ReceiptEvent)).read == 1
            assert (await standing(alice, posted.room)).people[0][:3] == (bob.user, 1, 1)

    house.run(scenario())


def test_who_was_away_asks(house: House) -> None:
    """R4.13, [6.4-10]: what was delivered while the sender was away is there when he is back, with its time."""

    async def scenario() -> None:
        async with entered(house.place) as bob, entered(house.place) as carol:
            async with entered(house.place) as alice:
                posted = await said(alice, post(user=bob.user))
                user = alice.user
            await bob.ask(Receipt(room=posted.room, delivered=1, read=1))
            async with entered(house.place, user=user) as back:
                ((name, delivered, read, at),) = (await standing(back, posted.room)).people
                assert (name, delivered, read) == (bob.user, 1, 1)
                assert at >= posted.ts
            assert await carol.refused(ListReceipts(room=posted.room)) == Code.NO_SUCH_ROOM
            assert await carol.refused(ListReceipts(room=somebody())) == Code.NO_SUCH_ROOM

    house.run(scenario())


def test_only_those_concerned_are_told(house: House) -> None:
    """Z2, [6.4-8]: who said something there, not who only listens, not the reader, and nobody outside."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            alice, bob, carol, dave = [await stack.enter_async_context(entered(house.place)) for _ in range(4)]
            room = somebody()
            await alice.ask(Create(room=room))
            for peer in (bob, carol):
                await peer.ask(Join(room=room))
            await bob.ask(Receipt(room=room, delivered=3))
            await carol.hear(ReceiptEvent)
            seq = (await said(alice, post(room=room))).seq
            await bob.ask(Receipt(room=room, delivered=seq))
            assert (await alice.hear(ReceiptEvent, lambda told: told.delivered == seq)).user == bob.user
            for peer in (bob, carol, dave):
                await peer.barrier()
                assert peer.all(ReceiptEvent) == []

    house.run(scenario())


def test_receipts_of_a_room_come_together() -> None:
    """[6.4-8]: the first at once, the others after 300 ms, each person once with the last of his places."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(simulated())
            alice, bob, carol = [await stack.enter_async_context(entered(place)) for _ in range(3)]
            room = somebody()
            await alice.ask(Create(room=room))
            for peer in (bob, carol):
                await peer.ask(Join(room=room))
            seq = [(await said(alice, post(room=room))).seq for _ in range(9)][-1]
            await asyncio.sleep(1)
            for number in range(9):
                for peer in (bob, carol):
                    peer.say(Receipt(room=room, delivered=seq - 8 + number))
                if number in (0, 4):
                    await asyncio.sleep(0.1)
            told = alice.all(ReceiptEvent)
            assert {each.user: each.delivered for each in told} in (
                {bob.user: seq - 8},
                {bob.user: seq - 8, carol.user: seq - 8},
            )
            await asyncio.sleep(0.3)
            assert {each.user: each.delivered for each in alice.all(ReceiptEvent)} == {bob.user: seq, carol.user: seq}
            assert len(alice.all(ReceiptEvent)) == len(told) + 2
            await bob.ask(Receipt(room=room, delivered=seq))
            alice.heard.clear()
            await asyncio.sleep(1)
            assert alice.all(ReceiptEvent) == []

    play(scenario())


@pytest.mark.parametrize("size", [32, 33])
def test_larger_rooms_are_told_a_count(size: int) -> None:
    """Protocol 7.7, [6.4-9]: by name up to 32 members, then how many hold it."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(simulated())
            alice, bob, carol = [await stack.enter_async_context(entered(place)) for _ in range(3)]
            for _ in range(size - 3):
                async with calling(place) as peer:
                    await peer.negotiate()
                    await peer.sign_up(somebody())
            seq = (await said(alice, post(room="general"))).seq
            for peer in (bob, carol):
                await asyncio.sleep(1)
                await peer.ask(Receipt(room="general", delivered=seq))
            await asyncio.sleep(1)
            told = alice.all(ReceiptEvent)
            listed = await standing(alice, "general")
            if size <= 32:
                assert [(each.user, each.count) for each in told] == [(bob.user, None), (carol.user, None)]
                assert (len(listed.people), listed.count) == (size - 1, None)
            else:
                assert [(each.user, each.count) for each in told] == [(None, 1), (None, 2)]
                assert (listed.people, listed.count) == ((), 2)

    play(scenario())


def test_what_is_read_privately_stays_private(house: House) -> None:
    """Protocol 7.13, [6.4-5]: one's own devices know; nobody else is told, now or later."""

    async def scenario() -> None:
        async with (
            entered(house.place) as alice,
            entered(house.place) as bob,
            entered(house.place, user=bob.user) as tablet,
        ):
            room = (await said(alice, post(user=bob.user))).room
            await bob.ask(Receipt(room=room, read=1, private=True))
            assert (await tablet.hear(ReceiptEvent)).read == 1
            await alice.barrier()
            assert alice.all(ReceiptEvent) == []
            assert [each[:3] for each in (await standing(alice, room)).people] == [(bob.user, 0, 0)]
            assert await target(bob, room) == (1, 1, 0, 0)

    house.run(scenario())


def test_ones_other_devices_know_what_is_read(house: House) -> None:
    """Protocol 7.9, [6.4-7], [6.4-6], [6.9-1]: the numbers are the server's, one truth for all devices."""

    async def scenario() -> None:
        async with (
            entered(house.place) as alice,
            entered(house.place) as bob,
            entered(house.place, user=bob.user) as tablet,
        ):
            names = ((bob.user,), None, (bob.user, alice.user), (somebody(),))
            room = [(await said(alice, post(user=bob.user, mentions=each))).room for each in names][-1]
            assert await target(bob, room) == (4, 0, 4, 2)
            assert await target(alice, room) == (4, 4, 0, 0)
            assert await bob.ask(Receipt(room=room, read=2)) == Ok()
            told = await tablet.hear(ReceiptEvent)
            assert (told.user, told.read, told.unread, told.mentions) == (bob.user, 2, 2, 1)
            await said(bob, post(user=alice.user))
            assert await target(tablet, room) == (5, 2, 3, 1)
            await bob.ask(Receipt(room=room, read=4))
            told = await tablet.hear(ReceiptEvent)
            assert (told.read, told.unread, told.mentions) == (5, 0, 0)
            await said(bob, post(user=alice.user))
            assert await target(tablet, room) == (6, 6, 0, 0)
            await bob.barrier()
            assert [each for each in bob.all(ReceiptEvent) if each.user == bob.user] == []

    house.run(scenario())


def test_conversations_come_in_pages(house: House) -> None:
    """[6.9-1]: all of one's own by name; `more` tells that there are others."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            rooms = sorted(somebody() for _ in range(3))
            for room in rooms:
                await alice.ask(Create(room=room))
            direct = (await said(bob, post(user=alice.user))).room
            names: list[str] = []
            more = True
            while more:
                answer = await alice.ask(ListTargets(after=names[-1] if names else None, limit=2))
                assert isinstance(answer, TargetList)
                names += [each[0] for each in answer.targets]
                more = answer.more
            assert names == sorted(["*", "general", direct, *rooms])

    house.run(scenario())
