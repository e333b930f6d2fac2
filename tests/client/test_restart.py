"""A program that ends in the middle of something, and what the next run of it makes of its memory."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from quicchat.client.api import Chat
from quicchat.client.events import Progress, Sent
from quicchat.client.memory import OWN
from quicchat.client.memory_sqlite import open_file
from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.messages import Message, Post
from tests.client.lives import Listener, alive, living
from tests.server.house import heard, world


def play(scenario: Coroutine[Any, Any, None]) -> None:
    """In real time: a file has a thread of its own."""
    asyncio.run(asyncio.wait_for(scenario, 30))


async def kill(chat: Chat) -> None:
    """End as a process does that is killed: nothing more is written or said."""
    assert isinstance(chat.link, MemoryLink)
    chat.link.kill()
    session = chat._session
    session.scribe.hold = session.scribe.given = lambda *_: None  # type: ignore[method-assign, assignment]
    for task in [*session._tasks, session.scribe._work, chat._living]:
        if task is not None:
            task.cancel()
    await chat.memory.close()


def post(number: int) -> Post:
    return Post(room="general", cid=number.to_bytes(16, "big"), text=str(number))


def test_a_client_killed_in_the_middle_of_its_outbox_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """D1, R4.17, [6.1-11]: what `queue` took is in the log once, in order, whatever was under way at the end."""

    async def scenario() -> None:
        async with world() as here:
            path = tmp_path / "memory.db"
            bob = await here.enter("bob")
            memory = open_file(path)
            chat = await alive(here, "alice", memory=memory)
            for number in range(300):
                await chat.queue(post(number))
                if number == 200:
                    here.network.partition()
            await kill(chat)
            here.network.heal()
            memory = open_file(path)
            async with living(here, "alice", sign_up=False, memory=memory) as alice:
                ears = Listener(alice)
                await ears.until(lambda: not alice._session.posting.outbox.outstanding, 20)
                assert {each.state for each in alice.outbox} <= {Sent.STORED, Sent.DELIVERED}
                assert ears.of(Progress)
            await memory.close()
            texts = [each.text for each in await heard(bob, 0.5) if isinstance(each, Message)]
            assert [each for each in texts if each and each.isdigit()] == [str(n) for n in range(300)]

    play(scenario())


def test_before_it_is_connected_the_next_run_knows_what_was_said_and_how_far_it_came(tmp_path: Path) -> None:
    """Issue 5, item 8, D1: after a kill: rooms, last pages, and the last 1,024 of one's own with their states."""

    async def scenario() -> None:
        async with world() as here:
            path = tmp_path / "memory.db"
            async with living(here, "bob") as bob:
                Listener(bob)
                memory = open_file(path)
                chat = await alive(here, "alice", memory=memory)
                ears = Listener(chat)
                for number in range(OWN + 76):
                    await chat.queue(post(number))
                await ears.until(lambda: {each.state for each in chat.outbox} == {Sent.DELIVERED}, 20)
                bob.mark_read("general", chat.outbox[99].seq)
                await ears.until(lambda: any(each.state is Sent.READ for each in chat.outbox), 20)
                await chat._session.scribe.written()
                own = [(each.cid, each.seq, each.state) for each in chat.outbox]
                last = list(await chat.past("general"))
                await kill(chat)
                await ears.stop()
            memory = open_file(path)
            again = Chat(None, device=b"alice".ljust(16, b"."), memory=memory, kept=await memory.load())
            assert again.state.rooms["general"].head == last[-1].seq
            assert list(await again.past("general")) == last
            assert len(last) == 100
            assert [(each.cid, each.seq, each.state) for each in again.outbox] == own
            assert len(own) == OWN
            await again.close()
            await memory.close()

    play(scenario())


def test_what_was_held_and_not_given_out_is_given_out_by_the_next_run(tmp_path: Path) -> None:
    """P4, issue item 1: events that were here before the end, but that the application had not had, come first."""

    async def scenario() -> None:
        async with world() as here:
            path = tmp_path / "memory.db"
            bob = await here.enter("bob")
            memory = open_file(path)
            chat = await alive(here, "alice", memory=memory)
            for number in range(10):
                await bob.post("general", str(number))
            seen: list[str] = []
            while len(seen) < 4:
                event = await anext(chat)
                if isinstance(event, Message) and event.sender == "bob" and (event.text or "").isdigit():
                    seen.append(event.text or "")
            await chat._session.scribe.flush()
            await kill(chat)
            await bob.post("general", "10")
            memory = open_file(path)
            async with living(here, "alice", sign_up=False, memory=memory) as alice:
                ears = Listener(alice)
                await ears.until(lambda: any(each.text == "10" for each in ears.of(Message)), 10)
                again = [each.text for each in ears.of(Message) if (each.text or "").isdigit()]
                assert again == [str(number) for number in range(int(again[0] or ""), 11)]
                assert int(again[0] or "") <= 4
            await memory.close()

    play(scenario())
