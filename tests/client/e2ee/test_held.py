"""Never in plain: what cannot be sealed waits, says why, and goes on by itself; other rooms do not wait for it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from quicchat.client import bodies
from quicchat.client.e2ee import engine as engines
from quicchat.client.e2ee.provider import NOT_INSTALLED, NOT_LASTING, NOT_LISTED, OLD, is_installed
from quicchat.client.events import KeyNews, Progress, Sent
from quicchat.client.memory import Change, Entry, PlainMemory
from quicchat.client.seal import Seal
from quicchat.errors import Code
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.chapters.rooms import ENCRYPTED, RoomState
from tests.client.e2ee.talks import (
    DIRECT,
    ROOM,
    Talker,
    den,
    engine,
    held,
    in_plain,
    inject,
    lasting,
    logged,
    post,
    talking,
)
from tests.client.e2ee.wire import Wire
from tests.client.lives import living
from tests.server.house import play, refusal, world


def test_a_verified_person_with_another_identity_blocks_sending() -> None:
    """[15.6-27]: nothing is sealed for a verified person whose identity has changed, until the user decides."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            async with talking(here, "bob") as bob:
                await alice.chat.tell("bob", "one")
                await bob.hears("one")
                await alice.chat.keys.verify("bob")
            async with talking(here, "bob", sign_up=False, device=b"bob's new laptop") as bob:
                await engine(bob).core.directory.renew()
                first = post(1, "two", user="bob")
                await alice.chat.queue(first)
                reason = await held(alice, first.cid)
                assert "/accept bob" in reason
                assert alice.chat.keys.encryption(DIRECT).state == "held"
                # Nobody else waits.
                await alice.chat.post("general", "in plain, for everybody")
                assert [each.state for each in alice.chat.outbox if each.cid == first.cid] == [Sent.QUEUED]
                await alice.chat.keys.accept("bob")
                await bob.hears("two")
                assert bob.said[-1] == ("alice", "two", Seal.PINNED)
                assert await in_plain(here) == []
                assert alice.chat.keys.encryption(DIRECT).state == "encrypted"

    play(scenario)


def test_a_conversation_that_was_encrypted_waits_for_a_newer_connection() -> None:
    """[15.6-28]: protocol version 1 carries nothing sealed: what is said waits, in the order it was said."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "bob") as bob:
            async with talking(here, "alice", memory=memory) as alice:
                await alice.chat.tell("bob", "one")
            async with talking(here, "alice", memory=memory, sign_up=False, versions=(1,)) as alice:
                first = post(1, "two", user="bob")
                await alice.chat.queue(first)
                assert await held(alice, first.cid) == OLD
                await alice.chat.queue(post(2, "three", user="bob"))
                await alice.chat.post("general", "plain")
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                await bob.hears("one", "two", "three")
                assert bob.said[:1] == [("alice", "one", Seal.PINNED)]
                assert [text for _, text, _ in bob.said if text != "plain"] == ["one", "two", "three"]
                assert await in_plain(here) == []

    play(scenario)


@pytest.mark.parametrize("why", [NOT_INSTALLED, NOT_LASTING])
def test_without_keys_nothing_is_said_in_an_encrypted_room(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-29]: a client that cannot have keys says so, and says nothing in rooms that are encrypted."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            await den(alice)
            monkeypatch.setattr(engines, "is_installed", lambda: why is not NOT_INSTALLED)
            memory = PlainMemory(lasting=why is not NOT_LASTING)
            async with living(here, "carol", memory=memory) as chat:
                carol = Talker(chat, memory)
                await chat.join(ROOM)
                first = post(1, "secret", room=ROOM)
                await chat.queue(first)
                assert await held(carol, first.cid) == why
                assert chat.keys.encryption(ROOM).reason == why
                await chat.post("general", "plain")
                await alice.chat.post(ROOM, "for those with keys")
                await carol.ears.until(
                    lambda: any(each.kind is Kind.TEXT and each.room == ROOM for each in carol.messages)
                )
                assert [(text, seal) for _, text, seal in carol.said if text != "plain"] == [("", Seal.WAITING)]
                assert await in_plain(here, ROOM) == []
                await carol.ears.stop()

    play(scenario)


def test_what_was_queued_before_is_sealed_when_it_is_sent() -> None:
    """[15.6-30]: an entry that was written in plain, of an earlier run perhaps, is sealed before it leaves."""

    async def scenario() -> None:
        memory = lasting()
        entry = Entry(order=1, post=post(1, "written long ago", room=ROOM), room=ROOM, state=Sent.QUEUED)
        async with world() as here, talking(here, "bob") as bob:
            async with talking(here, "alice", memory=memory) as alice:
                await den(alice, bob)
            await memory.keep(Change(entries=[entry]))
            async with talking(here, "alice", memory=memory, sign_up=False):
                await bob.hears("written long ago")
                assert bob.said == [("alice", "written long ago", Seal.PINNED)]

    play(scenario)


@pytest.mark.parametrize("kind", ["say", "edit", "react", "long", "queue", "retract", "pin"])
def test_whatever_is_said_is_sealed(kind: str) -> None:
    """[15.6-31]: edits, reactions, long texts, what an application puts into a RETRACT or a PIN: none is readable."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            first = await alice.chat.post(ROOM, "first")
            canary, chat = "canary", alice.chat
            match kind:
                case "say":
                    await chat.post(ROOM, canary, mentions=["bob"], topic=canary, reply=first.seq)
                case "edit":
                    await chat.edit(ROOM, first.seq, canary)
                case "react":
                    await chat.react(ROOM, first.seq, canary)
                case "long":
                    canary = "canary " * 20_000
                    await chat.post(ROOM, canary)
                case "queue":
                    await chat.queue(post(1, canary, room=ROOM))
                case _:
                    about = Kind.PIN if kind == "pin" else Kind.RETRACT
                    await chat.queue(Post(room=ROOM, cid=b"c" * 16, text=canary, kind=about, refs=(first.seq,)))
            await bob.ears.until(lambda: len(bob.messages) > 1, 300)
            heard = bob.messages[-1]
            assert heard.text == {"retract": "", "pin": "A message was pinned."}.get(kind, canary)
            for event in await logged(here, ROOM, "bob"):
                assert b"canary" not in repr(event).encode()

    play(scenario)


