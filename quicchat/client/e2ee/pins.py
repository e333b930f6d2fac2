"""Which conversations are encrypted: once one is known to be, it stays so, whatever the server says. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.records import Known
from quicchat.client.e2ee.trust import Trust
from quicchat.client.requests import Requests
from quicchat.client.seal import Opened, Seal, opened
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import SAID, Kind, Message
from quicchat.wire.chapters.rooms import ENCRYPTED, Join, RoomState
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, PARROT, Room, parties
from quicchat.wire.registry import Pdu

#: Kinds that are sealed where anything is.
_SEALED: Final = SAID | {Kind.EDIT, Kind.REACT}

#: Of these users, the ones who have no keys. Raises Refused, LinkLost, LocalProtocolError.
Keyless = Callable[[Collection[str]], Awaitable[Collection[str]]]


class Pins:
    """What is pinned, durably; and what is known to be plain, on the connection of the moment."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._plain: set[str] = set()
        #: Who has no keys, by direct conversation, where the user was not told so yet.
        self._keyless: dict[str, str] = {}
        #: Where we came in, of rooms that are not pinned (yet).
        self._entered: dict[str, int] = {}

    def pinned(self, room: str) -> bool:
        """Whether it is encrypted."""
        return self._keyring.get(Drawer.ENCRYPTED, room.encode()) is not None

    def pin(self, room: str) -> None:
        """It is encrypted from now on."""
        self._plain.discard(room)
        self._keyless.pop(room, None)
        if not never(room) and not self.pinned(room):
            self._put(room, self._entered.get(room, 0))

    def enter(self, room: str, seq: int) -> None:
        """We came into a room at this place: what was said before was sealed for others."""
        self._entered[room] = seq
        if self.pinned(room):
            self._put(room, seq)

    def entered(self, room: str) -> int:
        """Where we came in, 0 where that is not known."""
        return int.from_bytes(self._keyring.get(Drawer.ENCRYPTED, room.encode()) or b"", "big")

    def _put(self, room: str, seq: int) -> None:
        self._keyring.put(Drawer.ENCRYPTED, room.encode(), seq.to_bytes(8, "big"))

    def is_plain(self, room: str) -> bool:
        """Whether it is known not to be encrypted."""
        return not self.pinned(room) and (never(room) or room in self._plain)

    def goes_plain(self, room: str, version: int) -> bool:
        """Whether what is said there goes out as it is, on a connection of this version."""
        if version == 1:
            return not self.pinned(room) and not self.keyed(room)
        return self.is_plain(room)

    def is_unknown(self, room: str) -> bool:
        """Whether that is to be found out."""
        return not self.pinned(room) and not self.is_plain(room)

    def keyed(self, room: str) -> bool:
        """Whether both sides of a direct conversation have keys that were seen here, whatever the server says now."""
        both = parties(Room(room)) or ()
        return bool(both) and all(map(self.has_keys, both))

    def has_keys(self, user: str) -> bool:
        """Whether somebody has keys that were seen here."""
        known = self._keyring.read(Known, Drawer.PERSON, user.encode())
        return known is not None and (known.identity is not None or known.state is not Trust.UNKNOWN)

    async def settle(self, room: str, requests: Requests, own: str, keyless: Keyless) -> None:
        """Find out whether a conversation is encrypted, before the first word is said there on a connection.

        Whoever is in a room is told its policy, and nobody else hears of it. Who is not in says nothing there either:
        it may be encrypted. Raises Refused(NOT_MEMBER) and others, LinkLost, LocalProtocolError.
        """
        if not self.is_unknown(room):
            return
        both = parties(Room(room))
        if both is not None:
            await self._settle_direct(room, own, both, keyless)
            return
        if requests.version > 1:
            await requests.ask(Join(room=room, member=True), RoomState)
        if self.is_unknown(room):
            self.plain(room)

    async def _settle_direct(self, room: str, own: str, both: Collection[str], keyless: Keyless) -> None:
        try:
            lacking = await keyless(both)
        except Refused as refusal:
            if refusal.code is not Code.UNSUPPORTED:
                raise
            # Who has keys does not lose them because a server says that it knows of none.
            (self.pin if self.keyed(room) else self.plain)(room)
            return
        if lacking:
            self.plain(room, next(iter(lacking)) if own not in lacking else None)
        else:
            self.pin(room)

    def plain(self, room: str, keyless: str | None = None) -> None:
        """It is not encrypted, as far as can be told on this connection: by the lack of keys of one alone, perhaps."""
        if not self.pinned(room):
            self._plain.add(room)
            if keyless is not None and self._keyring.get(Drawer.KEYLESS, room.encode()) is None:
                self._keyless[room] = keyless

    def untold(self, room: str) -> str | None:
        """Who has no keys, where that is the reason and the user was never told; from now on he was."""
        user = self._keyless.pop(room, None)
        if user is not None:
            self._keyring.put(Drawer.KEYLESS, room.encode(), b"")
        return user

    def doubt(self, user: str) -> None:
        """The keys of a user have changed: what is said to him may be encrypted from now on."""
        self._plain = {room for room in self._plain if user not in (parties(Room(room)) or ())}
        self._keyless = {room: other for room, other in self._keyless.items() if room in self._plain}

    def lost(self) -> None:
        """The connection is gone, and what was known of it."""
        self._plain.clear()
        self._keyless.clear()

    def heard(self, pdu: Pdu) -> None:
        """ROOM_STATE says what a room's policy is, and an event that it has changed."""
        if isinstance(pdu, Message) and (pdu.policy or 0) & ENCRYPTED:
            self.pin(pdu.room)
        elif isinstance(pdu, RoomState):
            (self.pin if (pdu.policy or 0) & ENCRYPTED else self.plain)(pdu.room)

    def as_it_came(self, event: Message) -> Message | None:
        """An event that nothing is to be opened of, or None; what should have been sealed says so."""
        if isinstance(event, Opened):
            return event
        if event.sealed is not None and event.kind not in (Kind.RETRACT, Kind.PIN):
            return None
        if event.kind in _SEALED and (event.text or event.attachments) and self.pinned(event.room):
            return opened(event, Seal.PLAIN)
        return event


def never(room: str) -> bool:
    """What is for everybody, or for the server itself, is not encrypted."""
    return room in (ANNOUNCEMENTS, GENERAL) or PARROT in (parties(Room(room)) or ())
