"""What every store promises of events about others: corrections, reactions, pins, and what is taken back."""

from __future__ import annotations

import pytest

from quicchat.errors import Code, Refused
from quicchat.server.model import Stored, Word
from quicchat.wire.chapters.messages import SAID, Kind, Message, Post, Window
from quicchat.wire.chapters.rooms import EPHEMERAL, Rank
from quicchat.wire.codec import encode_body
from quicchat.wire.names import GENERAL, Room, User
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    PHONE,
    PLENTY,
    Store,
    cid,
    make,
    post,
    refusal,
    run,
    say,
    shown,
    sign_up,
    whole_log,
)

DIRECT = Room("@alice,bob")


async def act(store: Store, room: Room, sender: User, kind: Kind, target: int, text: str = "x") -> Code | None:
    """Post an event about another; returns the code it is refused with."""
    said = post("" if kind is Kind.RETRACT else text, kind=kind, refs=(target,))
    return await refusal(store.log.append(room, sender, PHONE, said, at=1))


def test_corrections_are_the_authors(store: Store) -> None:
    """Z4: EDIT of one's own text, emote, notice or code; FORBIDDEN for another's and for other kinds."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        own = 0
        for kind in sorted(SAID):
            own = (await store.log.append(GENERAL, ALICE, PHONE, post(kind=kind), at=1)).message.seq
            assert await act(store, GENERAL, ALICE, Kind.EDIT, own) is None
            assert await act(store, GENERAL, BOB, Kind.EDIT, own) is Code.FORBIDDEN
        joined, correction = 1, own + 1
        for target in (joined, correction):
            assert await act(store, GENERAL, ALICE, Kind.EDIT, target) is Code.FORBIDDEN
        assert await act(store, GENERAL, BOB, Kind.REACT, own, "+1") is None
        assert [kind for _, _, kind, _ in await shown(store, GENERAL, ALICE)].count(Kind.EDIT) == len(SAID)

    run(scenario())


@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN])
def test_what_is_not_there_has_nothing_about_it(store: Store, kind: Kind) -> None:
    """P5: NO_SUCH_MESSAGE for a place that is not taken, for none and for two; nothing is stored, no room opened."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await say(store, GENERAL, ALICE)
        text = "" if kind is Kind.RETRACT else "x"
        for refs in ((0,), (4,), (2**53,), (), None, (3, 3)):
            said = post(text, kind=kind, refs=refs)
            assert await refusal(store.log.append(GENERAL, ALICE, PHONE, said, at=1)) is Code.NO_SUCH_MESSAGE
        assert await act(store, DIRECT, ALICE, kind, 1) is Code.NO_SUCH_MESSAGE
        assert await refusal(store.rooms.info(DIRECT, ALICE)) is Code.NO_SUCH_ROOM
        assert len(await whole_log(store, GENERAL, ALICE)) == 3

    run(scenario())


