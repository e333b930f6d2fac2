"""Leaving, draining, and mistakes of the server's own; from the outside."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

from quicchat.errors import Code
from quicchat.protocol.closing import DRAIN
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.wire.chapters.messages import History, Post, Posted, Window
from quicchat.wire.chapters.rooms import Create, RoomState
from quicchat.wire.chapters.session import Bye, Echo, Error, Goaway
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import calling, entered
from tests.conformance.talk import SlowLog, page, post


def test_echo_comes_back(house: House) -> None:
    """R3.1, [3.6-1]: the same data, with the id; from nothing to the limit."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            for data in ("", "hello", "gr\u00fc\u00df \U0001f642", "x" * 32_768):
                assert await alice.ask(Echo(data=data)) == Echo(data=data)

    house.run(scenario())


def test_bye_waits_for_what_was_asked_before() -> None:
    """R0.17, R2.12, [3.5-2]: the request under way is answered, then the server closes with NO_ERROR."""

    async def scenario() -> None:
        store = MemoryStore()
        slow = SlowLog(store.log)
        store.log = slow
        async with simulated(store) as place, entered(place) as alice, entered(place) as bob:
            alice.say(post("last words", room="general"), id=7)
            alice.say(Bye(reason="quit"))
            alice.say(Echo(data="too late"), id=8)
            await asyncio.sleep(1)
            assert alice.closed is None
            slow.go.set()
            closed = await alice.end()
            assert (closed.code, closed.remote) == (Code.NO_ERROR, True)
            assert [each.envelope.re for each in alice.heard if each.envelope.re is not None] == [7]
            assert len(alice.all(Posted)) == 1
            await bob.barrier()

    play(scenario())


def test_what_runs_may_not_run_for_ever() -> None:
    """[3.5-2]: the connection closes with NO_ERROR after the time `drain`, whatever is still under way."""

    async def scenario() -> None:
        store = MemoryStore()
        slow = SlowLog(store.log)
        store.log = slow
        async with simulated(store) as place, entered(place) as alice:
            loop = asyncio.get_running_loop()
            start = loop.time()
            alice.say(post("stuck", room="general"), id=7)
            alice.say(Bye())
            assert (await alice.end()).code == Code.NO_ERROR
            assert DRAIN <= loop.time() - start < DRAIN + 2
            slow.go.set()

    play(scenario())


def test_bye_is_answered_with_a_close(house: House) -> None:
    """R1.8, [3.5-2]: at once where nothing runs, also before the login."""

    async def scenario() -> None:
        async with entered(house.place) as alice, calling(house.place) as stranger:
            await stranger.negotiate()
            for peer in (alice, stranger):
                peer.say(Bye())
                assert (await peer.end()).code == Code.NO_ERROR

    house.run(scenario())


def test_a_server_that_stops_says_so_and_finishes() -> None:
    """C10, [3.5-5], [10.1-5]: GOAWAY, the answers to what runs and to what crosses it, then the close with DRAINING."""

    async def scenario() -> None:
        store = MemoryStore()
        slow = SlowLog(store.log)
        store.log = slow
        async with AsyncExitStack() as outer:
            house = AsyncExitStack()
            place = await house.enter_async_context(simulated(store))
            alice = await outer.enter_async_context(entered(place))
            old = await outer.enter_async_context(calling(place))
            await old.enter(somebody(), 1)
            alice.say(post("still stored", room="general"), id=7)
            await alice.barrier()
            stopping = asyncio.get_running_loop().create_task(house.aclose())
            goaway = await alice.hear(Goaway)
            assert goaway.code == Code.DRAINING
            assert isinstance(await alice.ask(Create(room="crossing")), RoomState | Error)
            assert alice.closed is None
            assert (await old.hear(Bye)).reason
            assert (await old.end()).code == Code.DRAINING
            slow.go.set()
            await alice.hear(Posted)
            assert (await alice.end()).code == Code.DRAINING
            await stopping

    play(scenario())


class BrokenLog(SlowLog):
    """A log with a mistake in it."""

    async def append(self, *args: Any, **facts: Any) -> Any:
        raise ZeroDivisionError("planted")


def test_a_mistake_of_ours_ends_one_connection() -> None:
    """Q27, [3.3-6]: fatal INTERNAL for whoever met it, and nobody else notices."""

    async def scenario() -> None:
        store = MemoryStore()
        store.log = BrokenLog(store.log)
        async with simulated(store) as place, entered(place) as bob:
            for _ in range(3):
                async with entered(place) as alice:
                    alice.say(Post(room="general", cid=os.urandom(16), text="x"), id=1)
                    assert await alice.fatal() == Code.INTERNAL
            await bob.barrier()
            assert await page(bob, "general", Window.LATEST, None, 1)

    play(scenario())


def test_a_refusal_changes_nothing(house: House) -> None:
    """[3.3-2], [3.3-4]: whatever a well-formed request wants, the connection goes on, and so does the state."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            for number in range(150):
                assert await alice.refused(History(room=f"none-{number}", window=Window.LATEST)) == Code.NO_SUCH_ROOM
            assert await alice.ask(Echo(data="still here")) == Echo(data="still here")

    house.run(scenario())
