"""The terminal that is painted on, which may go away at any time. (spec 12-operation)"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, TextIO

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Terminal(LinuxDriver):
    """Textual's, which takes all that is painted, whether it can be seen or not."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if self._file is not None:
            self._file = bottomless(self._file)


def bottomless(file: TextIO) -> io.TextIOWrapper:
    """The same file, where a write never fails.

    Textual writes in a thread that an error ends, and then whoever paints waits for it for ever.
    """
    sink = io.BufferedWriter(_Sink(file.fileno(), "w", closefd=False))
    return io.TextIOWrapper(sink, encoding=file.encoding, errors=file.errors)


class _Sink(io.FileIO):
    """What finds no room in it is gone."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes
