"""One visit to a server: tried until somebody is let in, and ended by signals with a goodbye. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from typing import Protocol

from quicchat.client.login import Identity
from quicchat.client.trust import REFUSED
from quicchat.errors import Refused, UsageError
from quicchat.ui.contact import Doubt
from quicchat.ui.entry import Entry, Person
from quicchat.ui.lines import Lines


class Visitor(Protocol):
    """What somebody does once he is in."""

    async def run(self, identity: Identity) -> int:
        """Log in and do it; the exit code. Raises UsageError, Doubt, and Refused where the login failed."""


def visit(entry: Entry, lines: Lines, visitor: Callable[[frozenset[str] | None], Visitor]) -> int:
    """Let a visitor do it, one after the other until one is let in. Raises UsageError, KeyboardInterrupt.

    `visitor` is given the questions that a person has answered with yes so far; None where there is no person.
    """
    agreed: frozenset[str] | None = frozenset() if lines.interactive else None
    identity = entry.first()
    while True:
        try:
            return asyncio.run(_heeding(visitor(agreed), identity))
        except Refused as refusal:
            identity = entry.again(identity, refusal)
        except Doubt as doubt:
            if not Person(None, lines, ask).agrees(doubt.question):
                raise UsageError("the server is not trusted; nothing was sent", REFUSED) from None
            agreed = (agreed or frozenset()) | {doubt.question}


def ask(text: str) -> None:
    """Put a question to the person."""
    sys.stderr.write(text)
    sys.stderr.flush()


async def _heeding(visitor: Visitor, identity: Identity) -> int:
    """Run it; SIGTERM and SIGHUP say goodbye as Ctrl-C does, which the loop's own handler takes."""
    main = asyncio.current_task()
    assert main is not None
    heard: list[int] = []

    def end(number: int) -> None:
        heard.append(number)
        main.cancel()

    for name in ("SIGTERM", "SIGHUP"):
        # Neither exists everywhere, and only the main thread may listen.
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            number = getattr(signal, name)
            # Under nohup it is ignored, and stays so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await visitor.run(identity)
    except asyncio.CancelledError:
        if heard:
            return 128 + heard[0]
        raise
