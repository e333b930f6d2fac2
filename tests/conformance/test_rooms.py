"""Rooms and their members, from the outside."""

from __future__ import annotations

import asyncio
import os

import pytest

from quicchat.errors import Code
from quicchat.server.model import ROOMS_EACH
from quicchat.wire.chapters.messages import History, Kind, Message, Post, Posted, Window
from quicchat.wire.chapters.rooms import (
    EPHEMERAL,
    Create,
    Join,
    Leave,
    ListMembers,
    MemberList,
    Rank,
)
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Room, User
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.inside import events, listed, state
from tests.conformance.peer import entered


def test_a_room_is_made_once(house: House) -> None:
    """R0.1, R2.17, [5.1-1], [5.1-2], [5.10-6]: the maker is alone in it, his JOIN its first event; odd bits stay."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            found = await state(alice, Create(room=room, topic="toys", policy=0x8000))
            assert (found.room, found.topic, found.head, found.members, found.unread) == (room, "toys", 1, 1, 0)
            assert found.policy == 0x8000
            assert await events(alice, room) == [(Kind.JOIN, alice.user)]
            for peer in (alice, bob):
                assert await peer.refused(Create(room=room)) == Code.ROOM_EXISTS
            assert await bob.refused(ListMembers(room=room)) == Code.NO_SUCH_ROOM

    house.run(scenario())


def test_a_member_asks_for_the_state(house: House) -> None:
    """[5.2-10]: who is in is told the state, and nobody enters by asking for it, not even where he could."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            made = await state(alice, Create(room=room, topic="toys"))
            assert await state(alice, Join(room=room, member=True)) == made
            assert await bob.refused(Join(room=room, member=True)) == Code.NOT_MEMBER
            assert await bob.refused(Join(room=somebody(), create=True, member=True)) == Code.NOT_MEMBER
            assert await events(alice, room) == [(Kind.JOIN, alice.user)]

    house.run(scenario())


@pytest.mark.parametrize("room", ["general", "*", "@a,b"])
def test_some_rooms_are_not_made_entered_or_left(house: House, room: str) -> None:
    """[5.1-3]: FORBIDDEN."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            name = room
            if room.startswith("@"):
                posted = await alice.ask(Post(user=alice.user, cid=os.urandom(16), text="note to self"))
                assert isinstance(posted, Posted)
                name = posted.room
            for pdu in (Create(room=name), Join(room=name, create=True), Leave(room=name)):
                assert await alice.refused(pdu) == Code.FORBIDDEN

    house.run(scenario())


def test_joining_is_an_event_for_all_members(house: House) -> None:
    """R0.1, R2.32, [5.2-1], [5.2-2], [5.2-3], [5.2-4]: told to the others, not to the session that asked; and once."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            assert await bob.refused(Join(room=room)) == Code.NO_SUCH_ROOM
            assert await bob.refused(Join(room=room, create=False)) == Code.NO_SUCH_ROOM
            made = await state(alice, Join(room=room, create=True, policy=EPHEMERAL))
            assert (made.head, made.policy) == (1, EPHEMERAL)
            async with entered(house.place, user=bob.user) as other_device:
                joined = await state(bob, Join(room=room))
                assert (joined.head, joined.members) == (2, 2)
                for peer in (alice, other_device):
                    told = await peer.hear(Message, lambda message: message.room == room)
                    assert (told.kind, told.sender, told.seq) == (Kind.JOIN, bob.user, 2)
            again = await state(bob, Join(room=room))
            assert again.head == 2
            await alice.ask(Post(room=room, cid=os.urandom(16), text="welcome"))
            once_more = await state(bob, Join(room=room))
            assert (once_more.head, once_more.unread) == (3, 3 - (once_more.read or 0))
            await bob.barrier()
            assert [message.seq for message in bob.all(Message) if message.room == room] == [3]
            assert await events(bob, room) == [
                (Kind.JOIN, alice.user),
                (Kind.JOIN, bob.user),
                (Kind.TEXT, alice.user),
            ]

    house.run(scenario())


