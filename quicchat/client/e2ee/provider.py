"""How the rest of the client knows encryption: one interface, and what stands in for missing keys. (spec 15-keys)"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, Protocol

from quicchat.client.e2ee.asking import Lists
from quicchat.client.e2ee.faults import SealError
from quicchat.client.e2ee.pins import Pins
from quicchat.client.e2ee.wires import Wires
from quicchat.client.seal import Seal, opened
from quicchat.errors import Refused
from quicchat.values import dataclass
from quicchat.wire.chapters.keys import KeysChanged
from quicchat.wire.chapters.messages import Message, Post
from quicchat.wire.registry import Pdu

if TYPE_CHECKING:
    from quicchat.client.memory import Entry
    from quicchat.client.outbox import Outbox
    from quicchat.client.requests import Requests
    from quicchat.wire.sealed import FileKey

#: Why a device that stands in no list does nothing with keys.
NOT_IN: Final = "This device is not let in: /approve it on another one, or /restore with the recovery code."
#: Why there are no keys here.
NOT_LASTING: Final = "This client keeps nothing, and so it has no keys: give it a memory that lasts (open_memory)."
NOT_INSTALLED: Final = "What encrypts is not installed: pip install quicchat[pgp]."
NOT_LISTED: Final = "This device is not let in yet: /approve it on another device, or /restore."
OLD: Final = "This server speaks version 1, which carries nothing that is sealed; another server, or a newer one, does."


#: Is told of a message that cannot be said, and why.
Fail = Callable[["Entry", Refused], None]


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a conversation stands: where it is held, why nothing can be said, with the command that helps."""

    state: Literal["plain", "encrypted", "held"]
    reason: str = ""


class Provider(Protocol):
    """What session, outbox, delivery and past need of it. `seal` and `learn` ask the server, nothing else does."""

    #: Why there are no keys, where that is so.
    reason: str

    async def begin(self, requests: Requests) -> None:
        """We are logged in on a connection; ends when keys are ready, or cannot be."""

    async def close(self) -> None:
        """It is over: nothing is asked any more."""

    def lost(self) -> None:
        """The connection is gone: what the server said of members and keys is to be asked anew."""

    def heard(self, pdu: Pdu) -> None:
        """Something came that may be about members, rooms or keys."""

    def entered(self, room: str, seq: int) -> None:
        """We came into a room, in which something was said before."""

    # Sealing

    def is_plain(self, room: str) -> bool:
        """Whether what is said there is sent as it is: as far as is known, that conversation is not encrypted."""

    def pin(self, room: str) -> None:
        """A conversation is encrypted, and stays so."""

    async def seals(self, room: str) -> bool:
        """Whether what is said there is sealed; asks the server where that is not known. Raises Refused, LinkLost."""

    def standing(self, room: str) -> Encryption:
        """How a conversation stands."""

    async def seal(self, room: str, requests: Requests, outbox: Outbox, fail: Fail) -> str | None:
        """Have sealed what waits in a room, durably, unless it is plain; or why that is impossible at the moment.

        What can never be sealed goes to `fail`. Raises Refused, LinkLost, LocalProtocolError.
        """

    def departs(self, room: str) -> None:
        """Something is sent there as it is."""

    def file_key(self, file: bytes) -> FileKey | None:
        """What opens a file of the server, where it is sealed."""

    # Opening

    def open(self, event: Message, *, final: bool = False) -> Message | None:
        """What an event says; None where keys are to be asked for first (`learn`), unless this is `final`."""

    async def learn(self, event: Message) -> None:
        """Ask for the keys that an event is opened with. Raises Refused, LinkLost, LocalProtocolError."""

    def again(self, event: Message) -> Message:
        """An event that is kept, with what it says by the keys of now."""

    def said(self, event: Message, post: Post) -> Message:
        """The event that a post of this device became, with what it says."""

    def held(self, event: Message) -> None:
        """An event that was opened is held: where it could not be, it may be later."""

    def replaced(self, room: str) -> None:
        """The log of a room is another one now."""


