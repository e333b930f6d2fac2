"""The faces of the client on real terminals: how soon there is something to see, and what much traffic costs them."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import Final

from quicchat.wire.names import GENERAL
from tests.bench.bench_chat import log_in
from tests.bench.table import Row
from tests.e2e.clients import ROOT, Terminal, environment
from tests.processes import CHEAP, ServerProcess, processor, resident

#: Milliseconds until the first screen, at most (issue 5).
FACES: Final = {"plain": 120, "line": 170, "tui": 300}
STARTS = 7
RATE = 200
SECONDS = 10
HELD = 5_000
TEXT = "the quick brown fox jumps over the lazy dog, again and again and again"
#: Letters that are in nobody's message, to be found again in what the terminal is sent.
LETTERS = "ßþðøæœłđħŋ"


class Seat:
    """Where a user sits: his home, with a token of the server in it once he was there."""

    def __init__(self, server: ServerProcess, home: Path, user: str) -> None:
        self._at = ("-s", "127.0.0.1", "-p", str(server.port), "-u", user)
        self._home = home
        self._user = user
        self._installed = installed(home)
        home.mkdir()
        password = home / "password"
        password.touch(mode=0o600)
        password.write_text("my secret\n")
        with Terminal(home, *self._at, QUICCHAT_PASSWORD_FILE=str(password)) as first:
            first.shows("you are")
            first.type("/quit\n")
            first.exit_code()

    def open(self, ui: str, columns: int = 100, rows: int = 30) -> Terminal:
        return Terminal(self._home, *self._at, ui=ui, columns=columns, rows=rows, **self._installed)

    def first_screen(self, ui: str) -> tuple[float, float, float]:
        """Milliseconds until something is painted, of a core by then, and until one is told that he is in."""
        start = time.monotonic()
        with self.open(ui) as terminal:
            terminal.until(lambda lines: any(lines))
            painted, used = terminal.last - start, processor(terminal.process.pid)
            terminal.sees("you are", self._user)
            entered = terminal.last - start
        return painted * 1000, used * 1000, entered * 1000


def installed(home: Path) -> dict[str, str]:
    """An environment in which the package is as installed: compiled, and without what tests look for."""
    return {"PYTHONWARNINGS": "", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(home / "compiled")}


def _took(home: Path, *words: str) -> float:
    """Milliseconds that a program takes to its end."""
    start = time.monotonic()
    clean = environment(home, **installed(home))
    subprocess.run([sys.executable, *words], cwd=ROOT, env=clean, stdout=subprocess.DEVNULL, check=True)
    return (time.monotonic() - start) * 1000


def _starts(seat: Seat, home: Path) -> Iterator[Row]:
    """All side by side, in turns, so that what else the machine does is shared by all."""
    bare, usage = [], []
    found: dict[str, list[tuple[float, float, float]]] = {ui: [] for ui in FACES}
    for ui in FACES:
        seat.first_screen(ui)
    _took(home, "echo.py", "--help")
    for _ in range(STARTS):
        bare.append(_took(home, "-c", "pass"))
        usage.append(_took(home, "echo.py", "--help"))
        for ui, times in found.items():
            times.append(seat.first_screen(ui))
    interpreter = statistics.median(bare)
    yield Row("python -c pass", interpreter, "ms")
    yield Row("--help", statistics.median(usage), "ms")
    for ui, times in found.items():
        painted, used, entered = (statistics.median(column) for column in zip(*times, strict=True))
        note = f"target {FACES[ui]}; {used:.0f} ms of a core; {interpreter / painted:.0%} is the interpreter"
        yield Row(f"{ui}: first paint", painted, "ms", note)
        yield Row(f"{ui}: logged in", entered, "ms")


async def _talk(server: ServerProcess, user: str, count: int, rate: float) -> None:
    """Say so much, so often."""
    chat = await log_in(server, user)
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(start + number / rate - loop.time())
            group.create_task(chat.post(GENERAL, f"{number} {TEXT}"))
    await chat.close()


def _echoes(terminal: Terminal, busy: Thread) -> Iterator[float]:
    """Milliseconds from a key to its letter on the screen, four times a second, as long as somebody talks."""
    typed = ""
    for letter in cycle(LETTERS):
        if not busy.is_alive():
            return
        typed, start = typed + letter, time.monotonic()
        terminal.type(letter)
        terminal.sees(typed)
        yield (terminal.last - start) * 1000
        time.sleep(max(0.0, start + 0.25 - time.monotonic()))


def _load(server: ServerProcess, seat: Seat, ui: str) -> Iterator[Row]:
    with seat.open(ui) as terminal:
        terminal.sees("you are")
        pid, user = terminal.process.pid, f"talker-{ui}"
        talk = Thread(target=lambda: asyncio.run(_talk(server, user, RATE * SECONDS, RATE)))
        used, start = processor(pid), time.monotonic()
        talk.start()
        echoes = list(_echoes(terminal, talk))
        talk.join()
        share = (processor(pid) - used) / (time.monotonic() - start)
        yield Row(f"{ui}: {RATE} messages/s", share * 100, "% of a core", "target 15")
        # What is typed on a plain terminal is shown by the system, not by the client.
        if ui != "plain":
            yield Row(f"{ui}: a key at that rate", max(echoes), "ms at most", f"p50 {statistics.median(echoes):.0f}")
        left = HELD - RATE * SECONDS
        asyncio.run(_talk(server, f"{user}-again", left, 1_000))
        terminal.sees(f"{left - 1} {TEXT[:20]}")
        yield Row(f"{ui}: {HELD} messages", resident(pid) / 2**20, "MiB", "target 80")


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with ServerProcess(home / "server", *CHEAP) as server:
            seat = Seat(server, home / "client", "sitter")
            yield from _starts(seat, home / "client")
            for ui in FACES:
                yield from _load(server, seat, ui)
