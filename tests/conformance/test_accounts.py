"""Sign-up and login, from the outside."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import cbor2
import pytest

from quicchat.errors import Code
from quicchat.protocol import scram
from quicchat.wire import frame
from quicchat.wire.chapters.accounts import MECHANISM, AuthChallenge, AuthOk, AuthResponse, AuthStart
from quicchat.wire.chapters.messages import Message, Post
from quicchat.wire.chapters.session import Error, Ok
from tests.conformance.house import House, Place, play, simulated, somebody
from tests.conformance.peer import WORD, Peer, calling, entered


def test_a_sign_up_and_a_login(house: House) -> None:
    """R1.9, R1.11, [4.2-9]: OK, then AUTH_OK with all rooms: [room, epoch, head, place delivered to this device]."""

    async def scenario() -> None:
        async with calling(house.place) as peer:
            user = somebody()
            found = await peer.enter(user)
            assert found.user == user
            heads = {room: (epoch, head, delivered) for room, epoch, head, delivered in found.heads or ()}
            assert {"*", "general"} <= set(heads)
            epoch, head, delivered = heads["general"]
            assert epoch >= 1
            # His own JOIN is the first that he has not been sent.
            assert delivered < head

    house.run(scenario())


def test_a_name_is_taken_once(house: House) -> None:
    """R1.11, A2, [4.1-3]: two at once, one succeeds; and later nobody does."""

    async def scenario() -> None:
        user = somebody()
        async with calling(house.place) as one, calling(house.place) as other:
            await asyncio.gather(one.negotiate(), other.negotiate())
            answers = await asyncio.gather(one.sign_up(user), other.sign_up(user))
            kinds = sorted((type(answer).__name__ for answer in answers), reverse=True)
            assert kinds == ["Ok", "Error"]
            (refusal,) = [answer for answer in answers if isinstance(answer, Error)]
            assert refusal.code == Code.NAME_TAKEN

    house.run(scenario())


def test_names_cannot_be_tried_out() -> None:
    """A2, [4.1-6]: after a few NAME_TAKEN the answer is RATE_LIMITED, and says when to come back."""

    async def scenario() -> None:
        async with simulated() as place, calling(place) as peer:
            await peer.negotiate()
            assert isinstance(await peer.sign_up("alice"), Ok)
            answers = [await peer.sign_up("alice") for _ in range(5)]
            codes = [answer.code for answer in answers if isinstance(answer, Error)]
            assert codes == [Code.NAME_TAKEN] * 3 + [Code.RATE_LIMITED] * 2
            assert isinstance(answers[-1], Error)
            assert (answers[-1].retry_after or 0) > 0

    play(scenario())


@pytest.mark.parametrize(
    ("policy", "invite", "admitted"),
    [
        ({"signup": "closed"}, None, False),
        ({"signup": "invite", "invites": frozenset({"apple"})}, None, False),
        ({"signup": "invite", "invites": frozenset({"apple"})}, "pear", False),
        ({"signup": "invite", "invites": frozenset({"apple"})}, "apple", True),
    ],
)
def test_sign_up_may_be_closed(policy: dict[str, Any], invite: str | None, admitted: bool) -> None:
    """[4.1-4]: SIGNUP_CLOSED, unless with an invitation that was given out."""

    async def scenario() -> None:
        async with simulated(**policy) as place, calling(place) as peer:
            await peer.negotiate()
            answer = await peer.sign_up("alice", invite=invite)
            assert answer == Ok() if admitted else isinstance(answer, Error) and answer.code == Code.SIGNUP_CLOSED

    play(scenario())


def test_too_few_iterations_are_refused() -> None:
    """[4.1-5], [4.1-8]: fewer than the policy demands, and how many that is; exactly as many are enough."""

    async def scenario() -> None:
        async with simulated(least_iterations=50) as place, calling(place) as peer:
            await peer.negotiate()
            answer = await peer.sign_up("alice", iterations=49)
            assert isinstance(answer, Error)
            assert (answer.code, answer.detail) == (Code.AUTH_FAILED, bytes((0, 0, 0, 50)))
            assert await peer.sign_up("alice", iterations=50) == Ok()

    play(scenario())


@pytest.mark.parametrize("name", ["Alice", "\u0430lice", "al ice", "", "a" * 33, "alice\n", "\uff41lice"])
def test_a_name_that_breaks_the_pattern_is_refused(name: str) -> None:
    """U6, [4.1-7]: fatal SCHEMA, as for any field."""

    async def scenario() -> None:
        async with simulated() as place, calling(place) as peer:
            await peer.negotiate()
            body = {1: name, 2: bytes(16), 3: 1, 4: bytes(32), 5: bytes(32)}
            peer.raw(frame.wrap(cbor2.dumps({0: 2, 1: 0x14, 2: 1, 5: body})))
            assert await peer.fatal() == Code.SCHEMA

    play(scenario())


@pytest.mark.parametrize(
    "start",
    [
        AuthStart(mechanism="PLAIN", user="alice", data=b"p=quicchat,,n=alice,r=abc"),
        AuthStart(mechanism=MECHANISM, user="alice", data=b"n,,n=alice,r=abc"),
        AuthStart(mechanism=MECHANISM, user="alice", data=b"y,,n=alice,r=abc"),
        AuthStart(mechanism=MECHANISM, user="alice", data=b"p=tls-unique,,n=alice,r=abc"),
        AuthStart(mechanism=MECHANISM, user="alice", data=b"p=quicchat,,n=bob,r=abc"),
        AuthStart(mechanism=MECHANISM, user="alice", data=b"p=quicchat,,n=alice,r="),
        AuthStart(mechanism=MECHANISM, user="alice", data=b""),
    ],
    ids=lambda start: f"{start.mechanism} {start.data.decode()}",
)
def test_another_first_message_is_refused(house: House, start: AuthStart) -> None:
    """[4.2-1]: another mechanism, no channel binding or another one, another name, no nonce; one may try again."""

    async def scenario() -> None:
        async with calling(house.place) as peer:
            await peer.negotiate()
            assert await peer.refused(start) == Code.AUTH_FAILED
            assert isinstance(await peer.sign_up(somebody()), Ok)

    house.run(scenario())


def test_nobody_learns_who_exists(house: House) -> None:
    """A1, [4.2-2]: unknown user and wrong password get the same PDUs, codes and texts; nobody's salt stays the same."""

    async def scenario() -> None:
        known, unknown = somebody(), somebody()
        async with calling(house.place) as peer:
            await peer.negotiate()
            await peer.sign_up(known)
        seen = {user: {await parameters(house.place, user) for _ in range(3)} for user in (known, unknown)}
        ((salt, count),), ((other_salt, other_count),) = seen[known], seen[unknown]
        assert (len(salt), count) == (len(other_salt), other_count)
        assert salt != other_salt
        refusals = []
        for user in (known, unknown):
            async with calling(house.place) as peer:
                await peer.negotiate()
                refusals.append(await peer.prove(user, "wrong"))
        assert refusals[0] == refusals[1]
        assert isinstance(refusals[0], Error)
        assert refusals[0].code == Code.AUTH_FAILED

    house.run(scenario())


