"""The client under test as a process on a terminal of its own, with a fresh home. (spec README)"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import shlex
import signal
import struct
import tempfile
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_ROWS, _COLUMNS = 40, 200
#: Seconds that a client which was asked to stop may take.
_LAST: Final = 3.0
_READ: Final = 65_536
#: Seconds without a word, after which a program is taken to wait for a line.
_PROMPT: Final = 0.2
_OURS: Final = ("QUICCHAT_", "XDG_", "PYTEST_")


class Program:
    """Runs a command whose words may hold `{host} {port} {user} {password} {home} {passwordfile} {ca}`.

    `screen` is all that it printed, byte by byte.
    """

    def __init__(self, command: str, values: Mapping[str, str], lines: Sequence[str], ca: bytes) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="quicchat-conform-", ignore_cleanup_errors=True)
        home = Path(self._folder.name)
        kept = home / "password", home / "ca.pem"
        kept[0].touch(0o600)
        kept[0].write_text(values["password"] + "\n")
        kept[1].write_bytes(ca)
        self._values = {**values, "home": str(home), "passwordfile": str(kept[0]), "ca": str(kept[1])}
        self._words = [_filled(word, self._values) for word in shlex.split(command)]
        self._lines = [_filled(line, self._values) for line in lines]
        self.screen = bytearray()
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._typing: asyncio.Task[None] | None = None
        self._master = -1

    async def start(self) -> None:
        """Start it, again after its end too: its home is the same. Raises OSError."""
        await self.stop()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        home = self._values["home"]
        environ |= {"HOME": home, "QUICCHAT_HOME": str(Path(home) / "quicchat"), "TERM": "xterm-256color"}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._words, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True
            )
        except OSError:
            os.close(self._master)
            self._master = -1
            raise
        finally:
            os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self._typing = asyncio.create_task(self._begin())

    def type(self, line: str) -> None:
        """As if somebody typed it, and Enter."""
        with contextlib.suppress(OSError):
            os.write(self._master, line.encode() + b"\r")

    @property
    def code(self) -> int | None:
        """The exit code, once it has ended."""
        return None if self._process is None else self._process.returncode

    async def ended(self, patience: float) -> int | None:
        """Its exit code, or None where it runs after so many seconds still."""
        assert self._process is not None
        try:
            async with asyncio.timeout(patience):
                return await self._process.wait()
        except TimeoutError:
            return None

    async def printed(self, text: str, patience: float) -> bool:
        """Whether it prints a text within some seconds."""
        try:
            async with asyncio.timeout(patience):
                while text.encode() not in self.screen:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, *, kill: bool = False) -> None:
        """End it, if need be by force, or by force at once."""
        process = self._process
        if process is None:
            return
        if self._typing is not None:
            self._typing.cancel()
            await asyncio.wait([self._typing])
        for sign in (signal.SIGTERM, signal.SIGKILL)[kill:]:
            with contextlib.suppress(ProcessLookupError):
                if process.returncode is None:
                    os.killpg(process.pid, sign)
            if await self.ended(_LAST) is not None:
                break
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
        self._process, self._master = None, -1

    async def close(self) -> None:
        """End it, and forget its home."""
        await self.stop()
        self._folder.cleanup()

    def _read(self) -> None:
        try:
            data = os.read(self._master, _READ)
        except OSError:
            # Nobody holds the other end any more.
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.screen += data
        self._news.set()

    async def _begin(self) -> None:
        """Type each line as soon as something new was printed, and nothing follows."""
        seen = 0
        for line in self._lines:
            while True:
                size = len(self.screen)
                await asyncio.sleep(_PROMPT)
                if size == len(self.screen) > seen:
                    break
            seen = size
            self.type(line)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Only what is known is filled in: other braces stay."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text
