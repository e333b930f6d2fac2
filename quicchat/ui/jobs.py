"""What an errand does: send files, fetch one, list them. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import IO

from quicchat.client.files.names import safe
from quicchat.client.files.phase import Direction
from quicchat.client.files.sources import PathSource, Source
from quicchat.client.files.targets import FolderTarget, StreamTarget, Target, Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.errors import UsageError
from quicchat.ui.cargo import NO_FILE
from quicchat.ui.errands import STREAM, Errand, addressee
from quicchat.ui.files import matching, question, sources_of
from quicchat.ui.outcomes import Files
from quicchat.ui.picking import SHARED, pick, room_of
from quicchat.values import dataclass
from quicchat.wire.chapters.files import Mode


@dataclass(slots=True)
class Send:
    """Send files and directories, or what comes from standard input, to a room or `@user`; one message each 16."""

    to: str
    paths: Sequence[str]
    name: str | None = None
    caption: str = ""
    quiet: bool = False
    unpacks: bool = False
    folder: Path = field(default_factory=Path)
    _spool: IO[bytes] | None = None

    def __post_init__(self) -> None:
        self.to = addressee(self.to)
        if self.name is not None and not self.takes_input:
            raise UsageError("--name says what standard input is to be called: quicchat send ROOM -f - --name NAME")
        if self.caption == STREAM:
            raise UsageError("standard input as a caption is not supported; -f - sends it as a file")
        if not all(self.paths):
            # It would be the directory where one is, with all that is in it.
            raise UsageError("the name of a file is empty")
        if self.takes_input and len(self.paths) > 1:
            raise UsageError("standard input (-) is sent alone")

    @property
    def takes_input(self) -> bool:
        return STREAM in self.paths

    def prepare(self) -> None:
        if self.takes_input:
            # Its digest is its name, so that all of it must be here before the first byte goes.
            self._spool = tempfile.NamedTemporaryFile(prefix="quicchat-")  # noqa: SIM115 - lives as long as the job
            if sys.stdin is None:
                raise UsageError("standard input is closed", NO_FILE)
            try:
                shutil.copyfileobj(sys.stdin.buffer, self._spool, 1_048_576)
                self._spool.flush()
            except OSError as error:
                raise UsageError(f"standard input: {error.strerror}", NO_FILE) from None

    async def run(self, errand: Errand) -> None:
        # What a call that was interrupted has begun goes on by itself; it is not to be sent twice.
        sources = await asyncio.to_thread(self._sources)
        name = sources[0].name if len(sources) == 1 else f"{len(sources)} files"
        size = sum(source.size for source in sources)
        again = [each for each in errand.cargo.transfers if _is(each, self.to, name, size)]
        if again:
            errand.cargo.follow(again[0])
            for source in sources:
                source.close()
        else:
            to, direct = self.to.removeprefix("@"), self.to.startswith("@")
            await errand.cargo.send(to, sources, direct=direct, caption=self.caption)
        await errand.carried()

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def _sources(self) -> list[Source]:
        if self._spool is None:
            return sources_of([Path(path) for path in self.paths])
        source = PathSource(Path(self._spool.name))
        source.name = safe(self.name or "stdin")
        return [source]


@dataclass(slots=True)
class Fetch:
    """Fetch a file by its name, its id, or the place of its message (`room/#12`)."""

    what: str
    out: str | None = None
    room: str | None = None
    fast: bool = False
    repair: bool = True
    takes_input: bool = False

    @property
    def quiet(self) -> bool:
        return self.out == STREAM

    @property
    def unpacks(self) -> bool:
        return self._renamed is None

    @property
    def folder(self) -> Path:
        out = Path(self.out) if self.out not in (None, STREAM) else Path()
        return (out.parent if self._renamed is not None else out).absolute()

    @property
    def _renamed(self) -> str | None:
        """What the file is to be called, if that was said."""
        if self.out is None or self.quiet or self.out.endswith("/") or Path(self.out).is_dir():
            return None
        return Path(self.out).name

    def prepare(self) -> None:
        # What people put into files a terminal would carry out.
        if self.quiet and sys.stdout.isatty():
            raise UsageError("-o - is for pipes, as in `-o - | less`: what a file holds could take over this terminal")

    async def run(self, errand: Errand) -> None:
        found = await self._found(errand)
        if len(found) > 1 and (self.quiet or self._renamed):
            raise UsageError(f"{self.what} names {len(found)} files; they go to a directory: -o DIR", NO_FILE)
        await self._ask(errand, found)
        mode = Mode.FAST if self.fast else Mode.RELIABLE
        for each in found:
            errand.cargo.fetch(each, mode, into=self._into(), repair=self.repair)
        await errand.carried()
        if self.quiet:
            sys.stdout.buffer.flush()

    def close(self) -> None:
        """What is here of it stays."""

    def _into(self) -> Target:
        return StreamTarget(sys.stdout.buffer) if self.quiet else FolderTarget(self.folder, self._renamed)

    async def _found(self, errand: Errand) -> list[Wanted]:
        desk = errand.desk
        rooms = sorted(desk.chat.state.rooms)
        if len(self.what) == 64 and all(letter in "0123456789abcdefABCDEF" for letter in self.what):
            return [await self._by_id(errand, rooms)]
        what = self.what
        if "/" not in what and not what.startswith("#") and '"' not in what:
            # Of a name on the command line nothing is a mode.
            what = f'"{what}"'
        desk.announced = {self.what: set(rooms)}
        found, _ = await pick(desk, what if self.room is None else f"{self.room}/{what}")
        return [each.file.wanted for each in found]

    async def _by_id(self, errand: Errand, rooms: Sequence[str]) -> Wanted:
        """Whoever may have it need not find it in a list, but for its name."""
        file = bytes.fromhex(self.what)
        for room in (None, *(rooms if self.room is None else [room_of(errand.desk, self.room)])):
            for each in await errand.desk.chat.files.listed(room):
                if each.file == file:
                    return each.wanted
        return Wanted(file, self.what[:16])

    async def _ask(self, errand: Errand, found: Sequence[Wanted]) -> None:
        """Whether what is here of it is to be used."""
        if self.quiet:
            return
        begun = matching(found, await asyncio.to_thread(errand.cargo.unfinished))
        if begun and not await errand.agrees(question(begun)):
            for each in begun:
                await asyncio.to_thread(errand.cargo.forget, each.what)


@dataclass(slots=True)
class List:
    """List the files of a room, of `@user`, or without one what the server shares."""

    place: str | None = None
    quiet: bool = False
    takes_input: bool = False
    unpacks: bool = False
    folder: Path = field(default_factory=Path)

    def prepare(self) -> None:
        """Nothing is needed."""

    async def run(self, errand: Errand) -> None:
        room = room_of(errand.desk, self.place or SHARED)
        errand.outlet.tell(Files(room, await errand.desk.chat.files.listed(room)))

    def close(self) -> None:
        """Nothing was begun."""


def _is(transfer: Transfer, to: str, name: str, size: int) -> bool:
    """Whether it is that upload, begun another time."""
    what = (transfer.room, transfer.name, transfer.size)
    return transfer.direction is Direction.UP and not transfer.over and what == (to.removeprefix("@"), name, size)