async def parameters(place: Place, user: str) -> tuple[bytes, int]:
    """Salt and iterations, as anybody can ask for them."""
    async with calling(place) as peer:
        await peer.negotiate()
        data = scram.ClientLogin(user, os.urandom(18)).first
        challenge = await peer.ask(AuthStart(mechanism=MECHANISM, user=user, data=data))
        assert isinstance(challenge, AuthChallenge)
        return scram.ClientLogin.parameters(challenge.data)


def test_a_wrong_password_may_be_tried_again() -> None:
    """R1.10, A3, [4.2-4]: refused, later with every failure; the third ends the connection; the account lives on."""

    async def scenario() -> None:
        user = somebody()
        async with simulated() as place, calling(place) as peer:
            await peer.negotiate()
            await peer.sign_up(user)
            for _ in range(2):
                answer = await peer.prove(user, "wrong")
                assert isinstance(answer, Error)
                assert (answer.code, answer.fatal) == (Code.AUTH_FAILED, None)
            login = scram.ClientLogin(user, os.urandom(18))
            challenge = await peer.ask(AuthStart(mechanism=MECHANISM, user=user, data=login.first))
            assert isinstance(challenge, AuthChallenge)
            peer.say(AuthResponse(data=login.final(challenge.data, bytes(32), peer.binding)))
            assert await peer.fatal() == Code.AUTH_FAILED
            assert asyncio.get_running_loop().time() > 0.5
            async with calling(place) as again:
                await again.negotiate()
                assert isinstance(await again.prove(user, "wrong"), Error)
                assert isinstance(await again.prove(user), AuthOk)

    play(scenario())


