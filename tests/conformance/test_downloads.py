"""Files that the server shares, as they are listed and fetched; from the outside."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.share_memory import MemoryShare
from quicchat.wire import leaves
from quicchat.wire.chapters.files import FileAck, FileChunk, FileList, ListFiles, Mode, Part, Standing
from quicchat.wire.chapters.session import Ping, Pong, Purpose
from tests.conformance.files import PLENTY, begin, fetch, finish, get, given_up, idle, refused_get, some
from tests.conformance.house import play, simulated
from tests.conformance.peer import DATAGRAM, entered

SMALL = b"hello"
BIG = some(700_001)


def shelf() -> MemoryShare:
    return MemoryShare({"a udp": SMALL, "big.bin": BIG, "empty": b"", "minutes.txt": b"[FILE_END]minutes"})


def test_what_is_shared_is_listed_and_fetched() -> None:
    """R2.25, R2.26, R2.27, R2.37, [14.4-1], [14.4-2]: names, sizes and ids; all bytes, the end, and nothing else."""

    async def scenario() -> None:
        share = shelf()
        async with simulated(share=share) as place, entered(place) as alice:
            page = await alice.ask(ListFiles(limit=3))
            assert isinstance(page, FileList)
            assert [row[0] for row in page.files] == ["a udp", "big.bin", "empty"]
            rest = await alice.ask(ListFiles(limit=3, after=page.next))
            assert isinstance(rest, FileList)
            assert rest.next is None
            for name, size, _, _, file, standing, sender, place_in_log in (*page.files, *rest.files):
                data = share.files[name]
                assert (size, file, standing) == (len(data), leaves.of(data)[0], Standing.WHOLE)
                assert (sender, place_in_log) == ("", 0)
                for how in ({"name": name}, {"file": file}, {"name": name, "file": file}):
                    got = await fetch(alice, **how)
                    assert got.raw == data
                    (head,) = got.headers
                    assert (head.file, head.size, head.range, head.part) == (file, size, (0, size), Part.DATA)
                    assert (head.name, got.end.status, got.end.carried) == (name, 0, size)

    play(scenario())


def test_leaves_come_first_and_prove_what_follows() -> None:
    """[14.4-2], [14.4-3]: the digests of all chunks, whose root is the id, then the ranges that were asked for."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice:
            spans = ((10, 1), (262_143, 2), (600_000, 100_001))
            got = await fetch(alice, name="big.bin", ranges=spans, with_leaves=True)
            assert got.data == b"".join(BIG[start : start + size] for start, size in spans)
            assert [(each.part, each.range) for each in got.headers] == [
                (Part.LEAVES, (0, 32 * 3)),
                *((Part.DATA, span) for span in spans),
            ]
            assert leaves.root(len(BIG), leaves.CHUNK, got.leaves) == got.headers[0].file
            assert got.end.carried == 100_004
            empty = await fetch(alice, name="empty", with_leaves=True)
            assert (empty.raw, empty.end.carried) == (b"", 0)
            assert [each.part for each in empty.headers] == [Part.LEAVES, Part.DATA]

    play(scenario())


def test_what_cannot_be_fetched() -> None:
    """Z2, X3, [14.4-3], [14.4-4], [14.6-3]: refused with its code, before a byte has come; the stream ends in order."""

    async def scenario() -> None:
        share = shelf()
        async with simulated(share=share) as place, entered(place) as alice:
            for what, code in (
                ({"name": "nothing"}, Code.NO_SUCH_FILE),
                ({"file": bytes(32)}, Code.NO_SUCH_FILE),
                ({"name": "a udp", "file": bytes(32)}, Code.FILE_CHANGED),
                ({}, Code.SCHEMA),
                ({"name": "a udp", "ranges": ((0, 6),)}, Code.RANGE),
                ({"name": "a udp", "ranges": ((5, 1),)}, Code.RANGE),
                ({"name": "a udp", "ranges": ((0, 0),)}, Code.RANGE),
                ({"name": "a udp", "ranges": ((2, 2), (0, 1))}, Code.RANGE),
                ({"name": "a udp", "ranges": ((0, 2), (1, 2))}, Code.RANGE),
                ({"name": "big.bin", "ranges": ((1, 1_024),), "mode": Mode.FAST}, Code.RANGE),
                ({"name": "big.bin", "ranges": ((0, 1_000),), "mode": Mode.FAST}, Code.RANGE),
            ):
                assert await refused_get(alice, **what) == code, what
            sid = begin(alice, get(name="big.bin", credit=300_000))
            await idle(alice)
            share.files["big.bin"] = some(700_001, 1)
            alice.say(FileAck(credit=PLENTY, handle=1))
            assert await given_up(alice, sid) == Code.FILE_CHANGED

    play(scenario())


