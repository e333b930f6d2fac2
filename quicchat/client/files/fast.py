"""Fast: pieces in datagrams, some of which never come, put together and counted. (spec 14-files)"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from quicchat.client.files.aside import aside
from quicchat.client.files.fetching import asked, expected, matching, prove, request
from quicchat.client.files.landing import Landing
from quicchat.client.files.runs import Run, unmarked
from quicchat.client.files.streams import Streams
from quicchat.client.files.targets import Wanted
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.files import PIECE, RANGES, FileChunk, FileEnd, FileHeader, Mode, Part, Range

#: Bytes that are asked for at once; what is missing of them is mended before the next are.
_LEG: Final = 268_435_456
#: Bytes of chunks that are held in memory while their pieces come; of the others the disk holds what came.
_HELD: Final = 2_097_152
#: Seconds without a piece after which those are given up that should have come.
_QUIET: Final = 0.25
_LONGEST: Final = 60.0
#: Bytes that more may be sent then, though nobody knows what became of those before.
_BLIND: Final = 262_144


def legs(landing: Landing) -> Iterator[list[Run]]:
    """The chunks that are not here, as many at once as are fetched together."""
    most = max(1, _LEG // landing.known.chunk)
    first = 0
    while first < len(landing.marks):
        runs: list[Run] = []
        left = most
        for start, end in unmarked(landing.marks, first):
            stop = min(end, start + left)
            runs.append((start, stop))
            first, left = stop, left - (stop - start)
            if not left or len(runs) == RANGES:
                break
        if not runs:
            return
        yield runs


class Shelf:
    """The pieces of some chunks until each is whole. `proved` hears how many bytes of a chunk were right, or 0."""

    def __init__(self, landing: Landing, runs: Sequence[Run], proved: Callable[[int, int], None]) -> None:
        self.landing = landing
        self._proved = proved
        known = landing.known
        #: By chunk: which of its pieces are missing. A piece may lie in two chunks, where these are of odd sizes.
        self._due = {index: self._all(index) for first, end in runs for index in range(first, end)}
        self._held: dict[int, bytearray] = {}
        self._most = max(2, _HELD // known.chunk)
        self._lock = asyncio.Lock()

    @property
    def open(self) -> bool:
        """Whether any are missing."""
        return bool(self._due)

    @property
    def missing(self) -> int:
        """How many pieces are."""
        return sum(end - first for first, end in self.holes())

    def holes(self) -> list[Run]:
        """The pieces that are missing, as runs."""
        runs: list[Run] = []
        for index in sorted(self._due):
            first = self._pieces(index).start
            mask, at = self._due[index], 0
            while mask:
                skip = (mask & -mask).bit_length() - 1
                mask >>= skip
                length = (~mask & (mask + 1)).bit_length() - 1
                start = max(first + at + skip, runs[-1][1] if runs else 0)
                stop = first + at + skip + length
                if runs and runs[-1][1] == start:
                    runs[-1] = runs[-1][0], max(stop, start)
                elif start < stop:
                    runs.append((start, stop))
                mask >>= length
                at += skip + length
        return runs

    async def fill(self, offset: int, data: bytes) -> None:
        """Some bytes from the beginning of a piece to the end of one, or of the file. Raises OSError; Refused."""
        async with self._lock:
            known = self.landing.known
            end = offset + len(data)
            for index in range(offset // known.chunk, -(-end // known.chunk)):
                if index not in self._due:
                    continue
                buffer = self._held.get(index)
                if buffer is None:
                    buffer = await self._open(index)
                begin, size = known.span(index)
                low, high = max(offset, begin), min(end, begin + size)
                buffer[low - begin : high - begin] = data[low - offset : high - offset]
                first = self._pieces(index).start
                for piece in range(low // PIECE, -(-high // PIECE)):
                    # Of a piece on a border each chunk has only its own part.
                    whole_low, whole_high = max(piece * PIECE, begin), min((piece + 1) * PIECE, begin + size)
                    if low <= whole_low and high >= whole_high:
                        self._due[index] &= ~(1 << (piece - first))
                if not self._due[index]:
                    await self._prove(index, buffer)

    def put(self, offset: int, data: bytes) -> bool:
        """A whole piece, where that takes no more than to note it, as with nearly all; False where it is for `fill`."""
        index, place = divmod(offset, self.landing.known.chunk)
        buffer = self._held.get(index)
        if buffer is None or place + len(data) > len(buffer):
            return False
        due = self._due[index] & ~(1 << (offset // PIECE - (offset - place) // PIECE))
        if due:
            buffer[place : place + len(data)] = data
            self._due[index] = due
        return due != 0

    def settle(self) -> None:
        """Put what is held where it belongs; in a thread. Raises OSError."""
        for index, buffer in self._held.items():
            self.landing.put(self.landing.known.span(index)[0], buffer)
        self._held.clear()

    async def _prove(self, index: int, buffer: bytearray) -> None:
        del self._held[index]
        if await aside(prove, self.landing, index, buffer):
            del self._due[index]
            self._proved(index, len(buffer))
        else:
            self._due[index] = self._all(index)
            self._proved(index, 0)

    async def _open(self, index: int) -> bytearray:
        """A chunk in memory, with what of it is on the disk; where there are too many, the first one goes there."""
        if len(self._held) >= self._most:
            other = next(iter(self._held))
            await aside(self.landing.put, self.landing.known.span(other)[0], self._held.pop(other))
        begin, size = self.landing.known.span(index)
        if self._due[index] == self._all(index):
            buffer = bytearray(size)
        else:
            buffer = bytearray(await aside(self.landing.read, begin, size))
            buffer.extend(bytes(size - len(buffer)))
        self._held[index] = buffer
        return buffer

    def _pieces(self, index: int) -> range:
        begin, size = self.landing.known.span(index)
        return range(begin // PIECE, -(-(begin + size) // PIECE))

    def _all(self, index: int) -> int:
        return (1 << len(self._pieces(index))) - 1


async def fetch(
    streams: Streams, wanted: Wanted, shelf: Shelf, spans: Sequence[Range], rate: int | None, rtt: float | None
) -> int:
    """Ask for some ranges in datagrams, and take what comes; returns how many bytes came.

    Raises Refused, LinkLost, OSError.
    """
    known, places = shelf.landing.known, _Places(spans)
    pdu = request(wanted, spans, mode=Mode.FAST, rate=rate)
    quiet = least = max(_QUIET, 2 * (rtt or 0.0))
    carried, announced, is_over = 0, 0, False
    async with asked(streams, pdu, places.total) as stream:
        while shelf.open or not is_over:
            try:
                item = stream.now()
                if item is None:
                    # What may come next is told once for all that is here.
                    stream.used(places.upto)
                    async with asyncio.timeout(quiet if announced or is_over else None):
                        item = await stream.next(beyond=is_over)
            except TimeoutError:
                if is_over:
                    break
                # A window of which nothing came may be lost, or was never sent: room for some, less and less often.
                stream.used(stream.dealt + _BLIND)
                quiet = min(_LONGEST, 2 * quiet)
                continue
            match item:
                case FileChunk(index=index, data=data):
                    quiet = least
                    carried += await _take(shelf, places, index, data)
                case FileHeader() if announced < len(spans):
                    matching(item, known, spans[announced], Part.PIECES)
                    announced += 1
                case None | FileEnd(status=0):
                    is_over = True
                case _:
                    expected(item)
                    raise Refused(Code.STATE, "The server sent what nobody asked for.")
    return carried


class _Places:
    """How far a transfer has come, by the furthest piece that was asked for and came."""

    def __init__(self, spans: Sequence[Range]) -> None:
        self._starts = [offset for offset, _ in spans]
        self._sizes = [size for _, size in spans]
        self._before = [0, *accumulate(self._sizes)]
        self.total = self._before[-1]
        self.upto = 0

    def holds(self, offset: int, size: int) -> bool:
        """Whether bytes were asked for; the furthest place moves."""
        at = bisect_right(self._starts, offset) - 1
        if at < 0 or offset + size > self._starts[at] + self._sizes[at]:
            return False
        self.upto = max(self.upto, self._before[at] + offset - self._starts[at] + size)
        return True


async def _take(shelf: Shelf, places: _Places, index: int, data: bytes) -> int:
    """A piece; what nobody asked for, or is of another length, is nothing (hostile X7)."""
    offset = index * PIECE
    size = min(PIECE, shelf.landing.known.size - offset)
    if len(data) != size or not places.holds(offset, size):
        return 0
    if not shelf.put(offset, data):
        await shelf.fill(offset, data)
    return size
