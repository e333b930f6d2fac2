"""Conversations that are readable by those who are in them alone, from client to client."""

from __future__ import annotations

import asyncio

from quicchat.client.seal import Opened, Seal
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.sealed import SESSION_MESSAGES
from tests.client.e2ee.talks import DIRECT, ROOM, Talker, den, engine, lasting, logged, seal_of, talking, three
from tests.server.house import play, world


def test_a_direct_message_is_read_by_the_two_alone() -> None:
    """[15.6-20]: what one says to the other is sealed at once where both have keys, and opened there."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.tell("bob", "canary", mentions=["bob"], topic="birds")
            await bob.hears("canary")
            await bob.chat.tell("alice", "heard", reply=2)
            await alice.hears("heard")
            assert bob.said == [("alice", "canary", Seal.PINNED), ("bob", "heard", Seal.OWN)]
            assert alice.said == [("alice", "canary", Seal.OWN), ("bob", "heard", Seal.PINNED)]
            assert (bob.messages[0].mentions, bob.messages[0].topic, alice.messages[1].reply) == (("bob",), "birds", 2)
            for event in await logged(here, DIRECT, "alice"):
                assert event.sealed is not None
                assert (event.text, event.mentions, event.topic, event.reply) == ("", None, None, None)
                assert b"canary" not in event.sealed

    play(scenario)


def test_a_room_of_three() -> None:
    """[15.6-21]: in an encrypted room all who are in read what is said, kinds and corrections included."""

    async def scenario() -> None:
        async with three() as (_, alice, bob, carol):
            await den(alice, bob, carol)
            first = await alice.chat.post(ROOM, "waves", kind=Kind.EMOTE)
            await bob.hears("waves")
            await bob.chat.react(ROOM, first.seq, "+1")
            await alice.chat.edit(ROOM, first.seq, "waves twice")
            await alice.chat.pin(ROOM, first.seq)
            await carol.hears("waves", "+1", "waves twice", "A message was pinned.")
            kinds = [(each.kind, seal_of(each)) for each in carol.messages]
            assert kinds == [
                (Kind.EMOTE, Seal.PINNED),
                (Kind.REACT, Seal.PINNED),
                (Kind.EDIT, Seal.PINNED),
                (Kind.PIN, None),
            ]
            await alice.chat.retract(ROOM, first.seq)
            await carol.ears.until(lambda: carol.messages[-1].kind is Kind.RETRACT)
            assert [each.kind for each in alice.messages] == [each.kind for each in carol.messages]

    play(scenario)


def test_who_joins_later_reads_what_is_said_from_then_on() -> None:
    """[15.7-20]: whoever joins is given the session as it is then; what was said before is told as historical."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.post(ROOM, "before")
            await bob.hears("before")
            async with talking(here, "carol") as carol:
                await carol.chat.join(ROOM)
                await alice.ears.until(lambda: any(each.sender == "carol" for each in alice.ears.of(Message)))
                await alice.chat.post(ROOM, "after")
                await carol.hears("after")
                assert carol.said == [("alice", "after", Seal.PINNED)]
                told = [each for each in await carol.chat.past(ROOM) if each.kind is Kind.TEXT]
                assert [(each.text, seal_of(each)) for each in told] == [
                    ("", Seal.HISTORICAL),
                    ("after", Seal.PINNED),
                ]

    play(scenario)


def voice_of(talker: Talker, room: str = ROOM) -> bytes:
    """The id of the session that somebody speaks with."""
    voice = engine(talker).core.sealing._voice(room)
    assert voice is not None
    return voice.sid


def test_who_leaves_reads_nothing_that_is_said_afterwards() -> None:
    """[15.7-21], attack "member removed and still listening": a new session is begun when a member leaves."""

    async def scenario() -> None:
        async with three() as (here, alice, bob, carol):
            await den(alice, bob, carol)
            await alice.chat.post(ROOM, "to both")
            await carol.hears("to both")
            before = voice_of(alice)
            await alice.chat.kick(ROOM, "carol")
            await alice.ears.until(lambda: any(each.kind is Kind.LEAVE for each in alice.ears.of(Message)))
            await alice.chat.post(ROOM, "to bob")
            await bob.hears("to bob")
            assert voice_of(alice) != before
            # Whatever the server shows her: she has no key for it.
            for event in await logged(here, ROOM, "bob"):
                said = engine(carol).open(event, final=True)
                assert said is not None
                assert said.text != "to bob"

    play(scenario)