def test_an_answer_comes_after_what_it_answers(store: Store) -> None:
    """P5: `reply` names a place that is taken, also within one burst; NO_SUCH_MESSAGE for its own and those after."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        for reply, code in ((1, None), (0, Code.NO_SUCH_MESSAGE), (3, Code.NO_SUCH_MESSAGE), (2, None)):
            assert await refusal(store.log.append(GENERAL, ALICE, PHONE, post(reply=reply), at=1)) is code
        posts = [(GENERAL, post("a")), (GENERAL, post("b", reply=4)), (GENERAL, post("c", reply=6))]
        outcomes = await store.log.append_many(ALICE, PHONE, posts, at=1)
        assert [isinstance(each, Stored) for each in outcomes] == [True, True, False]

    run(scenario())


def test_what_is_taken_back_is_gone(store: Store) -> None:
    """RETRACT: neither the message nor its corrections are given out again; place, sender and the rest stay."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        said = post("secret", topic="t", reply=1, mentions=("bob",), sent=5, extra={33: "secret"})
        stored = (await store.log.append(GENERAL, ALICE, PHONE, said, at=7)).message
        await act(store, GENERAL, ALICE, Kind.EDIT, stored.seq, "secret 2")
        await act(store, GENERAL, ALICE, Kind.EDIT, stored.seq, "secret 3")
        await act(store, GENERAL, BOB, Kind.REACT, stored.seq, "+1")
        assert (await store.rooms.info(GENERAL, BOB)).mentions == 1
        assert await act(store, GENERAL, ALICE, Kind.RETRACT, stored.seq) is None
        page = await store.log.page(GENERAL, BOB, window=Window.AFTER, anchor=0, limit=99, budget=PLENTY)
        assert b"secret" not in b"".join(page.events)
        assert [(each.kind, each.text) for each in await whole_log(store, GENERAL, BOB)][2:] == [
            (Kind.TEXT, ""),
            (Kind.EDIT, ""),
            (Kind.EDIT, ""),
            (Kind.REACT, "+1"),
            (Kind.RETRACT, ""),
        ]
        left = Message(
            room=GENERAL,
            epoch=1,
            seq=3,
            cid=said.cid,
            sender=ALICE,
            device=PHONE,
            kind=Kind.TEXT,
            ts=7,
            text="",
            topic="t",
            reply=1,
            sent=5,
        )
        assert page.events[2] == encode_body(left, version=2)
        assert (await store.rooms.info(GENERAL, BOB)).mentions == 0

    run(scenario())


def test_a_retry_of_what_was_taken_back_is_no_new_message(store: Store) -> None:
    """P2: the same cid again is a double, blanked or not; another event under it is CID_CONFLICT."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        said = post("hi")
        first = (await store.log.append(GENERAL, ALICE, PHONE, said, at=1)).message
        back = post("", kind=Kind.RETRACT, refs=(first.seq,))
        for dup in (False, True):
            assert (await store.log.append(GENERAL, ALICE, PHONE, back, at=1)).dup is dup
            again = await store.log.append(GENERAL, ALICE, PHONE, said, at=1)
            assert (again.dup, again.message.seq, again.message.text) == (True, first.seq, "")
        other = post("", kind=Kind.RETRACT, refs=(1,), cid=back.cid)
        assert await refusal(store.log.append(GENERAL, ALICE, PHONE, other, at=1)) is Code.CID_CONFLICT
        for kind in (Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN):
            assert await act(store, GENERAL, ALICE, kind, first.seq) is Code.NO_SUCH_MESSAGE
        assert len(await whole_log(store, GENERAL, ALICE)) == 3

    run(scenario())


def test_who_may_take_back(store: Store) -> None:
    """Z4: one's own, also a reaction or a pin; not another's, not what the server recorded, not a RETRACT."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        for room in (GENERAL, DIRECT):
            said = (await say(store, room, ALICE)).seq
            assert await act(store, room, BOB, Kind.RETRACT, said) is Code.FORBIDDEN
            assert await act(store, room, BOB, Kind.REACT, said, "+1") is None
            assert await act(store, room, ALICE, Kind.RETRACT, said + 1) is Code.FORBIDDEN
            assert await act(store, room, BOB, Kind.RETRACT, said + 1) is None
            assert await act(store, room, BOB, Kind.RETRACT, said + 2) is Code.NO_SUCH_MESSAGE
        assert await act(store, GENERAL, ALICE, Kind.RETRACT, 1) is Code.FORBIDDEN

    run(scenario())


