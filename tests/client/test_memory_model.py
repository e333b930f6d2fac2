"""Both memories beside each other, and beside a log: whatever is kept, trimmed, taken back and searched."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quicchat.client.memory import Held, Memory, PlainMemory, wholes
from quicchat.client.memory_sqlite import open_file
from quicchat.client.scribe import Scribe
from quicchat.wire.chapters.messages import Kind, Message, blanked
from quicchat.wire.search import wanted

ROOMS = ("garden", "@alice,bob")
WORDS = ("Über den Wolken", "a red rose", "roses are red", "nothing", "")
QUERIES = ("rose", "ros*", "uber", "red rose", "nothing", "whole*")


class Log:
    """A room as the server has it."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.events: list[Message] = []
        #: As it was at some time, for a page that is long under way.
        self.old: list[Message] = []

    def say(self, ts: int, kind: Kind, text: str, target: int | None) -> Message:
        seq = len(self.events) + 1
        refs = (target,) if target is not None else None
        event = Message(
            room=self.room,
            epoch=1,
            seq=seq,
            cid=ts.to_bytes(16),
            sender="bob",
            kind=kind,
            ts=ts,
            text=text,
            refs=refs,
            mentions=("alice",),
        )
        if kind is Kind.RETRACT:
            self.events = [
                blanked(each) if each.seq == target or (each.kind is Kind.EDIT and each.refs == refs) else each
                for each in self.events
            ]
        self.events.append(event)
        return event

    def allows(self, target: int) -> bool:
        """Whether the server takes an event about another one."""
        event = self.events[target - 1] if target <= len(self.events) else None
        return event is not None and event.kind in (Kind.TEXT, Kind.EDIT) and bool(event.text)


NAMES = """say say say long edit edit retract retract miss given given past past stale remember drop restart search
search"""
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES.split()),
        st.sampled_from(ROOMS),
        st.integers(0, 9),
    ),
    max_size=40,
)


class Twins:
    """The same device twice: once with each memory."""

    def __init__(self, folder: Path, keeps: int) -> None:
        self.logs = {room: Log(room) for room in ROOMS}
        self.plain = PlainMemory(keeps)
        self.path = folder / "memory.db"
        self.keeps = keeps
        self.ts = 0

    async def begin(self) -> None:
        self.memories: Sequence[Memory] = (self.plain, open_file(self.path, keeps=self.keeps))
        self.scribes = [Scribe(each, await each.load(), lambda _: None) for each in self.memories]

    async def end(self) -> None:
        for scribe in self.scribes:
            await scribe.flush()
        for memory in self.memories:
            await memory.close()

    async def step(self, name: str, room: str, number: int) -> None:
        log = self.logs[room]
        self.ts += 1
        target = max(1, len(log.events) - number)
        match name:
            case "say" | "miss":
                event = log.say(self.ts, Kind.TEXT if number else Kind.JOIN, WORDS[number % len(WORDS)], None)
                if name == "say":
                    self.hold(Held(event))
            case "long":
                self.hold(Held(log.say(self.ts, Kind.TEXT, "a", None), f"a rose, a whole{number}"))
            case "edit" | "retract" if log.allows(target):
                kind = Kind.EDIT if name == "edit" else Kind.RETRACT
                if kind is Kind.RETRACT or log.events[target - 1].kind is Kind.TEXT:
                    self.hold(Held(log.say(self.ts, kind, WORDS[number % 4] if name == "edit" else "", target)))
            case "given" if log.events:
                for scribe in self.scribes:
                    cursor = scribe.cursors.get(room)
                    if cursor is not None:
                        scribe.given(log.events[max(0, cursor.seq - number - 1)])
            case "remember":
                log.old = list(log.events)
            case "past" | "stale" if log.events:
                self.past(room, log.events if name == "past" else log.old, number)
            case "drop":
                for scribe in self.scribes:
                    scribe.drop(room)
            case "restart":
                await self.end()
                await self.begin()
            case "search":
                await self.compare(QUERIES[number % len(QUERIES)])

    def hold(self, held: Held) -> None:
        for scribe in self.scribes:
            scribe.hold(held)

    def past(self, room: str, events: Sequence[Message], number: int) -> None:
        """A page below what is kept, or in the middle of it."""
        for scribe in self.scribes:
            cursor = scribe.cursors.get(room)
            end = (cursor.first if cursor is not None else len(events) + 1) - 1 + number // 4
            page = [each for each in events if max(0, end - 5) < each.seq <= end]
            scribe.hold_past(room, 1, wholes(page), 0)

    async def compare(self, query: str) -> None:
        for scribe in self.scribes:
            await scribe.written()
        one, other = self.scribes
        assert one.cursors == other.cursors
        for room, log in self.logs.items():
            kept, twin = [list(await each.page(room, limit=1000)) for each in self.memories]
            assert kept == twin
            cursor = one.cursors.get(room)
            seqs = [each.event.seq for each in kept]
            assert seqs == (list(range(cursor.first, cursor.seq + 1)) if cursor is not None else [])
            assert [each.event for each in kept] == [log.events[seq - 1] for seq in seqs]
            assert cursor is None or len(kept) <= max(self.keeps, cursor.seq - cursor.given)
        for where in (None, *ROOMS):
            found, twin = [list(await each.search(wanted(query), room=where, limit=99)) for each in self.memories]
            assert found == twin


@given(STEPS, st.integers(0, 12))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_memories_keep_the_same_end_of_the_log(steps: list[tuple[str, str, int]], keeps: int) -> None:
    """[6.12-1], [6.12-2], [6.12-3]: unbroken, as the server has it; what was taken back is not found."""

    async def scenario() -> None:
        with tempfile.TemporaryDirectory() as folder:
            twins = Twins(Path(folder), keeps)
            await twins.begin()
            for step in steps:
                await twins.step(*step)
            for query in QUERIES:
                await twins.compare(query)
            await twins.end()

    asyncio.run(scenario())
