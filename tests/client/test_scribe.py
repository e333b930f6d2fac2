"""Writing behind: how often, and what does not wait for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from quicchat.client.memory import Change, Cursor, Held, Kept, PlainMemory
from quicchat.client.scribe import Scribe
from quicchat.errors import Code, Refused
from tests.client.counter import event
from tests.server.house import play

ROOM = "general"


class Written(PlainMemory):
    """Notes what is kept, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[float, Change]] = []

    async def keep(self, change: Change) -> None:
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(0.001)
        await super().keep(change)
        self.changes.append((begun, change))

    @property
    def seqs(self) -> list[list[int]]:
        return [[each.event.seq for each in change.events] for _, change in self.changes]


def test_much_that_comes_is_written_a_few_times_a_second_and_counts_as_held_only_then() -> None:
    """[6.4-3]: the first at once, the others ten times a second; what is told as delivered is durable by then."""

    async def scenario() -> None:
        memory, told = Written(), list[int]()

        def on_kept(cursors: Mapping[str, Cursor]) -> None:
            told.extend(each.seq for each in cursors.values())
            assert sum(map(len, memory.seqs)) >= told[-1]

        scribe = Scribe(memory, Kept(), on_kept)
        start = asyncio.get_running_loop().time()
        for seq in range(1, 201):
            scribe.hold(Held(event(seq)))
            scribe.given(event(seq))
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        assert memory.changes[0][0] - start < 0.01
        assert memory.seqs[0] == [1]
        assert 10 <= len(memory.changes) <= 12
        assert [seq for part in memory.seqs for seq in part] == list(range(1, 201))
        assert told[-1] == 200
        assert scribe.cursors[ROOM].given == 200
        await scribe.flush()

    play(scenario)


def test_nobody_who_waits_for_it_waits_for_its_turn() -> None:
    """[6.12-2]: what is asked for, and what is much, is written at once; the end writes what is left."""

    async def scenario() -> None:
        memory = Written()
        scribe = Scribe(memory, Kept(), lambda _: None)
        loop = asyncio.get_running_loop()
        scribe.hold(Held(event(1)))
        await asyncio.sleep(0.01)
        scribe.hold(Held(event(2)))
        await asyncio.sleep(0.01)
        assert memory.seqs == [[1]]
        before = loop.time()
        await scribe.written()
        assert memory.seqs == [[1], [2]]
        for seq in range(3, 303):
            scribe.hold(Held(event(seq)))
        await asyncio.sleep(0.01)
        assert memory.seqs[2:] == [list(range(3, 303))]
        scribe.hold(Held(event(303)))
        await asyncio.sleep(0)
        await scribe.flush()
        assert memory.seqs[3:] == [[303]]
        assert loop.time() - before < 0.02

    play(scenario)


def test_what_is_known_better_by_now_is_rewritten() -> None:
    """[15.6-36]: an event that is held is replaced where it stands, be it written already or not; nothing else is."""

    async def scenario() -> None:
        memory = Written()
        scribe = Scribe(memory, Kept(), lambda cursors: None)
        for seq in (1, 2, 3):
            scribe.hold(Held(event(seq)))
        scribe.rewrite(Held(event(1, "better")))
        scribe.rewrite(Held(event(7, "never held")))
        await scribe.written()
        assert [each.event.text for each in await memory.page(ROOM)] == ["better", "2", "3"]
        scribe.rewrite(Held(event(2, "better")))
        await scribe.written()
        assert [each.event.text for each in await memory.page(ROOM)] == ["better", "better", "3"]
        await scribe.flush()

    play(scenario)


def test_an_older_secret_is_not_written_over_a_newer_one() -> None:
    """[15.7-1]: what is kept at once counts, though something older was still to be written."""

    async def scenario() -> None:
        memory = Written()
        scribe = Scribe(memory, Kept(), lambda cursors: None)
        scribe.secret("voice", b"den", b"older")
        await scribe.now([], {("voice", b"den"): b"newer"})
        await scribe.written()
        assert (await memory.load()).secrets == scribe.secrets == {("voice", b"den"): b"newer"}
        await scribe.flush()

    play(scenario)


def test_what_waits_to_be_written_outlives_a_writing_that_fails() -> None:
    """[15.6-32]: that a conversation is encrypted is written also where sealing its first message fails."""

    class Full(PlainMemory):
        """A disk that is full, once."""

        is_full = True

        async def keep(self, change: Change) -> None:
            if change.entries == [] and change.secrets and self.is_full:
                self.is_full = False
                raise Refused(Code.STORE_UNAVAILABLE)
            await super().keep(change)

    async def scenario() -> None:
        memory, place = Full(), ("encrypted", b"den")
        scribe = Scribe(memory, Kept(), lambda _: None)
        scribe.secret(*place, b"0")
        with pytest.raises(Refused):
            await scribe.now([], {place: b"0"})
        await scribe.written()
        assert (await memory.load()).secrets == {place: b"0"}

    play(scenario)
