"""Mutants of chapter 3: what a stream is for, early data, datagrams."""

from __future__ import annotations

from quicchat.protocol import judgement
from quicchat.protocol.channels import Channels
from quicchat.protocol.conduct import Conduct
from quicchat.protocol.connection import Connection
from quicchat.server import router
from quicchat.server.outlet import Outlet
from quicchat.server.services.tokens import Resumptions
from quicchat.server.session import Session
from quicchat.transport import endpoint
from quicchat.transport.guards import GuardedConnection
from tests.mutants.mutant import edit, fault, mutant, swap

# 3.7 What a stream is for

fault(
    "3.7-1/refused-but-open",
    "A stream that does not say what it is for is refused, and stays open.",
    (
        judgement.judge,
        "if purpose is None and state in FORGIVING:\n        return Nameless()",
        'if purpose is None and state in FORGIVING:\n        return Misplaced(Code.STREAM_MISUSE, "for nothing")',
    ),
    (judgement.judge, " if via else Nameless()", ""),
    kills=("3.7-1/S14-*", "3.7-1/version-1-has-none", "3.7-1/others-live-on"),
)
fault(
    "3.7-1/nameless-is-fatal",
    "A stream that does not say what it is for ends the connection.",
    (
        Connection._take,
        "self._channels.drop(channel, Code.UNSUPPORTED)",
        'raise RemoteProtocolError(Code.UNSUPPORTED, "a stream for nothing")',
    ),
    kills=("3.7-1/S14-*", "3.7-1/version-1-has-none", "3.7-1/others-live-on"),
)
fault(
    "3.7-1/one-way",
    "A stream is given up in one direction only.",
    (
        Channels._give_up,
        "self.output.extend((Reset(sid, code), Stopped(sid, code)))",
        "self.output.append(Reset(sid, code))",
    ),
    kills=("3.7-1/S14-*", "3.7-1/others-live-on", "3.7-9/nobody-of-the-room", "3.7-9/too-many"),
)
fault(
    "3.7-2/forgotten",
    "What comes on other streams before READY is forgotten.",
    (Connection._take, "channel.held.append(payload)\n", "pass\n"),
    kills=("3.7-2/held-*", "3.7-2/misuse-*"),
)
fault(
    "3.7-2/nothing-overtakes",
    "A STREAM_OPEN that comes before VERSION_REQUEST ends the connection.",
    (
        Connection._take,
        "if envelope is None or (early and isinstance(envelope.pdu, StreamOpen)):",
        "if envelope is None:",
    ),
    kills=("3.7-2/START.*", "1.3-1/control-begins-last"),
)
fault(
    "3.7-2/held-without-limit",
    "Before the login a client may say as much as it likes.",
    (Conduct.early, "self._early > self._limits.before_login", "False"),
    kills=("3.7-2/within-its-limit",),
)
fault(
    "3.7-3/anything-anywhere",
    "On which stream a PDU comes is not looked at.",
    (judgement.judge, "purpose in spec.via and not again", "not again"),
    kills=("3.7-3/not-on-*", "3.7-2/misuse-*", "3.9-1/on-no-stream"),
)
fault(
    "3.7-3/opened-twice",
    "A stream may say anew what it is for.",
    (judgement.judge, " and not again", ""),
    kills=("3.7-3/second-opening-*",),
)
fault(
    "3.7-3/told-on-control",
    "What does not belong on a stream is refused on control.",
    (Connection._take, "sid=channel.sid, re=envelope.id", "re=envelope.id"),
    kills=("3.7-3/not-on-query", "3.7-3/not-on-room", "3.7-3/not-on-file", "3.7-3/second-*"),
)


@mutant("3.7-4/any-number-of-streams", "3.7-4/Q3-*")
def any_number() -> None:
    """Nobody counts streams, neither here nor in QUIC."""
    edit(Channels.arrive, ("if len(self._open) < (", "if True or ("))
    edit(GuardedConnection.authenticated, ("options.bidi_streams - options.early_streams", "4096"))
    swap(endpoint, "Options", lambda made: lambda: made(early_streams=4096))


