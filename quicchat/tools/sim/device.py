"""A client program that does not give up: it reconnects, and says again what was not acknowledged. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import field
from typing import Any, Final

from quicchat.client.api import Chat
from quicchat.client.events import KeyNews, Line, Progress, Sent, Unsealed
from quicchat.client.login import Identity
from quicchat.client.memory import PlainMemory
from quicchat.client.seal import Opened, Seal
from quicchat.errors import MEANINGS, Code, LinkLost, LocalProtocolError, Refused
from quicchat.tools.sim.chance import Draws, Trace, surroundings
from quicchat.tools.sim.keeper import approve, look
from quicchat.tools.sim.machine import ADDRESS, IDLE, LIMITS, NAME, PORT, trust
from quicchat.tools.sim.network import Host
from quicchat.tools.sim.notebook import Notebook
from quicchat.transport.dial import dial
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.chapters.rooms import ENCRYPTED

PASSWORD: Final = "secret"  # noqa: S105 - of accounts that live for a minute in memory
#: Rooms that people make, enter and leave; in one that a device does not mean to be in it says nothing. The vault is
#: encrypted, and so is the attic from some time on.
VAULT: Final = "vault"
ATTIC: Final = "attic"
MAKER: Final = "ann"
MADE: Final = ("den", VAULT, ATTIC)
#: Seconds until a connection that does not come about is given up, and between two attempts.
_PATIENCE, _PAUSE = 3.0, 0.2


@dataclass(slots=True)
class Wish:
    """A room to enter or to leave, until the server has agreed; only then comes what was wanted after it.

    With a `policy`, it is to be that of a room which one is in.
    """

    room: str
    enter: bool
    after: Wish | None = None
    policy: int | None = None
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


@dataclass(slots=True)
class Device:
    """One installation of a user. What is kept here it keeps on its disk: a kill takes only the connection."""

    name: str
    user: str
    id: bytes
    host: Host
    trace: Trace
    draws: Draws
    #: What its disk draws.
    flash: Draws
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
    #: Whether it has keys; then its disk takes its time, and loses what was not written when the program is killed.
    keyed: bool = False
    #: How often it was started, and how many writings from now on it is killed at.
    life: int = 0
    fuse: int = 0
    #: What it says of each place that it was shown in an encrypted conversation, as far as is known by now.
    read: dict[tuple[str, int], tuple[str, Seal]] = field(default_factory=dict)
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
        self.life += 1
        self._running = asyncio.get_running_loop().create_task(self._run(), name=self.name)
        self._running.add_done_callback(self._ended)

    def kill(self) -> None:
        """The program ends without a word to anybody."""
        self.trace.note(self.name, "is killed")
        assert self._running is not None
        self.host.vanish()
        if self._notebook is not None:
            self._notebook.cut()
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

    def wish(self, room: str, *, enter: bool, policy: int | None = None) -> None:
        """Enter or leave a room, or change its policy, now or when there is a connection."""
        wish = Wish(room, enter, self._last(room), policy)
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
            if self.keyed and self._parting:
                # What is left of the connection before still writes.
                await asyncio.wait(self._parting)
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
        self._notebook = memory = (
            Notebook(self.memory, self.flash, self._wrote) if self.keyed else Notebook(self.memory)
        )
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

    def _wrote(self) -> None:
        """Something is being written; that may be the last that this program does."""
        self.fuse -= 1
        if not self.fuse and self.is_running:
            self.kill()

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
                    if event.room not in begun:
                        begun.add(event.room)
                        self.views.setdefault(event.room, []).append([])
                    self._see(event)
                case Unsealed():
                    self._do(look(self, event.room, event.seqs))
                case KeyNews(kind="approve"):
                    self._do(approve(self))
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

    def _see(self, event: Message) -> None:
        seen = Seen(event.seq, event.cid, event.sender, event.kind or Kind.TEXT, event.text or "")
        self.views[event.room][-1].append(seen)
        self.note(event)
        self.trace.note(self.name, f"sees {event.room} {event.seq}: {event.sender}: {seen.text[:12]}")

    def note(self, event: Message) -> None:
        """What an event says, as far as it can be read by now."""
        if isinstance(event, Opened) and event.kind is not Kind.KEY:
            self.read[event.room, event.seq] = event.text or "", event.seal

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
                await self._ask(chat, wish)
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

    async def _ask(self, chat: Chat, wish: Wish) -> None:
        if wish.policy is not None:
            await chat.set_room(wish.room, policy=wish.policy)
        elif not wish.enter:
            await chat.leave(wish.room)
        elif wish.room == ATTIC:
            # One of them makes it, and may decide later that it is encrypted.
            await chat.join(ATTIC, create=self.name == MAKER)
        else:
            await chat.join(wish.room, create=True, policy=ENCRYPTED if wish.room == VAULT else None)
