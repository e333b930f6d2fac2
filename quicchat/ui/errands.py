"""One thing to do, then go: `quicchat send`, `tail`, `get` and `files`. (spec 12-operation)

An errand is a device of its own: what was said while the user was away stays for the client in which he talks, and
both may run at once. It logs in like a client, by the token that it was given the last time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from quicchat.client.api import Chat
from quicchat.client.events import Line, Moved, Progress, Unsealed
from quicchat.client.events import Sent as Reach
from quicchat.client.login import Identity
from quicchat.client.state import State
from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.errors import LinkLost, LocalProtocolError, Refused, UsageError, describe
from quicchat.ui.bars import Bars
from quicchat.ui.cargo import NO_FILE, Cargo
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import NO_SERVER, Contact
from quicchat.ui.desk import Desk
from quicchat.ui.entry import Entry, Known, Person, Script
from quicchat.ui.face import Printer
from quicchat.ui.figures import share_of
from quicchat.ui.hope import Hope, Hopeless, pause
from quicchat.ui.keeping import is_held
from quicchat.ui.lines import Lines
from quicchat.ui.logs import LOG, logged
from quicchat.ui.outcomes import Freight, Readable, Unpacked
from quicchat.ui.paper import Plain
from quicchat.ui.record import Json
from quicchat.ui.render import Text
from quicchat.ui.slots import room_name, user_name
from quicchat.ui.users import last_user
from quicchat.ui.visible import visible
from quicchat.ui.visit import ask, visit
from quicchat.ui.words import Vocabulary
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import ANNOUNCEMENTS

T = TypeVar("T")

#: Stands for standard input or output.
STREAM: Final = "-"
#: Seconds without a connection until an errand is given up, unless it is to wait.
_PATIENCE: Final = 60.0
#: Seconds that something may be held back which cannot be encrypted at the moment.
_HELD: Final = 5.0
#: Errands of one user that may run at once.
_AT_ONCE: Final = 16


class Outlet(Protocol):
    """Where it is told how far files are."""

    def tell(self, item: object) -> None:
        """Something happened."""

    def close(self) -> None:
        """Nothing more happens."""


class Job(Protocol):
    """What there is to do. `quiet` where standard output is for content, `takes_input` where standard input is.

    Downloads go to `folder`, where directories are made of archives if it `unpacks`.
    """

    @property
    def quiet(self) -> bool: ...
    @property
    def takes_input(self) -> bool: ...
    @property
    def folder(self) -> Path: ...
    @property
    def unpacks(self) -> bool: ...

    def prepare(self) -> None:
        """What needs no server, and may be interrupted at any time. Raises UsageError."""

    async def run(self, errand: Errand) -> None:
        """Do it. Raises Refused, LinkLost, UsageError, Hopeless."""

    def close(self) -> None:
        """It is over."""


class Printed:
    """Tells all of it in lines."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def tell(self, item: object) -> None:
        self._printer.tell(item, State())

    def close(self) -> None:
        """Lines are out as soon as they are told."""


class _Silent(Plain):
    """Prints what a list brings, and nothing else."""

    def note(self, line: str) -> None:
        """Nobody watches."""


