"""The one thread that writes: what is asked while a transaction runs shares the next one. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeVar

from quicchat.errors import Code, Refused
from quicchat.sqlite.threads import be_prompt

#: Operations that share one transaction at most, and how long the first of them waits for the others.
BATCH: Final = 64
PATIENCE_SECONDS: Final = 0.005
#: Operations that may wait; when the disk stalls, memory stays bounded.
BACKLOG: Final = 8_192
_SLICE_SECONDS: Final = 0.0002

log = logging.getLogger("quicchat.server.store")

A = TypeVar("A")
T = TypeVar("T")
#: Runs all that was asked, in order, in a transaction that is open; gives a result or Refused for each.
Together = Callable[[sqlite3.Connection, Sequence[A]], "list[T | Refused]"]


class _Work(NamedTuple):
    together: Together[Any, Any]
    asked: Any
    future: asyncio.Future[Any]


class Writer:
    """`do` and `do_together` enqueue at once and return a future; it is done when the transaction is durable.

    An operation checks before it writes, and raises Refused. Any other exception undoes the whole transaction;
    then each of its operations is tried again alone, so that only the guilty one fails. When the transaction
    cannot begin or commit, all of them are refused. The log has a line when such trouble begins and when it ends.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closed = False
        self._crowd = 1
        self._trouble = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def do(self, step: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run a step in a transaction. Raises Refused(STORE_UNAVAILABLE) after close and beyond the backlog."""
        return self.do_together(one_by_one, step)

    def do_together(self, together: Together[A, T], asked: A) -> asyncio.Future[T]:
        """As `do`, but neighbours in the queue with the same `together` are run by one call of it."""
        if self._closed or self._queue.qsize() >= BACKLOG:
            raise Refused(Code.STORE_UNAVAILABLE)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Work(together, asked, future))
        return future

    async def close(self) -> None:
        """Finish what was asked, then close the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        be_prompt()
        running = True
        while running:
            batch, running = self._gather()
            if batch:
                _report(batch, self._transact(batch))
        self._connection.close()

    def _gather(self) -> tuple[list[_Work], bool]:
        """The next transaction, and whether another may follow.

        It waits for as many as came together the last time: one who writes alone never waits for others.
        """
        work = self._queue.get()
        batch: list[_Work] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while work is not None:
            batch.append(work)
            if len(batch) == BATCH or not self._more(len(batch), deadline):
                break
            work = self._queue.get_nowait()
        self._crowd = len(batch)
        return batch, work is not None

    def _more(self, size: int, deadline: float) -> bool:
        if self._queue.empty() and size < self._crowd and time.monotonic() < deadline:
            time.sleep(_SLICE_SECONDS)
        return not self._queue.empty()

    def _transact(self, batch: Sequence[_Work]) -> list[object]:
        connection = self._connection
        try:
            self._undo()
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return [self._failed(error) for _ in batch]
        try:
            outcomes: list[object] = []
            for together, works in groupby(batch, key=lambda work: work.together):
                outcomes += together(connection, [work.asked for work in works])
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes to the one who caused it, and to no other
            if len(batch) > 1:
                return [outcome for work in batch for outcome in self._transact([work])]
            return [self._failed(error)]
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            return [self._failed(error) for _ in batch]
        if self._trouble:
            self._trouble = False
            log.warning("store works again")
        return outcomes

    def _failed(self, error: Exception) -> Exception:
        """What to tell the one who asked; the transaction is undone."""
        with contextlib.suppress(sqlite3.Error):  # tried again, and reported, at the start of the next transaction
            self._undo()
        if not isinstance(error, sqlite3.Error):
            return error
        if not self._trouble:
            self._trouble = True
            log.error("store cannot write", extra={"error": str(error)})
        refusal = Refused(Code.STORE_UNAVAILABLE)
        refusal.__cause__ = error
        return refusal

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def one_by_one(connection: sqlite3.Connection, steps: Sequence[Callable[[sqlite3.Connection], T]]) -> list[T | Refused]:
    """Run steps that know nothing of each other."""
    outcomes: list[T | Refused] = []
    for step in steps:
        before = connection.total_changes
        try:
            outcomes.append(step(connection))
        except Refused as refusal:
            if connection.total_changes != before:
                raise
            outcomes.append(refusal)
    return outcomes


def _report(batch: Sequence[_Work], outcomes: Sequence[object]) -> None:
    pairs = zip([work.future for work in batch], outcomes, strict=True)
    for loop, each in groupby(pairs, key=lambda pair: pair[0].get_loop()):
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, list(each))


def _settle(pairs: list[tuple[asyncio.Future[Any], object]]) -> None:
    for future, outcome in pairs:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
