"""Slow clients, greedy clients, bugs of ours and a server that stops, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.errors import Code, LinkLost, Refused
from quicchat.protocol.events import Closed
from quicchat.server.model import Head, Stored
from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.messages import Message, Post, Posted, Window
from tests.server.house import OPEN, World, heard, play, texts, world


def test_requests_that_wait_are_bounded() -> None:
    """P7: the requests of one session hold no more than 1 MiB; what is beyond is RATE_LIMITED and not stored."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            append = here.store.log.append

            async def slowly(*what: Any, **more: Any) -> Stored:
                await asyncio.sleep(2)
                return await append(*what, **more)

            here.store.log.append = slowly  # type: ignore[method-assign]
            posts = [Post(room="general", cid=bytes([n] * 16), text="x" * 30_000) for n in range(100)]
            asked = [alice._requests.ask(post, Posted) for post in posts]
            results = await asyncio.gather(*asked, return_exceptions=True)
            refused = [each for each in results if isinstance(each, Refused)]
            stored = [each for each in results if isinstance(each, Posted)]
            assert {(each.code, each.retry_after) for each in refused} == {(Code.RATE_LIMITED, 1000)}
            assert 30 <= len(stored) < 100
            assert len(stored) + len(refused) == 100
            assert alice.state.rooms["general"].head == 1 + len(stored)

    play(scenario)


def test_a_client_too_slow_for_push_pulls_instead() -> None:
    """P7, protocol §7.5: beyond the byte budget the server stops pushing, says ROOM_HEAD, and nothing is missing."""

    async def scenario() -> None:
        async with world(latency=0.05) as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            assert isinstance(bob.link, MemoryLink)
            here.network.partition(bob.link.address)
            for number in range(60):
                await alice.post("general", f"{number:02}" + "x" * 30_000)
            here.network.heal()
            said = [text[:2] for text in await texts(bob, "general")]
            assert said == ["bo", *(f"{number:02}" for number in range(60))]

    play(scenario)


def test_who_asks_for_more_than_he_can_read_is_not_closed() -> None:
    """Q6 Q7 [8.4-2]: 5 MB of pages asked for at once, of which 4 MiB may wait: all come, as fast as he reads."""

    async def scenario() -> None:
        async with world(latency=0.02, streams=(16, 128), window=65_536) as here:
            alice = await here.enter("alice")
            for number in range(3):
                await alice.post("general", f"{number}" + "x" * 15_000)
            asked = [alice.history("general", window=Window.LATEST, limit=3) for _ in range(110)]
            pages = await asyncio.gather(*asked)
            assert {tuple(event.seq for event in page) for page in pages} == {(2, 3, 4)}
            assert alice.lost is None

    play(scenario)


def test_what_is_said_during_a_login_is_not_missed() -> None:
    """P4 [3.8-4]: between the store's answer and the admission somebody speaks, and the user joins elsewhere."""

    async def scenario() -> None:
        async with world() as here:
            bob, phone = await here.enter("bob"), await here.enter("alice", device=b"P" * 16)
            await bob.create("garden")
            admit = here.store.accounts.admit

            async def slowly(*what: Any, **more: Any) -> tuple[Head, ...]:
                found = await admit(*what, **more)
                await asyncio.sleep(1)
                return found

            here.store.accounts.admit = slowly  # type: ignore[method-assign]
            login = asyncio.ensure_future(here.enter("alice", device=b"L" * 16, sign_up=False))
            await asyncio.sleep(0.5)
            await phone.join("garden")
            await bob.post("general", "did you hear that?")
            laptop = await login
            told = {(event.room, event.text) for event in await heard(laptop) if isinstance(event, Message)}
            assert ("general", "did you hear that?") in told
            assert ("garden", "alice joined") in told
            await bob.post("garden", "welcome")
            assert await texts(laptop, "garden") == ["welcome"]

    play(scenario)


def test_one_connection_that_misbehaves_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Q27, P8: a bug in a handler closes that connection with INTERNAL; the others do not notice."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            break_lists(here)
            with pytest.raises(LinkLost, match="INTERNAL"):
                await alice.rooms()
            assert alice.lost is not None
            assert alice.lost.code == Code.INTERNAL
            assert (await bob.post("general", "I am fine")).seq == 3

    play(scenario)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["handler failed"]


def test_a_query_is_over_when_it_is_answered_whatever_else_runs() -> None:
    """[3.7-5] P7: while one request takes long, hundreds of others on streams of their own come and go."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            append = here.store.log.append

            async def slowly(*what: Any, **more: Any) -> Stored:
                await asyncio.sleep(60)
                return await append(*what, **more)

            here.store.log.append = slowly  # type: ignore[method-assign]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(alice.post("general", "at last"))
                for _ in range(300):
                    assert await alice.rooms()

    play(scenario)


def test_who_is_gone_before_his_login_is_done_is_not_there() -> None:
    """A9, R3.12: a client that vanishes during its login is not left online, and does not lock anybody out."""

    async def scenario() -> None:
        async with world(replace(OPEN, sessions="single")) as here:
            bob = await here.enter("bob")
            await (await here.enter("alice", device=b"A" * 16)).close()
            admit = here.store.accounts.admit

            async def slowly(*what: Any, **more: Any) -> tuple[Head, ...]:
                await asyncio.sleep(5)
                return await admit(*what, **more)

            here.store.accounts.admit = slowly  # type: ignore[method-assign]
            link = here.link()
            chat = Chat(link, device=b"A" * 16)
            login = asyncio.ensure_future(chat.open(Identity(user="alice", password="secret", iterations=1)))
            await asyncio.sleep(1)
            link.close(Code.NO_ERROR)
            with pytest.raises(LinkLost):
                await login
            await asyncio.sleep(10)
            here.store.accounts.admit = admit  # type: ignore[method-assign]
            assert {user: online for user, online, _ in await bob.members("general")} == {"alice": False, "bob": True}
            assert (await here.enter("alice", device=b"B" * 16, sign_up=False)).lost is None

    play(scenario)


def test_what_outlives_the_server_is_left_in_peace() -> None:
    """C10: a client that cannot be told of the stop, and one that comes after it, harm nobody."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            here.network.partition()
            late = here.door.accept
            here.chats.clear()
        here.network.heal()
        here.network.listen(late)
        link = here.network.dial()
        told: list[object] = []
        link.on_events = told.extend
        await asyncio.sleep(40)
        assert alice.lost is not None
        assert any(isinstance(event, Closed) and event.code == Code.DRAINING for event in told)

    play(scenario)


def break_lists(here: World) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    here.store.rooms.listed = broken  # type: ignore[method-assign, assignment]
