"""One visit to a server: tried until somebody is let in, and ended by signals with a goodbye. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from quicchat.client.identity import Identity
from quicchat.client.trusting import REFUSED
from quicchat.errors import Refused, UsageError
from quicchat.ui.entry import Entry

#: Seconds that a goodbye may take after a signal.
_GOODBYE: Final = 5.0


class Doubt(Exception):
    """Nobody has vouched for this server yet; only a person can answer the question."""

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(question)


class Visitor(Protocol):
    """What somebody does once he is in."""

    async def run(self, identity: Identity) -> int:
        """Log in and do it; the exit code. Raises UsageError, Doubt, and Refused where the login failed."""


def visit(
    entry: Entry, agrees: Callable[[str], bool] | None, visitor: Callable[[frozenset[str] | None], Visitor]
) -> int:
    """Let a visitor do it, one after the other until one is let in. Raises UsageError, KeyboardInterrupt.

    `agrees` puts a question to the person; None where there is none. `visitor` is given those that were answered with
    yes so far.
    """
    agreed: frozenset[str] | None = frozenset() if agrees is not None else None
    with _heeding(_end):
        identity = entry.first()
    while True:
        try:
            return asyncio.run(_visited(visitor(agreed), identity))
        except Refused as refusal:
            with _heeding(_end):
                identity = entry.again(identity, refusal)
        except Doubt as doubt:
            with _heeding(_end):
                if agrees is None or not agrees(doubt.question):
                    raise UsageError("the server is not trusted; nothing was sent", REFUSED) from None
            agreed = (agreed or frozenset()) | {doubt.question}


def _end(number: int, frame: object) -> None:
    """While somebody is asked, a signal ends the program, and not before a terminal shows again what is typed."""
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _heeding(end: Callable[[int, object], None]) -> Iterator[None]:
    """Have signals do this."""
    before = {}
    for number in _signals():
        # Only the main thread may listen.
        with contextlib.suppress(ValueError):
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals() -> Iterator[int]:
    """Those that end the program: not every system has both, and under nohup one is ignored and stays so.

    But whoever reads from a terminal has nothing to do once it is gone.
    """
    is_attended = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and (is_attended or signal.getsignal(number) is not signal.SIG_IGN):
            yield number


def ask(text: str) -> None:
    """Put a question to the person."""
    sys.stderr.write(text)
    sys.stderr.flush()


async def _visited(visitor: Visitor, identity: Identity) -> int:
    """Run it; SIGTERM and SIGHUP say goodbye as Ctrl-C does, which the loop's own handler takes.

    Where that takes too long they end it all the same: nobody may ever read the pipe that is printed to.
    """
    main, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert main is not None
    heard: list[int] = []
    # Not by the loop, which may hang in a write.
    timer = threading.Timer(_GOODBYE, lambda: os._exit(128 + heard[0]))
    timer.daemon = True

    def watch(number: int, frame: object) -> None:
        if not heard:
            heard.append(number)
            timer.start()

    def leave() -> None:
        # Once: what says goodbye is not to be cancelled as well.
        if not main.cancelling():
            main.cancel()

    with _heeding(watch):
        for number in _signals():
            # Not every loop can, and only the main thread may listen.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, leave)
                signal.signal(number, watch)
        try:
            return await visitor.run(identity)
        except asyncio.CancelledError:
            if heard:
                return 128 + heard[0]
            raise
        finally:
            timer.cancel()
