"""The connection: bytes in, checked PDUs out, and back; no sockets, no clock, no tasks. (spec 03-session)"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from quicchat.errors import MEANINGS, Code, LocalProtocolError, RemoteProtocolError
from quicchat.protocol import judgement, writing
from quicchat.protocol.channels import Channel, Channels
from quicchat.protocol.closing import DRAIN, NO_VERSION, Closing, brief, closed
from quicchat.protocol.conduct import HELD_FRAME, Conduct
from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent, Reset, Stopped, Writable
from quicchat.protocol.health import Health
from quicchat.protocol.judgement import DATAGRAMS, FORGIVING, PUSHABLE, Legal, Misplaced, Nameless
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello, Negotiation
from quicchat.protocol.news import Event as Event
from quicchat.protocol.news import Lost as Lost
from quicchat.protocol.news import RawReceived
from quicchat.protocol.news import Received as Received
from quicchat.wire import codec, frame
from quicchat.wire.chapters.files import FileHeader
from quicchat.wire.chapters.session import Bye, Error, Goaway, Ping, Pong, StreamOpen, VersionRequest, VersionResponse
from quicchat.wire.codec import Envelope
from quicchat.wire.grease import Grease
from quicchat.wire.registry import Pdu, Role
from quicchat.wire.states import LOGIN, State


class Connection:
    """One end of a connection.

    Calling order: feed what the link reports to `receive`, and the time to `handle_timer` whenever `timer` has
    passed; then take what happened from `events` and what is to be sent from `output`, until both are empty.
    Times are seconds on any clock that does not go back. Only LocalProtocolError leaves a wish, and then
    nothing was sent; no input raises. Without `pongs` a PING is told like a request, for whoever drives the
    connection to answer.
    """

    def __init__(
        self,
        role: Role,
        hello: Hello,
        *,
        now: float,
        wall: float,
        limits: Limits | None = None,
        seed: int = 0,
        pongs: bool = True,
    ) -> None:
        self.role = role
        self.state = State.START
        #: Our limits, narrowed by the peer's once they are known, as is the version.
        self.limits = limits or Limits()
        self.version: int | None = None
        #: False until the handshake is complete: what came before may be a replay.
        self.established = False
        #: Set when the end is near: `settle` then wants to know when everything has been acknowledged.
        self.closing: Closing | None = None
        self.negotiation = Negotiation(hello, self.limits)
        self.health = Health(self.limits, pings=role is Role.CLIENT, now=now, wall=wall)
        self.conduct = Conduct(self.limits)
        self._events: deque[Event] = deque()
        self._channels = Channels(self.limits, self._events.append)
        self._output = self._channels.output
        self._grease = Grease(seed)
        self._now = now
        self._pongs = pongs
        self._deadline: float | None = now + self.limits.negotiation
        self._peer_left = False
        self._over = False
        self._pushable = PUSHABLE[role, self.state]

    # Getters

    def timer(self) -> float | None:
        """When `handle_timer` is due; None once all is over."""
        if self._over:
            return None
        if self.closing is not None:
            return self.closing.deadline
        due = (self.health.deadline(), self._deadline, self._channels.deadline())
        return min(each for each in due if each is not None)

    # Inputs

    def receive(self, event: LinkEvent, now: float) -> None:
        """Take what the link reports."""
        if self._over:
            return
        self._now = now
        self.health.heard(now)
        try:
            match event:
                case Bytes(sid, data, fin):
                    self._receive_bytes(sid, data, fin)
                case Datagram(data) if not self._peer_left:
                    # Datagrams change no state; what is early, malformed or misplaced is dropped.
                    envelope = judgement.ephemeral(data, sender=self.role.peer, state=self.state, version=self.version)
                    if envelope is None:
                        self.conduct.drop(now)
                    else:
                        self._events.append(Received(None, envelope))
                case Reset(sid, code) | Stopped(sid, code):
                    self._receive_end(sid, code)
                case Writable():
                    self._events.append(event)
                case Established():
                    # It moves nothing by itself; whoever held something back until now has to know.
                    self.established = True
                    self._events.append(event)
                case Closed():
                    self._end(event, told=True)
        except RemoteProtocolError as error:
            # More raw bytes than were announced cost the stream that they came on, and no more (hostile X4).
            if not (isinstance(event, Bytes) and self._channels.overran(event.sid)):
                self.fail(error.code, error.text, now)

    def handle_timer(self, now: float) -> None:
        """Let the time be `now`: pings, deadlines, the end of the linger."""
        self._now = now
        if self._over:
            return
        if self.closing is not None:
            self.settle(1, now)
        elif self.health.dead(now):
            self._end(closed(Code.NO_ERROR, "no sign of life"))
        elif self._deadline is not None and now >= self._deadline:
            if self.state is State.DRAINING:
                self.close(Code.NO_ERROR, "what ran took too long", now)
            else:
                self.fail(Code.AUTH_FAILED if self.version else Code.NEGOTIATION_TIMEOUT, "not in time", now)
        elif self._channels.expire(now):
            self.fail(Code.LIMIT, "a frame was not completed in time", now)
        elif self.health.due(now):
            self.send(self.health.ask(now))

    def settle(self, backlog: int, now: float) -> None:
        """While `closing`: the link still holds `backlog` unacknowledged bytes. Closes when it may."""
        closing = self.closing
        if closing is not None and not self._over and closing.is_due(backlog, now):
            self._end(closing.closed)

    # Wishes

    def start(self, sid: int) -> None:
        """Client: negotiate on stream `sid`, the first of the connection. Raises as `send`."""
        self.open(sid, self.negotiation.request(self._grease.capability()))

    def open(self, sid: int, opening: StreamOpen | VersionRequest) -> None:
        """Client: dedicate the link's new stream `sid`. Raises as `send`."""
        if self.state is State.CLOSED:
            return
        if self._channels.get(sid) is not None:
            raise LocalProtocolError(Code.STREAM_MISUSE, f"stream {sid} was opened before")
        channel = Channel(sid, judgement.purpose_of(opening), self.limits.frame, self._now)
        self._write(channel, opening)
        self._channels.enter(channel)

    def send(self, pdu: Pdu, *, sid: int | None = None, id: int | None = None, re: int | None = None) -> None:
        """Send a PDU, on control unless `sid` says otherwise; nothing is sent on what is over.

        Raises LocalProtocolError: (STATE) where the automaton forbids it, (STREAM_MISUSE) where the stream is for
        something else, (SCHEMA, UNSUPPORTED, FRAME_TOO_LARGE) where it cannot be written.
        """
        channel = self._channels.get(sid)
        if channel is None or channel.finished or self.state is State.CLOSED:
            return
        self._write(channel, pdu, id, re)

    def datagram(self, pdu: Pdu) -> None:
        """Send a PDU in a datagram; nothing is sent before the login or on what is over. Raises as `send`."""
        if self.state in FORGIVING:
            writing.following(self.state, self.role, pdu)
            self._output.append(writing.datagram(pdu, version=self.version))

    def push(self, encoded: bytes, pdu: type[Pdu], sid: int | None = None) -> bool:
        """Send what was encoded once for many, a frame or a datagram; False where state or stream forbid its PDU."""
        channel = self._channels.get(sid)
        if pdu not in self._pushable or channel is None or channel.finished:
            return False
        if pdu in DATAGRAMS:
            self._output.append(Datagram(encoded))
            return True
        if sid is not None and (channel.via is None or channel.via not in pdu.SPEC.via):
            return False
        self._output.append(Bytes(channel.sid, encoded))
        return True

    def raw(self, sid: int, data: bytes) -> None:
        """Send raw bytes that a FILE_HEADER on this stream announced. Raises LocalProtocolError(STREAM_MISUSE)."""
        if self.state in FORGIVING:
            self._channels.raw(sid, data)

    def finish(self, sid: int, code: int | None = None) -> None:
        """Send the last of a stream other than control; with a code, give it up both ways."""
        channel = self._channels.get(sid)
        if self.state is State.CLOSED or channel is None:
            return
        if code is None:
            self._channels.finish(sid)
        elif not self._channels.is_vital(channel):
            self._channels.drop(channel, code)

    def leave(self, reason: str, now: float) -> None:
        """Say BYE; the peer closes when it has finished, and we do when that takes too long."""
        if self.closing is not None:
            return
        if self._peer_left or self.state not in (*LOGIN, *FORGIVING):
            self.close(Code.NO_ERROR, reason, now)
            return
        self.send(Bye(reason=brief(reason, 512) or None))
        self.closing = Closing(closed(Code.NO_ERROR, reason), now + DRAIN, early=False)

    def close(self, code: int, reason: str, now: float) -> None:
        """Close with a code as soon as all that was sent is acknowledged, or after the linger.

        Where the end is near already, its code stays.
        """
        closing = self.closing
        if self._over or (closing is not None and (closing.early or self.state is State.CLOSED)):
            return
        self.closing = Closing(closed(code, reason), now + self.limits.linger, early=True)

    def fail(self, code: Code, text: str, now: float) -> None:
        """Declare the connection dead: a fatal ERROR, then the close with its code."""
        if self.state is State.CLOSED:
            return
        self._now = now
        self.closing = None
        text = text or MEANINGS[code].text
        self.send(Error.about(code, brief(text, 512), fatal=True))
        self._move(State.CLOSED)
        self.close(code, text, now)

    # Drains

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        taken = list(self._events)
        self._events.clear()
        return taken

    def output(self) -> list[LinkEvent]:
        """What the link is to send or do since the last call, in order: what the peer's link will report."""
        return self._channels.drain()

    # What goes out

    def _write(self, channel: Channel, pdu: Pdu, id: int | None = None, re: int | None = None) -> None:
        """Check, encode, queue, move: whatever is wrong with a wish raises before anything has happened."""
        to = writing.following(self.state, self.role, pdu)
        payload = writing.payload(pdu, version=self.version, via=channel.via, limit=self.limits.frame, id=id, re=re)
        if self.state in FORGIVING and self._grease.due():
            payload = writing.greased(payload, pdu, self._grease, version=self.version, id=id, re=re)
        channel.announce(pdu)
        if isinstance(pdu, VersionRequest | VersionResponse):
            self.negotiation.witness(payload)
        self._output.append(Bytes(channel.sid, frame.wrap(payload)))
        self._move(to)
        if isinstance(pdu, Error) and to is State.CLOSED:
            self.close(pdu.code, pdu.text or "", self._now)

    # What comes in

    def _receive_bytes(self, sid: int, data: bytes, fin: bool) -> None:
        if self._peer_left or self.state is State.CLOSED:
            return
        logged_in = self.state in FORGIVING
        channel = self._channels.arrive(sid, self._now, logged_in=logged_in)
        if channel is None:
            return
        if not logged_in and (self.role is Role.SERVER or channel is not self._channels.control):
            self.conduct.early(len(data))
        for item in channel.feed(data, self._now):
            if isinstance(item, bytes):
                self._take(channel, item)
            else:
                # Nothing takes the header of bytes that nobody wants any more, so the stream is still there.
                self._events.append(RawReceived(sid, item.data))
        if fin:
            self._receive_end(sid, None)

    def _receive_end(self, sid: int, code: int | None) -> None:
        if self._peer_left or self.state is State.CLOSED:
            return
        channel = self._channels.get(sid)
        if channel is None or not self._channels.is_vital(channel):
            self._channels.end(sid, code)
        elif code is None and channel.reader.pending:
            raise RemoteProtocolError(Code.DECODE, "the control stream ended within a frame")
        else:
            # Whoever cuts the control stream has left, however rudely; there is nobody to tell.
            self._end(replace(closed(Code.NO_ERROR, "control stream ended"), remote=True))

    def _take(self, channel: Channel, payload: bytes) -> None:
        """One frame: decode, judge, move, hand up. What comes early on other streams waits for READY."""
        if self.state is State.CLOSED or self._peer_left or self._channels.get(channel.sid) is not channel:
            return
        control = self._channels.control
        early = self.state not in FORGIVING and channel is not control
        waits = early and (control is not None or bool(channel.held))
        envelope = None if waits else codec.decode(payload, version=self.version)
        # Streams are not ordered among each other: a STREAM_OPEN may overtake even VERSION_REQUEST.
        if envelope is None or (early and isinstance(envelope.pdu, StreamOpen)):
            self.conduct.early(HELD_FRAME)
            channel.held.append(payload)
            return
        match judgement.judge(envelope.pdu, sender=self.role.peer, state=self.state, via=channel.via):
            case Legal(pdu, to, via):
                if channel.via is None:
                    self._channels.dedicate(channel, via)
                if isinstance(pdu, VersionRequest | VersionResponse):
                    self.negotiation.witness(payload)
                self._move(to)
                self._act(channel, pdu, envelope)
            case Misplaced(code, text):
                self.conduct.misuse()
                if channel.owed:
                    self._channels.drop(channel, code)
                else:
                    self.send(Error.about(code, text), sid=channel.sid, re=envelope.id)
            case Nameless():
                self.conduct.misuse()
                self._channels.drop(channel, Code.UNSUPPORTED)
            # Ignored: an extension that may be passed over.

    def _act(self, channel: Channel, pdu: Pdu, envelope: Envelope) -> None:
        """What the connection itself does about a PDU; the rest goes up."""
        match pdu:
            case VersionRequest() | VersionResponse():
                self._negotiate(pdu, envelope)
            case Ping() if self._pongs:
                self.send(self.health.pong(pdu, self._now), re=envelope.id)
                return
            case FileHeader():
                channel.announced(pdu.follows)
            case Pong():
                self.health.answered(pdu, self._now)
            case Error(fatal=True):
                self._output.append(closed(Code.NO_ERROR, ""))
                self._end(Closed(pdu.code, pdu.text or ""), told=True)
                return
            case Goaway():
                self._deadline = self._now + DRAIN
            case Bye():
                self._deadline, self._peer_left = self._now + DRAIN, True
                channel.reader.discard()
                if self.closing is not None:
                    # Both have left, so nobody waits for the other.
                    self.closing = replace(self.closing, early=True)
        self._events.append(Received(channel.sid, envelope))

    def _negotiate(self, pdu: VersionRequest | VersionResponse, envelope: Envelope) -> None:
        negotiation = self.negotiation
        if isinstance(pdu, VersionRequest):
            time = self.health.unix(self._now)
            self.send(negotiation.respond(pdu, self._grease.capability(), time), re=envelope.id)
        else:
            negotiation.accept(pdu)
        self.version, self.limits = negotiation.version, negotiation.limits
        if self.version is not None:
            self._deadline = self._now + self.limits.login
            self.health.begin(self.limits, self._now)
            self._channels.agree(self.limits)
        else:
            # The server closes, once its answer is acknowledged; the client only where that does not happen.
            self.closing = Closing(NO_VERSION, self._now + self.limits.linger, early=self.role is Role.SERVER)

    # The rest

    def _move(self, to: State) -> None:
        if to is self.state:
            return
        self.state = to
        self._pushable = PUSHABLE[self.role, to]
        if to is not State.READY:
            return
        self._deadline = None
        control = self._channels.control
        if self._grease.sprinkles and control is not None:
            self._output.append(Bytes(control.sid, frame.wrap(self._grease.pdu(self.version or 1))))
        try:
            for channel, held in self._channels.take_held():
                for payload in held:
                    self._take(channel, payload)
                if channel.ended and self._channels.get(channel.sid) is channel:
                    self._channels.end_held(channel)
        except RemoteProtocolError as error:
            # A wish may have brought us here, and only its own faults may leave it.
            self.fail(error.code, error.text, self._now)

    def _end(self, end: Closed, *, told: bool = False) -> None:
        """End at once, with this close, which the link must yet be told of unless it is `told`."""
        if not told:
            self._output.append(replace(end, remote=False))
        self._over = True
        self._move(State.CLOSED)
        self._events.append(Lost(end.code, end.reason, end.remote, end.application))
