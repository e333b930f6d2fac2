"""Carries one QUIC connection in the event loop: its packets, its timer, its turn. (spec 13-transport)"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from aioquic.quic.events import (
    ConnectionIdIssued,
    ConnectionIdRetired,
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicErrorCode, QuicFrameType

from quicchat.transport.pace import PacedConnection
from quicchat.transport.quic import QuicLink
from quicchat.transport.udp import Address, Udp, show

logger = logging.getLogger(__package__)

#: What a link is told of; the rest is between the connection and its owner.
FOR_THE_LINK: Final = frozenset(
    (
        StreamDataReceived,
        DatagramFrameReceived,
        StreamReset,
        StopSendingReceived,
        HandshakeCompleted,
        ConnectionTerminated,
    )
)


class Owner(Protocol):
    """Whoever made a carrier and has to know what becomes of it."""

    def issued(self, carrier: Carrier, cid: bytes) -> None:
        """The connection may be addressed by one more id."""

    def retired(self, carrier: Carrier, cid: bytes) -> None:
        """The connection is no longer addressed by an id."""

    def opened(self, carrier: Carrier) -> None:
        """There is something for a link to report, be it early data: a carrier without a link is given one now."""

    def established(self, carrier: Carrier) -> None:
        """The handshake is complete."""

    def migrate(self, carrier: Carrier, local_port: int) -> None:
        """The link wants to go on from another port. Raises UsageError."""

    def stranded(self, carrier: Carrier) -> None:
        """The network has no way for what the socket sends."""

    def ended(self, carrier: Carrier) -> None:
        """The connection is over, and its link has been told."""


class Turn:
    """Serves each connection once per loop turn: first the events of all that heard something, then one flush each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._heard: list[Carrier] = []
        self._touched: list[Carrier] = []
        self._arranged = False

    def hear(self, carrier: Carrier) -> None:
        """Have the events of a connection delivered, and it flushed, by the `run` that ends this batch."""
        self._heard.append(carrier)
        if not carrier.is_touched:
            carrier.is_touched = True
            self._touched.append(carrier)

    def touch(self, carrier: Carrier) -> None:
        """Have a connection flushed at the end of this loop turn."""
        self._touched.append(carrier)
        if not self._arranged:
            self._arranged = True
            self.loop.call_soon(self.run)

    def run(self) -> None:
        """End a turn; what handlers send meanwhile still belongs to it."""
        self._arranged = True
        heard, self._heard = self._heard, []
        for carrier in heard:
            carrier.deliver()
        touched, self._touched = self._touched, []
        self._arranged = False
        now = self.loop.time()
        for carrier in touched:
            carrier.send(now)


class Carrier:
    """One connection, the socket it uses at present, and its timer.

    The timer is lazy: it is set anew only for an earlier time, and when it fires too early it looks again.
    """

    def __init__(self, quic: PacedConnection, udp: Udp, turn: Turn, owner: Owner) -> None:
        self.quic = quic
        self.udp = udp
        self.link: QuicLink | None = None
        self.is_heard = False
        self.is_touched = False
        #: Ids by which the owner finds this connection.
        self.cids: set[bytes] = set()
        self._turn = turn
        self._owner = owner
        self._urgent = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._broken = False

    # What a link asks

    def touch(self) -> None:
        self._urgent = True
        if not self.is_touched:
            self.is_touched = True
            self._turn.touch(self)

    def flush(self) -> None:
        self._urgent = True
        self.send(self._turn.loop.time())

    def soon(self, callback: Callable[[], None]) -> None:
        self._turn.loop.call_soon(callback)

    def migrate(self, local_port: int) -> None:
        self._owner.migrate(self, local_port)

    # What the owner asks

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take in a datagram; its events are delivered by the turn."""
        self.quic.receive_datagram(data, address, now)
        if not self.is_heard:
            self.is_heard = True
            self._turn.hear(self)

    def close(self, code: int, reason: str) -> None:
        """End the connection; one that has no link yet is told nothing but that."""
        if self.link is not None:
            self.link.close(code, reason)
        else:
            self.quic.close(QuicErrorCode.CONNECTION_REFUSED, QuicFrameType.PADDING, "")
            self.touch()

    def abandon(self, code: int, reason: str) -> None:
        """End the connection at once, without a word to the peer."""
        self.quic.abandon(code, reason)
        self.deliver()

    # What the turn asks

    def deliver(self) -> None:
        """Pass on what the connection reports."""
        self.is_heard = False
        passed: list[QuicEvent] = []
        over = False
        try:
            for event in self.quic.drain():
                if type(event) in FOR_THE_LINK:
                    if self.link is None and not isinstance(event, ConnectionTerminated):
                        self._owner.opened(self)
                    passed.append(event)
                if isinstance(event, HandshakeCompleted):
                    self._owner.established(self)
                elif isinstance(event, ConnectionIdIssued):
                    self._owner.issued(self, event.connection_id)
                elif isinstance(event, ConnectionIdRetired):
                    self._owner.retired(self, event.connection_id)
                elif isinstance(event, ConnectionTerminated):
                    over = True
            if passed and self.link is not None:
                self.link.report(passed)
        except Exception:
            logger.exception("What came from %s could not be handled.", self._peer)
            self._break()
        if over:
            self._end()

    def send(self, now: float) -> None:
        """Send what is due, and set the timer."""
        self.is_touched = False
        quic = self.quic
        try:
            if self._urgent:
                self._urgent = False
                quic.hurry(now)
            batch = quic.datagrams_to_send(now)
            if batch:
                self.udp.send(batch)
                if self.udp.stranded:
                    self._owner.stranded(self)
            if quic.has_events:
                self.deliver()
            if self.link is not None:
                self.link.look()
            self._arm(quic.get_timer())
        except Exception:
            logger.exception("Nothing could be sent to %s.", self._peer)
            self._break()

    # Time

    def _arm(self, at: float | None) -> None:
        if at is None or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._turn.loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = max(self._turn.loop.time(), self._timer_at)
        try:
            at = self.quic.get_timer()
            if at is None or at > now:
                self._arm(at)
                return
            self.quic.handle_timer(now)
        except Exception:
            logger.exception("A timer of %s failed.", self._peer)
            self._break()
        self.deliver()
        self.send(now)

    # Ends

    @property
    def _peer(self) -> str:
        return show(self.quic.get_peer_address())

    def _break(self) -> None:
        """After a bug, ours or aioquic's: end this connection and no other."""
        if self._broken:
            self.abandon(QuicErrorCode.INTERNAL_ERROR, "internal error")
            return
        self._broken = True
        self.quic.close(QuicErrorCode.INTERNAL_ERROR, QuicFrameType.PADDING, "internal error")
        self.touch()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.ended(self)
