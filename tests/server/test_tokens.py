"""Coming back by token: RESUME and what makes it come true, service by service."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.server.effects import Admit, Close
from quicchat.server.model import TOKEN_LIFE, TOKEN_SLACK
from quicchat.server.services.tokens import BYTES, EVENTS
from quicchat.wire.chapters.accounts import AuthOk, Resume, Revoke, Verdict
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import RoomHead
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import GENERAL, User, direct
from quicchat.wire.registry import Pdu
from tests.server.desk import LAPTOP, PHONE, WORD, Desk, answer, at_desk, found, keys, password, told
from tests.server.house import OPEN, refusal
from tests.server.stores import ALICE, BOB, CAROL, HALL, cid, make

SINGLE = replace(OPEN, sessions="single")
DM = direct(ALICE, BOB)


def test_a_login_gives_a_token() -> None:
    """[4.2-11]: 32 bytes that differ each time, good for thirty days; not in version 1."""

    async def scenario(desk: Desk) -> None:
        tokens = {(await desk.enter()).token for _ in range(3)}
        assert len(tokens) == 3
        caller = desk.call()
        ok = answer(await desk.ask(caller, await desk.prove(caller)), AuthOk)
        assert ok.token is not None
        assert len(ok.token) == 32
        assert ok.expires == 1_800_000_000_000 + TOKEN_LIFE
        old = desk.call(version=1)
        ok = answer(await desk.ask(old, await desk.prove(old)), AuthOk)
        assert (ok.token, ok.expires) == (None, None)

    at_desk(scenario)


def test_no_token_lies_on_the_disk(tmp_path: Path) -> None:
    """R0.8, [4.2-11]: the store has their hashes; whoever reads it cannot come back in somebody's name."""

    async def scenario() -> tuple[bytes, bytes]:
        store = open_store(tmp_path / "store.db")
        desk = Desk(store=store)
        await desk.found()
        first = await desk.enter()
        again = desk.call()
        resumed, _, event = await desk.resume(again, first.token)
        await desk.happen(again, event)
        await store.close()
        return first.token, resumed.token

    old, new = asyncio.run(scenario())
    disk = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert hashlib.sha256(new).digest() in disk
    assert old not in disk
    assert new not in disk


def test_a_token_brings_the_session_back() -> None:
    """[4.3-3], [4.3-5]: RESUMED is proved with the old token and brings a new one; both work once."""

    async def scenario(desk: Desk) -> None:
        first = await desk.enter()
        await desk.leave(first)
        again = desk.call()
        resumed, _, event = await desk.resume(again, first.token)
        assert (resumed.user, resumed.session) == (ALICE, again.actor.session)
        assert resumed.proof == hmac.digest(first.token, again.actor.binding[32:], "sha256")
        effects = await desk.happen(again, event)
        (admit,) = found(effects, Admit)
        assert admit.user == ALICE
        assert set(admit.rooms) == {"general", "*"}
        assert found(effects, Close) == []
        third = desk.call()
        assert await refusal(desk.ask(third, Resume(token=first.token, have=(), outstanding=()))) is Code.TOKEN_EXPIRED
        assert (await desk.resume(third, resumed.token))[0].token not in (first.token, resumed.token)
        (kept,) = await desk.store.accounts.devices(ALICE, limit=9)
        assert kept.name == "a phone"

    at_desk(scenario)


