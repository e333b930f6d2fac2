"""What was typed before, to be had again: in a file of one's own, without what is secret in it. (spec 12-operation)"""

from __future__ import annotations

import json
import os
from collections import deque
from pathlib import Path
from typing import Final

from quicchat.config.files import replace
from quicchat.ui.words import Unclear, Vocabulary

#: Its name in the directory of a device.
HISTORY: Final = "history"
#: Lines that are kept.
KEPT: Final = 1000
#: Bytes of one line that is kept: a longer one is rather a paste than something to type again.
_LONGEST: Final = 8192


class History:
    """The lines of a person, the newest last. The file holds a line of JSON for each, so that one may have many rows.

    Without a file, or with one that cannot be read or written, they are known until the end of the program.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.lines: deque[str] = deque(maxlen=KEPT)
        if path is not None:
            self._read(path)

    def add(self, line: str, words: Vocabulary) -> None:
        """Somebody typed this; what of it is secret is left out, and what makes no sense is not written down."""
        kept = _without_secret(line, words)
        if not kept.strip() or len(kept.encode(errors="replace")) > _LONGEST:
            return
        if self.lines and self.lines[-1] == kept:
            return
        self.lines.append(kept)
        # A slip of the finger in a command may leave a secret where nobody looks for one.
        if self._path is not None and not isinstance(words.parse(line), Unclear):
            _append(self._path, kept)

    def _read(self, path: Path) -> None:
        try:
            raw = path.read_bytes().splitlines()
        except OSError:
            return
        for each in raw[-KEPT:]:
            try:
                line = json.loads(each)
            except ValueError:
                continue  # cut off by a crash, or not ours
            if isinstance(line, str):
                self.lines.append(line)
        if len(raw) > 2 * KEPT:
            _rewrite(path, b"".join(map(_encoded, self.lines)))


class Recall:
    """Somebody who goes through what he typed: `back` lines from now, 0 where he writes something new."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.back = 0

    def step(self, by: int) -> bool:
        """Go further back, or with -1 forth again; False where there is nothing more."""
        if not 0 <= self.back + by <= len(self.history.lines):
            return False
        self.back += by
        return True

    @property
    def line(self) -> str | None:
        """The line of the moment; None for the new one."""
        return self.history.lines[-self.back] if self.back else None


def _rewrite(path: Path, data: bytes) -> None:
    try:
        replace(path, data, durable=False)
    except OSError:
        return


def _append(path: Path, line: str) -> None:
    """In one piece, for several clients may add to it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, _encoded(line))
        finally:
            os.close(handle)
    except OSError:
        return


def _encoded(line: str) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _without_secret(line: str, words: Vocabulary) -> str:
    """What may be had again of a line: nothing where no more than the command would be left of it."""
    command, rest = words.begun(line) or (None, "") if line.strip() else (None, "")
    if command is None:
        return line
    slots = [slot.strip("<>[].").lower() for slot in command.arguments.split()]
    given = rest.split()
    if command.hidden and given:
        return ""
    if "secret" not in slots or len(given) <= slots.index("secret"):
        return line
    # `/key` alone would take the key away.
    shown = given[: slots.index("secret")]
    return " ".join((f"/{command.name}", *shown)) if shown else ""
