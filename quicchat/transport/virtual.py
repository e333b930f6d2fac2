"""Virtual time: a loop whose clock stands still while there is work, and jumps to the next timer. (ARCHITECTURE)

    result = run(main())

An hour of waiting takes no time, and the same program does the same in every run. Nothing comes from outside:
there are no sockets, and what is handed to an executor is done at once, in the loop's own thread.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from quicchat.errors import QuicchatError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Tasks named in the text of a Deadlock.
_NAMED: Final = 20
#: After a limit was hit, what the program's `finally` blocks may still take, in seconds of either kind.
_GRACE: Final = 5.0


class Deadlock(QuicchatError):
    """Every task waits, and no timer will ever wake one; the text names where they wait."""


class Overtime(QuicchatError):
    """The program did not end in the virtual or the real time it was given."""


def run(
    main: Coroutine[Any, Any, T],
    *,
    start: float = 0.0,
    deadline: float = 86_400.0,
    patience: float = 60.0,
    kind: type[VirtualLoop] | None = None,
) -> T:
    """Run `main` on a virtual clock that begins at `start`, and return its result; `kind` of loop may add sockets.

    Raises Deadlock, and Overtime after `deadline` virtual or `patience` real seconds. An exception that nobody
    handles in a callback or a task ends the run and is raised here, unless the program set a handler for those.
    """
    loop = (kind or VirtualLoop)(start, deadline, patience)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            result = runner.run(main)
        finally:
            loop.leave()
    loop.raise_unhandled()
    return result


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop behind `run`. Asyncio asks its selector to wait; this one moves the clock instead."""

    def __init__(self, start: float, deadline: float, patience: float) -> None:
        self._now = start
        self._patience = patience
        self._last = start + deadline
        self._real_last = time.monotonic() + patience
        self._unhandled: BaseException | None = None
        self._leaving = False
        super().__init__(_Selector(self._wait))
        # Far from zero a float holds no nanoseconds: with asyncio's own value a timer would be due for ever.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Do it now, in this thread: another one would bring back real time, and with it chance."""

        async def work() -> T:
            return func(*args)

        return self.create_task(work())

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember what nobody handled, so that it ends the run."""
        if self.get_exception_handler() is None and self._unhandled is None:
            self._unhandled = context.get("exception") or QuicchatError(context["message"])
        super().call_exception_handler(context)

    def leave(self) -> None:
        """The program is over: while the rest is cleared away, what goes unhandled is only remembered."""
        self._leaving = True

    def raise_unhandled(self) -> None:
        """Raise what a callback or a task left unhandled, once."""
        if self._unhandled is not None:
            error, self._unhandled = self._unhandled, None
            raise error

    def _wait(self, timeout: float | None) -> None:
        """Let `timeout` seconds pass; None means for ever. Zero while there is work."""
        if not self._leaving:
            self.raise_unhandled()
        if time.monotonic() > self._real_last:
            self._real_last = time.monotonic() + _GRACE
            raise Overtime(f"not done after {self._patience:g} s of real time, at {self._now:g} s; {self._waiting()}")
        if timeout is None:
            raise Deadlock(f"nothing will ever happen after {self._now:g} s; {self._waiting()}")
        if self._now + timeout > self._last:
            now, self._last = self._last, self._last + _GRACE
            raise Overtime(f"not done at {now:g} s of virtual time; {self._waiting()}")
        self._now += timeout

    def _waiting(self) -> str:
        places = sorted(f"{task.get_name()} waits at {_place(task)}" for task in asyncio.all_tasks(self))
        more = f", and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        return ", ".join(places[:_NAMED]) + more


class _Selector(selectors.SelectSelector):
    """Hands every wait to the clock. The one file it accepts is the loop's own alarm pipe."""

    def __init__(self, wait: Callable[[float | None], None]) -> None:
        super().__init__()
        self._wait = wait

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():
            raise QuicchatError("there are no sockets in virtual time; use transport.memory")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._wait(timeout)
        return []


def _place(task: asyncio.Task[Any]) -> str:
    """Where the innermost coroutine of a task stands that is not asyncio's own."""
    at: Any = task.get_coro()
    place = "its end"
    while (frame := getattr(at, "cr_frame", None)) is not None:
        if not frame.f_globals["__name__"].startswith("asyncio."):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        at = at.cr_await
    return place
