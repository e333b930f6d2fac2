"""What services need from outside: every method a use case, each writing one a transaction. (ARCHITECTURE)

The contract of each port is in its docstring and in `tests/server/test_store_contract.py`, which every
adapter passes. A writing method carries its own precondition: it checks and writes in one transaction, or
raises Refused and writes nothing. It returns only after its transaction is durable. All raise
Refused(STORE_UNAVAILABLE) when the store cannot be used (disk full, closed). Times are Unix ms.
"""

from __future__ import annotations

from quicchat.server.ports.files import Blobs, Files, Share
from quicchat.server.ports.keys import Keys
from quicchat.server.ports.store import Accounts, Log, Rooms
from quicchat.server.ports.surroundings import Clock, Roster

__all__ = ["Accounts", "Blobs", "Clock", "Files", "Keys", "Log", "Rooms", "Roster", "Share"]
