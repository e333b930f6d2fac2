"""Rows S: words that are not allowed where they are said."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book, frame
from quicchat.tools.conform.talk import Talk
from quicchat.wire import codec
from quicchat.wire.chapters.session import StreamOpen
from quicchat.wire.registry import REGISTRY, Pdu, Role
from quicchat.wire.states import State
from tests.conformance.cases import cells, sensible
from tests.hostile.arena import Arena
from tests.strategies import least


def encoded(pdu: Pdu, id: int | None = None) -> bytes:
    return frame(codec.encode(pdu, version=2, id=id))


def wrong(state: State) -> list[Pdu]:
    """What a client may say, but not there."""
    found = {
        cell.letter.pdu: sensible(cell.letter)
        for cell in cells()
        if (cell.state, cell.by, cell.to) == (state, Role.CLIENT, None)
        if Role.CLIENT in cell.letter.pdu.SPEC.by and cell.letter.pdu is not StreamOpen
    }
    return list(found.values())


async def each_fatal(bench: Bench, state: str, pdus: list[Pdu], code: str) -> None:
    """Each of these is fatal there."""
    gate = asyncio.Semaphore(8)

    async def one(pdu: Pdu) -> None:
        async with gate:
            talk = await bench.at(state)
            talk.say_bytes(encoded(pdu))
            await closed(talk, code)

    await asyncio.gather(*map(one, pdus))


async def closed(talk: Talk, code: str) -> None:
    """The connection ends with a code; on a stream that is nothing yet no ERROR can come."""
    await talk.closing()
    assert talk.line.closed is not None
    assert book().code(talk.line.closed.code) == code


@pytest.mark.choice
def test_s1_illegal_words_when_logged_in(arena: Arena) -> None:
    """S1, S5: refused with STATE, all on one connection that lives on."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        for number, pdu in enumerate(wrong(State.READY), 5_000):
            talk.say_bytes(encoded(pdu, number))
            talk.check_refusal(await talk.answer(number), "STATE")
        await talk.barrier()

    assert len(wrong(State.READY)) > 4
    arena.play(attack, users=1)


@pytest.mark.parametrize("state", ["START", "AUTHENTICATING"])
def test_s1_illegal_words_before_login(arena: Arena, state: str) -> None:
    """S1, S3: fatal with STATE, each on a connection of its own."""
    pdus = wrong(State[state])
    assert len(pdus) > 20
    arena.play(lambda bench: each_fatal(bench, state, pdus, "STATE"), strangers=len(pdus))


def test_s2_words_of_the_server(arena: Arena) -> None:
    """S2: fatal with STATE, in READY too."""
    pdus = [least(cls, 2) for cls in REGISTRY if Role.CLIENT not in cls.SPEC.by]
    assert len(pdus) > 20
    arena.play(lambda bench: each_fatal(bench, "READY", pdus[::6], "STATE"), users=len(pdus[::6]))


def test_s3_nothing_comes_before_the_negotiation(arena: Arena) -> None:
    """S3: PING, AUTH_START and MSG_SEND as a first word are fatal with STATE."""
    pdus = [pdu for pdu in wrong(State.START) if pdu.SPEC.name in ("PING", "AUTH_START", "MSG_SEND")]
    assert len(pdus) == 3
    arena.play(lambda bench: each_fatal(bench, "START", pdus, "STATE"), strangers=3)


@pytest.mark.choice
def test_s4_a_second_negotiation(arena: Arena) -> None:
    """S4: fatal with STATE before the login, refused with it after."""

    async def attack(bench: Bench) -> None:
        fields: dict[str, Any] = {"versions": [2, 1], "device": bytes(16)}
        talk = await bench.negotiated()
        talk.say("VERSION_REQUEST", **fields)
        await talk.fatal("STATE")
        talk = await bench.ready()
        await talk.refused("STATE", request="VERSION_REQUEST", **fields)

    arena.play(attack, users=1)


