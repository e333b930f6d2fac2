"""The store without a disk: the same promises in plain dicts, for tests and simulation. (ARCHITECTURE)

It is written apart from the SQLite one on purpose: where the two are compared, a fault in either shows.
"""

from __future__ import annotations

from quicchat.server.adapters.store_memory.accounts import MemoryAccounts
from quicchat.server.adapters.store_memory.files import MemoryFiles
from quicchat.server.adapters.store_memory.keys import MemoryKeys
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.rooms import MemoryRooms
from quicchat.server.adapters.store_memory.state import State
from quicchat.server.ports import Accounts, Files, Keys, Log, Rooms

__all__ = ["MemoryStore"]


class MemoryStore:
    """Accounts, rooms, log, files and keys in memory. Give a secret of your own wherever the users are real."""

    def __init__(self, secret: bytes = bytes(range(32))) -> None:
        self._state = State(secret)
        self.accounts: Accounts = MemoryAccounts(self._state)
        self.rooms: Rooms = MemoryRooms(self._state)
        self.log: Log = MemoryLog(self._state)
        self.files: Files = MemoryFiles(self._state)
        self.keys: Keys = MemoryKeys(self._state)

    async def close(self) -> None:
        """From now on everything is refused."""
        self._state.closed = True
