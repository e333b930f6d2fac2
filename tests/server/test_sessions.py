"""The session: what waits for the handshake and the login, and that nothing is missed meanwhile."""

from __future__ import annotations

import pytest

from quicchat.errors import Code, Refused
from quicchat.protocol.events import Closed, Established
from quicchat.server.effects import (
    Admit,
    Arrived,
    Close,
    Deliver,
    OfUsers,
    Reply,
    Resumption,
)
from quicchat.server.journal import ENTRIES
from quicchat.wire.chapters.accounts import AuthOk, AuthResponse, AuthStart, Resume, Signup
from quicchat.wire.chapters.messages import History, Kind, Message, Post, Window
from quicchat.wire.chapters.rooms import Invite, RoomHead
from quicchat.wire.names import GENERAL, Room, direct
from tests.protocol.line import RESPONSE, START
from tests.server.floor import (
    ALICE,
    BOB,
    R1,
    R2,
    RESUME,
    RESUMED,
    SETTLED,
    SIGN_UP,
    floor,
    idle,
    message,
    post,
    resumes,
    tell,
)
from tests.transport.driving import play

# Before the handshake is complete


def test_a_resumption_is_answered_at_once_and_settled_after_the_handshake() -> None:
    """[3.8-1] [3.8-2]: early RESUME is only read; the token is used up after the handshake, and the rest begun."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            alice = here.arrive(early=True)
            alice.hear(RESUME, id=1)
            await idle()
            assert alice.answers()[-2:] == [(RESUMED, 1), (message(7), None)]
            alice.hear(post(1), History(room=GENERAL, window=Window.LATEST), id=2)
            await idle(1.0)
            assert here.script.asked == [RESUME]
            gate = here.script.hold(Resumption)
            alice.link.on_events([Established()])
            await idle(1.0)
            assert here.script.asked == [RESUME, SETTLED]
            gate.set()
            await idle()
            assert here.script.asked[2:] == [Arrived(), post(1), History(room=GENERAL, window=Window.LATEST)]
            assert alice.said(RoomHead) == [RoomHead(room=GENERAL, epoch=1, head=8)]
            tell(here, message(9))
            await idle()
            assert alice.said(Message) == [message(7), message(9)]

    play(scenario)


def test_a_room_entered_between_the_answer_and_the_handshake_is_heard_from_its_beginning() -> None:
    """P4, [3.8-2]: what is delivered after RESUME was read is told with the admission, the JOIN of a room included."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            alice = here.arrive(early=True)
            alice.hear(RESUME, id=1)
            await idle()
            entered = message(1, R2, sender=ALICE, kind=Kind.JOIN)
            tell(here, entered)
            tell(here, message(2, R2))
            alice.link.on_events([Established()])
            await idle()
            tell(here, message(3, R2))
            await idle()
            assert [each for each in alice.said(Message) if each.room == R2] == [  # type: ignore[attr-defined]
                entered,
                message(2, R2),
                message(3, R2),
            ]

    play(scenario)


def test_a_room_left_between_the_answer_and_the_handshake_is_said_farewell() -> None:
    """P4, [3.8-2]: the last word of a room that RESUMED still named is told, and nothing after it."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            alice = here.arrive(early=True)
            alice.hear(RESUME, id=1)
            await idle()
            left = message(5, R2, sender=ALICE, kind=Kind.LEAVE)
            tell(here, left)
            tell(here, message(6, R2))
            alice.link.on_events([Established()])
            await idle()
            tell(here, message(7, R2))
            await idle()
            assert [each for each in alice.said(Message) if each.room == R2] == [left]  # type: ignore[attr-defined]

    play(scenario)


def test_a_resumption_after_the_handshake_is_settled_at_once() -> None:
    """[3.8-2]: without early data nothing waits for anything but the store."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            gate = here.script.hold(Resumption)
            alice = here.arrive()
            alice.hear(RESUME, id=1)
            await idle()
            alice.hear(post(1), id=2)
            await idle()
            assert here.script.asked == [RESUME, SETTLED]
            gate.set()
            await idle()
            assert here.script.asked == [RESUME, SETTLED, Arrived(), post(1)]

    play(scenario)


@pytest.mark.parametrize("word", [START, SIGN_UP], ids=["AUTH_START", "SIGNUP"])
def test_what_may_not_be_replayed_waits_for_the_handshake(word: AuthStart | Signup) -> None:
    """[3.8-1] Q13: no account is made and no login begun by bytes that somebody may have recorded."""

    async def scenario() -> None:
        async with floor() as here:
            eve = here.arrive(early=True)
            eve.hear(word, id=1)
            await idle(5.0)
            assert here.script.asked == []
            eve.link.on_events([Established()])
            await idle()
            assert here.script.asked == [word]

    play(scenario)


