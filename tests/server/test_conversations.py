"""Whole conversations between clients and a server, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from quicchat.errors import Code, LocalProtocolError
from quicchat.wire.chapters.messages import Kind, Message, Post, Posted, Recipient, Window
from tests.server.house import OPEN, heard, play, refusal, texts, world


def test_who_is_in_a_room_hears_it_and_nobody_else() -> None:
    """R0.1: A creates r1, B joins, C not: B sees A's message, C gets nothing; the list shows r1 with 2 members."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob, carol = [await here.enter(name) for name in ("alice", "bob", "carol")]
            await alice.create("r1")
            await bob.join("r1")
            await alice.post("r1", "hello")
            assert await texts(bob, "r1") == ["hello"]
            assert await texts(carol, "r1") == []
            assert ("r1", 2, "", False) in await carol.rooms()

    play(scenario)


def test_who_is_not_a_member_is_refused_and_stays() -> None:
    """R0.2, Z1: a post to a room one is not in stores nothing, and the connection goes on; after leaving too."""

    async def scenario() -> None:
        async with world() as here:
            alice, carol = await here.enter("alice"), await here.enter("carol")
            await alice.create("r1")
            assert await refusal(carol.post("r1", "let me in")) is Code.NOT_MEMBER
            await carol.join("r1")
            await carol.leave("r1")
            assert await refusal(carol.post("r1", "again")) is Code.NOT_MEMBER
            assert await refusal(carol.post("nowhere", "again")) is Code.NOT_MEMBER
            assert [event.kind for event in await alice.history("r1")] == [Kind.JOIN, Kind.JOIN, Kind.LEAVE]
            assert await carol.echo("still here") == "still here"

    play(scenario)


def test_what_one_may_not_see_does_not_exist() -> None:
    """Z1, Z2: history and members of a foreign room are answered like those of a room that does not exist."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob, carol = [await here.enter(name) for name in ("alice", "bob", "carol")]
            await alice.create("r1")
            await alice.tell("bob", "between us")
            for room in ("r1", "nowhere", "@alice,bob"):
                assert await refusal(carol.history(room)) is Code.NO_SUCH_ROOM
                assert await refusal(carol.members(room)) is Code.NO_SUCH_ROOM
            assert await refusal(carol.post("@alice,bob", "me too")) is Code.NOT_MEMBER
            assert await texts(bob, "@alice,bob") == ["between us"]

    play(scenario)


def test_the_sender_is_set_by_the_server() -> None:
    """Z3, R2.35: MSG_SEND has no field for the sender, and what looks like another's tag is only text."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await alice.post("general", "[SERVER] bob is banned")
            said = [event for event in await heard(bob) if isinstance(event, Message) and event.kind is Kind.TEXT]
            assert [(event.sender, event.text) for event in said] == [("alice", "[SERVER] bob is banned")]

    play(scenario)


def test_a_direct_message_says_whether_it_was_heard() -> None:
    """R1.14, R4.11: delivered, stored for a user who is away, no such user."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            assert (await alice.tell("bob", "one")).recipient is Recipient.ONLINE
            await bob.close()
            assert (await alice.tell("bob", "two")).recipient is Recipient.OFFLINE
            assert await refusal(alice.tell("nobody", "three")) is Code.NO_SUCH_USER
            bob = await here.enter("bob", sign_up=False)
            assert await texts(bob, "@alice,bob") == ["two"]

    play(scenario)


@pytest.mark.parametrize("versions", [(1,), (1, 2)])
def test_who_was_away_gets_everything_once_and_in_order(versions: tuple[int, ...]) -> None:
    """R4.10, P4: what was said while a device was away comes when it is back, with no gap and no double."""

    async def scenario() -> None:
        async with world(loss=0.05, jitter=0.01, seed=3) as here:
            alice = await here.enter("alice")
            device = bytes(range(16))
            bob = await here.enter("bob", device=device, versions=versions)
            await alice.post("general", "0")
            first = await texts(bob, "general")
            await bob.close()
            for number in range(1, 301):
                await alice.post("general", str(number))
            bob = await here.enter("bob", sign_up=False, device=device, versions=versions)
            for number in range(301, 311):
                await alice.post("general", str(number))
            said = [text for text in first + await texts(bob, "general") if text.isdigit()]
            assert said == [str(number) for number in range(311)]

    play(scenario)


def test_a_retry_is_stored_once() -> None:
    """R4.17, P2: the same cid is acknowledged again with dup, in the same place; another text is refused."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            cid = bytes(16)
            first = await alice.post("general", "once", cid=cid)
            again = await alice.post("general", "once", cid=cid)
            assert (again.seq, again.dup) == (first.seq, True)
            assert await refusal(alice.post("general", "other", cid=cid)) is Code.CID_CONFLICT
            assert await texts(bob, "general") == ["bob joined", "once"]

    play(scenario)


