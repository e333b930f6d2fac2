"""One's own sessions and one's password: listed, ended, changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from quicchat.client.api import Chat
from quicchat.errors import Code, LinkLost
from quicchat.server.effects import Admit, Close
from quicchat.wire.chapters.accounts import Resume, Revoke, Sessions
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Device
from quicchat.wire.registry import Pdu
from tests.server.desk import LAPTOP, PHONE, WORD, Caller, Desk, answer, at_desk, found, keys, password
from tests.server.house import OPEN, play, refusal, world
from tests.server.stores import ALICE, BOB

TABLET = Device(b"T" * 16)


async def sessions(desk: Desk, caller: Caller) -> list[tuple[int, bytes, str, str, int, bool]]:
    return list(answer(await desk.ask(caller, Sessions()), Sessions).sessions or ())


async def closed(desk: Desk, caller: Caller, pdu: Pdu) -> list[tuple[int | None, Code]]:
    """Which sessions a request ends, and with what code; it is answered by OK."""
    effects = await desk.ask(caller, pdu)
    answer(effects, Ok)
    return [(each.session, each.code) for each in found(effects, Close)]


def test_ones_sessions_are_listed() -> None:
    """[4.5-1]: the one that asks first, then the others, then devices that may come back; nobody else's."""

    async def scenario(desk: Desk) -> None:
        laptop = await desk.enter(device=LAPTOP)
        await asyncio.sleep(1)
        phone = await desk.enter(device=PHONE)
        gone = await desk.enter(device=TABLET)
        await asyncio.sleep(1)
        await desk.leave(gone)
        await desk.enter(BOB, PHONE)
        start = 1_800_000_000_000
        assert await sessions(desk, phone) == [
            (phone.actor.session, PHONE, "a phone", phone.actor.address, start + 1000, True),
            (laptop.actor.session, LAPTOP, "a phone", laptop.actor.address, start, False),
            (0, TABLET, "a phone", "", start + 2000, False),
        ]
        await desk.ask(phone, Revoke(device=TABLET))
        assert [row[1] for row in await sessions(desk, laptop)] == [LAPTOP, PHONE]

    at_desk(scenario)


def test_the_list_has_an_end() -> None:
    """[4.5-1], P7: 64 rows, of whatever many devices; those that are here come first."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        for number in range(300):
            await desk.store.accounts.admit(
                ALICE,
                Device(number.to_bytes(16, "big")),
                "x",
                token=bytes(16) + number.to_bytes(16, "big"),
                expires=2**50,
                at=2**50,
            )
        rows = await sessions(desk, phone)
        assert len(rows) == 64
        assert rows[0][0] == phone.actor.session

    at_desk(scenario)


def test_a_session_is_ended_by_its_user_alone() -> None:
    """A8, Z9, [4.5-2], [4.5-3]: by number or by device; another user's is not touched, and the answer is the same."""

    async def scenario(desk: Desk) -> None:
        phone, laptop = await desk.enter(), await desk.enter(device=LAPTOP)
        bob = await desk.enter(BOB)
        number = laptop.actor.session
        assert await closed(desk, bob, Revoke(session=number)) == []
        assert await closed(desk, bob, Revoke(device=LAPTOP)) == []
        assert await closed(desk, bob, Revoke(session=9999)) == []
        assert (await desk.resume(desk.call(LAPTOP), laptop.token))[0].user == ALICE
        assert await closed(desk, phone, Revoke(session=number)) == [(number, Code.TOKEN_EXPIRED)]
        await desk.leave(laptop)
        laptop = await desk.enter(device=LAPTOP)
        assert await closed(desk, phone, Revoke(device=LAPTOP)) == [(laptop.actor.session, Code.TOKEN_EXPIRED)]
        assert await closed(desk, phone, Revoke(device=PHONE)) == [(phone.actor.session, Code.TOKEN_EXPIRED)]
        assert await refusal(desk.ask(bob, Revoke())) is Code.SCHEMA
        assert await refusal(desk.ask(bob, Revoke(session=1, device=PHONE))) is Code.SCHEMA

    at_desk(scenario)


def test_who_is_just_being_logged_in_is_ended_too() -> None:
    """A8, [4.4-1]: a session that comes in beside the change of password does not outlive it."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        late = desk.call(LAPTOP)
        final = await desk.prove(late)
        admit = desk.store.accounts.admit
        ended: list[tuple[int | None, Code]] = []

        async def then_the_password_changes(*args: object, **fields: object) -> object:
            heads = await admit(*args, **fields)  # type: ignore[arg-type]
            ended.extend(await closed(desk, phone, password(WORD, "new")))
            return heads

        desk.store.accounts.admit = then_the_password_changes  # type: ignore[method-assign, assignment]
        effects = await desk.ask(late, final)
        assert len(found(effects, Admit)) == 1
        assert ended == [(late.actor.session, Code.TOKEN_EXPIRED)]

    at_desk(scenario)


def test_an_old_password_proved_before_the_change_admits_nobody() -> None:
    """A8, [4.4-3]: the challenge was answered with keys that are no longer in force."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        late = desk.call(LAPTOP)
        final = await desk.prove(late)
        await desk.ask(phone, password(WORD, "new"))
        assert await refusal(desk.ask(late, final)) is Code.AUTH_FAILED
        assert [each.session for each in desk.roster.claims(ALICE)] == [phone.actor.session]
        assert len(found(await desk.ask(late, await desk.prove(late, word="new")), Admit)) == 1

    at_desk(scenario)


