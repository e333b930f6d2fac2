"""A client of version 1 at a server of version 2: what it is told, in which words, and how its cursors move."""

from __future__ import annotations

import asyncio
import os

import pytest

from quicchat.errors import Code
from quicchat.wire.chapters.accounts import AuthOk
from quicchat.wire.chapters.messages import Kind, Message, Post, Posted
from quicchat.wire.chapters.rooms import Create, Join
from quicchat.wire.chapters.session import Ok, Ping, Pong
from tests.conformance.house import House, Place, play, simulated, somebody
from tests.conformance.peer import Peer, calling, entered
from tests.conformance.talk import post, said


async def absent(place: Place) -> str:
    """A user with an account, who is not there."""
    async with calling(place) as peer:
        await peer.negotiate()
        user = somebody()
        assert await peer.sign_up(user) == Ok()
        return user


async def old_client(peer: Peer, user: str) -> None:
    """Log in with version 1."""
    await peer.enter(user, 1, sign_up=False)
    assert peer.version == 1


async def told_in(peer: Peer, room: str, count: int) -> list[Message]:
    """What is told of a room, as soon as it is so much."""

    def look() -> list[Message] | None:
        found = [message for message in peer.all(Message) if message.room == room]
        return found if len(found) >= count else None

    return await peer.until(look)


async def prove_all(peer: Peer) -> None:
    """Answer the PINGs of the server until it has no more."""
    await peer.barrier()
    while pings := peer.all(Ping):
        for ping in pings:
            await peer.hear(Ping, lambda each, ping=ping: each == ping)  # type: ignore[misc]
            peer.say(Pong(nonce=ping.nonce))
        await peer.barrier()


async def delivered(place: Place, user: str, device: bytes) -> dict[str, int]:
    """The cursors of a device, as version 2 is told them."""
    async with calling(place, device=device) as peer:
        found = await peer.enter(user, sign_up=False)
        return {room: held for room, _, _, held in found.heads or ()}


def test_what_was_missed_comes_after_the_login(house: House) -> None:
    """R4.10, [1.2-3], [6.6-1], [6.6-3]: in order; a notice where the kind is newer; and without newer fields."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            user = await absent(house.place)
            room = ""
            for number, kind in enumerate((None, Kind.EMOTE, Kind.NOTICE, Kind.CODE)):
                pdu = post(str(number), user=user, kind=kind, topic="t", reply=number or None, extra={33: 1})
                room = (await said(alice, pdu)).room
            await said(alice, post("to all", room="*"))
            async with calling(house.place) as old:
                await old_client(old, user)
                direct = await told_in(old, room, 4)
                await old.until(lambda: [each for each in old.all(Message) if each.text == "to all"] or None)
                await told_in(old, "general", 1)
                told = old.all(Message)
                kinds = [type(each.pdu) for each in old.heard]
                assert kinds.index(AuthOk) < kinds.index(Message)
            assert [(each.seq, each.text, each.kind) for each in direct] == [
                (1, "0", Kind.TEXT),
                (2, "1", Kind.NOTICE),
                (3, "2", Kind.NOTICE),
                (4, "3", Kind.NOTICE),
            ]
            for message in told:
                newer = [field.name for field in Message.SPEC.fields if field.since > 1]
                assert [getattr(message, name) for name in newer] == [None] * len(newer)
            assert "to all" in [message.text for message in told if message.room == "*"]
            joined = [message for message in told if message.room == "general" and message.sender == user]
            assert [(each.kind, each.text) for each in joined] == [(Kind.NOTICE, f"{user} joined")]
            for room in {message.room for message in told}:
                places = [message.seq for message in told if message.room == room]
                assert places == list(range(places[0], places[0] + len(places)))

    house.run(scenario())


def test_other_rooms_are_not_told() -> None:
    """[6.6-3]: neither at the login nor later, however much there is in them."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            user = await absent(place)
            await alice.ask(Create(room="club"))
            async with entered(place, user=user) as bob:
                await bob.ask(Join(room="club"))
            for number in range(120):
                await said(alice, post(str(number), room="club"))
            async with calling(place) as old:
                await old_client(old, user)
                await said(alice, post("later", room="club"))
                await said(alice, post("for all", room="general"))
                await old.hear(Message, lambda message: message.text == "for all")
                assert [message for message in old.all(Message) if message.room == "club"] == []
                await old.barrier()

    play(scenario())