def test_a_replayed_resume_changes_nothing() -> None:
    """Q13, [4.3-4]: however often its first flight is sent again, the token stays good and no session ends."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        await desk.say(BOB, DM)

        async def state() -> object:
            gaps = await desk.store.accounts.gaps(ALICE, PHONE, have={}, outstanding=[])
            return gaps, await desk.store.accounts.devices(ALICE, limit=9), desk.roster.claims(ALICE)

        before = await state()
        for _ in range(5):
            replayed = desk.call()
            effects = await desk.ask(replayed, Resume(token=alice.token, have=(), outstanding=()))
            assert not found(effects, Admit)
            assert not found(effects, Close)
            await desk.leave(replayed)
        assert await state() == before
        again = desk.call()
        _, _, event = await desk.resume(again, alice.token)
        (ended,) = found(await desk.happen(again, event), Close)
        assert (ended.code, ended.session) == (Code.SESSION_REPLACED, alice.actor.session)

    at_desk(scenario)


def test_of_two_who_resume_at_once_one_gets_in() -> None:
    """Q13, [4.3-4]: the token is used up when the handshake is complete, by whoever comes first."""

    async def scenario(desk: Desk) -> None:
        token = (await desk.enter()).token
        callers = [desk.call() for _ in range(3)]
        events = [(await desk.resume(caller, token))[2] for caller in callers]
        outcomes = await asyncio.gather(*map(desk.happen, callers, events))
        assert [len(found(effects, Admit)) for effects in outcomes] == [1, 0, 0]
        assert [[close.code for close in found(effects, Close)] for effects in outcomes[1:]] == [
            [Code.TOKEN_EXPIRED],
            [Code.TOKEN_EXPIRED],
        ]
        assert {each.session for each in desk.roster.claims(ALICE)} >= {callers[0].actor.session}
        assert not {each.session for each in desk.roster.claims(ALICE)} & {each.actor.session for each in callers[1:]}

    at_desk(scenario)


async def _log_out(desk: Desk) -> None:
    alice = await desk.enter()
    assert answer(await desk.ask(alice, Revoke(device=PHONE)), Ok) == Ok()


async def _revoke_from_elsewhere(desk: Desk) -> None:
    phone, laptop = await desk.enter(), await desk.enter(device=LAPTOP)
    await desk.ask(laptop, Revoke(session=phone.actor.session))


async def _change_password(desk: Desk) -> None:
    laptop = await desk.enter(device=LAPTOP)
    await desk.ask(laptop, password(WORD, "another"))


async def _log_in_again(desk: Desk) -> None:
    await desk.enter()


async def _let_it_expire(desk: Desk) -> None:
    now = desk.clock.now
    desk.clock.now = lambda: now() + TOKEN_LIFE + TOKEN_SLACK  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "end",
    [_log_out, _revoke_from_elsewhere, _change_password, _log_in_again, _let_it_expire],
    ids=lambda end: end.__name__,
)
def test_a_token_ends(end: Callable[[Desk], Awaitable[None]]) -> None:
    """A8, Q16, D7, [4.3-3]: refused at once, and also where RESUMED was answered just before."""

    async def scenario(desk: Desk) -> None:
        token = (await desk.enter()).token
        between = desk.call()
        _, _, event = await desk.resume(between, token)
        await end(desk)
        again = desk.call()
        assert await refusal(desk.ask(again, Resume(token=token, have=(), outstanding=()))) is Code.TOKEN_EXPIRED
        effects = await desk.happen(between, event)
        assert [each.code for each in found(effects, Close)] == [Code.TOKEN_EXPIRED]
        assert found(effects, Admit) == []

    at_desk(scenario)


def test_a_token_is_good_on_its_device_only() -> None:
    """[4.3-3]: whoever copies it needs the device's id too, and is told no more than with a wrong one."""

    async def scenario(desk: Desk) -> None:
        token = (await desk.enter()).token
        seen = []
        for caller, stolen in ((desk.call(LAPTOP), token), (desk.call(), bytes(32)), (desk.call(), token + b"x")):
            with pytest.raises(Refused) as refused:
                await desk.ask(caller, Resume(token=stolen, have=(), outstanding=()))
            seen.append((refused.value.code, refused.value.text))
        assert set(seen) == {seen[0]}
        assert seen[0][0] is Code.TOKEN_EXPIRED

    at_desk(scenario)