def test_a_long_text_that_was_put_aside_in_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-31], [15.6-34]: where the other side has keys before its message is sent, the whole is put aside anew."""

    async def scenario() -> None:
        text = "what to say " * 10_000
        async with AsyncExitStack() as stack:
            here = await stack.enter_async_context(world())
            alice = await stack.enter_async_context(talking(here, "alice"))
            await stack.enter_async_context(living(here, "bob"))
            await alice.chat.tell("bob", "in plain")
            put = bodies.put
            came: list[Talker] = []

            async def slow(*args: Any) -> None:
                await put(*args)
                if not came:
                    device = talking(here, "bob", sign_up=False, device=b"a device w. keys")
                    came.append(await stack.enter_async_context(device))
                    await asyncio.sleep(1)

            monkeypatch.setattr(bodies, "put", slow)
            await alice.chat.tell("bob", text)
            (bob,) = came
            await bob.hears(text)
            assert bob.said[-1] == ("alice", text, Seal.PINNED)

    play(scenario)


def test_a_policy_that_is_gone_changes_nothing() -> None:
    """[15.6-32]: a room once known as encrypted stays so here, also over restarts, whatever ROOM_STATE says later."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "bob") as bob:
            async with talking(here, "alice", memory=memory) as alice:
                await den(alice, bob)
                await alice.chat.post(ROOM, "one")
                inject(alice, RoomState(room=ROOM, epoch=1, first=1, head=4, policy=0))
                await alice.chat.post(ROOM, "two")
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                inject(alice, RoomState(room=ROOM, epoch=1, first=1, head=4, policy=0))
                await alice.chat.post(ROOM, "three")
                await bob.hears("one", "two", "three")
                assert {seal for *_, seal in bob.said} == {Seal.PINNED}

    play(scenario)


@pytest.mark.parametrize("hears", [True, False])
def test_a_room_that_becomes_encrypted(hears: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-33]: where nothing is taken in plain any more, what was refused is sealed and sent again, in order; who
    hears of it in time ([15.6-32]) sends nothing in plain.
    """

    async def scenario() -> None:
        wire = Wire(monkeypatch)
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.create(ROOM)
            await bob.chat.join(ROOM)
            await bob.chat.post(ROOM, "in plain")
            if not hears:
                engine(bob)._pins.heard = lambda pdu: None  # type: ignore[method-assign]
            await alice.chat.set_room(ROOM, policy=ENCRYPTED)
            await bob.ears.until(lambda: any(each.kind is Kind.TOPIC for each in bob.ears.of(Message)))
            for number, text in enumerate(["one", "two", "three"]):
                await bob.chat.queue(post(number, text, room=ROOM))
            await alice.hears("one", "two", "three")
            assert [text for _, text, _ in alice.said] == ["in plain", "one", "two", "three"]
            assert {seal for _, text, seal in alice.said if text != "in plain"} == {Seal.PINNED}
            assert (len([each for each in wire.posts if each.text]) == 1) is hears

    play(scenario)


def test_a_device_finds_out_whether_a_room_is_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-21]: a device that was never told a room's policy asks before it says anything there."""

    async def scenario() -> None:
        wire = Wire(monkeypatch)
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.create("open")
            await bob.chat.join("open")
            forgetful = lasting()
            await forgetful.keep(Change(secrets=(await alice.memory.load()).secrets))
            for room in (ROOM, "open"):
                await forgetful.keep(Change(secrets={("encrypted", room.encode()): None}))
            await alice.leave()
            async with talking(here, "alice", memory=forgetful, sign_up=False) as alice:
                assert alice.chat.keys.encryption(ROOM).state == "plain"
                assert (await alice.chat.keys.look(ROOM)).state == "encrypted"
                await alice.chat.post(ROOM, "sealed")
                await alice.chat.post("open", "plain")
                await bob.hears("sealed", "plain")
                assert bob.said == [("alice", "sealed", Seal.PINNED), ("alice", "plain", None)]
                assert [each.text for each in wire.posts if each.text] == ["plain"]

    play(scenario)


