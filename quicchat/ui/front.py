"""One run of the client, whatever its face: what is typed goes out, what comes is told. (spec 12-operation)

One task reads what is typed, one carries it out in that order, one tells what comes. The library keeps the
connection; what was said while there is none waits in its outbox, on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from quicchat.client.api import Chat
from quicchat.client.events import Line, Moved, Progress, Unsealed
from quicchat.client.events import Sent as Reach
from quicchat.client.identity import Identity
from quicchat.client.state import State
from quicchat.config import ClientConfig
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused, describe
from quicchat.ui import commands
from quicchat.ui.cargo import NO_FILE, Cargo, folder_of
from quicchat.ui.contact import NO_SERVER, Contact, part
from quicchat.ui.desk import Desk
from quicchat.ui.entry import NOT_IN
from quicchat.ui.face import Face
from quicchat.ui.hope import Hope, Hopeless, pause
from quicchat.ui.keeping import Keeping
from quicchat.ui.listener import PATIENCE, Listener
from quicchat.ui.outcomes import (
    Denied,
    Done,
    Encrypted,
    Hints,
    Lost,
    Menu,
    NotResponding,
    People,
    Quit,
    Sent,
    Unsent,
)
from quicchat.ui.reading import Reading
from quicchat.ui.signals import signals
from quicchat.ui.speech import Speech
from quicchat.ui.words import Asks, Call, Parsed, Vocabulary
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import PARROT, Room, parties

#: Lines understood and not yet carried out; more are not read.
_WAITING: Final = 64
#: Seconds that the built-in user's answer may take after the last line of a script.
_ANSWER: Final = 1.0
_USAGE: Final = 2


class Front:
    """One run, from login to goodbye. `calls` replaces what is typed where it is not empty."""

    def __init__(
        self,
        config: ClientConfig,
        words: Vocabulary,
        face: Face,
        contact: Contact,
        *,
        calls: Sequence[Call] = (),
    ) -> None:
        self._config = config
        self._words = words
        self._reading = Reading(words)
        self._face = face
        self._calls = calls
        self._contact = contact
        contact.tell = self._tell
        self._signals = signals(config, face)
        self._listener = Listener(self._tell, contact.device)
        self._chat: Chat
        self._desk: Desk | None = None
        self._cargo: Cargo
        self._keeping: Keeping
        #: Whether a person sees what happens, and answers questions.
        self._watched = face.interactive and not calls
        self._todo: asyncio.Queue[Parsed | None] = asyncio.Queue(_WAITING)
        #: Commands that were typed and have no answer yet; of them, what was said and is not yet stored.
        self._pending = 0
        self._speech: Speech
        self._hope = Hope(config.connect_timeout)
        self._reason = "quit"
        self._code = self._owed = 0

    async def run(self, identity: Identity) -> int:
        """Log in and talk; returns the exit code. Raises UsageError, Doubt, and Refused where the login failed."""
        return await self._face.host(self.visit(identity))

    async def visit(self, identity: Identity) -> int:
        """As `run`, where the face is there already."""
        try:
            async with self._contact.entered(identity) as chat:
                self._sit(chat, is_new=identity.sign_up or self._contact.is_first)
                return await self._talk()
        finally:
            # A terminal that is gone needs nothing restored.
            with contextlib.suppress(OSError):
                await self._signals.close()
                self._face.close()

    async def _talk(self) -> int:
        loop, speech = asyncio.get_running_loop(), Speech(self._hope, self._listener.kept_back)
        self._speech = speech
        reading, work = loop.create_task(self._read()), loop.create_task(self._work())
        listening = loop.create_task(self._listen())
        tasks: tuple[asyncio.Future[Any], ...] = (reading, work, listening, speech.broken)
        try:
            while not (work.done() or listening.done()):
                await asyncio.wait({task for task in tasks if not task.done()}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
                if speech.broken.done():
                    speech.broken.result()
            if listening.done():
                listening.result()
                return self._lost()
            code = work.result()
            if not self._hope.online:
                await part(self._chat, self._reason)
                return code
            await self._chat.close(self._reason)
            await listening
            return code
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await speech.close()

    # What is typed

    async def _read(self) -> None:
        """Understand lines as they come; only what must be sent waits for its turn."""
        self._pending = len(self._calls)
        for call in self._calls:
            await self._todo.put(call)
        if not self._calls:
            self._face.start()
            while (typed := await self._face.next()) is not None:
                self._face.entered()
                parsed = self._reading.read(typed)
                self._face.hide(self._reading.hides)
                if parsed is None:
                    self._face.prompt()
                    continue
                if isinstance(parsed, Call):
                    self._pending += not parsed.command.ends
                    self._hope.ending = self._hope.ending or parsed.command.ends
                    self._hope.news()
                await self._todo.put(parsed)
        self._hope.end()
        await self._todo.put(None)

    async def _work(self) -> int:
        """Carry out what was understood, one after the other, until there is nothing more; returns the exit code."""
        try:
            while (parsed := await self._todo.get()) is not None:
                if not await self._carry_out(parsed):
                    break
                self._face.prompt()
            self._hope.ending = True
            await self._speech.stored()
            await self._hear_out()
            await self._carried()
            self._count_held()
        except Hopeless:
            self._count_unsent()
            return NO_SERVER
        return self._code

    async def _carry_out(self, parsed: Parsed) -> bool:
        """Whether anything may follow."""
        match parsed:
            case Call() if parsed.command.says:
                if parsed.is_about_the_last:
                    await self._speech.stored()
                await self._speech.room()
                self._listener.waits(parsed.cid)
                await self._speech.begin(parsed.cid, self._call(parsed))
                return True
            case Call():
                if not (parsed.command.local or (parsed.command.kept and not self._hope.online)):
                    await self._speech.stored()
                return await self._call(parsed)
            case Asks(hidden=False):
                self._tell(People(self._chat.state.people))
        self._tell(parsed)
        return True

    async def _call(self, call: Call) -> bool:
        """Have one command answered, over as many connections as it takes; False when it was the last one."""
        assert self._desk is not None
        if call.room is None:
            # However often it is tried, wherever one goes meanwhile.
            call = replace(call, room=self._desk.room)
        tries = 0
        while True:
            if not (call.command.says or call.command.ends or call.command.local or call.command.kept):
                await self._hope.until(lambda: self._hope.online)
            before = self._heads()
            try:
                outcome = await commands.run(self._desk, call)
            except LinkLost:
                self._hope.online = False
                await self._hope.until(lambda: self._hope.online)
            except (LocalProtocolError, Refused) as refusal:
                tries += 1
                rest = pause(refusal, tries)
                if rest is None:
                    return self._denied(refusal.code, refusal.text, call)
                await asyncio.sleep(rest)
            else:
                return await self._succeeded(outcome, call, before)

    async def _succeeded(self, outcome: object, call: Call, before: Mapping[str, int]) -> bool:
        if isinstance(outcome, Quit):
            self._reason = outcome.reason
            if call.command.name == "logout":
                self._contact.forget()
            return False
        self._pending -= 1
        self._listener.settled(call.cid, outcome)
        if isinstance(outcome, Sent):
            room = Room(outcome.posted.room)
            self._owed += PARROT in (parties(room) or ())
            # Who speaks here has read what was said before.
            self._chat.mark_read(room)
        self._reading.done(call, outcome)
        self._keeping.told(outcome)
        self._tell(outcome)
        match outcome:
            case Done("dereg"):
                self._listener.away()
            case Done("reg"):
                loop = asyncio.get_running_loop()
                self._listener.back(before, self._heads(), loop.time())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await self._hope.until(lambda: not self._listener.is_holding)
                self._listener.give_up(loop.time())
        return True

    def _denied(self, code: Code, text: str, call: Call) -> bool:
        self._pending -= 1
        self._listener.settled(call.cid, None)
        self._reading.done(call, None)
        self._tell(Denied(code, text, call))
        if self._calls:
            self._code = _USAGE
        if call.command.enters and self._desk is not None and not self._face.interactive:
            # What a script says next is meant for the room that it could not enter.
            self._desk.room = ""
        return True

    async def _hear_out(self) -> None:
        """The built-in user answers at once: whoever asked him as his last word wants to hear it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                await self._hope.until(lambda: self._owed <= 0)

    async def _carried(self) -> None:
        """A script's files are to be where they go; a person who leaves is told what goes on next time."""
        cargo = self._cargo
        if self._watched:
            was_busy, left = cargo.busy, cargo.leave()
            if was_busy:
                self._tell(left)
        else:
            await self._hope.until(lambda: not cargo.busy)
        await cargo.close()
        if cargo.failed and not self._watched:
            self._code = self._code or NO_FILE

    # What comes

    async def _listen(self) -> None:
        """Print what comes until there will be no connection any more."""
        loop, desk = asyncio.get_running_loop(), self._desk
        assert desk is not None
        try:
            async for event in self._chat:
                match event:
                    case Message():
                        self._message(event)
                    case Progress():
                        await self._listener.progress(event, self._chat, loop.time())
                    case Line():
                        self._line(event)
                    case Moved(transfer):
                        self._cargo.moved(transfer)
                    case Unsealed(room, seqs):
                        self._listener.opened(room, await desk.reread(room, seqs))
                    case _:
                        self._tell(event)
                self._hope.news()
        finally:
            self._hope.over = True
            self._hope.news()

    def _message(self, message: Message) -> None:
        if message.sender == PARROT and message.room.startswith("@"):
            self._owed -= 1
        if self._keeping.is_news(message):
            self._tell(Encrypted(message.room))
        self._listener.message(message, asyncio.get_running_loop().time())
        if self._face.reads(message.room):
            self._chat.mark_read(message.room, message.seq)

    def _line(self, line: Line) -> None:
        """The way to the server is another, or none."""
        self._tell(line)
        was_online, self._hope.online = self._hope.online, line.state in ("online", "moved")
        if line.state == "waiting" and was_online and (self._pending or not self._hope.ending):
            self._tell(Lost("", line.reason or "no reason is known", retry=True))
        elif line.state == "online":
            self._entered(again=True)

    # The connection

    def _sit(self, chat: Chat, *, is_new: bool) -> None:
        """Everything goes over this chat."""
        self._chat = chat
        self._keeping = Keeping(chat)
        folder = folder_of(self._config.downloads, chat.state.user)
        self._cargo = Cargo(chat, folder, self._tell, lively=self._watched)
        self._desk = Desk(
            chat,
            self._words,
            self._cargo,
            received=self._listener.received,
            place=self._contact.place,
            announced=self._listener.announced,
            spoke=self._listener.spoke,
            notify=self._config.notify,
            recent=self._listener.recent,
            asks=self._watched and not self._config.json,
        )
        self._face.seated(self._desk)
        self._signals.seated(self._desk)
        self._entered(again=False)
        if is_new and self._watched:
            self._tell(Hints(self._desk.has_keys))
        if self._desk.asks:
            self._tell(self._cargo.left())
        if self._config.style == "classic":
            self._tell(Menu(self._words.commands))
        if not self._calls:
            self._face.prompt()

    def _entered(self, *, again: bool) -> None:
        self._tell(self._contact.told(self._chat, again=again))
        self._listener.entered(self._heads())

    def _heads(self) -> dict[str, int]:
        """How far the logs go, as far as we know."""
        return {room: view.head for room, view in self._chat.state.rooms.items()}

    def _lost(self) -> int:
        """The connection is gone for good: the exit code."""
        if self._hope.ending and not self._pending:
            return self._code
        lost = self._chat.lost or LinkLost(Code.NO_ERROR)
        is_told = self._config.on_server_loss != "exit" or self._config.json
        self._tell(Lost(describe(lost.code), lost.reason, retry=False) if is_told else NotResponding())
        self._count_unsent()
        return NOT_IN if lost.code >> 8 == Code.AUTH_FAILED >> 8 else NO_SERVER

    def _count_unsent(self) -> None:
        """Say how much was typed in vain, for now."""
        if self._pending:
            kept = sum(entry.state < Reach.STORED for entry in self._chat.outbox)
            self._tell(Unsent(self._pending, kept))

    def _count_held(self) -> None:
        """What is kept back at the end goes out another time; a script has not done what it was to do."""
        if self._speech.left:
            self._count_unsent()
            if not self._watched:
                self._code = self._code or NO_FILE

    def _tell(self, item: object) -> None:
        state = self._desk.chat.state if self._desk is not None else State()
        self._face.tell(item, state)
        self._signals.tell(item, state)
