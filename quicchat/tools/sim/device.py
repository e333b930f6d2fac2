"""A client program that does not give up: it reconnects, and says again what was not acknowledged. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import field
from typing import Any, Final

from quicchat.client.api import Chat
from quicchat.client.events import Line, Progress, Sent
from quicchat.client.login import Identity
from quicchat.client.memory import Change, Held, Kept, PlainMemory
from quicchat.errors import MEANINGS, Code, LinkLost, LocalProtocolError, Refused
from quicchat.tools.sim.chance import Draws, Trace, surroundings
from quicchat.tools.sim.machine import ADDRESS, IDLE, LIMITS, NAME, PORT, trust
from quicchat.tools.sim.network import Host
from quicchat.transport.dial import dial
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.search import Word

PASSWORD: Final = "secret"  # noqa: S105 - of accounts that live for a minute in memory
#: Rooms that people make, enter and leave; in one that a device does not mean to be in it says nothing.
MADE: Final = ("den",)
#: Seconds until a connection that does not come about is given up, and between two attempts.
_PATIENCE, _PAUSE = 3.0, 0.2


@dataclass(slots=True)
class Wish:
    """A room to enter or to leave, until the server has agreed; only then comes what was wanted after it."""

    room: str
    enter: bool
    after: Wish | None = None
    granted: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Said:
    """A post in the outbox; `told` is the place, in its room, that the server acknowledged."""

    number: int
    room: str
    text: str
    cid: bytes
    #: Said only once this is granted.
    after: Wish | None = None
    told: tuple[str, int] | None = None
    refused: Code | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the server has answered."""
        return self.told is not None or self.refused is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as this device was given it."""

    seq: int
    cid: bytes
    sender: str
    kind: Kind
    text: str


def identity(user: str, device: str = "") -> Identity:
    """Who a user is."""
    return Identity(user=user, password=PASSWORD, device_name=device, iterations=1, least_iterations=1)


class Notebook:
    """A memory that a program writes to until it is killed."""

    def __init__(self, memory: PlainMemory) -> None:
        self._memory = memory
        self.closed = False

    @property
    def keeps(self) -> int:
        return self._memory.keeps

    async def load(self) -> Kept:
        return await self._memory.load()

    async def keep(self, change: Change) -> None:
        if self.closed:
            raise Refused(Code.STORE_UNAVAILABLE)
        await self._memory.keep(change)

    async def page(self, room: str, *, before: int | None = None, limit: int = 50) -> Sequence[Held]:
        return await self._memory.page(room, before=before, limit=limit)

    async def search(self, words: Sequence[Word], *, room: str | None = None, limit: int = 50) -> Sequence[Held]:
        return await self._memory.search(words, room=room, limit=limit)

    async def forget(self) -> None:
        await self._memory.forget()

    async def close(self) -> None:
        """Nothing to do: the memory outlives the program."""


@dataclass(slots=True)
class Device:
    """One installation of a user. What is kept here it keeps on its disk: a kill takes only the connection."""

    name: str
    user: str
    id: bytes
    host: Host
    trace: Trace
    draws: Draws
    #: Whether it leaves its outbox and its return to the library, rather than to see to them itself.
    relies: bool = False
    #: Whether the user has no other device: then this one must see all since he entered a room.
    alone: bool = True
    outbox: list[Said] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    #: What was given out, room by room, one list for each connection.
    views: dict[str, list[list[Seen]]] = field(default_factory=dict)
    chat: Chat | None = None
    #: When it logged in last, and whether it is so still.
    since: float = 0.0
    is_online: bool = False
    memory: PlainMemory = field(default_factory=PlainMemory)
    _tickets: list[bytes] = field(default_factory=list)
    _sent: dict[bytes, Said] = field(default_factory=dict)
    _notebook: Notebook | None = None
    _running: asyncio.Task[None] | None = None
    _session: asyncio.TaskGroup | None = None
    _stalled: dict[asyncio.Task[Any], None] = field(default_factory=dict)
    _parting: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def is_running(self) -> bool:
        """Whether the program runs."""
        return self._running is not None

    def start(self) -> None:
        """Start the program."""
        self.trace.note(self.name, "starts")
        self._running = asyncio.get_running_loop().create_task(self._run(), name=self.name)
        self._running.add_done_callback(self._ended)

    def kill(self) -> None:
        """The program ends without a word to anybody."""
        self.trace.note(self.name, "is killed")
        assert self._running is not None
        self.host.vanish()
        if self._notebook is not None:
            self._notebook.closed = True
        self._running.cancel()
        self._parting.add(self._running)
        self._running = None

    async def gone(self) -> None:
        """End the program, and wait until nothing is left of it."""
        if self._running is not None:
            self.kill()
        while self._parting:
            await asyncio.wait(self._parting)
            self._parting = {task for task in self._parting if not task.done()}

    def say(self, room: str, text: str) -> None:
        """Put something into the outbox, and send it where there is a connection."""
        after = self._last(room)
        if room in MADE and (after is None or not after.enter):
            return
        said = Said(len(self.outbox), room, text, self.draws.randbytes(16), after)
        self.outbox.append(said)
        self.trace.note(self.name, f"says {text[:9]} in {room}")
        if self._session is not None:
            self._do(self._post(said))

    def cid(self, said: Said) -> bytes:
        """The id under which something is sent: always the same, so that it is stored once."""
        return said.cid

    def wish(self, room: str, *, enter: bool) -> None:
        """Enter or leave a room, now or when there is a connection."""
        wish = Wish(room, enter, self._last(room))
        self.wishes.append(wish)
        self.trace.note(self.name, f"wants to {'enter' if enter else 'leave'} {room}")
        if self._session is not None:
            self._do(self._obtain(wish))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": f"{self.name} broke down", "exception": error})

    def _last(self, room: str) -> Wish | None:
        return next((wish for wish in reversed(self.wishes) if wish.room == room), None)

    async def _run(self) -> None:
        while True:
            try:
                await self._connected()
            except (LinkLost, Refused, TimeoutError) as error:
                self.trace.note(self.name, f"is not connected: {error}")
            await asyncio.sleep(_PAUSE + self.draws.random() * _PAUSE)

    async def _connected(self) -> None:
        """One connection, from the first packet to its end, or all of them where the library sees to that."""
        self._stalled.clear()
        chat = await self._chat()
        try:
            async with asyncio.timeout(None if self.relies else _PATIENCE):
                await chat.open(identity(self.user, self.name))
            self.chat = chat
            if not self.relies:
                self._online("is logged in")
            async with asyncio.TaskGroup() as self._session:
                for wish in self.wishes:
                    if not wish.granted.is_set():
                        self._do(self._obtain(wish))
                for said in self.outbox:
                    if not said.is_settled:
                        self._do(self._post(said))
                await self._listen(chat)
                for task in list(self._stalled):
                    task.cancel()
        finally:
            self._session = self.chat = None
            self.is_online = False
            self._part(chat.close())
        self.trace.note(self.name, f"lost the connection: {chat.lost}")

    async def _chat(self) -> Chat:
        own = surroundings(self.draws)
        if not self.relies:
            return Chat(await self._dial(early=False), device=self.id, limits=LIMITS, surroundings=own)
        memory = Notebook(self.memory)
        self._notebook = memory
        return Chat(
            None,
            device=self.id,
            limits=LIMITS,
            memory=memory,
            kept=await memory.load(),
            dial=self._dial,
            timeout=_PATIENCE,
            surroundings=own,
        )

    async def _dial(self, early: bool) -> Link:
        options = Options(idle_timeout=IDLE, udp=self.host.udp, handshake_timeout=_PATIENCE)
        ticket = self._tickets.pop() if self._tickets and self.relies else None
        return await dial(
            ADDRESS,
            PORT,
            trust=trust(),
            server_name=NAME,
            options=options,
            ticket=ticket,
            on_ticket=self._tickets.append,
            early=early,
        )

    def _online(self, how: str) -> None:
        self.is_online, self.since = True, asyncio.get_running_loop().time()
        self.trace.note(self.name, how)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._session is not None
        self._session.create_task(work)

    def _part(self, work: Coroutine[Any, Any, None]) -> None:
        self._parting = {task for task in self._parting if not task.done()}
        self._parting.add(asyncio.get_running_loop().create_task(work))

    async def _listen(self, chat: Chat) -> None:
        begun: set[str] = set()
        async for event in chat:
            match event:
                case Message():
                    runs = self.views.setdefault(event.room, [])
                    if event.room not in begun:
                        begun.add(event.room)
                        runs.append([])
                    seen = Seen(event.seq, event.cid, event.sender, event.kind or Kind.TEXT, event.text or "")
                    runs[-1].append(seen)
                    self.trace.note(self.name, f"sees {event.room} {event.seq}: {event.sender}: {seen.text[:12]}")
                case Progress(state=Sent.STORED | Sent.DELIVERED | Sent.READ) if event.cid in self._sent:
                    assert event.seq is not None
                    self._acknowledged(self._sent[event.cid], event.room, event.seq)
                case Progress(state=Sent.FAILED) if event.cid in self._sent:
                    self.trace.note(self.name, f"has {self._sent[event.cid].text[:9]} refused: {event.reason}")
                    self._sent[event.cid].refused = Code.FORBIDDEN
                case Line(state="online"):
                    self._online("is logged in" + (", early" if event.early else ""))
                case Line(state="waiting"):
                    self.is_online = False
                    self.trace.note(self.name, f"lost the connection: {event.reason}")

    def _acknowledged(self, said: Said, room: str, seq: int) -> None:
        if said.told != (room, seq):
            said.told = room, seq
            self.trace.note(self.name, f"has {said.text[:9]} acknowledged as {room} {seq}")

    async def _turn(self, wish: Wish | None) -> None:
        """Wait until what was wanted before is granted, or the connection ends."""
        task = asyncio.current_task()
        if wish is not None and task is not None:
            self._stalled[task] = None
            await wish.granted.wait()
            del self._stalled[task]

    async def _post(self, said: Said) -> None:
        await self._turn(said.after)
        while not said.is_settled and (chat := self.chat) is not None:
            try:
                to, cid = said.room, self.cid(said)
                if self.relies:
                    self._sent[cid] = said
                    if all(entry.cid != cid for entry in chat.outbox):
                        room, user = (None, to[1:]) if to[0] == "@" else (to, None)
                        await chat.queue(Post(cid=cid, text=said.text, room=room, user=user))
                    return
                posted = await (chat.tell if to[0] == "@" else chat.post)(to.lstrip("@"), said.text, cid=cid)
                self._acknowledged(said, posted.room, posted.seq)
            except (LinkLost, LocalProtocolError):
                return
            except Refused as refusal:
                self.trace.note(self.name, f"has {said.text[:9]} refused: {refusal.code.name}")
                if MEANINGS[refusal.code].temporary:
                    await asyncio.sleep((refusal.retry_after or 500) / 1000)
                else:
                    said.refused = refusal.code

    async def _obtain(self, wish: Wish) -> None:
        await self._turn(wish.after)
        while not wish.granted.is_set() and (chat := self.chat) is not None:
            try:
                await (chat.join(wish.room, create=True) if wish.enter else chat.leave(wish.room))
            except (LinkLost, LocalProtocolError):
                if not self.relies:
                    return
                await asyncio.sleep(_PAUSE)
                continue
            except Refused as refusal:
                # Where another device of the user left meanwhile, the entry is answered with NO_SUCH_ROOM.
                if MEANINGS[refusal.code].temporary or refusal.code is Code.NO_SUCH_ROOM:
                    await asyncio.sleep((refusal.retry_after or 500) / 1000)
                    continue
                if refusal.code is not Code.NOT_MEMBER:
                    raise
            wish.granted.set()
            self.trace.note(self.name, f"has {'entered' if wish.enter else 'left'} {wish.room}")
