"""One end of a simulated connection, as the port asks for it. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

from quicchat.protocol.events import Closed, Datagram, Established, LinkEvent, Reset, Stopped
from quicchat.transport.memory.courier import Courier, Medium, Packet
from quicchat.transport.memory.streams import Ack, Allow, Chunk, Frame, Hello, Streams
from quicchat.transport.watch import Watch
from quicchat.wire.registry import Role

#: Longest datagram (protocol §2) and longest reason of a close (protocol §1), in bytes.
DATAGRAM: Final = 1100
REASON: Final = 1024


class Vigil:
    """Ends a link that has heard nothing for too long, or a server's whose client does not finish the handshake."""

    def __init__(self, network: Medium, end: Callable[[Closed], None]) -> None:
        self._network = network
        self._end = end
        #: Whether the handshake is complete.
        self.is_met = False
        self.heard()
        network.later(self._until, self._look, None)

    def heard(self) -> None:
        """Begin to wait anew."""
        self._until = self._network.now() + self._network.idle

    def expect_handshake(self) -> None:
        """Begin to wait for the end of the handshake."""
        self._network.later(self._network.now() + self._network.handshake, self._look_for_handshake, None)

    def _look_for_handshake(self, _: object) -> None:
        if not self.is_met:
            self._end(Closed(1, "the handshake was not finished in time", remote=False, application=False))

    def _look(self, _: object) -> None:
        if self._network.now() < self._until:
            self._network.later(self._until, self._look, None)
        else:
            self._end(Closed(1, "Idle timeout", remote=False, application=False))


