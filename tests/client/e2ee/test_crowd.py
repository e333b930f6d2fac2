"""Fifty people in one encrypted room: everybody reads, each message is sealed once, each key is sent once to each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from quicchat.client.seal import Seal
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.sealed import RECIPIENTS, Sealed, unpacked
from tests.client.e2ee.talks import ROOM, Talker, den, talking
from tests.server.house import play, world

MEMBERS = 51


def test_a_room_of_fifty() -> None:
    """[15.6-21]: the key of a session goes out once for up to 50 devices, and all of them read what follows."""

    async def scenario() -> None:
        async with world() as here, AsyncExitStack() as stack:
            people: list[Talker] = [
                await stack.enter_async_context(talking(here, f"member-{number:02}")) for number in range(MEMBERS)
            ]
            first, others = people[0], people[1:]
            await den(first, *others)
            await asyncio.gather(*(first.chat.post(ROOM, f"line {number}") for number in range(20)))
            for each in others:
                await each.hears("line 19")
                assert [text for _, text, _ in each.said] == [f"line {number}" for number in range(20)]
                assert {seal for _, _, seal in each.said} == {Seal.PINNED}
            keys = [each for each in first.ears.of(Message) if each.kind is Kind.KEY]
            assert len(keys) == -(-len(others) // RECIPIENTS) == 1
            # The server gives each device its own entry, and nobody that of another.
            for each in others:
                (key,) = [event for event in each.ears.of(Message) if event.kind is Kind.KEY]
                assert len(unpacked(Sealed, key.sealed or b"").entries or ()) == 1
            # Somebody leaves: those who stay go on with another key.
            await others[-1].chat.leave(ROOM)
            await first.chat.post(ROOM, "without him")
            for each in others[:-1]:
                await each.hears("without him")
            assert "without him" not in others[-1].texts

    play(scenario)
