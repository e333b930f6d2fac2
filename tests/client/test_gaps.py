"""What push does not bring: gaps, a lost tail, an application that does not read, rooms that were replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from quicchat.client.events import Line, Reset
from quicchat.client.memory import WAITING, Change, Cursor, PlainMemory
from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.messages import Kind, Message, Post, Window
from quicchat.wire.names import Device, Room, User
from tests.client.lives import Listener, living
from tests.server.house import World, heard, play, world


async def slip(here: World, room: str, sender: str, text: str) -> None:
    """Write something into a log of which nobody is told."""
    cid = sha256(text.encode()).digest()[:16]
    post = Post(room=room, cid=cid, text=text)
    await here.store.log.append(Room(room), User(sender), Device(bytes(16)), post, at=0)


def watched(here: World, watched: str) -> list[tuple[str, Window, int, int]]:
    """Every page that a user asks for from now on: room, window, anchor, limit."""
    asked: list[tuple[str, Window, int, int]] = []
    page = here.store.log.page

    async def noted(room: Room, user: User, **what: Any) -> Any:
        if user == watched:
            asked.append((room, what["window"], what["anchor"], what["limit"]))
        return await page(room, user, **what)

    here.store.log.page = noted  # type: ignore[method-assign]
    return asked


def seqs(ears: Listener, room: str = "general") -> list[int]:
    return [each.seq for each in ears.of(Message) if each.room == room]


def has(ears: Listener, text: str) -> Callable[[], bool]:
    return lambda: any(each.text == text for each in ears.of(Message))


def test_exactly_the_gap_is_fetched() -> None:
    """R0.6, [6.3-4], [6.3-7]: one event dropped inside the server is fetched, nothing else, on the same link."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            async with living(here, "alice") as alice:
                ears = Listener(alice)
                await bob.post("general", "first")
                await ears.until(has(ears, "first"))
                link = alice.link
                asked = watched(here, "alice")
                await slip(here, "general", "bob", "dropped")
                await bob.post("general", "last")
                await ears.until(has(ears, "last"))
                last = seqs(ears)[-1]
                # The server reads the log for itself when a room stream is opened.
                ours = [each for each in asked if each[1] is Window.BETWEEN]
                assert ours == [("general", Window.BETWEEN, last - 2, 1)]
                assert seqs(ears) == list(range(seqs(ears)[0], last + 1))
                assert alice.link is link

    play(scenario)


def test_a_thousand_messages_on_a_bad_line() -> None:
    """R0.6: 5 % loss both ways: 1..1000 without a hole, without a double, over room streams and control."""

    async def scenario() -> None:
        async with world(loss=0.05, seed=11) as here:
            bob = await here.enter("bob")
            async with living(here, "alice") as alice:
                ears = Listener(alice)
                await asyncio.gather(*(bob.post("general", str(number)) for number in range(1000)))
                await ears.until(has(ears, "999"))
                assert [each.text for each in ears.of(Message) if each.sender == "bob"][-1000:] == [
                    str(number) for number in range(1000)
                ]
                assert alice.lost is None

    play(scenario)


def test_a_backlog_comes_in_order_whatever_its_pages_hold() -> None:
    """R4.10, [8.1-3], issue item 2: more than a page, and pages cut short by their bytes: all of it once, in order."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await (await here.enter("alice")).close()
            for number in range(700):
                await slip(here, "general", "bob", f"{number} " + "x" * (3000 if number % 7 == 0 else 20))
            memory = PlainMemory()
            await memory.keep(Change(cursors={"general": Cursor(seq=2, given=2)}))
            async with living(here, "alice", sign_up=False, memory=memory) as alice:
                ears = Listener(alice)
                await bob.post("general", "last")
                await ears.until(has(ears, "last"))
                assert seqs(ears) == list(range(3, seqs(ears)[-1] + 1))
                assert len(seqs(ears)) >= 701

    play(scenario)


def test_an_application_that_does_not_read_is_not_buried() -> None:
    """P7, Z3: beyond 4,096 events nothing is queued; when it reads again, all is there, in order."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            async with living(here, "alice") as alice:
                await bob.post("general", "first")
                many = WAITING + 1500
                for number in range(many):
                    await slip(here, "general", "bob", str(number))
                await bob.post("general", "last")
                await asyncio.sleep(30)
                assert len(alice._session.inbox._events) <= WAITING + 20
                for number in range(100):
                    await bob.post("general", f"more {number}")
                ears = Listener(alice)
                await ears.until(has(ears, "more 99"))
                assert seqs(ears) == list(range(seqs(ears)[0], seqs(ears)[-1] + 1))
                assert len(seqs(ears)) >= many + 102

    play(scenario)


def test_an_application_that_does_not_read_is_not_buried_in_version_1_either() -> None:
    """P7, [6.6-4]: it cannot fetch; the connection ends, and what was not confirmed comes over the next ones."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            async with living(here, "alice", versions=(1,)) as alice:
                await asyncio.sleep(1)
                many = WAITING + 1500
                for number in range(many):
                    await slip(here, "general", "bob", str(number))
                await bob.post("general", "last")
                await asyncio.sleep(60)
                assert len(alice._session.inbox._events) <= WAITING + 200
                ears = Listener(alice)
                await ears.until(has(ears, "last"), 300)
                assert seqs(ears) == list(range(seqs(ears)[0], seqs(ears)[-1] + 1))
                assert len(seqs(ears)) >= many + 1

    play(scenario)


def test_a_room_that_the_server_does_not_name_any_more_is_given_up() -> None:
    """[6.9-2]: what is not among one's conversations, when all of them are asked for, is one's own no more."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await bob.create("garden")
            memory = PlainMemory()
            async with living(here, "alice", memory=memory) as alice:
                ears = Listener(alice)
                await alice.join("garden")
                await bob.post("garden", "a rose")
                await ears.until(has(ears, "a rose"))
                # Behind the back of everybody, as if all that told of it had been lost.
                await here.store.rooms.leave(Room("garden"), User("alice"), cid=bytes(16), at=1)
                await alice._session._compare(alice._session.requests)
                await alice._session.scribe.written()
                assert "garden" not in alice.state.rooms
                assert alice._session.fetch.place("garden") == 0
                assert await memory.page("garden") == []
                assert {"general", "*"} <= set(alice.state.rooms)

    play(scenario)


