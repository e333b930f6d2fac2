"""Presence in a whole server, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.effects import Hold, Reply
from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.messages import Post, Posted, Recipient
from quicchat.wire.chapters.presence import Presence, PresenceSet, PresenceSnapshot, Show
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import PARROT, Room, User
from tests.server.desk import LAPTOP, PHONE, Desk, answer, at_desk, delivered, found, keys
from tests.server.house import VirtualClock, heard, play, texts, world
from tests.server.stores import ALICE, BOB, CAROL, cid, make


def test_presence_of_those_one_shares_a_room_with() -> None:
    """R1.5, R4.4, R4.9: the table at login, and every change with its reason."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await bob.show(Show.AWAY, "lunch")
            await bob.close("quit")
            told = [e for e in await heard(alice) if isinstance(e, Presence | PresenceSnapshot)]
            assert isinstance(told[0], PresenceSnapshot)
            assert told[0].users == (("alice", True, ""),)
            changes = [(e.user, e.show, e.status, e.reason) for e in told[1:] if isinstance(e, Presence)]
            assert changes == [
                ("bob", Show.ONLINE, None, None),
                ("bob", Show.AWAY, "lunch", None),
                ("bob", Show.OFFLINE, None, "quit"),
            ]
            assert {user: online for user, online, _ in await alice.members("general")} == {"alice": True, "bob": False}

    play(scenario)


def test_a_client_that_dies_silently_is_noticed() -> None:
    """R4.14: no traffic for three ping intervals, then the others are told; nothing is lost."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await heard(alice)
            assert isinstance(bob.link, MemoryLink)
            bob.link.kill()
            await alice.tell("bob", "are you there?")
            gone = await heard(alice, 35)
            assert [e.show for e in gone if isinstance(e, Presence)] == [Show.OFFLINE]
            bob = await here.enter("bob", sign_up=False)
            assert await texts(bob, "@alice,bob") == ["are you there?"]

    play(scenario)


def shows(events: Sequence[object], user: str) -> list[Show]:
    return [each.show for each in events if isinstance(each, Presence) and each.user == user]


def test_a_held_session_counts_as_absent() -> None:
    """R4.9, R4.11, [7.1-2]: dereg and reg: the others see him offline and online; messages find him absent."""

    async def scenario(desk: Desk) -> None:
        alice, bob = await desk.enter(), await desk.enter(BOB)

        async def change(show: Show, hold: bool | None) -> tuple[list[bool], list[Show]]:
            effects = await desk.ask(bob, PresenceSet(show=show, hold=hold))
            answer(effects, Ok)
            return [each.on for each in found(effects, Hold)], shows(delivered(effects), BOB)

        async def recipient() -> Recipient | None:
            said = Post(user=BOB, cid=cid(), text="hi")
            return answer(await desk.ask(alice, said), Posted).recipient

        assert await recipient() is Recipient.ONLINE
        assert await change(Show.OFFLINE, True) == ([True], [Show.OFFLINE])
        assert await recipient() is Recipient.OFFLINE
        assert await change(Show.OFFLINE, True) == ([], [Show.OFFLINE])
        assert await change(Show.AWAY, None) == ([], [Show.OFFLINE])
        assert await change(Show.ONLINE, False) == ([False], [Show.ONLINE])
        assert await recipient() is Recipient.ONLINE
        assert await change(Show.ONLINE, False) == ([], [Show.ONLINE])

    at_desk(scenario)


def test_another_session_keeps_a_user_present() -> None:
    """[7.1-2]: hold is one session's; only with all of them held, or the others gone, is the user absent."""

    async def scenario(desk: Desk) -> None:
        phone, laptop = await desk.enter(BOB, PHONE), await desk.enter(BOB, LAPTOP)
        hold = PresenceSet(show=Show.OFFLINE, hold=True)
        assert shows(delivered(await desk.ask(phone, hold)), BOB) == [Show.ONLINE]
        assert desk.roster.present(BOB)
        assert shows(delivered(await desk.leave(laptop)), BOB) == [Show.OFFLINE]
        assert not desk.roster.present(BOB)
        third = desk.call(LAPTOP)
        effects = await desk.ask(third, await desk.prove(third, BOB))
        assert shows(delivered(await desk.admit(third, effects)), BOB) == [Show.ONLINE]
        assert shows(delivered(await desk.leave(third)), BOB) == [Show.OFFLINE]
        assert delivered(await desk.leave(phone)) == []
        back = await desk.enter(BOB, PHONE)
        assert desk.roster.present(BOB)
        assert shows(delivered(await desk.leave(back)), BOB) == [Show.OFFLINE]

    at_desk(scenario)