def test_a_new_password_ends_all_else() -> None:
    """A8, R1.10, [4.4-1]: the other sessions close and their tokens end, this one stays with its token."""

    async def scenario(desk: Desk) -> None:
        phone, laptop, bob = await desk.enter(), await desk.enter(device=LAPTOP), await desk.enter(BOB)
        ended = await closed(desk, phone, password(WORD, "new"))
        assert ended == [(laptop.actor.session, Code.TOKEN_EXPIRED)]
        again = desk.ask(desk.call(LAPTOP), Resume(token=laptop.token, have=(), outstanding=()))
        assert await refusal(again) is Code.TOKEN_EXPIRED
        assert (await desk.resume(desk.call(), phone.token))[0].user == ALICE
        assert (await desk.resume(desk.call(), bob.token))[0].user == BOB
        assert await desk.store.accounts.credentials(ALICE) == keys("new")

    at_desk(scenario)


def test_the_password_in_force_is_asked_for() -> None:
    """A3, [4.4-2]: wrong ones are refused, later each time, and soon not looked at; nothing changes."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        loop = asyncio.get_running_loop()
        waits = []
        for _ in range(5):
            start = loop.time()
            assert await refusal(desk.ask(phone, password("guess", "mine"))) is Code.AUTH_FAILED
            waits.append(loop.time() - start)
        assert waits == [0.0, 0.25, 0.5, 1.0, 2.0]
        assert await refusal(desk.ask(phone, password(WORD, "mine"))) is Code.RATE_LIMITED
        assert await desk.store.accounts.credentials(ALICE) == keys()
        await asyncio.sleep(601)
        assert await closed(desk, phone, password(WORD, "mine")) == []

    at_desk(scenario)


def test_guesses_at_once_are_counted_one_by_one() -> None:
    """A3, [4.4-2]: pipelining does not make guessing cheaper; of a hundred guesses five are looked at."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        guesses = [refusal(desk.ask(phone, password(f"guess {number}", "mine"))) for number in range(100)]
        codes = await asyncio.gather(*guesses)
        assert codes == [Code.AUTH_FAILED] * 5 + [Code.RATE_LIMITED] * 95

    at_desk(scenario)


def test_cheap_derivations_are_refused() -> None:
    """[4.1-5]: a new password is no way to weaken an account."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        assert await refusal(desk.ask(phone, password(WORD, "new"))) is Code.AUTH_FAILED
        assert await desk.store.accounts.credentials(ALICE) == keys()

    at_desk(scenario, replace(OPEN, least_iterations=4096))


async def lost(chat: Chat) -> int:
    """The code with which a connection ends."""
    async with asyncio.timeout(10):
        await chat._requests.ended
    assert isinstance(chat.lost, LinkLost)
    return chat.lost.code


def test_ended_sessions_are_told_and_gone() -> None:
    """A8, [4.5-2], [4.4-1]: in a whole server: the answer comes first, then the other one's connection closes."""

    async def scenario() -> None:
        async with world() as here:
            phone = await here.enter("alice", device=b"A" * 16)
            laptop = await here.enter("alice", device=b"B" * 16, sign_up=False)
            tablet = await here.enter("alice", device=b"C" * 16, sign_up=False)
            listed = (await phone._requests.ask(Sessions(), Sessions)).sessions or ()
            assert [row[1][:1] for row in listed] == [b"A", b"B", b"C"]
            await phone._requests.ask(Revoke(session=listed[1][0]), Ok)
            assert await lost(laptop) == Code.TOKEN_EXPIRED
            stored = await here.store.accounts.credentials(ALICE)
            assert stored is not None
            await phone._requests.ask(password("secret", "new", stored.salt), Ok)
            assert await lost(tablet) == Code.TOKEN_EXPIRED
            assert await refusal(here.enter("alice", sign_up=False)) is Code.AUTH_FAILED
            await here.enter("alice", password="new", sign_up=False)
            await phone._requests.ask(Revoke(device=b"A" * 16), Ok)
            assert await lost(phone) == Code.TOKEN_EXPIRED

    play(scenario)


@pytest.mark.parametrize("version", [1, 2])
def test_version_1_knows_no_tokens(version: int) -> None:
    """[4.2-11]: AUTH_OK carries a token in version 2 only, in a whole server."""

    async def scenario() -> None:
        async with world() as here:
            chat = await here.enter("alice", versions=(version,))
            answers = [each for each in await here.store.accounts.devices(ALICE, limit=9) if each.expires]
            assert len(answers) == version - 1
            assert chat.version == version

    play(scenario)
