"""Cases of chapter 14: files in datagrams, of which what is lost is fetched again. (spec 14-files)"""

from __future__ import annotations

from typing import Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.files import ALONE
from quicchat.tools.conform.cases.transfers import here, parts
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.leaves import Parcel
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.transfer import MODE, PART, fetch, fetched, get, not_given
from quicchat.tools.conform.verdict import check, same

#: Bytes of a piece.
PIECE: Final = 1024


async def pieces(
    talk: Talk, parcel: Parcel, ranges: list[list[int]] | None = None
) -> tuple[list[Heard], dict[int, bytes]]:
    """A download in datagrams that is over: what came on the stream, and the pieces that were not lost."""
    handle = talk.next_id()
    sid = get(talk, parcel, mode=MODE["FAST"], handle=handle, ranges=ranges, leaves=True)
    got = await fetched(talk, sid)
    await talk.barrier()
    found = {each["index"]: each["data"] for each in talk.all("FILE_CHUNK") if each["handle"] == handle}
    return got.headers, found


@case("14.6-1", "pieces-in-datagrams", *ALONE, "datagrams", since=2)
async def in_datagrams(bench: Bench) -> None:
    talk, parcel = await here(bench)
    headers, found = await pieces(talk, parcel)
    wanted = [(PART["LEAVES"], [0, len(parcel.leaves)]), (PART["PIECES"], [0, parcel.size])]
    same(parts(headers), wanted, "the parts of a fast download")
    check(found, "no piece came")
    for index, data in found.items():
        same(data == parcel.data[index * PIECE : (index + 1) * PIECE], True, f"whether piece {index} is right")
    # What is lost is fetched by its ranges.
    missing = [index for index in range(-(-parcel.size // PIECE)) if index not in found] or [3]
    spans = [[index * PIECE, min(PIECE, parcel.size - index * PIECE)] for index in missing[:64]]
    got = await fetch(talk, parcel, ranges=spans)
    same(got.data, b"".join(parcel.data[start : start + size] for start, size in spans), "what was missing")


@case("14.6-2", "pieces-within-the-credit", *ALONE, "datagrams", since=2)
async def fast_credit(bench: Bench) -> None:
    talk, parcel = await here(bench)
    sid = get(talk, parcel, mode=MODE["FAST"], handle=7, credit=2 * PIECE + 100)
    await talk.until(lambda: talk.ear.find(lambda each: each.sid == sid), "a FILE_HEADER")
    for _ in range(3):
        await talk.barrier()
    indexes = [each["index"] for each in talk.all("FILE_CHUNK") if each["handle"] == 7]
    check(len(indexes) <= 2 and set(indexes) <= {0, 1}, f"with credit for two pieces came {indexes}")
    check(sid not in talk.ended, "the download ended before all pieces had left")
    talk.say("FILE_ACK", credit=1 << 30, handle=7)
    await fetched(talk, sid)


@case("14.6-3", "ranges-of-no-pieces", *ALONE, "datagrams", since=2)
async def no_pieces(bench: Bench) -> None:
    talk, parcel = await here(bench)
    for spans in ([[1, 1024]], [[0, 1000]], [[1024, 1023]]):
        await not_given(talk, "RANGE", parcel=parcel, ranges=spans, mode=MODE["FAST"])
    headers, found = await pieces(talk, parcel, [[PIECE, PIECE], [19 * PIECE, parcel.size - 19 * PIECE]])
    same([each["range"] for each in headers[1:]], [[1024, 1024], [19_456, 544]], "the ranges that were announced")
    check(set(found) <= {1, 19}, f"pieces {sorted(found)} came")
