"""Reads on connections of their own, so that no reader waits for a commit. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from quicchat.errors import Code, Refused
from quicchat.sqlite.threads import be_prompt

T = TypeVar("T")


class Reader:
    """`ask` runs a step in one snapshot, which holds everything that was acknowledged before it was asked."""

    def __init__(self, connections: Sequence[sqlite3.Connection]) -> None:
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for connection in connections:
            self._free.put(connection)
        self._threads = ThreadPoolExecutor(len(connections), "store-reader", be_prompt)
        self._closed = False

    async def ask(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """What the step answers. Raises what it raises, and Refused(STORE_UNAVAILABLE)."""
        if self._closed:
            raise Refused(Code.STORE_UNAVAILABLE)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, step)

    async def close(self) -> None:
        """Finish what was asked, then close the connections."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._threads.shutdown()
        while not self._free.empty():
            # The last connection of all writes the log back into the database: not a thing for the event loop.
            self._free.get().close()

    def _read(self, step: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._free.get()
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("BEGIN")
            try:
                return step(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise Refused(Code.STORE_UNAVAILABLE) from error
        finally:
            self._free.put(connection)
