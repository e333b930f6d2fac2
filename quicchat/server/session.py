"""The session: one connection as the server sees it, from PDU to handler and from effects back. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final

from quicchat.errors import Code, Refused, describe
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Event, Lost, Received
from quicchat.protocol.events import Established, Writable
from quicchat.protocol.news import RawReceived
from quicchat.server import requests
from quicchat.server.effects import (
    Admit,
    Arrived,
    Close,
    Deliver,
    Departed,
    Disown,
    Effects,
    Hold,
    Lagging,
    Receive,
    Reply,
    Resumption,
    Serve,
    Settle,
    Tell,
    Then,
    Tidings,
    Uploaded,
)
from quicchat.server.handler import Handler
from quicchat.server.house import House
from quicchat.server.model import Actor, SessionId
from quicchat.server.outlet import Outlet
from quicchat.server.rates import COSTS, PATIENT, Allowance, Cost
from quicchat.server.reminder import Reminder
from quicchat.server.requests import UNASKED, Queue, Request
from quicchat.server.transfers import Transfers
from quicchat.transport.driver import UNREAD, Driver
from quicchat.transport.link import Link
from quicchat.wire.chapters.files import FileAck, FileHeader, GetFile
from quicchat.wire.chapters.messages import Message, Posted
from quicchat.wire.chapters.session import Bye, Error, Ok, Ping, Pong, Purpose, StreamOpen, VersionRequest
from quicchat.wire.names import Device, Room
from quicchat.wire.registry import Pdu, Role
from quicchat.wire.states import State

log = logging.getLogger("quicchat.server")

#: How often a session that could not take everything is looked at again, in seconds.
_RECHECK: Final = 0.05
#: The longest answer to a query, about, in bytes.
_PAGE: Final = 65_536


class Session:
    """From the first byte to the last of one connection.

    Requests start in the order in which they came and are answered as they finish; before login there is only
    one at a time, because the automaton allows no more. Until the handshake is complete only what may be replayed
    starts, and from RESUMED to the admission nothing.
    """

    def __init__(self, number: SessionId, link: Link, house: House, *, wall: float, seed: int) -> None:
        self.id = number
        self.version, self.device = 0, Device(b"")
        self._loop = loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        self._house = house
        self._connection = Connection(
            Role.SERVER, house.hello, now=loop.time(), wall=wall, limits=house.limits, seed=seed, pongs=False
        )
        self._link = link
        self._actor = Actor(session=number, address=link.peer, version=0, device=Device(b""), binding=b"")
        self._allowance = Allowance(house.rates, self._actor.network)
        self._queue = Queue()
        #: Handlers at work whose answers may be long.
        self._queries = 0
        #: How the session ends once nothing runs any more; set by BYE, or when the server stops.
        self._parting: tuple[Code, str] | None = None
        #: A token that was told and is not used up yet, and the router's mark before the login, or its RESUME, is read.
        self._settling: Resumption | None = None
        self._mark = 0
        #: Streams for queries.
        self._asides: set[int] = set()
        self._reminder = Reminder(self._look_again)
        self._unread = max(UNREAD, 4 * house.backlog)
        self._driver = Driver(link, self._connection, self._on_events, unread=self._unread, recorder=house.recorder())
        self._outlet = Outlet(number, self._connection, self._driver, house.backlog)
        self._transfers = Transfers(number, self._driver, house.transfers)

    # For the router

    def push(self, pdu: Pdu, encoded: bytes) -> None:
        """Send what was encoded for many, unless this client is too slow for it now."""
        if not self._outlet.push(pdu, encoded):
            self._watch()

    def left(self, room: Room, last: Message | None) -> None:
        """The room is heard no more."""
        self._outlet.leave(room, last)

    def close(self, code: Code, reason: str = "") -> None:
        """Tell the client why, and end the session."""
        self._driver.fail(code, reason)

    def drain(self, reason: str) -> None:
        """Announce that the server is about to stop."""
        self._outlet.announce_end(reason)
        self._parting = Code.DRAINING, reason
        self._next()

    # From the connection

    def _on_events(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case Received(None, envelope) if isinstance(envelope.pdu, Pdu):
                    # A datagram: what does not fit now is dropped, and nobody hears of it.
                    if self._actor.user is not None and self._queue.running < self._connection.limits.pipeline:
                        self._start(envelope.pdu, UNASKED)
                case Received(sid, envelope) if isinstance(envelope.pdu, Pdu):
                    self._received(envelope.pdu, Request(sid, envelope.id, requests.size(envelope.pdu)))
                case RawReceived(sid, data):
                    self._transfers.raw(sid, data)
                case Writable(sid):
                    self._transfers.writable(sid)
                case Ended(sid, code):
                    self._asides.discard(sid)
                    self._transfers.ended(sid, code)
                    self._missed(self._outlet.ended(sid, code))
                case Established():
                    self._settle()
                    self._next()
                case Lost(code, reason, _):
                    self._lost(code, reason)

    def _received(self, pdu: Pdu, request: Request) -> None:
        match pdu:
            case VersionRequest():
                self._negotiated(pdu)
            case Bye():
                self._parting = Code.NO_ERROR, pdu.reason or "bye"
                self._transfers.leave()
                self._next()
            case Ping():
                # A client that wants no events is behind, and knows it.
                now, behind = self._loop.time(), self._outlet.feed.held
                due = self.version > 1 and not behind and self._allowance.takes(pdu, now)
                digest = self._house.router.digest(self) if due else None
                self._outlet.send(self._connection.health.pong(pdu, now, digest), request)
            case Pong():
                for receipt in self._outlet.proven(pdu.nonce):
                    self._start(receipt, Request())
            case Ok() | Error():
                pass
            case StreamOpen() if pdu.kind is not Purpose.ROOM:
                if request.sid is not None:
                    self._asides.add(request.sid)
            case FileAck():
                self._transfers.acknowledged(pdu)
            case GetFile() | FileHeader() if not self._transfers.asks(pdu, request, welcome=self._parting is None):
                pass
            case _ if not self._queue.fits(request):
                self._refuse(Refused(Code.RATE_LIMITED, retry_after=1000), request)
            case _:
                self._outlet.expect(request.sid)
                self._queue.add(pdu, request, aside=request.sid in self._asides)
                self._next()

    def _refuse(self, refusal: Refused, request: Request) -> None:
        self._transfers.refused(request.sid)
        self._outlet.refuse(refusal, request)

    def _negotiated(self, pdu: VersionRequest) -> None:
        version = self._connection.version or 0
        self.version = version
        binding = self._link.certificate_hash + self._connection.negotiation.transcript
        self.device = Device(pdu.device)
        page = self._connection.limits.page
        self._actor = replace(self._actor, version=version, device=self.device, binding=binding, page=page)
        log.info("negotiated", extra={"session": self.id, "version": version, "agent": pdu.agent or ""})

    def _lost(self, code: int, reason: str) -> None:
        user = self._actor.user or ""
        log.info("closed", extra={"session": self.id, "user": user, "code": describe(code), "reason": reason})
        self._house.router.remove(self)
        self.over.set_result(None)
        self._reminder.stop()
        self._queue.clear()
        self._transfers.close()
        told = self._parting[1] if self._parting else reason
        self._happened(Departed(told or describe(code)))

    # To the handlers

    def _next(self) -> None:
        """Let the next waiting requests start; after the last one, do what waited for the end."""
        queue = self._queue
        while queue.running < self._connection.limits.pipeline:
            waiting = queue.take(self._wait)
            if waiting is None:
                if queue.delay < inf:
                    self._reminder.within(queue.delay)
                break
            self._start(*waiting)
        if queue.running or queue or self._transfers or self._parting is None or self._connection.closing is not None:
            return
        code, reason = self._parting
        self._outlet.say_goodbye(reason)
        self._driver.close(code, reason)

    def _wait(self, pdu: Pdu) -> float:
        """In how many seconds a request may start; never, before what it waits for has happened."""
        if self._settling is not None or not (self._connection.established or pdu.SPEC.replay_safe):
            return inf
        cost = COSTS.get(type(pdu))
        if cost is Cost.QUERY and self._driver.backlog() + self._queries * _PAGE > self._unread // 2:
            # Who reads slowly is answered slowly, and not closed for the answers that he asked for.
            return _RECHECK
        if cost in PATIENT and self._parting is None:
            return self._allowance.wait(pdu, self._loop.time())
        return 0.0

    def _start(self, pdu: Pdu, request: Request) -> None:
        handler = self._house.dispatch.request(type(pdu))
        cost = COSTS.get(type(pdu))
        wait = 0.0 if cost in PATIENT else self._allowance.wait(pdu, self._loop.time())
        if isinstance(pdu, StreamOpen):
            self._open_room(pdu, request)
        elif handler is None or not self._house.open:
            self._refuse(Refused(Code.UNSUPPORTED if self._house.open else Code.DRAINING), request)
        elif wait > 0:
            self._refuse(Refused(Code.RATE_LIMITED, retry_after=int(wait * 1000) + 1), request)
        else:
            self._allowance.charge(pdu)
            self._queries += cost is Cost.QUERY
            self._run(handler, self._actor, pdu, request)
            return
        self._queue.held -= request.size
        self._outlet.answered(request.sid)

    def _open_room(self, pdu: StreamOpen, request: Request) -> None:
        """Push a room on a stream of its own from now on."""
        room, sid, router = Room(pdu.room or ""), request.sid, self._house.router
        if sid is None:
            return
        head = router.head(room)
        if not router.hears(self, room):
            self._driver.finish(sid, Code.NOT_MEMBER)
        elif not self._outlet.open(sid, room, head or 0):
            self._driver.finish(sid, Code.LIMIT)
        elif pdu.have is not None and (head is None or pdu.have < head):
            self._missed({room: pdu.have})

    def _settle(self) -> None:
        """Use up the token, once nobody else can have sent what came with it."""
        event = self._settling
        handler = self._house.dispatch.request(type(event))
        if event is None or handler is None or not self._connection.established or not self._house.open:
            return
        self._run(handler, self._actor, event, UNASKED)

    def _happened(self, event: Arrived | Departed | Lagging) -> None:
        if not self._house.open:
            return
        for handler in self._house.dispatch.all(type(event)):
            self._run(handler, self._actor, event, UNASKED)

    def _run(self, handler: Handler, actor: Actor, pdu: object, request: Request) -> None:
        # Tidings are for others, and wait for their time: they hold up nothing that the client asks for.
        self._queue.running += not isinstance(pdu, Tidings)
        if self._actor.user is None and pdu is not self._settling:
            self._mark = self._house.router.mark()
        self._house.tasks.create_task(self._serve(handler, actor, pdu, request))

    async def _serve(self, handler: Handler, actor: Actor, pdu: object, request: Request) -> None:
        try:
            effects = await handler(actor, pdu)
            self._carry_out(effects, request, own=actor.session == self.id)
            if pdu is self._settling and self._connection.state is not State.CLOSED:
                raise RuntimeError("a resumption came to nothing")
        except Refused as refusal:
            log.info("refused", extra={"session": self.id, "user": actor.user or "", "code": refusal.code.name})
            if pdu is self._settling:
                self._driver.fail(refusal.code, refusal.text)
            else:
                self._refuse(refusal, request)
        except Exception:
            # A bug of ours must not hang the request or touch the others (hostile Q27).
            log.exception("handler failed", extra={"session": self.id, "pdu": type(pdu).__name__})
            self._driver.fail(Code.INTERNAL)
        finally:
            self._queue.running -= not isinstance(pdu, Tidings)
            self._queries -= isinstance(pdu, Pdu) and COSTS.get(type(pdu)) is Cost.QUERY
            self._queue.held -= request.size
            self._outlet.answered(request.sid)
            self._next()

    # From effects to the wire

    def _carry_out(self, effects: Effects, request: Request, *, own: bool) -> None:
        answered = not own or request.id is None
        for effect in effects:
            match effect:
                case Reply(pdu) if own:
                    self._outlet.send(pdu, request)
                    answered = True
                case Tell(pdu) if own:
                    aside = request.sid if isinstance(pdu, Posted | Error) else None
                    self._outlet.send(pdu, Request(sid=aside))
                case Deliver():
                    self._house.router.deliver(effect)
                case Admit() if not self.over.done():
                    self._begin(effect)
                case Settle(event) if not self.over.done():
                    self._settling = event
                    self._settle()
                case Hold(on) if own:
                    self._outlet.feed.held = on
                    self._look_again()
                case Then(actor, pdu):
                    handler = self._house.dispatch.request(type(pdu))
                    assert handler is not None
                    self._run(handler, actor, pdu, UNASKED)
                case Serve() | Receive() if own:
                    # It runs by itself from now on, and holds up no other request.
                    self._outlet.expect(request.sid)
                    task = self._transfers.begin(effect, request, self._house.tasks)
                    task.add_done_callback(partial(self._transferred, replace(request, size=0)))
                    answered = True
                case Disown() if own:
                    self._link.disown()
                case Close(code, reason, session):
                    self._house.router.close(self.id if session is None else session, code, reason)
                    answered = True
        if not answered:
            self._outlet.send(Ok(), request)
        self._watch()
        for effect in effects:
            if isinstance(effect, Admit) and not self.over.done():
                self._admit(effect)

    def _transferred(self, request: Request, task: asyncio.Task[Uploaded | None]) -> None:
        """A file has run. What came of an upload is recorded, which answers its request."""
        uploaded = None if task.cancelled() else task.result()
        handler = self._house.dispatch.request(Uploaded)
        if uploaded is not None and handler is not None and self._house.open:
            self._run(handler, self._actor, uploaded, request)
        else:
            self._outlet.answered(request.sid)
            self._next()

    def _begin(self, admit: Admit) -> None:
        """The session is somebody's: what follows is sent to him."""
        self._actor = replace(self._actor, user=admit.user, address=self._link.peer)
        self._allowance.admitted(admit.user)
        self._transfers.user = admit.user
        self._link.authenticated(admit.user)
        self._outlet.feed.begin(admit.rooms)

    def _admit(self, admit: Admit) -> None:
        """He has had his answer: from now on he hears his rooms, and what they said while he was let in."""
        self._settling = None
        router = self._house.router
        if not router.admit(self, admit.user, admit.rooms, heads=admit.heads, since=self._mark):
            self._driver.fail(Code.OVERLOADED)
            return
        log.info("logged in", extra={"session": self.id, "user": admit.user, "peer": self._link.peer})
        self._happened(Arrived())
        if self.version == 1:
            self._missed(self._outlet.feed.sent)

    # Slow clients

    def _watch(self) -> None:
        """A hole that the feed has left is looked at again soon."""
        if self._outlet.feed.behind and not self._outlet.feed.held:
            self._reminder.within(_RECHECK)

    def _look_again(self) -> None:
        """Tell a client that can take more again what he missed, and serve what waits."""
        self._reminder.cancel()
        if self._actor.user is not None:
            self._missed(self._outlet.feed.recover())
        self._watch()
        self._next()

    def _missed(self, after: Mapping[Room, int]) -> None:
        """What follows these places was not sent: room by room, since he may have left one of them."""
        for room, place in after.items():
            self._happened(Lagging({room: place}))
