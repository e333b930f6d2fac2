"""A file on its way here: `name.part`, and `name.part.map`, which says what of it is verified. (spec 14-files)

    map = "quicchat part 1" || 0 || length, 4 bytes || that many bytes of JSON || leaves || one byte for each chunk

A byte of the map is set after its chunk was written, so it never claims what is not there; and what it claims is
verified once more before it is believed, since a disk may forget one and keep the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO, Final

from quicchat.client.e2ee.parcels import Opening
from quicchat.client.files.landing import Known, Leaves
from quicchat.client.files.names import numbered
from quicchat.errors import Code, Refused
from quicchat.wire.leaves import LEAF, MOST, begin

PART: Final = ".part"
MAP: Final = ".part.map"
_MAGIC: Final = b"quicchat part 1\0"
#: Bytes of JSON in a map, at most.
_HEADER: Final = 8_192
_READ: Final = 1_048_576
#: Bytes of a parcel that are opened in one go.
_STEP: Final = 67_108_864
#: Bytes of a file, at most.
_LARGEST: Final = 2**40
#: Names that are tried: `name`, `name (1)`, and so on.
NAMES: Final = 1_000


class Busy(Exception):
    """Another transfer writes there at the moment."""


class Part:
    """An open and locked .part with its map; `Part.make` begins one, `Part.open` goes on with one."""

    ordered = False

    def __init__(self, path: Path, known: Known, part: BinaryIO, chart: BinaryIO, leaves_at: int) -> None:
        #: Where it is now.
        self.path: Path | None = path
        #: What it is called in the end, if that is not what it is called now.
        self.called: str | None = None
        self.known = known
        self.marks = bytearray(known.chunks)
        self._part = part
        self._chart = chart
        self._leaves_at = leaves_at
        self._marks_at = leaves_at + LEAF * known.chunks
        self._opening: Opening | None = None
        #: Up to where a parcel is opened, and where what was in it ends by now.
        self._opened_to = self._plain_to = 0
        # Several streams write, each in a thread of its own.
        self._lock = threading.Lock()

    # Making and finding

    @classmethod
    def make(cls, directory: Path, name: str, known: Known, leaves: Leaves) -> Part:
        """Begin under the first name that is free; nothing that is there is written to. Raises OSError, Refused."""
        for number in range(NAMES):
            path = directory / (numbered(name, number) + PART)
            if _chart(path).exists() and not _is_chart(_chart(path)):
                continue
            try:
                part = _locked(path, os.O_CREAT)
            except Busy:
                continue
            if part is None:
                continue
            if os.fstat(part.fileno()).st_size:
                part.close()
                continue
            return cls(path, known, part, *_charted(path, known, leaves))
        raise Refused(Code.LIMIT, f"There are too many files named {name}.")

    @classmethod
    def open(cls, path: Path) -> Part | None:
        """Go on with what is there, `check` comes next; None where there is nothing to go on with.

        Raises Busy, OSError.
        """
        try:
            part = _locked(path, 0)
        except FileNotFoundError:
            return None
        if part is None:
            return None
        chart: BinaryIO | None = None
        try:
            chart = _chart(path).open("r+b", buffering=0)
            known, at = _read(chart)
            if os.fstat(part.fileno()).st_nlink > 1:
                # It was finished, and the program ended before its other name was gone.
                path.unlink()
                _chart(path).unlink()
                raise ValueError("finished")
        except (OSError, ValueError):
            part.close()
            if chart is not None:
                chart.close()
            return None
        return cls(path, known, part, chart, at)

    def check(self, first: int, chunks: int) -> int:
        """Believe what the map claims of some chunks, where it is so; how many bytes that are. Raises OSError."""
        with self._lock:
            self._chart.seek(self._marks_at + first)
            claimed = self._chart.read(min(chunks, self.known.chunks - first))
        good = 0
        for index in (first + place for place, mark in enumerate(claimed) if mark == 1):
            offset, size = self.known.span(index)
            if hashlib.sha256(self.read(offset, size)).digest() == self.leaf(index):
                self.marks[index] = 1
                good += size
        return good

    # What comes

    def leaf(self, index: int) -> bytes:
        with self._lock:
            return _read_at(self._chart, LEAF, self._leaves_at + LEAF * index)

    def keep(self, index: int, data: bytes) -> None:
        self.put(index * self.known.chunk, data)
        with self._lock:
            _write_at(self._chart, b"\1", self._marks_at + index)
            self.marks[index] = 1

    def put(self, offset: int, data: bytes | bytearray) -> None:
        with self._lock:
            _write_at(self._part, data, offset)

    def read(self, offset: int, size: int) -> bytes:
        data = b""
        with self._lock:
            self._part.seek(offset)
            while len(data) < size and (piece := self._part.read(size - len(data))):
                data += piece
        return data

    # How it ends

    def unseal(self) -> bool:
        """Open the next bytes of a parcel where it lies, for what is plain is shorter; whether there are more.

        Whoever dies meanwhile has lost what was opened so far: the map claims what is not true, and `check` finds that.
        Raises Refused(DIGEST) where it cannot be opened: then nothing of it is left.
        """
        key, size = self.known.key, self.known.size
        if key is None or self._opened_to == size:
            return False
        self._opening = self._opening or Opening(key)
        try:
            end = min(size, self._opened_to + _STEP)
            while self._opened_to < end:
                data = self.read(self._opened_to, min(_READ, end - self._opened_to))
                plain = self._opening.feed(data)
                self.put(self._plain_to, plain)
                self._opened_to += len(data)
                self._plain_to += len(plain)
            if end == size:
                self._opening.end()
        except Refused:
            self.discard()
            raise
        return end < size

    def finish(self) -> None:
        """Give it the name that it is to have, or the next one that is free. Durable when it returns.

        What is left of a parcel is opened first; raises as `unseal`.
        """
        if self.path is None or self._part.closed:
            return
        part, modified = self._part, self.known.modified
        while self.unseal():
            pass
        key = self.known.key
        os.ftruncate(part.fileno(), key.size if key is not None else self.known.size)
        os.fsync(part.fileno())
        if modified is not None:
            os.utime(self.path, ns=(modified * 1_000_000, modified * 1_000_000))
        if sys.platform == "win32":
            # What is open keeps its name there.
            self.leave()
        final = _published(self.path, self.called or self.path.name.removesuffix(PART))
        _chart(self.path).unlink(missing_ok=True)
        self.path = final
        self.leave()
        _settle(final.parent)

    def leave(self) -> None:
        with self._lock:
            self._chart.close()
            self._part.close()

    def discard(self) -> None:
        if sys.platform == "win32":
            self.leave()
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
            _chart(self.path).unlink(missing_ok=True)
            self.path = None
        self.leave()


def charted(path: Path) -> tuple[Known, int] | None:
    """What a .part is of, and how many bytes of it its map claims; None where it cannot go on. Raises OSError."""
    try:
        with _chart(path).open("rb") as chart:
            known, at = _read(chart)
            chart.seek(at + LEAF * known.chunks)
            claimed = [index for index, mark in enumerate(chart.read(known.chunks)) if mark == 1]
    except (FileNotFoundError, ValueError):
        return None
    return known, sum(known.span(index)[1] for index in claimed)


def _read_at(file: BinaryIO, size: int, offset: int) -> bytes:
    if sys.platform == "win32":
        file.seek(offset)
        return file.read(size)
    # Beside a busy loop a thread waits for its turn after each call of the system, so there are few.
    return os.pread(file.fileno(), size, offset)


def _write_at(file: BinaryIO, data: bytes | bytearray, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        if sys.platform == "win32":
            file.seek(offset)
            written = file.write(rest)
        else:
            written = os.pwrite(file.fileno(), rest, offset)
        rest, offset = rest[written:], offset + written


def _chart(part: Path) -> Path:
    return part.with_name(part.name.removesuffix(PART) + MAP)


def _is_chart(path: Path) -> bool:
    with path.open("rb") as chart:
        # One that was begun and never written to its end begins with nothing, or with zeros.
        return chart.read(len(_MAGIC)) in (_MAGIC, b"", bytes(len(_MAGIC)))


def _charted(path: Path, known: Known, leaves: Leaves) -> tuple[BinaryIO, int]:
    """A new map that claims nothing, and where its leaves begin."""
    told = {"file": known.file.hex(), "size": known.size, "chunk": known.chunk, "name": known.name}
    told |= {"modified": known.modified, "media_type": known.media_type, "shared": known.shared}
    told |= {"fast": known.fast, "sealed": known.sealed}
    header = json.dumps(told).encode()
    chart = _chart(path).open("w+b", buffering=0)
    try:
        # The first bytes come last: until then this is no map.
        chart.seek(len(_MAGIC))
        chart.write(len(header).to_bytes(4, "big") + header)
        at = chart.tell()
        leaves.copy(chart)
        chart.write(bytes(known.chunks))
        chart.seek(0)
        chart.write(_MAGIC)
    except BaseException:
        chart.close()
        _chart(path).unlink(missing_ok=True)
        raise
    return chart, at


def _read(chart: BinaryIO) -> tuple[Known, int]:
    """What a map says, and where its leaves begin; they are those of the file. Raises ValueError, OSError."""
    head = chart.read(len(_MAGIC) + 4)
    length = int.from_bytes(head[len(_MAGIC) :], "big")
    if not head.startswith(_MAGIC) or length > _HEADER:
        raise ValueError("not a map")
    told: dict[str, Any] = json.loads(chart.read(length))
    try:
        known = Known(**{**told, "file": bytes.fromhex(told["file"]), "key": None})
        if not (isinstance(told["name"], str) and 0 <= known.size <= _LARGEST and known.chunks <= MOST):
            raise ValueError("not a map")
        root, due = begin(known.size, known.chunk), LEAF * known.chunks
        while due and (leaves := chart.read(min(due, _READ))):
            root.update(leaves)
            due -= len(leaves)
    except (KeyError, TypeError, AttributeError, OverflowError, ZeroDivisionError) as error:
        raise ValueError("not a map") from error
    if due or root.digest() != known.file:
        raise ValueError("not its leaves")
    return known, len(head) + length


def _locked(path: Path, flags: int) -> BinaryIO | None:
    """A .part that nobody else writes to; None where there is something that is no regular file.

    Raises Busy, OSError.
    """
    flags |= os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        try:
            part = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
        except FileNotFoundError:
            raise
        except OSError:
            if path.is_symlink() or (path.exists() and not path.is_file()):
                return None
            raise
        try:
            _lock(part.fileno())
            # Whoever had it until now may have finished it.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(part.fileno())):
                return part
        except BaseException:
            part.close()
            raise
        part.close()
        if not flags & os.O_CREAT:
            raise FileNotFoundError(path)


def _lock(handle: int) -> None:
    """Until it is closed nobody else has it. Raises Busy. Some systems have no such locks."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy from None


def _published(part: Path, name: str) -> Path:
    """Rename it to that, or to the next such name that is free; never over another."""
    for number in range(NAMES):
        final = part.with_name(numbered(name, number))
        try:
            os.link(part, final)
        except FileExistsError:
            continue
        except OSError:
            # No links here: take the name first, then put the file in its place.
            try:
                os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            except FileExistsError:
                continue
            part.replace(final)
            return final
        part.unlink()
        return final
    raise FileExistsError(f"there are too many files named {name}")


def _settle(directory: Path) -> None:
    """The name is durable too, where a directory can be told so."""
    if sys.platform != "win32":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