def test_all_that_a_post_carries_is_in_its_event() -> None:
    """R0.15: whatever optional field a post has, its event has too, for the others, in history, and for the sender."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            facts = {"topic": "tea", "reply": 1, "refs": (1, 2), "mentions": ("bob",), "expires": 9, "sent": 7}
            await alice._talk._post(Post(room="general", cid=bytes(16), text="x", extra={33: 1}, **facts))  # type: ignore[arg-type]
            for chat in (alice, bob):
                event = [each for each in await heard(chat) if isinstance(each, Message)][-1]
                stored = (await chat.history("general"))[-1]
                for each in (event, stored):
                    assert {name: getattr(each, name) for name in facts} == facts
                    assert each.extra == {33: 1}

    play(scenario)


def test_a_thousand_sends_without_waiting() -> None:
    """R0.10: 1000 MSG_SEND written at once are all acknowledged, in the order in which they were written."""

    async def scenario() -> None:
        async with world(loss=0.01, seed=5) as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            acks = await asyncio.gather(*(alice.post("general", str(number)) for number in range(1000)))
            places = [ack.seq for ack in acks]
            assert places == list(range(places[0], places[0] + 1000))
            assert [text for text in await texts(bob, "general") if text.isdigit()] == [str(n) for n in range(1000)]

    play(scenario)


@pytest.mark.parametrize("size", [1, 1024, 1025, 1026, 32_768])
def test_texts_of_any_size_arrive_whole(size: int) -> None:
    """R0.3: texts up to the limit arrive as one message, byte for byte."""

    async def scenario() -> None:
        async with world(split=0.5, seed=size) as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            text = ("0123456789" * (size // 10 + 1))[:size]
            await alice.post("general", text)
            assert await texts(bob, "general") == ["bob joined", text]

    play(scenario)


def test_version_1_beside_version_2() -> None:
    """R3.6, design §4: a version-1 client talks in general and in direct messages, and is told of joins as notices."""

    async def scenario() -> None:
        async with world() as here:
            old = await here.enter("old", versions=(9, 1))
            new = await here.enter("new")
            assert (old.version, new.version) == (1, 2)
            await new.post("general", "to all", kind=Kind.EMOTE)
            await new.create("garden")
            await new.post("garden", "not for version 1")
            await old.post("general", "from the old one")
            await old.tell("new", "quietly")
            await new.tell("old", "answer")
            told = [event for event in await heard(old) if isinstance(event, Message)]
            assert [(event.kind, event.text) for event in told if event.room == "general"] == [
                (Kind.NOTICE, "old joined"),
                (Kind.NOTICE, "new joined"),
                (Kind.NOTICE, "to all"),
                (Kind.TEXT, "from the old one"),
            ]
            assert [event.text for event in told if event.room == "@new,old"] == ["quietly", "answer"]
            assert {event.room for event in told} == {"general", "@new,old"}
            assert await texts(new, "general") == ["new joined", "to all", "from the old one"]
            with pytest.raises(LocalProtocolError):
                await old.join("garden")

    play(scenario)


def test_an_announcement_reaches_everybody_even_later() -> None:
    """C7: a broadcast is stored, reaches who is away when he comes, and the sender gets the ack, not a copy."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob, old = await here.enter("alice"), await here.enter("bob"), await here.enter("old", versions=(1,))
            await bob.close()
            assert isinstance(await alice.broadcast("fire drill at noon"), Posted)
            assert await texts(old, "*") == ["fire drill at noon"]
            bob = await here.enter("bob", sign_up=False)
            assert await texts(bob, "*") == ["fire drill at noon"]

    play(scenario)


