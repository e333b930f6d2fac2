"""An archive that came, as a directory again: nothing in it is believed, and nothing is overwritten. (spec 14-files)"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tarfile
import unicodedata
from collections import Counter
from dataclasses import field
from itertools import count
from pathlib import Path
from typing import IO, Final

from quicchat.client.files.archive import MEMBERS, SUFFIX
from quicchat.client.files.names import numbered, safe
from quicchat.errors import Code, Refused
from quicchat.values import dataclass

#: The most that is read of an archive at once: no header is longer.
_AT_ONCE: Final = 1_048_576
_COPIED: Final = 262_144
#: Directories in each other.
_DEEP: Final = 64
#: What a strange archive may do to its reader.
_BROKEN: Final = (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Where it lies now, how many files it has, and how many members were left out."""

    path: Path
    files: int
    left_out: int


def unpack(archive: Path, name: str) -> Unpacked:
    """Unpack beside the archive, under the `name` that was announced, and remove the archive if all of it is there.

    Made first under a name of its own, so that what has its final name is whole. Waits for the disk. Raises Refused.
    """
    stem = name.removesuffix(SUFFIX) or "files"
    made = archive.parent / f".{safe(stem)}.{secrets.token_hex(4)}"
    try:
        made.mkdir()
        with open(archive, "rb") as file:
            unpacking = _Unpacking(made, os.fstat(file.fileno()).st_size, stem)
            unpacking.run(_Guarded(file))
        path = _settle(made, archive.parent / safe(stem))
        if not unpacking.left_out:
            # What is removed here must not be the only one that is on the disk.
            getattr(os, "sync", lambda: None)()
            archive.unlink()
    except OSError as error:
        raise Refused(Code.FORBIDDEN, f"{archive} cannot be unpacked: {error.strerror}") from None
    except _BROKEN as error:
        raise Refused(Code.DECODE, f"{archive} is no archive of a directory: {error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Unpacked(path, unpacking.files, unpacking.left_out)


@dataclass(slots=True)
class _Folder:
    """A directory that was made: what is in it by the names of the archive, and all names that are taken, folded."""

    path: Path
    known: dict[str, _Folder] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    #: How often each name was wanted, so that many of the same do not take the square of the time.
    seen: Counter[str] = field(default_factory=Counter)

    def free(self, name: str) -> Path:
        """Where this name may lie; another one where a system might take it for one that is there."""
        # Hidden files belong to what is sent: here they do not lie among the receiver's own.
        wanted = f".{safe(name[1:])}" if name.startswith(".") else safe(name)
        for number in count(self.seen[wanted]):
            free = numbered(wanted, number)
            if (folded := unicodedata.normalize("NFC", free.casefold())) not in self.taken:
                self.taken.add(folded)
                self.seen[wanted] = number + 1
                return self.path / free
        raise AssertionError("there is always one more number")


class _Unpacking:
    """One archive on its way into the directory `made`. `size` is the archive's: its files have no more bytes."""

    def __init__(self, made: Path, size: int, stem: str) -> None:
        self._root = _Folder(made)
        self._left = size
        self._stem = stem
        self._count = 0
        self._times: list[tuple[Path, float]] = []
        self.files = 0
        self.left_out = 0

    def run(self, file: _Guarded) -> None:
        """Raises OSError, Refused, and what is _BROKEN."""
        # To read it needs no more than `_Guarded` has; its stubs want what writing needs, too.
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
            for member in archive:
                self._member(archive, member)
        for path, modified in reversed(self._times):
            _dated(path, modified)

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._one_more()
        parts = _parts(member.name)
        if parts and parts[0] == self._stem:
            del parts[0]
        # Sparse files are not counted as files by what they hold.
        plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
        if not (plain or member.isdir()) or parts is None or len(parts) > _DEEP:
            self.left_out += 1
        elif member.isdir():
            folder = self._folder(parts)
            self._times.append((folder.path, member.mtime))
        elif not parts:
            self.left_out += 1
        else:
            self._left -= member.size
            if self._left < 0:
                raise Refused(Code.DECODE, "an archive says that it holds more than it has bytes")
            self._file(archive, member, self._folder(parts[:-1]).free(parts[-1]))

    def _file(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        content = archive.extractfile(member)
        assert content is not None
        with content, open(path, "xb") as file:
            shutil.copyfileobj(content, file, _COPIED)
            if file.tell() != member.size:
                raise EOFError("it ends in the middle of a file")
        _dated(path, member.mtime)
        self.files += 1

    def _folder(self, parts: list[str]) -> _Folder:
        """The directory of that name, made where it is not there yet."""
        folder = self._root
        for part in parts:
            if (below := folder.known.get(part)) is None:
                self._one_more()
                below = folder.known[part] = _Folder(folder.free(part))
                below.path.mkdir()
            folder = below
        return folder

    def _one_more(self) -> None:
        self._count += 1
        if self._count > 2 * MEMBERS:
            raise Refused(Code.LIMIT, f"an archive holds more than {MEMBERS} files")


class _Guarded:
    """An archive's file, as `tarfile` wants it, that never gives it more at once than it may hold in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _AT_ONCE:
            raise ValueError("a header in it is too long")
        return self._file.read(size)


def _parts(name: str) -> list[str] | None:
    """The names on the way to a member; None where it does not lie below."""
    if name.startswith(("/", "\\")) or name[1:2] == ":" or "\0" in name:
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if any(part == ".." or "\\" in part for part in parts) else parts


def _settle(made: Path, wanted: Path) -> Path:
    """Give a directory the first name that is free. Of two that try, each gets one of its own."""
    for number in count():
        path = wanted.with_name(numbered(wanted.name, number))
        try:
            path.mkdir()
        except FileExistsError:
            continue
        if os.name != "posix":
            path.rmdir()
        made.rename(path)
        return path
    raise AssertionError("there is always one more number")


def _dated(path: Path, modified: float) -> None:
    # Not every system knows every time; the content counts.
    with contextlib.suppress(OSError, OverflowError, ValueError):
        os.utime(path, ns=(round(modified * 1e6) * 1000,) * 2)
