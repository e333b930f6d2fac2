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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self

from tests.e2e.screens import Screen, keys
from tests.processes import ServerProcess

ROOT = Path(__file__).parents[2]
#: Seconds that anything may take; what is quick is quick, and a machine may be busy.
PATIENCE = 20.0
#: A server with demo accounts whose passwords are quickly checked.
QUICK = ("--demo", "--signup", "open", "--iterations", "4096")
_SHELL = 'exec "$@" <"$0" >"$0" 2>&1'


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a process whose files lie in `home`, and whose mistakes show."""
    # How large a window is, its terminal says.
    left_out = {name for name in os.environ if name.startswith("QUICCHAT_")} | {"COLUMNS", "LINES"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    # Sockets whose connection still has to be closed by its timer are left to the end of the process.
    return {**kept, "QUICCHAT_HOME": str(home), "PYTHONWARNINGS": "error,ignore::ResourceWarning", **more}


def at(server: ServerProcess) -> tuple[str, ...]:
    """The flags that lead to a server."""
    return "-s", "127.0.0.1", "-p", str(server.port)


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
    """`python echo.py client …` on a pseudo-terminal that is its own, as in a window; `screen` is what one sees.

    A thread reads all the time, and answers what the program asks the terminal, so that nothing waits for the test.
    """

    def __init__(
        self,
        home: Path,
        *flags: str,
        columns: int = 100,
        rows: int = 24,
        ui: str = "plain",
        command: Sequence[str] | None = None,
        program: Sequence[str] = (sys.executable, "echo.py"),
        **more: str,
    ) -> None:
        self.screen = Screen(columns, rows)
        #: All that the program wrote, and when the last of it came (`time.monotonic`).
        self.raw = bytearray()
        self.last = 0.0
        self._seen = 0
        self._news = threading.Condition()
        self._fd, self._slave = os.openpty()
        self.slave = os.ttyname(self._slave)
        self._size(columns, rows)
        # A session leader that opens a terminal gets it as its own, so that Ctrl-C is for him.
        words = [*program, *(("client", "--ui", ui) if command is None else command), *flags]
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", _SHELL, self.slave, *words],
            cwd=ROOT,
            env=environment(home, **{"TERM": "xterm-256color", **more}),
            start_new_session=True,
        )
        self._over, self._end = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        os.close(self._end)
        self._thread.join()
        for descriptor in (self._over, self._slave, self._fd):
            os.close(descriptor)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def press(self, *names: str) -> None:
        """Press keys by their names, such as `Up`, `Alt+a`, `Ctrl+k`, `F2`."""
        self.type(keys(*names))

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller; the program is told."""
        with self._news:
            self.screen.resize(columns, rows)
        self._size(columns, rows)

    def shows(self, text: str) -> str:
        """Wait until the terminal was sent this text, after what the last call waited for; all up to there."""
        wanted = text.encode()
        with self._news:
            found = self._news.wait_for(lambda: self.raw.find(wanted, self._seen) >= 0, PATIENCE)
            assert found, f"{text!r} was not shown, but {self.unread!r}"
            end = self.raw.find(wanted, self._seen) + len(wanted)
            seen, self._seen = self.raw[self._seen : end], end
        return seen.decode(errors="replace")

    @property
    def unread(self) -> str:
        """What came after the text that was last waited for."""
        return self.raw[self._seen :].decode(errors="replace")

    @property
    def everything(self) -> list[str]:
        """The lines that scrolled out, and those on the screen."""
        with self._news:
            return [*self.screen.scrolled, *self.screen.lines]

    def until(self, holds: Callable[[list[str]], object], patience: float = PATIENCE) -> list[str]:
        """Wait until something holds of the lines of the screen; the lines."""
        with self._news:
            found = self._news.wait_for(lambda: holds(self.screen.lines), patience)
            assert found, "not seen on this screen:\n" + "\n".join(f"|{line}" for line in self.screen.lines)
            return self.screen.lines

    def sees(self, *texts: str, patience: float = PATIENCE) -> list[str]:
        """Wait until all these texts stand on the screen at once; its lines."""
        return self.until(lambda lines: all(text in "\n".join(lines) for text in texts), patience)

    def hides(self) -> None:
        """Wait until what is typed is not echoed, as for a password."""
        end = time.monotonic() + PATIENCE
        while self.echoes:
            assert time.monotonic() < end, "the terminal still echoes"
            time.sleep(0.01)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        while self._over not in select.select([self._fd, self._over], [], [])[0]:
            data = os.read(self._fd, 65_536)
            with self._news:
                self.raw += data
                self.last = time.monotonic()
                answer = self.screen.feed(data)
                self._news.notify_all()
            if answer:
                os.write(self._fd, answer)
