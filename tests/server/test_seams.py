"""The seams of a session: what of one part of the server could be lost, kept or held up by another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.protocol import scram
from quicchat.protocol.events import Established
from quicchat.server import journal, requests
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.effects import Admit, Close, Deliver, Hold, InRooms, Lagging, OfUsers, Reply, Then, Tidings
from quicchat.server.feed import BUDGET
from quicchat.server.journal import Journal
from quicchat.server.model import Actor, Credentials, Page, SessionId
from quicchat.server.router import TURN, Router
from quicchat.server.services.history import HistoryService
from quicchat.wire.chapters.accounts import MECHANISM, AuthOk, AuthResponse, AuthStart, Verdict
from quicchat.wire.chapters.messages import Kind, Message, Post, ReceiptEvent
from quicchat.wire.chapters.rooms import Invite, Join, RoomHead
from quicchat.wire.chapters.session import Bye, Ok, VersionRequest
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User, direct
from tests.server.desk import Desk, at_desk, found
from tests.server.floor import ALICE, BOB, R1, RESUME, floor, idle, message, resumes, tell
from tests.server.stores import CAROL, HALL, make, say, sign_up
from tests.server.test_router import Ear
from tests.transport.driving import play

# What is held in memory


def test_unknown_keys_count_too() -> None:
    """[8.1-1] P7: what a client adds to a message is held like the rest of it, by requests and by the journal."""
    said = Post(
        room=GENERAL, cid=bytes(16), text="x" * 100, extra={33: "y" * 10_000, 35: [b"z" * 10_000, {1: "z" * 10_000}]}
    )
    assert 30_000 < requests.size(said) < 35_000
    many = Post(room=GENERAL, cid=bytes(16), text="x", extra={33: [[]] * 60_000})
    assert requests.size(many) > 60_000 * 56
    kept = Journal(size=100_000)
    for seq in range(1, 11):
        event = Message(
            room=GENERAL, seq=seq, cid=bytes(16), sender=BOB, kind=Kind.TEXT, ts=1, text="x", extra={33: b"y" * 20_000}
        )
        kept.add(Deliver(event, InRooms(frozenset({GENERAL}))))
    assert kept.since(0) is None
    held = kept.since(kept.mark() - 4)
    assert held is not None
    assert [each.pdu.seq for each in held if isinstance(each.pdu, Message)] == [7, 8, 9, 10]
    assert kept.since(kept.mark() - 5) is None


def test_hints_do_not_push_the_truth_out_of_the_journal() -> None:
    """[3.8-4]: however many receipts are told of meanwhile, a login finds the JOIN that it overtook."""
    kept = Journal()
    mark = kept.mark()
    kept.add(Deliver(message(1, kind=Kind.JOIN), InRooms(frozenset({GENERAL}))))
    kept.add(Deliver(Invite(room=R1, user=BOB), OfUsers(frozenset({ALICE}))))
    for seq in range(journal.ENTRIES):
        kept.add(Deliver(ReceiptEvent(room=GENERAL, user=BOB, delivered=seq), OfUsers(frozenset({ALICE}))))
    assert [type(each.pdu) for each in kept.since(mark) or ()] == [Message, Invite]


def test_an_attempt_ends_with_its_connection() -> None:
    """P7: who leaves while the store is asked for his keys leaves nothing behind."""

    async def scenario(desk: Desk) -> None:
        gate, credentials = asyncio.Event(), desk.store.accounts.credentials

        async def slow(user: User) -> Credentials | None:
            await gate.wait()
            return await credentials(user)

        desk.store.accounts.credentials = slow  # type: ignore[method-assign]
        caller = desk.call()
        start = AuthStart(mechanism=MECHANISM, user=ALICE, data=scram.ClientLogin(ALICE, bytes(18)).first)
        starting = asyncio.ensure_future(desk.ask(caller, start))
        await idle()
        await desk.leave(caller)
        gate.set()
        await starting
        respond = desk.dispatch.request(AuthResponse)
        assert respond is not None
        assert respond.__self__._attempts == {}  # type: ignore[attr-defined]

    at_desk(scenario)


# What must reach somebody


@pytest.mark.parametrize("why", ["held", "slow", "behind"])
def test_who_is_put_out_is_told_even_when_he_wants_or_can_take_no_more(why: str) -> None:
    """[5.3-2] [5.9-2]: his LEAVE is no event that he could fetch later: it is sent to him as the last of the room."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await here.enter()
            tell(here, message(1, R1, sender=ALICE, kind=Kind.JOIN))
            tell(here, message(1))
            if why == "held":
                here.script.answers[Join] = lambda *_: [Hold(on=True)]
                alice.hear(Join(room="x"), id=1)
                await idle()
            else:
                await idle()
                alice.link.unread = BUDGET + 1
            if why == "behind":
                tell(here, message(2, R1))
            tell(here, message(2))
            alice.link.done.clear()
            tell(here, message(3, R1, sender=ALICE, kind=Kind.LEAVE))
            tell(here, message(4, R1))
            await idle()
            assert alice.said(Message) == [message(3, R1, sender=ALICE, kind=Kind.LEAVE)]
            alice.link.unread = 0
            here.script.answers[Join] = lambda *_: [Hold(on=False)]
            alice.hear(Join(room="x"), id=2)
            await idle(1.0)
            assert here.script.got(Lagging) == [Lagging({GENERAL: 1})]

    play(scenario)


