"""What the libraries log, in a file: a line of it on a screen would be none of ours. (spec 12-operation)

Only kinds and places of faults are kept: their texts may quote what somebody said.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Final

from quicchat.ui.visible import cut

#: What it is called, in the directory of the data.
LOG: Final = "log"
#: Bytes of the file; with more it is begun anew.
_MOST: Final = 1_048_576
#: Letters of a line.
_LONGEST: Final = 500


class _Lines(logging.Formatter):
    """`time level logger: what`, and the kind of a fault with the places it came through; one line of it."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            said = record.getMessage().partition("\n")[0]
        except (TypeError, ValueError, KeyError):
            said = str(record.msg)
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {said}"
        if record.exc_info is not None and (error := record.exc_info[1]) is not None:
            frames = traceback.extract_tb(error.__traceback__)[-8:]
            places = " > ".join(f"{PurePath(each.filename).name}:{each.lineno}" for each in frames)
            line = f"{line} [{type(error).__name__} at {places}]"
        return cut(line, _LONGEST)


class _File(logging.Handler):
    """Opened for each line: there are few."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.WARNING)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode(errors="replace")
        try:
            handle = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError:
            return  # there is no other place for it
        try:
            if os.fstat(handle).st_size > _MOST:
                os.ftruncate(handle, 0)
            os.write(handle, line)
        except OSError:
            return  # the disk is full
        finally:
            os.close(handle)


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Warnings and faults go to this file and nowhere else; where it cannot be written, nowhere at all."""
    root = logging.getLogger()
    handler = _File(path)
    handler.setFormatter(_Lines())
    before = root.handlers[:]
    root.handlers[:] = [handler]
    try:
        yield
    finally:
        root.handlers[:] = before
        handler.close()