#: Sealed events that are opened in one turn of the loop: some 100 µs each.
AT_ONCE: Final = 24


async def read(provider: Provider, events: Iterable[Message]) -> list[Message]:
    """What the events of a page say, from the first on: a key stands before what it opens. Raises as `reads`."""
    found: list[Message] = []
    for at, event in enumerate(events, start=1):
        found.append(await reads(provider, event))
        if at % AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


async def reads(provider: Provider, event: Message) -> Message:
    """What an event says, with keys that are asked for where they are missing. Raises LinkLost, LocalProtocolError."""
    found = provider.open(event)
    if found is None:
        # Where the server does not answer, it may be opened another time.
        with contextlib.suppress(Refused, SealError):
            await provider.learn(event)
        found = provider.open(event, final=True)
    assert found is not None
    return found


def is_installed() -> bool:
    """Whether there is what encrypts: a library that cannot be loaded would be as good as none, and late to say so."""
    try:
        import_module("pysequoia")
    except ImportError:
        return False
    return True


class Absent:
    """There are no keys: what is encrypted is neither said nor read here, and everything else is as it was.

    The account may have some on another device of its user: what is encrypted is found out all the same.
    """

    def __init__(self, pins: Pins, reason: str, wires: Wires) -> None:
        self._pins = pins
        self._wires = wires
        self._lists = Lists(pins)
        self._version = 0
        self.reason = reason

    async def begin(self, requests: Requests) -> None:
        self._version = requests.version

    async def close(self) -> None:
        """Nothing was begun."""

    def lost(self) -> None:
        self._pins.lost()
        self._lists.lost()

    def heard(self, pdu: Pdu) -> None:
        self._pins.heard(pdu)
        if isinstance(pdu, KeysChanged):
            self._pins.doubt(pdu.user)
            self._lists.heard(pdu.user)

    def entered(self, room: str, seq: int) -> None:
        self._pins.enter(room, seq)

    def is_plain(self, room: str) -> bool:
        return self._pins.goes_plain(room, self._version)

    def pin(self, room: str) -> None:
        self._pins.pin(room)

    async def seals(self, room: str) -> bool:
        if self._version != 1:
            await self._settle(room, self._wires.requests())
        return not self.is_plain(room)

    def departs(self, room: str) -> None:
        """Who has no keys need not be told that somebody else has none."""

    def file_key(self, file: bytes) -> FileKey | None:
        return None

    def standing(self, room: str) -> Encryption:
        return Encryption("held", self.reason) if self._pins.pinned(room) else Encryption("plain")

    async def seal(self, room: str, requests: Requests, outbox: Outbox, fail: Fail) -> str | None:
        if requests.version > 1:
            await self._settle(room, requests)
        else:
            self._pins.pin(room)
        return self.reason if self._pins.pinned(room) else None

    async def _settle(self, room: str, requests: Requests) -> None:
        async def keyless(users: Collection[str]) -> Collection[str]:
            # The own account first: where it has no keys, nobody else need be asked for.
            for user in sorted(users, key=lambda each: each != self._wires.user()):
                if not await self._lists.has(user, requests):
                    return (user,)
            return ()

        await self._pins.settle(room, requests, self._wires.user(), keyless)

    def open(self, event: Message, *, final: bool = False) -> Message | None:
        return self._pins.as_it_came(event) or opened(event, Seal.WAITING, **UNKNOWN)

    async def learn(self, event: Message) -> None:
        """There is nobody to ask."""

    def again(self, event: Message) -> Message:
        return event

    def said(self, event: Message, post: Post) -> Message:
        return opened(event, Seal.OWN, text=post.text) if event.sealed is not None else event

    def held(self, event: Message) -> None:
        self._pins.heard(event)

    def replaced(self, room: str) -> None:
        """Nothing is kept of it."""


#: What is given out of a message whose words are not known.
UNKNOWN: Final = {"text": "", "topic": None, "reply": None, "mentions": None, "attachments": None}
