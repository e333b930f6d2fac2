"""The client library, and the way to write bots. (spec README)

    async with connect("chat.example.org", identity=Identity(user="bot", password=word)) as chat:
        await chat.post("general", "Good morning.")
        async for event in chat:
            if isinstance(event, Message) and event.text == "!time":
                await chat.post(event.room, "Late.")

Every event is a PDU of the protocol (`quicchat.wire.chapters`): `Message` in unbroken order room by room,
`Presence`, `RoomState`. The iteration ends when the connection does; `chat.lost` then tells why.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from quicchat import __version__
from quicchat.client import login
from quicchat.client.connect import Trusting, reach
from quicchat.client.device import device_in
from quicchat.client.fetch import Fetch
from quicchat.client.login import Identity
from quicchat.client.requests import Requests
from quicchat.client.state import State, reduce
from quicchat.config import home
from quicchat.errors import Code, LinkLost
from quicchat.protocol.connection import Connection
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.transport.link import Link
from quicchat.wire import codec
from quicchat.wire.chapters.messages import History, HistoryPage, Kind, Message, Post, Posted, Window, recorded
from quicchat.wire.chapters.presence import Presence, PresenceSet, PresenceSnapshot, Show
from quicchat.wire.chapters.rooms import (
    EPHEMERAL,
    Create,
    Join,
    Leave,
    ListMembers,
    ListRooms,
    MemberList,
    RoomHead,
    RoomList,
    RoomState,
)
from quicchat.wire.chapters.session import Bye, Echo, Goaway, Ok, Ping, Pong, VersionResponse
from quicchat.wire.names import ANNOUNCEMENTS
from quicchat.wire.registry import VERSIONS, Pdu, Role

__all__ = [
    "Chat",
    "Identity",
    "Kind",
    "Message",
    "Posted",
    "Presence",
    "PresenceSnapshot",
    "RoomState",
    "Show",
    "Trusting",
    "Window",
    "connect",
    "meet",
]

AGENT = f"quicchat/{__version__}"


class Chat:
    """One connection, negotiated and logged in by `open`; `connect` and `meet` make it, over a link of their own."""

    def __init__(
        self,
        link: Link,
        *,
        versions: tuple[int, ...] = VERSIONS,
        device: bytes = b"",
        limits: Limits | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        hello = Hello(versions=versions, agent=AGENT, device=device or secrets.token_bytes(16))
        connection = Connection(
            Role.CLIENT, hello, now=self._loop.time(), wall=_wall(), limits=limits, seed=secrets.randbits(32)
        )
        #: Rooms and people as they are now.
        self.state = State()
        #: What carries the connection.
        self.link = link
        self._events: asyncio.Queue[Pdu | None] = asyncio.Queue()
        self._negotiated: asyncio.Future[None] = self._loop.create_future()
        self._requests = Requests(link, connection, on_pdu=self._on_pdu, on_lost=self._on_lost)
        self._fetch = Fetch(self._requests, self._events.put_nowait)
        self._fetching: asyncio.Task[None] | None = None
        connection.start(link.open())

    # Coming and going

    async def open(self, identity: Identity) -> None:
        """Negotiate, sign up if the identity says so, and log in.

        Raises Refused when the server says no, LinkLost(NO_COMMON_VERSION) and others when the connection ends.
        """
        await self._negotiated
        if identity.sign_up:
            await login.sign_up(self._requests, identity)
        answer = await login.log_in(self._requests, identity, self.link.certificate_hash)
        self._fetch.begin(answer.heads or ())
        self._fetching = self._loop.create_task(self._fetch.run())

    async def close(self, reason: str = "quit") -> None:
        """Say goodbye, let the server finish what we asked, and wait until the connection is closed."""
        if self._requests.lost is None:
            self._fetch.flush_receipts()
            self._requests.driver.leave(reason)
        await asyncio.shield(self._requests.ended)
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def lost(self) -> LinkLost | None:
        """Why the connection ended; None while it lives."""
        return self._requests.lost

    @property
    def version(self) -> int:
        """The protocol version in use."""
        return self._requests.connection.version or 0

    @property
    def rtt(self) -> float | None:
        """Seconds that the last PING took, or None before the first."""
        return self._requests.connection.health.rtt

    # Talking

    async def post(self, room: str, text: str, *, kind: Kind = Kind.TEXT, cid: bytes | None = None) -> Posted:
        """Say something in a room; returns when it is stored. A retry with the same `cid` is harmless.

        Raises Refused(NOT_MEMBER) and others; LinkLost when it is not known whether it was stored.
        """
        return await self._post(Post(room=room, cid=cid or secrets.token_bytes(16), text=text, **_facts(kind)))

    async def tell(self, user: str, text: str, *, kind: Kind = Kind.TEXT, cid: bytes | None = None) -> Posted:
        """Say something to one user, who gets it now or when he comes. Raises Refused(NO_SUCH_USER)."""
        return await self._post(Post(user=user, cid=cid or secrets.token_bytes(16), text=text, **_facts(kind)))

    async def broadcast(self, text: str) -> Posted:
        """Announce something to everybody, present or not."""
        return await self.post(ANNOUNCEMENTS, text)

    async def echo(self, text: str) -> str:
        """What the server sends back: the same text."""
        return (await self._requests.ask(Echo(data=text), Echo)).data

    async def ping(self) -> float:
        """Seconds to the server and back."""
        start = self._loop.time()
        await self._requests.ask(Ping(nonce=secrets.randbits(32)), Pong)
        return self._loop.time() - start

    # Rooms and people

    async def create(self, room: str, *, topic: str | None = None, ephemeral: bool = False) -> RoomState:
        """Make a room and enter it. Raises Refused(ROOM_EXISTS)."""
        return await self._requests.ask(
            Create(room=room, topic=topic, policy=EPHEMERAL if ephemeral else None), RoomState
        )

    async def join(self, room: str, *, create: bool = False, ephemeral: bool = False) -> RoomState:
        """Enter a room, making it where `create` says so. Raises Refused(NO_SUCH_ROOM)."""
        policy = EPHEMERAL if create and ephemeral else None
        return await self._requests.ask(Join(room=room, create=create or None, policy=policy), RoomState)

    async def leave(self, room: str) -> None:
        """Leave a room. Raises Refused(NOT_MEMBER)."""
        await self._requests.ask(Leave(room=room), Ok)
        self._fetch.leave(room)
        rooms = {name: view for name, view in self.state.rooms.items() if name != room}
        self.state = replace(self.state, rooms=rooms)

    async def rooms(self) -> Sequence[tuple[str, int, str, bool]]:
        """All rooms by name: (room, members, topic, whether we are in)."""
        found: list[tuple[str, int, str, bool]] = []
        while True:
            after = found[-1][0] if found else None
            page = await self._requests.ask(ListRooms(after=after), RoomList, aside=True)
            found += page.rooms
            if not page.more:
                return found

    async def members(self, room: str) -> Sequence[tuple[str, bool]]:
        """The members of a room by name: (user, whether online). Raises Refused(NO_SUCH_ROOM)."""
        found: list[tuple[str, bool]] = []
        while True:
            after = found[-1][0] if found else None
            page = await self._requests.ask(ListMembers(room=room, after=after), MemberList, aside=True)
            found += page.members
            if not page.more:
                return found

    async def history(
        self, room: str, *, window: Window = Window.LATEST, anchor: int | None = None, limit: int = 50
    ) -> Sequence[Message]:
        """A page of a room's log, ascending; it does not move what this device has."""
        ask = History(room=room, window=window, anchor=anchor, limit=limit)
        page = await self._requests.ask(ask, HistoryPage, aside=True)
        return [codec.decode_body(Message, body, version=self.version) for body in page.events]

    async def show(self, show: Show, status: str | None = None) -> None:
        """Tell the others how available one is."""
        await self._requests.ask(PresenceSet(show=show, status=status), Ok)

    # Listening

    def __aiter__(self) -> AsyncIterator[Pdu]:
        return self

    async def __anext__(self) -> Pdu:
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)
            raise StopAsyncIteration
        return event

    # What comes

    def _on_pdu(self, pdu: Pdu) -> None:
        if isinstance(pdu, VersionResponse):
            if not self._negotiated.done():
                if pdu.version:
                    self._negotiated.set_result(None)
                else:
                    self._negotiated.set_exception(_rejected(pdu))
            return
        self.state = reduce(self.state, pdu)
        match pdu:
            case Message():
                self._fetch.take(pdu)
            case RoomHead():
                self._fetch.know(pdu.room, pdu.epoch, pdu.head)
            case RoomState():
                self._fetch.enter(pdu.room, pdu.epoch, pdu.head)
            case Presence() | PresenceSnapshot() | Goaway() | Bye():
                self._events.put_nowait(pdu)

    def _on_lost(self, lost: LinkLost) -> None:
        if not self._negotiated.done():
            self._negotiated.set_exception(lost)
        self._events.put_nowait(None)

    async def _post(self, post: Post) -> Posted:
        answer = await self._requests.ask(post, Posted)
        user, epoch = self.state.user, answer.epoch
        self._fetch.take(recorded(post, room=answer.room, epoch=epoch, seq=answer.seq, sender=user, ts=answer.ts))
        return answer


