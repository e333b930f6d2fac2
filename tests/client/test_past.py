"""What was said earlier: once, in order, without a gap, from the device and the server together."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from quicchat.client.api import Chat
from quicchat.client.memory import Change, PlainMemory, wholes
from quicchat.errors import Code, LinkLost, Refused
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import User, direct
from tests.client.lives import Listener, living
from tests.client.logs import GENERAL, log_of, plain, say, seqs, whole_past
from tests.server.house import play, world

DIRECT = str(direct(User("alice"), User("bob")))


@pytest.mark.parametrize("keeps", [0, 7, 60, 10_000])
def test_pages_over_the_border_of_what_is_kept(keeps: int) -> None:
    """[6.12-1], [6.12-2]: whatever the device keeps, its pages and the server's make the log, each event once."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await say(bob, 150)
            async with living(here, "alice", memory=PlainMemory(keeps)) as alice:
                ears = Listener(alice)
                await say(bob, 100)
                await say(bob, 3, "*")
                await bob.tell("alice", "between us")
                await ears.until(lambda: any(each.text == "between us" for each in ears.of(Message)))
                for room in (GENERAL, "*", DIRECT):
                    assert plain(await whole_past(alice, room, 23)) == plain(await log_of(here, room))
                    # From now on it is kept, as far as there is room for it.
                    assert plain(await whole_past(alice, room)) == plain(await log_of(here, room))
                kept = await alice.memory.page(GENERAL, limit=10_000)
                log = await log_of(here, GENERAL)
                assert plain([each.event for each in kept]) == plain(log[len(log) - min(keeps, len(log)) :])

    play(scenario)


def test_the_newest_are_those_that_the_application_was_given() -> None:
    """[6.12-1]: what is still to be given out comes by itself, and is on no page before."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            async with living(here, "alice") as alice:
                await say(bob, 20)
                await asyncio.sleep(1)
                told: list[int] = []
                while len(told) < 5:
                    found = await anext(alice)
                    if isinstance(found, Message) and found.room == GENERAL:
                        told.append(found.seq)
                assert seqs(await alice.past(GENERAL)) == list(range(1, told[-1] + 1))
                assert seqs(await alice.past(GENERAL, 1_000_000, 2)) == [told[-1] - 1, told[-1]]
                ears = Listener(alice)
                await ears.until(lambda: any(each.text == "19" for each in ears.of(Message)))
                later = seqs([each for each in ears.of(Message) if each.room == GENERAL])
                assert later == list(range(told[-1] + 1, later[-1] + 1))

    play(scenario)


def test_without_a_connection_there_is_what_the_device_keeps() -> None:
    """Issue 5, item 8: pages and searches go on; only where nothing is kept and there may be more, that is said."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            memory = PlainMemory(keeps=10)
            async with living(here, "alice", memory=memory) as alice:
                ears = Listener(alice)
                await say(bob, 30, word="word ")
                await ears.until(lambda: any(each.text == "word 29" for each in ears.of(Message)))
                here.network.partition()
                alice.link.close(0x100, "")
                with suppress(LinkLost):
                    await alice.ping()
                page = await alice.past(GENERAL)
                assert [each.text for each in page] == [f"word {number}" for number in range(20, 30)]
                with pytest.raises(LinkLost):
                    await alice.past(GENERAL, page[0].seq)
                assert [each.text for each in await alice.search_here("25")] == ["word 25"]
                assert [each.text for each in await alice.search_here("WORD", limit=2)] == ["word 29", "word 28"]
                assert await alice.search_here("word", "*") == []
                assert await alice.past(GENERAL, 1) == []
                with pytest.raises(Refused):
                    await alice.search_here("...")
                here.network.heal()

    play(scenario)


