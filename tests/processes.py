"""Server processes for tests and benchmarks: started on a free port, killed or stopped by their own id."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_START = 20.0


class ServerProcess:
    """A running `quicchat server` over one data directory; `start` and `kill` may alternate.

    `within` is a command that starts another, such as `small_disk`; `module` is the program; `log` gets what it logs.
    """

    def __init__(
        self,
        data: Path,
        *flags: str,
        port: int = 0,
        within: Sequence[str] = (),
        module: str = "quicchat",
        log: Path | None = None,
    ) -> None:
        self.data = data
        self._log = log
        self.port = port
        self._flags = flags
        self._within = within
        self._module = module
        self._process: subprocess.Popen[str] | None = None
        self._drain: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def ca_pem(self) -> bytes:
        """The CA that clients trust."""
        return (self.seen / "certs" / "ca.pem").read_bytes()

    @property
    def seen(self) -> Path:
        """Its data directory, also where what is mounted there is for itself alone."""
        return Path(f"/proc/{self.pid}/root{self.data}") if self._within else self.data

    def start(self) -> None:
        """Start, and wait until the port is open; the same port as before, if there was one."""
        command = [*self._within, sys.executable, "-m", self._module, "server", "-l", "127.0.0.1", "-p", str(self.port)]
        command += ["--data", str(self.data), "--log-format", "json", *self._flags]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if json.loads(line).get("event") == "listening":
                self.port = json.loads(line)["port"]
                break
        else:
            raise RuntimeError(f"the server did not start (exit code {self._process.wait(_START)})")
        # Whatever it logs from now on must not fill the pipe.
        with (self._log or Path(os.devnull)).open("ab") as log:
            self._drain = subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=log)

    def kill(self) -> None:
        """As the power cord would."""
        assert self._process is not None
        self._process.kill()
        self._gone()

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._gone()

    def cpu(self) -> float:
        """Seconds of user and system time since it started."""
        return processor(self.pid)

    def peak(self) -> int:
        """The most bytes of memory that it ever held."""
        return status(self.pid, "VmHWM")

    def resident(self) -> int:
        """Bytes of memory it holds now."""
        return resident(self.pid)

    def _gone(self) -> int:
        assert self._process is not None
        code = self._process.wait(_START)
        if self._process.stderr is not None:
            self._process.stderr.close()
        if self._drain is not None:
            self._drain.wait(_START)
        self._process = None
        return code


def status(pid: int | str, name: str) -> int:
    """A size that the system tells about a process, in bytes; `VmHWM` is the most memory that it ever held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise KeyError(name)


def resident(pid: int | str) -> int:
    """Bytes of memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor(pid: int | str) -> float:
    """Seconds of user and system time since a process started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def small_disk(data: Path, size: int) -> Sequence[str]:
    """What a server is `within` to have so small a disk; or no larger files, where mounting is not allowed."""
    data.mkdir(parents=True, exist_ok=True)
    mounts = shutil.which("unshare") is not None
    if not mounts or subprocess.run(["unshare", "-rm", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        return ["prlimit", f"--fsize={size}"]
    return ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size={size} none "$0" && exec "$@"', str(data)]


#: For servers that many accounts are made on: one iteration, no demo accounts, no rate that anybody has to keep to.
CHEAP = ("--no-demo", "--signup", "open", "--iterations", "1", "--rate", "0")
