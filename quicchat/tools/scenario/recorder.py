"""Writes a script of what one person types and is shown, while he does. (spec 12-operation)"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.errors import UsageError
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain, paper

_TIME: Final = re.compile(r"\b[0-2]\d:[0-5]\d:[0-6]\d\b")


class Recorder:
    """Give `lines` and `sheet` to a front end: they work as ever, and what passes them is written down."""

    def __init__(self, path: Path, config: ClientConfig) -> None:
        self._path = path
        self._actor = (config.user or "me").lower()
        self._flags = "" if config.style == "default" else f" --style {config.style}"
        self._place = place(config.host, config.port)
        self.lines = _Lines(self)
        interactive = self.lines.interactive and not config.json
        self.sheet = _Sheet(self, paper(sys.stdout, sys.stderr, interactive=interactive))

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("x", encoding="utf-8")
        except FileExistsError:
            raise UsageError(f"{self._path} exists already") from None
        except OSError as error:
            raise UsageError(f"{self._path}: {error.strerror}") from None
        self._write(f"server\n{self._actor} starts{self._flags}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def typed(self, line: str) -> None:
        """A line was typed."""
        if line.strip():
            self._write(f"{self._actor}: {line.rstrip()}")

    def shown(self, line: str) -> None:
        """A line was shown; any time will do in the place of its time, and any server in that of this one."""
        timeless = _TIME.sub("T", line).replace(self._place, "{...}")
        self._write(f"  {self._actor}< {timeless.rstrip()}")

    def _write(self, line: str) -> None:
        # At once, so that a session that dies leaves what led to it.
        self._file.write(line + "\n")
        self._file.flush()


class _Lines(Lines):
    """Standard input, written down once somebody is in: what comes before is a name and a password."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(0)
        self._recorder = recorder
        self.is_hidden = False

    async def next(self) -> str | None:
        line = await super().next()
        if line is not None and not self.is_hidden:
            self._recorder.typed(line)
        return line


class _Sheet(Plain):
    """Prints as `sheet` does."""

    def __init__(self, recorder: Recorder, sheet: Plain) -> None:
        self._recorder = recorder
        self._sheet = sheet

    def show(self, line: str) -> None:
        self._recorder.shown(line)
        self._sheet.show(line)

    def note(self, line: str) -> None:
        self._recorder.shown(line)
        self._sheet.note(line)

    def entered(self) -> None:
        self._sheet.entered()

    def prompt(self) -> None:
        self._sheet.prompt()

    def hide(self, hidden: bool) -> None:
        # A password is typed: it is in no script.
        self._recorder.lines.is_hidden = hidden
        self._sheet.hide(hidden)

    def close(self) -> None:
        self._sheet.close()
