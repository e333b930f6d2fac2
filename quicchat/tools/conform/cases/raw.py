"""Cases of chapter 2: raw bytes between frames. (spec 02-framing)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book, frame, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.files import ALONE
from quicchat.tools.conform.leaves import Parcel, some
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.transfer import MODE, PART, STREAM, Upload, fetch, header, offer, put, upload
from quicchat.tools.conform.verdict import check
from quicchat.tools.conform.ways import given_up

PARTIAL: Final = float(book().limits["partial"])


def _written(talk: Talk, parcel: Parcel, number: int) -> bytes:
    """All bytes of the stream of an upload: frames and raw bytes."""

    def part(kind: str, size: int, **more: Any) -> bytes:
        facts = {"file": parcel.id, "size": parcel.size, "chunk": parcel.chunk, "range": [0, size], "part": PART[kind]}
        return frame(write("FILE_HEADER", facts, version=talk.version, **more))

    opening = frame(write("STREAM_OPEN", {"kind": STREAM}, version=talk.version))
    leaves, data = parcel.leaves, parcel.data
    return opening + part("LEAVES", len(leaves), id=number) + leaves + part("DATA", len(data)) + data


async def _stored(talk: Talk, parcel: Parcel) -> None:
    check((await fetch(talk, parcel)).data == parcel.data, "a file came back with other bytes")


@case("2.6-1", "cut-anywhere", *ALONE, since=2)
async def cut_anywhere(bench: Bench) -> None:
    """Frames and raw bytes in pieces that end somewhere."""
    talk, parcel = await bench.uploader(), some(size=700)
    await offer(talk, parcel)
    up = Upload(talk, talk.line.open(), talk.next_id())
    data = _written(talk, parcel, up.number)
    for at in range(0, len(data), 11):
        talk.line.say(up.sid, data[at : at + 11])
        talk.line.flush()
    talk.line.say(up.sid, b"", fin=True)
    await up.end()
    await _stored(talk, parcel)


@case("2.6-1", "all-in-one", *ALONE, since=2)
async def all_in_one(bench: Bench) -> None:
    """The end of one and the beginning of the other in one packet."""
    talk, parcel = await bench.uploader(), some(size=700)
    await offer(talk, parcel)
    up = Upload(talk, talk.line.open(), talk.next_id())
    talk.line.say(up.sid, _written(talk, parcel, up.number), fin=True)
    await up.end()
    await _stored(talk, parcel)


@case("2.6-1", "bytes-that-look-like-frames", *ALONE, since=2)
async def alike(bench: Bench) -> None:
    """Their number alone tells what they are."""
    talk = await bench.uploader()
    inside = b"\0" + frame(write("BYE", {}, version=talk.version)) + b"\xff" * 8 + some(size=200).data
    parcel = Parcel(inside, 4096)
    await upload(talk, parcel)
    await _stored(talk, parcel)


@case("2.6-1", "slower-than-a-frame", *ALONE, since=2, slow=True)
async def slower(bench: Bench) -> None:
    """The deadline of frames is not theirs."""
    talk, parcel = await bench.uploader(), some(size=700)
    await offer(talk, parcel)
    up = Upload(talk, talk.line.open(), talk.next_id())
    data = _written(talk, parcel, up.number)
    talk.line.say(up.sid, data[:-300])
    for _ in range(3):
        await talk.ear.quietly(lambda: talk.line.closed, PARTIAL / 2)
        await talk.barrier()
    talk.line.say(up.sid, data[-300:], fin=True)
    await up.end()


@case("2.6-3", "X4-more-than-was-announced", *ALONE, since=2)
async def more(bench: Bench) -> None:
    """What is behind the last of them and no PDU is more of them."""
    for rest in (b"\0", b"\xff" * 40, frame(b"\xff"), frame(b"\x80")):
        talk, parcel = await bench.uploader(), some(size=700)
        await offer(talk, parcel)
        up = put(talk, parcel, fin=False)
        talk.line.say(up.sid, rest)
        await talk.gave_up(up.sid, "FRAME_TOO_LARGE")


@case("2.6-4", "X4-fewer-than-were-announced", *ALONE, since=2)
async def fewer(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some(size=700)
    await offer(talk, parcel)
    sid = talk.open(STREAM)
    header(talk, sid, parcel, "LEAVES", (0, len(parcel.leaves)), talk.next_id())
    talk.line.say(sid, parcel.leaves)
    header(talk, sid, parcel, "DATA", (0, parcel.size))
    talk.line.say(sid, parcel.data[:-1], fin=True)
    await given_up(talk, sid, "DIGEST")


@case("2.6-5", "no-place-for-a-refusal", *ALONE, since=2)
async def no_place(bench: Bench) -> None:
    """What is refused where the server owes raw bytes costs that stream."""
    talk, parcel = await bench.uploader(), some()
    await upload(talk, parcel)
    sid = talk.open(STREAM)
    fields: dict[str, Any] = {"file": parcel.id, "mode": MODE["RELIABLE"], "handle": 5, "credit": 100, "leaves": False}
    talk.say("FILE_GET", sid=sid, id=1, **fields)
    await talk.until(lambda: talk.raw.get(sid) or None, "the first bytes")
    talk.say("ECHO", sid=sid, id=2, data="x")
    await talk.gave_up(sid, "STREAM_MISUSE")
    await _stored(talk, parcel)
