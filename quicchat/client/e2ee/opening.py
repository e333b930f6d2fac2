"""Reading what is sealed: event by event, as it comes or as it is found in the past. (spec 15-keys)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from quicchat.client.e2ee import filekeys, letters, openpgp
from quicchat.client.e2ee.directory import Directory
from quicchat.client.e2ee.faults import Forged, SealError, Unreadable
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.pins import Pins
from quicchat.client.e2ee.provider import AT_ONCE, UNKNOWN
from quicchat.client.e2ee.sessions import Sessions
from quicchat.client.e2ee.waiting import Waiting
from quicchat.client.seal import Opened, Seal, opened
from quicchat.errors import RemoteProtocolError
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.sealed import Content, Scheme, Sealed, SessionKey, unpacked

#: What a key that comes later may open.
_LATER: Final = frozenset({Seal.WAITING, Seal.HISTORICAL, Seal.LOST})


class Opening:
    """Knows which events wait for a key, and opens them again once that has come; `changed` is told of those."""

    def __init__(
        self,
        keyring: Keyring,
        pins: Pins,
        directory: Directory,
        sessions: Sessions,
        changed: Callable[[list[Opened]], None],
    ) -> None:
        self._keyring = keyring
        self._pins = pins
        self._directory = directory
        self._sessions = sessions
        self._changed = changed
        self._waiting = Waiting()

    def open(self, event: Message, *, final: bool = False) -> Message | None:
        """A sealed event with what it says; None where the sender's keys are to be asked for first."""
        try:
            sealed = unpacked(Sealed, event.sealed or b"")
        except RemoteProtocolError:
            return opened(event, Seal.FORGED, **UNKNOWN)
        if not final and self._directory.is_stale(event.sender):
            return None
        if event.kind is Kind.KEY:
            return self._key(event, sealed, final)
        return self._read(event, sealed)

    def held(self, event: Opened) -> None:
        """An event is held that could not be opened: a key that comes later may open it."""
        if event.seal in _LATER and event.kind is not Kind.KEY:
            self._waiting.add(event)

    def again(self, event: Opened) -> Opened:
        """An event that could not be opened, seen with the keys of now."""
        is_key = event.kind is Kind.KEY and event.seal is Seal.FORGED
        if event.sealed is not None and (is_key or (event.seal in _LATER and event.kind is not Kind.KEY)):
            found = self.open(event, final=True)
            if isinstance(found, Opened) and found.seal is not event.seal and found.seal is not Seal.WAITING:
                return found
        return event

    def reopen(self, events: Iterable[Message]) -> None:
        """These are held; what of them can be opened by now is told, and kept so."""
        self._reopen([each for each in events if isinstance(each, Opened) and not each.seal.opened])

    def replaced(self, room: str) -> None:
        """The log of a room is another one."""
        self._waiting.forget(room)
        self._sessions.forget_places(room)

    # Messages

    def _read(self, event: Message, sealed: Sealed) -> Opened:
        if sealed.scheme is not Scheme.SENDER_KEY or sealed.sid is None or sealed.index is None:
            return opened(event, Seal.LOST, **UNKNOWN)
        found = self._sessions.find(event.room, event.sender, sealed.sid)
        # A session that is known, but is of another conversation: it was moved here.
        seal = self._missing(event) if found or not self._sessions.knows(sealed.sid) else Seal.FORGED
        for session in found:
            try:
                session, content = session.open(sealed, event.cid)
                said = letters.said(event, content)
                session = session.saw(sealed.index, event.epoch or 1, event.seq)
            except Unreadable:
                seal = Seal.HISTORICAL if sealed.index < session.key.index else Seal.LOST
            except Forged:
                seal = Seal.FORGED
            else:
                if not self._directory.counts(event.sender, session.key.device, event.ts):
                    return opened(event, Seal.FORGED, **UNKNOWN)  # by a device that its user had let out
                self._sessions.saw(session)
                self._learned(event, content)
                return opened(event, self._directory.seal(event.sender, session.key.device), **said)
        return opened(event, seal, **UNKNOWN)

    def _learned(self, event: Message, content: Content) -> None:
        """What a message that was opened tells: that the two who speak have keys, and what opens its files."""
        if event.room.startswith("@"):
            self._pins.pin(event.room)
        for each in letters.file_keys(content):
            filekeys.learn(self._keyring, each)

    def _missing(self, event: Message) -> Seal:
        """Why there is no session: said before this device could read there, or its key is still to come.

        To a device that is not let in nobody sends one, however long it waits.
        """
        own = self._directory.own
        if own is not None and not own.listed:
            return Seal.HISTORICAL
        since = int.from_bytes(self._keyring.get(Drawer.SINCE) or b"", "big")
        if since and (event.ts < since or event.seq <= self._pins.entered(event.room)):
            return Seal.HISTORICAL
        return Seal.WAITING

    # Keys

    def _key(self, event: Message, sealed: Sealed, final: bool) -> Opened | None:
        own = self._directory.own
        if own is None and not final:
            return None
        entry = (sealed.entries or {}).get(own.device.certificate.handle) if own is not None else None
        if own is None or entry is None:
            return opened(event, Seal.HISTORICAL, **UNKNOWN)
        for signer in self._directory.signers(event.sender, event.ts):
            try:
                data = openpgp.decrypt(sealed.ciphertext, entry, own.device, signer)
            except Forged:
                continue
            except SealError:
                return opened(event, Seal.LOST, **UNKNOWN)
            return self._taken(event, data, signer.handle)
        return opened(event, Seal.FORGED, **UNKNOWN) if final else None

    def _taken(self, event: Message, data: bytes, handle: int) -> Opened:
        """A device of the sender has signed a key: it counts where it is for this conversation, and by that device."""
        try:
            key = unpacked(SessionKey, data)
            if (key.conversation, key.sender, key.device) != (event.room, event.sender, handle):
                raise Forged("it is a key for another conversation")
            self._sessions.add(key)
        except (RemoteProtocolError, Forged):
            return opened(event, Seal.FORGED, **UNKNOWN)
        if event.room.startswith("@"):
            self._pins.pin(event.room)
        self._reopen(self._waiting.of(event, key.sid))
        self._give_up(event, key.sid)
        return opened(event, self._directory.seal(event.sender, handle), **UNKNOWN)

    def _reopen(self, events: list[Opened]) -> None:
        if len(events) > AT_ONCE:
            asyncio.get_running_loop().call_soon(self._reopen, events[AT_ONCE:])
        found = [(each, self.again(each)) for each in events[:AT_ONCE]]
        news = [after for before, after in found if after is not before]
        for each in news:
            self._waiting.drop(each)
            self.held(each)
        if news:
            self._changed(news)

    def _give_up(self, key: Message, sid: bytes) -> None:
        """A device speaks with a new session: keys of its sessions before, nobody will send any more."""
        lost = [opened(each, Seal.LOST) for each in self._waiting.before(key, sid)]
        for each in lost:
            self._waiting.add(each)
        if lost:
            self._changed(lost)
