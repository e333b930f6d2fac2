"""The client library, and the way to write bots. (spec README)

    async with connect("chat.example.org", identity=Identity(user="bot", password=word)) as chat:
        await chat.post("general", "Good morning.")
        async for event in chat:
            if isinstance(event, Message) and event.text == "!time":
                await chat.post(event.room, "Late.")

An event is a PDU of the protocol (`quicchat.wire.chapters`), such as `Message` in unbroken order room by room,
`Presence`, `ReceiptEvent`; or what happened here (`quicchat.client.events`): `Progress` of one's own messages,
`Moved` of a file, `Line`, `Reset`. The iteration ends when the connection does, or with `reconnect=True` when there is
no hope any more; `chat.lost` then tells why.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final

from quicchat import __version__
from quicchat.client.account import Account
from quicchat.client.chance import HERE, Surroundings
from quicchat.client.device import device_in
from quicchat.client.e2ee.api import Keys
from quicchat.client.e2ee.provider import Encryption
from quicchat.client.entry import enter
from quicchat.client.events import KeyNews, Line, Moved, Progress, Reset, Sent, Unsealed
from quicchat.client.inbox import Event
from quicchat.client.life import Dial, Life
from quicchat.client.login import Identity
from quicchat.client.memory import Entry, Kept, Memory, PlainMemory
from quicchat.client.memory_sqlite import open_memory
from quicchat.client.past import Past
from quicchat.client.places import Places
from quicchat.client.requests import Requests
from quicchat.client.room import Room
from quicchat.client.session import Session
from quicchat.client.state import State
from quicchat.client.talk import Talk
from quicchat.client.tracing import Tracing
from quicchat.client.trusting import Trusting
from quicchat.config import home
from quicchat.errors import Code, LinkLost
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.transport.link import Link
from quicchat.wire.chapters.messages import Kind, Message, Post, Posted, Window
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show
from quicchat.wire.chapters.rooms import RoomState
from quicchat.wire.registry import VERSIONS

if TYPE_CHECKING:
    from quicchat.client.tickets import Tickets
    from quicchat.transport.options import Options

__all__ = [
    "Chat",
    "Encryption",
    "Entry",
    "Identity",
    "KeyNews",
    "Kind",
    "Line",
    "Message",
    "Moved",
    "Post",
    "Posted",
    "Presence",
    "PresenceSnapshot",
    "Progress",
    "Reset",
    "Room",
    "RoomState",
    "Sent",
    "Show",
    "Trusting",
    "Unsealed",
    "Window",
    "connect",
    "meet",
    "open_memory",
]

AGENT = f"quicchat/{__version__}"
#: Seconds that a link and the negotiation on it may take.
TIMEOUT: Final = 5.0


class Chat:
    """One user's conversation with a server, logged in by `open`; `connect` and `meet` make it.

    What there is to say and to ask is bound in `__init__`, from `Talk`, `Past` and `Places`. `memory` and what was
    `kept` there go together. Without a link it makes its own by `dial`, and with `reconnect` others after it.
    """

    _life: Life | None = None
    _living: asyncio.Task[None] | None = None

    def __init__(
        self,
        link: Link | None,
        *,
        versions: tuple[int, ...] = VERSIONS,
        device: bytes = b"",
        limits: Limits | None = None,
        memory: Memory | None = None,
        kept: Kept | None = None,
        dial: Dial | None = None,
        reconnect: bool = True,
        timeout: float = TIMEOUT,
        surroundings: Surroundings = HERE,
        read_receipts: bool = True,
    ) -> None:
        self._session = session = Session(
            Hello(versions=versions, agent=AGENT, device=device or surroundings.chance(16)),
            memory=memory or PlainMemory(),
            kept=kept or Kept(),
            limits=limits,
            surroundings=surroundings,
            private=not read_receipts,
        )
        self._dial, self._reconnect, self._timeout = dial, reconnect, timeout
        if link is not None:
            session.attach(link)
        self.account, self.files, self.keys = Account(session), session.files, Keys(session)
        self.prefer, self.preferences = session.scribe.prefer, MappingProxyType(session.scribe.preferences)
        self._talk = talk = Talk(session)
        self.post, self.tell, self.broadcast = talk.post, talk.tell, talk.broadcast
        self.queue, self.withdraw, self.pin = talk.queue, talk.withdraw, talk.pin
        self.edit, self.retract, self.react = talk.edit, talk.retract, talk.react
        self.past, self.search_here, self.whole = (past := Past(session)).past, past.search_here, past.whole
        self.tracing, places = Tracing(session), Places(session)
        self.create, self.join, self.leave, self.room = places.create, places.join, places.leave, places.room
        self.rooms, self.members, self.targets = places.rooms, places.members, places.targets
        self.history, self.search, self.receipts = places.history, places.search, places.receipts
        self.set_room, self.set_rank, self.mark_read = places.set_room, places.set_rank, places.mark_read
        self.invite, self.kick, self.typing = places.invite, places.kick, places.typing
        self.active, self.show, self.hold, self.echo = places.active, places.show, places.hold, places.echo

    # Coming and going

    async def open(self, identity: Identity) -> None:
        """Negotiate, sign up if the identity says so, and log in: by the token that is remembered, or the password.

        Raises Refused when the server says no, LinkLost(NO_COMMON_VERSION) and others when the connection ends.
        """
        session = self._session
        session.state = replace(session.state, user=identity.user)
        session.device_name = identity.device_name
        life = Life(session, self._dial, identity, self._timeout) if self._dial is not None else None
        if life is not None:
            # An end that comes while we enter is no end of the session.
            session.on_lost = life.lost
        if session.attached or life is None:
            await enter(session, identity)
        else:
            early = await life.connect(identity)
            session.inbox.put(Line("online", early=early))
        if life is not None and not self._reconnect:
            session.on_lost = session.over
            if session.requests.lost is not None:
                session.over(session.requests.lost)
        elif life is not None:
            self._life = life
            self._living = asyncio.get_running_loop().create_task(life.run())

    async def close(self, reason: str = "quit") -> None:
        """Say goodbye, let the server finish what we asked, and wait until the connection is closed."""
        if self._living is not None:
            self._living.cancel()
            await asyncio.wait([self._living])
        await self._session.leave_taking(reason)
        await self._session.close()

    async def ping(self) -> float:
        """Seconds to the server and back."""
        return await self._session.ping()

    async def migrate(self, local_port: int = 0) -> float:
        """Go on from another local address or port; the session and all that runs continue. Returns the new RTT.

        While there is no connection, the next one is tried at once. Raises UsageError where the port cannot be had.
        """
        if self._life is not None and not self._life.online:
            await self._life.hurry()
        else:
            self.link.migrate(local_port)
        rtt = await self.ping()
        self._session.inbox.put(Line("moved"))
        return rtt

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # What is so

    @property
    def state(self) -> State:
        """Rooms and people as they are now."""
        return self._session.state

    @property
    def outbox(self) -> list[Entry]:
        """As `Talk.outbox`."""
        return self._talk.outbox

    @property
    def memory(self) -> Memory:
        """What this device remembers."""
        return self._session.scribe.memory

    @property
    def link(self) -> Link:
        """What carries the connection of the moment."""
        return self._requests.link

    @property
    def lost(self) -> LinkLost | None:
        """Why it is over; None while it lives, or may live again."""
        return self._session.lost

    @property
    def version(self) -> int:
        """The protocol version in use."""
        return self._requests.version

    @property
    def rtt(self) -> float | None:
        """Seconds that the last PING took, or None before the first."""
        return self._requests.connection.health.rtt

    @property
    def _requests(self) -> Requests:
        return self._session.requests

    @property
    def _negotiated(self) -> asyncio.Future[None]:
        return self._requests.negotiated

    # Listening

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self._session.inbox.next()
        if event is None:
            raise StopAsyncIteration
        return event


async def meet(
    host: str,
    port: int,
    *,
    trusting: Trusting,
    versions: tuple[int, ...] = VERSIONS,
    device: bytes = b"",
    timeout: float = TIMEOUT,
    reconnect: bool = False,
    memory: Memory | None = None,
    tickets: Tickets | None = None,
    read_receipts: bool = True,
    surroundings: Surroundings = HERE,
) -> Chat:
    """A connection whose version is agreed, for `Chat.open`; the caller closes it, and the memory after it.

    With `reconnect` it goes on over other connections once it is logged in. Raises LinkLost where there is no
    server, none in time (seconds), or none that we understand; UsageError where it is not to be trusted.
    """
    # What speaks QUIC takes as long to import as all the rest: not before there is somebody to speak to.
    from quicchat.client.connect import reach

    kept = await memory.load() if memory is not None else None
    try:
        async with asyncio.timeout(timeout):
            chat = Chat(
                await reach(host, port, trusting, tickets=tickets, options=_options(surroundings)),
                versions=versions,
                device=device,
                memory=memory,
                kept=kept,
                dial=_dialing(host, port, trusting, tickets, surroundings, met=True) if reconnect else None,
                timeout=timeout,
                read_receipts=read_receipts,
                surroundings=surroundings,
            )
            try:
                await chat._negotiated
            except BaseException:
                await chat.close()
                raise
    except TimeoutError:
        raise LinkLost(Code.NEGOTIATION_TIMEOUT, f"no answer within {timeout:g} s", remote=False) from None
    return chat


@asynccontextmanager
async def connect(
    host: str = "localhost",
    port: int = 55667,
    *,
    identity: Identity,
    trusting: Trusting | None = None,
    data: Path | None = None,
    versions: tuple[int, ...] = VERSIONS,
    timeout: float = TIMEOUT,
    reconnect: bool = False,
    memory: Memory | None = None,
    read_receipts: bool = True,
) -> AsyncIterator[Chat]:
    """A conversation, logged in; when the block is left, it ends with a goodbye.

    `data` is the directory that keeps the id of this device and the servers it knows; usually that of the client
    program. `memory` (`open_memory`) keeps what was said and heard over the runs of a program. With `reconnect`
    the conversation survives its connections. Raises as `meet` and `Chat.open`.
    """
    from quicchat.client.tickets import Tickets

    place = data or home(os.environ) / "client"
    trusting = trusting or Trusting(known_hosts=place / "known_hosts")
    chat = Chat(
        None,
        versions=versions,
        device=device_in(place),
        memory=memory,
        kept=await memory.load() if memory is not None else None,
        dial=_dialing(host, port, trusting, Tickets(place / "tickets")),
        reconnect=reconnect,
        timeout=timeout,
        read_receipts=read_receipts,
    )
    async with chat:
        await chat.open(identity)
        yield chat


def _options(surroundings: Surroundings) -> Options | None:
    """How links are to be, where that is not as usual."""
    if surroundings.qlog is None:
        return None
    from quicchat.transport.options import Options

    return Options(qlog=surroundings.qlog)


def _dialing(
    host: str,
    port: int,
    trusting: Trusting,
    tickets: Tickets | None,
    surroundings: Surroundings = HERE,
    *,
    met: bool = False,
) -> Dial:
    """Links to a server; once it was `met`, whoever has another key is not believed, and nobody is asked."""
    known = replace(trusting, ask=None, accept_new=False)

    async def dial(early: bool) -> Link:
        from quicchat.client.connect import reach

        nonlocal met
        options = _options(surroundings)
        link = await reach(host, port, known if met else trusting, tickets=tickets, early=early, options=options)
        met = True
        return link

    return dial
