"""How a server, or what is missing here, could make a client say in plain what is to be sealed."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.e2ee import engine as engines
from quicchat.client.e2ee.provider import NOT_INSTALLED, OLD
from quicchat.client.memory import PlainMemory
from quicchat.client.requests import Requests
from quicchat.client.seal import Seal
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.keys import GetKeys
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import ENCRYPTED, Create, RoomState
from quicchat.wire.registry import Pdu
from tests.client.e2ee.talks import (
    DIRECT,
    ROOM,
    Talker,
    den,
    engine,
    genuine,
    held,
    in_plain,
    inject,
    lasting,
    later,
    post,
    seal_of,
    talking,
    told,
)
from tests.client.lives import living
from tests.server.house import World, play, world


def overhearing(monkeypatch: pytest.MonkeyPatch) -> list[Pdu]:
    """All that is asked of a server from now on."""
    sent: list[Pdu] = []
    begin = Requests.begin

    def overhear(self: Requests, pdu: Pdu, **more: object) -> object:
        sent.append(pdu)
        return begin(self, pdu, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Requests, "begin", overhear)
    return sent


async def acquainted(here: World, memory: PlainMemory, bob: Talker) -> None:
    """Alice has seen bob's keys in a room, and has never spoken to him alone."""
    async with talking(here, "alice", memory=memory) as alice:
        await den(alice, bob)
        await alice.chat.post(ROOM, "hello all")
        await bob.hears("hello all")
        assert alice.chat.keys.of("bob") is not None


def test_who_has_keys_is_told_nothing_in_plain_over_version_1() -> None:
    """[15.6-38]: a server that speaks version 1 only gets no plain message for somebody whose keys were seen."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "bob") as bob:
            await acquainted(here, memory, bob)
            async with talking(here, "alice", memory=memory, sign_up=False, versions=(1,)) as alice:
                first = post(1, "for bob alone", user="bob")
                await alice.chat.queue(first)
                assert await held(alice, first.cid) == OLD
                assert alice.chat.keys.encryption(DIRECT).state == "held"
            async with talking(here, "alice", memory=memory, sign_up=False):
                await bob.hears("for bob alone")
                assert await in_plain(here) == []

    play(scenario)


def test_a_server_that_knows_no_keys_suddenly_gets_nothing_in_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-38]: that KEY_GET is refused makes nobody keyless whose keys were seen."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "bob") as bob:
            await acquainted(here, memory, bob)
            ask, sent = Requests.ask, overhearing(monkeypatch)

            async def refused(self: Requests, pdu: Pdu, *more: object, **most: object) -> Pdu:
                if isinstance(pdu, GetKeys):
                    raise Refused(Code.UNSUPPORTED)
                return await ask(self, pdu, *more, **most)  # type: ignore[arg-type]

            monkeypatch.setattr(Requests, "ask", refused)
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                await alice.chat.queue(post(1, "for bob alone", user="bob"))
                await asyncio.sleep(5)
                assert alice.chat.keys.encryption(DIRECT).state != "plain"
                assert [each for each in sent if "for bob alone" in repr(each)] == []

    play(scenario)


def test_a_client_without_keys_asks_before_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-29]: not even the first word leaves in an encrypted room whose policy this device was never told."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            await den(alice)
            async with talking(here, "carol") as carol:
                await carol.chat.join(ROOM)
            sent = overhearing(monkeypatch)
            monkeypatch.setattr(engines, "is_installed", lambda: False)
            memory = lasting()
            async with living(here, "carol", memory=memory, sign_up=False, device=b"a new device....") as chat:
                listening = Talker(chat, memory)
                first = post(1, "canary", room=ROOM)
                await chat.queue(first)
                assert await held(listening, first.cid) == NOT_INSTALLED
                assert [each for each in sent if "canary" in repr(each)] == []
                await chat.post("general", "plain")
                await listening.ears.stop()

    play(scenario)


def test_a_room_that_was_to_be_encrypted_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-39]: who makes an encrypted room says nothing there in plain, whatever the server says it made."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            ask = Requests.ask

            async def lied(self: Requests, pdu: Pdu, *more: object, **most: object) -> Pdu:
                found: Pdu = await ask(self, pdu, *more, **most)  # type: ignore[arg-type]
                if isinstance(pdu, Create):
                    lie = RoomState(room=ROOM, epoch=1, first=1, head=1, policy=0)
                    inject(alice, lie)
                    return lie
                return found

            monkeypatch.setattr(Requests, "ask", lied)
            heard = engine(alice).heard
            monkeypatch.setattr(
                engine(alice), "heard", lambda pdu: None if isinstance(pdu, RoomState) and pdu.policy else heard(pdu)
            )
            sent = overhearing(monkeypatch)
            await alice.chat.create(ROOM, policy=ENCRYPTED)
            await alice.chat.post(ROOM, "canary")
            assert [each for each in sent if "canary" in repr(each)] == []
            assert alice.chat.keys.encryption(ROOM).state == "encrypted"

    play(scenario)


def test_files_that_come_in_plain_are_marked() -> None:
    """[15.6-26]: a file without a caption that is not sealed says so; what was taken back has nothing to be marked."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            head = await genuine(here, alice, bob)
            row = (bytes(32), 9, "application/x-sh", "invoice.sh", 0)
            found = await told(bob, later(head, head, kind=Kind.FILE, sealed=None, attachments=(row,)))
            assert seal_of(found) is Seal.PLAIN
            gone = await told(bob, later(head, found, text="", sealed=None))
            assert seal_of(gone) is None

    play(scenario)


def test_words_of_an_encrypted_conversation_are_not_searched_at_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-40]: what is searched for in an encrypted conversation would tell the server what was said there."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            await den(alice)
            await alice.chat.post(ROOM, "the canary sings")
            await alice.hears("the canary sings")
            sent = overhearing(monkeypatch)
            assert await alice.chat.search("canary", ROOM) == []
            assert [each.text for each in await alice.chat.search_here("canary", ROOM)] == ["the canary sings"]
            assert [each for each in sent if "canary" in repr(each)] == []

    play(scenario)


def test_a_long_text_that_was_put_aside_in_plain_is_put_aside_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-33]: where the room turns out to be encrypted only then, its sealed whole is another file."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.create(ROOM)
            await bob.chat.join(ROOM)
            await bob.chat.post(ROOM, "in plain")
            monkeypatch.setattr(engine(bob)._pins, "heard", lambda pdu: None)
            await alice.chat.set_room(ROOM, policy=ENCRYPTED)
            long = "all of it " * 10_000
            await bob.chat.queue(post(1, long, room=ROOM))
            await alice.hears(long)
            assert alice.said[-1] == ("bob", long, Seal.PINNED)

    play(scenario)
