"""Virtual time: hours pass at once, nothing depends on chance, and a program that is stuck says where."""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import threading
import time
from typing import Any

import pytest

from quicchat.errors import QuicchatError
from quicchat.transport.virtual import Deadlock, Overtime, VirtualLoop, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_hour_takes_no_time() -> None:
    """design §8, "simulated pair with virtual clock": waiting moves the clock, and by just as much as was asked."""
    began = time.monotonic()

    async def main() -> list[float]:
        times = [now()]
        for seconds in (3600, 0.25, 0, 86_400 * 3, 1e-6):
            await asyncio.sleep(seconds)
            times.append(now())
        return times

    assert run(main(), deadline=1e6) == [0, 3600, 3600.25, 3600.25, 262_800.25, pytest.approx(262_800.250001)]
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("start", [0.0, 5.5, 1_700_000_000.0, 4e9])
def test_the_clock_begins_where_it_is_told(start: float) -> None:
    """D7: also at today's Unix time, where a float holds no nanoseconds: a timer there is due once, not for ever."""

    async def main() -> list[float]:
        times = []
        for seconds in (0.0, 0.000_1, 0.1, 1 / 3, 1.0):
            await asyncio.sleep(seconds)
            times.append(now())
        return times

    assert run(main(), start=start) == pytest.approx([start + s for s in (0, 0.0001, 0.1001, 0.4334333, 1.4334333)])


def test_timers_fire_in_order_at_their_time() -> None:
    """design §8: what two tasks do depends on their timers, not on the machine."""

    async def main() -> list[tuple[str, float]]:
        done: list[tuple[str, float]] = []

        async def walk(name: str, step: float) -> None:
            for _ in range(3):
                await asyncio.sleep(step)
                done.append((name, now()))

        await asyncio.gather(walk("slow", 2.0), walk("fast", 0.75))
        return done

    assert run(main()) == [("fast", 0.75), ("fast", 1.5), ("slow", 2.0), ("fast", 2.25), ("slow", 4.0), ("slow", 6.0)]


def test_time_stands_still_while_there_is_work() -> None:
    """design §8: computing takes no virtual time, however long it takes."""

    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return now()

    assert run(main()) == 0


def test_timeouts_and_cancelled_timers() -> None:
    """design §8: asyncio's own tools work; a timer that was cancelled holds nothing up."""

    async def main() -> float:
        asyncio.get_running_loop().call_later(500, pytest.fail).cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        async with asyncio.timeout(1000):
            await asyncio.sleep(1)
        return now()

    assert run(main()) == 31


def test_the_same_program_does_the_same() -> None:
    """design §8: a run can be repeated, to the order of a hundred tasks."""

    async def main() -> list[int]:
        done: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(number * 7919 % 13 / 10)
            done.append(number)
            await asyncio.sleep(number % 3)
            done.append(-number)

        await asyncio.gather(*map(one, range(100)))
        return done

    assert run(main()) == run(main())


def test_what_is_handed_to_a_thread_is_done_at_once() -> None:
    """design §8: an executor would bring back real time; results and errors come as from one."""

    async def main() -> tuple[bool, float]:
        here = threading.current_thread()
        there = await asyncio.to_thread(threading.current_thread)
        with pytest.raises(ZeroDivisionError):
            await asyncio.get_running_loop().run_in_executor(None, lambda: 1 / 0)
        return there is here, now()

    assert run(main()) == (True, 0)


def test_a_deadlock_is_told_with_its_places() -> None:
    """design §8: nothing to run and no timer: an error that names who waits where, instead of a test that hangs."""

    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.sleep(7)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(waits_for_ever(), name="the waiter")

    with pytest.raises(Deadlock) as caught:
        run(main())
    line = waits_for_ever.__code__.co_firstlineno + 1
    assert "after 7 s; " in str(caught.value)
    assert f"the waiter waits at {__file__}:{line}" in str(caught.value)
    assert isinstance(caught.value, QuicchatError)