class MemoryLink:
    """A Link over a simulated network. What is sent leaves at the end of the loop turn, or with `flush`.

    Events that come before `on_events` is set are kept for it. After `stop` nothing more is reported of what
    comes in on that stream, not even its end.
    """

    def __init__(self, network: Medium, role: Role, name: str, address: str, peer: str, chance: Random) -> None:
        self.name = name
        #: Our own address. Set another one to migrate: the peer learns it from the next packet.
        self.address = address
        self.peer = peer
        #: b"" stands for a client that cannot see the certificate.
        self.certificate_hash = network.certificate_hash
        #: Whether the handshake is complete.
        self.established = False
        #: How the connection ended, once it has.
        self.closed: Closed | None = None
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._is_client = role is Role.CLIENT
        early, full = network.streams
        ours, theirs = (early, full) if self._is_client else (full, early)
        self._streams = Streams(is_client=self._is_client, ours=ours, theirs=theirs)
        self._courier = Courier(network, name, self._streams, chance)
        self._on_events: Callable[[list[LinkEvent]], None] | None = None
        self._events: list[LinkEvent] = []
        self._watch = Watch(self._courier)
        self._turn_due = False
        self._over = False
        self._hears_early = False
        self._vigil = Vigil(network, self._end)
        if not self._is_client:
            self._vigil.expect_handshake()

    @property
    def on_events(self) -> Callable[[list[LinkEvent]], None]:
        """Called with the events of one loop turn, in order."""
        return self._on_events or self._events.extend

    @on_events.setter
    def on_events(self, call: Callable[[list[LinkEvent]], None]) -> None:
        self._on_events = call
        if self._events:
            self._touch()

    # What whoever drives the link asks

    def authenticated(self, owner: str = "") -> None:
        """The peer logged in: from now on it may have more streams open."""
        early, full = self._network.streams
        if not self._is_client:
            for uni in (False, True):
                self._say(self._streams.allow(uni, full - early))

    def disown(self) -> None:
        """Nothing to do: the network gives no tickets."""

    def migrate(self, local_port: int = 0) -> None:
        """A client goes on from another port."""
        if self._is_client and not self._over:
            host, _, port = self.address.rpartition(":")
            self.address = f"{host}:{local_port or int(port) % 60_000 + 1024}"
            # Says nothing new, but from the new address.
            self._say(self._streams.allow(False, 0))

    def open(self, *, uni: bool = False) -> int:
        """A new stream's id. Raises Refused(LIMIT) when the peer allows no more at present."""
        return self._streams.open(uni=uni)

    def send(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        """Queue bytes on a stream."""
        half = self._streams.outgoing.get(sid)
        if half is not None and not self._over:
            half.write(data, fin)
            self._streams.enlist(half)
            self._touch()

    def reset(self, sid: int, code: int) -> None:
        """Give up sending on a stream."""
        half = self._streams.outgoing.get(sid)
        if half is not None and not half.is_done and not self._over:
            half.give_up()
            self._say(Reset(sid, code))
            self._say(self._streams.retire(sid))

    def stop(self, sid: int, code: int) -> None:
        """Ask the peer to give up sending on a stream; bytes that still come are dropped."""
        half = self._streams.incoming.get(sid)
        if half is not None and not half.is_over and not half.unwanted and not self._over:
            half.unwanted = True
            self._say(Stopped(sid, code))

    def datagram(self, data: bytes, *, bulk: bool = False) -> bool:
        """Queue a datagram of at most 1100 bytes; False when it was dropped here."""
        if self._over or not self._network.datagrams or len(data) > DATAGRAM:
            return False
        if not bulk:
            self._courier.offer(Datagram(data))
        elif not self._courier.offer_bulk(Datagram(data)):
            return False
        self._touch()
        return True

    def backlog(self, sid: int | None = None) -> int:
        """Bytes given to `send` and not yet acknowledged by the peer: of one stream, or of all."""
        outgoing = self._streams.outgoing
        if sid is None:
            return sum(half.backlog for half in outgoing.values())
        return outgoing[sid].backlog if sid in outgoing else 0

    def unsent(self, sid: int | None) -> int:
        """Bytes that have not left for the first time: of a stream, or for None in bulk datagrams."""
        return self._courier.unsent(sid) or 0

    def watch(self, sid: int | None, below: int) -> None:
        """Report `Writable(sid)` as soon as less is unsent, or the stream takes no more; its data is bulk then."""
        if self._over:
            return
        if sid is not None:
            self._streams.demote(sid)
        self._watch.add(sid, below)
        self._touch()

    def close(self, code: int, reason: str = "") -> None:
        """End the connection now; what is queued is lost. `Closed` is still reported."""
        if not self._over:
            reason = reason.encode()[:REASON].decode(errors="ignore")
            self._courier.carry((Closed(code, reason),))
            self._end(Closed(code, reason, remote=False))

    def flush(self) -> None:
        """Send what is queued, without waiting for the end of the loop turn."""
        self._courier.flush()
        if not self._over and (ready := self._watch.ready()):
            self._events += ready
            self._touch()

    # What a test asks

    def kill(self) -> None:
        """End as a process does that is killed: say nothing, hear nothing, report nothing."""
        self._release()
        self._events.clear()

    # What the network asks

    def connect(self, *, early: bool) -> None:
        """Begin the handshake."""
        self._courier.may_send = early
        self._courier.transmit((Hello(1, early),))

    def receive(self, packet: Packet, source: str) -> None:
        """Take in a packet. Before the handshake is complete data cannot be read, and is sent again."""
        readable = self.established or self._hears_early or isinstance(packet.frames[0], Hello | Ack | Closed)
        if self._over or not readable:
            return
        self._vigil.heard()
        self.peer = source
        self._courier.arrived(packet)
        for frame in packet.frames:
            self._take(frame)
        self._touch()

    def _take(self, frame: Frame) -> None:
        match frame:
            case Chunk(sid):
                if (half := self._streams.hear(sid)) is not None:
                    self._events += half.receive(frame)
                    self._say(self._streams.retire(sid))
            case Reset(sid):
                if (half := self._streams.hear(sid)) is not None:
                    if half.abort():
                        self._events.append(frame)
                    self._say(self._streams.retire(sid))
            case Stopped(sid, code):
                self._streams.hear(sid)
                sending = self._streams.outgoing.get(sid)
                if sending is not None and not sending.is_done:
                    self._events.append(frame)
                    # RFC 9000 section 3.5: who is asked to stop answers with a reset.
                    self.reset(sid, code)
            case Datagram():
                self._events.append(frame)
            case Allow():
                self._streams.allowed(frame)
            case Ack():
                self._courier.acknowledged(frame)
            case Hello(flight, early):
                self._hears_early = self._hears_early or (flight == 1 and early)
                if not self.established and self._courier.greet(flight):
                    self.established = self._vigil.is_met = True
                    self._events.append(Established())
            case Closed():
                self._end(frame)

    # The rest

    def _say(self, frame: Frame | None) -> None:
        if not self._over:
            self._courier.say(frame)
            self._touch()

    def _touch(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        try:
            if self._events and self._on_events is not None:
                events, self._events = self._events, []
                self._on_events(events)
        finally:
            self._turn_due = False
            self.flush()

    def _end(self, closed: Closed) -> None:
        if self._over:
            return
        self._events += self._watch.end()
        self._release()
        self.closed = closed
        self._events.append(closed)
        self._touch()

    def _release(self) -> None:
        self._over = True
        self._watch.end()
        self._courier.stop()
        self._streams.clear()
        self._network.ended(self.name)
