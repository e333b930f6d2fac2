"""A device and the log: live events, pages, trims, absences, new runs and retractions in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quicchat.client.api import Chat
from quicchat.client.memory import PlainMemory
from quicchat.errors import Refused
from quicchat.wire.chapters.messages import Message
from tests.client.lives import Listener, alive
from tests.client.logs import GENERAL, log_of, plain, say, seqs, whole_past
from tests.server.house import World, play, world

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "past", "past and say", "restart", "away", "retract"]),
        st.integers(0, 40),
        st.integers(1, 9),
    ),
    max_size=14,
)


class Play:
    """Alice, who looks, and Bob, who talks."""

    def __init__(self, here: World, bob: Chat) -> None:
        self.here = here
        self.bob = bob
        self.memory = PlainMemory(keeps=6)
        self.chat: Chat
        self.ears: Listener

    async def come(self, *, sign_up: bool = False) -> None:
        self.chat = await alive(self.here, "alice", memory=self.memory, sign_up=sign_up)
        self.ears = Listener(self.chat)

    async def go(self) -> None:
        await self.ears.stop()
        await self.chat.close()

    async def step(self, name: str, place: int, count: int) -> None:
        match name:
            case "say":
                await say(self.bob, count)
            case "past" | "past and say":
                work = asyncio.ensure_future(self.chat.past(GENERAL, place or None, count))
                if name == "past and say":
                    await say(self.bob, 3)
                self.check(await work, place, count)
            case "restart":
                await self.go()
                self.memory.keeps = count
                await say(self.bob, 2)
                await self.come()
            case "away":
                await self.chat.hold(True)
                await say(self.bob, count)
                await self.chat.hold(False)
            case "retract":
                with suppress(Refused):
                    await self.bob.retract(GENERAL, place)

    def check(self, page: Sequence[Message], place: int, count: int) -> None:
        """It is full, unless the room begins in it."""
        end = page[-1].seq + 1 if page else 1
        assert not place or end <= max(1, place)
        assert seqs(page) == list(range(max(1, end - count), end))

    async def end(self) -> None:
        await self.bob.post(GENERAL, "last")
        log = await log_of(self.here, GENERAL)
        scribe = self.chat._session.scribe
        await self.ears.until(lambda: scribe.cursors[GENERAL].given == len(log))
        assert plain(await whole_past(self.chat, GENERAL, 7)) == plain(log)
        await scribe.written()
        kept = [each.event for each in await self.memory.page(GENERAL, limit=1000)]
        assert plain(kept) == plain(log[len(log) - len(kept) :])
        assert min(len(log), self.memory.keeps) <= len(kept) <= self.memory.keeps
        assert seqs(await self.chat.search_here("last")) == [len(log)]


@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_the_past_is_the_log(steps: list[tuple[str, int, int]]) -> None:
    """P4, [6.12-1], [6.12-2]: the pages are the log, to its beginning, and what is kept is the end of it."""

    async def scenario() -> None:
        async with world() as here:
            bob = await here.enter("bob")
            await say(bob, 9)
            alice = Play(here, bob)
            await alice.come(sign_up=True)
            for step in steps:
                await alice.step(*step)
            await alice.end()
            await alice.go()

    play(scenario)
