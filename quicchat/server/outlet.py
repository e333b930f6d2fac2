"""The outlet: all that one session sends, on which stream, and what its client cannot take yet. (ARCHITECTURE)"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from quicchat.errors import Code, LocalProtocolError, Refused
from quicchat.protocol.connection import Connection
from quicchat.server.feed import Feed
from quicchat.server.requests import UNASKED, Request
from quicchat.server.streams import RoomStreams
from quicchat.transport.driver import Driver
from quicchat.wire.chapters.messages import Message, Posted, Receipt
from quicchat.wire.chapters.session import Bye, Error, Goaway, Ping
from quicchat.wire.names import Room
from quicchat.wire.registry import Pdu
from quicchat.wire.states import State

log = logging.getLogger("quicchat.server")


class Outlet:
    """Answers go where the request came from, events of a room to its stream if it has one, all else to control."""

    def __init__(self, session: int, connection: Connection, driver: Driver, budget: int) -> None:
        self.feed = Feed(driver.backlog, budget)
        self._session = session
        self._connection = connection
        self._driver = driver
        self._streams = RoomStreams()
        #: Requests not answered yet by stream, and the streams on which no more will come.
        self._open: Counter[int] = Counter()
        self._half_closed: set[int] = set()

    # What is sent

    def push(self, pdu: Pdu, encoded: bytes) -> bool:
        """Send what was encoded for many, unless this client is too slow for it now: then False."""
        if not self.feed.admits(pdu, self._connection.version or 0):
            return False
        rooms = self._streams.by_room
        sid = rooms.get(Room(pdu.room)) if rooms and isinstance(pdu, Message) else None
        if not self._driver.push(encoded, type(pdu), sid) and sid is not None:
            self._streams.close(sid)
            self._driver.push(encoded, type(pdu))
        self.ask_for_proof()
        return True

    def send(self, pdu: Pdu, request: Request) -> None:
        """Send an answer, or with a request that asks for none something else; events as far as the feed lets them."""
        if isinstance(pdu, Message) and not self.feed.admits(pdu, self._connection.version or 0):
            return
        self._write(pdu, request)

    def _write(self, pdu: Pdu, request: Request) -> None:
        try:
            self._driver.send(pdu, sid=request.sid, re=request.id)
        except LocalProtocolError as error:
            self._failed(error, request)
            return
        if isinstance(pdu, Posted):
            self.feed.own(Room(pdu.room), pdu.seq)
        elif isinstance(pdu, Message):
            self.ask_for_proof()

    def refuse(self, refusal: Refused, request: Request) -> None:
        """Answer a request with ERROR, where somebody waits for one."""
        if not request.silent:
            error = Error.about(refusal.code, refusal.text, retry_after=refusal.retry_after)
            self.send(replace(error, detail=refusal.detail), request)

    def announce_end(self, reason: str) -> None:
        """The server is about to stop."""
        if self._connection.state is State.READY and self._connection.version != 1:
            self.send(Goaway(code=int(Code.DRAINING), reason=reason), UNASKED)

    def say_goodbye(self, reason: str) -> None:
        """Version 1 knows no GOAWAY, and ignores what follows a BYE: it comes behind the last answer."""
        if self._connection.state is State.READY and self._connection.version == 1:
            self.send(Bye(reason=reason), UNASKED)

    def _failed(self, error: LocalProtocolError, request: Request) -> None:
        """A mistake of ours: an answer that is too long is none, whatever else cannot be sent ends the session."""
        if self._connection.state is State.CLOSED:
            return
        log.error("not sent", exc_info=error, extra={"session": self._session})
        if error.code is Code.FRAME_TOO_LARGE and request.id is not None:
            self.refuse(Refused(Code.LIMIT, "The answer is too long."), request)
        else:
            self._driver.fail(Code.INTERNAL)

    # The client's streams

    def expect(self, sid: int | None) -> None:
        """A request came on a stream, and will be answered there."""
        if sid is not None:
            self._open[sid] += 1

    def answered(self, sid: int | None) -> None:
        """A request of a stream is done with."""
        if sid is not None and sid in self._open:
            self._open[sid] -= 1
            self._finish(sid)
            if self._open[sid] <= 0:
                del self._open[sid]

    def ended(self, sid: int, code: int | None) -> Mapping[Room, int]:
        """The client ended a stream, whose room goes back to control; what may be lost of it, room and place."""
        closed = self._streams.close(sid)
        if code is None:
            self._half_closed.add(sid)
            self._finish(sid)
            return {}
        # Nobody knows how much of what was pushed there has arrived.
        return {} if closed is None else dict([closed])

    def open(self, sid: int, room: Room, head: int) -> bool:
        """Push a room, which has come to `head`, on a stream of its own from now on; False for one too many."""
        if sid in self._half_closed:
            return True
        rooms = self._streams.by_room
        if len(rooms) >= self._connection.limits.room_streams and room not in rooms:
            return False
        before = self._streams.open(sid, room, head)
        if before is not None:
            self._driver.finish(before)
        return True

    def leave(self, room: Room, last: Message | None) -> None:
        """A room is heard no more: its stream ends, and there is nothing to catch up with.

        Who is out can fetch nothing: the `last` event is sent however slow he is, unless it was pushed.
        """
        if self.feed.leave(room) and last is not None:
            self._write(last, Request())
        if (sid := self._streams.leave(room)) is not None:
            self._driver.finish(sid)

    def _finish(self, sid: int) -> None:
        """Where the peer has sent all on a stream, and we have answered all, it is over."""
        if sid in self._half_closed and self._open[sid] <= 0:
            self._driver.finish(sid)
            self._half_closed.discard(sid)

    # Version 1

    def ask_for_proof(self) -> None:
        """Version 1 has no receipts: the PONG to a PING behind the messages proves that they arrived."""
        if self._connection.version == 1 and (nonce := self.feed.probe()) is not None:
            self._driver.send(Ping(nonce=nonce))

    def proven(self, nonce: int) -> list[Receipt]:
        """A PONG came: the receipts that it is worth."""
        receipts = list(self.feed.proven(nonce))
        self.ask_for_proof()
        return receipts
