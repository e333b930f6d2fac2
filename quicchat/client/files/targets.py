"""Where downloads go: a directory, a stream, or memory. (spec 14-files)"""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from quicchat.client.e2ee.parcels import plain_size
from quicchat.client.files.landing import Known, Landing, Leaves, MemoryLanding, StreamLanding
from quicchat.client.files.names import numbered, safe
from quicchat.client.files.part import MAP, NAMES, PART, Busy, Part, charted
from quicchat.errors import Code, Refused
from quicchat.values import dataclass
from quicchat.wire.chapters.files import Mode

if TYPE_CHECKING:
    from quicchat.wire.sealed import FileKey


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: by `file`, its id, by `name` where the server shares it, or both. The rest is what was said.

    `sealed` is what only `key` opens; its size is that of the parcel then.
    """

    file: bytes | None
    name: str
    size: int | None = None
    media_type: str = ""
    modified: int | None = None
    shared: bool = False
    sealed: bool = False
    key: FileKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file that was begun here and can go on in the same `mode`; `done` of its bytes are said to be here."""

    name: str
    size: int
    done: int
    what: Wanted
    mode: Mode


class Target(Protocol):
    """Makes landings; in threads. Both raise OSError."""

    def found(self, wanted: Wanted) -> Part | None:
        """What is here already of that content, to be checked; None where there is nothing. Raises Refused(LIMIT)."""

    def begin(self, known: Known, leaves: Leaves) -> Landing:
        """A place for a file whose leaves are right; whoever is given them closes them. Raises Refused."""


class FolderTarget:
    """Files in a directory, which is made where it is missing, with `.part` and a map while they come.

    `called` is what they are called in the end; else as they were sent.
    """

    def __init__(self, directory: Path, called: str | None = None) -> None:
        self.directory = directory
        self._called = called

    def found(self, wanted: Wanted) -> Part | None:
        # Any of them may be gone: whichever came first is finished first.
        names = {numbered(safe(wanted.name), number) + PART for number in range(NAMES)}
        for path in sorted(self.directory.glob(f"*{PART}")):
            begun = charted(path) if path.name in names else None
            if begun is None or begun[0].file != wanted.file:
                continue
            try:
                if (part := Part.open(path)) is not None:
                    part.called = self._called
                    part.known = replace(part.known, key=wanted.key, sealed=part.known.sealed or wanted.sealed)
                    return part
            except Busy:
                raise Refused(Code.LIMIT, f"{path} is being written already, by this program or another.") from None
        return None

    def begin(self, known: Known, leaves: Leaves) -> Landing:
        self.directory.mkdir(parents=True, exist_ok=True)
        if known.shared:
            self._clear(known)
        try:
            part = Part.make(self.directory, safe(known.name), known, leaves)
            part.called = self._called
            return part
        finally:
            leaves.close()

    def _clear(self, known: Known) -> None:
        """What was begun of a shared file that has another content now is of no use."""
        path = self.directory / (safe(known.name) + PART)
        begun = charted(path) if path.exists() else None
        if begun is None or not begun[0].shared or begun[0].name != known.name or begun[0].file == known.file:
            return
        try:
            if (part := Part.open(path)) is not None:
                part.discard()
        except Busy:
            return


class StreamTarget:
    """A stream that takes bytes in order, such as a pipe."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def found(self, wanted: Wanted) -> Part | None:
        return None

    def begin(self, known: Known, leaves: Leaves) -> Landing:
        return StreamLanding(known, leaves, self._out)


class MemoryTarget:
    """Small files in memory: at most `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.landing: MemoryLanding | None = None

    def found(self, wanted: Wanted) -> Part | None:
        return None

    def begin(self, known: Known, leaves: Leaves) -> Landing:
        if known.size > self._most:
            raise Refused(Code.MSG_TOO_LARGE, f"{known.size} bytes where {self._most} are allowed.")
        self.landing = MemoryLanding(known, leaves)
        return self.landing


def unfinished(directory: Path) -> list[Unfinished]:
    """What was begun in a directory and can go on, by name. Raises OSError."""
    found = []
    for chart in sorted(directory.glob(f"*{MAP}")) if directory.is_dir() else ():
        begun = charted(chart.with_name(chart.name.removesuffix(MAP) + PART))
        if begun is None or not chart.with_name(chart.name.removesuffix(MAP) + PART).is_file():
            continue
        known, done = begun
        what = Wanted(known.file, known.name, known.size, known.media_type, known.modified, known.shared, known.sealed)
        mode = Mode.FAST if known.fast else Mode.RELIABLE
        size, done = (plain_size(each) if known.sealed else each for each in (known.size, done))
        found.append(Unfinished(known.name, size, done, what, mode))
    return found