@pytest.mark.parametrize("part", ["certificate", "negotiation"])
def test_a_proof_bound_to_something_else_is_a_downgrade(house: House, part: str) -> None:
    """S7, R3.13, [4.2-5], [4.3-1]: the right password, but another certificate or an edited list of versions."""

    async def scenario() -> None:
        user = somebody()
        async with calling(house.place) as peer:
            await peer.negotiate()
            await peer.sign_up(user)
            ours = peer.binding
            assert len(ours) == 64
            binding = bytes(32) + ours[32:] if part == "certificate" else ours[:32] + bytes(32)
            login = scram.ClientLogin(user, os.urandom(18))
            challenge = await peer.ask(AuthStart(mechanism=MECHANISM, user=user, data=login.first))
            assert isinstance(challenge, AuthChallenge)
            salted = scram.salted(WORD, *login.parameters(challenge.data))
            peer.say(AuthResponse(data=login.final(challenge.data, salted, binding)))
            assert await peer.fatal() == Code.DOWNGRADE

    house.run(scenario())


@pytest.mark.parametrize("allowed", [True, False])
def test_a_client_that_cannot_see_the_certificate(allowed: bool) -> None:
    """[4.3-2]: it may leave that part out where the policy says so; the transcript is never left out."""

    async def scenario() -> None:
        async with simulated(blind_clients=allowed) as place:
            for binding_of, good in ((lambda peer: peer.transcript, allowed), (lambda peer: b"", False)):
                user = somebody()
                async with calling(place) as peer:
                    await peer.negotiate()
                    await peer.sign_up(user)
                    answer = await peer.prove(user, binding=binding_of(peer)) if good else None
                    if good:
                        assert isinstance(answer, AuthOk)
                        continue
                    await prove_without_answer(peer, user, binding_of(peer))
                    assert await peer.fatal() == Code.DOWNGRADE

    play(scenario())


async def prove_without_answer(peer: Peer, user: str, binding: bytes) -> None:
    """As `Peer.prove`, where the connection is going to end."""
    login = scram.ClientLogin(user, os.urandom(18))
    challenge = await peer.ask(AuthStart(mechanism=MECHANISM, user=user, data=login.first))
    assert isinstance(challenge, AuthChallenge)
    salted = scram.salted(WORD, *login.parameters(challenge.data))
    peer.say(AuthResponse(data=login.final(challenge.data, salted, binding)))


def test_the_same_device_takes_over(house: House) -> None:
    """A9, R3.12, [4.2-8]: its older session ends with SESSION_REPLACED; another device is another session."""

    async def scenario() -> None:
        async with (
            entered(house.place) as first,
            entered(house.place, user=first.user) as other,
            entered(house.place, user=first.user, device=first.device) as again,
        ):
            assert await first.fatal() == Code.SESSION_REPLACED
            await again.barrier()
            await other.barrier()

    house.run(scenario())


def test_a_server_may_allow_one_session() -> None:
    """A9, R3.12, [4.2-8]: another device is refused while the first session lives, the same one is not."""

    async def scenario() -> None:
        async with simulated(sessions="single") as place, entered(place) as first, calling(place) as other:
            await other.negotiate()
            answer = await other.prove(first.user)
            assert isinstance(answer, Error)
            assert answer.code == Code.ALREADY_LOGGED_IN
            await first.barrier()
            async with entered(place, user=first.user, device=first.device) as again:
                assert await first.fatal() == Code.SESSION_REPLACED
                again.raw(b"", fin=True)
                await again.end()
            assert isinstance(await other.prove(first.user), AuthOk)

    play(scenario())


def test_nobody_speaks_for_another(house: House) -> None:
    """Z3, [4.2-10], [6.3-2]: there is no field for it, and the event names the session's user."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            await alice.ask(Post(user=bob.user, cid=os.urandom(16), text="hello"))
            assert (await bob.hear(Message)).sender == alice.user
            for key in Message.SPEC.by_key.keys() - Post.SPEC.by_key.keys():
                body = {1: "general", 3: os.urandom(16), 5: "x", key: bob.user}
                async with entered(house.place) as liar:
                    liar.raw(frame.wrap(cbor2.dumps({0: 2, 1: 0x30, 2: 1, 5: body})))
                    assert await liar.fatal() == Code.SCHEMA

    house.run(scenario())


def test_an_account_is_in_the_standing_rooms(house: House) -> None:
    """Issue 1, item 7: `general` and `*` from the start, and the JOIN is told to those who are there."""

    async def scenario() -> None:
        async with entered(house.place) as alice, calling(house.place) as peer:
            await peer.negotiate()
            user = somebody()
            await peer.sign_up(user)
            told = await alice.hear(Message, lambda message: message.sender == user)
            assert told.room == "general"

    house.run(scenario())
