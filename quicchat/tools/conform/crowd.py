"""Cases that share a connection, because each of them leaves it as it was. (spec README)

That is for speed alone: whoever came to grief in the crowd is played again on a connection of his own, and only that
counts. So a verdict, and what was said, are never another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from quicchat.tools.conform.bench import Bench, Target
from quicchat.tools.conform.case import Case, Run
from quicchat.tools.conform.quic import Unreachable
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Deviation
from quicchat.values import dataclass

#: Fewer than `misuses` (3.3-5), with room for what else is said.
LARGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Part:
    """One case of a crowd: `say` is all that it sends, `judge` is told what `say` returned. Both raise Deviation."""

    sentence: str
    name: str
    since: int
    say: Callable[[Bench, Talk], Any]
    judge: Callable[[Talk, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a crowd meets: `begin` gives the connection, `settle` waits until all that was said has been served."""

    begin: Callable[[Bench], Awaitable[Talk]]
    settle: Callable[[Talk], Awaitable[None]]
    needs: frozenset[str]


class Crowd:
    """Parts that are said on one connection, one behind the other, and then judged."""

    def __init__(self, place: Place, parts: Sequence[Part]) -> None:
        self.place = place
        self.parts = parts
        self._played: WeakKeyDictionary[Target, asyncio.Task[frozenset[int]]] = WeakKeyDictionary()

    def cases(self) -> list[Case]:
        """A case for each part."""
        return [
            Case(part.sentence, part.name, self._run(number), part.since, self.place.needs)
            for number, part in enumerate(self.parts)
        ]

    def _run(self, number: int) -> Run:
        async def run(bench: Bench) -> None:
            task = self._played.get(bench.target)
            if task is None:
                task = self._played[bench.target] = asyncio.create_task(self._together(bench.target))
            if number not in await asyncio.shield(task):
                part = self.parts[number]
                talk = await self.place.begin(bench)
                said = part.say(bench, talk)
                await self.place.settle(talk)
                await part.judge(talk, said)

        return run

    async def _together(self, target: Target) -> frozenset[int]:
        """The numbers of those of which nothing bad is to be said."""
        bench = Bench(target)
        # What a server does not know yet is no part's fault.
        playable = {number: part for number, part in enumerate(self.parts) if part.since <= target.version}
        try:
            talk = await self.place.begin(bench)
            said = {number: part.say(bench, talk) for number, part in playable.items()}
            await self.place.settle(talk)
            # All at a time: where many get no answer, nobody waits for all of them.
            judged = await asyncio.gather(
                *(is_good(part.judge(talk, said[number])) for number, part in playable.items())
            )
        except (Deviation, Unreachable):
            return frozenset()
        finally:
            bench.hang_up()
        return frozenset(number for number, good in zip(playable, judged, strict=True) if good)


async def is_good(judging: Awaitable[None]) -> bool:
    """Whether it raises no Deviation."""
    try:
        await judging
    except Deviation:
        return False
    return True


def crowds(place: Place, parts: Sequence[Part], largest: int = LARGEST) -> list[Case]:
    """The cases of all these parts, at most so many on one connection."""
    cuts = range(0, len(parts), largest)
    return [case for at in cuts for case in Crowd(place, parts[at : at + largest]).cases()]
