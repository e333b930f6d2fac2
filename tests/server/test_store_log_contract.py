"""What every store promises of its logs: each event once, in one order, without a gap, for its members."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.errors import Code, LocalProtocolError
from quicchat.server.model import Stored
from quicchat.wire.chapters.messages import HistoryPage, Kind, Message, Window
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.codec import encode, encode_body
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Room
from quicchat.wire.types import MAX_PAIRS
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    LAPTOP,
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

#: The widest frame that every peer takes (protocol §7.11).
FRAME = 64 * 1024


def test_a_post_comes_back_as_it_was_sent(store: Store) -> None:
    """Rows 6.1 and 6.3: every field of MSG_SEND is in MSG, unknown odd keys too; sender and time are the server's."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        sent = post(
            "gr\u00fc\u00df",
            room=GENERAL,
            kind=Kind.EMOTE,
            topic="t",
            reply=1,
            refs=(1, 2),
            mentions=("bob",),
            expires=9,
            sent=8,
            extra={33: [1, b"x"], 2**64 - 1: "grease"},
        )
        stored = await store.log.append(GENERAL, ALICE, LAPTOP, sent, at=7)
        expected = Message(
            room=GENERAL,
            epoch=1,
            seq=3,
            cid=sent.cid,
            sender=ALICE,
            device=LAPTOP,
            kind=Kind.EMOTE,
            ts=7,
            text="gr\u00fc\u00df",
            topic="t",
            reply=1,
            refs=(1, 2),
            mentions=("bob",),
            expires=9,
            sent=8,
            extra={33: [1, b"x"], 2**64 - 1: "grease"},
        )
        page = await store.log.page(GENERAL, BOB, window=Window.LATEST, anchor=0, limit=1, budget=PLENTY)
        assert page.events == (encode_body(expected, version=2),)
        for message in (stored.message, (await whole_log(store, GENERAL, BOB))[2]):
            assert encode_body(message, version=2) == page.events[0]

    run(scenario())


def test_a_retry_is_told_what_is_stored(store: Store) -> None:
    """P2, protocol 7.1: the same (sender, cid) again is stored once; another sender's equal cid is another one."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        said = post("once")
        first = await store.log.append(GENERAL, ALICE, PHONE, said, at=5)
        again = await store.log.append(GENERAL, ALICE, LAPTOP, said, at=6)
        assert not first.dup
        assert again.dup
        assert (again.message.seq, again.message.ts, again.message.device) == (first.message.seq, 5, PHONE)
        other = await store.log.append(GENERAL, BOB, PHONE, said, at=5)
        assert (other.message.seq, other.dup) == (first.message.seq + 1, False)
        assert len(await whole_log(store, GENERAL, ALICE)) == 4

    run(scenario())


def test_retries_that_cross_are_one_message(store: Store) -> None:
    """P2, P3: doubles also inside one batch, among other messages, leave neither a double nor a gap."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        said = [post(f"text {number}") for number in range(6)]
        order = [0, 1, 0, 2, 2, 3, 1, 4, 5, 0]
        stored = await asyncio.gather(
            *(store.log.append(GENERAL, ALICE, PHONE, said[number], at=1) for number in order)
        )
        assert [each.message.seq - 3 for each in stored] == order
        assert [each.dup for each in stored] == [number in order[:index] for index, number in enumerate(order)]
        assert [text for *_, text in await shown(store, GENERAL, BOB)][2:] == [f"text {number}" for number in range(6)]

    run(scenario())