def test_credit_is_kept_to_the_byte() -> None:
    """[14.5-1], [14.5-2]: no byte beyond it, leaves included; it never becomes less; each handle has its own."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice:
            sid = begin(alice, get(name="big.bin", credit=100_000, with_leaves=True))
            other = begin(alice, get(name="big.bin", credit=0, handle=2))
            await idle(alice)
            assert len(alice.carried[sid]) == 100_000
            for credit, handle, came in ((100_001, 1, 100_001), (5, 1, 100_001), (200_000, 3, 100_001)):
                alice.say(FileAck(credit=credit, handle=handle))
                await idle(alice)
                assert len(alice.carried[sid]) == came
            assert alice.carried.get(other, b"") == b""
            for handle in (1, 2):
                alice.say(FileAck(credit=PLENTY, handle=handle))
            assert (await finish(alice, sid)).data == (await finish(alice, other)).data == BIG

    play(scenario())


def test_a_download_can_be_cancelled() -> None:
    """[14.4-5]: by STOP_SENDING; nothing more comes, and its handle and its place are free."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice:
            for _ in range(20):
                sid = begin(alice, get(name="big.bin", credit=70_000))
                await alice.until(lambda sid=sid: alice.carried.get(sid))  # type: ignore[misc]
                alice.link.stop(sid, Code.NO_ERROR)
                await idle(alice)
                alice.say(FileAck(credit=PLENTY, handle=1))
                await idle(alice)
                assert len(alice.carried[sid]) <= 70_000
            assert (await fetch(alice, name="big.bin")).data == BIG

    play(scenario())


