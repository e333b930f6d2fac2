"""An actor whose client is a process of its own on a pseudo-terminal. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from quicchat.ui.paper import PROMPT

#: Wide enough that no line of a script is broken.
_COLUMNS: Final = 60_000
_CHUNK: Final = 65_536
#: A session leader that opens a terminal gets it as its own; what he types is not echoed.
_SHELL: Final = 'exec "$@" <"$0" >"$0" 2>&1'


class Terminal:
    """A client process; `home` is where it keeps its files."""

    def __init__(self, user: str, words: Sequence[str], home: Path, environment: Mapping[str, str]) -> None:
        self.shown: list[str] = []
        self._home = home
        self._environment = environment
        self._user = user
        self._words = ("client", *words)
        self._rest = ""
        self._was_shown = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._fd = self._slave = -1

    async def enter(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(f"password of {self._user}\n")
        self._fd, self._slave = os.openpty()
        _silence(self._slave)
        command = ("/bin/sh", "-c", _SHELL, os.ttyname(self._slave), sys.executable, "-m", "quicchat", *self._words)
        environment = {**self._environment, "TERM": "dumb", "QUICCHAT_PASSWORD_FILE": str(password)}
        self._process = await asyncio.create_subprocess_exec(*command, env=environment, start_new_session=True)
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        ended = asyncio.get_running_loop().create_task(self._process.wait())
        shown = asyncio.get_running_loop().create_task(self._was_shown.wait())
        await asyncio.wait({ended, shown}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, shown):
            task.cancel()

    def type(self, text: str) -> None:
        # A terminal takes no line of more than 4 KiB (canonical mode); nobody types such a line either.
        os.write(self._fd, f"{text}\n".encode())

    def end(self) -> None:
        os.write(self._fd, b"\x04")

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def exit_code(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def leave(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.terminate()
            await self._process.wait()
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            os.close(self._slave)
            self._process = None

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._fd)
            return
        *lines, self._rest = (self._rest + data.decode(errors="replace")).replace("\r", "").split("\n")
        for line in lines:
            while line.startswith(PROMPT):
                line = line.removeprefix(PROMPT)
            if line:
                self.shown.append(line)
        if self.shown or PROMPT in self._rest:
            self._was_shown.set()


def _silence(terminal: int) -> None:
    """No echo, and lines as wide as they come."""
    settings = termios.tcgetattr(terminal)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, _COLUMNS, 0, 0))