def test_what_is_missed_before_the_admission_is_told_after_it() -> None:
    """[3.8-1]: between RESUMED and the admission nobody is behind whom the store would answer."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            alice = here.arrive(early=True)
            alice.link.unread = BUDGET + 1
            alice.hear(RESUME)
            await idle(0.2)
            alice.link.unread = 0
            await idle(0.2)
            assert here.script.got(Lagging) == []
            alice.link.on_events([Established()])
            await idle(0.2)
            assert here.script.got(Lagging) == [Lagging({GENERAL: 6})]
            assert RoomHead(room=GENERAL, epoch=1, head=8) in alice.said()

    play(scenario)


def test_a_room_lost_between_answer_and_admission_is_not_kept() -> None:
    """Z1, [4.3-12]: he may not read the LEAVE that took it; he comes back with his new token and is told GONE."""

    async def scenario(desk: Desk) -> None:
        await make(desk.store, HALL, BOB)
        await desk.store.rooms.join(HALL, ALICE, cid=bytes(16), at=1)
        alice = await desk.enter()
        caller = desk.call()
        resumed, _, event = await desk.resume(caller, alice.token)
        assert HALL in event.heads
        await desk.store.rooms.kick(HALL, ALICE, BOB, ban=True, cid=bytes(15) + b"1", at=1)
        effects = await desk.happen(caller, event)
        assert [each.code for each in found(effects, Close)] == [Code.OVERLOADED]
        assert found(effects, Admit) == []
        assert caller.actor.session not in {each.session for each in desk.roster.claims(ALICE)}
        again = desk.call()
        answered, _, event = await desk.resume(again, resumed.token, have=((HALL, 1, 2),))
        assert (HALL, 1, 0, 0, Verdict.GONE) in answered.rooms
        assert found(await desk.happen(again, event), Admit) != []

    at_desk(scenario)


# What must not hold up the rest


def test_tidings_that_wait_hold_nothing_up() -> None:
    """[8.1-1]: what is to be told of a room later is no request of the client, and does not keep him from leaving."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await here.enter()
            gate = here.script.hold(Tidings)
            here.script.answers[Join] = lambda actor, _: [Then(actor, Tidings(R1))]
            pipeline = alice.session._connection.limits.pipeline
            for number in range(pipeline + 1):
                alice.hear(Join(room="x"), id=number)
            await idle()
            assert len(alice.said(Ok)) == pipeline + 1
            alice.hear(Bye())
            await idle()
            assert alice.session._connection.closing is not None
            gate.set()

    play(scenario)


