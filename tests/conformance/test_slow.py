"""Clients that do not acknowledge: what the server holds for them, and how they catch up."""

from __future__ import annotations

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.server.feed import BUDGET
from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.messages import Message, Window
from quicchat.wire.chapters.presence import Presence, PresenceSet, Show
from quicchat.wire.chapters.rooms import RoomHead
from quicchat.wire.chapters.session import Ok
from tests.conformance.house import Place, play, simulated, somebody
from tests.conformance.peer import Peer, entered
from tests.conformance.talk import page, post, said

#: Larger than the budget by far.
MANY = 60


def held(place: Place, address: str) -> int:
    """What the server holds for whoever is at an address."""
    assert place.door is not None
    (link,) = [session._link for session in place.door.router if session._link.peer == address]  # type: ignore[attr-defined]
    found: int = link.backlog()
    return found


async def talk_past(place: Place, alice: Peer, address: str, user: str) -> str:
    """Much is said to somebody whom nothing reaches; the room."""
    assert place.network is not None
    place.network.partition(address)
    most, room = 0, ""
    for number in range(MANY):
        room = (await said(alice, post(f"{number} " + "x" * 30_000, user=user))).room
        most = max(most, held(place, address))
    assert BUDGET < most <= BUDGET + 40_000
    return room


def test_a_slow_client_is_told_to_fetch() -> None:
    """Q6, P7, [5.6-1], [6.7-1], [6.7-2]: bounded bytes, no ephemera, an unbroken beginning, then ROOM_HEAD."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as bob, entered(place) as alice:
            assert place.network is not None
            assert isinstance(bob.link, MemoryLink)
            address = bob.link.address
            bob.heard.clear()
            room = await talk_past(place, alice, address, bob.user)
            assert await alice.ask(PresenceSet(show=Show.AWAY)) == Ok()
            place.network.heal()
            head = await bob.hear(RoomHead, patience=60)
            assert (head.room, head.head) == (room, MANY)
            pushed = [message.seq for message in bob.all(Message) if message.room == room]
            assert pushed == list(range(1, len(pushed) + 1))
            assert len(pushed) < MANY
            assert bob.all(Presence) == []
            fetched = list(pushed)
            while got := await page(bob, room, Window.AFTER, fetched[-1]):
                fetched += got
            assert fetched == list(range(1, MANY + 1))
            await said(alice, post("pushed again", user=bob.user))
            assert (await bob.hear(Message, lambda message: message.text == "pushed again")).seq == MANY + 1

    play(scenario())


def test_our_client_fetches_what_was_not_pushed() -> None:
    """Q6, [5.6-1], [6.3-4]: everything arrives in order, over the same connection."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            assert place.network is not None
            link = place.network.dial()
            async with Chat(link) as chat:
                user = somebody()
                await chat.open(Identity(user=user, password="pw", sign_up=True, iterations=1))
                await talk_past(place, alice, link.address, user)
                place.network.heal()
                places = []
                async for event in chat:
                    if isinstance(event, Message) and event.room.startswith("@"):
                        places.append(event.seq)
                        if event.seq == MANY:
                            break
                assert places == list(range(1, MANY + 1))
                assert chat.lost is None

    play(scenario())