def test_a_cid_names_one_message(store: Store) -> None:
    """Protocol 7.1: the same cid with another room, kind or text is CID_CONFLICT, and nothing is written."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        said = post("hi")
        await store.log.append(GENERAL, ALICE, PHONE, said, at=1)
        for room, other in (
            (HALL, post("hi", cid=said.cid)),
            (GENERAL, post("ho", cid=said.cid)),
            (GENERAL, post("hi", cid=said.cid, kind=Kind.EMOTE)),
            (Room("@alice,bob"), post("hi", cid=said.cid)),
        ):
            assert await refusal(store.log.append(room, ALICE, PHONE, other, at=1)) is Code.CID_CONFLICT
        assert (await store.log.append(GENERAL, ALICE, PHONE, post("hi", cid=said.cid, kind=Kind.TEXT), at=1)).dup
        joined = (await whole_log(store, GENERAL, ALICE))[0]
        assert await refusal(store.log.append(GENERAL, ALICE, PHONE, post("hi", cid=joined.cid), at=1)) is (
            Code.CID_CONFLICT
        )
        assert await refusal(store.rooms.leave(HALL, ALICE, cid=said.cid, at=1)) is Code.CID_CONFLICT
        assert await refusal(store.rooms.join(Room("new"), ALICE, make=0, cid=said.cid, at=1)) is Code.CID_CONFLICT
        assert await refusal(store.rooms.info(Room("new"), ALICE)) is Code.NO_SUCH_ROOM
        assert len(await whole_log(store, HALL, ALICE)) == 1
        assert len(await whole_log(store, GENERAL, ALICE)) == 3
        assert await refusal(store.rooms.info(Room("@alice,bob"), ALICE)) is Code.NO_SUCH_ROOM

    run(scenario())


def test_a_retry_counts_though_the_sender_has_left(store: Store) -> None:
    """P1, P2: who lost the ack and then the membership still learns that his message is stored."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, policy=EPHEMERAL)
        said = post("hi")
        first = await store.log.append(HALL, ALICE, PHONE, said, at=1)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        assert await store.log.append(HALL, ALICE, PHONE, said, at=1) == Stored(message=first.message, dup=True)
        await make(store, HALL, BOB)
        assert await store.log.append(HALL, ALICE, PHONE, said, at=1) == Stored(message=first.message, dup=True)
        assert await refusal(store.log.append(HALL, ALICE, PHONE, post(), at=1)) is Code.NOT_MEMBER
        assert len(await whole_log(store, HALL, BOB)) == 1

    run(scenario())


def test_only_members_are_heard(store: Store) -> None:
    """R0.2, Z1: NOT_MEMBER, the same for a room that does not exist; nothing is stored."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        for room in (HALL, Room("nowhere")):
            assert await refusal(say(store, room, BOB)) is Code.NOT_MEMBER
        assert await refusal(say(store, GENERAL, CAROL)) is Code.NOT_MEMBER
        assert len(await whole_log(store, HALL, ALICE)) == 1
        assert (await say(store, ANNOUNCEMENTS, BOB)).seq == 1
        assert await shown(store, ANNOUNCEMENTS, ALICE) == [(1, BOB, Kind.TEXT, "hello")]

    run(scenario())


def test_a_refused_post_leaves_its_neighbours_alone(store: Store) -> None:
    """P3: refusals inside a batch make no gap, and nobody else is refused for them."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        asks = [
            refusal(store.log.append(HALL, sender, PHONE, post(f"{number}"), at=1))
            for number, sender in enumerate((ALICE, BOB, ALICE, BOB, BOB, ALICE))
        ]
        outcomes = await asyncio.gather(*asks)
        assert [code is None for code in outcomes] == [True, False, True, False, False, True]
        assert [(seq, text) for seq, *_, text in await shown(store, HALL, ALICE)][1:] == [(2, "0"), (3, "2"), (4, "5")]

    run(scenario())


