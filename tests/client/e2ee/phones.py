"""Devices of users with keys and a backup, at a real server in virtual time, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from quicchat.client.api import Chat
from quicchat.client.e2ee.backup import PAUSE, Backup
from quicchat.client.e2ee.directory import Directory
from quicchat.client.e2ee.keyring import Keyring
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.events import KeyNews
from quicchat.client.memory import Kept, PlainMemory
from quicchat.client.scribe import Scribe
from quicchat.wire.chapters.keys import BackUp
from quicchat.wire.registry import Pdu
from tests.client.e2ee.vault import surroundings
from tests.server.house import World, world

A = TypeVar("A", bound=Pdu)


class Phone:
    """A device: its keys are in `memory`, and what it was told in `news`."""

    def __init__(self, chat: Chat, user: str, seed: int, memory: PlainMemory, kept: Kept) -> None:
        self.chat = chat
        self.user = user
        self.memory = memory
        self.news: list[KeyNews] = []
        self.gained: list[str] = []
        self.asked: list[Pdu] = []
        self.scribe = Scribe(memory, kept, lambda _: None)
        self.ring = Keyring(self.scribe)
        around = surroundings(seed)
        self.directory = Directory(self.ring, self.ask, around, self.news.append, f"phone {seed}")
        self.backup = Backup(
            self.ring,
            self.directory,
            self.ask,
            around,
            tell=self.news.append,
            gained=lambda rooms: self.gained.extend(sorted(rooms)),
        )

    async def ask(self, pdu: Pdu, answer: type[A], /) -> A:
        self.asked.append(pdu)
        return await self.chat._requests.ask(pdu, answer)

    async def begin(self) -> None:
        """As after a login."""
        await self.directory.begin(self.user)
        await self.backup.begin()

    def is_in(self) -> bool:
        """Whether its user's list names it."""
        own = self.directory.own
        return own is not None and own.listed

    @property
    def code(self) -> str:
        """Its recovery code; empty where it has none."""
        return self.backup.code or ""

    @property
    def identity(self) -> Secret | None:
        own = self.directory.own
        return own.identity if own is not None else None

    @property
    def mark(self) -> bytes:
        """The fingerprint of its key."""
        assert self.directory.own is not None
        return self.directory.own.device.certificate.fingerprint

    def told(self, kind: str) -> list[str]:
        return [each.text for each in self.news if each.kind == kind]

    async def close(self) -> None:
        await self.backup.close()
        await self.directory.close()
        await self.scribe.flush()


@asynccontextmanager
async def phone(
    here: World, user: str, seed: int, *, sign_up: bool = False, memory: PlainMemory | None = None
) -> AsyncIterator[Phone]:
    """A device that has just logged in; with a memory of before it is the same one."""
    memory = memory or PlainMemory()
    chat = await here.enter(user, sign_up=sign_up, device=bytes([seed]) * 16)
    found = Phone(chat, user, seed, memory, await memory.load())
    try:
        yield found
    finally:
        await found.close()
        if chat.lost is None:
            await chat.close()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[World, Phone, Phone]]:
    """Two devices of alice that have just logged in."""
    async with world() as here, phone(here, "alice", 1, sign_up=True) as one, phone(here, "alice", 2) as two:
        yield here, one, two


async def restored(one: Phone, two: Phone) -> None:
    """The first device begins, and the second is let in by the recovery code."""
    await one.begin()
    await two.begin()
    await two.backup.restore(one.code)


#: By then what is new is backed up.
SOON = 4 * PAUSE


async def quiet(seconds: float = SOON) -> None:
    """Virtual seconds pass."""
    await asyncio.sleep(seconds)


def puts(device: Phone) -> list[int]:
    """The numbers of the parts that it has put."""
    return [each.part for each in device.asked if isinstance(each, BackUp)]
