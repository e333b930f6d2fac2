"""Whose memory a file is, and that only one program at a time has it; known without opening it. (spec 06-messages)"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from quicchat.errors import UsageError


def is_held(data: Path, place: str, user: str) -> bool:
    """Whether another program has this memory now."""
    path = file_of(data / "memory", place, user)
    if not path.exists():
        return False
    try:
        lock = reserved(path)
    except UsageError:
        return True
    if lock is not None:
        os.close(lock)
    return False


def file_of(folder: Path, place: str, user: str) -> Path:
    """Whatever a place may hold, and however long it is, its file has a short name that is easy to find."""
    mark = hashlib.sha256(place.encode()).hexdigest()[:12]
    readable = "".join(each if each.isalnum() or each in ".-" else "_" for each in place)[:64]
    return folder / f"{user}@{readable}-{mark}.db"


def reserved(path: Path) -> int | None:
    """A lock that ends with its handle, or with this program; None where the system has no such locks.

    Two programs with one memory would use up each other's token, and the places of each other's outbox.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    handle: int | None = None
    try:
        handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if handle is not None:
            os.close(handle)
        if isinstance(error, BlockingIOError):
            raise UsageError(
                f"another quicchat is logged in as this user; end it, or name another --data ({path} is in use)"
            ) from None
        raise UsageError(f"{path}: {error.strerror}") from None
    return handle
