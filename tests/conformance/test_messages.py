"""What is said: stored once, in order, for those whom it concerns; from the outside."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.requests import HELD as HELD
from quicchat.wire.chapters.messages import (
    POSTABLE,
    SAID,
    Kind,
    Message,
    Post,
    Posted,
    Recipient,
    Window,
)
from quicchat.wire.chapters.rooms import Create, Join
from quicchat.wire.chapters.session import Error, Ok
from tests.conformance.files import naming, offer
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import calling, entered
from tests.conformance.sealing import Key, keying, publish
from tests.conformance.talk import SlowLog, page, post, said, text, texts


@pytest.mark.parametrize(
    "pdu",
    [
        Post(room="general", user="bob", cid=bytes(16), text="x"),
        Post(cid=bytes(16), text="x"),
        Post(room="general", cid=bytes(16), text=""),
    ],
    ids=["both", "neither", "empty"],
)
def test_a_message_has_one_address_and_a_text(house: House, pdu: Post) -> None:
    """[6.1-1]: refused with SCHEMA, which is not fatal here."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            assert await alice.refused(pdu) == Code.SCHEMA

    house.run(scenario())


def test_who_is_no_member_stores_nothing(house: House) -> None:
    """R0.2, Z1, [6.1-2], [6.3-1]: NOT_MEMBER, as for a room that does not exist; NO_SUCH_USER for nobody."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            for each in (room, somebody()):
                assert await bob.refused(post(room=each)) == Code.NOT_MEMBER
            assert await bob.refused(post(user=somebody())) == Code.NO_SUCH_USER
            await alice.barrier()
            assert texts(alice) == []
            assert await page(alice, room, Window.AFTER, 0) == [1]

    house.run(scenario())


def test_a_retry_is_stored_once(house: House) -> None:
    """R4.17, P2, [6.1-3], [6.1-4]: the same place and `dup`; with other content CID_CONFLICT; for each sender."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room, cid = somebody(), os.urandom(16)
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            first = await said(alice, post(room=room, cid=cid))
            again = await said(alice, post(room=room, cid=cid))
            assert (again.seq, again.ts, again.dup, first.dup) == (first.seq, first.ts, True, None)
            async with entered(house.place, user=alice.user) as other_device:
                assert (await said(other_device, post(room=room, cid=cid))).dup
            for other in (
                post("other", room=room, cid=cid),
                post(room="general", cid=cid),
                post(room=room, cid=cid, kind=Kind.NOTICE),
            ):
                assert await alice.refused(other) == Code.CID_CONFLICT
            assert (await said(bob, post(room=room, cid=cid))).seq == first.seq + 1
            assert await page(alice, room, Window.AFTER, 2) == [first.seq, first.seq + 1]

    house.run(scenario())


def test_only_some_kinds_are_posted(house: House) -> None:
    """Z3, [6.1-5]: what records a deed of the server is refused with FORBIDDEN."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            await offer(alice, b"")
            for kind in Kind:
                pdu = post(user=bob.user, kind=kind, refs=None if kind in SAID else (1,))
                if kind is Kind.FILE:
                    pdu = replace(pdu, attachments=naming(b"").attachments)
                if kind is Kind.KEY:
                    pdu = keying([await publish(bob, Key())], user=bob.user)
                if kind in POSTABLE:
                    await said(alice, replace(pdu, refs=(2,)) if kind is Kind.RETRACT else pdu)
                    assert (await bob.hear(Message)).kind is kind
                else:
                    assert await alice.refused(pdu) == Code.FORBIDDEN

    house.run(scenario())


def test_announcers_may_be_limited() -> None:
    """R2.16, [6.1-6]: to everybody from some; FORBIDDEN for others."""

    async def scenario() -> None:
        boss = somebody()
        async with simulated(announcers=frozenset({boss})) as place, calling(place) as chief, entered(place) as bob:
            await chief.enter(boss)
            assert await bob.refused(post(room="*")) == Code.FORBIDDEN
            await said(chief, post("all hands", room="*"))
            assert (await text(bob)).text == "all hands"

    play(scenario())


def test_a_message_that_could_not_be_fetched_is_refused(house: House) -> None:
    """[6.1-7]: with its extensions it must fit a frame again; MSG_TOO_LARGE, and nothing is stored."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = somebody()
            await alice.ask(Create(room=room))
            too_much = post("x" * 32_768, room=room, extra={33: bytes(32_400)})
            assert await alice.refused(too_much) == Code.MSG_TOO_LARGE
            assert await page(alice, room, Window.AFTER, 0) == [1]
            await said(alice, post("x" * 32_768, room=room, extra={33: bytes(20_000)}))
            assert await page(alice, room, Window.AFTER, 1) == [2]

    house.run(scenario())