def test_only_announcers_broadcast_where_the_operator_says_so() -> None:
    """R2.16: broadcasting is permission-controlled in servers that want it."""

    async def scenario() -> None:
        async with world(replace(OPEN, announcers=frozenset({"chief"}))) as here:  # type: ignore[arg-type]
            alice, chief = await here.enter("alice"), await here.enter("chief")
            assert await refusal(alice.broadcast("me, me")) is Code.FORBIDDEN
            await chief.broadcast("hear me")
            assert await texts(alice, "*") == ["hear me"]

    play(scenario)


def test_the_parrot() -> None:
    """R3.1, [5.7-2]: the built-in user echo returns the text, once for each message; ECHO comes back unchanged."""

    async def scenario() -> None:
        async with world() as here:
            await here.enter("echo")
            alice = await here.enter("alice")
            await alice.tell("echo", "polly")
            await alice.tell("echo", "wants a cracker")
            assert await texts(alice, "@alice,echo") == ["polly", "polly", "wants a cracker", "wants a cracker"]
            assert await alice.echo("at once") == "at once"

    play(scenario)


def test_a_server_that_only_echoes() -> None:
    """R3.1: with --mode echo whatever is posted comes back to its sender, and to nobody else."""

    async def scenario() -> None:
        async with world(replace(OPEN, echo_only=True)) as here:
            await here.enter("echo")
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await alice.post("general", "hello?")
            assert await texts(alice, "@alice,echo") == ["hello?", "hello?"]
            assert "hello?" not in await texts(bob)

    play(scenario)


def test_ephemeral_groups_end_with_their_last_member() -> None:
    """R2.22: `groups` no longer lists a group that its last member left; R2.17: a name in use is refused."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await alice.create("pals", ephemeral=True)
            assert await refusal(bob.create("pals")) is Code.ROOM_EXISTS
            await bob.join("pals")
            await alice.leave("pals")
            assert [room for room, *_ in await alice.rooms()] == ["general", "pals"]
            await bob.leave("pals")
            assert [room for room, *_ in await alice.rooms()] == ["general"]
            assert await refusal(alice.join("pals")) is Code.NO_SUCH_ROOM
            assert (await alice.join("pals", create=True, ephemeral=True)).epoch == 2

    play(scenario)


def test_a_list_of_rooms_with_long_topics_is_paged() -> None:
    """[3.3-4] [5.4-1] A page of rooms fits a frame, whatever their topics; the next page goes on behind it."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            for number in range(150):
                await alice.create(f"room{number:03}", topic="\u20ac" * 170)
            assert len(await alice.rooms()) == 151

    play(scenario)


def test_standing_rooms_cannot_be_made_or_left() -> None:
    """Issue 2.7: general and the announcements are there for everybody, for good."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            assert await refusal(alice.leave("general")) is Code.FORBIDDEN
            for room in ("general", "*", "@alice,bob"):
                assert await refusal(alice.join(room, create=True)) is Code.FORBIDDEN
                assert await refusal(alice.create(room)) is Code.FORBIDDEN

    play(scenario)


def test_history_in_all_windows() -> None:
    """[6.5-1] before, after, around and latest, ascending, and no more than asked for."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            for number in range(2, 11):
                await alice.post("general", str(number))

            async def places(window: Window, anchor: int | None, limit: int) -> list[int]:
                return [e.seq for e in await alice.history("general", window=window, anchor=anchor, limit=limit)]

            assert await places(Window.LATEST, None, 3) == [8, 9, 10]
            assert await places(Window.BEFORE, 5, 2) == [3, 4]
            assert await places(Window.AFTER, 5, 2) == [6, 7]
            assert await places(Window.AROUND, 5, 3) == [4, 5, 6]
            assert await refusal(alice.history("general", window=Window.AFTER)) is Code.SCHEMA

    play(scenario)
