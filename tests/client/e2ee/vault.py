"""A place for backups, and devices that use it, for tests: a server of only that, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import count
from typing import TypeVar, cast

from quicchat.client.chance import Surroundings
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.ratchet import Session, Voice
from quicchat.client.e2ee.sessions import name_of
from quicchat.client.memory import Kept, PlainMemory
from quicchat.client.scribe import Scribe
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.keys import BackUp, Restore, Restored
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.session import Ok
from quicchat.wire.registry import Pdu
from quicchat.wire.sealed import Content, FileKey, SessionKey, packed

A = TypeVar("A", bound=Pdu)
NOW = 1_700_000_000_000
CODE = "0" * 34 + "98"


def chance(seed: int = 0) -> Callable[[int], bytes]:
    """Bytes that are never the same."""
    drawn = count(seed * 1_000_000)
    return lambda size: next(drawn).to_bytes(8, "big").ljust(size, b"\7")[:size]


def surroundings(seed: int = 0) -> Surroundings:
    return Surroundings(chance=chance(seed), wall=lambda: NOW / 1000 + asyncio.get_running_loop().time())


class Vault:
    """Parts as the server keeps them; each answer takes `delay` seconds there and back."""

    def __init__(self, delay: float = 0.01) -> None:
        self.generation = 0
        self.parts: list[bytes] = []
        self.asked: list[Pdu] = []
        self.delay = delay
        #: Raised instead of the next answers.
        self.faults: list[Exception] = []

    @property
    def puts(self) -> list[int]:
        """The numbers of the parts that were put."""
        return [pdu.part for pdu in self.asked if isinstance(pdu, BackUp)]

    @property
    def gets(self) -> list[int]:
        return [pdu.part for pdu in self.asked if isinstance(pdu, Restore)]

    async def ask(self, pdu: Pdu, answer: type[A], /) -> A:
        await asyncio.sleep(self.delay)
        if self.faults:
            raise self.faults.pop(0)
        self.asked.append(pdu)
        found = self._put(pdu) if isinstance(pdu, BackUp) else self._get(pdu)
        await asyncio.sleep(self.delay)
        assert isinstance(found, answer)
        return found

    def _put(self, pdu: BackUp) -> Ok:
        if pdu.generation > self.generation and pdu.part == 0:
            self.generation, self.parts = pdu.generation, []
        if pdu.generation != self.generation or pdu.part > len(self.parts):
            raise Refused(Code.KEYS_STALE)
        self.parts[pdu.part : pdu.part + 1] = [pdu.data]
        return Ok()

    def _get(self, pdu: Pdu) -> Restored:
        number = cast(Restore, pdu).part
        data = self.parts[number] if number < len(self.parts) else b""
        return Restored(generation=self.generation, count=len(self.parts), data=data)


def keyring(memory: PlainMemory | None = None, kept: Kept | None = None) -> Keyring:
    """An empty one, or that of a memory."""
    return Keyring(Scribe(memory or PlainMemory(), kept or Kept(), lambda _: None))


def opener(number: int, *, conversation: str = "@alice,bob", index: int = 0) -> SessionKey:
    """What opens a session of its own, from an index on."""
    voice = Voice.begin(conversation, "bob", 7, now=NOW, chance=chance(number + 1))
    for _ in range(index):
        voice, _ = voice.seal(_content(voice))
    return voice.session_key


def _content(voice: Voice) -> Content:
    return Content(
        conversation=voice.conversation,
        sender=voice.sender,
        device=voice.device,
        cid=bytes(16),
        kind=Kind.TEXT,
        text="x",
    )


def learn(ring: Keyring, keys: Iterable[SessionKey]) -> None:
    """A keyring has these sessions now."""
    for each in keys:
        ring.put(Drawer.SESSION, name_of(each), Session.of(each).pack())


def file_key(number: int) -> FileKey:
    return FileKey(
        file=number.to_bytes(32, "big"),
        secret=bytes(32),
        size=1,
        root=bytes(32),
        name="notes.txt",
        media_type="text/plain",
        modified=0,
    )


def learn_file(ring: Keyring, file: FileKey) -> None:
    ring.put(Drawer.FILE, file.file, packed(file))


def held(ring: Keyring) -> dict[bytes, int]:
    """By name, the first index that each session opens."""
    return {name: Session.unpack(value).key.index for name, value in ring.all(Drawer.SESSION)}
