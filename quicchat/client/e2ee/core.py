"""All of encryption together, imported once there is something to encrypt or to read. (spec 15-keys)"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

from quicchat.client.e2ee.backup import Backup
from quicchat.client.e2ee.directory import Directory
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.members import Members
from quicchat.client.e2ee.opening import Opening
from quicchat.client.e2ee.pins import Pins
from quicchat.client.e2ee.sealing import Sealing
from quicchat.client.e2ee.sessions import Sessions
from quicchat.client.e2ee.wires import Wires
from quicchat.client.events import KeyNews, Unsealed
from quicchat.client.memory import Held
from quicchat.client.requests import Requests
from quicchat.client.scribe import Scribe
from quicchat.client.seal import Opened
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.registry import Pdu

A = TypeVar("A", bound=Pdu)
#: Events that are looked at again in one go.
_PAGE: Final = 100


class Core:
    """The keys, the people, the sessions of a device, and what is done with them."""

    def __init__(self, scribe: Scribe, keyring: Keyring, pins: Pins, wires: Wires) -> None:
        self._scribe = scribe
        self._keyring = keyring
        self._wires = wires
        self._tasks: set[asyncio.Task[None]] = set()
        self.directory = Directory(keyring, self._ask, wires.surroundings, self._tell, wires.device())
        self.members = Members()
        self.sessions = Sessions(keyring)
        self.opening = Opening(keyring, pins, self.directory, self.sessions, self._changed)
        self.sealing = Sealing(scribe, keyring, pins, self.directory, self.sessions, self.members, wires)
        self.backup = Backup(
            keyring,
            self.directory,
            self._ask,
            wires.surroundings,
            tell=wires.tell,
            gained=self._gained,
            add=self.sessions.add,
        )
        self.sessions.on_new = self.backup.touch

    async def begin(self, requests: Requests) -> None:
        """Have this device's keys ready, and known to the others. Raises Refused, LinkLost, LocalProtocolError."""
        self.sealing.begin()
        await self.directory.begin(self._wires.user())
        self.listed()
        await self.sealing.look(requests)

    def moved(self, event: Message) -> bool:
        """An event of a room; whether it says that somebody came or went."""
        if event.kind is Kind.LEAVE:
            self.sealing.left(event)
        return self.members.heard(event)

    def listed(self) -> None:
        """Remember since when this device is let in: what was said before was sealed for others."""
        own = self.directory.own
        if own is not None and own.listed and self._keyring.get(Drawer.SINCE) is None:
            self._keyring.put(Drawer.SINCE, b"", self._wires.now().to_bytes(8, "big"))

    async def close(self) -> None:
        """Ask for nothing any more."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.sessions.flush()
        await self.backup.close()
        await self.directory.close()

    def _tell(self, news: KeyNews) -> None:
        self._wires.tell(news)
        if news.kind == "listed":
            self.listed()
        self.backup.heard(news)
        # Whatever it is that has changed: what is held may go on now.
        self._wires.release()

    def _gained(self, rooms: frozenset[str]) -> None:
        """Keys came otherwise than as events: from a backup, or from another device of one's own."""
        task = asyncio.get_running_loop().create_task(self._reopen(sorted(rooms)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reopen(self, rooms: Sequence[str]) -> None:
        """All that is kept of some rooms is looked at again, a page at a time."""
        await self._scribe.written()
        for room in rooms:
            end: int | None = None
            while page := await self._scribe.memory.page(room, before=end, limit=_PAGE):
                self.opening.reopen([each.event for each in page])
                end = page[0].event.seq

    async def _ask(self, pdu: Pdu, answer: type[A]) -> A:
        return await self._wires.requests().ask(pdu, answer)

    def _changed(self, events: list[Opened]) -> None:
        """These say more than when they were told."""
        for each in events:
            self._wires.rewrite(Held(each))
        said = [each for each in events if each.kind is not Kind.KEY]
        for room in dict.fromkeys(each.room for each in said):
            self._wires.tell(Unsealed(room, tuple(each.seq for each in said if each.room == room)))
