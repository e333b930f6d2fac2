"""What the tests of the plain front end share: a keyboard, a sheet of paper, and a server that front ends find."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.config import ClientConfig
from quicchat.errors import Code, LinkLost
from quicchat.server.model import Credentials, Policy
from quicchat.transport.memory import MemoryLink
from quicchat.ui.commands import COMMANDS
from quicchat.ui.front import Front
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain
from quicchat.ui.words import Call, Style, Vocabulary
from quicchat.wire.names import PARROT
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

    def __init__(self, config: ClientConfig, calls: Sequence[Call] = (), device: bytes = b"d" * 16) -> None:
        self.keys = Keyboard()
        self.sheet = Sheet()
        words = Vocabulary(COMMANDS, config.style, os.urandom)
        self.front = Front(config, words, self.keys, self.sheet, device=device, calls=calls)
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
        link = self.front._seat.result().chat.link
        assert isinstance(link, MemoryLink)
        here.network.partition(link.address)
        link.close(1, "cut")

    async def ended(self) -> int:
        async with asyncio.timeout(120):
            return await self.task


Start = Callable[..., Session]


@asynccontextmanager
async def stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policy: Policy = OPEN, **facts: Any
) -> AsyncIterator[tuple[World, Start]]:
    """A world whose server front ends find; `start` makes one, with settings of its own."""
    async with world(policy, **facts) as here:
        if await here.store.accounts.credentials(PARROT) is None:
            nobody = Credentials(salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))
            await here.store.accounts.sign_up(PARROT, nobody, at=0)

        async def meet(host: str, port: int, *, versions: Any, device: bytes, timeout: float, trusting: Any) -> Chat:
            chat = Chat(here.link(), versions=versions, device=device)
            try:
                async with asyncio.timeout(timeout):
                    await chat._negotiated
            except TimeoutError:
                raise LinkLost(Code.NEGOTIATION_TIMEOUT, "no answer in time", remote=False) from None
            return chat

        monkeypatch.setattr("quicchat.ui.contact.meet", meet)

        def start(calls: Sequence[Call] = (), device: bytes = b"d" * 16, **settings: Any) -> Session:
            return Session(ClientConfig(data=tmp_path, **settings), calls, device)

        yield here, start


Scene = Callable[..., None]


def vocabulary(style: Style = "default") -> Vocabulary:
    """The words of a style, with message ids that can be told apart."""
    numbers = itertools.count(1)
    return Vocabulary(COMMANDS, style, lambda size: b"\xff" + next(numbers).to_bytes(size - 1, "big"))


def calls_of(*given: str) -> list[Call]:
    vocabulary = Vocabulary(COMMANDS, "default", os.urandom)
    found = [vocabulary.parse(line) for line in given]
    return [call for call in found if isinstance(call, Call)]
