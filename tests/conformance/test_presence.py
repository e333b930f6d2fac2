"""Who is there, from the outside."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.protocol.scram import Credentials
from quicchat.server.model import PRESENCE_ROOM
from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.presence import Presence, PresenceSet, PresenceSnapshot, Show, Tick, Typing
from quicchat.wire.chapters.rooms import Create, Join
from quicchat.wire.chapters.session import Bye, Error, Ok
from quicchat.wire.names import Room, User
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import DATAGRAM, Peer, calling, entered

NOBODY = Credentials(salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))


async def told(peer: Peer, user: str) -> Presence:
    """The next news of somebody."""
    return await peer.hear(Presence, lambda presence: presence.user == user)


def test_those_who_share_a_room_hear_of_each_other() -> None:
    """R1.5, R2.32, [7.1-1], [7.2-1]: first session, last session with its reason, and what one says of oneself."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            async with entered(place) as bob:
                came = await told(alice, bob.user)
                assert came.show is Show.ONLINE
                async with entered(place, user=bob.user) as second:
                    assert await second.ask(PresenceSet(show=Show.AWAY, status="lunch")) == Ok()
                    for peer in (alice, bob):
                        news = await told(peer, bob.user)
                        assert (news.show, news.status) == (Show.AWAY, "lunch")
                    assert second.all(Presence) == []
                    second.say(Bye())
                    await second.end()
                await alice.barrier()
                assert alice.all(Presence) == []
                bob.say(Bye(reason="tea"))
                await bob.end()
                gone = await told(alice, bob.user)
                assert (gone.show, gone.reason) == (Show.OFFLINE, "tea")
            async with entered(place, user=bob.user):
                back = await told(alice, bob.user)
                assert (back.show, back.status) == (Show.ONLINE, None)

    play(scenario())


def test_a_snapshot_comes_with_the_login(house: House) -> None:
    """R1.5, R4.4, [7.3-1], [7.3-3]: the user himself and those who share a room with him, online or not."""

    async def scenario() -> None:
        room = somebody()
        async with entered(house.place) as alice:
            await alice.ask(Create(room=room))
            async with entered(house.place) as bob:
                await bob.ask(Join(room=room))
                bob.say(Bye())
                await bob.end()
            async with calling(house.place) as again:
                await again.enter(alice.user, sign_up=False)
                snapshot = await again.hear(PresenceSnapshot)
        assert snapshot.standings is not None
        standings = dict(zip([user for user, _, _ in snapshot.users], snapshot.standings, strict=True))
        assert standings[alice.user][0] is Show.ONLINE
        assert standings[bob.user][0] is Show.OFFLINE
        assert abs(standings[bob.user][1] - standings[alice.user][1]) < 60_000
        rows = {user: online for user, online, _ in snapshot.users}
        assert rows[alice.user]
        assert rows.get(bob.user, False) is False
        assert len(rows) == len(snapshot.users)

    house.run(scenario())


def test_in_large_rooms_nobody_hears_of_anybody() -> None:
    """Protocol §7.8, [7.2-1], [7.3-1]: beyond the limit there is neither news nor a row in the snapshot."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            assert place.store is not None
            room = Room("crowd")
            await alice.ask(Create(room=room))
            for number in range(PRESENCE_ROOM + 5):
                user = User(f"extra-{number}")
                cid = number.to_bytes(16, "big")
                await place.store.accounts.sign_up(user, NOBODY, at=0)
                if number < PRESENCE_ROOM:
                    await place.store.rooms.join(room, user, cid=cid, at=0)
            async with entered(place) as bob:
                await bob.ask(Join(room=room))
                await alice.barrier()
                assert alice.all(Presence) == []
            async with calling(place) as again:
                await again.enter(alice.user, sign_up=False)
                (snapshot,) = again.all(PresenceSnapshot)
                assert [user for user, _, _ in snapshot.users] == [alice.user]

    play(scenario())


@pytest.mark.parametrize("shown", [True, False])
def test_addresses_are_the_operators_choice(shown: bool) -> None:
    """R2.8, U-privacy, [7.2-2]: left out unless he shows them."""

    async def scenario() -> None:
        async with simulated(show_addresses=shown) as place, entered(place) as alice:
            async with calling(place) as bob:
                await bob.enter(somebody())
                news = await told(alice, bob.user)
                (snapshot,) = bob.all(PresenceSnapshot)
                addresses = [address for _, online, address in snapshot.users if online]
            assert len(addresses) == 2
            assert all(bool(address) is shown for address in addresses)
            assert (news.address is not None) is shown

    play(scenario())


def test_a_silent_death_is_noticed() -> None:
    """R3.11, R4.14, [7.2-3]: offline is told when the connection is given up, and not before."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob:
            assert place.network is not None
            await told(alice, bob.user)
            loop = asyncio.get_running_loop()
            start = loop.time()
            assert isinstance(bob.link, MemoryLink)
            bob.link.kill()
            keeper = loop.create_task(keep_alive(alice))
            try:
                news = await alice.hear(Presence, patience=60)
            finally:
                keeper.cancel()
            assert (news.user, news.show) == (bob.user, Show.OFFLINE)
            assert 20 < loop.time() - start < 40

    play(scenario())


async def keep_alive(peer: Peer) -> None:
    while True:
        await peer.barrier()
        await asyncio.sleep(5)


def test_version_1_gets_the_snapshot_alone() -> None:
    """[7.3-2], [1.2-3]: no PRESENCE, whoever comes and goes."""

    async def scenario() -> None:
        async with simulated() as place, calling(place) as old:
            await old.enter(somebody(), 1)
            assert len(old.all(PresenceSnapshot)) == 1
            async with entered(place) as bob:
                assert await bob.ask(PresenceSet(show=Show.BUSY)) == Ok()
            await old.barrier()
            assert old.all(Presence) == []

    play(scenario())


def test_typing_and_ticks_travel_as_datagrams(house: House) -> None:
    """R3.18, Z1, Z3, Q17, [7.4-1], [7.4-2], [7.4-4]: to those who share the room, in one's own name, unanswered."""

    async def scenario() -> None:
        room = somebody()
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as mallory:
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            mallory.whisper(Typing(room=room, counter=1, ttl=5000))
            mallory.whisper(Typing(room=somebody(), counter=2, ttl=5000))
            await mallory.barrier()
            alice.whisper(Typing(room=room, user=bob.user, counter=7, ttl=5000))
            told = await bob.until(lambda: next((each for each in bob.heard if isinstance(each.pdu, Typing)), None))
            assert told.sid == DATAGRAM
            assert told.pdu == Typing(room=room, user=alice.user, counter=7, ttl=5000)
            alice.whisper(Tick(counter=8, ttl=60_000))
            assert await bob.hear(Tick) == Tick(user=alice.user, counter=8, ttl=60_000)
            for peer in (alice, bob, mallory):
                await peer.barrier()
                assert not peer.all(Error)
            assert [typing.user for typing in bob.all(Typing)] == [alice.user]
            assert not alice.all(Typing)
            assert not mallory.all(Typing)

    house.run(scenario())


def test_typing_is_not_for_those_outside_or_early() -> None:
    """Q17, [7.4-2]: before the login a datagram is dropped, and nobody hears of it."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, calling(place) as early:
            await early.negotiate()
            early.whisper(Typing(room="general", counter=1, ttl=5000))
            assert await early.sign_up(somebody()) == Ok()
            await alice.barrier()
            assert not alice.all(Typing)
            assert early.closed is None

    play(scenario())
