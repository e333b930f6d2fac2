"""The operator's folder on this machine: what is dropped in can be fetched, as soon as it is quiet. (spec 14-files)"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from asyncio import Future
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from mimetypes import MimeTypes
from pathlib import Path
from typing import Final, NamedTuple

from quicchat.errors import Code, Refused, UsageError
from quicchat.server.adapters.share_local.content import SETTLING, Digests, SharedContent, changing, milliseconds
from quicchat.server.adapters.share_local.folder import Entry, Folder, Stamp
from quicchat.server.adapters.share_local.index import Digest, Index, open_index
from quicchat.server.content import Content
from quicchat.server.descriptor import Descriptor
from quicchat.server.model import Shared
from quicchat.server.ports import Clock
from quicchat.sqlite.threads import be_prompt
from quicchat.wire.chapters.files import Standing
from quicchat.wire.fields import SHORT

__all__ = ["LocalShare", "open_share"]

#: How long a look at the folder is good while nothing comes or goes, in ms: the pages of a list need but one.
_FRESH: Final = 200
#: Files whose digests are written at once, and bytes of leaves.
_BATCH, _BATCH_BYTES = 64, 1_048_576
#: Files that are known and passed over before others get their turn.
_KNOWN: Final = 1_000
#: Threads that read for those who are sent something.
_THREADS: Final = 4
_UNKNOWN_TYPE: Final = "application/octet-stream"

log = logging.getLogger("quicchat.server.share")


class View(NamedTuple):
    """The folder as it was seen last."""

    #: The files that may be had, by name, and under which name each version is.
    entries: list[Entry]
    names: dict[Stamp, str]
    #: Files that were another version when they were seen before, and when that was noticed.
    moved: dict[str, int]


class LocalShare:
    """The port `Share`. `index` runs beside it, and finds out what the files are before anybody asks for them."""

    def __init__(self, folder: Folder, index: Index, clock: Clock) -> None:
        self._folder = folder
        self._index = index
        #: Of its own, so that a disk that stalls holds up nothing else.
        self._threads = ThreadPoolExecutor(_THREADS, "share-read", be_prompt)
        self._digests = Digests(index, self._threads)
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked = 0
        self._version: int | None = None
        self._view = View([], {}, {})
        #: Versions that cannot be read, and so are not there for anybody.
        self._broken: set[Stamp] = set()
        #: Set while there may be files that nobody knows yet.
        self._strange = asyncio.Event()
        self._strange.set()
        self._types = MimeTypes()

    async def listed(self, *, after: str | None, limit: int) -> Sequence[Shared]:
        entries = await self._look()
        begin = 0 if after is None else bisect_right(entries, after, key=lambda entry: entry.name)
        return [self._shared(entry) for entry in entries[begin : begin + limit]]

    async def open(self, name: str | None, file: bytes | None) -> Content:
        if name is None:
            name = await self._name_of(file)
        descriptor, stamp = await self._opened(name)
        try:
            if self._is_changing(Entry(name, stamp)):
                raise changing()
            found = await self._digests.file(descriptor, stamp)
            if file not in (None, found):
                raise Refused(Code.FILE_CHANGED)
        except BaseException:
            descriptor.close()
            raise
        return SharedContent(self._digests, descriptor, name, stamp, found)

    async def index(self) -> None:
        """For ever: digest what appears, and forget what is gone. Nothing happens while nobody looks at the list."""
        while True:
            await self._strange.wait()
            self._strange.clear()
            try:
                unsettled = await self._learn()
            except Refused as refused:
                log.warning("cannot read the shared folder", extra={"error": str(refused)})
                unsettled = True
            except Exception:
                # Whoever asks for a file by name gets it all the same.
                log.exception("cannot digest what is shared")
                unsettled = True
            if unsettled:
                await self._clock.sleep(SETTLING / 1000)
                self._strange.set()

    async def close(self) -> None:
        """Stop what is running; those who were given a file close it themselves."""
        await self._digests.close()
        await asyncio.to_thread(self._threads.shutdown)
        await self._index.close()
        self._folder.close()

    async def _look(self) -> list[Entry]:
        """The files that are there now, by name. Raises Refused(STORE_UNAVAILABLE)."""
        loop = asyncio.get_running_loop()
        async with self._looking:
            now = self._clock.now()
            version = await loop.run_in_executor(self._threads, self._folder.version)
            if version != self._version or abs(now - self._looked) >= _FRESH:
                broken = frozenset(self._broken)
                looking = loop.run_in_executor(self._threads, _view, self._folder, self._view, broken, now)
                self._view, gone = await looking
                self._broken -= gone
                self._looked, self._version = now, version
            return self._view.entries

    def _is_changing(self, entry: Entry) -> bool:
        """Whether somebody may still be writing: it was written to just now, or is not what it was at the last look.

        Both are asked, for the times of a disk elsewhere may be those of another clock.
        """
        now = self._clock.now()
        written = entry.stamp.changed // 1_000_000
        return abs(now - written) < SETTLING or abs(now - self._view.moved.get(entry.name, -SETTLING)) < SETTLING

    def _shared(self, entry: Entry) -> Shared:
        unsettled = self._is_changing(entry)
        file = None if unsettled else self._digests.known(entry.stamp)
        if file is None:
            self._strange.set()
        return Shared(
            name=entry.name,
            size=entry.stamp.size,
            modified=milliseconds(entry.stamp.modified),
            media_type=self._media_type(entry.name),
            file=file or b"",
            standing=Standing.CHANGING if unsettled else Standing.WHOLE,
        )

    def _media_type(self, name: str) -> str:
        kind, packed = self._types.guess_type(name)
        return kind if kind and not packed and len(kind) <= SHORT.most else _UNKNOWN_TYPE

    async def _name_of(self, file: bytes | None) -> str:
        await self._look()
        names = self._view.names
        found = [names[stamp] for stamp in self._digests.versions(file or b"") if stamp in names]
        if not found:
            raise Refused(Code.NO_SUCH_FILE)
        return min(found)

    async def _learn(self) -> bool:
        """Digest all that is quiet; returns whether some is not. Raises Refused(STORE_UNAVAILABLE)."""
        unsettled = False
        found: list[Digest] = []
        before = self._index.stamps()
        for number, entry in enumerate(await self._look()):
            if self._digests.known(entry.stamp) is not None:
                if not number % _KNOWN:
                    await asyncio.sleep(0)
                continue
            if self._is_changing(entry):
                unsettled = True
            elif (digest := await self._digested(entry)) is not None:
                found.append(digest)
            elif self._digests.known(entry.stamp) is None:
                unsettled = True
            if len(found) >= _BATCH or sum(len(each.leaves) for each in found) >= _BATCH_BYTES:
                await self._index.keep(found)
                found = []
        await self._index.keep(found)
        await self._look()
        names = self._view.names
        await self._index.forget(await asyncio.to_thread(lambda: {stamp for stamp in before if stamp not in names}))
        return unsettled

    async def _digested(self, entry: Entry) -> Digest | None:
        """What a file is; None where it cannot be read, not now, or was digested for somebody meanwhile."""
        try:
            descriptor, stamp = await self._opened(entry.name)
            try:
                return None if self._digests.known(stamp) else await self._digests.digest(descriptor, stamp)
            finally:
                descriptor.close()
        except Refused as refused:
            if refused.code is not Code.OVERLOADED:
                log.warning("cannot read a shared file", extra={"shared": entry.name, "error": str(refused)})
                self._broken.add(entry.stamp)
            return None

    async def _opened(self, name: str) -> tuple[Descriptor, Stamp]:
        """Open a file. Raises as `Folder.open`."""
        opening = asyncio.get_running_loop().run_in_executor(self._threads, self._folder.open, name)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_put_back)
            raise


def _view(folder: Folder, before: View, broken: frozenset[Stamp], now: int) -> tuple[View, frozenset[Stamp]]:
    """What is there now, without what cannot be read, and which of that is gone. By a thread: there may be many files.

    Raises Refused(STORE_UNAVAILABLE).
    """
    entries = folder.entries()
    names = {stamp: name for name, stamp in entries}
    seen = dict(before.entries)
    moved = {name: at for name, at in before.moved.items() if abs(now - at) < SETTLING}
    moved |= {name: now for name, stamp in entries if seen.get(name, stamp) != stamp}
    gone = frozenset(stamp for stamp in broken if stamp not in names)
    for stamp in broken - gone:
        del names[stamp]
    return View([entry for entry in entries if entry.stamp in names], names, moved), gone


def _put_back(opening: Future[tuple[Descriptor, Stamp]]) -> None:
    """Close what was opened for somebody who has gone."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


@asynccontextmanager
async def open_share(
    path: Path, index: Path, clock: Clock, *, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> AsyncIterator[LocalShare]:
    """Share a folder, which is made where there is none, with what is known of it in the file `index`.

    Raises UsageError. `factory` is the class of the connections to the index, for fault injection.
    """
    share = LocalShare(_folder(path), open_index(index, factory), clock)
    indexing = asyncio.get_running_loop().create_task(share.index())
    try:
        yield share
    finally:
        indexing.cancel()
        await asyncio.wait([indexing])
        await share.close()


def _folder(path: Path) -> Folder:
    try:
        path.mkdir(parents=True, exist_ok=True)
        return Folder(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be shared ({error.strerror}): name another directory with --share", 3
        ) from None
