"""What the tests of the plain front end share: a keyboard, a sheet of paper, and a server that front ends find."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from quicchat.client.api import Chat
from quicchat.client.chance import Surroundings
from quicchat.client.connect import Trusting
from quicchat.client.login import Identity
from quicchat.client.memory import Memory, PlainMemory
from quicchat.config import ClientConfig
from quicchat.errors import Code, LinkLost
from quicchat.server.model import Credentials, Policy
from quicchat.transport.link import Link
from quicchat.transport.memory import MemoryLink
from quicchat.ui.cargo import Cargo
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import Contact, part
from quicchat.ui.desk import Desk
from quicchat.ui.front import Front
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain
from quicchat.ui.plain import plain
from quicchat.ui.words import Call, Style, Vocabulary
from quicchat.wire.names import GENERAL, PARROT
from tests.server.house import OPEN, World, world

ALICE = Identity(user="alice", password="secret", sign_up=True, iterations=1)


class Keyboard(Lines):
    """Lines that a test types while the program runs."""

    def __init__(self) -> None:
        super().__init__(None)
        self._typed: asyncio.Queue[str | None] = asyncio.Queue()

    def start(self) -> None:
        """Nothing to do: the test types."""

    async def next(self) -> str | None:
        return await self._typed.get()

    def type(self, *given: str) -> None:
        for line in given:
            self._typed.put_nowait(line)

    def end(self) -> None:
        self._typed.put_nowait(None)


class Sheet(Plain):
    """Keeps what is printed."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.printed = asyncio.Event()

    def show(self, line: str) -> None:
        self.out.append(line)
        self.printed.set()

    def note(self, line: str) -> None:
        self.err.append(line)
        self.printed.set()


class Session:
    """A front end that runs, what was typed, what it printed."""

    def __init__(self, config: ClientConfig, contact: Contact, calls: Sequence[Call] = ()) -> None:
        self.keys = Keyboard()
        self.sheet = Sheet()
        words = Vocabulary(COMMANDS, config.style, os.urandom)
        self.front = Front(config, words, plain(config, self.keys, self.sheet), contact, calls=calls)
        self.task: asyncio.Task[int]

    def go(self, identity: Identity = ALICE) -> Session:
        self.task = asyncio.get_running_loop().create_task(self.front.run(identity))
        return self

    async def until(self, line: str, *, err: bool = False) -> None:
        """Wait until such a line was printed, for a minute of virtual time."""
        async with asyncio.timeout(60):
            while not any(line in each for each in (self.sheet.err if err else self.sheet.out)):
                self.sheet.printed.clear()
                await self.sheet.printed.wait()

    def cut(self, here: World) -> None:
        """The connection breaks: this end notices at once, the server not yet; what was under way is lost."""
        link = self.front._chat.link
        assert isinstance(link, MemoryLink)
        here.network.partition(link.address)
        link.close(1, "cut")

    async def ended(self) -> int:
        async with asyncio.timeout(120):
            return await self.task


Start = Callable[..., Session]


def meeting(worlds: Sequence[World]) -> Callable[..., Awaitable[Chat]]:
    """As `client.api.meet`, to the server of the newest world."""

    async def dial(early: bool) -> Link:
        return worlds[-1].network.dial(early=early)

    async def meet(
        host: str,
        port: int,
        *,
        versions: tuple[int, ...],
        device: bytes,
        timeout: float,
        reconnect: bool,
        memory: Memory,
        trusting: Trusting,
        surroundings: Surroundings,
    ) -> Chat:
        kept, again = await memory.load(), dial if reconnect else None
        chat = Chat(await dial(False), versions=versions, device=device, memory=memory, kept=kept, dial=again)
        try:
            async with asyncio.timeout(timeout):
                await chat._negotiated
        except LinkLost:
            await chat.close()
            raise
        except TimeoutError:
            await part(chat)
            raise LinkLost(Code.NEGOTIATION_TIMEOUT, "no answer in time", remote=False) from None
        return chat

    return meet


@asynccontextmanager
async def stage(
    tmp_path: Path, policy: Policy = OPEN, *, worlds: list[World] | None = None, **facts: Any
) -> AsyncIterator[tuple[World, Start]]:
    """A world whose server front ends find, those of the `worlds` before, too; `start` makes one."""
    known = worlds if worlds is not None else []
    async with world(policy, **facts) as here:
        known.append(here)
        if await here.store.accounts.credentials(PARROT) is None:
            nobody = Credentials(salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))
            await here.store.accounts.sign_up(PARROT, nobody, at=0)

        def start(calls: Sequence[Call] = (), memory: Memory | None = None, **settings: Any) -> Session:
            config = ClientConfig(**{"data": tmp_path, **settings})
            kept = memory or PlainMemory()
            return Session(config, Contact(config, meet=meeting(known), remember=lambda user: kept), calls)

        yield here, start


Scene = Callable[..., None]


def vocabulary(style: Style = "default") -> Vocabulary:
    """The words of a style, with message ids that can be told apart."""
    numbers = itertools.count(1)
    return Vocabulary(COMMANDS, style, lambda size: b"\xff" + next(numbers).to_bytes(size - 1, "big"))


def desk_of(chat: Chat, style: Style = "default", room: str = GENERAL) -> Desk:
    """A desk without a front end; what is told of files is told to nobody."""
    cargo = Cargo(chat, Path("downloads"), lambda item: None, lively=False)
    return Desk(chat, vocabulary(style), cargo, room)


def calls_of(*given: str) -> list[Call]:
    vocabulary = Vocabulary(COMMANDS, "default", os.urandom)
    found = [vocabulary.parse(line) for line in given]
    return [call for call in found if isinstance(call, Call)]
