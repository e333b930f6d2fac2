"""Files without a server: a shelf that lists what a test put there, and transfers that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quicchat.client.files import targets
from quicchat.client.files.api import Listed
from quicchat.client.files.phase import Direction, Phase
from quicchat.client.files.sources import Source
from quicchat.client.files.targets import Target, Unfinished, Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.client.state import State
from quicchat.ui import commands
from quicchat.ui.cargo import Cargo
from quicchat.ui.desk import Desk
from quicchat.ui.words import Call
from quicchat.wire.chapters.files import Mode, Standing
from quicchat.wire.chapters.messages import DIRECTORY
from tests.ui.stage import vocabulary

#: Plays a scenario at a counter.
Act = Callable[..., None]
#: 2027-01-14 11:04:20 UTC, in ms.
THEN = 1_799_924_660_000


def row(name: str, sender: str = "bob", **facts: Any) -> Listed:
    """A file on the shelf; its content is its name's unless `file` says otherwise."""
    usual = {"size": 1000, "modified": THEN, "media_type": "", "file": name.encode().ljust(32, b"\0")}
    usual |= {"standing": Standing.WHOLE, "seq": 5 if sender else 0}
    return Listed(name=name, sender=sender, **{**usual, **facts})


class Shelf:
    """As `chat.files`."""

    def __init__(self, **rooms: Sequence[Listed]) -> None:
        self.rooms: dict[str | None, Sequence[Listed]] = {None: rooms.pop("shared", ())}
        self.rooms.update(rooms.items())
        self.transfers: list[Transfer] = []
        self.asked: list[tuple[Any, ...]] = []
        self.moved: list[Transfer] = []

    async def listed(self, room: str | None = None) -> Sequence[Listed]:
        return self.rooms.get(room, ())

    def unfinished(self, directory: Path) -> list[Unfinished]:
        return targets.unfinished(directory)

    def get(self, wanted: Wanted, into: Target, *, mode: Mode, repair: bool) -> Transfer:
        self.asked.append((wanted.name, wanted.file, mode, repair))
        return self._begun(wanted.name, wanted.size, Direction.DOWN, mode)

    async def send(self, to: str, sources: Sequence[Source], *, direct: bool, caption: str) -> Transfer:
        assert caption == ""
        self.asked.append((to, direct, [source.name for source in sources]))
        for source in sources:
            source.close()
        return self._begun(sources[0].name, sum(source.size for source in sources), Direction.UP)

    def _begun(self, name: str, size: int | None, way: Direction, mode: Mode = Mode.RELIABLE) -> Transfer:
        number = len(self.transfers) + 1
        self.transfers.append(Transfer(number, name, size, way, mode=mode, tell=self.moved.append))
        return self.transfers[-1]


class Counter:
    """A desk with a shelf behind it; `told` is what was told of files."""

    def __init__(self, folder: Path, shelf: Shelf, *, lively: bool = True) -> None:
        self.told: list[Any] = []
        self.shelf = shelf
        chat: Any = _Chat(shelf)
        self.cargo = Cargo(chat, folder, self.told.append, lively=lively)
        self.desk = Desk(chat, vocabulary(), self.cargo)

    def hear(self) -> list[str]:
        """Let the cargo hear of what moved since; the steps that people are told."""
        before = len(self.told)
        for transfer in self.shelf.moved:
            self.cargo.moved(transfer)
        self.shelf.moved.clear()
        return [item.step for item in self.told[before:] if getattr(item, "step", "")]


class _Chat:
    version = 2

    def __init__(self, files: Shelf) -> None:
        self.files = files
        self.state = State(user="alice")


async def passes(seconds: float) -> None:
    """Virtual time."""
    await asyncio.sleep(seconds)


def finish(transfer: Transfer, path: Path | None = None) -> None:
    """All of it is there."""
    transfer.move(Phase.TRANSFERRING)
    transfer.gain((transfer.size or 0) - transfer.done)
    transfer.spent(transfer.mode, transfer.size or 0, 2.0)
    transfer.move(Phase.VERIFYING)
    transfer.path = path
    transfer.move(Phase.DONE)


async def do(counter: Counter, line: str) -> Any:
    """Carry out what was typed at this counter."""
    found = counter.desk.words.parse(line)
    assert isinstance(found, Call), found
    return await commands.run(counter.desk, found)


#: What the server shares, and what was sent to general.
SHARED = [row("a", ""), row("a udp", ""), row("my file.txt", ""), row("report.pdf", "", file=b"1" * 32)]
HERE = [
    row("photo.jpg", seq=12),
    row("notes.txt", seq=11, file=b"n" * 32),
    row("notes.txt", seq=9, file=b"o" * 32),
    row("report.pdf", "mallory", seq=8, file=b"2" * 32),
    row("both.txt", seq=7),
    row("both.txt", "carol", seq=6),
    row("photos.tar", seq=5, media_type=DIRECTORY),
    row("one.txt", seq=4),
    row("two.txt", seq=4),
    row("#3", seq=2),
]
