"""The outlet: what a session is sent beside its answers, in which way, and when not."""

from __future__ import annotations

import asyncio

from quicchat.errors import Code, Refused
from quicchat.protocol.events import Closed, Datagram, Established
from quicchat.server.effects import (
    Admit,
    Deliver,
    Hold,
    InRooms,
    Lagging,
    Reply,
    Tell,
)
from quicchat.server.feed import BUDGET
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import AuthOk, AuthResponse
from quicchat.wire.chapters.messages import History, HistoryPage, Kind, Message, Post, Posted, PostMany, Window
from quicchat.wire.chapters.presence import Typing
from quicchat.wire.chapters.rooms import Join
from quicchat.wire.chapters.session import Bye, Error, Ok, Ping, Pong, Purpose, StreamOpen
from quicchat.wire.digest import digest
from quicchat.wire.names import GENERAL, User, direct
from tests.server.floor import (
    ALICE,
    BOB,
    R1,
    RESUME,
    Guest,
    floor,
    idle,
    message,
    post,
    resumes,
    tell,
)
from tests.transport.driving import play

# What is told beside the answers


def test_what_is_told_answers_nothing() -> None:
    """[3.3-2]: Tell goes to the session that asked, without the id of its request; the answer is still due."""

    async def scenario() -> None:
        async with floor() as here:
            here.script.answers[Join] = lambda *_: [Tell(message(3, R1))]
            alice, other = await here.enter(), await here.enter()
            alice.hear(Join(room="r1"), id=5)
            await idle()
            assert alice.answers() == [(message(3, R1), None), (Ok(), 5)]
            assert other.said() == []
            alice.link.unread = BUDGET + 1
            alice.hear(Join(room="r1"), id=6)
            await idle()
            assert alice.said(Message) == [message(3, R1)]
            alice.link.unread = 0
            await idle(1.0)
            assert here.script.got(Lagging) == [Lagging({R1: 2})]

    play(scenario)


def test_a_session_on_hold_is_told_afterwards_what_it_missed() -> None:
    """R4.9 [8.4-1]: no events while it holds, however long; then the places, room by room, and pushes again."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await here.enter()
            here.script.answers[Join] = lambda *_: [Hold(on=True)]
            alice.hear(Join(room="x"), id=1)
            await idle()
            assert alice.said() == [Ok()]
            for seq in (1, 2, 3):
                tell(here, message(seq))
            tell(here, message(1, direct(ALICE, BOB)))
            alice.hear(Ping(nonce=5))
            await idle(20.0)
            assert alice.said(Message) == here.script.got(Lagging) == []
            assert [each.digest for each in alice.said(Pong)] == [None]  # type: ignore[attr-defined]
            here.script.answers[Join] = lambda *_: [Hold(on=False)]
            alice.hear(Join(room="x"), id=2)
            await idle()
            assert here.script.got(Lagging) == [Lagging({GENERAL: 0}), Lagging({direct(ALICE, BOB): 0})]
            tell(here, message(4))
            await idle()
            assert alice.said(Message) == [message(4)]

    play(scenario)


def test_what_happens_by_itself_is_not_refused_to_anybody() -> None:
    """[3.3-2]: a catch-up of a room that was left meanwhile is no request of the client's."""

    async def scenario() -> None:
        async with floor() as here:
            here.script.answers[Lagging] = Refused(Code.NO_SUCH_ROOM)
            alice = await here.enter()
            alice.link.unread = BUDGET + 1
            tell(here, message(1))
            alice.link.unread = 0
            await idle(1.0)
            assert here.script.got(Lagging) == [Lagging({GENERAL: 0})]
            assert alice.said() == []

    play(scenario)


def test_acknowledgements_come_where_the_messages_came() -> None:
    """[3.7-7]: those of MSG_SEND_MANY are told beside its answer, and on its stream as well."""

    async def scenario() -> None:
        async with floor() as here:
            ack = Posted(cid=bytes(16), room=GENERAL, seq=1, ts=1)
            here.script.answers[PostMany] = lambda *_: [Tell(ack), Tell(Error.about(Code.NOT_MEMBER)), Tell(message(9))]
            alice = await here.enter()
            opening = StreamOpen(kind=Purpose.ROOM, room=GENERAL)
            alice.hear(opening, PostMany(posts=(b"x",)), sid=4, id=3)
            await idle()
            assert [type(each) for each in alice.said(sid=4)] == [Posted, Error, Ok]
            assert alice.said(sid=0) == [message(9)]
            assert [re for _, re in alice.answers()].count(3) == 1

    play(scenario)


# The digest


