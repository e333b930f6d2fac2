"""Encryption of this device's conversations, behind the one interface that the client knows. (spec 15-keys)"""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

from quicchat.client.e2ee import filekeys
from quicchat.client.e2ee.faults import SealError
from quicchat.client.e2ee.keyring import Keyring
from quicchat.client.e2ee.pins import Pins
from quicchat.client.e2ee.provider import (
    NOT_INSTALLED,
    NOT_LASTING,
    NOT_LISTED,
    OLD,
    Absent,
    Encryption,
    Fail,
    Provider,
    is_installed,
)
from quicchat.client.e2ee.wires import Wires
from quicchat.client.events import KeyNews
from quicchat.client.requests import Requests
from quicchat.client.scribe import Scribe
from quicchat.client.seal import Opened, opened
from quicchat.errors import MEANINGS, LinkLost, LocalProtocolError, Refused
from quicchat.wire.chapters.keys import KeysChanged
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.names import Room, parties
from quicchat.wire.registry import Pdu

if TYPE_CHECKING:
    from quicchat.client.e2ee.core import Core
    from quicchat.client.outbox import Outbox
    from quicchat.wire.sealed import FileKey

log = logging.getLogger("quicchat.client")

_CORE: Final = "quicchat.client.e2ee.core"
#: Seconds until lists that a server cannot give now are asked for again.
_PAUSES: Final = (1.0, 5.0, 30.0)


def provider(scribe: Scribe, wires: Wires) -> Provider:
    """What this client can do: keys are made only where they last, and where there is what uses them."""
    keyring = Keyring(scribe)
    pins = Pins(keyring)
    if not scribe.memory.lasting:
        return Absent(pins, NOT_LASTING, wires)
    return EndToEnd(scribe, keyring, pins, wires) if is_installed() else Absent(pins, NOT_INSTALLED, wires)


