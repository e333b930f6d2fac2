"""How cases offer, send and fetch files. (spec 14-files)"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from quicchat.tools.conform import chat
from quicchat.tools.conform.book import annotated, book, choices
from quicchat.tools.conform.ear import PATIENCE, Heard
from quicchat.tools.conform.leaves import Parcel
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, check, same
from quicchat.values import dataclass

#: What a stream is for (3.7).
STREAM: Final = 3
PART: Final = choices("FILE_HEADER", "part")
MODE: Final = choices("FILE_GET", "mode")
#: More credit than any case needs.
PLENTY: Final = 1 << 30
#: How often an offer is made while too many others are under way.
TURNS: Final = 25
Span = tuple[int, int]


async def offer(talk: Talk, parcel: Parcel, **to: Any) -> Heard:
    """FILE_GRANT for a file that is offered; where too many are under way (14.3-6) it waits for a while."""
    found = await talk.patiently("FILE_OFFER", **parcel.facts, **to)
    for _ in range(TURNS):
        if found.pdu.name != "ERROR" or book().code(found["code"]) != "LIMIT":
            break
        await asyncio.sleep(PATIENCE / TURNS)
        found = await talk.patiently("FILE_OFFER", **parcel.facts, **to)
    if found.pdu.name != "FILE_GRANT":
        raise Failed(f"FILE_OFFER was answered by {annotated(found.pdu.data)}")
    same(found["file"], parcel.id, "the file of FILE_GRANT")
    return found


def header(talk: Talk, sid: int, parcel: Parcel, part: str, span: Span, id: int | None = None) -> None:
    """Say what follows on a stream."""
    talk.say("FILE_HEADER", sid=sid, id=id, range=list(span), part=PART[part], **parcel.facts)


@dataclass(frozen=True, slots=True)
class Upload:
    """One stream of an upload; `number` is the id of its request."""

    talk: Talk
    sid: int
    number: int

    async def end(self) -> Heard:
        """FILE_END."""
        found = await self.talk.answer(self.number)
        same((found.pdu.name, found.sid), ("FILE_END", self.sid), "the answer to an upload, and its stream")
        same(found["status"], 0, "the status of FILE_END")
        return found


def put(
    talk: Talk, parcel: Parcel, *spans: Span, leaves: bytes | None = None, with_leaves: bool = True, fin: bool = True
) -> Upload:
    """Send a file, or parts of it, on a stream of its own; nothing is awaited, no credit looked at."""
    sid, number = talk.open(STREAM), talk.next_id()
    first: int | None = number
    if with_leaves:
        known = parcel.leaves if leaves is None else leaves
        header(talk, sid, parcel, "LEAVES", (0, len(known)), first)
        talk.line.say(sid, known)
        first = None
    for start, size in spans or ((0, parcel.size),):
        header(talk, sid, parcel, "DATA", (start, size), first)
        talk.line.say(sid, parcel.data[start : start + size])
        first = None
    if fin:
        talk.line.say(sid, b"", fin=True)
    return Upload(talk, sid, number)


async def upload(talk: Talk, parcel: Parcel, **to: Any) -> Heard:
    """Offer a file and send all of it; FILE_END. It is small enough for the first credit."""
    grant = await offer(talk, parcel, **to)
    check(grant["credit"] >= parcel.size + len(parcel.leaves), f"the first credit is {grant['credit']} bytes only")
    found = await put(talk, parcel).end()
    same((found["carried"], found["missing"] or []), (parcel.size, []), "carried and missing of a whole upload")
    return found


async def name(talk: Talk, parcel: Parcel, text: str = "a b.pdf", **to: Any) -> Heard:
    """Say a message that names a file; its MSG_ACK."""
    return await chat.post(talk, text, kind=chat.KIND["FILE"], attachments=[row(parcel, text)], **to)


def row(parcel: Parcel, name: str = "a b.pdf", media: str = "application/pdf") -> list[Any]:
    """A file as messages name it."""
    return [parcel.id, parcel.size, media, name, 1_700_000_000_000]


def get(talk: Talk, parcel: Parcel | None = None, **fields: Any) -> int:
    """Ask for a file; the stream on which it comes."""
    sid = talk.open(STREAM)
    named = {} if parcel is None else {"file": parcel.id}
    usual = {"mode": MODE["RELIABLE"], "handle": talk.next_id(), "credit": PLENTY, "leaves": False}
    talk.say("FILE_GET", sid=sid, id=1, **{**usual, **named, **fields})
    talk.line.say(sid, b"", fin=True)
    return sid


@dataclass(frozen=True, slots=True)
class Fetched:
    """A download that is over: its headers, the raw bytes behind them, FILE_END."""

    headers: list[Heard]
    raw: bytes
    end: Heard

    @property
    def leaves(self) -> bytes:
        return self.raw[: sum(each["range"][1] for each in self.headers if each["part"] == PART["LEAVES"])]

    @property
    def data(self) -> bytes:
        return self.raw[len(self.leaves) :]


async def fetched(talk: Talk, sid: int) -> Fetched:
    """All of what was asked for. Raises Failed where it does not come, or not as 14.4-1 says."""
    await talk.until(lambda: sid in talk.ended or sid in talk.given_up or None, "the end of a download")
    said = [each for each in talk.heard if each.sid == sid]
    if sid in talk.given_up or not said or said[-1].pdu.name != "FILE_END":
        raise Failed(f"a download ended without FILE_END: {[each.pdu.name for each in said]}")
    same(said[0].pdu.re, 1, "the request that the first PDU answers")
    same(said[-1]["status"], 0, "the status of FILE_END")
    headers = [each for each in said if each.pdu.name == "FILE_HEADER"]
    return Fetched(headers, bytes(talk.raw.get(sid, b"")), said[-1])


async def fetch(talk: Talk, parcel: Parcel | None = None, **fields: Any) -> Fetched:
    """Ask for a file, and wait for all of it."""
    return await fetched(talk, get(talk, parcel, **fields))


async def not_given(talk: Talk, *codes: str, parcel: Parcel | None = None, **fields: Any) -> None:
    """Ask for what is refused; everything else goes on. Raises Failed, WrongCode."""
    sid = get(talk, parcel, **fields)
    found = await talk.until(lambda: talk.ear.find(lambda each: each.sid == sid), "an answer to FILE_GET")
    talk.check_refusal(found, *codes)
    same(found.pdu.re, 1, "the request that the refusal answers")
    await talk.barrier()
