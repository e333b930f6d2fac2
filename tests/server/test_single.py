"""How many sessions a user may have, and which of them gives way, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from quicchat.client.api import Chat
from quicchat.errors import Code, Refused
from quicchat.transport.memory import MemoryLink
from tests.server.house import OPEN, play, refusal, world


def test_one_session_only_where_the_operator_says_so() -> None:
    """R3.12, A9: another device is told that the user is logged in elsewhere; the same device takes over."""

    async def scenario() -> None:
        async with world(replace(OPEN, sessions="single")) as here:
            first = await here.enter("alice", device=b"A" * 16)
            assert await refusal(here.enter("alice", device=b"B" * 16, sign_up=False)) is Code.ALREADY_LOGGED_IN
            second = await here.enter("alice", device=b"A" * 16, sign_up=False)
            await first.close()
            assert first.lost is not None
            assert first.lost.code == Code.SESSION_REPLACED
            assert (await second.post("general", "me again")).seq == 2

    play(scenario)


def test_of_two_logins_at_once_one_gets_in() -> None:
    """R3.12, A9, [4.2-12]: neither slips in while the store is asked; the answer is R3's, word by word."""

    async def scenario() -> None:
        async with world(replace(OPEN, sessions="single")) as here:
            await (await here.enter("alice")).close()
            logins = [here.enter("alice", device=bytes([number]) * 16, sign_up=False) for number in range(1, 6)]
            results = await asyncio.gather(*logins, return_exceptions=True)
            assert len([each for each in results if isinstance(each, Chat)]) == 1
            refused = [each for each in results if isinstance(each, Refused)]
            assert [(each.code, each.text) for each in refused] == [
                (Code.ALREADY_LOGGED_IN, "already logged in from another location")
            ] * 4

    play(scenario)


def test_a_silent_death_locks_nobody_out_for_long() -> None:
    """R3.11, R3.12, A9, [4.2-12]: 30 s after the first client died another device gets in; the same one at once."""

    async def scenario() -> None:
        async with world(replace(OPEN, sessions="single")) as here:
            first = await here.enter("alice", device=b"A" * 16)
            assert isinstance(first.link, MemoryLink)
            first.link.kill()
            start = asyncio.get_running_loop().time()
            while True:
                try:
                    await here.enter("alice", device=b"B" * 16, sign_up=False)
                    break
                except Refused as refused:
                    if refused.code is not Code.ALREADY_LOGGED_IN:
                        raise
                    await asyncio.sleep(1)
            assert 20 < asyncio.get_running_loop().time() - start < 32

            second = here.chats[-1]
            assert isinstance(second.link, MemoryLink)
            second.link.kill()
            start = asyncio.get_running_loop().time()
            await here.enter("alice", device=b"B" * 16, sign_up=False)
            assert asyncio.get_running_loop().time() - start < 1

    play(scenario)


def test_a_login_that_fails_gives_its_place_back() -> None:
    """D3, A9, [4.2-12]: neither a store that fails nor a client that vanishes in mid-login locks the user out."""

    async def scenario() -> None:
        async with world(replace(OPEN, sessions="single")) as here:
            await (await here.enter("alice")).close()
            admit = here.store.accounts.admit
            failures = [Refused(Code.STORE_UNAVAILABLE)]

            async def slow(*args: Any, **fields: Any) -> Any:
                await asyncio.sleep(5)
                if failures:
                    raise failures.pop()
                return await admit(*args, **fields)

            here.store.accounts.admit = slow  # type: ignore[method-assign]
            failed = asyncio.create_task(refusal(here.enter("alice", device=b"A" * 16, sign_up=False)))
            await asyncio.sleep(1)
            assert await refusal(here.enter("alice", device=b"B" * 16, sign_up=False)) is Code.ALREADY_LOGGED_IN
            assert await failed is Code.STORE_UNAVAILABLE
            vanishing = asyncio.create_task(here.enter("alice", device=b"C" * 16, sign_up=False))
            await asyncio.sleep(1)
            await here.chats[-1].close()
            await asyncio.gather(vanishing, return_exceptions=True)
            await here.enter("alice", device=b"D" * 16, sign_up=False)

    play(scenario)


def test_one_device_twice_at_once_is_one_session() -> None:
    """[4.2-8]: whichever of both logins began later replaces the other, which never hears anything again."""

    async def scenario() -> None:
        async with world() as here:
            await (await here.enter("alice")).close()
            logins = [here.enter("alice", device=b"A" * 16, sign_up=False) for _ in range(3)]
            await asyncio.gather(*logins, return_exceptions=True)
            await asyncio.sleep(2)
            alive = [chat for chat in here.chats[1:] if chat.lost is None]
            assert len(alive) == 1
            assert (await alive[0].post("general", "here")).seq == 2
            dead = [chat for chat in here.chats[1:] if chat.lost is not None]
            assert {chat.lost.code for chat in dead if chat.lost} == {Code.SESSION_REPLACED}

    play(scenario)
