"""Transfers under hard conditions: readers behind writers, failing disks, stalls, and ends of all kinds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quicchat.errors import Code, Refused
from quicchat.server.model import FIRST_CREDIT
from quicchat.server.uploads import WINDOW
from quicchat.wire import leaves
from quicchat.wire.chapters.files import (
    FileAck,
    Mode,
    Offer,
    Part,
)
from quicchat.wire.chapters.session import Bye, Error, Ping, Pong, Purpose
from tests.conformance.disks import Failing, Stuck
from tests.conformance.files import (
    CHUNK,
    answered,
    begin,
    finish,
    get,
    given_up,
    header,
    idle,
    naming,
    offer,
    put,
    refused_get,
    some,
    upload,
)
from tests.conformance.house import play, simulated
from tests.conformance.peer import Peer, entered
from tests.conformance.talk import said

DATA = some(10 * CHUNK + 100)


def test_readers_follow_the_writer() -> None:
    """[14.3-10]: what is still being uploaded is passed on, each chunk as soon as it has proved itself."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob:
            await offer(alice, DATA, user=bob.user)
            await said(alice, naming(DATA, user=bob.user))
            file, digests = leaves.of(DATA, CHUNK)
            reading = [
                begin(bob, get(file=file, handle=mode, mode=mode, with_leaves=mode is Mode.RELIABLE)) for mode in Mode
            ]
            sid = alice.open(Purpose.FILE)
            await idle(bob)
            assert bob.carried == {}
            alice.say(header(DATA, Part.LEAVES, (0, len(digests))), sid=sid, id=9)
            alice.raw(digests, sid=sid)
            for number in range(11):
                chunk = DATA[CHUNK * number :][:CHUNK]
                alice.say(header(DATA, Part.DATA, (CHUNK * number, len(chunk))), sid=sid)
                alice.raw(chunk[:50], sid=sid)
                await idle(bob)
                assert bob.carried[reading[0]] == digests + DATA[: CHUNK * number]
                alice.raw(chunk[50:], sid=sid)
                await idle(bob)
                assert bob.carried[reading[0]] == digests + DATA[: CHUNK * number + len(chunk)]
            assert (await finish(bob, reading[0])).data == DATA
            assert reading[1] in bob.finished
            alice.raw(b"", sid=sid, fin=True)
            assert (await answered(alice, sid)).carried == len(DATA)

    play(scenario())


def test_more_than_the_credit_is_a_fault() -> None:
    """X6, P7, [14.5-2]: all uploads together have 4 MiB under way at most; one byte more is LIMIT for that stream."""

    async def scenario() -> None:
        async with simulated(blobs=Stuck()) as place, entered(place) as alice:
            data = some(300 * CHUNK)
            grant = await offer(alice, data)
            assert grant.credit == FIRST_CREDIT
            sids = [alice.open(Purpose.FILE) for _ in range(16)]
            for sid in sids:
                alice.say(header(data, Part.DATA, (0, len(data))), sid=sid, id=9)
                alice.raw(data[: grant.credit], sid=sid)
            await idle(alice)
            credits = [max(each.pdu.credit for each in alice.heard if each.sid == sid) for sid in sids]  # type: ignore[attr-defined]
            for sid, credit in zip(sids, credits, strict=True):
                alice.raw(data[grant.credit : credit], sid=sid)
            await idle(alice)
            assert alice.given_up == {}
            assert credits[0] <= WINDOW
            assert sum(credits) <= 4 * WINDOW + 16 * CHUNK
            alice.raw(b"x", sid=sids[3])
            assert await given_up(alice, sids[3]) == Code.LIMIT
            assert list(alice.given_up) == [sids[3]]

    play(scenario())


