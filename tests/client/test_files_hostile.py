"""Downloads in bad company: servers that lie, disks that are full, file systems that cannot do it all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.files.part import Part as Landed
from quicchat.client.files.phase import Phase
from quicchat.client.files.targets import FolderTarget, Wanted
from quicchat.errors import Refused
from quicchat.transport.driver import Driver
from quicchat.wire.chapters.files import FileHeader, GetFile, Part, Range
from tests.client.depot import Depot
from tests.client.test_files_down import content, depot
from tests.server.house import play

DATA = content(40_000)


class Rogue:
    """Answers FILE_GET badly: the request for the leaves, or the one for the bytes; the other is served honestly."""

    def __init__(self, depot: Depot, file: bytes, fault: str) -> None:
        self.depot = depot
        self.file = file
        self.fault = fault
        self.proofs = depot.blobs[file].proofs
        depot.rogue = self

    def __call__(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        if get.ranges is None and self.fault in BYTES:
            self.leaves(driver, sid, number, self.proofs)
            BYTES[self.fault](self, driver, sid, replace(get, ranges=((0, len(DATA)),)), None)
            driver.finish(sid)
        elif get.leaves == (self.fault in LEAVES):
            (LEAVES if get.leaves else BYTES)[self.fault](self, driver, sid, get, number)
            driver.finish(sid)
        else:
            self.depot.rogue = None
            self.depot._get(driver, sid, get, number)
            self.depot.rogue = self

    def say(self, driver: Driver, sid: int, number: int | None, part: Part, span: Range, **other: Any) -> None:
        what = {"file": self.file, "size": len(DATA), "chunk": 4_096, **other}
        driver.send(FileHeader(part=part, range=span, **what), sid=sid, re=number)

    def leaves(self, driver: Driver, sid: int, number: int | None, proofs: bytes, **other: Any) -> None:
        self.say(driver, sid, number, Part.LEAVES, (0, len(self.proofs)), **other)
        driver.raw(sid, proofs)

    def monster(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        self.leaves(driver, sid, number, self.proofs, size=2**40)

    def other(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        self.leaves(driver, sid, number, self.proofs, file=bytes(32))

    def lies(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        self.leaves(driver, sid, number, self.proofs[::-1])

    def short(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        self.leaves(driver, sid, number, self.proofs[:-32])

    def silence(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        """An end without a word."""

    def flood(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        span = (get.ranges or ())[0]
        self.say(driver, sid, number, Part.DATA, span)
        # More than was announced, past what our own end would let out.
        driver.raw(sid, bytes(span[1]))
        driver.link.send(sid, bytes(100_000))

    def junk(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        driver.link.send(sid, b"\x40" * 50)

    def beside(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        first, size = (get.ranges or ())[0]
        self.say(driver, sid, number, Part.DATA, (first + 4_096, size))

    def beyond(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        self.say(driver, sid, number, Part.DATA, (0, 2**40))

    def pieces(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        self.say(driver, sid, number, Part.PIECES, (get.ranges or ())[0])

    def swap(self, driver: Driver, sid: int, get: GetFile, number: int | None) -> None:
        self.say(driver, sid, number, Part.DATA, (get.ranges or ())[0], chunk=8_192)


Fault = Callable[[Rogue, Driver, int, GetFile, int | None], None]
LEAVES: dict[str, Fault] = {
    each.__name__: each for each in (Rogue.monster, Rogue.other, Rogue.lies, Rogue.short, Rogue.silence)
}
BYTES: dict[str, Fault] = {
    each.__name__: each for each in (Rogue.flood, Rogue.junk, Rogue.beside, Rogue.beyond, Rogue.pieces, Rogue.swap)
}


@pytest.mark.parametrize("size", [None, len(DATA)], ids=["apart", "together"])
@pytest.mark.parametrize("fault", [*LEAVES, *BYTES])
def test_a_server_that_lies_is_not_believed(tmp_path: Path, fault: str, size: int | None) -> None:
    """X4, X7, [14.7-1]: a monstrous size, another file, other ranges, more bytes, wrong leaves: refused in time."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            file = here.share(DATA)
            Rogue(here, file, fault)
            transfer = alice.files.get(Wanted(file, "f", size), FolderTarget(tmp_path), streams=1)
            async with asyncio.timeout(600):
                with pytest.raises(Refused):
                    await transfer.finished()
            assert not (tmp_path / "f").exists()
            # The rest of the conversation does not suffer.
            assert await alice.ping() < 1
            here.rogue = None
            await alice.files.get(Wanted(file, "g"), FolderTarget(tmp_path)).finished()
            assert (tmp_path / "g").read_bytes() == DATA

    play(scenario)


def test_what_is_allowed_and_not_here_is_bounded(tmp_path: Path) -> None:
    """Issue 4, item 6, [14.7-3]: at most 4 MiB over all streams of a client, however many files it fetches."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            transfers = []
            for number in range(5):
                file = here.share(content(3_000_000 + number), chunk=262_144)
                transfers.append(alice.files.get(Wanted(file, f"f{number}"), FolderTarget(tmp_path), streams=4))
            for transfer in transfers:
                await transfer.finished()
            assert here.most_allowed <= 4_194_304
            assert here.most_allowed > 1_000_000
            assert not here.twice()

    play(scenario)


def test_a_disk_that_is_full_ends_it_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D3, X10: FAILED, saying where; what came stays."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):
            put = Landed.put

            def full(self: Landed, offset: int, data: bytes) -> None:
                if offset > 40_000:
                    raise OSError(28, "No space left on device")
                put(self, offset, data)

            monkeypatch.setattr(Landed, "put", full)
            transfer = alice.files.get(Wanted(here.share(content(100_000)), "f"), FolderTarget(tmp_path))
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.text == f"{tmp_path / 'f.part'}: No space left on device"
            assert transfer.state is Phase.FAILED
            assert (tmp_path / "f.part").exists()

    play(scenario)


def test_hard_links_are_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[14.7-4]: where a file system has no links the name is taken first, and still nothing is overwritten."""

    async def scenario() -> None:
        async with depot() as (alice, here, _):

            def refuse(*_: Any) -> None:
                raise OSError(1, "Operation not permitted")

            monkeypatch.setattr(os, "link", refuse)
            (tmp_path / "f").write_text("mine")
            await alice.files.get(Wanted(here.share(content(9_000)), "f"), FolderTarget(tmp_path)).finished()
            assert (tmp_path / "f").read_text() == "mine"
            assert (tmp_path / "f (1)").read_bytes() == content(9_000)

    play(scenario)