def test_before_the_network_answers_there_is_the_last_page_of_each_room() -> None:
    """Issue 5, item 8: the next run shows rooms, their last pages and one's own messages before it is connected."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            memory = PlainMemory()
            async with living(here, "alice", memory=memory) as alice:
                ears = Listener(alice)
                await say(alice, 5)
                await bob.tell("alice", "hi")
                await ears.until(lambda: any(each.text == "hi" for each in ears.of(Message)))
                marks = [(each.seq, each.state) for each in alice.outbox]
                log = await log_of(here, GENERAL)
            again = Chat(None, device=b"a" * 16, memory=memory, kept=await memory.load())
            assert set(again.state.rooms) >= {GENERAL, DIRECT}
            assert again.state.rooms[GENERAL].head == len(log)
            assert plain(await again.past(GENERAL)) == plain(log[1:])
            assert [each.text for each in await again.past(DIRECT)] == ["hi"]
            assert [(each.seq, each.state) for each in again.outbox] == marks
            assert len(marks) == 5
            await again.close()

    play(scenario)


def test_nobody_has_said_anything_yet() -> None:
    """[6.12-1]: between two who have not talked there are no messages; a room one is not in is refused."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await bob.create("garden")
            async with living(here, "alice") as alice:
                assert await alice.past(DIRECT) == []
                with pytest.raises(Refused) as caught:
                    await alice.past("garden")
                assert caught.value.code is Code.NO_SUCH_ROOM

    play(scenario)


def test_a_quiet_room_is_kept_once_it_was_looked_at() -> None:
    """[6.12-2]: a new device keeps the last page of a room in which nothing happens, and what comes then joins it."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await say(bob, 40)
            async with living(here, "alice") as alice:
                Listener(alice)
                await asyncio.sleep(1)
            memory = PlainMemory()
            async with living(here, "alice", sign_up=False, memory=memory, device=b"new".ljust(16)) as alice:
                ears = Listener(alice)
                page = await alice.past(GENERAL, None, 10)
                await alice._session.scribe.written()
                assert [each.event for each in await memory.page(GENERAL)] == page
                assert plain(page) == plain((await log_of(here, GENERAL))[-10:])
                await say(bob, 1, word="live ")
                await ears.until(lambda: any(each.text == "live 0" for each in ears.of(Message)))
                await alice._session.scribe.written()
                assert len(await memory.page(GENERAL)) == 11
                assert len(seqs([each for each in ears.of(Message) if each.room == GENERAL])) == 1

    play(scenario)


def test_what_is_taken_back_while_its_page_is_under_way_is_not_kept() -> None:
    """[6.12-3], [6.11-4]: the page was read from the log before; the device knows better when it comes."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            said = await bob.post(GENERAL, "a secret word")
            await bob.edit(GENERAL, said.seq, "another secret")
            async with living(here, "alice") as alice:
                ears = Listener(alice)
                await say(bob, 1)
                await ears.until(lambda: any(each.text == "0" for each in ears.of(Message)))
                old = [each for each in await log_of(here, GENERAL) if each.seq < ears.of(Message)[0].seq]
                await bob.retract(GENERAL, said.seq)
                await ears.until(lambda: len(ears.of(Message)) > 1)
                # As if it had come before.
                session, place = alice._session, alice._session.fetch.place(GENERAL)
                session.scribe.hold_past(GENERAL, 1, wholes(old), place)
                assert {each.text for each in await alice.past(GENERAL)} & {"a secret word", "another secret"} == set()
                assert await alice.search_here("secret") == []
                assert plain(await alice.past(GENERAL)) == plain(await log_of(here, GENERAL))

    play(scenario)


def test_somebody_ignored_is_on_no_page() -> None:
    """[6.4-12]: what an ignored user says is passed over there too; the pages go on behind it."""

    async def scenario() -> None:
        async with world() as here:
            bob, eve = await here.enter("bob"), await here.enter("eve")
            await say(bob, 3)
            await say(eve, 30, word="eve ")
            async with living(here, "alice") as alice:
                Listener(alice)
                await alice.account.ignore("eve")
                await say(eve, 3, word="eve ")
                await say(bob, 1, word="last ")
                await asyncio.sleep(1)
                said = [each.text or "" for each in await alice.past(GENERAL)]
                assert not [each for each in said if each.startswith("eve ") and each != "eve joined"]
                assert said[-1] == "last 0"
                assert await alice.search_here("eve") == []

    play(scenario)