def test_who_may_pin(store: Store) -> None:
    """Z4: both parties in direct messages; in rooms those who may moderate."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        said = (await say(store, DIRECT, ALICE)).seq
        for user in (ALICE, BOB):
            assert await act(store, DIRECT, user, Kind.PIN, said) is None
        assert await act(store, DIRECT, CAROL, Kind.PIN, said) is Code.NOT_MEMBER
        said = (await say(store, GENERAL, ALICE)).seq
        assert await act(store, GENERAL, BOB, Kind.PIN, said) is Code.FORBIDDEN

    run(scenario())


def test_operators_moderate_every_room_that_they_are_in(store: Store) -> None:
    """[6.11-3] [6.11-6]: an operator pins and takes back in any room, muted or not; in direct messages he is nobody."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE)
        await store.rooms.join(HALL, BOB, cid=cid(), at=1)
        await store.rooms.set_rank(HALL, BOB, ALICE, Rank.VISITOR, cid=cid(), at=1)
        for room in (GENERAL, HALL):
            said = (await say(store, room, ALICE)).seq
            pin, back = post("look", kind=Kind.PIN, refs=(said,)), post("", kind=Kind.RETRACT, refs=(said,))
            assert await refusal(store.log.append(room, BOB, PHONE, pin, at=1)) is Code.FORBIDDEN
            stored = await store.log.append(room, BOB, PHONE, pin, operator=True, at=1)
            assert stored.message.seq == said + 1
            (outcome,) = await store.log.append_many(BOB, PHONE, [(room, back)], operator=True, at=1)
            assert isinstance(outcome, Stored)
            assert (await whole_log(store, room, ALICE))[said - 1].text == ""
            assert isinstance(await store.log.append(room, BOB, PHONE, post("hi"), operator=True, at=1), Stored)
        back = post("", kind=Kind.RETRACT, refs=((await say(store, DIRECT, ALICE)).seq,))
        for user, code in ((BOB, Code.FORBIDDEN), (CAROL, Code.NOT_MEMBER)):
            assert await refusal(store.log.append(DIRECT, user, PHONE, back, operator=True, at=1)) is code
        assert await refusal(store.log.append(HALL, CAROL, PHONE, post("x"), operator=True, at=1)) is Code.NOT_MEMBER

    run(scenario())


def test_another_epoch_is_another_log(store: Store) -> None:
    """Protocol 7.4: `refs` is of the present epoch, whatever the room held before."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await make(store, HALL, ALICE, policy=EPHEMERAL)
        await say(store, HALL, ALICE)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await make(store, HALL, ALICE)
        assert await act(store, HALL, ALICE, Kind.EDIT, 2) is Code.NO_SUCH_MESSAGE

    run(scenario())


def test_many_at_once(store: Store) -> None:
    """P2, P3, R0.10: outcomes in order, each stored or refused for itself; doubles within are doubles."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, BOB)
        twice = post("twice")
        asked: list[tuple[Room, Post]] = [
            (GENERAL, post("a")),
            (HALL, post("not in")),
            (GENERAL, twice),
            (DIRECT, post("psst")),
            (GENERAL, twice),
            (GENERAL, post("b", kind=Kind.EDIT, refs=(3,))),
            (GENERAL, post("other", cid=twice.cid)),
            (GENERAL, post("c", mentions=("bob",))),
        ]
        outcomes = await store.log.append_many(ALICE, PHONE, asked, at=1)
        assert [
            each.code if isinstance(each, Refused) else (each.message.room, each.message.seq, each.dup)
            for each in outcomes
        ] == [
            (GENERAL, 3, False),
            Code.NOT_MEMBER,
            (GENERAL, 4, False),
            (DIRECT, 1, False),
            (GENERAL, 4, True),
            (GENERAL, 5, False),
            Code.CID_CONFLICT,
            (GENERAL, 6, False),
        ]
        assert [text for *_, text in await shown(store, GENERAL, BOB)][2:] == ["a", "twice", "b", "c"]
        assert (await store.rooms.info(GENERAL, BOB)).mentions == 1
        assert list(await store.log.append_many(ALICE, PHONE, [], at=1)) == []

    run(scenario())


def test_what_is_taken_back_is_not_found(store: Store) -> None:
    """RETRACT: neither by what it said nor by how it was corrected, whether it was indexed before or not."""

    async def scenario() -> None:
        await sign_up(store, ALICE)

        async def found() -> int:
            words = (Word(parts=("pineapple",), prefix=True),)
            page = await store.log.search(ALICE, words, room=None, after=None, limit=9, budget=PLENTY)
            return len(page.events)

        for indexed in (False, True):
            seq = (await say(store, GENERAL, ALICE, "pineapple")).seq
            await act(store, GENERAL, ALICE, Kind.EDIT, seq, "pineapples")
            if indexed:
                assert await found() == 2
            assert await act(store, GENERAL, ALICE, Kind.RETRACT, seq) is None
            assert await found() == 0

    run(scenario())
