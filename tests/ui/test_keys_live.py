"""Front ends that encrypt, before a server in a simulated world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from quicchat.client.login import Identity
from quicchat.client.memory import PlainMemory
from quicchat.ui.speech import Speech
from tests.server.house import World
from tests.ui.stage import Session, Start

Scene = Callable[..., None]
BOB = Identity(user="bob", password="secret", sign_up=True, iterations=1)
AGAIN = Identity(user="bob", password="secret", iterations=1)


def lasting() -> PlainMemory:
    """A memory in which keys are made."""
    return PlainMemory(lasting=True)


async def both(start: Start, **settings: Any) -> tuple[Session, Session]:
    """Alice and bob, each with keys."""
    alice = start(memory=lasting(), **settings).go()
    entered = '"event":"entered"' if settings.get("json") else "you are alice"
    await alice.until(entered, err=not settings.get("json"))
    bob = start(memory=lasting(), data=alice.front._config.data / "bob").go(BOB)
    await bob.until("you are bob", err=True)
    await asyncio.sleep(5)
    return alice, bob


async def bob_with_other_keys(here: World, start: Start, bob: Session) -> Session:
    """Bob has lost everything, and begins anew with another identity, as somebody in between would."""
    bob.keys.end()
    assert await bob.ended() == 0
    other = start(memory=lasting(), data=bob.front._config.data.with_name("other")).go(AGAIN)
    await other.until("/restore", err=True)
    other.keys.type("/renew")
    await other.until("Your recovery code")
    return other


def test_two_talk_and_see_that_it_is_encrypted(scene: Scene) -> None:
    """[12.16-5], [12.16-6]: what one says to the other is told to be encrypted, and looks as always to him."""

    async def scenario(here: World, start: Start) -> None:
        alice, bob = await both(start)
        alice.keys.type("/msg bob hello", "/query bob", "again")
        await bob.until("(alice to bob) again")
        assert "-- sent to bob, encrypted from end to end" in alice.sheet.err
        assert "-- what is said in @bob is encrypted from end to end" in alice.sheet.err
        assert bob.sheet.err.count("-- what is said in @alice is encrypted from end to end") == 1
        assert [line.split(" ", 1)[1] for line in bob.sheet.out] == ["(alice to bob) hello", "(alice to bob) again"]
        bob.keys.type("/history @alice")
        await bob.until("alice: hello")
        assert not any("KEY" in line.upper() for line in bob.sheet.out)
        for each in (alice, bob):
            each.keys.end()
            assert await each.ended() == 0

    scene(scenario)


def test_a_changed_identity_is_seen_and_decided_upon(scene: Scene) -> None:
    """[12.16-2], [12.16-10]: what is said to somebody verified who has another identity waits, says why, holds up
    nothing else, and goes out once the person has decided.
    """

    async def scenario(here: World, start: Start) -> None:
        alice, bob = await both(start)
        alice.keys.type("/msg bob hello")
        await bob.until("hello")
        alice.keys.type("/verify bob", "/verify bob yes")
        await alice.until("bob is verified", err=True)
        other = await bob_with_other_keys(here, start, bob)
        alice.keys.type("/msg bob a secret", "still in general", "/rooms")
        await alice.until("not sent to @bob yet", err=True)
        (line,) = [each for each in alice.sheet.err if "not sent to @bob yet" in each]
        assert "/accept bob" in line
        assert "/verify bob" in line
        await other.until("still in general")
        await alice.until("general (")
        assert not any("secret" in each for each in other.sheet.out)
        alice.keys.type("/accept bob")
        await other.until("(alice to bob) a secret")
        for each in (alice, other):
            each.keys.end()
            assert await each.ended() == 0

    scene(scenario)


def test_a_script_ends_although_something_is_held_back(scene: Scene) -> None:
    """[12.16-10]: it says so with its exit code; what was said is kept for the next time."""

    async def scenario(here: World, start: Start) -> None:
        memory = lasting()
        alice = start(memory=memory).go()
        await alice.until("you are alice", err=True)
        bob = start(memory=lasting(), data=alice.front._config.data / "bob").go(BOB)
        await bob.until("you are bob", err=True)
        await asyncio.sleep(5)
        alice.keys.type("/msg bob hello")
        await bob.until("hello")
        alice.keys.type("/verify bob", "/verify bob yes")
        await alice.until("bob is verified", err=True)
        await bob_with_other_keys(here, start, bob)
        alice.keys.type("/msg bob a secret")
        alice.keys.end()
        assert await alice.ended() == 6
        assert "-- not sent: 1 line; what was said is kept for the next time" in alice.sheet.err

    scene(scenario)


def test_a_second_device_waits_and_is_let_in(scene: Scene) -> None:
    """[12.16-3], [12.16-9]: it is told both ways, its owner is told that it waits; once it is let in it reads."""

    async def scenario(here: World, start: Start) -> None:
        alice, bob = await both(start)
        phone = start(memory=lasting(), data=bob.front._config.data.with_name("phone")).go(AGAIN)
        await phone.until("/restore", err=True)
        (line,) = [each for each in phone.sheet.err if "/restore" in each]
        assert "/approve" in line
        alice.keys.type("/msg bob for both")
        await bob.until("for both")
        await phone.until("(said before this device could read here")
        own = phone.front._chat.keys.own
        assert own is not None
        mark = own.device.certificate.fingerprint.hex()
        bob.keys.type("/approve")
        await bob.until("/approve", err=False)
        bob.keys.type(f"/approve {mark[:8]}")
        await bob.until("is let in", err=True)
        await phone.until("this device is let in", err=True)
        alice.keys.type("/msg bob from now on")
        await phone.until("(alice to bob) from now on")
        # So far the key of the first one stays with the other device.
        phone.keys.type("/restore", await bob.front._chat.keys.recovery())
        await phone.until("what was said before becomes readable", err=True)
        await phone.until("(alice to bob) for both")
        assert len([line for line in phone.sheet.out if "for both" in line]) == 1
        phone.keys.type("/devices")
        await phone.until("With keys for what is encrypted:")
        for each in (alice, bob, phone):
            each.keys.end()
            assert await each.ended() == 0

    scene(scenario)


def test_scripts_are_told_of_keys(scene: Scene) -> None:
    """[12.16-6], [12.16-8]: seals and news as records, and nothing of the keys of sessions."""

    async def scenario(here: World, start: Start) -> None:
        alice, bob = await both(start, json=True)
        bob.keys.type("/msg alice hello")
        await alice.until('"text":"hello"')
        found = [json.loads(line) for line in alice.sheet.out]
        (said,) = [each for each in found if each["event"] == "message" and each["text"] == "hello"]
        assert said["seal"] == "pinned"
        assert {each["kind"] for each in found if each["event"] == "message"} <= {"text", "join", "role"}
        assert "pinned" in {each["kind"] for each in found if each["event"] == "key"}

    scene(scenario)


def test_speech_that_is_kept_back_holds_up_nothing() -> None:
    """[12.16-10]: who waits for all that was said does not wait for what is kept back."""
    from quicchat.ui.hope import Hope

    async def scenario() -> None:
        hope, kept = Hope(5.0), {b"held"}
        speech, gate = Speech(hope, kept), asyncio.Event()

        async def say() -> bool:
            return await gate.wait()

        await speech.begin(b"held", say())
        async with asyncio.timeout(5):
            await speech.stored()
        assert speech.left == 1
        kept.clear()
        hope.news()
        waiting = asyncio.ensure_future(speech.stored())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.set()
        async with asyncio.timeout(5):
            await waiting
        assert speech.left == 0
        await speech.close()

    asyncio.run(scenario())


def test_search_finds_what_only_this_device_can_read(scene: Scene) -> None:
    """[12.16-12]: beside what the server finds, the newest first, and nothing twice."""

    async def scenario(here: World, start: Start) -> None:
        alice, bob = await both(start)
        alice.keys.type("a blue boat", "/msg bob a blue moon", "/search blue")
        await alice.until("a blue boat")
        found = [line.split(": ", 1)[1] for line in alice.sheet.out]
        assert found == ["a blue moon", "a blue boat"]
        await bob.until("a blue moon")
        for each in (alice, bob):
            each.keys.end()
            assert await each.ended() == 0

    scene(scenario)


def test_a_room_becomes_encrypted_while_somebody_is_in_it(scene: Scene) -> None:
    """[12.16-5]: what is said there from then on is sealed by both, whoever said something before."""

    async def scenario(here: World, start: Start) -> None:
        alice, bob = await both(start)
        alice.keys.type("/create lab", "in plain")
        await alice.until("you are in lab now", err=True)
        bob.keys.type("/join lab", "me too")
        await alice.until("me too")
        alice.keys.type("/encrypt")
        secured = "-- alice encrypts what is said in lab from end to end; that stays so"
        await alice.until(secured, err=True)
        await bob.until(secured, err=True)
        alice.keys.type("hidden one")
        await bob.until("hidden one")
        bob.keys.type("hidden two")
        await alice.until("hidden two")
        assert [each.sheet.err.count(secured) for each in (alice, bob)] == [1, 1]
        assert not any("lab is encrypted" in line for each in (alice, bob) for line in each.sheet.err)
        assert not any("not encrypted" in line for each in (alice, bob) for line in each.sheet.out)
        log = await here.enter("carol")
        await log.join("lab")
        texts = [each.text or "" for each in await log.history("lab")]
        assert "in plain" in texts
        assert not any("hidden" in text for text in texts)
        for each in (alice, bob):
            each.keys.end()
            assert await each.ended() == 0

    scene(scenario)
