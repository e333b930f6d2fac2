"""The two clocks: the machine's own, and the one that tests set by hand."""

from __future__ import annotations

import asyncio
import time

from quicchat.server.adapters.clock import START, ManualClock, SystemClock
from quicchat.server.ports import Clock


def test_the_system_clock_is_the_machines() -> None:
    """Rule 7.12: Unix time in ms; waiting and randomness are real."""

    async def scenario() -> None:
        clock: Clock = SystemClock()
        before = time.time_ns() // 1_000_000
        began = time.monotonic()
        await clock.sleep(0.01)
        assert time.monotonic() - began >= 0.009
        assert before <= clock.now() <= time.time_ns() // 1_000_000
        assert len({clock.random(16) for _ in range(50)}) == 50
        assert {len(clock.random(size)) for size in (0, 7)} == {0, 7}

    asyncio.run(scenario())


def test_a_manual_clock_stands_still() -> None:
    """D7: time passes when it is told to; who waits wakes in the order in which he is due, not earlier."""

    async def sleeper(clock: Clock, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.now()))

    async def nobody_waits(clock: ManualClock) -> bool:
        return clock.next_due is None

    async def scenario() -> None:
        clock = ManualClock()
        assert (clock.now(), clock.next_due) == (START, None)
        tasks = [asyncio.create_task(sleeper(clock, seconds)) for seconds in (3, 1, 2, 1.5)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(tasks[3], return_exceptions=True)
        assert clock.next_due == 1
        clock.advance(0.9)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(1.2)
        await asyncio.gather(*tasks[1:3])
        assert woken == [(1, START + 2_100), (2, START + 2_100)]
        clock.advance(10)
        await tasks[0]
        assert woken[2:] == [(3, START + 12_100)]
        assert await nobody_waits(clock)
        await clock.sleep(0)

    woken: list[tuple[float, int]] = []
    asyncio.run(scenario())


def test_a_changed_clock_wakes_nobody() -> None:
    """D7: the time of day may jump an hour forward or back; waiting goes by what really passed."""

    async def scenario() -> None:
        clock = ManualClock(now=10_000_000)
        task = asyncio.create_task(clock.sleep(5))
        await asyncio.sleep(0)
        for now in (10_000_000 + 3_600_000, 10_000_000 - 3_600_000):
            clock.set(now)
            assert (clock.now(), clock.next_due) == (now, 5)
        clock.advance(5)
        await task
        assert clock.now() == 10_000_000 - 3_600_000 + 5_000

    asyncio.run(scenario())


def test_a_seed_decides_the_bytes() -> None:
    """P6: a failing simulation runs again exactly as it did."""
    one, other, third = (ManualClock(seed=seed) for seed in (1, 1, 2))
    first = [one.random(size) for size in (16, 3, 32)]
    assert first == [other.random(size) for size in (16, 3, 32)]
    assert first != [third.random(size) for size in (16, 3, 32)]
    assert [len(each) for each in first] == [16, 3, 32]