def test_small_gaps_come_behind_the_answer() -> None:
    """P4, [4.3-10]: room by room, in order, from the place that RESUMED names; nothing that the device holds."""

    async def scenario(desk: Desk) -> None:
        await make(desk.store, HALL, ALICE, BOB)
        alice = await desk.enter()
        said = [*await desk.say(BOB, DM, "psst", 2), *await desk.say(BOB, HALL, "hi", 3)]
        resumed, missed, _ = await desk.resume(
            desk.call(), alice.token, have=((HALL, 1, 3), ("general", 1, 2), (DM, 1, 0))
        )
        assert missed == [*said[:2], *said[3:]]
        assert set(resumed.rooms) == {
            (HALL, 1, 5, 3, Verdict.OK),
            ("general", 1, 2, 2, Verdict.OK),
            (DM, 1, 2, 0, Verdict.OK),
            ("*", 1, 0, 0, Verdict.OK),
        }

    at_desk(scenario)


@pytest.mark.parametrize(("text", "count"), [("x", EVENTS + 1), ("y" * 20_000, 2)], ids=["many", "long"])
def test_large_gaps_are_left_to_be_fetched(text: str, count: int) -> None:
    """P7, D9, [4.3-10]: beyond 200 events or 32 KiB nothing of that room comes, and the others still do."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        await desk.say(BOB, DM, text, count)
        (late,) = await desk.say(BOB, GENERAL, "late")
        resumed, missed, _ = await desk.resume(desk.call(), alice.token, have=((GENERAL, 1, 2),))
        assert missed == [late]
        assert (DM, 1, count, 0, Verdict.OK) in resumed.rooms
        assert sum(len(message.text or "") for message in missed) <= BYTES

    at_desk(scenario)


def test_what_happens_between_answer_and_admission_is_told() -> None:
    """P4, [4.3-11]: the heads that moved since RESUMED, a room of which it knew nothing among them."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        caller = desk.call()
        _, _, event = await desk.resume(caller, alice.token)
        await desk.say(BOB, GENERAL)
        await desk.say(BOB, DM)
        heads = told(await desk.happen(caller, event), RoomHead)
        assert heads == [RoomHead(room=DM, epoch=1, head=1), RoomHead(room=GENERAL, epoch=1, head=3)]

    at_desk(scenario)


def test_rooms_that_are_not_ones_own_are_gone() -> None:
    """Z1, Z2, [4.3-8]: a room of others, one that was left, and one that never was get the same words."""

    async def scenario(desk: Desk) -> None:
        await desk.store.accounts.sign_up(CAROL, keys(), at=0)
        await make(desk.store, HALL, BOB)
        await desk.say(BOB, direct(BOB, CAROL))
        alice = await desk.enter()
        named = [(room, 3, 1) for room in (HALL, "nowhere", "@bob,carol")]
        resumed, missed, event = await desk.resume(desk.call(), alice.token, have=tuple(named))
        gone = [row for row in resumed.rooms if row[4] is Verdict.GONE]
        assert gone == [(room, 3, 0, 0, Verdict.GONE) for room, _, _ in named]
        assert not set(event.heads) & {room for room, _, _ in named}
        assert {message.room for message in missed} <= {"general"}

    at_desk(scenario)