def test_s6_no_common_version(arena: Arena) -> None:
    """S6: VERSION_RESPONSE with version 0, then the close with NO_COMMON_VERSION."""

    async def attack(bench: Bench) -> None:
        talk = await bench.dial()
        found = await talk.negotiate(99)
        assert found["version"] == 0
        await talk.ear.quietly(lambda: talk.line.closed, 5)
        assert talk.line.closed is not None
        assert book().code(talk.line.closed.code) == "NO_COMMON_VERSION"

    arena.play(attack, strangers=1)


@pytest.mark.choice
def test_s7_the_highest_version_and_an_edited_list(arena: Arena) -> None:
    """S7: of [1, 2, 77] it is 2; a list that was edited on its way breaks the login with DOWNGRADE."""

    async def attack(bench: Bench) -> None:
        talk = await bench.dial()
        found = await talk.negotiate(1, 2, 77)
        assert found["version"] == 2
        account = await bench.target.account(1)
        talk.transcript = bytes(32)
        with pytest.raises(Exception, match="DOWNGRADE"):
            await talk.log_in(account.user, account.password)

    arena.play(attack, strangers=1)


@pytest.mark.choice
def test_s8_another_version_later(arena: Arena) -> None:
    """S8: fatal with VERSION."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        talk.say("PING", version=1, nonce=1)
        await talk.fatal("VERSION")

    arena.play(attack, users=1)


def test_s10_after_the_goodbye(arena: Arena) -> None:
    """S10: what follows BYE is ignored, whatever it is."""

    async def attack(bench: Bench) -> None:
        talk, other = await bench.ready(0), await bench.ready(1)
        room = await bench.room(other, talk)
        talk.say("BYE")
        talk.say("MSG_SEND", room=room, cid=os.urandom(16), text="after all")
        talk.say_bytes(b"\x02\xff\xff")
        await talk.ear.quietly(lambda: talk.line.closed, 6)
        assert talk.line.closed is not None
        assert book().code(talk.line.closed.code) == "NO_ERROR"
        page = await other.done("HISTORY", room=room, window=4, limit=200)
        assert not any(b"after all" in event for event in page["events"])

    arena.play(attack, users=2)


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_s12_control_is_cut(arena: Arena, how: str) -> None:
    """S12: it is as a goodbye, and the session can be resumed."""

    async def attack(bench: Bench) -> None:
        device = bytes(range(16))
        talk = await bench.ready(0, device=device)
        token = talk.token
        if how == "reset":
            talk.line.reset(talk.control, 0x100)
        else:
            talk.line.say(talk.control, b"", fin=True)
        await talk.ear.quietly(lambda: talk.line.closed, 6)
        assert talk.line.closed is not None
        again = await bench.negotiated(device=device)
        await again.done("RESUME", token=token, have=[], outstanding=[])
        await again.barrier()

    arena.play(attack, users=2)


@pytest.mark.choice
def test_s14_a_stream_that_says_nothing_of_itself(arena: Arena) -> None:
    """S14: given up with UNSUPPORTED, a hundred times, and nothing else ends."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        for number in range(50):
            sid = talk.open()
            talk.say("ROOM_LIST", sid=sid, id=number)
            await talk.gave_up(sid, "UNSUPPORTED")

    arena.play(attack, users=1)


@pytest.mark.choice
def test_s15_a_stream_is_not_wanted(arena: Arena) -> None:
    """S15: a room whose stream the client asks to stop goes on, on control."""

    async def attack(bench: Bench) -> None:
        talk, other = await bench.ready(0), await bench.ready(1)
        room = await bench.room(other, talk)
        sid = talk.open(1, room=room)
        await talk.barrier()
        talk.line.stop(sid, book().codes["NO_ERROR"])
        await talk.until(lambda: talk.given_up.get(sid) is not None or None, "RESET_STREAM")
        await other.done("MSG_SEND", room=room, cid=os.urandom(16), text="still there?")
        found = await talk.hear("MSG", lambda each: bool(each["text"] == "still there?"))
        assert found.sid == talk.control

    arena.play(attack, users=2)
