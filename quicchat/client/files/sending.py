"""Uploading over one connection: the leaves of a file, and the chunks that the server has not. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from quicchat.client.files.aside import aside
from quicchat.client.files.landing import Leaves
from quicchat.client.files.sources import Source
from quicchat.client.files.streams import Stream, refused
from quicchat.client.requests import Requests, refusal
from quicchat.errors import Code, Refused
from quicchat.values import dataclass
from quicchat.wire.chapters.files import FileAck, FileEnd, FileHeader, Grant, Offer, Part, Range
from quicchat.wire.chapters.session import Error
from quicchat.wire.leaves import CHUNK, LEAF, MOST, count, leaf

#: Bytes that are read at once, and bytes of them that are sent at once.
_READ: Final = 262_144
_SLICE: Final = 32_768
#: Bytes that are hashed in one go.
_HASHED: Final = 4_194_304
#: Bytes to a chunk, at most.
_LARGE: Final = 1_048_576
#: How often a file is offered again whose upload ended with bytes missing.
_AGAIN: Final = 3


@dataclass(frozen=True, slots=True)
class Named:
    """A source whose id is known. `close` it."""

    source: Source
    chunk: int
    leaves: Leaves
    file: bytes

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.source.size

    def read_leaves(self, offset: int, size: int) -> bytes:
        """Some of its leaves; in a thread."""
        return self.leaves.read(offset, size)


async def named(source: Source, chunk: int = CHUNK, on_hashed: Callable[[int], None] = lambda _: None) -> Named:
    """Hash a source; `on_hashed` hears of so many bytes more. Raises Refused(FILE_CHANGED), OSError."""
    while count(source.size, chunk) > MOST and chunk < _LARGE:
        chunk *= 2
    if count(source.size, chunk) > MOST:
        raise Refused(Code.QUOTA, f"{source.name} is too large.")
    leaves = Leaves(b"", source.size, chunk)
    step = max(chunk, _HASHED // chunk * chunk)
    try:
        for offset in range(0, source.size, step):
            size = min(step, source.size - offset)
            await aside(_hash, source, leaves, chunk, offset, size)
            on_hashed(size)
        return Named(source, chunk, leaves, leaves.root())
    except BaseException:
        leaves.close()
        raise


def _hash(source: Source, leaves: Leaves, chunk: int, offset: int, size: int) -> None:
    for at in range(offset, offset + size, chunk):
        due = min(chunk, offset + size - at)
        data = source.read(at, due)
        if len(data) != due:
            raise Refused(Code.FILE_CHANGED, f"{source.name} changed while it was read.")
        leaves.add(leaf(data))


async def upload(requests: Requests, item: Named, offer: Offer, grant: Grant, verified: Callable[[int], None]) -> None:
    """Send what the server has not; `verified` hears how many bytes of the file it has by now.

    Raises Refused as the server gives it up; (FILE_CHANGED) where the source is another by now; LinkLost, OSError.
    """
    for _ in range(_AGAIN):
        verified(item.size if grant.whole else sum(size for _, size in grant.have))
        if grant.whole:
            return
        missing = await _Sending(requests, item, grant, verified).run()
        if not missing:
            verified(item.size)
            return
        grant = await requests.ask(offer, Grant, aside=True)
    raise Refused(Code.OVERLOADED, "The server does not keep what it is sent.")


class _Sending:
    """One stream of an upload. The server says how far it is while we send, and only then how it ended."""

    def __init__(self, requests: Requests, item: Named, grant: Grant, verified: Callable[[int], None]) -> None:
        self._streams = requests.files
        self._item = item
        self._grant = grant
        self._verified = verified
        self._have = sum(size for _, size in grant.have)
        self._credit = grant.credit
        self._news = asyncio.Event()
        self._sent = 0

    async def run(self) -> tuple[Range, ...]:
        """Send all of it; what the server still wants then."""
        stream = await self._streams.open()
        heard = asyncio.get_running_loop().create_task(self._hear(stream))
        writing = asyncio.get_running_loop().create_task(self._write(stream))
        code = Code.NO_ERROR
        try:
            # An end that comes before we have sent all tells why.
            done, _ = await asyncio.wait({heard, writing}, return_when=asyncio.FIRST_COMPLETED)
            if heard not in done and writing.exception() is not None and not heard.done():
                await writing
            end = await heard
        except Refused as failure:
            code = failure.code
            raise
        finally:
            heard.cancel()
            writing.cancel()
            await asyncio.wait({heard, writing})
            stream.close(code)
        if end.status:
            raise refused(end.status)
        return end.missing or ()

    async def _hear(self, stream: Stream) -> FileEnd:
        while True:
            match await stream.next():
                case FileAck(verified=ranges, credit=credit):
                    self._have += sum(size for _, size in ranges or ())
                    self._verified(min(self._have, self._item.size))
                    self._credit = max(self._credit, credit)
                    self._news.set()
                case FileEnd() as end:
                    return end
                case Error() as error:
                    raise refusal(error)
                case None:
                    raise Refused(Code.OVERLOADED, "The server ended the upload without a word.")
                case _:
                    raise Refused(Code.STATE, "The server sent what nobody asked for.")

    async def _write(self, stream: Stream) -> None:
        item = self._item
        due = LEAF * count(item.size, item.chunk)
        stream.send(self._header(Part.LEAVES, (0, due)), asks=True)
        await self._raw(stream, 0, due, item.read_leaves)
        for span in _missing(self._grant.have, item.size, item.chunk):
            stream.send(self._header(Part.DATA, span))
            await self._raw(stream, *span, item.source.read)
        stream.finish()

    def _header(self, part: Part, span: Range) -> FileHeader:
        item = self._item
        return FileHeader(file=item.file, size=item.size, chunk=item.chunk, range=span, part=part)

    async def _raw(self, stream: Stream, offset: int, size: int, read: Callable[[int, int], bytes]) -> None:
        """Send bytes that were announced, no faster than the server allows."""
        for at in range(offset, offset + size, _READ):
            due = min(_READ, offset + size - at)
            data = await aside(read, at, due)
            if len(data) != due:
                raise Refused(Code.FILE_CHANGED, f"{self._item.source.name} changed while it was read.")
            begin = 0
            while begin < due:
                while self._credit <= self._sent:
                    self._news.clear()
                    await self._news.wait()
                piece = data[begin : begin + min(_SLICE, self._credit - self._sent)]
                await stream.write(piece)
                self._sent += len(piece)
                begin += len(piece)


def _missing(have: Iterable[Range], size: int, chunk: int) -> list[Range]:
    """What the server has not, from chunk to chunk; what it has of a chunk is not worth a header of its own."""
    missing, at = [], 0
    for offset, length in sorted(have):
        first = -(-offset // chunk) * chunk
        end = size if offset + length >= size else (offset + length) // chunk * chunk
        if first >= end or end <= at:
            continue
        if first > at:
            missing.append((at, min(first, size) - at))
        at = max(at, end)
    if at < size:
        missing.append((at, size - at))
    return missing
