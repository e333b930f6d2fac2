"""Two who talk all the time while others misbehave, and what they notice of it; a process of its own.

`python -m tests.hostile.bystander PORT PID PAUSE` posts with such a pause and obeys lines on standard input: `begin`
has them talk, `end` answers with what they saw, as one line of JSON. A machine that is busy with something else delays
everybody, so what counts is the time that the server's own loop worked while somebody waited for it, not what the clock
says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from quicchat.tools.conform import cbor
from quicchat.tools.conform.bench import Bench, Target
from quicchat.tools.conform.book import book
from quicchat.tools.conform.talk import Talk
from tests.processes import resident

#: Seconds between two PINGs.
PING = 0.005
#: No row is over before so many messages were acknowledged.
LEAST = 12
#: The event of the log that a text is.
TEXT = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What was noticed in one row. Times are milliseconds: `late` of work of the server's loop until a message was
    heard (99 of 100), `lag` the same until a PING was answered (the worst), `median` as the clock says.
    """

    acked: int
    late: float
    lag: float
    median: float
    growth: int
    faults: list[str]


class Stopwatch:
    """How long somebody has waited for a server, and how much of it was the server's doing."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._clock = asyncio.get_running_loop().time
        self._at = self._clock()
        self._worked, self._idle = schedule(pid)[0], schedule(os.getpid())[1]

    def waited(self) -> float:
        """As the clock says."""
        return self._clock() - self._at

    def charged(self) -> float:
        """What the server's loop worked meanwhile, for it cannot have kept anybody waiting for longer; and no more
        than we waited ourselves while we had a processor.
        """
        worked, idle = schedule(self._pid)[0], schedule(os.getpid())[1]
        return max(0.0, min(self.waited() - (idle - self._idle), worked - self._worked))


def schedule(pid: int) -> tuple[float, float]:
    """Seconds that the first thread of a process has had a processor, and that it has waited for one."""
    worked, waited, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
    return int(worked) / 1e9, int(waited) / 1e9


class Pair:
    """Alice, who posts, and Bob, who listens, in a room of their own; and Carol, who asks whether it is alive."""

    def __init__(self, pid: int, pause: float) -> None:
        self._pid = pid
        self._pause = pause
        self._number = 0
        self._late: list[float] = []
        self._waited: list[float] = []
        self._lags: list[float] = []
        self._acked: dict[int, str] = {}
        self._heard: dict[int, str] = {}
        self._under_way: dict[str, Stopwatch] = {}
        self._base = self._peak = 0
        self._faults: list[str] = []
        self._on = asyncio.Event()

    async def enter(self, port: int) -> None:
        """Everybody comes in."""
        self._bench = Bench(Target("127.0.0.1", port, features=frozenset({"login", "other", "signup", "rooms"})))
        self._alice, self._bob, self._carol = [await self._bench.ready(who) for who in range(3)]
        self._room = await self._bench.room(self._alice, self._bob)
        await self._bob.barrier()
        self._alice.heard.clear()

    async def post(self) -> None:
        """Alice says one thing after the other."""
        while True:
            await self._on.wait()
            self._number += 1
            text = f"number {self._number}"
            self._under_way[text] = Stopwatch(self._pid)
            ack = await self._alice.done("MSG_SEND", room=self._room, cid=os.urandom(16), text=text)
            self._acked[ack["seq"]] = text
            forget(self._alice)
            await asyncio.sleep(self._pause)

    async def listen(self) -> None:
        """Bob hears it, in its order."""
        while True:
            came = await self._bob.hear("MSG", lambda each: bool(each["room"] == self._room), patience=3600)
            forget(self._bob)
            if came["kind"] != TEXT:
                continue
            watch = self._under_way.pop(came["text"], None)
            if watch is not None:
                self._late.append(watch.charged())
                self._waited.append(watch.waited())
            if came["seq"] != max(self._heard, default=came["seq"] - 1) + 1:
                self._faults.append(f"{came['seq']} came after {max(self._heard)}")
            self._heard[came["seq"]] = came["text"]

    async def ask(self) -> None:
        """Carol sends PINGs, and looks how large the server is."""
        while True:
            await self._on.wait()
            watch = Stopwatch(self._pid)
            await self._carol.barrier()
            self._lags.append(watch.charged())
            self._peak = max(self._peak, resident(self._pid))
            forget(self._carol)
            await asyncio.sleep(PING)

    async def live(self) -> None:
        """All give a sign of life, also between rows (3.2)."""
        while True:
            await asyncio.sleep(5)
            for talk in self._bench.talks:
                talk.say("PING", nonce=0)
                forget(talk)

    async def begin(self) -> None:
        """A row begins."""
        self._late.clear()
        self._waited.clear()
        self._lags.clear()
        self._faults.clear()
        self._acked.clear()
        self._base = self._peak = resident(self._pid)
        self._on.set()
        await self._until(lambda: bool(self._acked))

    async def end(self) -> Seen:
        """A row is over: what was seen, when all that was said has been heard."""
        await self._until(lambda: len(self._acked) >= LEAST)
        self._on.clear()
        await self._until(lambda: not self._under_way and max(self._heard, default=0) >= max(self._acked))
        self._faults += await self._differences()
        late, lags = sorted(self._late), sorted(self._lags)
        return Seen(
            acked=len(self._acked),
            late=1000 * late[int(0.99 * (len(late) - 1))],
            lag=1000 * lags[-1],
            median=1000 * sorted(self._waited)[len(self._waited) // 2],
            growth=self._peak - self._base,
            faults=list(self._faults),
        )

    async def _differences(self) -> list[str]:
        """Where what was acknowledged is not what the other heard, or not what the log holds."""
        found = [
            f"{seq} was acknowledged, not heard" for seq, text in self._acked.items() if self._heard.get(seq) != text
        ]
        log: dict[int, str] = {}
        last, after = max(self._acked), min(self._acked) - 1
        while after < last:
            page = await self._bob.done("HISTORY", room=self._room, window=2, anchor=after, limit=200)
            log |= dict(map(seq_and_text, page["events"]))
            after = max(log)
        forget(self._bob)
        return found + [f"{seq} is not in the log" for seq, text in self._acked.items() if log.get(seq) != text]

    async def _until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not look():  # noqa: ASYNC110 - what is looked at has many authors
                await asyncio.sleep(0.005)


def seq_and_text(event: bytes) -> tuple[int, str]:
    """What a page of a log says of one event."""
    field = book().kinds["MSG"].field
    body = cbor.load(event)
    return body[field("seq").key], body.get(field("text").key, "")


def forget(talk: Talk) -> None:
    """Let the record of a connection that lasts not grow."""
    talk.track.clear()
    del talk.heard[:-200]


async def main(port: int, pid: int, pause: float) -> None:
    """Talk as standard input says, until it ends."""
    pair = Pair(pid, pause)
    await pair.enter(port)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line.strip())
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(orders.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each()) for each in (pair.post, pair.listen, pair.ask, pair.live)]
        while order := await orders.get():
            if order == "begin":
                await pair.begin()
                print("talking", flush=True)
            else:
                print(json.dumps(asdict(await pair.end())), flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