def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    """P1, D4, [6.2-1]: no MSG_ACK and no MSG while the store still writes; PING is answered meanwhile."""

    async def scenario() -> None:
        store = MemoryStore()
        slow = SlowLog(store.log)
        store.log = slow
        async with simulated(store) as place, entered(place) as alice, entered(place) as bob:
            alice.say(post(room="general"), id=1)
            await asyncio.sleep(5)
            await alice.barrier()
            await bob.barrier()
            assert slow.waiting == 1
            assert alice.all(Posted) == []
            assert texts(bob) == []
            slow.go.set()
            await alice.hear(Posted)
            await text(bob)

    play(scenario())


def test_one_order_for_everybody(house: House) -> None:
    """R0.6, R0.10, P3, P5, [6.2-2], [2.3-4], [8.1-1]: many pipelined by two; no gap, and each side in its order."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            many = 150
            for number in range(many):
                for peer in (alice, bob):
                    peer.say(post(str(number), room=room), id=number)
            for peer in (alice, bob):
                await peer.until(lambda peer=peer: len(peer.all(Posted)) == many or None)  # type: ignore[misc]
                await peer.until(lambda peer=peer: len(texts(peer)) == many or None)  # type: ignore[misc]
            acked = [posted.seq for peer in (alice, bob) for posted in peer.all(Posted)]
            assert sorted(acked) == list(range(3, 3 + 2 * many))
            for peer, other in ((alice, bob), (bob, alice)):
                assert [posted.seq for posted in peer.all(Posted)] == sorted(posted.seq for posted in peer.all(Posted))
                heard = texts(peer)
                assert [message.text for message in heard] == [str(number) for number in range(many)]
                assert [message.seq for message in heard] == [posted.seq for posted in other.all(Posted)]

    house.run(scenario())


def test_too_many_requests_are_put_off() -> None:
    """R0.10, P7, [8.1-1]: beyond what may be held, RATE_LIMITED with a time; all others are served, in order."""

    async def scenario() -> None:
        store = MemoryStore()
        slow = SlowLog(store.log)
        store.log = slow
        async with simulated(store) as place, entered(place) as alice:
            many, size = 300, 8_000
            for number in range(many):
                alice.say(post("x" * size, room="general"), id=number)
            await asyncio.sleep(10)
            await alice.barrier()
            refused = {each.envelope.re: each.pdu for each in alice.heard if isinstance(each.pdu, Error)}
            assert {error.code for error in refused.values()} == {Code.RATE_LIMITED}
            assert all(error.retry_after for error in refused.values())
            assert HELD // 2 < (many - len(refused)) * size <= HELD
            slow.go.set()
            await alice.until(lambda: len(alice.heard) == many or None, patience=60)
            served = [each.envelope.re for each in alice.heard if isinstance(each.pdu, Posted)]
            assert served == [number for number in range(many) if number not in refused]

    play(scenario())


def test_the_recipient_is_named_for_direct_messages(house: House) -> None:
    """R1.14, R4.11, [6.2-3]: whether he was there, and nothing for rooms."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            assert (await said(alice, post(user=bob.user))).recipient is Recipient.ONLINE
            assert (await said(alice, post(room="general"))).recipient is None
            async with calling(house.place) as away:
                await away.negotiate()
                user = somebody()
                assert await away.sign_up(user) == Ok()
            assert (await said(alice, post(user=user))).recipient is Recipient.OFFLINE

    house.run(scenario())


def test_own_messages_are_acknowledged_and_not_repeated(house: House) -> None:
    """R2.16, [6.2-4], [6.3-1], [6.3-2], [6.3-8]: the other device hears them as everybody does; nobody else does."""

    async def scenario() -> None:
        async with (
            entered(house.place) as alice,
            entered(house.place, user=alice.user) as other_device,
            entered(house.place) as bob,
            entered(house.place) as carol,
        ):
            extra = {33: {1: [b"kept"]}}
            pdu = post(user=bob.user, topic="t", reply=1, mentions=(bob.user,), sent=5, extra=extra)
            await said(alice, post("first", user=bob.user))
            posted = await said(alice, pdu)
            for peer in (bob, other_device):
                await text(peer)
                told = await text(peer)
                assert (told.room, told.seq, told.ts, told.epoch) == (posted.room, 2, posted.ts, posted.epoch)
                assert told.epoch is not None
                assert (told.sender, told.device) == (alice.user, alice.device)
                for name in ("cid", "text", "topic", "reply", "mentions", "sent", "extra"):
                    assert getattr(told, name) == getattr(pdu, name)
            for peer in (alice, carol):
                await peer.barrier()
                assert texts(peer) == []

    house.run(scenario())
