"""Cases of chapter 14: bytes on streams, and how fast they may come. (spec 14-files)"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.files import ALONE, FILES
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.leaves import Parcel, some
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.transfer import (
    MODE,
    PART,
    STREAM,
    Span,
    fetch,
    fetched,
    get,
    header,
    name,
    not_given,
    offer,
    put,
    upload,
)
from quicchat.tools.conform.verdict import WrongCode, check, same


async def here(bench: Bench, size: int = 20_000) -> tuple[Talk, Parcel]:
    """Somebody, and a file that he has uploaded."""
    talk, parcel = await bench.uploader(), some(size)
    await upload(talk, parcel)
    return talk, parcel


def parts(headers: list[Any]) -> list[tuple[int, list[int]]]:
    return [(each["part"], each["range"]) for each in headers]


# Downloads


@case("14.4-1", "header-bytes-end", *ALONE, since=2)
async def header_bytes_end(bench: Bench) -> None:
    talk, parcel = await here(bench)
    got = await fetch(talk, parcel)
    (head,) = got.headers
    same((head["file"], head["size"], head["chunk"]), (parcel.id, parcel.size, parcel.chunk), "FILE_HEADER")
    same((got.data == parcel.data, got.end["carried"]), (True, parcel.size), "the bytes, and how many were carried")


@case("14.4-2", "leaves-first-then-ranges", *ALONE, since=2)
async def leaves_first(bench: Bench) -> None:
    talk, parcel = await here(bench)
    spans = [[10, 1], [4095, 2], [12_000, 8_000]]
    got = await fetch(talk, parcel, ranges=spans, leaves=True)
    wanted = [(PART["LEAVES"], [0, len(parcel.leaves)]), *((PART["DATA"], span) for span in spans)]
    same(parts(got.headers), wanted, "the parts of a download")
    same(got.leaves, parcel.leaves, "the leaves")
    same(got.data, b"".join(parcel.data[start : start + size] for start, size in spans), "the bytes of the ranges")
    same(got.end["carried"], 8_003, "the bytes of the ranges, without leaves")


@case("14.4-3", "ranges-that-are-none", *ALONE, since=2)
async def no_ranges(bench: Bench) -> None:
    talk, parcel = await here(bench)
    for spans in ([[0, 0]], [[0, 20_001]], [[20_000, 1]], [[8, 2], [0, 1]], [[0, 2], [1, 2]]):
        await not_given(talk, "RANGE", parcel=parcel, ranges=spans)
    await not_given(talk, "SCHEMA")


@case("14.4-4", "what-cannot-be-read", *ALONE, since=2)
async def unreadable(bench: Bench) -> None:
    talk = await bench.friend()
    await not_given(talk, "NO_SUCH_FILE", parcel=some())


@case("14.4-5", "a-client-that-wants-no-more", *ALONE, since=2)
async def no_more(bench: Bench) -> None:
    talk, parcel = await here(bench)
    sid = get(talk, parcel, credit=4096)
    await talk.until(lambda: len(talk.raw.get(sid, b"")) == 4096 or None, "4096 bytes")
    handle = talk._number
    talk.line.stop(sid, 0x100)
    await talk.barrier()
    talk.say("FILE_ACK", credit=1 << 30, handle=handle)
    await talk.barrier()
    same(len(talk.raw[sid]), 4096, "how much came")
    # The handle is free again.
    same((await fetch(talk, parcel, handle=handle)).data == parcel.data, True, "whether it can be fetched again")


@case("14.4-6", "a-handle-that-is-taken", *ALONE, since=2)
async def handle_taken(bench: Bench) -> None:
    talk, parcel = await here(bench)
    sid = get(talk, parcel, credit=0, handle=7)
    await talk.until(lambda: talk.ear.find(lambda each: each.sid == sid), "a FILE_HEADER")
    await not_given(talk, "SCHEMA", parcel=parcel, handle=7)
    talk.say("FILE_ACK", credit=1 << 30, handle=7)
    same((await fetched(talk, sid)).data == parcel.data, True, "whether the first goes on")


@case("14.4-7", "one-request-on-a-stream", *ALONE, since=2)
async def one_request(bench: Bench) -> None:
    talk, parcel = await here(bench)
    sid = talk.open(STREAM)
    for number in (1, 2):
        facts: dict[str, Any] = {"file": parcel.id, "mode": MODE["RELIABLE"], "credit": 0, "leaves": False}
        talk.say("FILE_GET", sid=sid, id=number, handle=number, **facts)
    await talk.gave_up(sid, "STREAM_MISUSE")


@case("14.5-1", "not-a-byte-beyond-the-credit", *ALONE, since=2)
async def credit(bench: Bench) -> None:
    talk, parcel = await here(bench)
    sid = get(talk, parcel, credit=5000, handle=7, leaves=True)
    for said, came in ((None, 5000), (5001, 5001), (9000, 9000)):
        if said is not None:
            talk.say("FILE_ACK", credit=said, handle=7)
            # Credit is never taken back, and one download's is not another's.
            talk.say("FILE_ACK", credit=10, handle=7)
            talk.say("FILE_ACK", credit=1 << 30, handle=8)
        await talk.until(lambda came=came: len(talk.raw.get(sid, b"")) >= came or None, f"{came} bytes")  # type: ignore[misc]  # the default binds it now
        await talk.barrier()
        same(len(talk.raw[sid]), came, "how much came")
    talk.say("FILE_ACK", credit=1 << 30, handle=7)
    got = await fetched(talk, sid)
    same((got.leaves, got.data == parcel.data), (parcel.leaves, True), "leaves and bytes")


@case("14.5-5", "no-faster-than-asked", *ALONE, since=2)
async def rate(bench: Bench) -> None:
    talk, parcel = await here(bench)
    loop = asyncio.get_running_loop()
    began = loop.time()
    got = await fetch(talk, parcel, rate=parcel.size)
    # Of one second of it a tenth may come at once.
    took = loop.time() - began
    check(took >= 0.85, f"{parcel.size} bytes came within {took:.2f} s, at a rate of as many in a second")
    same(got.data == parcel.data, True, "whether they are right")


# Uploads


@case("14.4-8", "the-end-of-an-upload", *ALONE, since=2)
async def end_of_upload(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some()
    await offer(talk, parcel)
    end = await put(talk, parcel, (4096, 8192)).end()
    same(end["carried"], 8192, "how many bytes were stored")
    same(end["missing"], [[0, 4096], [12_288, parcel.size - 12_288]], "what is missing")
    end = await put(talk, parcel, (0, 4096), (12_288, parcel.size - 12_288), with_leaves=False).end()
    same(end["missing"] or [], [], "what is missing")
    same((await fetch(talk, parcel)).data == parcel.data, True, "whether it came back as it went")
    same((await put(talk, parcel, (0, 0), with_leaves=False).end())["carried"], 0, "what an empty part carried")


@case("14.4-8", "what-was-not-granted", *FILES, since=2)
@case("14.4-9", "what-is-under-way-is-passed-over", *FILES, since=2)
async def not_granted(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    parcel = some()
    await offer(one, parcel)
    up = put(other, parcel)
    found = await other.answer(up.number)
    other.check_refusal(found, "NO_SUCH_FILE")
    # Everything that is under way behind it is passed over (14.4-9).
    await other.barrier()
    await upload(other, some())
    await put(one, parcel).end()


@case("14.4-8", "another-size", *ALONE, since=2)
async def another_size(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some()
    await offer(talk, parcel)
    for facts in ({"size": parcel.size + 1}, {"chunk": 8192}):
        sid, number = talk.open(STREAM), talk.next_id()
        wrong = {**parcel.facts, **facts}
        talk.say("FILE_HEADER", sid=sid, id=number, range=[0, 32], part=PART["LEAVES"], **wrong)
        talk.line.say(sid, bytes(32), fin=True)
        talk.check_refusal(await talk.answer(number), "DIGEST")
        await talk.barrier()
    await talk.done("FILE_CANCEL", file=parcel.id)


async def broken(talk: Talk, parcel: Parcel, code: str, *said: tuple[str, Span, bytes]) -> None:
    """Send parts that are none; the stream is given up, and everything else goes on."""
    sid, number = talk.open(STREAM), talk.next_id()
    for at, (part, span, data) in enumerate(said):
        header(talk, sid, parcel, part, span, None if at else number)
        talk.line.say(sid, data)
    talk.line.say(sid, b"", fin=True)
    # Our half may have ended before the server could ask for that, so nothing is said of STOP_SENDING.
    await talk.until(lambda: talk.given_up.get(sid), f"RESET_STREAM on stream {sid}")
    if (found := book().code(talk.given_up[sid])) != code:
        raise WrongCode(f"the stream was given up with {found}, not with {code}")
    await talk.barrier()


@case("14.4-10", "parts-that-begin-anywhere", *ALONE, since=2)
async def anywhere(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some()
    await offer(talk, parcel)
    leaves = ("LEAVES", (0, len(parcel.leaves)), parcel.leaves)
    data = parcel.data
    await broken(talk, parcel, "RANGE", leaves, ("DATA", (1, 4096), data[1:4097]))
    await broken(talk, parcel, "RANGE", leaves, ("DATA", (0, 2048), data[:2048]))
    await broken(talk, parcel, "RANGE", leaves, ("DATA", (16_384, 4096), data[16_384:] + bytes(480)))
    await broken(talk, parcel, "RANGE", ("LEAVES", (0, 32), parcel.leaves[:32]))
    await put(talk, parcel).end()


@case("14.4-10", "parts-of-another-file", *ALONE, since=2)
async def another_file(bench: Bench) -> None:
    talk, parcel, other = await bench.uploader(), some(), some()
    for each in (parcel, other):
        await offer(talk, each)
    await broken(talk, parcel, "STREAM_MISUSE", ("PIECES", (0, 4096), b""))
    sid = talk.open(STREAM)
    header(talk, sid, parcel, "LEAVES", (0, len(parcel.leaves)), talk.next_id())
    talk.line.say(sid, parcel.leaves)
    header(talk, sid, other, "LEAVES", (0, len(other.leaves)))
    talk.line.say(sid, other.leaves)
    await talk.gave_up(sid, "STREAM_MISUSE")
    for each in (parcel, other):
        await put(talk, each).end()


@case("14.4-11", "bytes-that-are-not-the-file", *ALONE, since=2)
async def not_the_file(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some()
    await offer(talk, parcel)
    leaves = ("LEAVES", (0, len(parcel.leaves)), parcel.leaves)
    whole = (0, parcel.size)
    await broken(talk, parcel, "DIGEST", ("LEAVES", (0, len(parcel.leaves)), bytes(len(parcel.leaves))))
    await broken(talk, parcel, "DIGEST", ("DATA", (0, 4096), parcel.data[:4096]))
    await broken(talk, parcel, "DIGEST", leaves, ("DATA", (0, 4096), parcel.data[1:4097]))
    await broken(talk, parcel, "DIGEST", leaves, ("DATA", whole, parcel.data[:-1]))
    await broken(talk, parcel, "FRAME_TOO_LARGE", leaves, ("DATA", whole, parcel.data + b"\x00"))
    same((await offer(talk, parcel))["whole"], False, "whether such a file is whole")
    await put(talk, parcel).end()
    same((await fetch(talk, parcel)).data == parcel.data, True, "whether the right bytes came back as they went")


@case("14.4-11", "what-was-verified-stays", *ALONE, since=2)
async def stays(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some()
    await offer(talk, parcel)
    leaves = ("LEAVES", (0, len(parcel.leaves)), parcel.leaves)
    wrong = parcel.data[:4096] + bytes(4096)
    await broken(talk, parcel, "DIGEST", leaves, ("DATA", (0, 8192), wrong))
    same((await offer(talk, parcel))["have"], [[0, 4096]], "what is here after the second chunk was wrong")
    end = await put(talk, parcel, (4096, parcel.size - 4096), with_leaves=False).end()
    same(end["missing"] or [], [], "what is missing of an upload that went on from there")


@case("14.3-9", "an-upload-goes-on", *ALONE, since=2)
async def goes_on(bench: Bench) -> None:
    who, parcel = bench.target.uploader(), some()
    talk = await bench.ready(who)
    await offer(talk, parcel)
    up = put(talk, parcel, (0, 8192), fin=False)

    def verified() -> bool | None:
        acks = [each for each in talk.all("FILE_ACK") if each.sid == up.sid]
        return sum(size for ack in acks for _, size in ack["verified"] or ()) == 8192 or None

    await talk.until(verified, "FILE_ACK for two chunks")
    talk.line.reset(up.sid, 0x100)
    talk.line.close(0x100)
    again = await bench.friend(who)
    same((await offer(again, parcel))["have"], [[0, 8192]], "what is here after the connection ended")
    two = [put(again, parcel, span, with_leaves=False) for span in ((8192, 4096), (12_288, parcel.size - 12_288))]
    ends = [await each.end() for each in two]
    same([each["carried"] for each in ends], [4096, parcel.size - 12_288], "what two streams at once carried")
    check((await offer(again, parcel))["whole"], "the file is not whole")
    same((await fetch(again, parcel)).data == parcel.data, True, "whether it came back as it went")


@case("14.3-10", "a-reader-behind-the-writer", *FILES, since=2)
async def behind(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    parcel = some()
    await offer(one, parcel, user=other.user)
    await name(one, parcel, user=other.user)
    sid = get(other, parcel)
    await put(one, parcel, (0, 8192)).end()
    await other.until(lambda: len(other.raw.get(sid, b"")) >= 8192 or None, "the first two chunks")
    same(bytes(other.raw[sid]) == parcel.data[:8192], True, "whether the first chunks are right")
    await put(one, parcel, (8192, parcel.size - 8192), with_leaves=False).end()
    same((await fetched(other, sid)).data == parcel.data, True, "whether all of it came")


@case("14.3-10", "a-reader-of-what-is-given-up", *FILES, since=2)
async def given_up(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    parcel = some()
    await offer(one, parcel, user=other.user)
    await name(one, parcel, user=other.user)
    sid = get(other, parcel)
    await put(one, parcel, (0, 4096)).end()
    await other.until(lambda: len(other.raw.get(sid, b"")) >= 4096 or None, "the first chunk")
    await one.done("FILE_CANCEL", file=parcel.id)
    await other.until(lambda: other.given_up.get(sid), "RESET_STREAM")
    if (code := book().code(other.given_up[sid])) != "NO_SUCH_FILE":
        raise WrongCode(f"the stream was given up with {code}, not with NO_SUCH_FILE")
    await not_given(other, "NO_SUCH_FILE", parcel=parcel)


@case("14.5-7", "what-is-verified-is-told-once", *ALONE, since=2)
async def told_once(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some(200_000, 8192)
    grant = await offer(talk, parcel)
    sid, number = talk.open(STREAM), talk.next_id()
    # Chunk by chunk, as the credit allows.
    header(talk, sid, parcel, "LEAVES", (0, len(parcel.leaves)), number)
    talk.line.say(sid, parcel.leaves)
    header(talk, sid, parcel, "DATA", (0, parcel.size))
    sent, spent = 0, len(parcel.leaves)

    def acks() -> list[Heard]:
        return [each for each in talk.all("FILE_ACK") if each.sid == sid]

    while sent < parcel.size:
        given = max([grant["credit"], *(each["credit"] for each in acks())])
        size = min(given - spent, parcel.size - sent)
        if size <= 0:
            count = len(acks())
            await talk.until(lambda count=count: len(acks()) > count or None, "more credit")  # type: ignore[misc]  # the default binds it now
            continue
        talk.line.say(sid, parcel.data[sent : sent + size])
        sent, spent = sent + size, spent + size
    talk.line.say(sid, b"", fin=True)
    end = await talk.answer(number)
    same((end.pdu.name, end["missing"] or []), ("FILE_END", []), "the end of the upload")
    before = talk.heard[: talk.heard.index(end)]
    spans = [span for each in acks() if each in before for span in each["verified"] or ()]
    same(sum(size for _, size in spans), parcel.size, "how many bytes were told as verified before FILE_END")
    starts = sorted((start, start + size) for start, size in spans)
    check(all(a[1] <= b[0] for a, b in itertools.pairwise(starts)), "a range was told twice")
    credits = [each["credit"] for each in acks()]
    same(credits, sorted(credits), "the credit, which never becomes less")
