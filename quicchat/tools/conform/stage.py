"""The place where one case of the reverse mode works: a server for the client under test. (spec README)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from quicchat.tools.conform.certs import LOCAL, Authority
from quicchat.tools.conform.ear import PATIENCE
from quicchat.tools.conform.honest import ANSWERS
from quicchat.tools.conform.host import Answer, Host, House
from quicchat.tools.conform.program import Program
from quicchat.tools.conform.quic import Door, Line
from quicchat.tools.conform.verdict import Failed, Informational
from quicchat.values import dataclass

#: Seconds that a program may take to start and connect.
_START: Final = 15.0
_NO_ERROR: Final = 0x100
#: Where a server listens that listens everywhere.
ANYWHERE: Final = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Subject:
    """The client under test: a command that starts it, or None where a person does.

    `lines` are typed when it has started, `saying` is how a text is said, with `{text}`; `patience` is how many seconds
    a person may take.
    """

    command: str | None = None
    lines: tuple[str, ...] = ()
    saying: str = "{text}"
    user: str = "conform"
    password: str = "Correct-horse-7"  # noqa: S105 - of an account that nobody has
    host: str = "127.0.0.1"
    port: int = 0
    patience: float = 60.0
    tell: Callable[[str], None] = print


class Stage:
    """What one case is given. `hosts` are the connections that were made, `notes` go to the report."""

    def __init__(self, subject: Subject, port: int = 0) -> None:
        self.subject = subject
        self.house = House(subject.password)
        self.authority = Authority()
        self.hosts: list[Host] = []
        self.notes: list[str] = []
        #: How long to wait for what the client has to do by itself.
        self.patience = _START if subject.command is not None else subject.patience
        self._instead: dict[str, Answer | None] = {}
        self._taken = 0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        #: When each connection began.
        self.times: list[float] = []
        self.door = Door(
            subject.host, port, self.authority.issue((*LOCAL, *({subject.host} - {*LOCAL, *ANYWHERE}))), self._come
        )
        self._program: Program | None = None
        if subject.command is not None:
            here = LOCAL[1] if subject.host in ANYWHERE else subject.host
            values = {"host": here, "port": str(self.door.port)}
            values |= {"user": subject.user, "password": subject.password}
            self._program = Program(subject.command, values, subject.lines, self.authority.pem)

    # Connections

    async def guest(self, **instead: Answer | None) -> Host:
        """The next connection on which the client says something; these answers take the place of the honest ones.

        Raises Failed, or Informational where a person should have come.
        """
        self.expect(**instead)
        if self._program is not None and not self.times and self._program.code is None:
            await self._program.start()
        found = await self._next(self.patience)
        if found is not None:
            return found
        if self._program is None:
            raise Informational("nobody connected in time")
        raise Failed(f"the client did not connect within {self.patience:g} s{self.last_words()}")

    async def ready(self, **instead: Answer | None) -> Host:
        """The next connection, once its client has logged in and heard who is there."""
        host = await self.guest(**instead)
        await host.ready()
        await host.barrier()
        return host

    def expect(self, **instead: Answer | None) -> None:
        """How connections are served that come from now on."""
        self._instead = instead

    async def nobody(self, seconds: float) -> None:
        """No other connection comes within so many seconds. Raises Failed."""
        if await self._next(seconds) is not None:
            raise Failed("it connected again")

    async def called(self, times: int) -> None:
        """There were so many connections, if only to look at the certificate. Raises as `guest`."""
        try:
            async with asyncio.timeout(self.patience):
                while len(self.times) < times:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            if self._program is None:
                raise Informational("nobody connected in time") from None
            raise Failed(f"the client did not connect within {self.patience:g} s") from None

    async def _next(self, patience: float) -> Host | None:
        """The first that was not taken yet and has said something: what only looks at the certificate says nothing."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    for number, host in enumerate(self.hosts[self._taken :], self._taken + 1):
                        if host.words or host.manners.faults:
                            self._taken = number
                            return host
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None

    def _come(self, line: Line) -> None:
        self.times.append(self._loop.time())
        self._news.set()
        host = Host(line, self.house, self.door.paper.digest, ANSWERS, self._instead, self._news.set)
        self.house.hosts.append(host)
        self.hosts.append(host)

    def time(self) -> float:
        """As `times` count."""
        return self._loop.time()

    # The client

    def say(self, text: str) -> None:
        """Have the client say something in the room `general`."""
        self.type(self.subject.saying.replace("{text}", text))

    def type(self, line: str) -> None:
        """Have a line typed."""
        if self._program is not None:
            self._program.type(line)
        else:
            self.subject.tell(f"  type: {line}")

    async def start(self) -> None:
        """Have the client started, or started again, with what it keeps."""
        if self._program is not None:
            await self._program.start()
        else:
            self.subject.tell("  start the client again")

    async def stop(self) -> None:
        """Have the client ended."""
        if self._program is not None:
            await self._program.stop()
        else:
            self.subject.tell("  end the client")

    async def kill(self) -> None:
        """Have the client end without a chance to do anything."""
        if self._program is not None:
            await self._program.stop(kill=True)
        else:
            self.subject.tell("  kill the client (kill -9)")

    async def shows(self, *texts: str, patience: float = PATIENCE) -> bytes:
        """The client shows these texts; all that it printed. Raises Failed, or Informational where nobody can look."""
        if self._program is None:
            raise Informational(f"look whether it shows: {' '.join(map(ascii, texts))}")
        for text in texts:
            if not await self._program.printed(text, patience):
                raise Failed(f"it did not show {text!r} within {patience:g} s")
        return bytes(self._program.screen)

    async def shows_once(self, *texts: str) -> None:
        """The client shows these texts in this order, each of them once. Raises as `shows`."""
        screen = await self.shows(*texts)
        places = [screen.find(text.encode()) for text in texts]
        if places != sorted(places):
            raise Failed(f"it shows {' '.join(texts)} in another order")
        for text in texts:
            if (count := screen.count(text.encode())) > 1:
                raise Failed(f"it shows {text} {count} times")

    def hides(self, *texts: str) -> None:
        """The client has shown none of these texts. Raises as `shows`."""
        if self._program is None:
            raise Informational(f"look whether it hides: {' '.join(map(ascii, texts))}")
        for text in texts:
            if text.encode() in self._program.screen:
                raise Failed(f"it shows {text!r}")

    async def ended(self, patience: float = PATIENCE) -> int | None:
        """The exit code of the client, None where it runs on. Raises Informational where nobody can look."""
        if self._program is None:
            raise Informational("look whether the client has ended")
        return await self._program.ended(patience)

    def last_words(self) -> str:
        """What the client printed last, for the report."""
        if self._program is None or not self._program.screen:
            return ""
        shown = self._program.screen[-300:].decode(errors="replace")
        return "; it printed: " + " ".join("".join(each if each.isprintable() else " " for each in shown).split())

    async def close(self) -> None:
        """End the client and all connections."""
        for host in self.hosts:
            host.end(_NO_ERROR)
        if self._program is not None:
            await self._program.close()
        self.door.close()