def test_both_ends_agree_on_the_digest() -> None:
    """Issue item 2: while nothing is lost, no PONG makes the client ask; rooms, direct messages, own ones and all."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            async with living(here, "alice") as alice:
                ears = Listener(alice)
                doubts: list[bool] = []
                doubt = alice._session.fetch.doubt

                def noted(theirs: bytes) -> bool:
                    doubts.append(doubt(theirs))
                    return doubts[-1]

                alice._session.fetch.doubt = noted  # type: ignore[method-assign]
                await alice.create("club")
                await alice.post("club", "mine")
                await alice.tell("bob", "to you")
                await bob.tell("alice", "to you too")
                await bob.broadcast("to all")
                await bob.create("other")
                await alice.join("other")
                await bob.post("other", "hi")
                await ears.until(has(ears, "hi"))
                await asyncio.sleep(60)
                await alice.leave("other")
                await bob.post("other", "unheard")
                await asyncio.sleep(60)
                assert len(doubts) >= 8
                assert not any(doubts)
                assert alice._session.fetch._doubts == 0

    play(scenario)


def test_a_room_that_was_replaced_comes_anew() -> None:
    """[6.3-5], issue item 2: with another epoch the cache is dropped visibly, and all is fetched."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await bob.join("den", create=True, ephemeral=True)
            async with living(here, "alice") as alice:
                ears = Listener(alice)
                await alice.join("den")
                await bob.post("den", "old")
                await ears.until(has(ears, "old"))
                assert isinstance(alice.link, MemoryLink)
                here.network.partition(alice.link.address)
                await asyncio.sleep(40)
                await here.store.rooms.leave(Room("den"), User("alice"), cid=b"l" * 16, at=0)
                await bob.leave("den")
                await bob.join("den", create=True, ephemeral=True)
                await here.store.rooms.join(Room("den"), User("alice"), cid=b"j" * 16, at=0)
                here.network.heal()
                await ears.until(lambda: sum(each.state == "online" for each in ears.of(Line)) == 2)
                await bob.post("den", "new")
                await ears.until(has(ears, "new"))
                assert [each.room for each in ears.of(Reset)] == ["den"]
                after = ears.events[ears.events.index(Reset("den")) :]
                assert [each.seq for each in after if isinstance(each, Message) and each.room == "den"] == [1, 2, 3]

    play(scenario)


def test_active_rooms_have_streams_of_their_own() -> None:
    """Issue item 8: what is said in an active room comes on its stream, both ways; quiet again, it is on control."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            async with living(here, "alice") as alice:
                ears = Listener(alice)
                for number in range(20):
                    await bob.post("general", f"b{number}")
                    await alice.post("general", f"a{number}")
                lanes = alice._session._lanes
                assert lanes is not None
                assert lanes.get("general") is not None
                await ears.until(has(ears, "a19"))
                assert seqs(ears) == list(range(seqs(ears)[0], seqs(ears)[-1] + 1))
                await asyncio.sleep(90)
                assert lanes.get("general") is None
                await bob.post("general", "late")
                await ears.until(has(ears, "late"))
            assert [each for each in await heard(bob) if isinstance(each, Message)]

    play(scenario)


def test_whoever_is_put_out_is_told_so_and_forgets_the_room() -> None:
    """R0.2, issue item 11: the LEAVE is the last that one hears; both ends agree on the digest afterwards."""

    async def scenario() -> None:
        async with world() as here, living(here, "bob") as bob, living(here, "alice") as alice:
            ears = Listener(alice)
            await bob.create("club")
            await alice.join("club")
            await bob.kick("club", "alice", "enough")
            await bob.post("club", "unheard")
            await asyncio.sleep(90)
            last = [each for each in ears.of(Message) if each.room == "club"][-1]
            assert (last.kind, last.sender, last.by) == (Kind.LEAVE, "alice", "bob")
            assert "club" not in alice.state.rooms
            assert "club" not in (await alice.memory.load()).cursors
            assert alice._session.fetch._doubts == 0

    play(scenario)


def test_a_room_that_was_left_meanwhile_is_forgotten() -> None:
    """[4.2-9]: a login names all rooms: what another device left is not held, and not compared, any more."""

    async def scenario() -> None:
        async with world() as here:
            memory = PlainMemory()
            async with living(here, "alice", memory=memory) as alice:
                ears = Listener(alice)
                await alice.create("club")
                await alice.post("club", "here")
                await ears.until(has(ears, "here"))
            assert "club" in (await memory.load()).cursors
            phone = await here.enter("alice", sign_up=False, device=b"2" * 16)
            await phone.leave("club")
            async with living(here, "alice", sign_up=False, memory=memory) as alice:
                await asyncio.sleep(90)
                assert "club" not in (await memory.load()).cursors
                assert alice._session.fetch._doubts == 0

    play(scenario)