def test_what_waits_for_the_handshake_is_forgotten_with_the_connection() -> None:
    """[3.8-1] Q13 P7: a replay whose sender cannot finish the handshake has done nothing."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            eve = here.arrive(early=True)
            eve.hear(RESUME, id=1)
            eve.hear(post(1), id=2)
            await idle()
            eve.link.on_events([Closed(1, "idle", application=False), Established()])
            await idle(60.0)
            assert [type(each) for each in here.script.asked] == [Resume, type(here.script.asked[1])]
            assert here.script.got(Resumption) == here.script.got(Post) == []
            assert eve.session._queue.held == 0

    play(scenario)


@pytest.mark.parametrize(
    "answer",
    [Refused(Code.TOKEN_EXPIRED), lambda *_: [Close(Code.TOKEN_EXPIRED)]],
    ids=["refused", "closed"],
)
def test_a_token_that_was_used_meanwhile_ends_the_session(answer: object) -> None:
    """[3.8-3] Q13: two connections resume with one token; the second is closed, and nothing it sent is served."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            here.script.answers[Resumption] = answer  # type: ignore[assignment]
            alice = here.arrive(early=True)
            alice.hear(RESUME, id=1)
            await idle()
            alice.hear(post(1), id=2)
            alice.link.on_events([Established()])
            await idle()
            assert alice.refusals() == [(Code.TOKEN_EXPIRED, None)]
            assert here.script.got(Post) == []

    play(scenario)


def test_a_resumption_that_comes_to_nothing_is_a_mistake_of_ours() -> None:
    """[3.3-6]: a service that neither admits nor refuses leaves nobody hanging."""

    async def scenario() -> None:
        async with floor() as here:
            resumes(here)
            here.script.answers[Resumption] = lambda *_: []
            alice = here.arrive()
            alice.hear(RESUME, id=1)
            await idle()
            assert alice.refusals() == [(Code.INTERNAL, None)]

    play(scenario)


# While somebody logs in


def test_what_is_said_during_a_login_is_heard() -> None:
    """[3.8-4] P4: between the store's answer and AUTH_OK others speak, and alice joins and leaves on another device."""

    async def scenario() -> None:
        async with floor() as here:
            here.script.answers[AuthResponse] = lambda actor, _: [
                Admit(ALICE, {GENERAL: 0, R2: 0}, {GENERAL: (1, 0), R2: (1, 4)}),
                Reply(AuthOk(user=ALICE, session=actor.session, proof=b"")),
            ]
            tell(here, message(1, text="before"))
            gate = here.script.hold(AuthResponse)
            alice = here.arrive()
            alice.hear(START)
            await idle()
            alice.hear(RESPONSE)
            await idle()
            said = [
                message(2),
                message(1, R1, sender=ALICE, kind=Kind.JOIN),
                message(2, R1),
                message(5, R2, sender=ALICE, kind=Kind.LEAVE),
                message(1, direct(ALICE, BOB)),
            ]
            for event in said:
                tell(here, event)
            here.router.deliver(Deliver(Invite(room="r3", user=BOB), OfUsers(frozenset({ALICE}))))
            tell(here, message(9, Room("elsewhere")))
            gate.set()
            await idle()
            told = alice.said()
            ok = [type(each) for each in told].index(AuthOk)
            assert told[ok + 1 :] == [*said, Invite(room="r3", user=BOB)]
            for room, hears in ((R1, True), (R2, False), (direct(ALICE, BOB), True)):
                assert here.router.hears(alice.session, room) is hears
            tell(here, message(3, R1))
            tell(here, message(6, R2))
            await idle()
            assert alice.said()[-1] == message(3, R1)

    play(scenario)


def test_a_login_that_took_too_long_is_tried_again() -> None:
    """[3.8-5] P7: the journal is bounded; who missed something that it forgot is closed with OVERLOADED."""

    async def scenario() -> None:
        async with floor() as here:
            gate = here.script.hold(AuthResponse)
            alice = here.arrive()
            alice.hear(START)
            await idle()
            alice.hear(RESPONSE)
            await idle()
            for seq in range(1, ENTRIES + 2):
                tell(here, message(seq))
            gate.set()
            await idle()
            assert alice.refusals() == [(Code.OVERLOADED, None)]
            assert here.script.got(Arrived) == []
            assert (await here.enter()).refusals() == []

    play(scenario)
