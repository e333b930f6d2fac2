"""Client processes for tests: on pipes, or on a terminal of their own; each has a home of its own."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parents[2]
#: Seconds that anything may take; what is quick is quick, and a machine may be busy.
PATIENCE = 20.0
_SHELL = 'exec "$@" <"$0" >"$0" 2>&1'


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a process whose files lie in `home`, and whose mistakes show."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QUICCHAT_")}
    # Sockets whose connection still has to be closed by its timer are left to the end of the process.
    return {**kept, "QUICCHAT_HOME": str(home), "PYTHONWARNINGS": "error,ignore::ResourceWarning", **more}


class Process:
    """What both kinds of client share."""

    process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # With a goodbye, so that the next test finds nobody who is not there.
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for the end."""
        return self.process.wait(PATIENCE)


class Client(Process):
    """`python echo.py client …` on pipes; `out` and `err` are the lines so far."""

    def __init__(
        self, home: Path, *flags: str, first: Sequence[str] = (), command: Sequence[str] = ("client",), **more: str
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "echo.py", *command, *flags],
            cwd=ROOT,
            env=environment(home, **more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = threading.Condition()
        pipes = ((self.process.stdout, self.out), (self.process.stderr, self.err))
        self._threads = [threading.Thread(target=self._collect, args=pair, daemon=True) for pair in pipes]
        for thread in self._threads:
            thread.start()
        self.type(*first)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # it was gone before it had read all

    def type(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()

    def end(self) -> int:
        """End the input; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.finished()

    def finished(self) -> int:
        """The exit code, once all that it printed is here."""
        code = self.exit_code()
        for thread in self._threads:
            thread.join(PATIENCE)
        return code

    def prints(self, text: str, *, err: bool = False) -> str:
        """Wait until a line holds the text, and return the line."""
        lines = self.err if err else self.out
        with self._news:
            found = self._news.wait_for(lambda: [line for line in lines if text in line], PATIENCE)
        assert found, f"{text!r} was not printed, but {self.out} and {self.err}"
        return found[0]

    def _collect(self, pipe: IO[bytes], lines: list[str]) -> None:
        for line in pipe:
            with self._news:
                lines.append(line.decode().removesuffix("\n"))
                self._news.notify_all()


class Terminal(Process):
    """`python echo.py client …` on a pseudo-terminal that is its own, as in a window."""

    def __init__(self, home: Path, *flags: str, columns: int = 100, **more: str) -> None:
        self.screen = b""
        self._fd, slave = os.openpty()
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.slave = os.ttyname(slave)
        # A session leader that opens a terminal gets it as its own, so that Ctrl-C is for him.
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", _SHELL, self.slave, sys.executable, "echo.py", "client", *flags],
            cwd=ROOT,
            env=environment(home, **{"TERM": "xterm", **more}),
            start_new_session=True,
        )
        self._slave = slave

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        os.close(self._slave)
        os.close(self._fd)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def shows(self, text: str) -> str:
        """Wait until the terminal was sent this text, after what the last call waited for; all up to there."""
        end = time.monotonic() + PATIENCE
        while (place := self.screen.find(text.encode())) < 0:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} was not shown, but {self.screen!r}"
            self.screen += os.read(self._fd, 65_536)
        place += len(text.encode())
        seen, self.screen = self.screen[:place], self.screen[place:]
        return seen.decode(errors="replace")

    def hides(self) -> None:
        """Wait until what is typed is not echoed, as for a password."""
        end = time.monotonic() + PATIENCE
        while self.echoes:
            assert time.monotonic() < end, "the terminal still echoes"
            time.sleep(0.01)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)
