"""The courier of a simulated link: frames into packets, and again those that were lost. (ARCHITECTURE)"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final, Protocol

from quicchat.protocol.events import Closed, Datagram
from quicchat.transport.memory.streams import Ack, Chunk, Frame, Hello, Streams
from quicchat.values import dataclass

#: Datagrams that wait for room; a new one pushes out the oldest.
DATAGRAMS: Final = 64
#: Bytes of bulk datagrams that wait for room; beyond it no more are taken.
BULK: Final = 524_288
#: What the frames of a packet take at most, and what a packet and a frame cost beside what they carry, in bytes.
_ROOM: Final = 1150
_PACKET: Final = 50
_FRAME: Final = 12
#: A packet is missed at the earliest and at the latest so long after its acknowledgement was due, in seconds.
_PATIENCE: Final = (0.010, 1.0)


@dataclass(frozen=True, slots=True)
class Packet:
    """What travels."""

    number: int
    frames: tuple[Frame, ...]

    @property
    def size(self) -> int:
        """Bytes it takes on the line."""
        return _PACKET + sum(map(_size, self.frames))

    @property
    def is_ack(self) -> bool:
        """Whether it only acknowledges others."""
        return isinstance(self.frames[0], Ack)

    @property
    def wants_ack(self) -> bool:
        """Whether it is missed when it is not acknowledged."""
        return not isinstance(self.frames[0], Ack | Closed)


class Medium(Protocol):
    """What a link needs of its network; see `network.Network`."""

    latency: float
    jitter: float
    split: float
    idle: float
    handshake: float
    window: int
    streams: tuple[int, int]
    datagrams: bool
    certificate_hash: bytes

    def now(self) -> float:
        """Seconds on the loop's clock."""

    def carry(self, name: str, packet: Packet) -> float:
        """Send a packet of the link of that name; when it arrives if nothing befalls it."""

    def later(self, at: float, action: Callable[[Any], None], argument: object) -> None:
        """Call `action` at a time."""

    def ended(self, name: str) -> None:
        """A link is over and sends no more."""


