"""Coming back by token, from the outside: over the wire, in the first flight and later."""

from __future__ import annotations

import asyncio
import hmac
import os

from quicchat.errors import Code
from quicchat.wire import codec, frame
from quicchat.wire.chapters.accounts import AuthOk, Resume, Resumed, Verdict
from quicchat.wire.chapters.messages import Message, Post, Posted, Recipient
from quicchat.wire.chapters.presence import PresenceSet, PresenceSnapshot, Show
from quicchat.wire.chapters.rooms import Create, Join, Leave, RoomHead
from quicchat.wire.chapters.session import Error, Ok, VersionRequest, VersionResponse
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import Peer, calling, entered


def resume(token: bytes | None, **fields: object) -> Resume:
    assert token is not None
    return Resume(**{"token": token, "have": (), "outstanding": (), **fields})  # type: ignore[arg-type]


async def resumed(peer: Peer, token: bytes | None, **fields: object) -> Resumed:
    """Negotiate and come back; the proof is checked, and the snapshot waited for."""
    await peer.negotiate()
    answer = await peer.ask(resume(token, **fields))
    assert isinstance(answer, Resumed), answer
    assert token is not None
    assert answer.proof == hmac.digest(token, peer.transcript, "sha256")
    await peer.hear(PresenceSnapshot)
    return answer


def texts(peer: Peer, room: str) -> list[str | None]:
    return [message.text for message in peer.all(Message) if message.room == room]


async def say(peer: Peer, room: str, *said: str) -> list[Posted]:
    answers = [await peer.ask(Post(room=room, cid=os.urandom(16), text=text)) for text in said]
    assert all(isinstance(answer, Posted) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, Posted)]


def test_what_was_missed_stands_before_the_snapshot(house: House) -> None:
    """[4.3-10], [7.3-1]: a client that has the snapshot knows what it has to fetch."""

    async def scenario() -> None:
        room, user, device = somebody(), somebody(), os.urandom(16)
        async with entered(house.place) as other:
            async with calling(house.place, device=device) as first:
                token = (await first.enter(user)).token
                await first.ask(Create(room=room))
                await other.ask(Join(room=room))
            await say(other, room, "one", "two")
            async with calling(house.place, device=device) as again:
                await again.negotiate()
                await again.ask(resume(token, have=((room, 1, 2),)))
                await again.barrier()
                told = [each.pdu for each in again.heard if isinstance(each.pdu, Message | PresenceSnapshot)]
                assert isinstance(told[-1], PresenceSnapshot)
                assert texts(again, room) == ["one", "two"]

    house.run(scenario())


def test_a_session_goes_on_where_it_was(house: House) -> None:
    """R4.17, P4, [4.3-3], [4.3-4], [4.3-5], [4.3-6], [4.3-9], [4.3-10]: what was missed comes, and no more."""

    async def scenario() -> None:
        room, user, device = somebody(), somebody(), os.urandom(16)
        async with entered(house.place) as other:
            async with calling(house.place, device=device) as first:
                token = (await first.enter(user)).token
                await first.ask(Create(room=room))
                await other.ask(Join(room=room))
                stored = await say(first, room, "one")
            await say(other, room, "two", "three")
            unknown = os.urandom(16)
            async with calling(house.place, device=device) as again:
                answer = await resumed(again, token, have=((room, 1, 3),), outstanding=(unknown, stored[0].cid))
                assert answer.user == user
                assert answer.known == ((stored[0].cid, stored[0].seq),)
                assert (room, 1, 5, 3, Verdict.OK) in answer.rooms
                assert texts(again, room) == ["two", "three"]
                await say(other, room, "four")
                await again.hear(Message, lambda message: message.text == "four")
                await say(again, room, "five")
            async with calling(house.place, device=device) as third:
                await third.negotiate()
                refused = await third.ask(resume(token))
                assert isinstance(refused, Error)
                assert refused.code == Code.TOKEN_EXPIRED
                assert isinstance(await third.ask(resume(answer.token)), Resumed)

    house.run(scenario())


def test_resume_fits_the_first_flight(house: House) -> None:
    """Q13, [4.3-4]: right behind VERSION_REQUEST, without waiting; a refusal leads to the login as usual."""

    async def scenario() -> None:
        user, device = somebody(), os.urandom(16)
        async with calling(house.place, device=device) as first:
            token = (await first.enter(user)).token
        for good in (True, False):
            async with calling(house.place, device=device) as again:
                again.say(VersionRequest(versions=(2, 1), device=device), version=1)
                again.raw(frame.wrap(codec.encode(resume(token), version=2, id=7)))
                response = await again.hear(VersionResponse)
                again.version = response.version
                answer = await again.until(
                    lambda peer=again: next((each for each in peer.heard if each.envelope.re == 7), None)  # type: ignore[misc]
                )
                if good:
                    assert isinstance(answer.pdu, Resumed)
                    await again.hear(PresenceSnapshot)
                    await say(again, "general", "back")
                else:
                    assert isinstance(answer.pdu, Error)
                    assert answer.pdu.code == Code.TOKEN_EXPIRED
                    assert isinstance(await again.prove(user), AuthOk)

    house.run(scenario())


