"""One session, its services played by the test, on a link that writes down what it is told. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from quicchat.errors import Refused
from quicchat.protocol.events import Bytes, Closed, Datagram, Established
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.server.effects import (
    Admit,
    Arrived,
    Deliver,
    Departed,
    Effects,
    InRooms,
    Lagging,
    Reply,
    Resumption,
    Settle,
    Tell,
    Tidings,
    Uploaded,
)
from quicchat.server.feed import BUDGET
from quicchat.server.handler import Dispatch, handles
from quicchat.server.house import House
from quicchat.server.model import Actor, SessionId
from quicchat.server.rates import Rates
from quicchat.server.router import Router
from quicchat.server.session import Session
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import AuthOk, AuthResponse, AuthStart, Resume, Resumed, Signup
from quicchat.wire.chapters.files import FileHeader, GetFile
from quicchat.wire.chapters.messages import History, Kind, Message, Post, PostMany, Receipt
from quicchat.wire.chapters.presence import Typing
from quicchat.wire.chapters.rooms import Join, Leave, RoomHead
from quicchat.wire.chapters.session import Error, VersionRequest
from quicchat.wire.names import GENERAL, Room, User
from quicchat.wire.registry import Pdu
from tests.protocol.line import CHALLENGE, CONTROL, REQUEST, RESPONSE, START, read, write
from tests.transport.driving import Wire

R1, R2 = Room("r1"), Room("r2")
ALICE, BOB = User("alice"), User("bob")
TOKEN = bytes(32)
RESUME = Resume(token=TOKEN, have=(), outstanding=())
RESUMED = Resumed(session=1, token=TOKEN, rooms=(), known=(), user=ALICE, expires=1, proof=bytes(32))
SETTLED = Resumption(user=ALICE, old=TOKEN, new=TOKEN, expires=1, device_name="", heads={})
SIGN_UP = Signup(user="eve", salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))
Answer = Callable[[Actor, object], Effects]


class Link(Wire):
    """One on which somebody may log in."""

    def authenticated(self, owner: str = "") -> None:
        self.is_known = True


class Script:
    """Every service at once: does what the test says, after what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.gates: dict[type, asyncio.Event] = {}
        self.answers: dict[type, Answer | Refused] = {
            AuthStart: lambda *_: [Reply(CHALLENGE)],
            AuthResponse: lambda actor, _: [
                Admit(ALICE, {GENERAL: 0}, {GENERAL: (1, 0)}),
                Reply(AuthOk(user=ALICE, session=actor.session, proof=b"proof")),
            ],
        }

    @handles(AuthStart, AuthResponse, Resume, Resumption, Signup, Arrived, Departed, Lagging, Tidings)
    async def happen(self, actor: Actor, pdu: object) -> Effects:
        return await self._do(actor, pdu)

    @handles(Post, PostMany, Receipt, History, Join, Leave, Typing, GetFile, FileHeader, Uploaded)
    async def serve(self, actor: Actor, pdu: object) -> Effects:
        return await self._do(actor, pdu)

    def hold(self, kind: type) -> asyncio.Event:
        """Let the handler of these wait until the event is set."""
        self.gates[kind] = asyncio.Event()
        return self.gates[kind]

    def got(self, kind: type) -> list[object]:
        """What it was asked of one type."""
        return [each for each in self.asked if type(each) is kind]

    async def _do(self, actor: Actor, pdu: object) -> Effects:
        self.asked.append(pdu)
        if type(pdu) in self.gates:
            await self.gates[type(pdu)].wait()
        answer = self.answers.get(type(pdu))
        if isinstance(answer, Refused):
            raise answer
        return [] if answer is None else answer(actor, pdu)