def test_an_upload_that_stops_is_given_up() -> None:
    """[14.5-6]: LIMIT after a minute without a byte, empty parts or not; what was verified stays."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            await offer(alice, DATA)
            sid = alice.open(Purpose.FILE)
            put(alice, sid, DATA, (0, CHUNK), fin=False)
            for _ in range(11):
                await asyncio.sleep(5)
                alice.say(Ping(nonce=2))
                alice.say(header(DATA, Part.DATA, (0, 0)), sid=sid)
            assert sid not in alice.given_up
            await asyncio.sleep(6)
            assert await given_up(alice, sid) == Code.LIMIT
            assert (await offer(alice, DATA)).have == ((0, CHUNK),)

    play(scenario())


def refusal(peer: Peer, sid: int) -> int:
    """The code of the ERROR on a stream, or 0."""
    return next((each.pdu.code for each in peer.heard if each.sid == sid and isinstance(each.pdu, Error)), 0)


async def _ask(peer: Peer, pdu: Any) -> None:
    """Ask again until it is no longer refused."""
    while isinstance(answer := await peer.ask(pdu), Error):
        assert answer.code == Code.STORE_UNAVAILABLE


@pytest.mark.parametrize("at", range(1, 32))
def test_whatever_fails_can_be_tried_again(at: int) -> None:
    """D3, X10, P8, [14.4-11]: the n-th use of the disk fails: a request or stream ends, and is tried again."""

    async def scenario() -> None:
        blobs = Failing(at, Refused(Code.STORE_UNAVAILABLE))
        async with simulated(blobs=blobs) as place, entered(place) as alice:
            file = leaves.of(DATA, CHUNK)[0]
            whole = Offer(size=len(DATA), chunk=CHUNK, file=file)
            await _ask(alice, whole)
            codes: list[int] = [Code.STORE_UNAVAILABLE]
            while codes[-1]:
                sid = alice.open(Purpose.FILE)
                put(alice, sid, DATA)
                await alice.until(lambda sid=sid: sid in alice.finished or sid in alice.given_up or None)  # type: ignore[misc]
                codes.append(alice.given_up.get(sid, 0) or refusal(alice, sid))
                await _ask(alice, whole)
            assert set(codes) <= {0, Code.STORE_UNAVAILABLE}
            assert len(codes) <= 3
            got = b""
            for _ in range(3):
                sid = begin(alice, get(file=file, with_leaves=True))
                await alice.until(lambda sid=sid: sid in alice.finished or sid in alice.given_up or None)  # type: ignore[misc]
                got = got or bytes(alice.carried.get(sid, b"")) * (sid in alice.finished)
            assert got[32 * 11 :] == DATA
            assert blobs.left <= 0
            alice.say(Ping(nonce=5))
            await alice.hear(Pong, lambda pong: pong.nonce == 5)

    play(scenario())


def test_a_bug_ends_one_connection() -> None:
    """Q27: whatever else leaves the disk's adapter is INTERNAL for who met it, and nothing for others."""

    async def scenario() -> None:
        for at in (2, 3, 5):
            blobs = Failing(at, ZeroDivisionError())
            async with simulated(blobs=blobs) as place, entered(place) as alice, entered(place) as bob:
                await offer(alice, DATA)
                put(alice, alice.open(Purpose.FILE), DATA)
                assert await alice.fatal() == Code.INTERNAL
                await bob.barrier()
                await offer(bob, DATA)
                assert (await upload(bob, DATA)).missing is None

    play(scenario())


def test_who_leaves_takes_his_transfers_along() -> None:
    """[3.5-2]: BYE ends what cannot go on, at once; an upload that has come whole is finished first."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            await offer(alice, DATA)
            assert (await upload(alice, DATA)).missing is None
            begin(alice, get(file=leaves.of(DATA, CHUNK)[0], credit=10))
            other = some(5_000)
            await offer(alice, other)
            put(alice, alice.open(Purpose.FILE), other, (0, CHUNK), fin=False)
            await idle(alice)
            last = alice.open(Purpose.FILE)
            put(alice, last, other, (CHUNK, 5_000 - CHUNK), with_leaves=False)
            await asyncio.sleep(0.012)
            began = asyncio.get_running_loop().time()
            alice.say(Bye())
            assert (await answered(alice, last)).carried == 5_000 - CHUNK
            assert (await alice.end()).code == Code.NO_ERROR
            assert asyncio.get_running_loop().time() - began < 1.0

    play(scenario())


def test_the_server_lets_transfers_finish_before_it_stops() -> None:
    """[3.5-5]: what runs when GOAWAY comes may finish, for five seconds; what is asked after it is refused."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            await offer(alice, DATA)
            assert (await upload(alice, DATA)).missing is None
            file = leaves.of(DATA, CHUNK)[0]
            sid = begin(alice, get(file=file, credit=10))
            await idle(alice)
            assert place.door is not None
            for session in place.door.router:
                session.drain("over")
            await asyncio.sleep(2)
            assert alice.closed is None
            assert await refused_get(alice, file=file, handle=2) == Code.DRAINING
            alice.say(FileAck(credit=1 << 30, handle=1))
            assert (await finish(alice, sid)).data == DATA
            assert (await alice.end()).code == Code.DRAINING

    play(scenario())
