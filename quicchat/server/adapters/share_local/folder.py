"""The shared folder itself: regular files directly in it, reached by descriptor and never by path. (spec 14-files)

All of this blocks, and runs in threads. Names are checked before they touch the disk; no link is followed, nothing is
opened that could make us wait, and what else stands in the folder is as good as absent (hostile X1, X2).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from quicchat.errors import Code, Refused
from quicchat.server.descriptor import Descriptor
from quicchat.wire.fields import FILE_NAME, FILE_SIZE

T = TypeVar("T")

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: There is no such file, or none that may be seen: a link, a directory, somebody else's.
_ABSENT: Final = (errno.ENOENT, errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM)
_CROWDED: Final = (errno.EMFILE, errno.ENFILE)


class Stamp(NamedTuple):
    """One version of a file: any change of its content makes another. Times are ns."""

    device: int
    inode: int
    size: int
    modified: int
    #: The kernel's own time, which nobody can set back.
    changed: int


class Entry(NamedTuple):
    """A file of the folder."""

    name: str
    stamp: Stamp


class Folder:
    """A directory that was opened once: whoever moves it away or puts another in its place moves nothing here."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, _FOLDER)

    def close(self) -> None:
        """Nothing can be opened any more."""
        os.close(self._fd)

    def version(self) -> int:
        """Another one after a file has come or gone. Raises Refused(STORE_UNAVAILABLE)."""
        try:
            return os.fstat(self._fd).st_mtime_ns
        except OSError as error:
            raise refusal(error) from error

    def entries(self) -> list[Entry]:
        """The files that may be served, by name. Raises Refused(STORE_UNAVAILABLE)."""
        found = []
        try:
            # A descriptor of its own: those that are duplicated share one place in the directory.
            own = os.open(".", _FOLDER, dir_fd=self._fd)
            try:
                with os.scandir(own) as listing:
                    for each in listing:
                        if _is_name(each.name) and (stamp := _stamp_of(each)) is not None:
                            found.append(Entry(each.name, stamp))
            finally:
                os.close(own)
        except OSError as error:
            raise refusal(error) from error
        return sorted(found, key=itemgetter(0))

    def open(self, name: str) -> tuple[Descriptor, Stamp]:
        """A file to read. Raises Refused(NO_SUCH_FILE), (OVERLOADED), (STORE_UNAVAILABLE)."""
        if not _is_name(name):
            raise Refused(Code.NO_SUCH_FILE)
        try:
            # Looked at before it is opened: there are devices for which being opened is an order.
            _stamp(os.stat(name, dir_fd=self._fd, follow_symlinks=False))
            fd = os.open(name, _FILE, dir_fd=self._fd)
            try:
                return Descriptor(fd), _stamp(os.fstat(fd))
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            raise refusal(error) from error


def used(descriptor: Descriptor, work: Callable[[int], T]) -> T:
    """Do something with a file. Raises Refused, too."""
    try:
        return descriptor.use(work)
    except OSError as error:
        raise refusal(error) from error


def refusal(error: OSError) -> Refused:
    """What to answer where the system refuses."""
    if error.errno in _ABSENT:
        return Refused(Code.NO_SUCH_FILE)
    return Refused(Code.OVERLOADED if error.errno in _CROWDED else Code.STORE_UNAVAILABLE)


def _is_name(name: str) -> bool:
    try:
        FILE_NAME.load(name)
    except ValueError:
        return False
    return True


def _stamp_of(entry: os.DirEntry[str]) -> Stamp | None:
    try:
        return _stamp(entry.stat(follow_symlinks=False))
    except OSError:  # it is gone again, or none of those we serve
        return None


def _stamp(info: os.stat_result) -> Stamp:
    # A second name may be in a place where others write, or where it should never have been read.
    if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1 or info.st_size > FILE_SIZE.most:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return Stamp(info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