class Floor:
    """A house with one kind of service; `enter` brings in a client."""

    def __init__(self, tasks: asyncio.TaskGroup, limits: Limits | None, rates: Rates | None) -> None:
        self.script = Script()
        self.router = Router()
        self.house = House(
            dispatch=Dispatch([self.script]),
            router=self.router,
            tasks=tasks,
            hello=Hello(mechanisms=("SCRAM-SHA-256",)),
            limits=limits or Limits(),
            backlog=BUDGET,
            rates=rates,
        )
        self.guests: list[Guest] = []

    def arrive(self, *, early: bool = False, address: str = "192.0.2.1:9", request: VersionRequest = REQUEST) -> Guest:
        """A connection whose version is agreed on; its handshake is complete unless it is `early`."""
        guest = Guest(self, len(self.guests) + 1, address)
        self.guests.append(guest)
        if not early:
            guest.link.on_events([Established()])
        guest.hear(request, version=1)
        return guest

    async def enter(self, *, address: str = "192.0.2.1:9", request: VersionRequest = REQUEST) -> Guest:
        """A client that is logged in; what was said until then is forgotten."""
        guest = self.arrive(address=address, request=request)
        for word in (START, RESPONSE):
            guest.hear(word)
            await idle()
        assert guest.session._actor.user == ALICE, guest.said()
        guest.link.done.clear()
        return guest


class Guest:
    """A client of whom nothing is there but his link."""

    def __init__(self, floor: Floor, number: int, address: str) -> None:
        self.link = Link()
        self.link.peer = address
        self.session = Session(SessionId(number), self.link, floor.house, wall=1_800_000_000.0, seed=number)
        floor.router.add(self.session)

    def hear(self, *pdus: Pdu, sid: int = CONTROL, id: int | None = None, version: int | None = None) -> None:
        """Let the session receive PDUs."""
        written = version or self.session.version
        self.link.on_events([Bytes(sid, write(pdu, version=written, id=id)) for pdu in pdus])

    def said(self, kind: type[Pdu] = Pdu, sid: int | None = None) -> list[Pdu]:
        """The PDUs that the session sent, of one type, on one stream."""
        return [each.pdu for each in read(self.link.done, sid) if isinstance(each.pdu, kind)]

    def answers(self) -> list[tuple[Pdu, int | None]]:
        """The PDUs that the session sent, each with the request that it answers."""
        return [(each.pdu, each.re) for each in read(self.link.done) if isinstance(each.pdu, Pdu)]

    def hints(self) -> list[object]:
        """The PDUs that it sent in datagrams."""
        return [codec.decode(each.data).pdu for each in self.link.done if isinstance(each, Datagram)]

    def refusals(self) -> list[tuple[int, int | None]]:
        """Code and request of every ERROR."""
        return [(each.pdu.code, each.re) for each in read(self.link.done) if isinstance(each.pdu, Error)]

    def leave(self) -> None:
        """Vanish."""
        if not self.session.over.done():
            self.link.on_events([Closed(0, "gone")])


@asynccontextmanager
async def floor(*, limits: Limits | None = None, rates: Rates | None = None) -> AsyncIterator[Floor]:
    """A house that is left in good order."""
    async with asyncio.TaskGroup() as tasks:
        here = Floor(tasks, limits, rates)
        yield here
        for gate in here.script.gates.values():
            gate.set()
        for guest in here.guests:
            guest.leave()


async def idle(seconds: float = 0.001) -> None:
    """Let everything happen that needs no more time than this."""
    await asyncio.sleep(seconds)


def message(seq: int, room: Room = GENERAL, *, sender: User = BOB, kind: Kind = Kind.TEXT, text: str = "hi") -> Message:
    return Message(room=room, epoch=1, seq=seq, cid=bytes(16), sender=sender, kind=kind, ts=1, text=text)


def post(number: int) -> Post:
    return Post(room=GENERAL, cid=number.to_bytes(16, "big"), text=str(number))


def tell(here: Floor, event: Message) -> None:
    here.router.deliver(Deliver(event, InRooms(frozenset({Room(event.room)}))))


def resumes(here: Floor) -> None:
    """The services let alice resume."""
    here.script.answers[Resume] = lambda *_: [Reply(RESUMED), Tell(message(7)), Settle(SETTLED)]
    here.script.answers[Resumption] = lambda *_: [
        Admit(ALICE, {GENERAL: 7}, {GENERAL: (1, 7)}),
        Tell(RoomHead(room=GENERAL, epoch=1, head=8)),
    ]
