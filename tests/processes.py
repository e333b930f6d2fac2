"""Server processes for tests and benchmarks: started on a free port, killed or stopped by their own id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_START = 20.0


class ServerProcess:
    """A running `quicchat server` over one data directory; `start` and `kill` may alternate."""

    def __init__(self, data: Path, *flags: str, port: int = 0) -> None:
        self.data = data
        self.port = port
        self._flags = flags
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
        return (self.data / "certs" / "ca.pem").read_bytes()

    def start(self) -> None:
        """Start, and wait until the port is open; the same port as before, if there was one."""
        command = [sys.executable, "-m", "quicchat", "server", "-l", "127.0.0.1", "-p", str(self.port)]
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
        self._drain = subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=subprocess.DEVNULL)

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
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident(self) -> int:
        """Bytes of memory it holds now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _gone(self) -> int:
        assert self._process is not None
        code = self._process.wait(_START)
        if self._process.stderr is not None:
            self._process.stderr.close()
        if self._drain is not None:
            self._drain.wait(_START)
        self._process = None
        return code


#: For servers that many accounts are made on: one iteration, no demo accounts, no rate that anybody has to keep to.
CHEAP = ("--no-demo", "--signup", "open", "--iterations", "1", "--rate", "0")
