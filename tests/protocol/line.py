"""Two connections and the line between them, in which streams keep their own order and no other. (ARCHITECTURE)"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from quicchat.errors import Code
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Event, Lost, Received
from quicchat.protocol.events import Bytes, Closed, LinkEvent, Reset, Stopped
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.wire import codec, frame
from quicchat.wire.chapters.accounts import AuthChallenge, AuthOk, AuthResponse, AuthStart
from quicchat.wire.chapters.files import FileHeader
from quicchat.wire.chapters.messages import History, Post, Window
from quicchat.wire.chapters.session import Error, Purpose, StreamOpen, VersionRequest
from quicchat.wire.codec import Envelope
from quicchat.wire.registry import Pdu, Role

#: Stream ids as QUIC numbers them.
CONTROL, QUERY, OTHER, THIRD, FROM_SERVER = 0, 4, 8, 12, 1
WALL = 1_800_000_000.0

START = AuthStart(mechanism="SCRAM-SHA-256", user="alice", data=b"first")
CHALLENGE = AuthChallenge(data=b"challenge")
RESPONSE = AuthResponse(data=b"final")
WELCOME = AuthOk(user="alice", session=1, proof=b"proof")

REQUEST = VersionRequest(versions=(2,), device=bytes(16))
POST = Post(room="general", cid=bytes(16), text="hi")
OPENING = StreamOpen(kind=Purpose.QUERY)
ASK = History(room="general", window=Window.LATEST)


def connection(
    role: Role, *, versions: tuple[int, ...] = (1, 2), limits: Limits | None = None, seed: int = 0, now: float = 0.0
) -> Connection:
    """One end before its first word."""
    hello = Hello(versions=versions, mechanisms=("SCRAM-SHA-256",) if role is Role.SERVER else ())
    return Connection(role, hello, now=now, wall=WALL, limits=limits, seed=seed)


class Line:
    """What each end puts out lies here until it is delivered, stream by stream, in pieces of any size."""

    def __init__(self, client: Connection | None = None, server: Connection | None = None) -> None:
        self.now = 0.0
        self.client = client or connection(Role.CLIENT)
        self.server = server or connection(Role.SERVER)
        #: What each end reported, and what it put out, in order.
        self.told: dict[Role, list[Event]] = {role: [] for role in Role}
        self.said: dict[Role, list[LinkEvent]] = {role: [] for role in Role}
        self._under_way: dict[tuple[Role, int | None], deque[LinkEvent]] = {}
        #: Halves of streams that are over: who stopped reading, and who has sent his last.
        self._unwanted: set[tuple[Role, int]] = set()
        self._finished: set[tuple[Role, int]] = set()

    def end(self, role: Role) -> Connection:
        return self.client if role is Role.CLIENT else self.server

    # What happens between the ends

    def collect(self) -> None:
        """Take what both ends have put out and what they tell."""
        for role in Role:
            end = self.end(role)
            while (output := end.output()) or (events := end.events()):
                self.said[role] += output
                self.told[role] += [] if output else events
                for event in output:
                    self._send(role, event)

    def ways(self) -> list[tuple[Role, int | None]]:
        """Where something waits to be delivered: to which end, and on which stream."""
        self.collect()
        return [way for way, waiting in self._under_way.items() if waiting]

    def deliver(self, way: tuple[Role, int | None], most: int = 1 << 30) -> None:
        """Deliver the next thing on one way; of bytes, at most so many."""
        to, sid = way
        event = self._under_way[way].popleft()
        if isinstance(event, Bytes) and len(event.data) > most:
            self._under_way[way].appendleft(Bytes(event.sid, event.data[most:], event.fin))
            event = Bytes(event.sid, event.data[:most])
        if isinstance(event, Closed):
            self._under_way.clear()
        elif sid is not None and (to, sid) in self._unwanted:
            return
        self.end(to).receive(event, self.now)
        if isinstance(event, Stopped):
            # RFC 9000 section 3.5: who is asked to stop answers with a reset.
            self._send(to, Reset(event.sid, event.code))

    def run(
        self, choose: Callable[[list[tuple[Role, int | None]]], tuple[tuple[Role, int | None], int]] | None = None
    ) -> None:
        """Deliver until nothing is under way; `choose` says what comes next, and how much of it."""
        while ways := self.ways():
            way, most = choose(ways) if choose is not None else (ways[0], 1 << 30)
            self.deliver(way, most)

    def tick(self, seconds: float) -> None:
        """Let time pass, with every timer at its time."""
        until = self.now + seconds
        while (due := min((at for role in Role if (at := self.end(role).timer()) is not None), default=until)) < until:
            self.now = max(self.now, due)
            for role in Role:
                at = self.end(role).timer()
                if at is not None and at <= self.now:
                    self.end(role).handle_timer(self.now)
            self.run()
        self.now = until
        for role in Role:
            self.end(role).handle_timer(self.now)
        self.run()

    def settle(self) -> None:
        """Everything is acknowledged."""
        for role in Role:
            self.end(role).settle(0, self.now)
        self.run()

    def _send(self, role: Role, event: LinkEvent) -> None:
        to = role.peer
        if isinstance(event, Closed):
            self._under_way.setdefault((to, None), deque()).append(Closed(event.code, event.reason, remote=True))
            return
        assert isinstance(event, Bytes | Reset | Stopped)
        half = role, event.sid
        if half in (self._unwanted if isinstance(event, Stopped) else self._finished):
            return
        waiting = self._under_way.setdefault((to, event.sid), deque())
        if isinstance(event, Reset) or (isinstance(event, Bytes) and event.fin):
            self._finished.add(half)
        if isinstance(event, Reset):
            # What was not delivered of the stream is lost with it.
            kept = [each for each in waiting if isinstance(each, Stopped)]
            waiting.clear()
            waiting.extend(kept)
        if isinstance(event, Stopped):
            self._unwanted.add(half)
        waiting.append(event)

    # Short ways

    def negotiate(self) -> Line:
        """Agree on a version."""
        self.client.start(CONTROL)
        self.run()
        return self

    def log_in(self) -> Line:
        """Bring both ends to READY, and forget how they got there."""
        self.negotiate()
        for end, pdu in (
            (self.client, START),
            (self.server, CHALLENGE),
            (self.client, RESPONSE),
            (self.server, WELCOME),
        ):
            end.send(pdu)
            self.run()
        self.forget()
        return self

    def forget(self) -> None:
        """Forget what was told and said so far."""
        for role in Role:
            self.told[role].clear()
            self.said[role].clear()

    def pdus(self, role: Role) -> list[Pdu]:
        """The PDUs that an end was told of."""
        return [event.envelope.pdu for event in self.told[role] if isinstance(event, Received)]  # type: ignore[misc]

    def lost(self, role: Role) -> Lost | None:
        """How the connection ended for an end; at most once, and last."""
        found = [event for event in self.told[role] if isinstance(event, Lost)]
        assert found in ([], self.told[role][-1:])
        return found[0] if found else None

    def ended(self, role: Role) -> list[Ended]:
        """The streams of whose end an end was told."""
        return [event for event in self.told[role] if isinstance(event, Ended)]


def write(pdu: Pdu, *, version: int = 2, id: int | None = None) -> bytes:
    """The frame of a PDU, as anybody may write it."""
    return frame.wrap(codec.encode(pdu, version=version, id=id))


def hear(end: Connection, data: Pdu | bytes, *, sid: int = CONTROL, fin: bool = False, now: float = 0.0) -> None:
    """Let an end receive bytes, or a PDU in the version that was negotiated."""
    if isinstance(data, Pdu):
        data = write(data, version=end.version or 1)
    end.receive(Bytes(sid, data, fin), now)


def read(output: Iterable[LinkEvent], sid: int | None = None) -> list[Envelope]:
    """The PDUs in what an end put out, of one stream or of all."""
    readers: dict[int, frame.FrameReader] = {}
    found: list[Envelope] = []
    for event in output:
        if isinstance(event, Bytes) and sid in (None, event.sid):
            reader = readers.setdefault(event.sid, frame.FrameReader(frame.HARD_LIMIT))
            for item in reader.feed(event.data):
                if isinstance(item, bytes):
                    found.append(codec.decode(item))
                    header = found[-1].pdu
                    reader.raw = header.follows if isinstance(header, FileHeader) else 0
    return found


@dataclass(frozen=True, slots=True)
class Fate:
    """What an end did to itself: the code of its fatal ERROR, and of its close."""

    error: int | None
    closed: int | None


def fate(end: Connection, now: float = 0.0) -> Fate:
    """Drain an end whose output is acknowledged at once."""
    output = end.output()
    end.settle(0, now)
    output += end.output()
    errors = [each.pdu.code for each in read(output) if isinstance(each.pdu, Error) and each.pdu.fatal]
    closes = [event.code for event in output if isinstance(event, Closed)]
    assert len(errors) <= 1
    assert len(closes) <= 1
    return Fate(errors[0] if errors else None, closes[0] if closes else None)


def fatal(code: Code) -> Fate:
    """The connection was declared dead with this code, and closed with it."""
    return Fate(code, code)


def ready(role: Role = Role.SERVER) -> Connection:
    """An end, logged in, with nothing left to drain."""
    return Line().log_in().end(role)


def in_login() -> Connection:
    """A server's end whose client waits for AUTH_OK, with nothing left to drain."""
    line = Line().negotiate()
    for end, word in ((line.client, START), (line.server, CHALLENGE), (line.client, RESPONSE)):
        end.send(word)
        line.run()
    line.forget()
    return line.server


def only(end: Connection) -> Lost:
    """The one thing that an end still has to tell: that it is over."""
    (event,) = end.events()
    assert isinstance(event, Lost)
    assert end.timer() is None
    return event


def received(end: Connection) -> list[tuple[int | None, Pdu]]:
    """The PDUs that an end tells of, each with its stream."""
    return [(each.sid, each.envelope.pdu) for each in end.events() if isinstance(each, Received)]  # type: ignore[misc]


def given_up(sid: int, code: int) -> list[LinkEvent]:
    """What an end puts out when it gives up a stream."""
    return [Reset(sid, code), Stopped(sid, code)]