def test_a_pong_proves_delivery(house: House) -> None:
    """[6.6-4]: without it the device's places stay; with it they move up to what stood before the PING."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            user, device = await absent(house.place), os.urandom(16)
            posted = [await said(alice, post(str(number), user=user)) for number in range(3)]
            room = posted[0].room
            async with calling(house.place, device=device) as old:
                await old_client(old, user)
                assert len(await told_in(old, room, 3)) == 3
                await old.until(lambda: old.all(Ping) or None)
                old.say(Pong(nonce=2**40))
                await old.barrier()
            assert (await delivered(house.place, user, device))[room] == 0
            async with calling(house.place, device=device) as old:
                await old_client(old, user)
                assert [each.seq for each in await told_in(old, room, 3)] == [1, 2, 3]
                await prove_all(old)
            assert (await delivered(house.place, user, device))[room] == 3
            async with calling(house.place, device=device) as old:
                await old_client(old, user)
                assert [each for each in old.all(Message) if each.room == room] == []
                await said(alice, post("live", user=user))
                live = await old.hear(Message, lambda message: message.room == room)
                assert (live.seq, live.text) == (4, "live")
                await prove_all(old)
            assert (await delivered(house.place, user, device))[room] == 4

    house.run(scenario())


def test_it_speaks_as_well_as_it_hears(house: House) -> None:
    """R3.6, [1.2-3], [6.2-4], [6.6-5]: general and direct messages, acknowledged; its own are not sent to it."""

    async def scenario() -> None:
        async with entered(house.place) as alice, calling(house.place) as old:
            user = somebody()
            await old.enter(user, 1)
            await prove_all(old)
            old.heard.clear()
            for number in range(3):
                answer = await old.ask(Post(user=alice.user, cid=os.urandom(16), text=str(number)))
                assert isinstance(answer, Posted)
                assert (answer.seq, answer.epoch) == (number + 1, None)
                told = await alice.hear(Message, lambda message: message.room.startswith("@"))
                assert (told.text, told.sender, told.device) == (str(number), user, old.device)
            await said(alice, post("and you?", user=user))
            heard = await old.hear(Message, lambda message: message.room.startswith("@"))
            assert (heard.seq, heard.text) == (4, "and you?")
            assert await old.refused(Post(room=somebody(), cid=os.urandom(16), text="x")) == Code.NOT_MEMBER

    house.run(scenario())


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_no_gap_however_bad_the_line(loss: float) -> None:
    """[6.6-2], [6.7-2]: what could not be pushed comes from the log, in order, before what is new."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, calling(place) as old:
            assert place.network is not None
            user = somebody()
            await old.enter(user, 1)
            place.network.loss = loss
            place.network.partition(old.link.address)  # type: ignore[attr-defined]
            many = 60
            for number in range(many):
                await said(alice, post(f"{number} " + "x" * 30_000, user=user))
            place.network.heal()
            await said(alice, post("the end", user=user))

            def ended() -> bool | None:
                return any(message.text == "the end" for message in old.all(Message)) or None

            await old.until(ended, patience=300)
            told = [message for message in old.all(Message) if message.room.startswith("@")]
            assert [message.seq for message in told] == list(range(1, many + 2))
            assert [(message.text or "").split()[0] for message in told[:-1]] == [str(number) for number in range(many)]
            await asyncio.sleep(1)

    play(scenario())