class Courier:
    """Sends what `streams` and the link give it, as packets of the link of that name, until `stop`."""

    def __init__(self, network: Medium, name: str, streams: Streams, chance: Random) -> None:
        #: Whether data may go yet; the handshake always may.
        self.may_send = False
        self._network = network
        self._name = name
        self._streams = streams
        self._chance = chance
        self._urgent: deque[Frame] = deque()
        self._datagrams: deque[Datagram] = deque(maxlen=DATAGRAMS)
        self._bulk: deque[Datagram] = deque()
        #: Bytes of bulk datagrams that wait.
        self.bulk_waiting = 0
        self._bulk_turn = False
        self._owed: list[int] = []
        self._flight: dict[int, Packet] = {}
        self._under_way = 0
        self._number = 0
        self._quiet_since = 0.0
        self._stopped = False

    def unsent(self, sid: int | None) -> int | None:
        """Bytes that were never sent: of a stream, None when it takes no more; or for None in bulk datagrams."""
        if sid is None:
            return self.bulk_waiting
        half = self._streams.outgoing.get(sid)
        return None if half is None or half.is_done else half.unsent

    def greet(self, flight: int) -> bool:
        """Answer a flight of the handshake; whether that completes it."""
        if flight == 1:
            if not self.may_send:
                self.may_send = True
                self.transmit((Hello(2),))
            return False
        if flight == 2:
            self.transmit((Hello(3),))
        self.may_send = True
        return True

    def say(self, frame: Frame | None) -> None:
        """Queue a frame, before all others; None is nothing to say."""
        if frame is not None:
            self._urgent.append(frame)

    def offer(self, datagram: Datagram) -> None:
        """Queue a datagram."""
        self._datagrams.append(datagram)

    def offer_bulk(self, datagram: Datagram) -> bool:
        """Queue a bulk datagram; False when there are too many."""
        if self.bulk_waiting + len(datagram.data) > BULK:
            return False
        self._bulk.append(datagram)
        self.bulk_waiting += len(datagram.data)
        return True

    def arrived(self, packet: Packet) -> None:
        """Owe an acknowledgement, unless none is wanted."""
        if packet.wants_ack:
            self._owed.append(packet.number)

    def acknowledged(self, ack: Ack) -> None:
        """These packets are with the peer."""
        for number in ack.packets:
            packet = self._flight.pop(number, None)
            if packet is not None:
                self._under_way -= packet.size
                self._quiet_since = self._network.now()
                for frame in packet.frames:
                    if isinstance(frame, Chunk):
                        self.say(self._streams.acknowledge(frame))

    def flush(self) -> None:
        """Send all that is queued, as far as the window allows."""
        if self._stopped:
            return
        if self._owed:
            owed, self._owed = tuple(self._owed), []
            self.carry((Ack(owed),))
        while self.may_send and self._under_way < self._network.window and (frames := self._pack()):
            self.transmit(frames)

    def transmit(self, frames: tuple[Frame, ...]) -> None:
        """Send a packet now, and miss it when it is not acknowledged."""
        network = self._network
        now = network.now()
        if not self._flight:
            self._quiet_since = now
        packet, arrival = self.carry(frames)
        self._flight[packet.number] = packet
        self._under_way += packet.size
        # The longer nothing comes back, the more patient: in effect, a time-out that doubles.
        least, most = _PATIENCE
        patience = min(max(least, network.latency, now - self._quiet_since), most)
        network.later(arrival + network.latency + network.jitter + patience, self._miss, packet)

    def carry(self, frames: tuple[Frame, ...]) -> tuple[Packet, float]:
        """Send a packet now, and care no further; the packet, and when it should arrive."""
        self._number += 1
        packet = Packet(self._number, frames)
        return packet, self._network.carry(self._name, packet)

    def stop(self) -> None:
        """Forget what was not sent, and what may be lost."""
        self._stopped = True
        self.bulk_waiting = 0
        for held in (self._urgent, self._datagrams, self._bulk, self._owed, self._flight):
            held.clear()

    def _miss(self, packet: Packet) -> None:
        if self._flight.pop(packet.number, None) is None:
            return
        self._under_way -= packet.size
        for frame in packet.frames:
            if isinstance(frame, Hello):
                self.transmit((frame,))
            elif not isinstance(frame, Datagram):
                self._urgent.append(frame)
        self.flush()

    def _pack(self) -> tuple[Frame, ...]:
        """The frames of the next packet: what is urgent or was lost, datagrams, streams in turn, and bulk last."""
        frames: list[Frame] = []
        room = _ROOM
        queues: tuple[deque[Any], ...] = (self._urgent, self._datagrams)
        for queue in queues:
            while queue and _size(queue[0]) <= room:
                frame: Frame = queue.popleft()
                if not isinstance(frame, Chunk) or self._streams.is_missing(frame):
                    frames.append(frame)
                    room -= _size(frame)
        for bulk in (False, True):
            # They take turns with the bulk streams, which fill a packet each.
            if bulk and self._bulk and _size(self._bulk[0]) <= room and self._is_turn_of_bulk_datagrams():
                datagram = self._bulk.popleft()
                self.bulk_waiting -= len(datagram.data)
                frames.append(datagram)
                room -= _size(datagram)
            while room > _FRAME and (chunk := self._streams.take(self._cut(room - _FRAME), bulk=bulk)) is not None:
                frames.append(chunk)
                room -= _size(chunk)
        return tuple(frames)

    def _is_turn_of_bulk_datagrams(self) -> bool:
        self._bulk_turn = not self._bulk_turn or not self._streams.has_bulk
        return self._bulk_turn

    def _cut(self, room: int) -> int:
        """How much of a stream goes into so much room."""
        return self._chance.randint(1, room) if self._chance.random() < self._network.split else room


def _size(frame: Frame) -> int:
    return _FRAME + len(frame.data) if isinstance(frame, Chunk | Datagram) else _FRAME