def test_version_1_has_what_it_was_told() -> None:
    """[6.6-1], [6.12-2]: there is no HISTORY; what was told is there, and later runs do not take it for the log."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            memory = PlainMemory()
            async with living(here, "alice", memory=memory, versions=(1,)) as alice:
                ears = Listener(alice)
                said = await bob.post(GENERAL, "one")
                await bob.edit(GENERAL, said.seq, "two")
                await ears.until(lambda: any("corrected" in (each.text or "") for each in ears.of(Message)))
                told = [each.text for each in await alice.past(GENERAL)]
                assert told[-2:] == ["one", f"bob corrected #{said.seq}: two"]
                assert await alice.past(GENERAL, 1) == []
            async with living(here, "alice", memory=memory, sign_up=False) as alice:
                ears = Listener(alice)
                await say(bob, 1)
                await ears.until(lambda: any(each.text == "0" for each in ears.of(Message)))
                assert plain(await whole_past(alice, GENERAL)) == plain(await log_of(here, GENERAL))
                assert plain(await whole_past(alice, GENERAL)) == plain(await log_of(here, GENERAL))

    play(scenario)


def test_what_is_left_of_a_room_is_nothing() -> None:
    """[6.12-4]: whoever leaves a room has nothing of it on his disk any more; what he wrote there goes with it."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await bob.create("garden")
            memory = PlainMemory()
            async with living(here, "alice", memory=memory) as alice:
                ears = Listener(alice)
                await alice.join("garden")
                await say(bob, 5, "garden", "flower ")
                await ears.until(lambda: any(each.text == "flower 4" for each in ears.of(Message)))
                await alice.prefer("draft:garden", "I would")
                await alice.prefer("theme", "dark")
                assert len(await alice.search_here("flower")) == 5
                await alice.leave("garden")
                assert await alice.search_here("flower") == []
                assert await memory.page("garden") == []
                await alice._session.scribe.written()
                kept = await memory.load()
                assert "garden" not in kept.cursors
                assert kept.preferences == dict(alice.preferences) == {"theme": "dark"}

    play(scenario)


def test_preferences_are_there_the_next_time() -> None:
    """Issue 5, items 7 and 8: what was chosen for a server is there in the next run; None takes it away."""

    async def scenario() -> None:
        async with world() as here:
            memory = PlainMemory()
            async with living(here, "alice", memory=memory) as alice:
                await alice.prefer("notify:general", "mentions")
                await alice.prefer("dnd", "on")
                await alice.prefer("dnd", None)
                assert dict(alice.preferences) == {"notify:general": "mentions"}
            async with living(here, "alice", memory=memory, sign_up=False) as alice:
                assert dict(alice.preferences) == {"notify:general": "mentions"}

    play(scenario)


def test_nothing_is_claimed_of_what_could_not_be_kept() -> None:
    """D5, [6.12-1]: while the disk is full the pages come from the server, and no hole stays when it is not."""

    class Full(PlainMemory):
        full = False

        async def keep(self, change: Change) -> None:
            if self.full:
                raise Refused(Code.STORE_UNAVAILABLE)
            await super().keep(change)

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            memory = Full(keeps=1000)
            async with living(here, "alice", memory=memory) as alice:
                ears = Listener(alice)
                await say(bob, 5)
                await ears.until(lambda: any(each.text == "4" for each in ears.of(Message)))
                memory.full = True
                await say(bob, 5, word="b")
                await ears.until(lambda: any(each.text == "b4" for each in ears.of(Message)))
                assert plain(await whole_past(alice, GENERAL)) == plain(await log_of(here, GENERAL))
                memory.full = False
                await asyncio.sleep(5)
                assert plain([each.event for each in await memory.page(GENERAL, limit=99)]) == plain(
                    await log_of(here, GENERAL)
                )

    play(scenario)
