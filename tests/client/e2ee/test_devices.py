"""Several devices of one user: let in, told what the others know, and let out again."""

from __future__ import annotations

import asyncio

from quicchat.client.e2ee.provider import NOT_LISTED
from quicchat.client.events import Progress, Unsealed
from quicchat.client.seal import Seal
from quicchat.wire.chapters.messages import Kind, Post
from tests.client.e2ee.talks import PHONE, ROOM, den, let_in, seal_of, talking, with_phone
from tests.server.house import play, world


def test_a_second_device_reads_and_speaks_once_it_is_let_in() -> None:
    """[15.7-25]: both devices of a user read what is said to him, and each what the other says."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.tell("bob", "before")
            await bob.hears("before")
            async with talking(here, "alice", sign_up=False, device=PHONE) as second:
                await let_in(alice, second)
                await bob.chat.tell("alice", "to both")
                await alice.chat.tell("bob", "from the first")
                await second.chat.tell("bob", "from the second")
                await second.hears("to both", "from the first")
                await alice.hears("to both", "from the second")
                await bob.hears("from the first", "from the second")
                for talker in (alice, second):
                    seals = {text: seal for _, text, seal in talker.said}
                    assert seals["to both"] is Seal.PINNED
                    assert seals["from the first"] is seals["from the second"] is Seal.OWN
                assert {seal for user, _, seal in bob.said if user == "alice"} == {Seal.PINNED}

    play(scenario)


def test_a_device_that_is_not_let_in_reads_and_says_nothing() -> None:
    """[15.7-26]: a device that stands in no list is given no keys; what it would say waits, and goes once it may."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.post(ROOM, "first")
            async with talking(here, "alice", sign_up=False, device=PHONE) as second:
                await bob.chat.post(ROOM, "for those let in")
                await second.ears.until(lambda: any(each.kind is Kind.TEXT for each in second.messages))
                assert second.messages[-1].text == ""
                assert seal_of(second.messages[-1]) is Seal.HISTORICAL
                await second.chat.queue(Post(room=ROOM, cid=b"c" * 16, text="patience"))
                await second.ears.until(lambda: any(each.reason == NOT_LISTED for each in second.ears.of(Progress)))
                # What the first device has learned stands in the backup by then.
                await asyncio.sleep(300)
                await let_in(alice, second)
                await bob.hears("patience")
                await second.ears.until(lambda: bool(second.ears.of(Unsealed)))
                told = [(each.text, seal_of(each)) for each in await second.chat.past(ROOM) if each.kind is Kind.TEXT]
                assert told[-2:] == [("for those let in", Seal.PINNED), ("patience", Seal.OWN)]

    play(scenario)


def test_a_device_that_is_removed_is_told_nothing_more() -> None:
    """[15.7-27]: when a device leaves a list, whoever spoke with a session that it has begins a new one."""

    async def scenario() -> None:
        async with with_phone() as (_, alice, bob, second):
            await bob.chat.tell("alice", "to both")
            await second.hears("to both")
            own = second.chat.keys.own
            assert own is not None
            await alice.chat.keys.remove(own.device.certificate.fingerprint)
            await asyncio.sleep(1)
            await bob.chat.tell("alice", "to one")
            await alice.chat.tell("bob", "indeed")
            await alice.hears("to one")
            await bob.hears("indeed")
            await second.ears.until(lambda: len(second.messages) == 3)
            assert [(text, seal) for _, text, seal in second.said[1:]] == [("", Seal.HISTORICAL)] * 2

    play(scenario)