def test_a_session_ends_after_so_many_messages() -> None:
    """[15.7-6]: no session says more than 100 messages; all of them arrive in order, many at a time."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            said = [f"{number}" for number in range(SESSION_MESSAGES * 2 + 10)]
            for text in said:
                post = Post(room=ROOM, cid=alice.chat._session.surroundings.chance(16), text=text)
                await alice.chat.queue(post)
            await bob.hears(said[-1])
            assert bob.texts == said
            keys = [each for each in bob.ears.of(Message) if each.kind is Kind.KEY]
            assert len(keys) == 3

    play(scenario)


def test_rotating_begins_a_new_session() -> None:
    """[15.7-23]: after /rotate the next message is sealed with a new session."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.post(ROOM, "one")
            before = voice_of(alice)
            await alice.chat.keys.rotate(ROOM)
            await alice.chat.post(ROOM, "two")
            assert voice_of(alice) != before
            await bob.hears("one", "two")

    play(scenario)


def test_who_is_away_reads_it_when_he_comes() -> None:
    """[15.6-22]: what was sealed while a device was away is opened when it comes back, keys before messages."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "alice") as alice:
            async with talking(here, "bob", memory=memory):
                pass
            for text in ("one", "two", "three"):
                await alice.chat.tell("bob", text)
            async with talking(here, "bob", memory=memory, sign_up=False) as bob:
                await bob.hears("one", "two", "three")
                assert bob.said == [("alice", text, Seal.PINNED) for text in ("one", "two", "three")]

    play(scenario)


def test_a_connection_that_is_lost_in_the_middle() -> None:
    """[15.6-23]: what was sealed is sent again in the same bytes on the next connection, once and in order."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            for number in range(12):
                post = Post(room=ROOM, cid=bytes([number] * 16), text=f"{number}")
                await alice.chat.queue(post)
                if number % 4 == 1:
                    await asyncio.sleep(0.011)
                    alice.chat.link.close(0x100, "cut")
            await bob.hears("11", seconds=300)
            assert bob.texts == [f"{number}" for number in range(12)]
            assert {seal for *_, seal in bob.said} == {Seal.PINNED}

    play(scenario)


def test_what_the_device_keeps_is_what_was_said() -> None:
    """[15.6-24]: opened messages are found by their words and read again after a restart; /logout leaves none."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "alice") as alice:
            async with talking(here, "bob", memory=memory) as bob:
                await alice.chat.tell("bob", "the canary sings")
                await bob.hears("the canary sings")
                (found,) = await bob.chat.search_here("canary")
                assert (found.text, seal_of(found)) == ("the canary sings", Seal.PINNED)
            async with talking(here, "bob", memory=memory, sign_up=False) as bob:
                (found,) = [each for each in await bob.chat.past(DIRECT) if each.kind is Kind.TEXT]
                assert (found.text, seal_of(found)) == ("the canary sings", Seal.PINNED)
                assert isinstance(found, Opened)
            await memory.forget()
            assert not await memory.page(DIRECT)

    play(scenario)


def test_mentions_that_are_sealed_are_counted_here() -> None:
    """[15.6-25]: the server cannot count whom a sealed message names; the client does. KEY events count as nothing."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.post(ROOM, "bob?", mentions=["bob"])
            await alice.chat.post(ROOM, "anybody?")
            await bob.hears("bob?", "anybody?")
            view = bob.chat.state.rooms[ROOM]
            assert (view.unread, view.mentions) == (2, 1)
            bob.chat.mark_read(ROOM)
            await happened_quietly(bob)
            view = bob.chat.state.rooms[ROOM]
            assert (view.unread, view.mentions) == (0, 0)

    play(scenario)


def test_mentions_of_an_earlier_run_are_counted() -> None:
    """[15.6-25]: also those that were held by an earlier run of the program, and are not read."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "alice") as alice:
            async with talking(here, "bob", memory=memory) as bob:
                await den(alice, bob)
                await alice.chat.post(ROOM, "bob?", mentions=["bob"])
                await bob.hears("bob?")
            async with talking(here, "bob", memory=memory, sign_up=False) as bob:
                assert bob.chat.state.rooms[ROOM].mentions == 1
                bob.chat.mark_read(ROOM)
                assert not bob.chat.state.rooms[ROOM].mentions

    play(scenario)


async def happened_quietly(talker: Talker, seconds: float = 2.0) -> None:
    await asyncio.sleep(seconds)
