"""A server process in which one row of `spec/hostile.md` after the other is played, beside a pair that talks."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from quicchat.tools.conform.bench import Bench, Target
from quicchat.tools.conform.features import examine
from quicchat.tools.conform.quic import Line, Wishes
from tests.hostile.bystander import Seen
from tests.processes import CHEAP, ServerProcess

ROOT = Path(__file__).resolve().parents[2]
#: What a message may wait for the loop of the server in any case, in milliseconds: twice a calm one is hardly more
#: than nothing, and this is the most that a PING may wait.
FLOOR = 50.0
MIB = 1_048_576
#: What a client may cost before its login: 64 KiB that it sent, and the connection itself.
STRANGER = 65_536 + 131_072
#: What the allocator takes in one piece, and what the talk of the pair takes.
SLACK = 3 * MIB
#: Longest that one row may take, in seconds.
PATIENCE = 55.0
FEATURES = frozenset({"login", "other", "signup", "rooms", "presence", "files", "keys", "datagrams", "early"})

Attack = Callable[[Bench], Awaitable[None]]


class Remembering(Target):
    """A target that knows all its connections, so that none outlives its row."""

    def __init__(self, host: str, port: int, *, features: frozenset[str]) -> None:
        super().__init__(host, port, features=features)
        self._lines: list[Line] = []

    async def dial(self, wishes: Wishes | None = None) -> Line:
        line = await super().dial(wishes)
        self._lines.append(line)
        return line

    def hang_up(self) -> None:
        """End them all."""
        for line in self._lines:
            line.close(0x100)
            line.drop()
        self._lines.clear()


class Arena:
    """A server, the pair beside it, and what became of each row that was played."""

    def __init__(self, data: Path, *flags: str, pause: float = 0.01) -> None:
        self._pause = pause
        self.server = ServerProcess(data, *(flags or CHEAP), log=data.with_suffix(".log"))
        self._log = data.with_suffix(".log")
        self._calm: Seen | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.server.start()
            stack.callback(self._stopped)
            stack.enter_context(self._beside())
            assert self._hear() == "ready"
            self._runner = stack.enter_context(asyncio.Runner())
            self.target = Remembering("127.0.0.1", self.server.port, features=FEATURES)
            stack.callback(self.target.hang_up)
            self._runner.run(examine(self.target))
            # All went well: it is kept until the end, in which nothing is left out because of something else.
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """The pair, in a process of its own."""
        command = [sys.executable, "-m", "tests.hostile.bystander"]
        command += map(str, (self.server.port, self.server.pid, self._pause))
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._pair = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        with self._pair as pair:
            try:
                yield
                assert pair.stdin is not None
                pair.stdin.close()
                pair.wait(20)
            finally:
                pair.kill()

    def _stopped(self) -> None:
        assert self.server.stop() == 0

    def play(
        self, attack: Attack, *, strangers: int = 0, users: int = 0, lag: float = FLOOR, told: str = "", tries: int = 3
    ) -> Seen:
        """Let an attack run; then nobody else may have noticed.

        `strangers` and `users` are how many clients it has before and after their login; `lag` is what a message
        or a PING may wait, in milliseconds of work; `told` is an error that the server should log.
        What is slow because the machine is busy is not so in each of three `tries`; what an attack does is.
        """
        self._calm = calm = self._calm or self._watched(_nothing)
        written = self._log.stat().st_size
        seen = self._watched(attack)
        for _ in range(tries - 1):
            if self._unhurt(seen, calm, lag):
                break
            seen = self._watched(attack)
        assert self._unhurt(seen, calm, lag), (calm, seen)
        assert seen.faults == []
        allowed = max(1, users) * MIB + strangers * STRANGER + SLACK
        assert seen.growth < allowed, f"{seen.growth} bytes more, where {allowed} are allowed"
        errors = self.errors(written)
        assert [each for each in errors if not told or told not in each] == []
        assert bool(told) <= bool(errors)
        return seen

    def _unhurt(self, seen: Seen, calm: Seen, lag: float) -> bool:
        return (
            seen.late <= max(2 * calm.late, lag) and seen.lag < lag and seen.median <= max(4 * calm.median, 4 * FLOOR)
        )

    def errors(self, start: int = 0) -> list[str]:
        """What the server has logged as an error since."""
        with self._log.open() as log:
            log.seek(start)
            lines = [json.loads(line) for line in log]
        return [str(line) for line in lines if line["level"] not in ("debug", "info", "warning") or "trace" in line]

    def log(self) -> bytes:
        """All that the server has logged."""
        return self._log.read_bytes()

    def _watched(self, attack: Attack) -> Seen:
        self._say("begin")
        assert self._hear() == "talking"

        async def play() -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await attack(Bench(self.target))
            finally:
                self.target.hang_up()

        self._runner.run(play())
        self._say("end")
        return Seen(**json.loads(self._hear()))

    def _say(self, word: str) -> None:
        assert self._pair.stdin is not None
        self._pair.stdin.write(word + "\n")
        self._pair.stdin.flush()

    def _hear(self) -> str:
        assert self._pair.stdout is not None
        line = self._pair.stdout.readline().strip()
        assert line, "the pair has gone"
        return line


async def _nothing(bench: Bench) -> None:
    await asyncio.sleep(0.5)