def test_one_lost_room_does_not_end_the_catch_up_of_version_1() -> None:
    """[6.6-1]: what he may not read any more keeps nothing of the others from him; each room is for itself."""

    async def scenario() -> None:
        async with floor() as here:
            here.script.answers[AuthResponse] = lambda actor, _: [
                Admit(ALICE, {GENERAL: 3, R1: 5}, {}),
                Reply(AuthOk(user=ALICE, session=actor.session, proof=b"proof")),
            ]
            await here.enter(request=VersionRequest(versions=(1,), device=bytes(16)))
            assert here.script.got(Lagging) == [Lagging({GENERAL: 3}), Lagging({R1: 5})]

    play(scenario)


def test_version_1_is_not_read_what_it_is_never_told() -> None:
    """[6.6-3]: rooms of version 2 are passed over, and not read to the end at each of his logins."""

    async def scenario() -> None:
        store = MemoryStore()
        await sign_up(store, ALICE)
        await make(store, HALL, ALICE)
        await say(store, HALL, ALICE)
        read = []
        page = store.log.page

        async def noted(room: Room, user: User, **facts: Any) -> Page:
            read.append((room, facts["limit"]))
            return await page(room, user, **facts)

        store.log.page = noted  # type: ignore[method-assign]
        service = HistoryService(store.log)
        old = Actor(session=SessionId(1), address="here:1", version=1, device=Device(b""), binding=b"", user=ALICE)
        effects = await service.catch_up(old, Lagging({HALL: 0, GENERAL: 0}))
        assert [type(each) for each in effects] == [Reply]
        assert read == [(GENERAL, 100)]
        effects = await service.catch_up(replace(old, version=2), Lagging({HALL: 0}))
        assert effects == [Reply(RoomHead(room=HALL, epoch=1, head=2))]
        assert read[1:] == [(HALL, 1)]

    play(scenario)


def test_who_is_admitted_late_hears_what_his_other_session_heard() -> None:
    """[3.8-4]: rooms, announcements, direct messages and what is for users: by the same rules."""
    router = Router()
    twin, late = Ear(1), Ear(2)
    for ear in (twin, late):
        router.add(ear)
    mark = router.mark()
    assert router.admit(twin, ALICE, [R1])
    rooms = [R1, HALL, ANNOUNCEMENTS, direct(ALICE, BOB), direct(BOB, CAROL)]
    for room in rooms:
        router.deliver(Deliver(message(1, room), InRooms(frozenset({room}))))
    router.deliver(Deliver(message(2, R1), InRooms(frozenset({R1, HALL}))))
    for user in (ALICE, BOB):
        router.deliver(Deliver(Invite(room=HALL, user=user), OfUsers(frozenset({user, CAROL}))))
    assert router.admit(late, ALICE, [R1], since=mark)
    assert late.heard == twin.heard
    assert len(late.heard) == 5


def test_a_burst_in_a_large_room_is_spread_over_loop_turns() -> None:
    """P7, [6.2-2]: 64 messages for 500 hold the loop for no more than one turn's share, and stay in their order."""

    async def scenario() -> None:
        router = Router(asyncio.get_running_loop().call_soon)
        ears = [Ear(number) for number in range(500)]
        for ear in ears:
            router.add(ear)
            assert router.admit(ear, User(f"u{ear.id}"), [R1])
        told = [message(seq, R1) for seq in range(1, 65)]
        for each in told:
            router.deliver(Deliver(each, InRooms(frozenset({R1}))))
        progress = [len(ears[0].heard)]
        while progress[-1] < len(told):
            await asyncio.sleep(0)
            progress.append(len(ears[0].heard))
        share = TURN // len(ears) + 1
        assert max(after - before for before, after in pairwise([0, *progress])) <= share
        assert all(ear.heard == told for ear in ears)
        await asyncio.sleep(0)
        router.deliver(Deliver(message(65, R1), InRooms(frozenset({R1}))))
        assert len(ears[0].heard) == 65

    play(scenario)
