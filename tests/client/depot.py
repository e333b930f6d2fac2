"""The files of a server that says what a test tells it to: honest by itself, and as bad as it is made."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from quicchat.errors import Code
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Event, Received
from quicchat.protocol.events import Writable
from quicchat.protocol.news import RawReceived
from quicchat.transport.driver import Driver
from quicchat.wire import leaves
from quicchat.wire.chapters.files import (
    PIECE,
    CancelOffer,
    FileAck,
    FileChunk,
    FileEnd,
    FileHeader,
    FileList,
    GetFile,
    Grant,
    ListFiles,
    Mode,
    Offer,
    Part,
    Range,
)
from quicchat.wire.chapters.session import Error, Ok, Purpose, StreamOpen
from quicchat.wire.registry import Pdu

SLICE = 4_096


async def reached(done: Callable[[], bool]) -> None:
    """Wait until something is so, in a transfer that goes on."""
    for _ in range(100_000):
        if done():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it was never so")


def within(directory: Path) -> dict[str, bytes]:
    """The files in a directory."""
    return {each.name: each.read_bytes() for each in directory.iterdir()}


@dataclass
class Blob:
    """A file, or what is here of it."""

    size: int
    chunk: int
    data: bytearray
    proofs: bytes
    have: set[int] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        return len(self.have) == leaves.count(self.size, self.chunk)

    def ranges(self) -> tuple[Range, ...]:
        return tuple((index * self.chunk, leaves.length(index, self.size, self.chunk)) for index in sorted(self.have))[
            :64
        ]


@dataclass
class Up:
    """The stream of an upload, as far as it has come."""

    header: FileHeader
    re: int | None
    raw: bytearray = field(default_factory=bytearray)
    at: int = 0
    carried: int = 0
    came: int = 0


class Depot:
    """Serves `blobs`, shared ones by `names`. What a test may turn: the attributes without an underscore."""

    def __init__(self, chunk: int = 4_096) -> None:
        self.chunk = chunk
        self.blobs: dict[bytes, Blob] = {}
        self.names: dict[str, bytes] = {}
        self.listed: list[FileList] = []
        self.gets: list[GetFile] = []
        self.offers: list[Offer] = []
        self.cancelled: list[bytes] = []
        #: By [file, chunk]: how often it was sent, and how often it is yet to be sent damaged.
        self.served: Counter[tuple[bytes, int]] = Counter()
        self.damaged: Counter[tuple[bytes, int]] = Counter()
        #: Of uploads, by [file, chunk]: how often it came.
        self.stored: Counter[tuple[bytes, int]] = Counter()
        #: Pieces that are lost in datagrams.
        self.loses: Callable[[int], bool] = lambda _: False
        #: What a FILE_GET is answered with instead, once each.
        self.errors: list[Error] = []
        #: Raises in the middle of what is sent: after so many bytes in all, the connection ends or the stream is reset.
        self.cut_after: int | None = None
        self.reset_after: tuple[int, Code] | None = None
        #: What to do with a FILE_GET instead of serving it.
        self.rogue: Callable[[Driver, int, GetFile, int | None], None] | None = None
        self.upload_errors: list[Code] = []
        self.upload_credit = 1 << 20
        self.sent = 0
        #: Bytes that clients allowed us and that we had not sent, at most.
        self.most_allowed = 0
        self._credit: dict[tuple[int, int], int] = {}
        self._used: dict[tuple[int, int], int] = {}
        self._gets: dict[tuple[int, int], tuple[int, int]] = {}
        self._news = asyncio.Event()
        self._uploads: dict[tuple[int, int], Up] = {}
        self._files: set[tuple[int, int]] = set()
        self._tasks: dict[tuple[int, int], asyncio.Task[None]] = {}

    def share(
        self, data: bytes, name: str | None = None, *, chunk: int | None = None, have: int | None = None
    ) -> bytes:
        """Have a file; of one that is still to come only the first `have` chunks."""
        chunk = chunk or self.chunk
        file, proofs = leaves.of(data, chunk)
        count = leaves.count(len(data), chunk)
        held = set(range(count if have is None else have))
        self.blobs[file] = Blob(len(data), chunk, bytearray(data), proofs, held)
        if name is not None:
            self.names[name] = file
        return file

    def arrive(self, file: bytes) -> None:
        """The next chunk of a file that is still to come is here."""
        self.blobs[file].have.add(len(self.blobs[file].have))
        self._news.set()

    def twice(self) -> list[tuple[bytes, int]]:
        """Chunks that were sent more than once."""
        return [key for key, count in self.served.items() if count > 1]

    # What comes

    def take(self, driver: Driver, event: Event) -> bool:
        line = id(driver)
        match event:
            case Received(int() as sid, envelope) if isinstance(envelope.pdu, Pdu):
                return self._pdu(driver, sid, envelope.pdu, envelope.id)
            case RawReceived(sid, data):
                self._raw(driver, sid, data)
                return True
            case Writable():
                self._news.set()
                return True
            case Ended(sid, code) if (line, sid) in self._files:
                self._ended(driver, sid, code)
                return True
            case _:
                return False

    def _pdu(self, driver: Driver, sid: int, pdu: Pdu, number: int | None) -> bool:
        line = id(driver)
        match pdu:
            case StreamOpen(kind=Purpose.FILE):
                self._files.add((line, sid))
            case GetFile():
                self._get(driver, sid, pdu, number)
            case FileAck(handle=int() as handle):
                assert pdu.credit >= self._credit.get((line, handle), 0), "credit went back"
                self._credit[line, handle] = pdu.credit
                self._count()
                self._news.set()
            case ListFiles():
                driver.send(self.listed.pop(0), sid=sid, re=number)
            case Offer():
                self._offer(driver, sid, pdu, number)
            case CancelOffer():
                self.cancelled.append(pdu.file)
                self.blobs.pop(pdu.file, None)
                driver.send(Ok(), sid=sid, re=number)
            case FileHeader():
                self._header(driver, sid, pdu, number)
            case _:
                return False
        return True

    def _ended(self, driver: Driver, sid: int, code: int | None) -> None:
        line = id(driver)
        task = self._tasks.get((line, sid))
        if code is not None and task is not None:
            task.cancel()
            # A task that never began tells nobody of its end.
            self._used[self._gets[line, sid]] = self._credit[self._gets[line, sid]]
        up = self._uploads.pop((line, sid), None)
        if up is not None and code is None:
            blob = self.blobs[up.header.file]
            missing = None if blob.whole else ((0, blob.size),)
            driver.send(FileEnd(status=0, carried=up.carried, missing=missing), sid=sid, re=up.re)
            driver.finish(sid)

    def _count(self) -> None:
        allowed = sum(credit - self._used.get(key, 0) for key, credit in self._credit.items())
        self.most_allowed = max(self.most_allowed, allowed)

    # Downloads

    def _get(self, driver: Driver, sid: int, pdu: GetFile, number: int | None) -> None:
        self.gets.append(pdu)
        if self.errors:
            driver.send(self.errors.pop(0), sid=sid, re=number)
            driver.finish(sid)
            return
        if self.rogue is not None:
            self.rogue(driver, sid, pdu, number)
            return
        file = self.names.get(pdu.name) if pdu.name is not None else pdu.file
        if file is None or file not in self.blobs:
            driver.send(Error.about(Code.NO_SUCH_FILE, ""), sid=sid, re=number)
            driver.finish(sid)
            return
        if pdu.file not in (None, file):
            driver.send(Error.about(Code.FILE_CHANGED, ""), sid=sid, re=number)
            driver.finish(sid)
            return
        key = id(driver), pdu.handle
        assert key not in self._credit, "a handle was used twice"
        self._credit[key] = pdu.credit
        self._count()
        self._gets[id(driver), sid] = key
        task = asyncio.get_running_loop().create_task(self._serve(driver, sid, pdu, number, file))
        self._tasks[id(driver), sid] = task

    async def _serve(self, driver: Driver, sid: int, pdu: GetFile, number: int | None, file: bytes) -> None:
        blob = self.blobs[file]
        common = {"file": file, "size": blob.size, "chunk": blob.chunk, "name": pdu.name, "modified": 1_000_000_000_000}
        ranges = pdu.ranges if pdu.ranges is not None else (((0, blob.size),) if blob.size else ())
        re: int | None = number
        carried = 0
        try:
            if pdu.leaves:
                header = FileHeader(part=Part.LEAVES, range=(0, len(blob.proofs)), **common)  # type: ignore[arg-type]
                driver.send(header, sid=sid, re=re)
                re = None
                await self._push(driver, sid, pdu, blob.proofs)
            for span in ranges:
                part = Part.DATA if pdu.mode is Mode.RELIABLE else Part.PIECES
                driver.send(FileHeader(part=part, range=span, **common), sid=sid, re=re)  # type: ignore[arg-type]
                re = None
                for at in range(span[0], span[0] + span[1], SLICE if part is Part.DATA else PIECE):
                    end = min(span[0] + span[1], at + (SLICE if part is Part.DATA else PIECE))
                    data = await self._part(file, blob, at, end)
                    if part is Part.DATA:
                        await self._push(driver, sid, pdu, data)
                    else:
                        await self._cast(driver, pdu, at // PIECE, data)
                    carried += len(data)
            driver.send(FileEnd(status=0, carried=carried), sid=sid, re=re)
            driver.finish(sid)
        except _Cut as cut:
            if cut.code is None:
                driver.link.close(Code.NO_ERROR, "cut")
            else:
                driver.finish(sid, cut.code)
        finally:
            # What was allowed and never sent is given back by the end of the transfer.
            self._used[id(driver), pdu.handle] = self._credit[id(driver), pdu.handle]

    async def _part(self, file: bytes, blob: Blob, at: int, end: int) -> bytes:
        data = bytearray(blob.data[at:end])
        for index in range(at // blob.chunk, -(-end // blob.chunk)):
            while index not in blob.have:
                self._news.clear()
                await self._news.wait()
            if at % blob.chunk == 0:
                self.served[file, index] += 1
                if self.damaged[file, index] > 0:
                    self.damaged[file, index] -= 1
                    data[0] ^= 1
        return bytes(data)

    async def _push(self, driver: Driver, sid: int, pdu: GetFile, data: bytes) -> None:
        while data:
            size = min(len(data), await self._allowed(driver, pdu))
            driver.raw(sid, data[:size])
            self._spend(driver, pdu, size)
            data = data[size:]
            await asyncio.sleep(0)

    async def _cast(self, driver: Driver, pdu: GetFile, index: int, data: bytes) -> None:
        while await self._allowed(driver, pdu) < len(data):
            self._news.clear()
            await self._news.wait()
        self._spend(driver, pdu, len(data))
        if not self.loses(index):
            driver.datagram(FileChunk(handle=pdu.handle, index=index, data=data))
        if index % 8 == 0:
            await asyncio.sleep(0.001)

    async def _allowed(self, driver: Driver, pdu: GetFile) -> int:
        key = id(driver), pdu.handle
        while (room := self._credit[key] - self._used.get(key, 0)) <= 0:
            self._news.clear()
            await self._news.wait()
        return room

    def _spend(self, driver: Driver, pdu: GetFile, size: int) -> None:
        key = id(driver), pdu.handle
        self._used[key] = self._used.get(key, 0) + size
        self.sent += size
        if self.cut_after is not None and self.sent >= self.cut_after:
            self.cut_after = None
            raise _Cut(None)
        if self.reset_after is not None and self.sent >= self.reset_after[0]:
            code, self.reset_after = self.reset_after[1], None
            raise _Cut(code)

    # Uploads

    def _offer(self, driver: Driver, sid: int, pdu: Offer, number: int | None) -> None:
        self.offers.append(pdu)
        if self.errors:
            driver.send(self.errors.pop(0), sid=sid, re=number)
            return
        blob = self.blobs.setdefault(pdu.file, Blob(pdu.size, pdu.chunk, bytearray(pdu.size), b""))
        grant = Grant(
            file=pdu.file, have=blob.ranges(), credit=self.upload_credit, whole=blob.whole and bool(blob.size)
        )
        driver.send(grant, sid=sid, re=number)

    def _header(self, driver: Driver, sid: int, pdu: FileHeader, number: int | None) -> None:
        up = self._uploads.get((id(driver), sid))
        if up is None:
            assert pdu.part is Part.LEAVES
            assert number is not None
            self._uploads[id(driver), sid] = Up(pdu, number)
            return
        assert not up.raw, "a range ended within a chunk"
        assert pdu.range[0] % pdu.chunk == 0
        up.header, up.at = pdu, pdu.range[0]

    def _raw(self, driver: Driver, sid: int, data: bytes) -> None:
        key = id(driver), sid
        up = self._uploads.get(key)
        if up is None:
            return
        up.came += len(data)
        blob = self.blobs[up.header.file]
        up.raw += data
        if up.header.part is Part.LEAVES:
            if len(up.raw) == up.header.range[1]:
                assert leaves.root(blob.size, blob.chunk, bytes(up.raw)) == up.header.file
                blob.proofs = bytes(up.raw)
                up.raw.clear()
            return
        while up.raw and len(up.raw) >= (due := leaves.length(up.at // blob.chunk, blob.size, blob.chunk)):
            index, chunk = up.at // blob.chunk, bytes(up.raw[:due])
            del up.raw[:due]
            right = leaves.leaf(chunk) == blob.proofs[32 * index : 32 * index + 32]
            if not right or self.upload_errors:
                code = self.upload_errors.pop(0) if self.upload_errors else Code.DIGEST
                self._uploads.pop(key)
                driver.finish(sid, code)
                return
            blob.data[up.at : up.at + due] = chunk
            blob.have.add(index)
            self.stored[up.header.file, index] += 1
            verified, up.at = (up.at, due), up.at + due
            up.carried += due
            self.sent += due
            driver.send(FileAck(verified=(verified,), credit=up.came + self.upload_credit), sid=sid)
            self._news.set()
            if self.cut_after is not None and self.sent >= self.cut_after:
                self.cut_after = None
                driver.link.close(Code.NO_ERROR, "cut")
                return


class _Cut(Exception):
    def __init__(self, code: Code | None) -> None:
        self.code = code
