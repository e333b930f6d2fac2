"""The driver: the one loop between a link and its connection, for either end. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final

from quicchat.errors import Code, LinkLost
from quicchat.protocol.connection import Connection, Event, Lost
from quicchat.protocol.events import Bytes, Closed, Datagram, LinkEvent, Reset, Stopped
from quicchat.transport.link import Link
from quicchat.transport.recorder import FAULTS, Recorder
from quicchat.wire.registry import Pdu, Role

log = logging.getLogger("quicchat.transport")

#: How often a link that is about to close is asked whether all is acknowledged, in seconds.
_SETTLE: Final = 0.02
#: Unacknowledged bytes beyond which a client is given up: it asks, but does not read the answers.
UNREAD: Final = 4_194_304


class Driver:
    """Carries one connection over one link.

    `on_events` gets what happened, a loop turn at a time; it may send. What was sent outside of it leaves with
    `touch`, which every sending method of this class calls by itself. A client that leaves more than `unread` bytes
    unacknowledged is given up. A `recorder` keeps what passes.
    """

    def __init__(
        self,
        link: Link,
        connection: Connection,
        on_events: Callable[[Sequence[Event]], None],
        *,
        unread: int = UNREAD,
        recorder: Recorder | None = None,
    ) -> None:
        self.link = link
        self.connection = connection
        self._on_events = on_events
        self._unread = unread
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._turn_due = False
        self._carry_due = False
        self._pushed = 0
        #: Bytes of bulk datagrams that were given to the link.
        self._bulk_given = 0
        #: Streams that carry files.
        self._bulk: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        #: Set when the link is over: later than the connection where that was given up here (RFC 9000 section 10.2).
        self.gone = asyncio.Event()
        link.on_events = self._receive
        self.touch()

    @property
    def now(self) -> float:
        """Seconds, on the connection's clock."""
        return self._loop.time()

    def send(self, pdu: Pdu, *, sid: int | None = None, id: int | None = None, re: int | None = None) -> None:
        """As `Connection.send`."""
        self.connection.send(pdu, sid=sid, id=id, re=re)
        self.touch()

    def datagram(self, pdu: Pdu) -> None:
        """As `Connection.datagram`."""
        self.connection.datagram(pdu)
        self.touch()

    def push(self, encoded: bytes, pdu: type[Pdu], sid: int | None = None) -> bool:
        """As `Connection.push`; what is pushed in one loop turn goes to the link as one piece."""
        if not self.connection.push(encoded, pdu, sid):
            return False
        self._pushed += len(encoded)
        if not self._turn_due and not self._carry_due:
            self._carry_due = True
            self._loop.call_soon(self._carry)
        return True

    def backlog(self) -> int:
        """Bytes that were sent or pushed and that the peer has not acknowledged; the raw ones of files do not count."""
        return self.link.backlog() + self._pushed - self.unread()

    def unread(self, sid: int | None = None) -> int:
        """Bytes that the peer has not acknowledged of a stream that carries a file, or of all that do."""
        if sid is not None:
            return self.link.backlog(sid)
        unread = 0
        for each in list(self._bulk):
            raw = self.link.backlog(each)
            unread += raw
            if not raw:
                self._bulk.discard(each)
        return unread

    def raw(self, sid: int, data: bytes) -> None:
        """As `Connection.raw`; leaves with all that was sent before, so that `unsent` counts it."""
        self._bulk.add(sid)
        self.connection.raw(sid, data)
        self._carry()
        self.touch()

    def bulk(self, pdus: Iterable[Pdu]) -> int:
        """Each as `Connection.datagram`; they leave with all that was sent before, so that `unsent` counts them.

        Returns how many bytes have been given to the link with them; when they have left, `behind` says so.
        """
        for pdu in pdus:
            self.connection.datagram(pdu)
        self._carry()
        self.touch()
        return self._bulk_given

    def behind(self, given: int) -> int:
        """Bytes of bulk datagrams that were given since then; with more than these unsent, some of before are."""
        return self._bulk_given - given

    def unsent(self, sid: int | None) -> int:
        """As `Link.unsent`."""
        return self.link.unsent(sid)

    def watch(self, sid: int | None, below: int) -> None:
        """As `Link.watch`; what comes of it is an event, `Writable`."""
        self.link.watch(sid, below)

    def open(self) -> int:
        """A new stream of the link. Raises Refused(LIMIT), and LinkLost when the link is gone."""
        if self.connection.closing is not None or self.connection.timer() is None:
            raise LinkLost(Code.NO_ERROR, "the connection is closed", remote=False)
        return self.link.open()

    def finish(self, sid: int, code: int | None = None) -> None:
        """As `Connection.finish`."""
        self.connection.finish(sid, code)
        self.touch()

    def leave(self, reason: str) -> None:
        """As `Connection.leave`."""
        self.connection.leave(reason, self.now)
        self.touch()

    def close(self, code: int, reason: str) -> None:
        """As `Connection.close`."""
        self.connection.close(code, reason, self.now)
        self.touch()

    def fail(self, code: Code, text: str = "") -> None:
        """As `Connection.fail`."""
        self.connection.fail(code, text, self.now)
        self.touch()

    def touch(self) -> None:
        """Carry out what the connection wishes, once in this loop turn."""
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _receive(self, events: list[LinkEvent]) -> None:
        now = self._loop.time()
        for event in events:
            if self._recorder is not None:
                self._recorder.note(now, self.connection.state, True, event)
            self.connection.receive(event, now)
            if isinstance(event, Closed):
                self.gone.set()
        self._turn()

    def _turn(self) -> None:
        # What is touched during a turn belongs to it.
        self._turn_due = True
        connection = self.connection
        try:
            self._exchange()
            if connection.role is Role.SERVER and connection.closing is None and self.backlog() > self._unread:
                connection.fail(Code.SLOW_CONSUMER, "", self.now)
                self._carry()
            if connection.closing is not None:
                connection.settle(self.link.backlog(), self.now)
                self._exchange()
        finally:
            self._turn_due = False
            self._arm()

    def _exchange(self) -> None:
        """Hand down what is to be sent and up what happened, until there is no more of either."""
        self._carry()
        while events := self.connection.events():
            if self._recorder is not None and isinstance(end := events[-1], Lost) and end.application:
                # Whoever was told of a fault may have closed before we did, and without naming it.
                first = self.connection.closing.closed if self.connection.closing is not None else end
                self._recorder.end(self.connection, end if end.code in FAULTS else first)
            try:
                self._on_events(events)
            except Exception:
                # A bug of ours ends this connection, and no other one (hostile Q27).
                log.exception("what happened could not be handled", extra={"peer": self.link.peer})
                self.connection.fail(Code.INTERNAL, "", self.now)
            self._carry()

    def _carry(self) -> None:
        """Hand the connection's output to the link."""
        self._carry_due = False
        self._pushed = 0
        link, recorder = self.link, self._recorder
        for event in _joined(self.connection.output()):
            if recorder is not None:
                recorder.note(self._loop.time(), self.connection.state, False, event)
            match event:
                case Bytes(sid, data, fin):
                    link.send(sid, data, fin=fin)
                case Reset(sid, code):
                    link.reset(sid, code)
                case Stopped(sid, code):
                    link.stop(sid, code)
                case Datagram(data, bulk):
                    if link.datagram(data, bulk=bulk) and bulk:
                        self._bulk_given += len(data)
                case Closed(code, reason):
                    link.close(code, reason)

    def _arm(self) -> None:
        """Set the timer; one that is set too early is left alone and finds nothing to do."""
        due = self.connection.timer()
        if due is not None and self.connection.closing is not None:
            due = min(due, self._loop.time() + _SETTLE)
        if self._timer is not None and (due is None or due < self._timer.when()):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and due is not None:
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        due = self.connection.timer()
        if due is not None and now >= due:
            self.connection.handle_timer(now)
        self._turn()


def _joined(output: list[LinkEvent]) -> Iterable[LinkEvent]:
    """The same output with fewer pieces: bytes for one stream that follow each other become one."""
    if len(output) < 2:
        return output
    joined: list[LinkEvent] = []
    for (sid, whole), run in groupby(output, key=_mergeable):
        pieces = list(run)
        if whole or len(pieces) == 1:
            joined += pieces
        else:
            joined.append(Bytes(sid, b"".join([piece.data for piece in pieces if isinstance(piece, Bytes)])))
    return joined


def _mergeable(event: LinkEvent) -> tuple[int, bool]:
    """The stream, and whether the event has to stay as it is."""
    return (event.sid, event.fin) if isinstance(event, Bytes) else (-1, True)
