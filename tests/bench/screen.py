"""A busy room on a real terminal: processor time at 200 messages/s, memory and stalls with 5,000 in view. (issue 5)

python -m tests.bench.screen
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult

from quicchat.client.state import RoomView, State
from quicchat.ui.book import Book
from quicchat.ui.outcomes import Heard
from quicchat.ui.tui.log import Log
from quicchat.wire.chapters.messages import Kind, Message
from tests.bench.table import Row, medians

ROWS = 5000
RATE = 200
SECONDS = 10.0
SIZES = ((80, 24), (140, 50), (50, 20), (120, 40))
STATE = State(user="alice", rooms={"general": RoomView(room="general")})
TEXT = "the quick brown fox jumps over a lazy dog while somebody else writes about the weather of tomorrow"
WORDS = TEXT.split(" ")


def heard(seq: int) -> Heard:
    """A message of 1 to 40 words, by one of twenty people."""
    text = " ".join(WORDS[(seq + each) % len(WORDS)] for each in range(1 + seq * 7 % 40))
    facts: dict[str, Any] = {"cid": seq.to_bytes(16, "big"), "sender": f"user{seq % 20}", "ts": 1_799_924_660_000 + seq}
    return Heard(Message(room="general", epoch=1, seq=seq, kind=Kind.TEXT, text=text, **facts), None)


def memory() -> float:
    """MiB of memory that this process holds."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Screen(App[None]):
    """A log and nothing else, that measures itself."""

    CSS = "Log { height: 1fr; }"

    def __init__(self, report: int) -> None:
        super().__init__()
        self._report = report
        self._book = Book(ROWS)
        self._seq = 0
        self._stall = 0.0

    def compose(self) -> ComposeResult:
        yield Log()

    def on_mount(self) -> None:
        """Measure, then end."""
        # What was imported stays: no reason to look through it again and again.
        gc.collect()
        gc.freeze()
        self.set_interval(0.1, self._show)
        self.run_worker(self._measured())

    async def _measured(self) -> None:
        found: dict[str, float] = {"empty": memory()}
        watch = asyncio.get_running_loop().create_task(self._watched())
        self._hear(ROWS)
        await asyncio.sleep(0.5)
        self._stall = 0.0
        found["cpu"] = await self._flooded()
        found["flood"] = self._taken()
        log = self.query_one(Log)
        for _ in range(200):
            log.action_page(-1)
            await asyncio.sleep(0.01)
        found["scroll"] = self._taken()
        found["memory"] = memory()
        for size in SIZES:
            # The other end of the terminal changes its size.
            os.write(self._report, (json.dumps({"size": size}) + "\n").encode())
            await asyncio.sleep(1.0)
        found["resize"] = self._taken()
        watch.cancel()
        os.write(self._report, (json.dumps(found) + "\n").encode())
        self.exit()

    def _hear(self, count: int) -> None:
        for _ in range(count):
            self._seq += 1
            self._book.tell(heard(self._seq), STATE)

    def _show(self) -> None:
        """As the application does: as often as an eye can follow."""
        self.query_one(Log).show(self._book.page("general"), times="%H:%M", user="alice")

    async def _flooded(self) -> float:
        """The share of a core that so many messages take."""
        begin, used = time.perf_counter(), time.process_time()
        for number in range(int(RATE * SECONDS)):
            self._hear(1)
            await asyncio.sleep(max(0.0, begin + (number + 1) / RATE - time.perf_counter()))
        return (time.process_time() - used) / (time.perf_counter() - begin)

    async def _watched(self) -> None:
        """See how long the loop stands still: what it does meanwhile, not what others do on this machine."""
        while True:
            begin = time.thread_time()
            await asyncio.sleep(0.002)
            self._stall = max(self._stall, time.thread_time() - begin)

    def _taken(self) -> float:
        stall, self._stall = self._stall, 0.0
        return stall


def _sized(terminal: int, columns: int, lines: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def _child() -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """The screen in a process of its own: it, the other end of its terminal, and what it reports."""
    terminal, inner = pty.openpty()
    _sized(inner, 120, 40)
    report, told = os.pipe()
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-m", "tests.bench.screen", str(told)]
    child = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, pass_fds=[told], env=environment)
    os.close(inner)
    os.close(told)
    try:
        yield child, terminal, report
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
        os.close(report)


def _drained(terminal: int) -> None:
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:
        """The other end is gone."""


def rows() -> list[Row]:
    """One run."""
    with _child() as (child, terminal, report), os.fdopen(os.dup(report)) as lines:
        threading.Thread(target=_drained, args=(terminal,), daemon=True).start()
        for line in lines:
            told = json.loads(line)
            if "size" in told:
                _sized(terminal, *told["size"])
                child.send_signal(signal.SIGWINCH)
                continue
            return [
                Row(f"processor at {RATE} messages/s", told["cpu"] * 100, "% of core", f"{ROWS} rows in view"),
                Row("longest stall meanwhile", told["flood"] * 1000, "ms"),
                Row("longest stall while scrolling", told["scroll"] * 1000, "ms", "200 pages"),
                Row("longest stall at another size", told["resize"] * 1000, "ms"),
                Row("memory", told["memory"], "MiB", f"{told['empty']:.0f} MiB without messages"),
            ]
    raise RuntimeError("the screen ended before it had measured anything")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Screen(int(sys.argv[1])).run()
    else:
        print("\n".join(medians(rows() for _ in range(3))))
