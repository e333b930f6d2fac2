"""One's own sessions, tokens and password, from the outside."""

from __future__ import annotations

import asyncio
import hmac
import os

import pytest

from quicchat.errors import Code
from quicchat.protocol import scram
from quicchat.wire.chapters.accounts import AuthOk, Password, Resume, Revoke, Sessions
from quicchat.wire.chapters.session import Error, Ok
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import SALT, WORD, Peer, calling, entered


async def rows(peer: Peer) -> list[tuple[int, bytes, str, str, int, bool]]:
    answer = await peer.ask(Sessions())
    assert isinstance(answer, Sessions)
    return list(answer.sessions or ())


def password(current: str, new: str, iterations: int) -> Password:
    fresh = scram.credentials_from(scram.salted(new, SALT, iterations), SALT, iterations)
    client_key = hmac.digest(scram.salted(current, SALT, iterations), b"Client Key", "sha256")
    return Password(
        salt=SALT,
        iterations=iterations,
        stored_key=fresh.stored_key,
        server_key=fresh.server_key,
        current=client_key,
    )


def resume(token: bytes | None) -> Resume:
    assert token is not None
    return Resume(token=token, have=(), outstanding=())


def test_a_login_brings_a_token(house: House) -> None:
    """[4.2-11]: in version 2 one that differs each time, in version 1 none."""

    async def scenario() -> None:
        user = somebody()
        tokens = set()
        for version, sign_up in ((2, True), (2, False), (1, False)):
            async with calling(house.place) as peer:
                answer = await peer.enter(user, version, sign_up=sign_up)
                tokens.add(answer.token)
                assert (answer.token is None) is (answer.expires is None) is (version == 1)
        assert len(tokens) == 3

    house.run(scenario())


def test_sessions_are_listed_and_ended(house: House) -> None:
    """A8, [4.5-1], [4.5-2], [4.5-3]: one's own only; a session that was ended is told why."""

    async def scenario() -> None:
        async with (
            entered(house.place) as first,
            entered(house.place, user=first.user) as second,
            entered(house.place) as stranger,
        ):
            listed = await rows(first)
            assert [(row[1], row[5]) for row in listed] == [(first.device, True), (second.device, False)]
            for revoke in (Revoke(session=listed[1][0]), Revoke(device=second.device), Revoke(session=2**40)):
                assert await stranger.ask(revoke) == Ok()
            await second.barrier()
            assert await first.refused(Revoke()) == Code.SCHEMA
            assert await first.ask(Revoke(session=listed[1][0])) == Ok()
            assert await second.fatal() == Code.TOKEN_EXPIRED
            assert await first.ask(Revoke(device=first.device)) == Ok()
            assert await first.fatal() == Code.TOKEN_EXPIRED
            await stranger.barrier()

    house.run(scenario())


def test_a_device_that_is_away_may_come_back(house: House) -> None:
    """[4.5-1], [4.5-2]: it stands in the list with session 0 until its token is revoked."""

    async def scenario() -> None:
        async with entered(house.place) as first:
            async with entered(house.place, user=first.user) as second:
                pass
            while len(listed := await rows(first)) != 2 or listed[1][0]:
                pass
            assert listed[1][:2] == (0, second.device)
            assert listed[1][3:] == ("", listed[1][4], False)
            assert await first.ask(Revoke(device=second.device)) == Ok()
            assert [row[1] for row in await rows(first)] == [first.device]

    house.run(scenario())


@pytest.mark.parametrize("how", ["unknown", "revoked", "password", "login", "device"])
def test_a_token_that_is_no_more(house: House, how: str) -> None:
    """A8, Q16, [4.3-3]: refused with one code and text; the client may log in on the same connection."""

    async def scenario() -> None:
        user, device = somebody(), os.urandom(16)
        word = "another word" if how == "password" else WORD
        async with calling(house.place, device=device) as first:
            token = (await first.enter(user)).token
            async with entered(house.place, user=user) as other:
                if how == "revoked":
                    await other.ask(Revoke(device=device))
                elif how == "password":
                    assert await other.ask(password(WORD, word, house.place.iterations)) == Ok()
                elif how == "login":
                    async with entered(house.place, user=user, device=device):
                        pass
        async with calling(house.place, device=None if how == "device" else device) as again:
            await again.negotiate()
            answer = await again.ask(resume(os.urandom(32) if how == "unknown" else token))
            assert isinstance(answer, Error)
            assert (answer.code, answer.fatal) == (Code.TOKEN_EXPIRED, None)
            assert answer.text == "The token is used, revoked or too old; log in again."
            assert isinstance(await again.prove(user, word), AuthOk)

    house.run(scenario())


def test_a_new_password_ends_the_other_sessions(house: House) -> None:
    """A8, [4.4-1], [4.4-2]: with the one in force only; the session that asked stays."""

    async def scenario() -> None:
        async with entered(house.place) as first, entered(house.place, user=first.user) as second:
            count = house.place.iterations
            assert await first.refused(password("wrong", "new word", count)) == Code.AUTH_FAILED
            await second.barrier()
            assert await first.ask(password(WORD, "new word", count)) == Ok()
            assert await second.fatal() == Code.TOKEN_EXPIRED
            await first.barrier()
            async with calling(house.place) as again:
                await again.negotiate()
                assert isinstance(await again.prove(first.user, WORD), Error)
                assert isinstance(await again.prove(first.user, "new word"), AuthOk)

    house.run(scenario())


def test_one_session_of_several_at_once() -> None:
    """R3.12, A9, [4.2-12]: where one is allowed, the others are refused in the words of R3."""

    async def scenario() -> None:
        async with simulated(sessions="single") as place, calling(place) as maker:
            user = somebody()
            await maker.negotiate()
            await maker.sign_up(user)
            async with calling(place) as one, calling(place) as other, calling(place) as third:
                peers = (one, other, third)
                for peer in peers:
                    await peer.negotiate()
                answers = await asyncio.gather(*(peer.prove(user) for peer in peers))
                refusals = [answer for answer in answers if isinstance(answer, Error)]
                assert len(refusals) == 2
                assert {(each.code, each.text) for each in refusals} == {
                    (Code.ALREADY_LOGGED_IN, "already logged in from another location")
                }

    play(scenario())