def test_direct_messages_are_encrypted_once_both_have_keys() -> None:
    """[15.6-34]: without keys on the other side it is plain, as the title says; from his first keys on it is sealed."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            async with living(here, "bob"):
                await alice.chat.tell("bob", "in plain")
                assert alice.chat.keys.encryption(DIRECT).state == "plain"
            async with talking(here, "bob", sign_up=False, device=b"a device w. keys") as bob:
                await asyncio.sleep(1)
                await alice.chat.tell("bob", "sealed")
                await bob.hears("sealed")
                assert bob.said[-1] == ("alice", "sealed", Seal.PINNED)
                assert alice.chat.keys.encryption(DIRECT).state == "encrypted"
            assert await in_plain(here) == ["in plain"]

    play(scenario)


def test_a_person_is_told_once_that_somebody_has_no_keys() -> None:
    """[15.6-34]: in one line, before the first message that goes out in plain; once, over all connections and runs."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, living(here, "bob"), living(here, "carol"):
            async with talking(here, "alice", memory=memory) as alice:
                await alice.chat.keys.look(DIRECT)
                assert keyless(alice) == []
                for text in ("one", "two"):
                    await alice.chat.tell("bob", text)
                alice.chat.link.close(0x100, "cut")
                await alice.chat.tell("bob", "three")
                assert keyless(alice) == [
                    ("bob", "bob has no keys yet: what you say to him is not end-to-end encrypted")
                ]
                at = [isinstance(each, KeyNews) and each.kind == "keyless" for each in alice.ears.events].index(True)
                assert all(each.state < Sent.SENT for each in alice.ears.events[:at] if isinstance(each, Progress))
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                await alice.chat.tell("bob", "four")
                assert keyless(alice) == []
                await alice.chat.tell("carol", "five")
                assert [user for user, _ in keyless(alice)] == ["carol"]

    play(scenario)


def keyless(talker: Talker) -> list[tuple[str, str]]:
    """Of whom somebody was told that he has no keys."""
    return [(each.user, each.text) for each in talker.ears.of(KeyNews) if each.kind == "keyless"]


def test_a_person_sees_how_a_conversation_stands_before_he_speaks() -> None:
    """[15.6-34]: after a login it is known of each direct conversation whether both sides have keys by now."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, living(here, "bob"):
            async with talking(here, "alice", memory=memory) as alice:
                await alice.chat.tell("bob", "in plain")
            async with (
                talking(here, "bob", sign_up=False, device=b"a device w. keys"),
                talking(here, "alice", memory=memory, sign_up=False) as alice,
            ):
                assert alice.chat.keys.encryption(DIRECT).state == "encrypted"

    play(scenario)


def test_notes_to_oneself_are_sealed_as_well() -> None:
    """[15.6-20]: a conversation with oneself has two sides that have keys: one's own devices read it."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            await alice.chat.tell("alice", "buy milk")
            assert alice.said == [("alice", "buy milk", Seal.OWN)]
            assert await in_plain(here, "@alice,alice") == []

    play(scenario)


def test_who_is_not_in_a_room_hears_so() -> None:
    """[15.6-35]: a refusal that is for good fails what waits in that room, and nothing else."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await bob.chat.post(ROOM, "one")
            await alice.chat.kick(ROOM, "bob")
            await bob.ears.until(lambda: ROOM not in bob.chat.state.rooms)
            assert await refusal(bob.chat.post(ROOM, "two")) in (Code.NOT_MEMBER, Code.NO_SUCH_ROOM)
            await bob.chat.tell("alice", "why?")
            await alice.hears("why?")

    play(scenario)


def test_a_library_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """[15.6-29]: what is found but broken is as good as missing: it is said at once, and nothing waits for it."""
    (tmp_path / "pysequoia.py").write_text("raise ImportError('broken')\n")
    monkeypatch.delitem(sys.modules, "pysequoia", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed()


def test_the_standing_of_a_device_that_is_not_let_in() -> None:
    """[15.6-29]: nothing can be said from there, and that is seen before it is tried."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.tell("bob", "hello")
            await bob.hears("hello")
            async with talking(here, "alice", sign_up=False, device=b"\2" * 16) as second:
                await second.chat.keys.look(DIRECT)
                found = second.chat.keys.encryption(DIRECT)
                assert (found.state, found.reason) == ("held", NOT_LISTED)

    play(scenario)
