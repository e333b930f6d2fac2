"""Starts, stops and kills the server under test, where `--start` says how. (spec 16-conformance)"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from quicchat.tools.conform.quic import Unreachable, dial
from quicchat.tools.conform.verdict import Unimplemented

#: How long a server may take to come up, and to end, in seconds.
START: Final = 20.0
END: Final = 20.0
#: Moves the time of day of a program that is linked dynamically, and no other clock.
_SHIFT: Final = """\
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
static long shift(void) { const char *by = getenv("CONFORM_CLOCK"); return by ? atol(by) : 0; }
int clock_gettime(clockid_t id, struct timespec *at) {
    int code = syscall(SYS_clock_gettime, id, at);
    if (!code && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += shift();
    return code;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    int code = clock_gettime(CLOCK_REALTIME, &now);
    if (!code) { at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000; }
    return code;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


class Controller:
    """One server process over one directory of data; `start` follows `stop` or `kill`, at the same port."""

    def __init__(self, command: str, folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.command = command
        self.folder = folder
        self.host = host
        self.port = port or free_port(host)
        self.data = folder / "data"
        self._process: asyncio.subprocess.Process | None = None
        self._disk: int | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def beside(self, name: str) -> Controller:
        """Another server by the same command, with data and a port of its own."""
        return Controller(self.command, self.folder / name, host=self.host)

    async def start(self, *, clock: int = 0, disk: int | None = None) -> None:
        """Start, and return when it answers. With `clock` its time of day is off by so many seconds, with `disk` its
        data is on a disk of so many bytes, of which nothing is left when it ends.

        Raises Unreachable where it does not come up, Unimplemented for what this machine cannot do.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        command = f"exec {self.command}".replace("{port}", str(self.port)).replace("{data}", str(self.data))
        words = ["sh", "-c", command] if disk is None else await _on_disk(self.data, disk, command)
        environment = {**os.environ, **(await _shifted(self.folder, clock) if clock else {})}
        self._disk = disk
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *words,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START):
                await self._answers()
        except TimeoutError:
            await self.kill()
            raise Unreachable(f"the server does not answer {START:g} s after its start{self._said()}") from None

    async def stop(self) -> int:
        """Ask it to end (SIGTERM), and return its exit code when it has. Raises TimeoutError."""
        self.signal(signal.SIGTERM)
        return await self.gone()

    async def kill(self) -> None:
        """As the power cord would."""
        if self.is_running:
            self.signal(signal.SIGKILL)
            await self.gone()

    async def gone(self) -> int:
        """Return its exit code when it has ended. Raises TimeoutError."""
        assert self._process is not None
        async with asyncio.timeout(END):
            return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, and to what it has started."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def fill(self) -> Path:
        """Leave no room on its own disk; the file that takes it, for removing. Raises Unimplemented."""
        assert self._process is not None
        if self._disk is None:
            raise ValueError("this server has no disk of its own")
        filler = Path(f"/proc/{self._process.pid}/root{self.data.absolute()}") / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                for size in (1 << 20, 1 << 12, 1):
                    with contextlib.suppress(OSError):
                        while file.write(bytes(size)) == size:
                            pass
        except OSError as error:
            raise Unimplemented(f"the disk of the server cannot be filled: {error.strerror}") from error
        return filler

    async def _answers(self) -> None:
        while True:
            assert self._process is not None
            if self._process.returncode is not None:
                raise Unreachable(f"the server ended with exit code {self._process.returncode}{self._said()}")
            with contextlib.suppress(Unreachable):
                line = await dial(self.host, self.port, patience=0.5)
                line.close(0x100)
                return
            await asyncio.sleep(0.05)

    def _said(self) -> str:
        """The end of what it printed."""
        lines = (self.folder / "log").read_bytes()[-2000:].decode(errors="replace").split("\n")
        return ": " + " / ".join(line for line in lines[-4:] if line) if any(lines) else ""


def free_port(host: str) -> int:
    """A UDP port that nobody has at the moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.bind((host, 0))
        found: int = udp.getsockname()[1]
        return found


async def _on_disk(data: Path, size: int, command: str) -> list[str]:
    """A command whose directory is a disk in memory that only it sees. Raises Unimplemented."""
    if shutil.which("unshare") is None or await _code("unshare", "-rm", "true"):
        raise Unimplemented("this machine lets nobody mount a disk for one process (unshare -rm)")
    return ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size={size} none "$0" && {command}', str(data)]


async def _shifted(folder: Path, seconds: int) -> Mapping[str, str]:
    """The environment in which a program sees another time of day. Raises Unimplemented."""
    shim = folder / "clock.so"
    if not shim.exists():
        (folder / "clock.c").write_text(_SHIFT)
        compiler = shutil.which("cc")
        if compiler is None or await _code(compiler, "-shared", "-fPIC", "-o", str(shim), str(folder / "clock.c")):
            raise Unimplemented("the clock of a program can be moved only where there is a C compiler (cc)")
    return {"LD_PRELOAD": str(shim), "CONFORM_CLOCK": str(seconds)}


async def _code(*words: str) -> int:
    process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return await process.wait()