def _rejected(answer: VersionResponse) -> LinkLost:
    """Why there is no version: which ones the server speaks."""
    spoken = sorted(answer.versions)
    whole = len(spoken) > 1 and spoken == list(range(spoken[0], spoken[-1] + 1))
    words = f"{spoken[0]}..{spoken[-1]}" if whole else ", ".join(map(str, spoken))
    return LinkLost(Code.NO_COMMON_VERSION, f"server speaks {words}")


def _facts(kind: Kind) -> dict[str, Any]:
    """What every post carries besides its text; the usual kind is left out."""
    return {"kind": None if kind is Kind.TEXT else kind, "sent": int(_wall() * 1000)}


async def meet(
    host: str,
    port: int,
    *,
    trusting: Trusting,
    versions: tuple[int, ...] = VERSIONS,
    device: bytes = b"",
    timeout: float = 5.0,
) -> Chat:
    """A connection whose version is agreed, for `Chat.open`; the caller closes it.

    Raises LinkLost where there is no server, none in time (seconds), or none that we understand; UsageError where
    it is not to be trusted.
    """
    try:
        async with asyncio.timeout(timeout):
            chat = Chat(await reach(host, port, trusting), versions=versions, device=device)
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
    timeout: float = 5.0,
) -> AsyncIterator[Chat]:
    """A conversation, logged in; when the block is left, it ends with a goodbye.

    `data` is the directory that keeps the id of this device and the servers it knows; usually that of the client
    program. Raises as `meet` and `Chat.open`.
    """
    place = data or home(os.environ) / "client"
    trusting = trusting or Trusting(known_hosts=place / "known_hosts")
    chat = await meet(host, port, trusting=trusting, versions=versions, device=device_in(place), timeout=timeout)
    async with chat:
        await chat.open(identity)
        yield chat


def _wall() -> float:
    """Unix time in seconds: told to the server, never relied on."""
    return time.time()  # noqa: TID251 - the one place where a client reads the time of day
