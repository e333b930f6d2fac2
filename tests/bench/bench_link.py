"""The raw link: one stream from a server process to a client over loopback, and what is said beside it."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from quicchat.errors import Code
from quicchat.protocol.events import Bytes, LinkEvent, Writable
from quicchat.transport.dial import dial
from quicchat.transport.endpoint import listen
from quicchat.transport.identity import Trust
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.transport.udp import Udp
from tests.bench.table import Row
from tests.certs import Authority

SIZE: Final = 128 * 1_048_576
#: How much is kept unsent, and below what it is filled up again.
HIGH: Final = 262_144
LOW: Final = 65_536
SLAB: Final = bytes(range(256)) * (HIGH // 256)
#: What is said on another stream, and echoed; and how often, in seconds.
WORD: Final = b"w" * 100
PAUSE: Final = 0.005
PLAIN: Final[dict[str, object]] = {"udp": partial(Udp, gso=False, gro=False)}
#: What is measured: a name, and what differs from the defaults.
CASES: Final[dict[str, dict[str, object]]] = {
    "1200, one by one": {"jumbo": False, **PLAIN},
    "1200, GSO": {"jumbo": False, "udp": partial(Udp, gro=False)},
    "1200, GRO": {"jumbo": False, "udp": partial(Udp, gso=False)},
    "1200, GSO and GRO": {"jumbo": False},
    "jumbo, one by one": PLAIN,
    "jumbo, GSO and GRO": {},
}


class Pump:
    """Answers the first stream with `SIZE` bytes, a little ahead of what leaves, and all others with an echo."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._left = SIZE
        link.authenticated()

    def hear(self, events: list[LinkEvent]) -> None:
        for event in events:
            if isinstance(event, Bytes) and event.sid:
                self._link.send(event.sid, event.data)
            elif isinstance(event, (Bytes, Writable)) and self._left:
                size = min(HIGH - self._link.unsent(0), self._left)
                self._left -= size
                self._link.send(0, SLAB[:size], fin=not self._left)
                self._link.watch(0, LOW)


@dataclass(slots=True, kw_only=True)
class Got:
    """What a client saw: how long it took, and the round trips of what was said meanwhile, in seconds."""

    seconds: float
    trips: list[float]


async def serve(options: Options) -> None:
    """Serve until the input ends; the port and the CA come first, and the processor time last."""

    def pump(link: Link) -> None:
        link.on_events = Pump(link).hear

    authority = Authority()
    endpoint = await listen([("127.0.0.1", 0)], authority.issue(), pump, options=options)
    print(endpoint.addresses[0][1], (authority.trust.ca_pem or b"").hex(), flush=True)
    done = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, done.set)
    await done.wait()
    await endpoint.close()
    print(_cpu(), flush=True)


async def fetch(port: int, ca: bytes, options: Options, *, talk: bool) -> Got:
    """Get all of it and hash it, and perhaps talk meanwhile."""
    link = await dial("127.0.0.1", port, trust=Trust(ca), options=options)
    digest, size = hashlib.sha256(), 0
    done, answered = asyncio.Event(), asyncio.Event()
    trips: list[float] = []

    def hear(events: list[LinkEvent]) -> None:
        nonlocal size
        for event in events:
            if isinstance(event, Bytes) and event.sid:
                answered.set()
            elif isinstance(event, Bytes):
                digest.update(event.data)
                size += len(event.data)
                if event.fin:
                    done.set()
                    answered.set()

    link.on_events = hear
    start = time.perf_counter()
    link.send(link.open(), b"x", fin=True)
    beside = link.open()
    while talk and not done.is_set():
        said = time.perf_counter()
        answered.clear()
        link.send(beside, WORD)
        await answered.wait()
        trips.append(time.perf_counter() - said)
        await asyncio.sleep(PAUSE)
    await done.wait()
    seconds = time.perf_counter() - start
    assert size == SIZE
    link.close(Code.NO_ERROR)
    link.flush()
    return Got(seconds=seconds, trips=trips)


def rows() -> list[Row]:
    """MB/s and the processor time of either end; then the round trips beside it."""
    made = []
    for name in CASES:
        got, sender, receiver = measure(name, talk=False)
        note = f"CPU ms/MB: sender {sender:.1f}, receiver {receiver:.1f}"
        made.append(Row(f"link, {name}", SIZE / 1e6 / got.seconds, "MB/s", note))
    for name in ("1200, GSO and GRO", "jumbo, GSO and GRO"):
        got, _, _ = measure(name, talk=True)
        trips = sorted(1e3 * trip for trip in got.trips)
        note = f"p99 {trips[len(trips) * 99 // 100]:.1f} ms, beside {SIZE / 1e6 / got.seconds:.0f} MB/s"
        made.append(Row(f"echo beside it, {name.partition(',')[0]}", trips[len(trips) // 2], "ms p50", note))
    return made


def measure(name: str, *, talk: bool) -> tuple[Got, float, float]:
    """One run between two processes: what the client saw, and milliseconds of processor for each MB, of either."""
    command = [sys.executable, "-m", "tests.bench.bench_link", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port, ca = process.stdout.readline().split()
        cpu = _cpu()
        got = asyncio.run(fetch(int(port), bytes.fromhex(ca), options_of(name), talk=talk))
        cpu = _cpu() - cpu
        process.stdin.close()
        theirs = float(process.stdout.readline())
    return got, theirs / SIZE * 1e9, cpu / SIZE * 1e9


def options_of(name: str) -> Options:
    """The options of a case, for either end."""
    return replace(Options(), **CASES[name])  # type: ignore[arg-type]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asyncio.run(serve(options_of(sys.argv[1])))