def test_nobody_is_in_too_many_rooms() -> None:
    """Z6, [5.2-5]: LIMIT beyond, whether the room is made or entered."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob:
            assert place.store is not None
            rooms = place.store.rooms
            for number in range(ROOMS_EACH - 1):
                cid = number.to_bytes(16, "big")
                await rooms.create(Room(f"r{number}"), User(alice.user), topic="", policy=0, cid=cid, at=0)
            await state(bob, Create(room="one-more"))
            for pdu in (Join(room="one-more"), Join(room="new", create=True), Create(room="new")):
                assert await alice.refused(pdu) == Code.LIMIT
            assert await alice.ask(Leave(room="r7")) == Ok()
            await state(alice, Join(room="one-more"))

    play(scenario())


def test_leaving_is_the_last_that_one_hears(house: House) -> None:
    """R2.19, Z1, [5.3-1], [5.3-2]: a LEAVE event for all, also for the other sessions; then nothing more."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            for pdu in (Leave(room=room), Leave(room=somebody())):
                assert await bob.refused(pdu) == Code.NOT_MEMBER
            await state(alice, Create(room=room))
            assert await bob.refused(Leave(room=room)) == Code.NOT_MEMBER
            await state(bob, Join(room=room))
            async with entered(house.place, user=bob.user) as other_device:
                assert await bob.ask(Leave(room=room)) == Ok()
                for peer in (alice, other_device):
                    told = await peer.hear(Message, lambda message: message.kind is Kind.LEAVE)
                    assert (told.room, told.sender, told.seq) == (room, bob.user, 3)
                await alice.ask(Post(room=room, cid=os.urandom(16), text="gone"))
                for peer in (bob, other_device):
                    await peer.barrier()
                    assert [message for message in peer.all(Message) if message.room == room] == []
            assert await bob.refused(Leave(room=room)) == Code.NOT_MEMBER
            assert await bob.refused(Post(room=room, cid=os.urandom(16), text="x")) == Code.NOT_MEMBER

    house.run(scenario())


def test_an_ephemeral_room_ends_with_its_last_member(house: House) -> None:
    """R2.22, [5.3-3]: it vanishes; made again, it has the next epoch and an empty log. Others stay."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room, other = somebody(), somebody()
            first = await state(alice, Create(room=room, policy=EPHEMERAL))
            await state(alice, Create(room=other))
            for each in (room, other):
                assert await alice.ask(Leave(room=each)) == Ok()
            names = {name for name, *_ in await listed(alice)}
            assert room not in names
            assert other in names
            assert await alice.refused(Join(room=room)) == Code.NO_SUCH_ROOM
            again = await state(alice, Create(room=room))
            assert (again.epoch, again.head) == (first.epoch + 1, 1)

    house.run(scenario())


def test_rooms_are_listed_by_pages(house: House) -> None:
    """R2.15, [5.4-1]: in the order of their names, each once, without direct messages and announcements."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            await alice.ask(Post(user=bob.user, cid=os.urandom(16), text="hi"))
            rooms = sorted(somebody() for _ in range(5))
            await asyncio.gather(*(state(alice, Create(room=room, topic="t")) for room in rooms))
            await state(bob, Join(room=rooms[0]))
            found = await listed(bob, page=3)
            names = [name for name, *_ in found]
            assert names == sorted(set(names))
            assert not [name for name in names if name.startswith(("@", "*"))]
            mine = {name: rest for name, *rest in found if name in rooms}
            assert mine == {room: [2, "t", True] if room == rooms[0] else [1, "t", False] for room in rooms}

    house.run(scenario())


def test_members_are_listed_to_members(house: House) -> None:
    """R2.13, Z1, [5.5-1]: by pages, in the order of their names; to others there is no such room."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = somebody()
            await state(alice, Create(room=room))
            await state(bob, Join(room=room))
            as_what = {alice.user: Rank.OWNER, bob.user: Rank.MEMBER}
            users = sorted(as_what)
            first = await alice.ask(ListMembers(room=room, limit=1))
            assert first == MemberList(room=room, members=((users[0], True, as_what[users[0]]),), more=True)
            second = await alice.ask(ListMembers(room=room, after=users[0], limit=1))
            assert second == MemberList(room=room, members=((users[1], True, as_what[users[1]]),), more=False)
            for each in (room, somebody()):
                assert await carol.refused(ListMembers(room=each)) == Code.NO_SUCH_ROOM

    house.run(scenario())


def test_direct_messages_have_one_room(house: House) -> None:
    """[5.7-1], [6.1-2]: its name is in order; every other spelling, and every other user, is no member."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            first, last = sorted((alice.user, bob.user))
            name = f"@{first},{last}"
            assert await alice.refused(Post(room=f"@{last},{first}", cid=os.urandom(16), text="x")) == Code.NOT_MEMBER
            posted = await alice.ask(Post(room=name, cid=os.urandom(16), text="x"))
            assert isinstance(posted, Posted)
            assert (posted.room, posted.seq) == (name, 1)
            answered = await bob.ask(Post(user=alice.user, cid=os.urandom(16), text="y"))
            assert isinstance(answered, Posted)
            assert (answered.room, answered.seq) == (name, 2)
            assert await alice.refused(Post(room=f"@{last},{first}", cid=os.urandom(16), text="x")) == Code.NOT_MEMBER
            assert await carol.refused(Post(room=name, cid=os.urandom(16), text="x")) == Code.NOT_MEMBER
            assert await carol.refused(History(room=name, window=Window.LATEST)) == Code.NO_SUCH_ROOM

    house.run(scenario())
