"""History on a new device: by the recovery code alone, or by another device that lets it in, from client to client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quicchat.client.e2ee.faults import BadKey, Unreadable
from quicchat.client.events import KeyNews
from quicchat.client.seal import Opened, Seal
from quicchat.wire.chapters.messages import Kind
from tests.client.e2ee.talks import DIRECT, ROOM, Talker, den, engine, lasting, seal_of, talking
from tests.server.house import play, world

#: By then what is new is backed up.
SOON = 60.0


def second(user: str) -> dict[str, Any]:
    """Another device of a user."""
    return {"sign_up": False, "device": f"{user} 2".encode().ljust(16, b".")}


async def past(talker: Talker, room: str) -> list[tuple[str, Seal | None]]:
    """What is known of a conversation: its words, and how far they can be trusted."""
    return [
        (each.text or "", seal_of(each)) for each in await talker.chat.past(room, limit=100) if each.kind is Kind.TEXT
    ]


def is_in(talker: Talker) -> bool:
    """Whether this device is let in."""
    return talker.chat.keys.ready


def news(talker: Talker, kind: str) -> list[str]:
    return [each.text for each in talker.ears.of(KeyNews) if each.kind == kind]


async def spoken(alice: Talker, bob: Talker) -> None:
    """Something was said before, in a direct conversation and in a room, and is backed up."""
    await den(alice, bob)
    for number in range(5):
        await alice.chat.tell("bob", f"from alice {number}")
        await bob.chat.tell("alice", f"from bob {number}")
        await bob.chat.post(ROOM, f"in the room {number}")
    await alice.hears("in the room 4")
    await asyncio.sleep(SOON)


def test_history_comes_back_by_the_code_alone() -> None:
    """[15.9-25]: every other device is gone; what could not be read is read, one's own words and those of others."""

    async def scenario() -> None:
        async with world() as here, talking(here, "bob") as bob:
            async with talking(here, "alice") as alice:
                await spoken(alice, bob)
                code = await alice.chat.keys.recovery()
                before = {room: await past(alice, room) for room in (DIRECT, ROOM)}
            async with talking(here, "alice", **second("alice")) as new:
                assert not is_in(new)
                for room in (DIRECT, ROOM):
                    # Nobody sends a key to who is not let in: what helps is the code, and no waiting.
                    assert {seal for _, seal in await past(new, room)} == {Seal.HISTORICAL}
                await new.chat.keys.restore(code)
                assert is_in(new)
                for room in (DIRECT, ROOM):
                    assert await past(new, room) == before[room]
                    assert all(seal is not None and seal.opened for _, seal in before[room])
                await new.chat.tell("bob", "from the new one")
                await bob.hears("from the new one")
                assert bob.said[-1] == ("alice", "from the new one", Seal.PINNED)
                assert await new.chat.keys.recovery() == code

    play(scenario)


def test_history_comes_with_the_approval_of_another_device() -> None:
    """[15.9-26]: nothing is typed on the new device, which need not even be told to look."""

    async def scenario() -> None:
        async with world() as here, talking(here, "bob") as bob, talking(here, "alice") as alice:
            await spoken(alice, bob)
            async with talking(here, "alice", **second("alice")) as new:
                await past(new, DIRECT)
                await alice.ears.until(lambda: bool(news(alice, "approve")))
                (waiting,) = alice.chat.keys.waiting()
                await alice.chat.keys.approve(waiting.fingerprint)
                await new.ears.until(lambda: bool(news(new, "listed")))
                await asyncio.sleep(5)
                assert await past(new, DIRECT) == await past(alice, DIRECT)
                assert await past(new, ROOM) == await past(alice, ROOM)
                assert await new.chat.keys.recovery() == await alice.chat.keys.recovery()
                await bob.chat.tell("alice", "to both")
                await new.hears("to both")
                await alice.hears("to both")

    play(scenario)


def test_what_was_told_as_unreadable_is_told_anew() -> None:
    """[15.9-25]: events that came before the keys are opened, and the application hears which."""

    async def scenario() -> None:
        async with world() as here, talking(here, "bob") as bob, talking(here, "alice") as alice:
            await spoken(alice, bob)
            async with talking(here, "alice", **second("alice")) as new:
                await bob.chat.tell("alice", "not for the new one yet")
                await alice.hears("not for the new one yet")
                await asyncio.sleep(SOON)
                unread = [each for each in new.messages if isinstance(each, Opened) and not each.seal.opened]
                assert unread
                await new.chat.keys.restore(await alice.chat.keys.recovery())
                assert ("not for the new one yet", Seal.PINNED) in await past(new, DIRECT)

    play(scenario)


def test_wrong_codes_open_nothing_in_a_client() -> None:
    """[15.9-21]: one error, and the client goes on as before."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            code = await alice.chat.keys.recovery()
            async with talking(here, "alice", **second("alice")) as new:
                with pytest.raises(BadKey):
                    await new.chat.keys.restore(code[:-1])
                with pytest.raises(Unreadable):
                    await new.chat.keys.restore("0" * 34 + "98")
                assert not is_in(new)
                with pytest.raises(BadKey, match="not let in"):
                    await new.chat.keys.recovery()

    play(scenario)


def test_a_client_that_comes_again_keeps_its_code_and_what_it_restored() -> None:
    """[15.9-23]: over the end of the program."""

    async def scenario() -> None:
        async with world() as here, talking(here, "bob") as bob:
            memory = lasting()
            async with talking(here, "alice", memory=memory) as alice:
                await spoken(alice, bob)
                code, before = await alice.chat.keys.recovery(), await past(alice, DIRECT)
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                assert await alice.chat.keys.recovery() == code
                assert await past(alice, DIRECT) == before
                assert engine(alice).core.backup.trouble is None
                fresh = await alice.chat.keys.new_recovery()
                assert fresh != code
                async with talking(here, "alice", **second("alice")) as new:
                    await new.chat.keys.restore(fresh)
                    assert await past(new, DIRECT) == before

    play(scenario)