fault(
    "3.7-5/half-open",
    "The server does not end its half of a stream.",
    (Outlet._finish, "self._driver.finish(sid)", "pass"),
    kills=("3.7-5/*", "3.7-4/streams-come-free", "3.7-2/held-with-its-end"),
)
fault(
    "3.7-5/ends-with-the-request",
    "The server ends its half when the client has ended his, whatever is still to be answered.",
    (Outlet._finish, "and self._open[sid] <= 0", ""),
    kills=("3.7-5/ends-after-its-answers", "3.7-4/streams-come-free"),
)
fault(
    "3.7-7/events-on-control",
    "Events of a room that has a stream come on control.",
    (Outlet.push, "if rooms and isinstance(pdu, Message) else None", "if False else None"),
    kills=("3.7-7/events-*", "3.7-9/one-replaces-*"),
)
fault(
    "3.7-7/receipts-on-the-room-stream",
    "Receipts of a room come on its stream.",
    (Outlet.push, "isinstance(pdu, Message)", "hasattr(pdu, 'room')"),
    (Connection.push, "channel.via is None or channel.via not in pdu.SPEC.via", "channel.via is None"),
    kills=("3.7-7/receipts-on-control",),
)
fault(
    "3.7-8/no-head",
    "Who opens a room stream behind the head is told nothing.",
    (Session._open_room, "elif pdu.have is not None and (head is None or pdu.have < head):", "elif False:"),
    kills=("3.7-8/*",),
)
fault(
    "3.7-9/for-anybody",
    "Who is in no room has a stream for it.",
    (Session._open_room, "if not router.hears(self, room):", "if False:"),
    kills=("3.7-9/nobody-*",),
)
fault(
    "3.7-9/any-number",
    "Nobody counts room streams.",
    (Outlet.open, "len(rooms) >= self._connection.limits.room_streams and room not in rooms", "False"),
    kills=("3.7-9/too-many", "3.1-8/fewer-room-streams"),
)
fault(
    "3.7-9/the-former-stays",
    "The former stream of a room stays open.",
    (Outlet.open, "if before is not None:", "if False:"),
    kills=("3.7-9/one-replaces-*",),
)
fault(
    "3.7-10/a-gap-at-every-end",
    "Who ends a room stream in order is told of a gap.",
    (Outlet.ended, "return {}\n", "return {} if closed is None else dict([closed])\n"),
    kills=("3.7-10/ended-in-order",),
)
fault(
    "3.7-10/no-head-after-a-cut",
    "Who cuts a room stream is not told where the log stands.",
    (Outlet.ended, "return {} if closed is None else dict([closed])", "return {}"),
    kills=("3.7-10/reset", "3.7-10/reading-stopped"),
)
fault(
    "3.7-10/silence-after-the-end",
    "When a room stream has ended, nothing of its room is sent.",
    (Outlet.ended, "closed = self._streams.close(sid)", "closed = None"),
    (Outlet.push, "self._driver.push(encoded, type(pdu))\n", "pass\n"),
    kills=("3.7-10/ended-in-order", "3.7-10/reset", "3.7-10/reading-stopped"),
)
fault(
    "3.7-10/stays-without-the-room",
    "The stream of a room that is left stays open.",
    (Outlet.leave, "self._driver.finish(sid)", "pass"),
    kills=("3.7-10/the-user-leaves-*",),
)

# 3.8 Early data, the time of a login

fault(
    "3.8-1/what-waited-is-lost",
    "What waited for the handshake waits for ever.",
    (
        Session._on_events,
        "case Established():\n                self._settle()\n                self._next()",
        "case Established():\n                pass",
    ),
    kills=("3.8-1/the-rest-*",),
)
fault(
    "3.8-1/all-at-once",
    "Early data is served like any other.",
    (Session._settle, "or not self._connection.established or", "or"),
    (
        Session._wait,
        "if self._settling is not None or not (self._connection.established or pdu.SPEC.replay_safe):",
        "if self._settling is not None:",
    ),
    kills=("3.8-1/nothing-else-*", "3.8-2/*"),
)
fault(
    "3.8-2/used-up-at-once",
    "A token is used up before the handshake is complete.",
    (Session._settle, "or not self._connection.established or", "or"),
    kills=("3.8-2/*",),
)
fault(
    "3.8-3/another-code",
    "Whose token was used meanwhile is sent away with AUTH_FAILED.",
    (Resumptions.settle, "[Close(refusal.code, refusal.text)]", "[Close(Code.AUTH_FAILED, refusal.text)]"),
    kills=("3.8-3/*",),
)
fault(
    "3.8-4/late-and-deaf",
    "What is said between AUTH_OK and the admission reaches nobody.",
    (Session._carry_out, "self._admit(effect)", "self._loop.call_later(0.2, self._admit, effect)"),
    (Session._admit, "since=self._mark", "since=None"),
    kills=("3.8-4/*",),
)

# 3.9 Datagrams

fault(
    "3.9-1/answered",
    "A datagram with an id is answered.",
    (Session._on_events, "self._start(envelope.pdu, UNASKED)", "self._start(envelope.pdu, Request(None, envelope.id))"),
    kills=("3.9-1/never-answered",),
)
fault(
    "3.9-1/on-streams-too",
    "What belongs in a datagram is taken on control.",
    (judgement.judge, "purpose in spec.via and", "(purpose in spec.via or spec.via is Via.DATAGRAM) and"),
    kills=("3.9-1/on-no-stream",),
)
fault(
    "3.9-1/any-length",
    "A datagram may be as long as it likes.",
    (judgement.ephemeral, "or len(data) > codec.MAX_DATAGRAM", ""),
    kills=("3.9-1/longest",),
)
fault(
    "3.9-1/a-byte-less",
    "A datagram of exactly the limit is too long.",
    (judgement.ephemeral, "len(data) > codec.MAX_DATAGRAM", "len(data) >= codec.MAX_DATAGRAM"),
    kills=("3.9-1/longest",),
)
fault(
    "3.9-1/sent-on-control",
    "What belongs in a datagram is sent on control.",
    (
        Connection.push,
        "self._output.append(Datagram(encoded))",
        "self._output.append(Bytes(channel.sid, frame.wrap(encoded)))",
    ),
    kills=("3.9-1/in-datagrams-only",),
)
fault(
    "3.9-2/for-version-1-too",
    "A client of version 1 is sent datagrams of version 2.",
    (
        router._encoded,
        "pdu = effect.pdu if version",
        "version = 2 if effect.pdu.SPEC.via is Via.DATAGRAM else version\n    pdu = effect.pdu if version",
    ),
    kills=("3.9-2/*",),
)
fault(
    "3.9-3/kept-until-the-login",
    "A datagram that came before the login is passed on after it.",
    (judgement.ephemeral, "if state not in FORGIVING or len", "if len"),
    (
        Session._on_events,
        "if self._actor.user is not None and",
        "if self._actor.user is None:\n                    self._loop.call_later(0.02, self._on_events, [event])\n"
        "                if self._actor.user is not None and",
    ),
    kills=("3.9-3/*",),
)
