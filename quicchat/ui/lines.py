"""Typed lines: read from the descriptor itself, in a thread that may hang without hanging anybody. (spec 12-operation)

`sys.stdin` would be read under a lock, and the interpreter cannot end while a thread waits with it; and the loop
cannot watch regular files.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Final

#: Bytes of one line that are kept: more than the longest message, so that a longer line is refused anyway.
LONGEST: Final = 1_114_112
#: Lines read before they are wanted.
AHEAD: Final = 64


class Lines:
    """The lines of a descriptor: from `read`, which waits, or, after `start`, from `next`."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._data = b""
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._permits = threading.Semaphore(AHEAD)
        self._over = descriptor is None

    @classmethod
    def of_stdin(cls) -> Lines:
        """Standard input; nothing where it was closed, for a socket may have got its number since."""
        return cls(None if sys.stdin is None or sys.stdin.closed else 0)

    @property
    def interactive(self) -> bool:
        """Whether a person types."""
        return self._descriptor is not None and os.isatty(self._descriptor)

    def read(self) -> str | None:
        """The next line without its end, or None after the last one. Waits."""
        pieces: list[bytes] = []
        kept = 0
        while (end := self._data.find(b"\n")) < 0:
            pieces.append(self._data[: LONGEST - kept])
            kept += len(pieces[-1])
            self._data = self._more()
            if not self._data:
                line = b"".join(pieces)
                return _text(line) if line else None
        pieces.append(self._data[:end][: LONGEST - kept])
        self._data = self._data[end + 1 :]
        return _text(b"".join(pieces))

    def forget(self) -> None:
        """Nobody is to get what was typed so far on a terminal, and not yet read by anybody."""
        if not self.interactive or self._descriptor is None:
            return
        self._data = b""
        try:
            import termios
        except ImportError:
            return
        termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def start(self) -> None:
        """Read ahead, in a thread of its own, for `next` in this loop."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(loop,), name="lines", daemon=True).start()

    async def next(self) -> str | None:
        """The next line, or None after the last one."""
        line = await self._queue.get()
        self._permits.release()
        return line

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        line: str | None = ""
        while line is not None:
            self._permits.acquire()
            line = self.read()
            try:
                loop.call_soon_threadsafe(self._queue.put_nowait, line)
            except RuntimeError:
                return  # the loop is closed: nobody wants it any more

    def _more(self) -> bytes:
        """What can be read, or nothing at the end; a terminal that went away is an end, too."""
        if self._over or self._descriptor is None:
            return b""
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:
            data = b""
        # On a terminal one could read on after Ctrl-D.
        self._over = not data
        return data


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", errors="replace")
