"""The streams of a simulated connection: the frames they travel in, their two halves, their limits. (ARCHITECTURE)

Four of the frames are the link's own events, since that is what they become at the other end: Reset is
RESET_STREAM, Stopped STOP_SENDING, Datagram DATAGRAM and Closed CONNECTION_CLOSE (RFC 9000 section 19).
"""

from __future__ import annotations

from collections import deque

from quicchat.errors import Code, Refused
from quicchat.protocol.events import Bytes, Closed, Datagram, Reset, Stopped
from quicchat.values import dataclass


@dataclass(frozen=True, slots=True)
class Hello:
    """One flight of the handshake: 1 and 3 by the client, 2 by the server. `early`: data may come before 3."""

    flight: int
    early: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of a stream; the same part is cut the same way each time it is sent."""

    sid: int
    offset: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Allow:
    """How many streams the peer may have opened in all (MAX_STREAMS)."""

    total: int
    uni: bool


@dataclass(frozen=True, slots=True)
class Ack:
    """Packets that arrived; itself neither acknowledged nor sent again."""

    packets: tuple[int, ...]


Frame = Hello | Chunk | Reset | Stopped | Datagram | Allow | Ack | Closed


class Outgoing:
    """The sending half of a stream. A chunk under way is known by its offset."""

    __slots__ = (
        "_fin",
        "_fin_taken",
        "_flight",
        "_offset",
        "_queue",
        "backlog",
        "given_up",
        "is_bulk",
        "listed",
        "sid",
    )

    def __init__(self, sid: int) -> None:
        self.sid = sid
        #: Bytes written and not yet acknowledged.
        self.backlog = 0
        #: Whether it was reset.
        self.given_up = False
        #: Whether it stands in the round of those that have something to send.
        self.listed = False
        #: Whether it waits for those that are not.
        self.is_bulk = False
        self._queue = bytearray()
        self._offset = 0
        self._fin = False
        self._fin_taken = False
        self._flight: set[int] = set()

    @property
    def has_more(self) -> bool:
        """Whether there is anything that was never sent."""
        return bool(self._queue) or (self._fin and not self._fin_taken)

    @property
    def unsent(self) -> int:
        """Bytes that were never sent."""
        return len(self._queue)

    @property
    def is_done(self) -> bool:
        """Whether everything has arrived, or never will."""
        return self.given_up or (self._fin_taken and not self._flight)

    def write(self, data: bytes, fin: bool) -> None:
        """Queue bytes; after the last or a reset it does nothing."""
        if not self._fin and not self.given_up:
            self._queue += data
            self.backlog += len(data)
            self._fin = fin

    def take(self, most: int) -> Chunk:
        """The next chunk, of at most so many bytes."""
        data = bytes(self._queue[:most])
        del self._queue[:most]
        self._fin_taken = self._fin and not self._queue
        chunk = Chunk(self.sid, self._offset, data, self._fin_taken)
        self._flight.add(self._offset)
        self._offset += len(data)
        return chunk

    def is_missing(self, chunk: Chunk) -> bool:
        """Whether a chunk still has to arrive."""
        return chunk.offset in self._flight

    def acknowledge(self, chunk: Chunk) -> None:
        """The peer has this chunk."""
        if chunk.offset in self._flight:
            self._flight.remove(chunk.offset)
            self.backlog -= len(chunk.data)

    def give_up(self) -> None:
        """Forget what was not sent, and what was not acknowledged."""
        self.given_up = True
        self.backlog = 0
        self._queue.clear()
        self._flight.clear()


class Incoming:
    """The receiving half of a stream: puts chunks back into order."""

    __slots__ = ("_early", "_next", "is_over", "unwanted")

    def __init__(self) -> None:
        #: Whether the last byte or a reset has come.
        self.is_over = False
        #: Whether the peer was asked to stop: what still comes is put in order, but not reported.
        self.unwanted = False
        self._early: dict[int, Chunk] = {}
        self._next = 0

    def receive(self, chunk: Chunk) -> list[Bytes]:
        """What can now be delivered. Chunks may come in any order, and more than once."""
        ready: list[Bytes] = []
        if self.is_over or chunk.offset < self._next:
            return ready
        self._early[chunk.offset] = chunk
        while not self.is_over and (found := self._early.pop(self._next, None)) is not None:
            ready.append(Bytes(found.sid, found.data, found.fin))
            self._next += len(found.data)
            self.is_over = found.fin
        return [] if self.unwanted else ready

    def abort(self) -> bool:
        """The peer gave up; whether that is news."""
        if self.is_over:
            return False
        self.is_over = True
        self._early.clear()
        return not self.unwanted


class Streams:
    """All streams of one end. The client's have even ids, the server's odd ones; bit 1 is set where only one sends.

    `ours` and `theirs` are how many streams of each kind either end may open at first.
    """

    def __init__(self, *, is_client: bool, ours: int, theirs: int) -> None:
        self.incoming: dict[int, Incoming] = {}
        self.outgoing: dict[int, Outgoing] = {}
        self._parity = 0 if is_client else 1
        self._opened = {False: 0, True: 0}
        self._ours = {False: ours, True: ours}
        self._theirs = {False: theirs, True: theirs}
        self._gone: set[int] = set()
        self._round: deque[Outgoing] = deque()
        self._bulk_round: deque[Outgoing] = deque()

    def open(self, *, uni: bool) -> int:
        """A new stream of ours. Raises Refused(LIMIT)."""
        index = self._opened[uni]
        if index >= self._ours[uni]:
            raise Refused(Code.LIMIT, "The other end allows no more streams at present.")
        self._opened[uni] += 1
        sid = index * 4 + (2 if uni else 0) + self._parity
        self.outgoing[sid] = Outgoing(sid)
        if not uni:
            self.incoming[sid] = Incoming()
        return sid

    def hear(self, sid: int) -> Incoming | None:
        """The receiving half of a stream, which may be new; None when it is over, or none is there."""
        if sid & 1 != self._parity and sid not in self.incoming and sid not in self._gone:
            self.incoming[sid] = Incoming()
            if not sid & 2:
                self.outgoing[sid] = Outgoing(sid)
        return self.incoming.get(sid)

    def retire(self, sid: int) -> Allow | None:
        """Forget a stream if both its halves are over; for one of the peer's he is allowed another."""
        incoming, outgoing = self.incoming.get(sid), self.outgoing.get(sid)
        if (incoming is not None and not incoming.is_over) or (outgoing is not None and not outgoing.is_done):
            return None
        self.incoming.pop(sid, None)
        self.outgoing.pop(sid, None)
        fresh = sid not in self._gone
        self._gone.add(sid)
        return self.allow(bool(sid & 2), 1) if fresh and sid & 1 != self._parity else None

    def allow(self, uni: bool, more: int) -> Allow:
        """Let the peer open more streams."""
        self._theirs[uni] += more
        return Allow(self._theirs[uni], uni)

    def allowed(self, frame: Allow) -> None:
        """The peer lets us open more streams."""
        self._ours[frame.uni] = max(self._ours[frame.uni], frame.total)

    def enlist(self, half: Outgoing) -> None:
        """Put a stream that has something to send into the round."""
        if half.has_more and not half.listed:
            half.listed = True
            (self._bulk_round if half.is_bulk else self._round).append(half)

    def demote(self, sid: int) -> None:
        """From now on a stream carries bulk data."""
        half = self.outgoing.get(sid)
        if half is not None and not half.is_bulk:
            half.is_bulk = True
            if half.listed:
                self._round.remove(half)
                self._bulk_round.append(half)

    @property
    def has_bulk(self) -> bool:
        """Whether a stream with bulk data has anything to send."""
        return any(half.has_more for half in self._bulk_round)

    def take(self, most: int, *, bulk: bool = False) -> Chunk | None:
        """A chunk of the stream whose turn it is, of one or the other kind; None when none has anything to send."""
        turns = self._bulk_round if bulk else self._round
        while turns:
            half = turns.popleft()
            half.listed = False
            if half.has_more:
                chunk = half.take(most)
                self.enlist(half)
                return chunk
        return None

    def is_missing(self, chunk: Chunk) -> bool:
        """Whether a chunk that was sent still has to arrive."""
        half = self.outgoing.get(chunk.sid)
        return half is not None and half.is_missing(chunk)

    def acknowledge(self, chunk: Chunk) -> Allow | None:
        """The peer has a chunk; perhaps the stream is now over."""
        half = self.outgoing.get(chunk.sid)
        if half is None:
            return None
        half.acknowledge(chunk)
        return self.retire(chunk.sid)

    def clear(self) -> None:
        """Forget them all."""
        self.incoming.clear()
        self.outgoing.clear()
        self._round.clear()
        self._bulk_round.clear()
