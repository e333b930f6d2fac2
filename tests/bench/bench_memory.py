"""What a device keeps: how fast it is written, read again, and searched, in a file of 20,000 messages."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

from quicchat.client.memory import Held
from quicchat.client.memory_sqlite import open_file
from quicchat.client.scribe import Scribe
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.search import wanted
from tests.bench.table import Row

EVENTS = 20_000
TEXT = "what people say to each other, a hundred bytes of it, of which the words are found again when asked {}"
#: As many come in one turn of the loop.
TOGETHER = 200


def event(seq: int) -> Message:
    text = TEXT.format(seq)
    return Message(
        room="general", epoch=1, seq=seq, cid=seq.to_bytes(16), sender="bob", kind=Kind.TEXT, ts=seq, text=text
    )


async def timed(work: Awaitable[object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    await work
    return (time.perf_counter() - start) * 1000


async def _measure(path: Path) -> list[Row]:
    memory = open_file(path)
    scribe = Scribe(memory, await memory.load(), lambda _: None)
    start, cpu = time.perf_counter(), time.process_time()
    for seq in range(1, EVENTS + 1):
        scribe.hold(Held(one := event(seq)))
        scribe.given(one)
        if seq % TOGETHER == 0:
            await scribe.written()
    rate = EVENTS / (time.perf_counter() - start)
    cost = (time.process_time() - cpu) * 1e6 / EVENTS
    words = wanted("asked 777")
    rows = [
        Row("kept on the device", rate, "/s", f"{cost:.0f} us CPU each"),
        Row("a page of what is kept", await timed(memory.page("general", before=9_000, limit=100)), "ms", "100 events"),
        Row("first search of what is kept", await timed(memory.search(words)), "ms", f"{EVENTS:,} events indexed"),
        Row("another one", await timed(memory.search(words)), "ms"),
        Row("the next start", await timed(memory.load()), "ms"),
    ]
    await memory.close()
    size = path.stat().st_size / EVENTS  # noqa: ASYNC240 - all is measured, and nothing else runs
    return [*rows, Row("on the disk", size, "bytes", "an event, indexed")]


def rows() -> list[Row]:
    """All measurements of this module, once."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder) / "memory.db"))