def test_a_pong_tells_the_digest_of_what_is_heard() -> None:
    """[3.2-5]: rooms, direct messages and announcements, as far as they have come; another head, another digest."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await here.enter()

            async def asked(id: int) -> bytes | None:
                alice.link.done.clear()
                before = asyncio.get_running_loop().time()
                alice.hear(Ping(nonce=id), id=id)
                await idle()
                ((pong, re),) = [each for each in alice.answers() if isinstance(each[0], Pong)]
                assert isinstance(pong, Pong)
                assert (pong.nonce, re, pong.time) == (id, id, 1_800_000_000_000 + int(before * 1000))
                return pong.digest

            assert await asked(1) == digest([])
            tell(here, message(3))
            tell(here, message(2, direct(ALICE, BOB)))
            tell(here, message(8, R1))
            assert await asked(2) == digest([(GENERAL, 1, 3), (direct(ALICE, BOB), 1, 2)])
            tell(here, message(1, R1, sender=ALICE, kind=Kind.JOIN))
            tell(here, message(3))
            assert await asked(3) == digest([(R1, 1, 1), (GENERAL, 1, 3), (direct(ALICE, BOB), 1, 2)])
            tell(here, message(2, R1, sender=ALICE, kind=Kind.LEAVE))
            assert await asked(4) == digest([(GENERAL, 1, 3), (direct(ALICE, BOB), 1, 2)])

    play(scenario)


def test_where_a_head_is_not_known_there_is_no_digest() -> None:
    """[3.2-5]: a wrong digest would have clients look for what is not missing; an old client gets none at all."""

    async def scenario() -> None:
        async with floor() as here:
            here.script.answers[AuthResponse] = lambda actor, _: [
                Admit(ALICE, {GENERAL: 0}),
                Reply(AuthOk(user=ALICE, session=actor.session, proof=b"")),
            ]
            alice = await here.enter()
            for nonce in (1, 2):
                alice.hear(Ping(nonce=nonce))
                tell(here, message(5))
                await idle()
            assert [each.digest for each in alice.said(Pong)] == [None, digest([(GENERAL, 1, 5)])]  # type: ignore[attr-defined]

    play(scenario)


# Leaving


def test_who_leaves_is_answered_first() -> None:
    """[3.5-2]: what came before BYE is served, though it waits for others; then the close."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await here.enter()
            gate = here.script.hold(Post)
            for number in range(300):
                alice.hear(post(number), id=number)
            alice.hear(Bye())
            await idle(1.0)
            assert not any(isinstance(each, Closed) for each in alice.link.done)
            gate.set()
            await idle(1.0)
            assert len(alice.said(Ok)) == 300
            assert isinstance(alice.link.done[-1], Closed)

    play(scenario)


def test_an_answer_that_is_too_long_is_refused() -> None:
    """[3.3-7]: a mistake of ours that can be told to the one who asked costs him no more than the answer."""

    async def scenario() -> None:
        async with floor() as here:
            page = HistoryPage(room=GENERAL, epoch=1, first=1, head=2, events=(bytes(40_000), bytes(40_000)))
            here.script.answers[History] = lambda *_: [Reply(page)]
            alice = await here.enter()
            alice.hear(History(room=GENERAL, window=Window.LATEST), id=3)
            await idle()
            assert alice.refusals() == [(Code.LIMIT, 3)]
            alice.hear(Ping(nonce=1))
            await idle()
            assert len(alice.said(Pong)) == 1

    play(scenario)


# Datagrams


def typing(counter: int, user: User | None = None) -> Typing:
    return Typing(room=GENERAL, user=user, counter=counter, ttl=1_000)


def hint(guest: Guest, counter: int) -> None:
    guest.link.on_events([Datagram(codec.encode(typing(counter), version=2, id=counter))])


def test_datagrams_go_to_handlers_and_come_from_them() -> None:
    """[3.9-1] [3.9-2]: one that came is a request that nobody answers; one that is delivered travels as one."""

    async def scenario() -> None:
        async with floor() as here:
            alice, bob = await here.enter(), await here.enter()
            here.script.answers[Typing] = lambda actor, pdu: [
                Deliver(typing(pdu.counter, BOB), InRooms(frozenset({GENERAL})), but=actor.session)  # type: ignore[attr-defined]
            ]
            hint(alice, 1)
            await idle()
            assert here.script.got(Typing) == [typing(1)]
            assert (alice.said(), alice.hints()) == ([], [])
            assert (bob.said(), bob.hints()) == ([], [typing(1, BOB)])
            here.script.answers[Typing] = Refused(Code.NOT_MEMBER)
            hint(alice, 2)
            await idle()
            assert len(here.script.got(Typing)) == 2
            assert (alice.said(), alice.hints()) == ([], [])

    play(scenario)


def test_datagrams_before_the_login_come_to_nothing() -> None:
    """[3.9-3] Q17: nobody is here yet for whom they could count."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            alice = here.arrive(early=True)
            hint(alice, 1)
            alice.hear(RESUME, id=1)
            await idle()
            hint(alice, 2)
            alice.link.on_events([Established()])
            await idle()
            assert here.script.got(Typing) == []
            assert alice.session._connection.conduct.dropped == 1
            hint(alice, 3)
            await idle()
            assert here.script.got(Typing) == [typing(3)]

    play(scenario)


def test_a_slow_client_is_sent_no_datagrams() -> None:
    """Q6 Q7 [3.9-2]: beyond a quarter of the byte budget they are dropped, while events still go."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await here.enter()
            alice.link.unread = BUDGET // 4 + 1
            here.router.deliver(Deliver(typing(1, BOB), InRooms(frozenset({GENERAL}))))
            tell(here, message(1))
            await idle()
            assert alice.hints() == []
            assert alice.said(Message) == [message(1)]

    play(scenario)