def test_outstanding_messages_are_known_by_their_places() -> None:
    """P2, R4.17, [4.3-9]: so that nothing is sent again that is stored."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        said = await desk.say(ALICE, DM, count=2)
        unknown = cid()
        resumed, _, _ = await desk.resume(desk.call(), alice.token, outstanding=(said[1].cid, unknown, said[0].cid))
        assert resumed.known == ((said[1].cid, 2), (said[0].cid, 1))

    at_desk(scenario)


def test_a_room_that_was_lost_meanwhile_does_not_harm() -> None:
    """Z1, [4.3-12]: whoever loses a room between the two reads is told nothing of it, and comes back once more."""

    async def scenario(desk: Desk) -> None:
        await make(desk.store, HALL, ALICE, BOB)
        alice = await desk.enter()
        gaps = desk.store.accounts.gaps

        async def then_he_leaves(*args: Any, **fields: Any) -> Any:
            answered = await gaps(*args, **fields)
            await desk.store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
            return answered

        desk.store.accounts.gaps = then_he_leaves  # type: ignore[method-assign]
        caller = desk.call()
        resumed, missed, event = await desk.resume(caller, alice.token)
        assert HALL not in {message.room for message in missed}
        assert {message.kind for message in missed} == {Kind.JOIN}
        assert found(await desk.happen(caller, event), Admit) == []
        desk.store.accounts.gaps = gaps  # type: ignore[method-assign]
        again = desk.call()
        _, _, event = await desk.resume(again, resumed.token)
        (admit,) = found(await desk.happen(again, event), Admit)
        assert HALL not in admit.rooms

    at_desk(scenario)


def test_where_one_session_is_allowed_a_token_is_no_way_around_it() -> None:
    """A9, R3.12, [4.2-8]: refused while another device is here, or came between the answer and its settlement."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        await desk.leave(phone)
        between = desk.call()
        _, _, event = await desk.resume(between, phone.token)
        laptop = await desk.enter(device=LAPTOP)
        again: Pdu = Resume(token=phone.token, have=(), outstanding=())
        with pytest.raises(Refused, match="already logged in from another location") as refused:
            await desk.ask(desk.call(), again)
        assert refused.value.code is Code.ALREADY_LOGGED_IN
        effects = await desk.happen(between, event)
        assert [each.code for each in found(effects, Close)] == [Code.ALREADY_LOGGED_IN]
        await desk.leave(laptop)
        assert (await desk.resume(desk.call(), phone.token))[0].user == ALICE

    at_desk(scenario, SINGLE)


def test_a_store_that_fails_leaves_the_token_and_the_place() -> None:
    """D3, D4, [4.3-4]: nothing is used up, nobody holds the place, and the next try works."""

    async def scenario(desk: Desk) -> None:
        phone = await desk.enter()
        await desk.leave(phone)
        caller = desk.call()
        _, _, event = await desk.resume(caller, phone.token)
        rotate = desk.store.accounts.rotate

        async def full(*args: Any, **fields: Any) -> Any:
            raise Refused(Code.STORE_UNAVAILABLE)

        desk.store.accounts.rotate = full  # type: ignore[method-assign]
        effects = await desk.happen(caller, event)
        assert [each.code for each in found(effects, Close)] == [Code.STORE_UNAVAILABLE]
        assert desk.roster.claims(ALICE) == []
        desk.store.accounts.rotate = rotate  # type: ignore[method-assign]
        await desk.enter(device=LAPTOP)

    at_desk(scenario, SINGLE)


def test_somebody_with_very_many_rooms_resumes() -> None:
    """[4.3-6]: RESUMED holds 512 rooms; those asked about first, then those with news."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter()
        for number in range(600):
            user = User(f"u{number:03}")
            await desk.store.accounts.sign_up(user, keys(), at=1)
            await desk.say(user, direct(ALICE, user))
            if number < 550:
                await desk.store.log.receipt(direct(ALICE, user), ALICE, PHONE, delivered=1, read=None, at=1)
        asked = direct(ALICE, User("u000"))
        resumed, missed, event = await desk.resume(desk.call(), alice.token, have=((asked, 1, 1),))
        assert len(resumed.rooms) == 512
        assert resumed.rooms[0][0] == asked
        assert len(event.heads) == 602
        news = [row[0] for row in resumed.rooms if row[2] > row[3]]
        assert [f"@alice,u{number}" for number in range(550, 600)] == [room for room in news if room.startswith("@")]
        assert len(missed) <= EVENTS

    at_desk(scenario)