class Errand:
    """One job on one connection: as `visit` wants it."""

    def __init__(self, config: ClientConfig, job: Job, contact: Contact, lines: Lines, outlet: Outlet) -> None:
        self.config = config
        self.lines = lines
        self.outlet = outlet
        self.hope = Hope(_PATIENCE)
        self.desk: Desk
        self.cargo: Cargo
        self._job = job
        self._contact = contact
        self._reasons: dict[str, str] = {}
        #: What cannot be encrypted at the moment: by message, why, and since when.
        self._held: dict[bytes, tuple[str, float]] = {}
        self._heard: asyncio.Queue[Message | Readable | None] | None = None

    async def run(self, identity: Identity) -> int:
        """Log in and do it; the exit code. Raises UsageError, Doubt, and Refused where the login failed."""
        try:
            async with self._contact.entered(identity) as chat:
                self.cargo = Cargo(chat, self._job.folder, self._tell, lively=True, unpacks=self._job.unpacks)
                words = Vocabulary(COMMANDS, "default", secrets.token_bytes)
                self.desk = Desk(chat, words, self.cargo)
                if not self.config.wait:
                    self.hope.end()
                async with _beside(self._listen(chat)):
                    return await self._work()
        finally:
            self.outlet.close()

    async def _work(self) -> int:
        try:
            await self._job.run(self)
        except Refused as refusal:
            raise UsageError(refusal.text, NO_FILE) from None
        except LinkLost as lost:
            raise UsageError(f"connection lost: {lost.reason or describe(lost.code)}", NO_SERVER) from None
        except Hopeless:
            raise UsageError(f"{self._contact.place} does not answer any more{self._kept()}", NO_SERVER) from None
        except asyncio.CancelledError:
            self.outlet.close()
            if kept := self._kept():
                sys.stderr.write(f"quicchat: interrupted{kept}\n")
            raise
        return 0

    def follow(self) -> asyncio.Queue[Message | Readable | None]:
        """What is said from now on, in each room in the order of its log; None behind the last of it."""
        self._heard = asyncio.Queue()
        return self._heard

    async def asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """An answer, over as many connections as it takes. Raises Refused, Hopeless, LinkLost where it is over."""
        tries = 0
        while True:
            try:
                return await ask()
            except LinkLost:
                if self.hope.over:
                    raise
                self.hope.online = False
                await self.hope.until(lambda: self.hope.online)
            except (LocalProtocolError, Refused) as refusal:
                tries += 1
                if (rest := pause(refusal, tries)) is None:
                    raise Refused(refusal.code, refusal.text) from None
                await asyncio.sleep(rest)

    async def patiently(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of work that waits for a connection as long as it takes. Raises Hopeless where it is too long."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self.hope.news())
        try:
            await self._until(task.done)
            return task.result()
        finally:
            task.cancel()

    async def carried(self) -> None:
        """Wait until all files are where they go. Raises UsageError where one is not, Hopeless."""
        await self._until(lambda: not self.cargo.busy)
        await self.cargo.close()
        if self.cargo.failed:
            raise UsageError("; ".join(self._reasons.values()) or "a file was given up", NO_FILE)

    async def _until(self, done: Callable[[], bool]) -> None:
        """Wait for something. Raises UsageError where what is to be said cannot be encrypted, Hopeless."""
        await self.hope.until(lambda: done() or self._stuck() is not None)
        if not done() and (stuck := self._stuck()) is not None:
            cid, reason = stuck
            # Nobody is to be surprised by it later.
            self.desk.chat.withdraw(cid)
            raise UsageError(f"nothing was sent: {visible(reason)}", NO_FILE)

    def _stuck(self) -> tuple[bytes, str] | None:
        """What could not be encrypted for a while, and why."""
        now = asyncio.get_running_loop().time()
        found = ((cid, reason) for cid, (reason, since) in self._held.items() if now - since >= _HELD)
        return next(found, None)

    def _progress(self, event: Progress) -> None:
        if event.state is not Reach.QUEUED or event.reason is None or not is_held(self.desk.chat, event.room):
            self._held.pop(event.cid, None)
        elif event.cid not in self._held:
            loop = asyncio.get_running_loop()
            self._held[event.cid] = event.reason, loop.time()
            loop.call_later(_HELD + 0.01, self.hope.news)

    async def agrees(self, question: str) -> bool:
        """Whether the person says yes, or nothing; without one it is yes."""
        if self.config.json or not self.lines.interactive or not sys.stderr.isatty():
            return True
        ask(f"{visible(question)} ")
        self.lines.start()
        return ((await self.lines.next()) or "").strip().lower() not in ("n", "no")

    async def _listen(self, chat: Chat) -> None:
        try:
            async for event in chat:
                match event:
                    case Moved(transfer):
                        # What another errand left goes on meanwhile, and is not what this one is asked for.
                        if self.cargo.follows(transfer):
                            self.cargo.moved(transfer)
                    case Progress():
                        self._progress(event)
                    case Line():
                        self.hope.online = event.state in ("online", "moved")
                    case Message() if self._heard is not None:
                        self._heard.put_nowait(event)
                    case Unsealed(room, seqs) if self._heard is not None:
                        self._heard.put_nowait(Readable(room, await self.desk.reread(room, seqs)))
                self.hope.news()
        finally:
            self.hope.over = True
            self.hope.news()
            if self._heard is not None:
                self._heard.put_nowait(None)

    def _tell(self, item: object) -> None:
        match item:
            case Freight(step="failed" | "holes" | "stuck" | "cancelled"):
                self._reasons[item.name] = f"{visible(item.name)}: {visible(item.reason) or item.state}"
            case Unpacked() if item.reason:
                self._reasons[item.name] = visible(item.reason)
        self.outlet.tell(item)

    def _kept(self) -> str:
        """What is here, or there, of what is not done."""
        begun = [each for each in self.cargo.transfers if self.cargo.follows(each) and not each.over and each.done]
        facts = ", ".join(f"{share_of(each.done, each.size)} of {visible(each.name)}" for each in begun)
        if facts:
            return f"; {facts} is kept, and the same command goes on from there"
        said = any(entry.state < Reach.STORED for entry in self.desk.chat.outbox)
        return "; what was said is kept, and goes out with the next command" if said else ""


def addressee(word: str) -> str:
    """A room, `@user` or `*`, as they are typed. Raises UsageError."""
    if word == ANNOUNCEMENTS:
        return word
    try:
        return f"@{user_name(word)}" if word.startswith("@") else room_name(word)
    except ValueError as error:
        raise UsageError(str(error)) from None


def run(config: ClientConfig, job: Job, *, own: bool = False) -> int:
    """Do a job; the exit code. With `own` it is done as the client itself. Raises UsageError, KeyboardInterrupt."""
    lines = Lines(None) if job.takes_input else Lines.of_stdin()
    with nullcontext(config.data) if own else _device(config.data) as path:
        settings = replace(config, data=path)
        entry = _entry(config, lines)

        def errand(agreed: frozenset[str] | None) -> Errand:
            lender = None if own else config.data
            contact = Contact(settings, agreed, known_hosts=config.data / "known_hosts", lender=lender)
            return Errand(config, job, contact, lines, _outlet(config, quiet=job.quiet))

        try:
            job.prepare()
            with logged(config.data / LOG):
                return visit(entry, Person(None, lines, ask).agrees if lines.interactive else None, errand)
        finally:
            job.close()


def _entry(config: ClientConfig, lines: Lines) -> Entry:
    """Who finds out who logs in."""
    user = config.user if config.user is not None else last_user(config.data, place(config.host, config.port))
    if config.password_file is not None:
        return Script(user, config.password_file, lines, config.invitation)
    return Person(user, lines, ask, invitation=config.invitation) if lines.interactive else Known(user, lines)


def _outlet(config: ClientConfig, *, quiet: bool) -> Outlet:
    """Bars on a terminal, objects where they are wanted; in pipes only what a list brings, and what failed."""
    if config.json:
        return Printed(Json(Plain(sys.stderr if quiet else sys.stdout, sys.stderr)))
    is_seen = sys.stderr.isatty()
    text = Text((Plain if is_seen else _Silent)(sys.stdout, sys.stderr), "default", config.time)
    return Bars(text) if is_seen and os.environ.get("TERM", "dumb") != "dumb" else Printed(text)


@contextmanager
def _device(data: Path) -> Iterator[Path]:
    """A directory for the device of an errand, that no other one uses as long as this one lasts."""
    path = data / "errands"
    for number in range(_AT_ONCE):
        path = data / "errands" / str(number)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise UsageError(f"{error.filename or path}: {error.strerror}") from None
        try:
            if _locked(lock):
                yield path
                return
        finally:
            os.close(lock)
    raise UsageError(f"{path.parent} is in use: {_AT_ONCE} errands run already")


def _locked(handle: int) -> bool:
    """Whether this lock is ours now, until its handle is closed; systems without such locks have no second one."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something goes on as long as the block lasts."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
