"""Log lines: one for each event whatever it holds, for people or machines, and nothing private. (spec 12-operation)

Everywhere else the standard library is enough: `log.info("connected", extra={"peer": link.peer})`. The message is
the name of the event; what is known of it comes in `extra` (whose keys must not be attributes of a LogRecord, such
as `name` or `args`). Of bytes and objects only the kind is written, of secrets and content nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import re
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Final, Literal, TextIO

from quicchat.errors import QuicchatError

#: Lines that wait for a stream that does not take them: a terminal stopped with Ctrl-S, a full pipe.
QUEUE: Final = 10_000
#: Characters of one value and items of one list; more is no use to anybody who reads a log.
LONGEST: Final = 200
#: Seconds that the end of the program waits for such a stream.
PATIENCE: Final = 1.0
#: Seconds in which lines gather after one was written: to wake a thread for each of them took a third of what a short
#: connection costs the server in all.
PAUSE: Final = 0.01

#: Words in a key that tell of a secret or of what somebody wrote.
_HIDDEN: Final = re.compile(
    "(?:^|_)(?:body|content|cookie|credentials|data|invite|key|nonce|passphrase|passw(?:or)?d|plaintext|proof|salt"
    "|sealed|secret|text|ticket|token|topic)s?(?:_|$)",
    re.IGNORECASE,
)
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_WORDS: Final = re.compile(r"[A-Za-z0-9_.:/-]+( [A-Za-z0-9_.:/-]+)*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/@\[\]+*,#-]+")
#: Their texts are ours or the system's; that of any other exception may quote what a user wrote.
_FRANK: Final = (QuicchatError, OSError, sqlite3.Error)

Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar]


def set_up(form: Literal["text", "json"], level: str, stream: TextIO | None = None) -> Logs:
    """Write all logs of this process to `stream` (stderr) from now on; other libraries speak from warnings upward."""
    logs = Logs(stream or sys.stderr)
    logs.setFormatter(Text() if form == "text" else Json())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(logs)
    root.setLevel(logging.WARNING)
    logging.getLogger("quicchat").setLevel(level.upper())
    return logs


class Logs(logging.Handler):
    """Hands finished lines to a thread of its own: whoever logs never waits for the stream.

    Lines that find `QUEUE` others waiting are dropped and counted, and the count is logged when there is room.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lost = 0
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._write, name="logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if self._lost:
            line = f"{self.format(_losses(self._lost))}\n{line}"
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1
        else:
            self._lost = 0

    def flush(self) -> None:
        """Wait until all that was logged is written, but not for ever."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, PATIENCE)

    def close(self) -> None:
        if self._thread.is_alive():
            self.flush()
            if not self._lines.unfinished_tasks:  # else the stream is stuck, and the thread ends with the program
                self._lines.put(None)
                self._thread.join()
        super().close()

    def _write(self) -> None:
        is_over = False
        while not is_over:
            lines = self._waiting()
            is_over = None in lines
            try:
                self._stream.write("".join([f"{line}\n" for line in lines if line is not None]))
                self._stream.flush()
            except (OSError, ValueError):  # the reader went away, or the stream was closed
                self._lost += len(lines) - is_over
            finally:
                for _ in lines:
                    self._lines.task_done()
            if not is_over:
                time.sleep(PAUSE)

    def _waiting(self) -> list[str | None]:
        """All lines that there are, as soon as there is one."""
        lines = [self._lines.get()]
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self._lines.get_nowait())
        return lines


class Text(logging.Formatter):
    """`time level event key=value …`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        event = _event(record)
        said = event if _WORDS.fullmatch(event) else _quoted(event)
        fields = (f"{key}={_word(value)}" for key, value in _fields(record))
        return " ".join((_time(record), f"{record.levelname:<7}", said, *fields))


class Json(logging.Formatter):
    """One JSON object, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        first: dict[str, Value] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": _event(record),
        }
        return _quoted(first | {key + "_" * (key in first): value for key, value in _fields(record)})


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _event(record: logging.LogRecord) -> str:
    """The message; of other libraries its first line, since asyncio goes on with the repr of what failed."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):
        text = str(record.msg)
    return _cut(text if _is_ours(record) else text.partition("\n")[0])


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Value]]:
    if not _is_ours(record):
        yield "logger", record.name
    for key, value in record.__dict__.items():
        if key not in _STANDARD:
            yield re.sub(r"\W", "_", key, flags=re.ASCII), "[hidden]" if _HIDDEN.search(key) else _value(value)
    if record.exc_info and record.exc_info[1] is not None:
        yield "error", _error(record.exc_info[1])
        yield "at", _places(record.exc_info[1])


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "quicchat"


def _value(value: object) -> Value:
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_scalar(item) for item in list(value)[:LONGEST]]
    return _scalar(value)


def _scalar(value: object) -> Scalar:
    match value:
        case Enum():
            return value.name
        case float() if not isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case str() | PurePath():
            return _cut(str(value))
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case _:
            return f"<{type(value).__name__}>"


def _error(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}({', '.join(map(_error, error.exceptions))})"
    return _cut(f"{type(error).__name__}: {error}") if isinstance(error, _FRANK) else type(error).__name__


def _places(error: BaseException) -> str:
    """Where an error came from, innermost last."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)


def _losses(lines: int) -> logging.LogRecord:
    about = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": "lines_lost", "lines": lines}
    return logging.makeLogRecord(about)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _word(value: Value) -> str:
    """A value in a text line: bare where nothing can be mistaken."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else _quoted(value)


def _quoted(value: object) -> str:
    """JSON in printable ASCII: no line break, no escape sequence, nothing that turns the reading direction (U8)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)
