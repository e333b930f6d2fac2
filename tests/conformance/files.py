"""What conformance cases say about files: offers, uploads and downloads, byte by byte. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from quicchat.wire import leaves
from quicchat.wire.chapters.files import (
    FileEnd,
    FileHeader,
    GetFile,
    Grant,
    Mode,
    Offer,
    Part,
    Range,
)
from quicchat.wire.chapters.messages import Kind, Post
from quicchat.wire.chapters.session import Error, Purpose
from tests.conformance.peer import Peer
from tests.conformance.talk import post

CHUNK = 4_096
PLENTY = 1 << 30


def some(size: int, seed: int = 0) -> bytes:
    """Bytes of which no two chunks are the same."""
    return b"".join((number + seed * 10_000_019).to_bytes(8, "big") for number in range(size // 8 + 1))[:size]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A download that is over."""

    headers: list[FileHeader]
    raw: bytes
    end: FileEnd

    @property
    def leaves(self) -> bytes:
        return self.raw[: sum(each.range[1] for each in self.headers if each.part is Part.LEAVES)]

    @property
    def data(self) -> bytes:
        return self.raw[len(self.leaves) :]


def get(
    *,
    name: str | None = None,
    file: bytes | None = None,
    mode: Mode = Mode.RELIABLE,
    ranges: tuple[Range, ...] | None = None,
    rate: int | None = None,
    handle: int = 1,
    credit: int = PLENTY,
    with_leaves: bool = False,
) -> GetFile:
    """A request for a file."""
    return GetFile(
        name=name,
        file=file,
        mode=mode,
        ranges=ranges,
        rate=rate,
        handle=handle,
        credit=credit,
        leaves=with_leaves,
    )


def begin(peer: Peer, pdu: GetFile) -> int:
    """Ask for a file; the stream on which it comes."""
    sid = peer.open(Purpose.FILE)
    peer.say(pdu, sid=sid, id=7)
    peer.raw(b"", sid=sid, fin=True)
    return sid


async def finish(peer: Peer, sid: int, *, patience: float = 10.0) -> Fetched:
    """All of it; its first PDU was the answer, and the stream ended."""
    await peer.until(lambda: sid in peer.finished or None, patience=patience)
    heard = [each for each in peer.heard if each.sid == sid]
    assert [each.envelope.re for each in heard] == [7] + [None] * (len(heard) - 1)
    headers = [each.pdu for each in heard if isinstance(each.pdu, FileHeader)]
    end = heard[-1].pdu
    assert isinstance(end, FileEnd), heard
    assert len(headers) == len(heard) - 1
    return Fetched(headers, bytes(peer.carried.get(sid, b"")), end)


async def fetch(peer: Peer, **what: Any) -> Fetched:
    """Ask for a file, and wait for all of it."""
    return await finish(peer, begin(peer, get(**what)))


async def refused_get(peer: Peer, **what: Any) -> int:
    """Ask for what is refused; the code, after which the stream ends in order."""
    sid = begin(peer, get(**what))
    await peer.until(lambda: sid in peer.finished or None)
    (heard,) = [each for each in peer.heard if each.sid == sid]
    assert isinstance(heard.pdu, Error)
    assert heard.envelope.re == 7
    return heard.pdu.code


async def offer(peer: Peer, data: bytes, *, chunk: int = CHUNK, **to: Any) -> Grant:
    """Offer a file, which is granted."""
    file, _ = leaves.of(data, chunk)
    answer = await peer.ask(Offer(size=len(data), chunk=chunk, file=file, **to))
    assert isinstance(answer, Grant), answer
    assert answer.file == file
    return answer


def header(data: bytes, part: Part, span: Range, *, chunk: int = CHUNK) -> FileHeader:
    """What precedes a part of a file."""
    return FileHeader(file=leaves.of(data, chunk)[0], size=len(data), chunk=chunk, range=span, part=part)


def put(
    peer: Peer, sid: int, data: bytes, *spans: Range, chunk: int = CHUNK, with_leaves: bool = True, fin: bool = True
) -> None:
    """Send parts of a file, all of it unless `spans` say otherwise, without a look at the credit."""
    _, digests = leaves.of(data, chunk)
    number: int | None = 9
    if with_leaves:
        peer.say(header(data, Part.LEAVES, (0, len(digests)), chunk=chunk), sid=sid, id=number)
        peer.raw(digests, sid=sid)
        number = None
    for start, size in spans or ((0, len(data)),):
        peer.say(header(data, Part.DATA, (start, size), chunk=chunk), sid=sid, id=number)
        peer.raw(data[start : start + size], sid=sid)
        number = None
    if fin:
        peer.raw(b"", sid=sid, fin=True)


async def answered(peer: Peer, sid: int) -> FileEnd:
    """The end of an upload."""
    await peer.until(lambda: sid in peer.finished or None)
    (found,) = [each for each in peer.heard if each.sid == sid and each.envelope.re == 9]
    assert isinstance(found.pdu, FileEnd), found
    return found.pdu


async def upload(peer: Peer, data: bytes, *spans: Range, chunk: int = CHUNK, **how: Any) -> FileEnd:
    """Send a file that was offered, on a stream of its own."""
    sid = peer.open(Purpose.FILE)
    put(peer, sid, data, *spans, chunk=chunk, **how)
    return await answered(peer, sid)


async def given_up(peer: Peer, sid: int, *, patience: float = 10.0) -> int:
    """The code with which the server gave a stream up; the connection must survive it."""
    code = await peer.until(lambda: peer.given_up.get(sid), patience=patience)
    await peer.barrier()
    return code


def naming(data: bytes, *, chunk: int = CHUNK, **to: Any) -> Post:
    """A message that names a file."""
    attached = ((leaves.of(data, chunk)[0], len(data), "application/pdf", "a b.pdf", 1_700_000_000_000),)
    return post("a b.pdf", kind=Kind.FILE, attachments=attached, **to)


async def idle(peer: Peer) -> None:
    """Until nothing more comes by itself."""
    await asyncio.sleep(1.0)
    await peer.barrier()
