"""The sessions that this device can read, one's own among them, by their ids. (spec 15-keys)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.ratchet import Session
from quicchat.wire.sealed import SessionKey


def _heedless() -> None:
    """Nobody keeps them elsewhere."""


class Sessions:
    """What is kept in the keyring, unpacked once it is used. `on_new` hears that there is more to be read by."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self.on_new: Callable[[], None] = _heedless
        self._open: dict[bytes, Session] = {}
        self._used: set[bytes] = set()
        #: By session id: the names under which sessions are kept.
        self._names: dict[bytes, list[bytes]] = {}
        for name, _ in keyring.all(Drawer.SESSION):
            self._names.setdefault(name[8:], []).append(name)

    def find(self, room: str, sender: str, sid: bytes) -> list[Session]:
        """Those that a message may be of: more than one only where somebody takes the id of another's session."""
        found = [self._session(name) for name in self._names.get(sid, ())]
        return [each for each in found if (each.key.conversation, each.key.sender) == (room, sender)]

    def knows(self, sid: bytes) -> bool:
        """Whether any session has this id."""
        return sid in self._names

    def all(self) -> Iterator[Session]:
        """All there are."""
        return (self._session(name) for names in list(self._names.values()) for name in names)

    def put(self, session: Session) -> None:
        """Keep a session as it is now, with the events that came with it."""
        name = name_of(session.key)
        names = self._names.setdefault(session.key.sid, [])
        if name not in names:
            names.append(name)
            self.on_new()
        self._open[name] = session
        self._keyring.put(Drawer.SESSION, name, session.pack())

    def saw(self, session: Session) -> None:
        """Something was opened with it: to be kept soon, for packing takes longer than opening."""
        name = name_of(session.key)
        self._open[name] = session
        if not self._used:
            asyncio.get_running_loop().call_soon(self.flush)
        self._used.add(name)

    def flush(self) -> None:
        """Keep what was opened so far."""
        used, self._used = self._used, set()
        for name in used:
            self._keyring.put(Drawer.SESSION, name, self._open[name].pack())

    def add(self, key: SessionKey) -> bool:
        """The key of a session came; whether it opens more than what is here. Raises Forged."""
        name = name_of(key)
        if name not in self._names.get(key.sid, ()):
            self.put(Session.of(key))
            return True
        before = self._session(name)
        after = before.widened(key)
        if after is before:
            return False
        self.put(after)
        self.on_new()
        return True

    def forget_places(self, room: str) -> None:
        """The log of a room is another one: what was said stands elsewhere now."""
        for each in [each for each in self.all() if each.key.conversation == room and each.seen]:
            self.put(replace(each, seen={}))

    def _session(self, name: bytes) -> Session:
        found = self._open.get(name)
        if found is None:
            found = self._open[name] = Session.unpack(self._keyring.get(Drawer.SESSION, name) or b"")
        return found


def name_of(key: SessionKey) -> bytes:
    """Under which name a session is kept."""
    return key.device.to_bytes(8, "big") + key.sid