class EndToEnd:
    """Imports what it needs when it is needed: a client shows its first screen before that."""

    reason = ""

    def __init__(self, scribe: Scribe, keyring: Keyring, pins: Pins, wires: Wires) -> None:
        self._scribe = scribe
        self._keyring = keyring
        self._pins = pins
        self._wires = wires
        self._core: Core | None = None
        self._version = 0
        #: What went wrong with this device's keys on this connection.
        self._trouble: str | None = None
        #: Whether this device's keys are ready, or cannot be at the moment.
        self._ready = asyncio.Event()
        #: Why nothing can be said in a conversation, as it was when that was tried last.
        self._held: dict[str, str] = {}

    @property
    def core(self) -> Core:
        """All that knows keys."""
        if self._core is None:
            self._core = import_module(_CORE).Core(self._scribe, self._keyring, self._pins, self._wires)
        return self._core

    async def ready(self) -> Core:
        """The same, once it was tried to have the keys ready on this connection."""
        await self._ready.wait()
        return self.core

    # Connections

    async def begin(self, requests: Requests) -> None:
        self._version, ready, self._trouble = requests.version, self._ready, None
        try:
            if self._version > 1:
                await asyncio.to_thread(import_module, _CORE)
                await self.core.begin(requests)
        except (Refused, LinkLost, LocalProtocolError, SealError) as error:
            self._trouble = f"This device has no keys yet: {error}"
            log.warning("keys cannot be had", extra={"error": str(error)})
        finally:
            ready.set()
            self._wires.release()
        if self._core is not None and self._version > 1:
            await self._core.backup.begin()

    async def close(self) -> None:
        if self._core is not None:
            await self._core.close()

    def lost(self) -> None:
        # Whoever waits hears from the connection itself that it is gone.
        waiting, self._ready = self._ready, asyncio.Event()
        waiting.set()
        self._pins.lost()
        if self._core is not None:
            self._core.directory.lost()
            self._core.members.lost()

    def heard(self, pdu: Pdu) -> None:
        self._pins.heard(pdu)
        match pdu:
            case KeysChanged():
                self._pins.doubt(pdu.user)
                self.core.directory.heard(pdu)
                self._wires.release()
            case Message() if self._core is not None and self._core.moved(pdu):
                self._wires.release()

    def entered(self, room: str, seq: int) -> None:
        self._pins.enter(room, seq)

    def release(self) -> None:
        """The user has decided something: what is held may go on."""
        self._wires.release()

    # Sealing

    def is_plain(self, room: str) -> bool:
        return self._pins.goes_plain(room, self._version)

    def pin(self, room: str) -> None:
        self._pins.pin(room)

    async def seals(self, room: str) -> bool:
        if self._version != 1 and not self._pins.is_plain(room):
            await (await self.ready()).sealing.settle(room, self._wires.requests())
        return not self.is_plain(room)

    def departs(self, room: str) -> None:
        if (user := self._pins.untold(room)) is not None:
            text = f"{user} has no keys yet: what you say to him is not end-to-end encrypted"
            self._wires.tell(KeyNews("keyless", user, text))

    def file_key(self, file: bytes) -> FileKey | None:
        return filekeys.key_of(self._keyring, file)

    def standing(self, room: str) -> Encryption:
        if not self._pins.pinned(room):
            return Encryption("plain")
        own = self._core.directory.own if self._core is not None else None
        held = OLD if self._version == 1 else self._held.get(room)
        if held is None and own is not None and not own.listed:
            held = NOT_LISTED
        return Encryption("encrypted") if held is None else Encryption("held", held)

    async def seal(self, room: str, requests: Requests, outbox: Outbox, fail: Fail) -> str | None:
        held: str | None = OLD
        if requests.version > 1:
            try:
                held = await (await self.ready()).sealing.seal(room, requests, outbox, fail)
            except SealError as fault:
                held = fault.text
        else:
            self._pins.pin(room)
        if held is not None:
            own = self.core.directory.own if requests.version > 1 else None
            held = held if own is not None or self._trouble is None else self._trouble
            self._held[room] = held
        else:
            self._held.pop(room, None)
        return held

    # Opening

    def open(self, event: Message, *, final: bool = False) -> Message | None:
        return self._pins.as_it_came(event) or self.core.opening.open(event, final=final)

    async def learn(self, event: Message) -> None:
        directory = (await self.ready()).directory
        for pause in _PAUSES:
            try:
                await directory.fresh([event.sender], again=not directory.is_stale(event.sender))
            except Refused as refusal:
                if not MEANINGS[refusal.code].temporary:
                    raise
                await asyncio.sleep(max(pause, (refusal.retry_after or 0) / 1000))
            else:
                return
        await directory.fresh([event.sender])

    def again(self, event: Message) -> Message:
        if isinstance(event, Opened) and not event.seal.opened:
            return self.core.opening.again(event)
        return event

    def said(self, event: Message, post: Post) -> Message:
        found = self.open(event, final=True)
        if isinstance(found, Opened) and not found.seal.opened:
            # The log has it at two places, or the session is gone; what was said, this device knows all the same.
            found = opened(found, found.seal, text=post.text)
        return found or event

    def held(self, event: Message) -> None:
        if isinstance(event, Opened) and not event.seal.opened:
            self.core.opening.held(event)
        elif event.kind in (Kind.JOIN, Kind.LEAVE):
            self._moved(event)
        else:
            self._pins.heard(event)

    def replaced(self, room: str) -> None:
        if self._pins.pinned(room):
            self.core.opening.replaced(room)

    def _moved(self, event: Message) -> None:
        """Somebody came or went, as the log says it; pushed events may have come before."""
        if event.kind is Kind.JOIN and event.sender == self._wires.user():
            self._pins.enter(event.room, event.seq)
        if (self._core is not None or self._pins.pinned(event.room)) and parties(Room(event.room)) is None:
            self.core.moved(event)