def test_a_direct_message_makes_its_room(store: Store) -> None:
    """R1.14: for its two parties and nobody else; NO_SUCH_USER for a message to nobody."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        direct = Room("@alice,bob")
        assert await refusal(store.rooms.info(direct, ALICE)) is Code.NO_SUCH_ROOM
        assert await refusal(say(store, direct, CAROL)) is Code.NOT_MEMBER
        assert await refusal(say(store, Room("@alice,nobody"), ALICE)) is Code.NO_SUCH_USER
        assert (await say(store, direct, BOB, "psst")).seq == 1
        assert (await say(store, direct, ALICE, "yes?")).seq == 2
        assert await shown(store, direct, ALICE) == [(1, BOB, Kind.TEXT, "psst"), (2, ALICE, Kind.TEXT, "yes?")]
        assert await refusal(say(store, direct, CAROL)) is Code.NOT_MEMBER
        assert await refusal(store.rooms.info(direct, CAROL)) is Code.NO_SUCH_ROOM
        assert (await store.rooms.info(direct, ALICE)).members == 2
        own = Room("@alice,alice")
        assert (await say(store, own, ALICE)).seq == 1
        assert (await store.rooms.info(own, ALICE)).members == 1

    run(scenario())


@pytest.mark.parametrize("room", ["@bob,alice", "@alice", "@alice,", "@alice,bob,carol", "@"])
def test_a_conversation_has_one_name(store: Store, room: str) -> None:
    """P3: names that are not written as wire.names.direct writes them open no second log."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        assert await refusal(say(store, Room(room), ALICE)) is Code.NOT_MEMBER

    run(scenario())


def test_a_device_is_heard_in_its_order(store: Store) -> None:
    """R0.10, P3, P5: a thousand posts without waiting get a thousand places, in the order they were sent."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        asks = []
        for number in range(1_000):
            sender, room = (ALICE, BOB)[number % 2], (HALL, GENERAL)[number % 3 == 0]
            asks.append(store.log.append(room, sender, PHONE, post(f"{number}"), at=1))
        stored = await asyncio.gather(*asks)
        for room in (HALL, GENERAL):
            of_room = [each.message for each in stored if each.message.room == room]
            assert [message.seq for message in of_room] == list(range(3, len(of_room) + 3))
            assert (await whole_log(store, room, ALICE))[2:] == of_room

    run(scenario())


def test_what_cannot_be_fetched_again_is_not_stored(store: Store) -> None:
    """W1, P4: every event fits a frame of 64 KiB, alone in MSG and in HISTORY_R, and decodes; else MSG_TOO_LARGE."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE)
        fits, too_long = ({33: "x" * 32_100}, {33: "x" * 32_400})
        most = MAX_PAIRS - len(Message.SPEC.fields)
        pairs = [{2 * number + 33: 0 for number in range(count)} for count in (most, most + 1, most + 12)]
        asks = [
            refusal(store.log.append(HALL, ALICE, PHONE, post("y" * 32_768, extra=extra), at=1))
            for extra in (None, fits, too_long, *pairs)
        ]
        large = Code.MSG_TOO_LARGE
        assert await asyncio.gather(*asks) == [None, None, large, None, large, large]
        for message in (await whole_log(store, HALL, ALICE))[1:]:
            body = encode_body(message, version=2)
            page = HistoryPage(room="x" * 64, epoch=2**32 - 1, first=2**53, head=2**53, events=(body,))
            for pdu in (message, page):
                assert len(encode(pdu, version=2, id=2**63, re=2**63, ts=2**53)) <= FRAME

    run(scenario())


def test_a_post_beyond_its_limits_is_its_callers_fault(store: Store) -> None:
    """Design 3 (R0.12): what the codec refuses is raised to the caller, and the others are stored."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        asks = [say(store, GENERAL, ALICE, text) for text in ("a", "\ud800", "b")]
        first, second, third = await asyncio.gather(*asks, return_exceptions=True)
        assert isinstance(second, LocalProtocolError)
        assert [each.seq for each in (first, third) if isinstance(each, Message)] == [2, 3]

    run(scenario())


def test_time_does_not_order(store: Store) -> None:
    """D7: a clock that is set back changes neither order nor uniqueness."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        said = [post(f"{number}") for number in range(3)]
        for at, each in zip((9_000, 5_000, 7_000), said, strict=True):
            await store.log.append(GENERAL, ALICE, PHONE, each, at=at)
        assert [message.ts for message in await whole_log(store, GENERAL, ALICE)] == [1, 9_000, 5_000, 7_000]
        assert (await store.log.append(GENERAL, ALICE, PHONE, said[0], at=0)).message.ts == 9_000

    run(scenario())