def test_the_device_that_comes_back_replaces_its_older_session(house: House) -> None:
    """A9, [4.2-8], [4.3-4]: as a login does; other devices are not touched."""

    async def scenario() -> None:
        user, device = somebody(), os.urandom(16)
        async with calling(house.place, device=device) as first:
            token = (await first.enter(user)).token
            async with entered(house.place, user=user) as other, calling(house.place, device=device) as again:
                await resumed(again, token)
                assert await first.fatal() == Code.SESSION_REPLACED
                await other.barrier()
                await again.barrier()

    house.run(scenario())


def test_of_two_who_resume_at_once_one_is_let_in(house: House) -> None:
    """Q13, [4.3-3], [4.3-4]: whatever both were answered, the token was good once."""

    async def scenario() -> None:
        user, device = somebody(), os.urandom(16)
        async with calling(house.place, device=device) as first:
            token = (await first.enter(user)).token
        async with calling(house.place, device=device) as one, calling(house.place, device=device) as other:
            await asyncio.gather(one.negotiate(), other.negotiate())
            for peer in (one, other):
                peer.say(resume(token), id=9)
            winner, loser = one, other
            await winner.until(lambda: one.all(PresenceSnapshot) or other.all(PresenceSnapshot) or None)
            if other.all(PresenceSnapshot):
                winner, loser = other, one
            await winner.barrier()
            error = await loser.hear(Error)
            assert error.code == Code.TOKEN_EXPIRED
            assert loser.all(PresenceSnapshot) == []

    house.run(scenario())


def test_a_long_gap_is_left_to_be_fetched(house: House) -> None:
    """D9, P7, [4.3-10]: RESUMED tells where the room stands, and nothing of it is sent unasked."""

    async def scenario() -> None:
        room, user, device = somebody(), somebody(), os.urandom(16)
        async with entered(house.place) as other:
            async with calling(house.place, device=device) as first:
                token = (await first.enter(user)).token
                await first.ask(Create(room=room))
                await other.ask(Join(room=room))
            await say(other, room, *("x" * 12_000 for _ in range(3)))
            async with calling(house.place, device=device) as again:
                answer = await resumed(again, token, have=((room, 1, 2),))
                assert (room, 1, 5, 2, Verdict.OK) in answer.rooms
                await again.barrier()
                assert texts(again, room) == []
                await say(other, room, "next")
                await again.hear(Message, lambda message: message.text == "next")

    house.run(scenario())


def test_what_is_not_the_users_is_gone(house: House) -> None:
    """Z1, Z2, [4.3-7], [4.3-8]: a room of others, a room he left and one that never was; another epoch is reset."""

    async def scenario() -> None:
        theirs, left, user, device = somebody(), somebody(), somebody(), os.urandom(16)
        async with entered(house.place) as other:
            await other.ask(Create(room=theirs))
            async with calling(house.place, device=device) as first:
                token = (await first.enter(user)).token
                await first.ask(Create(room=left))
                assert await first.ask(Leave(room=left)) == Ok()
            async with calling(house.place, device=device) as again:
                have = tuple((room, 4, 1) for room in (theirs, left, somebody(), "general"))
                rows = {row[0]: row[1:] for row in (await resumed(again, token, have=have)).rooms}
                assert [rows[room] for room, _, _ in have[:3]] == [(4, 0, 0, Verdict.GONE)] * 3
                epoch, head, place, verdict = rows["general"]
                assert (epoch, verdict) == (1, Verdict.RESET)
                assert place < head

    house.run(scenario())


def test_an_older_server_takes_no_early_resume() -> None:
    """S8: whoever guesses version 2 and is wrong is sent away, and comes again in the usual order."""

    async def scenario() -> None:
        async with simulated(versions=(1,)) as place:
            async with calling(place) as peer:
                peer.say(VersionRequest(versions=(2, 1), device=peer.device), version=1)
                peer.raw(frame.wrap(codec.encode(resume(os.urandom(32)), version=2, id=7)))
                assert await peer.fatal() == Code.VERSION
            async with calling(place) as peer:
                assert (await peer.enter(somebody(), 2, 1)).token is None

    play(scenario())


def test_a_held_session_is_left_in_peace(house: House) -> None:
    """R4.9, R4.10, R4.11, [7.1-2]: no message while it is held, then where the logs stand; the senders know."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            assert await bob.ask(PresenceSet(show=Show.OFFLINE, hold=True)) == Ok()
            answer = await alice.ask(Post(user=bob.user, cid=os.urandom(16), text="psst"))
            assert isinstance(answer, Posted)
            assert answer.recipient is Recipient.OFFLINE
            await bob.barrier()
            assert texts(bob, answer.room) == []
            assert await bob.ask(PresenceSet(show=Show.ONLINE, hold=False)) == Ok()
            room, seq = answer.room, answer.seq
            assert (await bob.hear(RoomHead, lambda head: head.room == room)).head == seq
            answer = await alice.ask(Post(user=bob.user, cid=os.urandom(16), text="there?"))
            assert isinstance(answer, Posted)
            assert answer.recipient is Recipient.ONLINE
            await bob.hear(Message, lambda message: message.text == "there?")

    house.run(scenario())