def test_a_deadlock_of_many_is_told_in_short() -> None:
    """design §8: a thousand clients that wait do not make a text of a thousand lines."""

    async def main() -> None:
        await asyncio.gather(*(asyncio.Event().wait() for _ in range(50)))

    with pytest.raises(Deadlock, match=r"and 31 more$"):
        run(main())


def test_cleaning_up_after_a_deadlock() -> None:
    """design §8: `finally` blocks still run, and may wait a little."""
    done: list[float] = []

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2)
            done.append(now())

    with pytest.raises(Deadlock):
        run(main())
    assert done == [2]


def test_virtual_time_is_bounded() -> None:
    """design §8: a program that goes on for ever ends with its deadline, and is told where it stood."""
    steps: list[float] = []

    async def main() -> None:
        try:
            while True:
                await asyncio.sleep(60)
                steps.append(now())
        finally:
            await asyncio.sleep(1)
            steps.append(now())

    with pytest.raises(Overtime, match="not done at 1000 s of virtual time; Task-"):
        run(main(), deadline=1000)
    assert steps == [*range(60, 961, 60), 961]


def test_real_time_is_bounded() -> None:
    """design §8: a program that is always busy never reaches a virtual deadline."""

    async def main() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    began = time.monotonic()
    with pytest.raises(Overtime, match=r"not done after 0.2 s of real time, at 0 s"):
        run(main(), patience=0.2)
    assert 0.2 <= time.monotonic() - began < 5


def explode() -> None:
    raise ZeroDivisionError("planted")


@pytest.mark.parametrize("late", [0.0, 50.0])
def test_what_nobody_handles_in_a_callback_ends_the_run(late: float) -> None:
    """Q27, hostile.md "nothing unhandled in the log": an exception in a callback is not just a line in the log."""

    async def main() -> None:
        asyncio.get_running_loop().call_later(late, explode)
        await asyncio.sleep(100)
        pytest.fail("the run went on")

    with pytest.raises(ZeroDivisionError, match="planted"):
        run(main())


def test_what_nobody_handles_at_the_very_end_counts_too() -> None:
    """Q27: the last thing that went wrong before the program returned."""

    async def main() -> str:
        asyncio.get_running_loop().call_soon(explode)
        return "done"

    with pytest.raises(ZeroDivisionError, match="planted"):
        run(main())


def test_a_task_whose_error_nobody_wants_ends_the_run() -> None:
    """Q27: a forgotten task is found when it is collected, as asyncio does, but not only in the log."""

    async def fail() -> None:
        explode()

    async def main() -> None:
        forgotten = {asyncio.get_running_loop().create_task(fail())}
        await asyncio.sleep(1)
        forgotten.clear()
        gc.collect()
        await asyncio.sleep(1)
        pytest.fail("the run went on")

    with pytest.raises(ZeroDivisionError, match="planted"):
        run(main())


def test_a_message_without_an_exception_ends_the_run() -> None:
    """Q27: whatever is reported to the loop as gone wrong."""

    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "something is odd"})
        await asyncio.sleep(1)

    with pytest.raises(QuicchatError, match="something is odd"):
        run(main())


def test_a_program_may_handle_them_itself() -> None:
    """Q27: a server with its own handler for what goes wrong is left alone."""

    async def main() -> list[Any]:
        heard: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
        loop.call_soon(explode)
        await asyncio.sleep(1)
        return heard

    (error,) = run(main())
    assert isinstance(error, ZeroDivisionError)


def test_the_programs_own_error_is_what_is_raised() -> None:
    """design §8: as with asyncio.run."""

    async def main() -> None:
        await asyncio.sleep(5)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(main())


def test_there_are_no_sockets() -> None:
    """design §8: what comes from outside would come by chance; it is refused, not waited for."""

    async def main(end: socket.socket) -> None:
        await asyncio.get_running_loop().sock_recv(end, 1)

    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        with pytest.raises(QuicchatError, match="no sockets in virtual time"):
            run(main(one))


def test_the_loop_is_closed_afterwards() -> None:
    """design §8: nothing is left behind; warnings are errors here."""
    seen: list[VirtualLoop] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        seen.append(loop)

    run(main())
    assert seen[0].is_closed()
