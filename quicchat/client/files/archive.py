"""A directory as one file: an archive that is never written, and of which any part can be read. (spec 14-files)

Its layout follows from the sorted names, sizes and times alone, so that an upload goes on after a crash.
"""

from __future__ import annotations

import os
import stat
import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import DIRECTORY

#: Files and directories in one archive, at most.
MEMBERS: Final = 100_000
#: What the name of a directory that is sent ends with, under way.
SUFFIX: Final = ".tar"
_BLOCK: Final = tarfile.BLOCKSIZE
#: An archive ends with two empty blocks.
_END: Final = bytes(2 * _BLOCK)


@dataclass(frozen=True, slots=True)
class _Member:
    """A file or directory: its place in the archive, its path below the directory, and what it was like then."""

    at: int
    path: str
    size: int
    modified: int
    is_directory: bool
    runs: bool


class ArchiveSource:
    """A directory to send. Symbolic links, devices and what cannot be read as a file are left out, and counted.

    Raises Refused where there is no such directory, or too much in it.
    """

    media_type = DIRECTORY

    def __init__(self, directory: Path) -> None:
        self._root = directory = Path(os.path.abspath(directory))
        self.left_out = 0
        self._members: list[_Member] = []
        self.name = (directory.name or "files") + SUFFIX
        try:
            self.modified = max(0, int(directory.stat().st_mtime * 1000))
            at = 0
            for path, facts in self._found("", os.stat(directory)):
                member = _Member(
                    at,
                    path,
                    facts.st_size if stat.S_ISREG(facts.st_mode) else 0,
                    facts.st_mtime_ns,
                    stat.S_ISDIR(facts.st_mode),
                    bool(facts.st_mode & stat.S_IXUSR),
                )
                self._members.append(member)
                at += len(self._header(member)) + _padded(member.size)
        except OSError as error:
            raise Refused(Code.NO_SUCH_FILE, f"{error.filename or directory}: {error.strerror}") from None
        self.size = at + len(_END)
        self._places = [member.at for member in self._members]

    @property
    def count(self) -> int:
        """How many files it holds."""
        return sum(not member.is_directory for member in self._members)

    def read(self, offset: int, size: int) -> bytes:
        """A part of the archive. Raises Refused(FILE_CHANGED) where a file is not what it was any more."""
        pieces: list[bytes] = []
        size = max(0, min(size, self.size - offset))
        while size:
            piece = self._piece(offset, size)
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Nothing is held open."""

    def _piece(self, offset: int, size: int) -> bytes:
        """What stands there, up to the end of a header, a file, or its padding at least."""
        index = bisect_right(self._places, offset) - 1
        if index < 0:  # there is nothing but the end
            return _END[offset : offset + size]
        member = self._members[index]
        header = self._header(member)
        within = offset - member.at
        if within < len(header):
            return header[within : within + size]
        within -= len(header)
        if within < member.size:
            return self._content(member, within, min(size, member.size - within))
        if within < (padded := _padded(member.size)):
            return bytes(min(size, padded - within))
        return _END[within - padded : within - padded + size]

    def _content(self, member: _Member, at: int, size: int) -> bytes:
        path = self._root / member.path
        try:
            # Without these a link, or a pipe that nobody writes to, might stand there by now.
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb", buffering=0) as file:
                file.seek(at)
                data = file.read(size)
                while len(data) < size and (more := file.read(size - len(data))):
                    data += more
                facts = os.fstat(file.fileno())
        except OSError as error:
            raise Refused(Code.FILE_CHANGED, f"{path}: {error.strerror}") from None
        if len(data) < size or (facts.st_size, facts.st_mtime_ns) != (member.size, member.modified):
            raise Refused(Code.FILE_CHANGED, f"{path} changed while it was sent; send {self._root.name} again")
        return data

    def _header(self, member: _Member) -> bytes:
        """Tells nothing of who owns it, or on which machine."""
        info = tarfile.TarInfo(f"{self._root.name or 'files'}/{member.path}".rstrip("/"))
        info.size = member.size
        info.mtime = member.modified / 1e9
        info.type = tarfile.DIRTYPE if member.is_directory else tarfile.REGTYPE
        info.mode = 0o755 if member.is_directory or member.runs else 0o644
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def _found(self, path: str, facts: os.stat_result) -> Iterator[tuple[str, os.stat_result]]:
        """The directory itself, then what is in it, by name; links are not followed."""
        if len(self._members) >= MEMBERS:
            raise Refused(Code.LIMIT, f"{self._root} holds more than {MEMBERS} files")
        yield path, facts
        if not stat.S_ISDIR(facts.st_mode):
            return
        for name in sorted(os.listdir(self._root / path)):
            below = f"{path}/{name}" if path else name
            inside = os.lstat(self._root / below)
            if stat.S_ISDIR(inside.st_mode) or stat.S_ISREG(inside.st_mode):
                yield from self._found(below, inside)
            else:
                self.left_out += 1


def _padded(size: int) -> int:
    """Up to the end of its last block."""
    return -(-size // _BLOCK) * _BLOCK
