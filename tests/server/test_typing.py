"""Typing and ticks: who is told what, how often, and who is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from quicchat.errors import Code, Refused
from quicchat.server.effects import Deliver, Effect, InRooms
from quicchat.server.model import PRESENCE_ROOM
from quicchat.wire.chapters.presence import PresenceSet, Show, Tick, Typing
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Room, User, direct
from tests.server.desk import LAPTOP, Caller, Desk, at_desk, delivered, found, keys
from tests.server.stores import ALICE, BOB, CAROL, HALL, cid, make

DM = direct(ALICE, BOB)


async def types(desk: Desk, caller: Caller, room: str = GENERAL, counter: int = 1, ttl: int = 5000) -> Sequence[Effect]:
    return await desk.ask(caller, Typing(room=room, counter=counter, ttl=ttl, user="somebody"))


def test_typing_is_told_to_the_room() -> None:
    """R3.18, Z3, [7.4-1], [7.4-2]: with the session's user, whatever the datagram says; not to the one who types."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        await desk.say(BOB, DM)
        for room in (Room("general"), DM):
            effects = await types(desk, alice, room, counter=7, ttl=5000)
            assert effects == [
                Deliver(
                    Typing(room=room, user=ALICE, counter=7, ttl=5000),
                    InRooms(frozenset({room})),
                    but=alice.actor.session,
                )
            ]

    at_desk(scenario)


def test_nobody_types_where_he_is_not() -> None:
    """Z1, Q17, [7.4-2]: dropped without a word, in rooms of others, that do not exist, and in very large ones."""

    async def scenario(desk: Desk) -> None:
        await make(desk.store, HALL, BOB)
        await desk.store.accounts.sign_up(CAROL, keys(), at=0)
        await desk.say(BOB, direct(BOB, CAROL))
        crowd = Room("crowd")
        await make(desk.store, crowd, ALICE)
        for number in range(PRESENCE_ROOM):
            user = User(f"u{number}")
            await desk.store.accounts.sign_up(user, keys(), at=0)
            await desk.store.rooms.join(crowd, user, cid=cid(), at=0)
        alice = await desk.enter()
        for room in (HALL, "@bob,carol", "nowhere", DM, crowd, GENERAL, ANNOUNCEMENTS):
            assert await types(desk, alice, room) == []

    at_desk(scenario)


def test_the_store_is_asked_once_for_a_while() -> None:
    """P7, R3.18, [7.4-3]: typing is cheap; who is put out of a room is believed for five seconds more at most."""

    async def scenario(desk: Desk) -> None:
        asked: list[str] = []
        info = desk.store.rooms.info

        async def counted(room: Room, user: User) -> Any:
            asked.append(room)
            return await info(room, user)

        alice = await desk.enter()
        await make(desk.store, HALL, ALICE, BOB)
        desk.store.rooms.info = counted  # type: ignore[method-assign]
        for _ in range(9):
            assert len(await types(desk, alice, HALL)) == 1
            assert await types(desk, alice, "nowhere") == []
            await asyncio.sleep(0.5)
        assert asked == [HALL, "nowhere"]
        await desk.store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await asyncio.sleep(0.6)
        assert await types(desk, alice, HALL) == []

    at_desk(scenario)


def test_a_flood_of_typing_is_thinned() -> None:
    """P7, [7.4-3]: four a second, and the word that he stopped, once."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        heard = 0
        for counter in range(1000):
            heard += len(await types(desk, alice, counter=counter))
            await asyncio.sleep(0.002)
        assert 7 <= heard <= 9
        stops = [await types(desk, alice, counter=2000 + number, ttl=0) for number in range(5)]
        assert list(map(len, stops)) == [1, 0, 0, 0, 0]
        for number in range(1000):
            assert await types(desk, alice, f"room{number}") == []

    at_desk(scenario)


def test_a_tick_is_told_to_those_who_hear_of_him() -> None:
    """[7.4-4]: in his small rooms, once in ten seconds for all his sessions."""

    async def scenario(desk: Desk) -> None:
        await make(desk.store, HALL, ALICE)
        alice, other = await desk.enter(), await desk.enter(device=LAPTOP)
        tick = Tick(user=BOB, counter=3, ttl=60_000)
        (told,) = found(await desk.ask(alice, tick), Deliver)
        assert told.pdu == Tick(user=ALICE, counter=3, ttl=60_000)
        assert told.to == InRooms(frozenset({GENERAL, ANNOUNCEMENTS, HALL}))
        assert told.but == alice.actor.session
        assert await desk.ask(other, tick) == []
        await asyncio.sleep(9.9)
        assert await desk.ask(alice, tick) == []
        await asyncio.sleep(0.2)
        assert len(delivered(await desk.ask(other, tick))) == 1

    at_desk(scenario)


def test_who_is_offline_does_not_tick() -> None:
    """R4.9, protocol 7.13, [7.4-4]: said or held, it would give away that he is there."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        for hold in (True, False, None):
            await desk.ask(alice, PresenceSet(show=Show.OFFLINE, hold=hold))
            assert await desk.ask(alice, Tick(counter=1, ttl=1)) == []
        await desk.ask(alice, PresenceSet(show=Show.AWAY))
        assert len(await desk.ask(alice, Tick(counter=1, ttl=1))) == 1

    at_desk(scenario)


def test_a_store_that_fails_makes_no_noise() -> None:
    """D3, [7.4-2]: a datagram is not answered, whatever happens."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()

        async def full(*args: Any) -> Any:
            raise Refused(Code.STORE_UNAVAILABLE)

        desk.store.rooms.info = desk.store.rooms.audible = full  # type: ignore[method-assign, assignment]
        assert await types(desk, alice) == []
        assert await desk.ask(alice, Tick(counter=1, ttl=1)) == []

    at_desk(scenario)