def test_handles_and_places_are_few() -> None:
    """[14.4-6], [14.4-7], [8.5-1]: a handle in use is SCHEMA, a 17th transfer LIMIT, a second request misuse."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice:
            begun = [begin(alice, get(name="big.bin", credit=10, handle=number)) for number in range(16)]
            await idle(alice)
            assert await refused_get(alice, name="a udp", handle=99) == Code.LIMIT
            alice.link.stop(begun[15], Code.NO_ERROR)
            await idle(alice)
            assert await refused_get(alice, name="a udp", handle=3) == Code.SCHEMA
            assert (await fetch(alice, name="a udp", handle=99)).data == SMALL
            sid = alice.open(Purpose.FILE)
            for handle in (50, 51):
                alice.say(get(name="a udp", handle=handle), sid=sid, id=handle)
            assert await given_up(alice, sid) == Code.STREAM_MISUSE
            for number in range(15):
                alice.say(FileAck(credit=PLENTY, handle=number))
            for number in range(15):
                assert (await finish(alice, begun[number])).data == BIG

    play(scenario())


def test_chat_goes_on_meanwhile() -> None:
    """[14.5-4]: on a slow link, a PING is answered after a round trip and what 64 KiB take, not after the file."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice:
            assert place.network is not None
            place.network.window = 20_000
            loop = asyncio.get_running_loop()
            began = loop.time()
            sids = [begin(alice, get(name="big.bin", handle=number)) for number in range(3)]
            waits: list[float] = []
            while not all(sid in alice.finished for sid in sids):
                asked = loop.time()
                alice.say(Ping(nonce=len(waits) + 1000))
                await alice.hear(Pong, lambda pong: pong.nonce >= 1000)
                waits.append(loop.time() - asked)
                await asyncio.sleep(0.01)
            took = loop.time() - began
            assert len(waits) > 20
            # 20,000 bytes to a round trip of 20 ms: three streams with 64 KiB ahead of the answer would take 200 ms.
            assert max(waits) < 0.3 < took

    play(scenario())


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_fast_is_without_repair(loss: float) -> None:
    """R2.36, X7, [14.6-1], [14.6-2], [14.6-3]: pieces in datagrams, each once; what is lost is fetched by its range."""

    async def scenario() -> None:
        async with simulated(share=MemoryShare({"f": BIG[:61_000]})) as place, entered(place) as alice:
            assert place.network is not None
            place.network.loss = loss
            sid = begin(alice, get(name="f", mode=Mode.FAST, handle=5, with_leaves=True))
            await alice.until(lambda: sid in alice.finished or None, patience=60)
            await idle(alice)
            got = await finish(alice, sid)
            assert [(each.part, each.range) for each in got.headers] == [
                (Part.LEAVES, (0, 32)),
                (Part.PIECES, (0, 61_000)),
            ]
            assert (got.data, got.end.carried) == (b"", 61_000)
            pieces = [each.pdu for each in alice.heard if each.sid == DATAGRAM and isinstance(each.pdu, FileChunk)]
            assert {each.handle for each in pieces} == {5}
            held = {each.index: each.data for each in pieces}
            assert len(held) == len(pieces)
            assert all(data == BIG[1_024 * index : 61_000][:1_024] for index, data in held.items())
            lost = [index for index in range(60) if index not in held]
            assert (not lost) == (not loss)
            for index in lost:
                span = (1_024 * index, min(1_024, 61_000 - 1_024 * index))
                held[index] = (await fetch(alice, name="f", ranges=(span,), handle=6)).data
            assert b"".join(held[index] for index in sorted(held)) == BIG[:61_000]

    play(scenario())


def test_fast_heeds_credit_and_rate() -> None:
    """[14.6-2], [14.5-5]: whole pieces within the credit, and no faster than was asked for, in either mode."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice:
            sid = begin(alice, get(name="big.bin", mode=Mode.FAST, credit=5_000))
            await idle(alice)
            assert len(alice.all(FileChunk)) == 4
            alice.link.stop(sid, Code.NO_ERROR)
            loop = asyncio.get_running_loop()
            for mode in Mode:
                began = loop.time()
                sid = begin(alice, get(name="big.bin", ranges=((0, 102_400),), mode=mode, rate=20_480, handle=2))
                await alice.until(lambda sid=sid: sid in alice.finished or None)  # type: ignore[misc]
                assert 4.5 <= loop.time() - began <= 5.5
                await idle(alice)

    play(scenario())


def test_floods_of_chunks_from_a_client() -> None:
    """Q17: FILE_CHUNK is never a client's: dropped and counted, and fatal only beyond 1000 in a second."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice:
            for number in range(500):
                alice.whisper(FileChunk(handle=1, index=number, data=b"x"))
            assert (await fetch(alice, name="a udp")).data == SMALL
            for number in range(2_000):
                alice.whisper(FileChunk(handle=1, index=number, data=b"x"))
                if number % 10 == 0:
                    await asyncio.sleep(0.0001)
            assert await alice.fatal() == Code.RATE_LIMITED

    play(scenario())


def test_handles_are_of_one_connection() -> None:
    """[14.4-6]: another session's credit for a handle of the same number is none of mine."""

    async def scenario() -> None:
        async with simulated(share=shelf()) as place, entered(place) as alice, entered(place) as bob:
            sid = begin(alice, get(name="big.bin", credit=10))
            await idle(alice)
            bob.say(FileAck(credit=PLENTY, handle=1))
            await idle(bob)
            assert len(alice.carried[sid]) == 10

    play(scenario())
