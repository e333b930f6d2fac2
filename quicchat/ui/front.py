"""One run of the plain front end: what is typed goes out, what comes is printed. (spec 12-operation)

One task reads what is typed, one carries it out in that order, one prints what comes; `Front.run` keeps the
connection under them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.client.state import State
from quicchat.config import ClientConfig
from quicchat.errors import MEANINGS, Code, LinkLost, LocalProtocolError, Refused, UsageError, describe
from quicchat.ui import commands
from quicchat.ui.commands import Desk
from quicchat.ui.contact import NO_SERVER, Contact, is_worth_trying, part
from quicchat.ui.entry import NOT_IN
from quicchat.ui.lines import Lines
from quicchat.ui.outcomes import Denied, Entered, Heard, Lost, Menu, People, Sent, Unsent
from quicchat.ui.paper import Plain
from quicchat.ui.record import Json
from quicchat.ui.render import Text
from quicchat.ui.styles import NOT_RESPONDING
from quicchat.ui.words import Asks, Call, Parsed, Vocabulary
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import PARROT, Room, parties

#: Lines understood and not yet carried out; more are not read.
_WAITING: Final = 64
#: Messages whose time of arrival is remembered, for /history.
_REMEMBERED: Final = 5000
#: How often a busy server is asked again that does not say when.
_TRIES: Final = 5
#: Seconds that the built-in user's answer may take after the last line of a script.
_ANSWER: Final = 1.0
_USAGE: Final = 2


class Printer(Protocol):
    """Tells what happened, in text or JSON."""

    def tell(self, item: object, state: State) -> None:
        """Print an event or an outcome."""


@dataclass(slots=True)
class Seat:
    """The connection of the moment; `gone` is set when it is over."""

    chat: Chat
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Front:
    """One run, from login to goodbye. `calls` replaces standard input where it is not empty."""

    def __init__(
        self,
        config: ClientConfig,
        words: Vocabulary,
        lines: Lines,
        sheet: Plain,
        *,
        device: bytes,
        calls: Sequence[Call] = (),
        agreed: frozenset[str] | None = None,
    ) -> None:
        self._config = config
        self._words = words
        self._lines = lines
        self._sheet = sheet
        self._device = device
        self._calls = calls
        self._printer: Printer = Json(sheet) if config.json else Text(sheet, config.style, config.time)
        self._contact = Contact(config, device, self._tell, agreed)
        self._desk: Desk | None = None
        self._seat: asyncio.Future[Seat]
        self._todo: asyncio.Queue[Parsed | None] = asyncio.Queue(_WAITING)
        #: Commands that were typed and have no answer yet.
        self._pending = 0
        #: Nothing more will be typed.
        self._ending = asyncio.Event()
        self._reason = "quit"
        self._code = 0
        self._signal = 0
        self._sent: set[bytes] = set()
        self._shown: dict[tuple[str, int | None], int] = {}
        self._received: dict[tuple[str, int | None, int], int] = {}
        self._owed = 0
        self._answered = asyncio.Event()

    async def run(self, identity: Identity) -> int:
        """Log in and talk; returns the exit code. Raises UsageError, Doubt, and Refused where the login failed."""
        self._heed_signals()
        self._seat = asyncio.get_running_loop().create_future()
        try:
            return await self._talk(await self._contact.first(identity), identity)
        except asyncio.CancelledError:
            if self._signal:
                return 128 + self._signal
            raise
        finally:
            self._sheet.close()

    async def _talk(self, chat: Chat, identity: Identity) -> int:
        loop = asyncio.get_running_loop()
        reading = loop.create_task(self._read())
        work = loop.create_task(self._work())
        again = False
        try:
            while True:
                listening = loop.create_task(self._listen(self._sit(chat, again=again)))
                while not (work.done() or listening.done()):
                    running = {task for task in (reading, work, listening) if not task.done()}
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    if reading.done():
                        reading.result()
                if work.done():
                    await chat.close(self._reason)
                    await listening
                    return work.result()
                await listening
                await part(chat)
                if (code := self._lost(chat)) is not None:
                    return code
                if (found := await self._back(identity, work)) is None:
                    return work.result()
                chat, again = found, True
        except UsageError:
            self._count_unsent()
            raise
        finally:
            for task in (reading, work):
                task.cancel()
            await asyncio.gather(reading, work, return_exceptions=True)
            await part(chat, self._reason)

    async def _back(self, identity: Identity, work: asyncio.Task[int]) -> Chat | None:
        """Another connection, or None when nobody needs one any more. Raises UsageError."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._contact.again(identity, patient=True))]
        ending = loop.create_task(self._ending.wait())
        try:
            await asyncio.wait({*tasks, work, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not (tasks[0].done() or work.done()):
                # Somebody wants to go, but not without his last words: one more try.
                tasks[0].cancel()
                tasks.append(loop.create_task(self._contact.again(identity, patient=False)))
                await asyncio.wait({tasks[1], work}, return_when=asyncio.FIRST_COMPLETED)
            return tasks[-1].result() if tasks[-1].done() else None
        finally:
            for task in (*tasks, ending):
                task.cancel()
            await asyncio.gather(*tasks, ending, return_exceptions=True)

    # What is typed

    async def _read(self) -> None:
        """Understand lines as they come; only what must be sent waits for its turn."""
        self._pending = len(self._calls)
        for call in self._calls:
            await self._todo.put(call)
        if not self._calls:
            self._lines.start()
            asks: Asks | None = None
            while (line := await self._lines.next()) is not None:
                self._sheet.entered()
                parsed = self._words.parse(line) if asks is None else self._words.answered(asks, line)
                asks = parsed if isinstance(parsed, Asks) else None
                if isinstance(parsed, Call) and parsed.command.name == "quit":
                    self._ending.set()
                if parsed is None:
                    self._sheet.prompt()
                else:
                    self._pending += isinstance(parsed, Call) and parsed.command.name != "quit"
                    await self._todo.put(parsed)
        self._ending.set()
        await self._todo.put(None)

    async def _work(self) -> int:
        """Carry out what was understood, one after the other, until there is nothing more; returns the exit code."""
        while (parsed := await self._todo.get()) is not None:
            if not await self._carry_out(parsed):
                break
            self._sheet.prompt()
        self._ending.set()
        await self._hear_out()
        return self._code

    async def _carry_out(self, parsed: Parsed) -> bool:
        match parsed:
            case Call():
                return await self._call(parsed)
            case Asks():
                self._tell(People((await self._seat).chat.state.people))
        self._tell(parsed)
        return True

    async def _call(self, call: Call) -> bool:
        """Have one command answered, over as many connections as it takes; False when it was the last one."""
        if call.command.name == "quit":
            self._reason = call.get("reason") or self._reason
            return False
        tries = 0
        while True:
            seat = await self._seat
            assert self._desk is not None
            self._sent.add(call.cid)
            try:
                outcome = await commands.run(self._desk, call)
            except LinkLost:
                await seat.gone.wait()
            except LocalProtocolError as error:
                return self._denied(error.code, error.text, call)
            except Refused as refusal:
                tries += 1
                told_when = refusal.retry_after is not None
                if not MEANINGS[refusal.code].temporary or (tries >= _TRIES and not told_when):
                    return self._denied(refusal.code, refusal.text, call)
                await asyncio.sleep((refusal.retry_after or 1000) / 1000)
            else:
                return self._succeeded(outcome, call)

    def _succeeded(self, outcome: object, call: Call) -> bool:
        self._pending -= 1
        if not isinstance(outcome, Sent):
            self._sent.discard(call.cid)
        elif PARROT in (parties(Room(outcome.posted.room)) or ()):
            self._owed += 1
        self._tell(outcome)
        return True

    def _denied(self, code: Code, text: str, call: Call) -> bool:
        self._pending -= 1
        self._sent.discard(call.cid)
        self._tell(Denied(code, text, call))
        if self._calls:
            self._code = _USAGE
        if call.command.enters and self._desk is not None and not self._lines.interactive:
            # What a script says next is meant for the room that it could not enter.
            self._desk.room = ""
        return True

    async def _hear_out(self) -> None:
        """The built-in user answers at once: whoever asked him as his last word wants to hear it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                while self._owed > 0:
                    self._answered.clear()
                    await self._answered.wait()

    # What comes

    async def _listen(self, chat: Chat) -> None:
        """Print what comes until the connection is over."""
        async for event in chat:
            if isinstance(event, Message):
                self._heard(event)
            else:
                self._tell(event)

    def _heard(self, message: Message) -> None:
        """Each place once, even where a new connection brings again what the server does not know we have."""
        log = message.room, message.epoch
        if message.seq <= self._shown.get(log, 0):
            return
        self._shown[log] = message.seq
        received = time.time_ns() // 1_000_000  # noqa: TID251 - when it came here is a fact of this machine
        self._received[*log, message.seq] = received
        if len(self._received) > _REMEMBERED:
            del self._received[next(iter(self._received))]
        own = message.cid in self._sent or message.device == self._device
        self._sent.discard(message.cid)
        if message.sender == PARROT and message.room.startswith("@"):
            self._owed -= 1
            self._answered.set()
        self._tell(Heard(message, received, own))

    # The connection

    def _sit(self, chat: Chat, *, again: bool) -> Chat:
        """From now on everything goes over this connection."""
        if self._desk is None:
            self._desk = Desk(chat, self._words, received=self._received)
        self._desk.chat = chat
        state = chat.state
        entered = Entered(
            user=state.user,
            place=self._contact.place,
            version=chat.version,
            session=state.session,
            welcome=state.welcome,
            again=again,
        )
        self._tell(entered)
        if self._config.style == "classic" and not again:
            self._tell(Menu(self._words.commands))
        self._seat.set_result(Seat(chat))
        if not self._calls:
            self._sheet.prompt()
        return chat

    def _lost(self, chat: Chat) -> int | None:
        """The connection is gone: the exit code, or None where another is to be had."""
        self._seat.result().gone.set()
        self._seat = asyncio.get_running_loop().create_future()
        if self._ending.is_set() and not self._pending:
            return self._code
        lost = chat.lost or LinkLost(Code.NO_ERROR)
        retry = self._config.on_server_loss == "reconnect" and is_worth_trying(lost)
        if self._config.on_server_loss == "exit" and not self._config.json:
            for line in NOT_RESPONDING:
                self._sheet.note(line)
        else:
            self._tell(Lost(describe(lost.code), lost.reason, retry))
        if retry:
            return None
        self._count_unsent()
        return NOT_IN if lost.code >> 8 == Code.AUTH_FAILED >> 8 else NO_SERVER

    def _count_unsent(self) -> None:
        """Say how much was typed in vain."""
        if self._pending:
            self._tell(Unsent(self._pending))

    def _heed_signals(self) -> None:
        """SIGTERM and SIGHUP say goodbye as Ctrl-C does, which the loop's own handler takes."""
        main = asyncio.current_task()
        assert main is not None

        def end(number: int) -> None:
            self._signal = number
            main.cancel()

        for name in ("SIGTERM", "SIGHUP"):
            # Neither exists everywhere, and only the main thread may listen.
            with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
                number = getattr(signal, name)
                # Under nohup it is ignored, and stays so.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    asyncio.get_running_loop().add_signal_handler(number, end, number)

    def _tell(self, item: object) -> None:
        state = self._desk.chat.state if self._desk is not None else State()
        self._printer.tell(item, state)
