"""A download: leaves first, then the chunks that are not here, each verified before it counts. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from quicchat.client.e2ee.parcels import plain_size
from quicchat.client.files import fast, fetching
from quicchat.client.files.aside import aside
from quicchat.client.files.fetching import Wrong
from quicchat.client.files.landing import Known, Landing, Leaves
from quicchat.client.files.part import Part
from quicchat.client.files.phase import Phase
from quicchat.client.files.runs import Run, Work, ranges, unmarked
from quicchat.client.files.streams import Streams
from quicchat.client.files.targets import Target, Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.client.requests import Requests
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.files import PIECE, Mode
from quicchat.wire.leaves import CHUNK

#: How often a chunk may come wrong, and a file change under us, before that is the end.
PATIENCE: Final = 3
#: Streams of one download, at most.
STREAMS: Final = 8
#: Bytes a second that may be asked for, at least.
_SLOWEST: Final = 1_024
#: Chunks that are verified at once of those that were here.
_CHECKED: Final = 64


class Download:
    """One file, over as many connections as it takes: `attempt` on each, then `leave` or `discard`."""

    def __init__(
        self,
        transfer: Transfer,
        wanted: Wanted,
        target: Target,
        *,
        repair: bool = True,
        streams: int = 2,
        rate: int | None = None,
    ) -> None:
        self.transfer = transfer
        self.wanted = wanted
        self.target = target
        self.landing: Landing | None = None
        self._repair = repair
        self._streams = max(1, min(streams, STREAMS))
        self._rate = max(_SLOWEST, rate) if rate is not None else None
        #: Bytes that are here, as they come: those of a parcel are a few more than those that people know of.
        self._here = 0
        #: Up to which chunk was verified what was here.
        self._checked = 0
        self._wrong: Counter[int] = Counter()
        self._changes = 0

    async def attempt(self, requests: Requests) -> None:
        """Fetch what is missing, and finish. Raises Refused, LinkLost, OSError."""
        if self.wanted.sealed and self.wanted.key is None:
            raise Refused(Code.FORBIDDEN, "It is encrypted, and its key has not come to this device; /keys tells more.")
        streams, rtt = requests.files, requests.connection.health.rtt
        while True:
            try:
                landing = await self._begin(streams)
                await self._check(landing)
                self.transfer.move(Phase.TRANSFERRING)
                if self.transfer.mode is Mode.FAST:
                    await self._fast(streams, landing, rtt)
                else:
                    await self._reliable(streams, landing)
            except Refused as refusal:
                await self._anew(refusal)
            else:
                await self._finish(landing)
                return

    async def _finish(self, landing: Landing) -> None:
        self.transfer.move(Phase.VERIFYING)
        if not all(landing.marks):
            raise Refused(Code.DIGEST, "Not all of the file was verified.")
        while isinstance(landing, Part) and await aside(landing.unseal):
            # Whoever has it stopped in between does not wait for all of it.
            self.transfer.touch()
        await aside(landing.finish)
        self.transfer.path = landing.path
        self.transfer.move(Phase.DONE)

    async def leave(self) -> None:
        """What is here stays for another time."""
        if self.landing is not None:
            landing, self.landing = self.landing, None
            await aside(landing.leave)

    async def discard(self) -> None:
        """What is here goes."""
        if self.landing is not None:
            landing, self.landing = self.landing, None
            await aside(landing.discard)

    # The beginning

    async def _begin(self, streams: Streams) -> Landing:
        if self.landing is None and self.wanted.file is not None:
            await aside(self._find)
        if self.landing is None:
            await self._fetch_first(streams)
        assert self.landing is not None
        self._landed(self.landing)
        return self.landing

    async def _fetch_first(self, streams: Streams) -> None:
        """The leaves, and with them what is small."""
        transfer, loop = self.transfer, asyncio.get_running_loop()
        start = loop.time()

        async def land(known: Known, leaves: Leaves) -> Landing | None:
            # Who asked by name gets the one that he began with, whatever is put in its place meanwhile.
            self.wanted = replace(self.wanted, file=known.file)
            await aside(self._land, replace(known, fast=transfer.mode is Mode.FAST), leaves)
            if self.landing is None or self._checked < known.chunks:
                return None
            self._landed(self.landing)
            transfer.move(Phase.TRANSFERRING)
            return self.landing

        is_free = transfer.mode is Mode.RELIABLE and self._rate is None
        try:
            await fetching.begin(streams, self.wanted, None, land, self._gain if is_free else None)
        except Wrong as wrong:
            self.wrong(wrong.index)
        finally:
            if transfer.done:
                transfer.spent(Mode.RELIABLE, transfer.done, loop.time() - start)

    def _find(self) -> None:
        """In a thread; what it opens is ours, even where nobody waits for it any more."""
        self.landing = self.target.found(self.wanted)
        self._checked = 0

    def _land(self, known: Known, leaves: Leaves) -> None:
        try:
            self._find()
            if self.landing is None:
                self.landing = self.target.begin(known, leaves)
                self._checked = known.chunks
                return
        except BaseException:
            leaves.close()
            raise
        leaves.close()

    def _landed(self, landing: Landing) -> None:
        transfer, known = self.transfer, landing.known
        transfer.size = self._known(known.size)
        transfer.path = landing.path
        transfer.pieces = -(-known.size // PIECE)
        self._here = sum(known.span(index)[1] for index, mark in enumerate(landing.marks) if mark)
        transfer.done = self._known(self._here)
        if landing.ordered and transfer.mode is Mode.FAST:
            raise Refused(Code.UNSUPPORTED, "What is written into a pipe comes in order, and so not fast.")

    async def _check(self, landing: Landing) -> None:
        """What the map claims is verified before it is believed."""
        transfer = self.transfer
        if not isinstance(landing, Part) or self._checked >= landing.known.chunks:
            return
        transfer.move(Phase.VERIFYING)
        step = max(1, _CHECKED * CHUNK // landing.known.chunk)
        while self._checked < landing.known.chunks:
            first, self._checked = self._checked, self._checked + step
            before = transfer.done
            self._gain(await aside(landing.check, first, step))
            transfer.resumed += transfer.done - before

    def _gain(self, size: int) -> None:
        """So many bytes more are here, as they come."""
        self._here += size
        self.transfer.gain(self._known(self._here) - self.transfer.done)

    def _known(self, size: int) -> int:
        """How many bytes that people know of these are."""
        return plain_size(size) if self.wanted.key is not None else size

    async def _anew(self, refusal: Refused) -> None:
        """A shared file has another content now: it starts anew, a few times. Raises the refusal where it does not."""
        begun = self.landing is not None or self.wanted.file is not None
        self._changes += 1
        if refusal.code is not Code.FILE_CHANGED or not (self.wanted.shared and begun) or self._changes > PATIENCE:
            raise refusal
        if self.landing is not None and self.landing.ordered and any(self.landing.marks):
            raise Refused(Code.FILE_CHANGED, "The file changed while it was fetched, and its beginning is gone.")
        await self.discard()
        self.wanted = replace(self.wanted, file=None, size=None, modified=None)
        self.transfer.move(Phase.TRANSFERRING)
        self.transfer.done = self.transfer.resumed = 0
        self._wrong.clear()
        self.transfer.say("The file changed on the server; it is fetched anew.")

    # Reliable

    async def _reliable(self, streams: Streams, landing: Landing) -> None:
        known, transfer, loop = landing.known, self.transfer, asyncio.get_running_loop()
        count = 1 if landing.ordered else self._streams
        work = Work(unmarked(landing.marks), known.chunk, count)

        start, before = loop.time(), transfer.done

        async def fetch(runs: Sequence[Run]) -> None:
            spans = ranges(runs, known.chunk, known.size)
            await fetching.chunks(streams, self.wanted, landing, spans, self._share(count), self._gain)

        def missing(runs: Sequence[Run]) -> list[Run]:
            return [each for first, end in runs for each in unmarked(landing.marks, first, end)]

        try:
            await self._shared_out(work, count, fetch, missing)
        finally:
            transfer.spent(Mode.RELIABLE, transfer.done - before, loop.time() - start)

    async def _shared_out(
        self,
        work: Work,
        count: int,
        fetch: Callable[[Sequence[Run]], Awaitable[None]],
        missing: Callable[[Sequence[Run]], list[Run]],
    ) -> None:
        """Several streams do the work; where one finds a wrong chunk, it asks for it again."""

        async def one() -> None:
            while runs := work.take():
                try:
                    await fetch(runs)
                except Wrong as wrong:
                    self.wrong(wrong.index)
                    work.back(missing(runs))

        tasks = [asyncio.get_running_loop().create_task(one()) for _ in range(max(1, min(count, work.left)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def wrong(self, index: int) -> None:
        """A chunk was not what its leaf says. Raises Refused(DIGEST) once that was so too often."""
        assert self.landing is not None
        self._wrong[index] += 1
        place = f"Chunk {index + 1} of {self.landing.known.chunks}"
        if self._wrong[index] >= PATIENCE:
            raise Refused(Code.DIGEST, f"{place} came wrong {PATIENCE} times.")
        self.transfer.say(f"{place} came wrong; it is fetched again.")

    def _share(self, count: int) -> int | None:
        return max(_SLOWEST, self._rate // count) if self._rate is not None else None

    # Fast

    async def _fast(self, streams: Streams, landing: Landing, rtt: float | None) -> None:
        transfer, loop = self.transfer, asyncio.get_running_loop()
        known = landing.known
        count = self._streams
        transfer.missing = transfer.lost = 0
        for runs in fast.legs(landing):
            shelf = fast.Shelf(landing, runs, self._proved)
            start = loop.time()
            spans = ranges(shelf.holes(), PIECE, known.size)
            transfer.spent(
                Mode.FAST,
                await fast.fetch(streams, self.wanted, shelf, spans, self._rate, rtt),
                loop.time() - start,
            )
            transfer.lost += shelf.missing
            transfer.missing += shelf.missing
            if shelf.missing:
                transfer.say(f"{transfer.missing} of {transfer.pieces} pieces are missing.")
            if not self._repair:
                await aside(shelf.settle)
                continue
            while shelf.missing:
                transfer.missing -= await self._mend(streams, shelf, count)
        if transfer.missing:
            here = transfer.pieces - transfer.missing
            raise Refused(Code.DIGEST, f"{here} of {transfer.pieces} pieces are here, {transfer.missing} are missing.")

    def _proved(self, index: int, size: int) -> None:
        """A chunk of a fast transfer is whole, and right; or not, with a size of 0."""
        if size:
            self._gain(size)
        else:
            self.wrong(index)

    async def _mend(self, streams: Streams, shelf: fast.Shelf, count: int) -> int:
        """Fetch the pieces that are missing over streams; returns how many fewer are missing than before."""
        transfer, loop = self.transfer, asyncio.get_running_loop()
        before, start = shelf.missing, loop.time()
        known = shelf.landing.known

        async def fetch(runs: Sequence[Run]) -> None:
            spans = ranges(runs, PIECE, known.size)
            async with aclosing(fetching.received(streams, self.wanted, known, spans, self._share(count))) as parts:
                async for offset, data in parts:
                    await shelf.fill(offset, data)

        await self._shared_out(Work(shelf.holes(), PIECE, count), count, fetch, lambda _: [])
        mended = before - shelf.missing
        transfer.spent(Mode.RELIABLE, mended * PIECE, loop.time() - start)
        transfer.touch()
        return mended
