"""What the tests of files share: contents, a server with a folder that it shares, and ways to fetch and to send."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quicchat.client.files.sources import PathSource
from quicchat.client.files.targets import FolderTarget, Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.wire.chapters.messages import Kind, Message
from tests.processes import CHEAP, ServerProcess
from tests.visitors import Visitor

MIB = 2**20
#: How often programs are killed; the figure of the issue is 10.
KILLS = int(os.environ.get("QUICCHAT_TEST_KILLS", "3"))
#: The size of what is large; the figure of the issue is 100.
LARGE = int(os.environ.get("QUICCHAT_TEST_MIB", "32")) * MIB


def content(size: int, seed: int = 0) -> bytes:
    """The same bytes for the same seed."""
    chance = random.Random(seed)
    return b"".join(chance.randbytes(min(MIB, size - at)) for at in range(0, size, MIB))


@contextmanager
def sharing(path: Path, *flags: str, **files: bytes) -> Iterator[ServerProcess]:
    """A server whose folder holds these files."""
    folder = path / "shared"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
        # What changed a moment ago may still be changing.
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    with ServerProcess(path / "server", *(flags or CHEAP), "--share", str(folder)) as server:
        yield server


def shared(name: str, size: int | None = None) -> Wanted:
    """What the server shares under a name."""
    return Wanted(file=None, name=name, size=size, media_type="", modified=None, shared=True)


def fetch(visitor: Visitor, wanted: Wanted, into: Path, **how: Any) -> Transfer:
    """Begin to fetch something into a directory, which is made."""
    into.mkdir(exist_ok=True)
    return visitor.chat.files.get(wanted, FolderTarget(into), **how)


async def send(visitor: Visitor, to: str, path: Path, data: bytes, *, direct: bool = False) -> Transfer:
    """Begin to send these bytes, as a file of that path, to a room or a person."""
    await asyncio.to_thread(path.write_bytes, data)
    return await visitor.chat.files.send(to, [PathSource(path)], direct=direct)


async def announced(visitor: Visitor, name: str) -> Wanted:
    """Wait for the message that names a file."""

    def found() -> list[Wanted]:
        return [
            Wanted(file=file, name=called, size=size, media_type=kind, modified=modified, shared=False)
            for event in visitor.ears.of(Message)
            if event.kind is Kind.FILE
            for file, size, kind, called, modified in event.attachments or ()
            if called == name
        ]

    await visitor.ears.until(lambda: bool(found()))
    return found()[0]


async def listed(visitor: Visitor, room: str) -> Wanted:
    """The one file that a room has."""
    (found,) = await visitor.chat.files.listed(room)
    return Wanted(found.file, found.name, found.size, found.media_type, found.modified)


def got(transfer: Transfer) -> bytes:
    """What is there at the end."""
    assert transfer.path is not None
    return transfer.path.read_bytes()


def blobs(server: ServerProcess, size: int) -> list[Path]:
    """Where a server keeps contents of this size."""
    return [path for path in (server.data / "blobs").rglob("*") if path.is_file() and path.stat().st_size == size]
