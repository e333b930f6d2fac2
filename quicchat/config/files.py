"""Files that hold keys and trust: whole after any crash, and nobody else's to read. (spec 12-operation)"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from quicchat.config.sources import BadSetting

_MIB: Final = 1_048_576


def read_private(path: Path) -> bytes:
    """The first MiB of a file that only its owner may read or write.

    Raises BadSetting, which says what to do, when others may; OSError as `open` does.
    """
    # Without O_NONBLOCK a pipe in its place would hold us for ever.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise BadSetting(f"{path} is not a regular file")
        if os.name == "posix" and mode & 0o177:
            raise BadSetting(f"{path} has mode {stat.S_IMODE(mode):04o}, but must have 0600: chmod 600 {_quoted(path)}")
        return os.read(handle, _MIB)
    finally:
        os.close(handle)


def replace(path: Path, data: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Write a file so that at any moment the old or the new one is there, whole; if `durable`, on disk."""
    from tempfile import mkstemp

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(handle)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    if durable and os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _quoted(path: Path) -> str:
    from shlex import quote

    return quote(str(path))
