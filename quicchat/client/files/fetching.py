"""Fetching over one stream: what was asked for, and nothing else, is believed. (spec 14-files)"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Final

from quicchat.client.e2ee.parcels import sealed_size
from quicchat.client.files.aside import aside
from quicchat.client.files.landing import Known, Landing, Leaves
from quicchat.client.files.streams import Stream, Streams, refused
from quicchat.client.files.targets import Wanted
from quicchat.client.requests import refusal
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.files import FileEnd, FileHeader, GetFile, Mode, Part, Range
from quicchat.wire.chapters.session import Error
from quicchat.wire.leaves import LEAF, MOST, leaf
from quicchat.wire.registry import Pdu

#: Bytes of leaves that may come before we know how many there are.
_LEAVES: Final = 131_072
#: Bytes of a file that comes with its leaves, such as the longest text in its parcel: another round trip would take
#: longer than it does.
SMALL: Final = 1_064_960


class Wrong(Exception):
    """A chunk is not what its leaf says."""

    def __init__(self, index: int) -> None:
        self.index = index
        super().__init__(f"chunk {index}")


@asynccontextmanager
async def asked(streams: Streams, pdu: GetFile, most: int) -> AsyncIterator[Stream]:
    """A stream on which a file was asked for that brings at most so many bytes. Raises as `Stream.next`."""
    stream = await streams.open()
    try:
        await stream.allow(most)
        pdu = replace(pdu, handle=stream.handle, credit=stream.credit)
        stream.send(pdu, asks=True)
        stream.finish()
        yield stream
    finally:
        stream.close()


async def begin(
    streams: Streams,
    wanted: Wanted,
    most: int | None,
    land: Callable[[Known, Leaves], Awaitable[Landing | None]],
    kept: Callable[[int], None] | None = None,
) -> None:
    """All leaves of a file of at most so many bytes; right ones are for `land` to keep.

    With `kept` a small file comes over the same stream, into what `land` gives, if anything: as `chunks`.
    Raises Refused: (DIGEST) where leaves are not right, and as the server refuses; LinkLost, OSError; Wrong.
    """
    small = kept is not None and wanted.size is not None and 0 < wanted.size <= SMALL
    pdu = request(wanted, None if small else (), leaves=True)
    async with asked(streams, pdu, _LEAVES + (SMALL if small else 0)) as stream:
        known, leaves = await _leaves(stream, wanted, most)
        if not small:
            try:
                await ended(stream)
            except BaseException:
                leaves.close()
                raise
        landing = await land(known, leaves)
        if small and kept is not None and landing is not None and 0 < known.size <= SMALL:
            await _chunks(stream, landing, [(0, known.size)], kept)


async def chunks(
    streams: Streams,
    wanted: Wanted,
    landing: Landing,
    spans: Sequence[Range],
    rate: int | None = None,
    kept: Callable[[int], None] = lambda _: None,
) -> None:
    """Fetch ranges that begin and end at chunks, in order, and keep each chunk once it is proved.

    `kept` hears of so many bytes more. Raises Wrong; Refused, LinkLost, OSError.
    """
    async with asked(streams, request(wanted, spans, rate=rate), sum(size for _, size in spans)) as stream:
        await _chunks(stream, landing, spans, kept)


async def received(
    streams: Streams, wanted: Wanted, known: Known, spans: Sequence[Range], rate: int | None
) -> AsyncGenerator[tuple[int, bytes], None]:
    """The bytes of some ranges with their place, cut where chunks end. Raises as `chunks`, but for Wrong."""
    pdu = request(wanted, spans, rate=rate)
    async with (
        asked(streams, pdu, sum(size for _, size in spans)) as stream,
        aclosing(_parts(stream, known, spans)) as parts,
    ):
        async for offset, data in parts:
            yield offset, data


async def _leaves(stream: Stream, wanted: Wanted, most: int | None) -> tuple[Known, Leaves]:
    header = expected(await stream.next())
    if header is None:
        raise Refused(Code.DIGEST, "The server did not send the leaves.")
    known = _known(wanted, header, most)
    await stream.allow(header.range[1])
    leaves = Leaves(known.file, known.size, known.chunk)
    try:
        left = header.range[1]
        while left:
            data = await stream.next()
            if not isinstance(data, bytes):
                raise Refused(Code.DIGEST, "Leaves are missing.")
            leaves.add(data)
            left -= len(data)
            stream.used(stream.dealt + len(data))
        leaves.check()
    except BaseException:
        leaves.close()
        raise
    return known, leaves


async def _chunks(stream: Stream, landing: Landing, spans: Sequence[Range], kept: Callable[[int], None]) -> None:
    async with aclosing(_parts(stream, landing.known, spans)) as parts:
        async for offset, data in parts:
            index = offset // landing.known.chunk
            if not await aside(prove, landing, index, data):
                raise Wrong(index)
            kept(len(data))


async def _parts(stream: Stream, known: Known, spans: Sequence[Range]) -> AsyncGenerator[tuple[int, bytes], None]:
    for span in spans:
        header = expected(await stream.next())
        matching(header, known, span, Part.DATA)
        async with aclosing(_cut(stream, span, known.chunk)) as parts:
            async for place, data in parts:
                yield place, data
    await ended(stream)


def prove(landing: Landing, index: int, data: bytes | bytearray) -> bool:
    """Keep a chunk where it is the one that belongs there; in a thread. Raises OSError."""
    if len(data) != landing.known.span(index)[1] or leaf(bytes(data)) != landing.leaf(index):
        return False
    landing.keep(index, bytes(data))
    return True


def expected(got: Pdu | bytes | None) -> FileHeader | None:
    """A header, None for the end. Raises Refused for a refusal, and for what makes no sense."""
    match got:
        case FileHeader():
            return got
        case Error():
            raise refusal(got)
        case FileEnd(status=0) | None:
            return None
        case FileEnd():
            raise refused(got.status)
        case _:
            raise Refused(Code.STATE, "The server sent what nobody asked for.")


def matching(header: FileHeader | None, known: Known, span: Range, part: Part) -> None:
    """Raises Refused where a header does not announce what was asked for."""
    if header is None:
        raise Refused(Code.OVERLOADED, "The server ended the transfer early.")
    if (header.file, header.size, header.chunk) != (known.file, known.size, known.chunk):
        raise Refused(Code.FILE_CHANGED, "The server sent another file.")
    if header.part is not part or header.range != span:
        raise Refused(Code.RANGE, "The server sent another part of the file.")


async def ended(stream: Stream) -> None:
    """Hear the end. Raises Refused where it is not a good one."""
    got = await stream.next()
    if expected(got) is not None:
        raise Refused(Code.RANGE, "The server sent more than was asked for.")
    if got is not None and await stream.next() is not None:
        raise Refused(Code.RANGE, "The server sent more than was asked for.")


def request(
    wanted: Wanted,
    ranges: Sequence[Range] | None = (),
    *,
    mode: Mode = Mode.RELIABLE,
    leaves: bool = False,
    rate: int | None = None,
) -> GetFile:
    """What asks for ranges of a file, with None for all of it; `asked` adds handle and credit."""
    return GetFile(
        file=wanted.file,
        name=wanted.name if wanted.shared else None,
        mode=mode,
        ranges=None if ranges is None else tuple(ranges),
        rate=rate,
        handle=0,
        credit=0,
        leaves=leaves,
    )


def _known(wanted: Wanted, header: FileHeader, most: int | None) -> Known:
    """What the header of the leaves tells. Raises Refused where it is another file, or a monstrous one."""
    known = Known(
        file=header.file,
        size=header.size,
        chunk=header.chunk,
        name=wanted.name,
        modified=header.modified if header.modified is not None and wanted.key is None else wanted.modified,
        media_type=wanted.media_type,
        shared=wanted.shared,
        sealed=wanted.sealed,
        key=wanted.key,
    )
    if wanted.file is not None and header.file != wanted.file:
        raise Refused(Code.DIGEST, "The server sent another file.")
    if wanted.key is not None and known.size != sealed_size(wanted.key.size):
        raise Refused(Code.DIGEST, "The file has another size than its message says.")
    if known.chunks > MOST or (most is not None and known.size > most):
        raise Refused(Code.MSG_TOO_LARGE, f"{known.size} bytes are too many.")
    if header.part is not Part.LEAVES or header.range != (0, LEAF * known.chunks):
        raise Refused(Code.RANGE, "The server sent something else than the leaves.")
    return known


async def _cut(stream: Stream, span: Range, chunk: int) -> AsyncGenerator[tuple[int, bytes], None]:
    """The raw bytes of one range, a chunk at a time. Raises Refused, LinkLost."""
    place, size = span
    end = place + size
    pieces: list[bytes] = []
    held = 0
    while place < end:
        due = min(chunk - place % chunk, end - place)
        while held < due:
            data = await stream.next()
            if not isinstance(data, bytes):
                expected(data)
                raise Refused(Code.DIGEST, "Bytes of the file are missing.")
            pieces.append(data)
            held += len(data)
            # A chunk may be longer than what may come at once, so it is not waited for.
            stream.used(stream.dealt + len(data))
        joined = b"".join(pieces)
        yield place, joined[:due]
        pieces, held = [joined[due:]], held - due
        place += due
