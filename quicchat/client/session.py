"""One user on one device, over all connections: what comes is sorted here. (spec 03-session)"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from quicchat.client import bodies
from quicchat.client.chance import HERE, Surroundings, number
from quicchat.client.delivery import Delivery
from quicchat.client.e2ee.engine import provider
from quicchat.client.e2ee.keyring import Keyring
from quicchat.client.e2ee.wires import Wires
from quicchat.client.events import Reset
from quicchat.client.fetch import Fetch
from quicchat.client.files.api import Files
from quicchat.client.inbox import Inbox
from quicchat.client.lanes import Lanes
from quicchat.client.memory import Cursor, Kept, Memory, Salt
from quicchat.client.posting import Posting
from quicchat.client.receipts import Receipts
from quicchat.client.requests import Requests
from quicchat.client.scribe import Scribe
from quicchat.client.state import RoomView, State, marked, named, reduce
from quicchat.client.traces import Traces
from quicchat.client.whispers import Whispers
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.protocol.connection import Connection
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.transport.link import Link
from quicchat.wire.chapters.accounts import AuthOk, Resumed
from quicchat.wire.chapters.messages import PAGE, Kind, Message, Posted, ReceiptEvent, ReceiptList
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show, Tick, Typing
from quicchat.wire.chapters.rooms import Invite, RoomHead, RoomState
from quicchat.wire.chapters.session import Bye, Error, Goaway, Ping, Pong
from quicchat.wire.names import Room, parties
from quicchat.wire.registry import Pdu, Role

#: What the application hears of as it came.
_TOLD = (Presence, PresenceSnapshot, Typing, Tick, Invite, Goaway, Bye, ReceiptEvent)


#: Seconds that a link which was given up may keep its socket after the end, to repeat its close.
PARTING: Final = 1.0


class Session:
    """Calling order: `attach` a link, `entry.enter` on it, and once that is lost the same again with the next one.

    `on_lost` is told when a connection ends; by default that is the end of the session.
    """

    #: What people call this device, as it is told with the login.
    device_name = ""

    def __init__(
        self,
        hello: Hello,
        *,
        memory: Memory,
        kept: Kept,
        limits: Limits | None = None,
        surroundings: Surroundings = HERE,
        private: bool = False,
    ) -> None:
        self.hello, self._limits = hello, limits
        self._loop = asyncio.get_running_loop()
        self.surroundings = surroundings
        #: Rooms and people as they are now; before the first login, the rooms of which this device knows.
        self.state = State(rooms={room: _known(room, each) for room, each in kept.cursors.items()})
        self.inbox = Inbox(Traces(surroundings.wall))
        self.scribe = Scribe(memory, kept, self._on_kept)
        self.provider = provider(self.scribe, _wires(self))
        self.delivery = Delivery(self.scribe, self.inbox, self.provider, partial(_unfolded, self), self._on_opened)
        self.fetch = Fetch(self.delivery, kept.cursors, on_reset=self._on_reset, on_left=self.leave)
        self.posting = Posting(self.scribe, self.inbox, kept, self.provider, self.fetch.said)
        sealing = Keyring(self.scribe), self.provider.seals
        self.files = Files(self.inbox, self.posting, memory, kept.uploads, surroundings, *sealing)
        self.receipts = Receipts(
            lambda pdu: self.requests.tell(pdu),
            # On the same stream, so that the server knows by then what was read.
            lambda: self._work(self._compare(self.requests, aside=False)),
            private=private,
        )
        self.whispers = Whispers(lambda pdu: self.requests.whisper(pdu), int(self.surroundings.wall() * 1000))
        self.inbox.on_given, self.inbox.on_room = self.scribe.given, self.fetch.wake
        for held in kept.waiting:
            self.delivery.show(held)
        self.on_lost: Callable[[LinkLost], None] = self.over
        #: What the password was salted with at the last login.
        self.salt: Salt | None = kept.token.salt if kept.token is not None else None
        self.goaway: Goaway | None = None
        #: Why there will be no other connection, once that is so.
        self.lost: LinkLost | None = None
        self._requests: Requests | None = None
        #: Connections whose links may still have something of the system.
        self._fading: list[Requests] = []
        self._lanes: Lanes | None = None
        #: In the order of their beginning: two runs of a simulation end them alike.
        self._tasks: dict[asyncio.Task[None], None] = {}
        #: What came behind the answer to a login, until that was found to be good.
        self._early: list[tuple[Pdu, bool]] | None = None

    # Connections

    @property
    def requests(self) -> Requests:
        """The connection of the moment, or the last one. Raises LinkLost before the first."""
        if self._requests is None:
            raise LinkLost(Code.NO_ERROR, "there is no connection", remote=False)
        return self._requests

    @property
    def attached(self) -> bool:
        """Whether there has been any connection."""
        return self._requests is not None

    @property
    def ready(self) -> bool:
        """Whether we are logged in on a connection that is there."""
        return self._lanes is not None and self.requests.lost is None

    def attach(self, link: Link) -> Requests:
        """Begin to negotiate on a new link."""
        connection = Connection(
            Role.CLIENT,
            self.hello,
            now=self._loop.time(),
            wall=self.surroundings.wall(),
            limits=self._limits,
            seed=number(self.surroundings.chance),
        )
        self._early = self.goaway = self._lanes = None
        nth = self._requests.number + 1 if self._requests is not None else 1
        requests = Requests(
            link,
            connection,
            # What is left of an attempt that failed says nothing of the next one.
            on_pdu=lambda pdu: self._on_pdu(pdu) if requests is self._requests else None,
            on_lost=lambda lost: self._on_lost(lost) if requests is self._requests else None,
            on_ended=lambda sid: self._lanes.ended(sid) if self._lanes and requests is self._requests else None,
            number=nth,
            recorder=self.surroundings.flights.recorder() if self.surroundings.flights is not None else None,
        )
        self._requests = requests
        self._fading = [*(each for each in self._fading if not each.driver.gone.is_set()), requests]
        connection.start(link.open())
        return requests

    def begin(self, requests: Requests, *, cut: bool) -> None:
        """The login was good: what came behind it is believed, and work begins. With `cut` it told not all heads."""
        self._lanes = lanes = Lanes(requests)
        early, self._early = self._early or [], None
        for pdu, answering in early:
            self._sort(pdu, answering)
        self._work(self.provider.begin(requests))
        self._work(_recount(self))
        self._work(self.fetch.run(requests))
        self._work(self.posting.carry(requests, lanes))
        self.files.begin(requests, self.state.user)
        if requests.version > 1:
            self._work(self.posting.ask_receipts(requests))
            if cut:
                self._work(self._compare(requests))
            self.receipts.begin()
        self.delivery.resume()

    async def leave_taking(self, reason: str) -> None:
        """Say goodbye, let the server finish what we asked, and wait until the connection is closed."""
        await self.files.close()
        if self._requests is not None:
            if self._requests.lost is None:
                await self.scribe.flush()
                self.receipts.flush()
                self._requests.driver.leave(reason)
            await asyncio.shield(self._requests.ended)
        self.over(LinkLost(Code.NO_ERROR, reason, remote=False))

    def over(self, lost: LinkLost) -> None:
        """There will be no other connection."""
        self.lost = self.lost or lost
        self.posting.over(lost)
        self.files.over(lost)
        self.whispers.close()
        self.inbox.close()

    async def close(self) -> None:
        """Write what is left, and wait until all links are over; the memory stays open, for whoever opened it."""
        self.delivery.close()
        await self.files.close()
        await self.provider.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.scribe.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                for requests in self._fading:
                    await requests.driver.gone.wait()

    # What the user does beside talking

    def appear(self, show: Show, status: str | None = None) -> None:
        """The server tells everybody else."""
        self.state = reduce(self.state, Presence(user=self.state.user, show=show, status=status), self._loop.time())

    def leave(self, room: str) -> None:
        """A room is ours no more."""
        self.fetch.leave(room)
        self.receipts.forget(room)
        self.delivery.drop(room)
        if self._lanes is not None:
            self._lanes.leave(room)
        self.scribe.drop(room, choices=True)
        rooms = {name: view for name, view in self.state.rooms.items() if name != room}
        self.state = replace(self.state, rooms=rooms)

    def read(self, room: str, seq: int | None) -> None:
        """The user has read a room up to a place, or all of it."""
        upto = seq if seq is not None else self.fetch.place(room)
        if not self.scribe.read(room, upto):
            return
        self.state = marked(self.state, room, upto)
        view = self.state.rooms.get(room)
        if self.scribe.ignored.isdisjoint(parties(Room(room)) or ()):
            self.receipts.read(room, upto, left=view is not None and upto < view.head and view.unread is not None)

    async def ping(self) -> float:
        """Seconds to the server and back."""
        start = self._loop.time()
        await self.requests.ask(Ping(nonce=number(self.surroundings.chance)), Pong)
        return self._loop.time() - start

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _compare(self, requests: Requests, *, aside: bool = True) -> None:
        """The server knows what we do not: all heads, and how much is unread."""
        try:
            await self.fetch.compare(requests, aside=aside)
        except (Refused, LinkLost, LocalProtocolError):
            # The next PONG shows whether it is still so.
            return

    # What comes

    def _on_pdu(self, pdu: Pdu) -> None:
        answering = self.requests.answering
        if self._early is not None:
            self._early.append((pdu, answering))
        elif isinstance(pdu, AuthOk | Resumed):
            self._early = []
        else:
            self._sort(pdu, answering)

    def _sort(self, pdu: Pdu, answering: bool) -> None:
        if isinstance(pdu, Message) and self._is_late(pdu):
            return
        is_told = isinstance(pdu, Message) and pdu.epoch is None and pdu.seq > self.fetch.place(pdu.room)
        if is_told and not self.delivery.room:
            # Version 1 pushes whether anybody reads or not. What was not confirmed by a PONG comes again later.
            self.requests.driver.fail(Code.SLOW_CONSUMER, "The application does not read.")
            return
        if isinstance(pdu, Typing) and pdu.user in self.scribe.ignored:
            return
        now = self._loop.time()
        if isinstance(pdu, RoomState) and pdu.room not in self.state.rooms:
            self.provider.entered(pdu.room, pdu.head)
        self.provider.heard(pdu)
        self.state = reduce(self.state, pdu, now)
        match pdu:
            case Message():
                self.inbox.traces.came(pdu, self.requests.number, self.requests.heard_on)
                self.fetch.take(pdu)
                self._active(pdu.room)
                if pdu.kind is Kind.LEAVE and pdu.sender == self.state.user and pdu.room not in self.state.rooms:
                    self._put_out(pdu)
            case Posted():
                self.posting.stored(pdu, self.state.user)
                self._active(pdu.room)
            case RoomHead():
                self.fetch.know(pdu.room, pdu.epoch, pdu.head)
            case RoomState():
                self.fetch.enter(pdu.room, pdu.epoch, pdu.head)
                if not answering:
                    self.inbox.put(pdu)
            case Error(detail=bytes() as cid) if not answering:
                self.posting.refused(cid, pdu)
            case ReceiptEvent() | ReceiptList():
                self.posting.heard(pdu)
            case Pong():
                self._pong(pdu, now)
            case Goaway():
                self.goaway = pdu
        if isinstance(pdu, _TOLD):
            self.inbox.put(pdu)

    def _is_late(self, event: Message) -> bool:
        """Whether it was on its way, on the room's own stream perhaps, when we left the room."""
        if event.epoch is None or event.room in self.state.rooms or event.room.startswith("@") or self.fetch.cut:
            return False
        return not (event.kind is Kind.JOIN and event.sender == self.state.user)

    def _pong(self, pdu: Pong, now: float) -> None:
        if self._lanes is None:
            return
        self._lanes.rest(now)
        if pdu.digest is not None and self.fetch.doubt(pdu.digest):
            self._work(self._compare(self.requests))

    def _put_out(self, event: Message) -> None:
        """We left by another device, or somebody made us leave: what is missing before that, nobody tells us now."""
        if self.fetch.place(event.room) < event.seq:
            self.inbox.put(event)
        self.leave(event.room)

    def _active(self, room: str) -> None:
        if self._lanes is not None:
            self._lanes.active(room, self._loop.time(), self.fetch.place(room))

    def _on_lost(self, lost: LinkLost) -> None:
        # Each has a task that waits on the connection, and ends with it.
        self.provider.lost()
        self.posting.lost()
        self.fetch.wake()
        self.receipts.lost()
        self.on_lost(lost)

    def _on_opened(self, event: Message) -> None:
        """Whom a sealed message names, the server cannot count."""
        self.state = named(self.state, event)

    def _on_kept(self, cursors: Mapping[str, Cursor]) -> None:
        for room, cursor in cursors.items():
            if self.scribe.ignored.isdisjoint(parties(Room(room)) or ()):
                self.receipts.delivered(room, cursor.seq)
        self.fetch.wake()

    def _on_reset(self, room: str, epoch: int) -> None:
        self.provider.replaced(room)
        self.scribe.drop(room)
        self.receipts.forget(room)
        self.posting.tracker.forget(room)
        self.inbox.traces.forget(room)
        self.inbox.put(Reset(room))


def _known(room: str, cursor: Cursor) -> RoomView:
    """A room as this device left it; how much of it is unread, only the server can tell."""
    return RoomView(room=room, epoch=cursor.epoch, head=cursor.seq, read=cursor.read)


async def _unfolded(session: Session, event: Message) -> str:
    """The whole of a long text."""
    return await bodies.unfold(session.requests, event, session.provider.file_key)


async def _recount(session: Session) -> None:
    """Whom the last sealed messages name that were held by an earlier run, and are not read yet."""
    for room, cursor in list(session.scribe.cursors.items()):
        if cursor.read < cursor.seq and session.provider.standing(room).state != "plain":
            for each in await session.scribe.memory.page(room, limit=PAGE):
                session.state = named(session.state, each.event)


def _wires(session: Session) -> Wires:
    return Wires(
        surroundings=session.surroundings,
        requests=lambda: session.requests,
        user=lambda: session.state.user,
        device=lambda: session.device_name,
        rooms=lambda: session.state.rooms,
        tell=session.inbox.put,
        stored=lambda event: session.fetch.said(event, None),
        rewrite=session.scribe.rewrite,
        release=lambda: session.posting.release(),
    )