def test_the_table_tells_how_and_since_when() -> None:
    """R4.4, [7.3-3]: for each user his show and since when; of those who are away, when they were last seen."""

    async def scenario(desk: Desk) -> None:
        start = 1_800_000_000_000
        bob = await desk.enter(BOB)
        await asyncio.sleep(10)
        await desk.leave(bob)
        await desk.store.accounts.sign_up(CAROL, keys(), at=0)
        await desk.store.accounts.sign_up(PARROT, keys(), at=0)
        await asyncio.sleep(10)
        alice = desk.call()
        effects = await desk.ask(alice, await desk.prove(alice))
        (snapshot,) = [
            each.pdu
            for each in found(await desk.admit(alice, effects), Reply)
            if isinstance(each.pdu, PresenceSnapshot)
        ]
        assert snapshot.users == ((ALICE, True, ""), (BOB, False, ""), (CAROL, False, ""), (PARROT, True, ""))
        assert snapshot.standings == (
            (Show.ONLINE, start + 20_000),
            (Show.OFFLINE, start + 10_000),
            (Show.OFFLINE, 0),
            (Show.ONLINE, 0),
        )

    at_desk(scenario)


def test_last_seen_survives_the_server() -> None:
    """R4.4, [7.3-3]: it is kept with the device, and not only while the server runs."""

    async def scenario() -> None:
        store = MemoryStore()
        async with world(store=store) as here:
            bob = await here.enter("bob")
            await asyncio.sleep(30)
            await bob.close()
            left = VirtualClock().now()
            await asyncio.sleep(5)
        async with world(store=store) as here:
            alice = await here.enter("alice")
            (snapshot,) = [each for each in await heard(alice) if isinstance(each, PresenceSnapshot)]
            assert snapshot.standings is not None
            standings = dict(zip([user for user, _, _ in snapshot.users], snapshot.standings, strict=True))
            show, since = standings["bob"]
            assert show is Show.OFFLINE
            assert abs(since - left) < 1000

    play(scenario)


def test_the_built_in_user_is_always_there() -> None:
    """R3.1: `echo` answers whenever he is written to, and so he is never shown as away."""

    async def scenario() -> None:
        store = MemoryStore()
        await store.accounts.sign_up(PARROT, keys(), at=0)
        async with world(store=store) as here:
            alice = await here.enter("alice")
            (snapshot,) = [each for each in await heard(alice) if isinstance(each, PresenceSnapshot)]
            assert {user: online for user, online, _ in snapshot.users} == {"alice": True, "echo": True}
            assert {user: online for user, online, _ in await alice.members("general")} == {
                "alice": True,
                "echo": True,
            }

    play(scenario)


def test_of_too_many_neighbours_those_who_are_here_are_told() -> None:
    """[7.3-1], P7: the table has 512 rows: oneself, then who is online, then others by name."""

    async def scenario(desk: Desk) -> None:
        for hall in range(3):
            room = Room(f"hall{hall}")
            await make(desk.store, room, ALICE)
            for number in range(190):
                user = User(f"u{hall}-{number:03}")
                await desk.store.accounts.sign_up(user, keys(), at=0)
                await desk.store.rooms.join(room, user, cid=cid(), at=0)
        await desk.enter(User("u2-189"))
        alice = desk.call()
        effects = await desk.ask(alice, await desk.prove(alice))
        (reply,) = found(await desk.admit(alice, effects), Reply)
        assert isinstance(reply.pdu, PresenceSnapshot)
        users = [user for user, _, _ in reply.pdu.users]
        assert len(users) == 512
        assert users == sorted(users)
        assert {"alice", "u2-189"} <= set(users)

    at_desk(scenario)
