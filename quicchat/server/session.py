"""The session: one connection as the server sees it, from PDU to handler and from effects back. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from quicchat.errors import Code, LocalProtocolError, Refused, describe
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Event, Lost, Received
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.server.effects import Admit, Arrived, Close, Deliver, Departed, Effects, Lagging, Reply, Then
from quicchat.server.feed import Feed
from quicchat.server.handler import Dispatch, Handler
from quicchat.server.model import Actor, SessionId
from quicchat.server.router import Router
from quicchat.transport.driver import UNREAD, Driver
from quicchat.transport.link import Link
from quicchat.wire.chapters.messages import Message, Posted
from quicchat.wire.chapters.session import Bye, Error, Goaway, Ok, Ping, Pong, StreamOpen, VersionRequest
from quicchat.wire.names import Device, Room
from quicchat.wire.registry import Pdu, Role
from quicchat.wire.states import State

log = logging.getLogger("quicchat.server")

#: Bytes that requests of one session may hold while they run or wait for their turn; more are refused.
HELD = 1_048_576
#: What a request holds beyond its texts, about.
_OVERHEAD = 512
#: How often a session that could not take everything is looked at again, in seconds.
_RECHECK = 0.05


@dataclass(slots=True, kw_only=True)
class House:
    """What all sessions of a server share."""

    #: False once the server has stopped: nothing is handled any more, whatever still happens to a link.
    open: bool = True

    dispatch: Dispatch
    router: Router
    tasks: asyncio.TaskGroup
    hello: Hello
    limits: Limits
    #: Unacknowledged bytes beyond which a client is no longer pushed to.
    backlog: int


@dataclass(frozen=True, slots=True)
class _Request:
    """Where an answer goes: the stream and the id that it answers; neither for what nobody asked."""

    sid: int | None = None
    id: int | None = None
    size: int = 0


class Session:
    """From the first byte to the last of one connection.

    Requests start in the order in which they came and are answered as they finish; before login there is only
    one at a time, because the automaton allows no more.
    """

    def __init__(self, number: SessionId, link: Link, house: House, *, wall: float, seed: int) -> None:
        self.id = number
        self.version = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._house = house
        loop = asyncio.get_running_loop()
        self._connection = Connection(
            Role.SERVER, house.hello, now=loop.time(), wall=wall, limits=house.limits, seed=seed
        )
        self._link = link
        self._loop = loop
        self._actor = Actor(session=number, address=link.peer, version=0, device=Device(b""), binding=b"")
        self._feed = Feed(lambda: self._driver.backlog(), house.backlog)
        self._running = 0
        self._held = 0
        self._waiting: deque[tuple[Pdu, _Request]] = deque()
        #: How the session ends once nothing runs any more; set by BYE, or when the server stops.
        self._parting: tuple[Code, str] | None = None
        #: Requests not answered yet by stream, and the streams on which no more will come.
        self._open: Counter[int | None] = Counter()
        self._half_closed: set[int] = set()
        self._recheck: asyncio.TimerHandle | None = None
        unread = max(UNREAD, 4 * house.backlog)
        self._driver = Driver(link, self._connection, self._on_events, unread=unread)

    # For the router

    def push(self, pdu: Pdu, framed: bytes) -> None:
        """Send what was encoded for many, unless this client is too slow for it now."""
        if self._admits(pdu):
            self._driver.push(framed, type(pdu))
            self._ask_for_proof()

    def close(self, code: Code, reason: str = "") -> None:
        """Tell the client why, and end the session."""
        self._driver.fail(code, reason)

    def drain(self, reason: str) -> None:
        """Announce that the server is about to stop."""
        if self._connection.state is State.READY and self.version > 1:
            self._send(Goaway(code=int(Code.DRAINING), reason=reason), _Request())
        self._parting = Code.DRAINING, reason
        self._leave_when_done()

    # From the connection

    def _on_events(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case Received(sid, envelope) if isinstance(envelope.pdu, Pdu):
                    self._received(envelope.pdu, _Request(sid, envelope.id, _size(envelope.pdu)))
                case Ended(sid, None):
                    self._half_closed.add(sid)
                    self._finish_half(sid)
                case Lost(code, reason, _):
                    self._lost(code, reason)

    def _received(self, pdu: Pdu, request: _Request) -> None:
        match pdu:
            case VersionRequest():
                self._negotiated(pdu)
            case Bye():
                self._parting = Code.NO_ERROR, pdu.reason or "bye"
                self._leave_when_done()
            case Pong():
                self._proven(pdu)
            case Ok() | Error() | StreamOpen():
                pass
            case _ if self._held + request.size > HELD:
                self._send(Error.about(Code.RATE_LIMITED, retry_after=1000), request)
            case _:
                self._open[request.sid] += 1
                self._queue(pdu, request)

    def _queue(self, pdu: Pdu, request: _Request) -> None:
        """Start a request, or let it wait behind those that are pipelined."""
        if self._running < self._connection.limits.pipeline:
            self._start(pdu, request)
        else:
            self._held += request.size
            self._waiting.append((pdu, request))

    def _negotiated(self, pdu: VersionRequest) -> None:
        version = self._connection.version or 0
        self.version = version
        binding = self._link.certificate_hash + self._connection.negotiation.transcript
        self._actor = replace(self._actor, version=version, device=Device(pdu.device), binding=binding)
        log.info("negotiated", extra={"session": self.id, "version": version, "agent": pdu.agent or ""})

    def _lost(self, code: int, reason: str) -> None:
        user = self._actor.user or ""
        log.info("closed", extra={"session": self.id, "user": user, "code": describe(code), "reason": reason})
        self._house.router.remove(self)
        self.over.set_result(None)
        if self._recheck is not None:
            self._recheck.cancel()
        self._waiting.clear()
        told = self._parting[1] if self._parting else reason
        self._happened(Departed(told or describe(code)))

    # To the handlers

    def _start(self, pdu: Pdu, request: _Request) -> None:
        handler = self._house.dispatch.request(type(pdu))
        if handler is None or not self._house.open:
            self._send(Error.about(Code.UNSUPPORTED if self._house.open else Code.DRAINING), request)
            self._answered(request)
        else:
            self._run(handler, self._actor, pdu, request)

    def _happened(self, event: Arrived | Departed | Lagging) -> None:
        if not self._house.open:
            return
        for handler in self._house.dispatch.all(type(event)):
            self._run(handler, self._actor, event, _Request())

    def _run(self, handler: Handler, actor: Actor, pdu: object, request: _Request) -> None:
        self._running += 1
        self._held += request.size
        self._house.tasks.create_task(self._serve(handler, actor, pdu, request))

    async def _serve(self, handler: Handler, actor: Actor, pdu: object, request: _Request) -> None:
        try:
            effects = await handler(actor, pdu)
            self._carry_out(effects, request, own=actor.session == self.id)
        except Refused as refusal:
            log.info("refused", extra={"session": self.id, "user": actor.user or "", "code": refusal.code.name})
            self._send(Error.about(refusal.code, refusal.text, retry_after=refusal.retry_after), request)
        except Exception:
            # A bug of ours must not hang the request or touch the others (hostile Q27).
            log.exception("handler failed", extra={"session": self.id, "pdu": type(pdu).__name__})
            self._driver.fail(Code.INTERNAL)
        finally:
            self._running -= 1
            self._held -= request.size
            self._answered(request)
            self._next()

    def _next(self) -> None:
        """Let the next waiting request start; after the last one, do what waited for the end."""
        while self._waiting and self._running < self._connection.limits.pipeline:
            pdu, request = self._waiting.popleft()
            self._held -= request.size
            self._start(pdu, request)
        if not self._running:
            self._leave_when_done()

    def _answered(self, request: _Request) -> None:
        """One request less is open on its stream."""
        if request.sid is not None and request.sid in self._open:
            self._open[request.sid] -= 1
            self._finish_half(request.sid)
            if self._open[request.sid] <= 0:
                del self._open[request.sid]

    # From effects to the wire

    def _carry_out(self, effects: Effects, request: _Request, *, own: bool) -> None:
        answered = not own or request.id is None
        arrived = False
        for effect in effects:
            match effect:
                case Reply(pdu) if own:
                    self._send(pdu, request)
                    answered = True
                case Deliver():
                    self._house.router.deliver(effect)
                case Admit() if not self.over.done():
                    self._admit(effect)
                    arrived = True
                case Then(actor, pdu):
                    handler = self._house.dispatch.request(type(pdu))
                    assert handler is not None
                    self._run(handler, actor, pdu, _Request())
                case Close(code, reason, session):
                    self._house.router.close(self.id if session is None else session, code, reason)
                    answered = True
        if not answered:
            self._send(Ok(), request)
        if arrived:
            self._happened(Arrived())
            if self.version == 1:
                self._happened(Lagging(dict(self._feed.sent)))

    def _admit(self, admit: Admit) -> None:
        self._actor = replace(self._actor, user=admit.user, address=self._link.peer)
        self._link.authenticated()
        self._feed.begin(admit.rooms)
        self._house.router.admit(self, admit.user, admit.rooms)
        log.info("logged in", extra={"session": self.id, "user": admit.user, "peer": self._link.peer})

    def _send(self, pdu: Pdu, request: _Request) -> None:
        if isinstance(pdu, Message) and not self._admits(pdu):
            return
        try:
            self._driver.send(pdu, sid=request.sid, re=request.id)
        except LocalProtocolError:
            if self._connection.state is not State.CLOSED:
                log.exception("not sent", extra={"session": self.id})
                self._driver.fail(Code.INTERNAL)
            return
        if isinstance(pdu, Posted):
            self._feed.own(Room(pdu.room), pdu.seq)
        elif isinstance(pdu, Message):
            self._ask_for_proof()

    def _finish_half(self, sid: int) -> None:
        """Where the peer has sent all on a stream, and we have answered all, it is over."""
        if sid in self._half_closed and self._open[sid] <= 0:
            self._driver.finish(sid)
            self._half_closed.discard(sid)

    def _leave_when_done(self) -> None:
        if self._parting is None or self._running or self._connection.closing is not None:
            return
        code, reason = self._parting
        if self.version == 1 and self._connection.state is State.READY:
            # Version 1 knows no GOAWAY, and ignores what follows a BYE: it comes behind the last answer.
            self._send(Bye(reason=reason), _Request())
        self._driver.close(code, reason)

    # Slow clients, and those of version 1

    def _admits(self, pdu: Pdu) -> bool:
        """Whether the feed lets this go; where it does not, the hole is looked at again soon."""
        if self._feed.admits(pdu, self.version):
            return True
        if self._recheck is None and self._feed.behind:
            self._recheck = self._loop.call_later(_RECHECK, self._look_again)
        return False

    def _look_again(self) -> None:
        self._recheck = None
        if behind := self._feed.recover():
            self._happened(Lagging(behind))
        elif self._feed.behind:
            self._recheck = self._loop.call_later(_RECHECK, self._look_again)

    def _ask_for_proof(self) -> None:
        """Version 1 has no receipts: the PONG to a PING behind the messages proves that they arrived."""
        if self.version == 1 and (nonce := self._feed.probe()) is not None:
            self._driver.send(Ping(nonce=nonce))

    def _proven(self, pong: Pong) -> None:
        for receipt in self._feed.proven(pong.nonce):
            self._start(receipt, _Request())
        self._ask_for_proof()


def _size(pdu: Pdu) -> int:
    """Bytes that a request holds in memory, about."""
    values = (getattr(pdu, field.name) for field in pdu.SPEC.fields)
    return _OVERHEAD + sum(len(value) for value in values if isinstance(value, str | bytes))
