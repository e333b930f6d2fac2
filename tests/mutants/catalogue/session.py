"""Mutants of chapter 3: negotiation, health, errors, leaving."""

from __future__ import annotations

from typing import Any

from quicchat.errors import Code
from quicchat.protocol import closing, connection, health, judgement, writing
from quicchat.protocol.conduct import Conduct
from quicchat.protocol.connection import Connection
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Negotiation
from quicchat.server.outlet import Outlet
from quicchat.server.services.session import Sessions
from quicchat.server.session import Session
from quicchat.wire import codec, digest
from tests.mutants.mutant import edit, fault, mutant, swap

# 3.1 Negotiation

_CHOSEN = "max(set(self.hello.versions) & set(request.versions), default=0)"
_STRANGER = "if isinstance(pdu, Unknown):\n        if pdu.ignorable:"

fault(
    "3.1-1/what-comes-first-is-ignored",
    "What comes before VERSION_REQUEST is passed over.",
    (
        judgement.judge,
        _STRANGER,
        f"if state is State.START and not isinstance(pdu, VersionRequest):\n        return Ignored()\n    {_STRANGER}",
    ),
    kills=("3.1-1/S3-*", "10.1-[23]/START.*.fatal"),
)
fault(
    "3.1-1/one-resume-only",
    "A RESUME that is refused ends the connection.",
    (
        Session._serve,
        "if pdu is self._settling:\n            self",
        'if type(pdu).__name__ == "Resume":\n            self',
    ),
    kills=("3.1-1/resume-behind-the-request",),
)
fault(
    "3.1-2/lowest",
    "The lowest common version is chosen.",
    (Negotiation.respond, "max(set", "min(set"),
    kills=("3.1-2/highest-common-version", "3.1-2/offer-ascending", "3.1-2/offer-doubled", "3.1-2/offer-S7-*"),
)
fault(
    "3.1-2/highest-or-nothing",
    "Where the client knows higher versions there is none in common.",
    (
        Negotiation.respond,
        _CHOSEN,
        "max(request.versions) if max(request.versions, default=0) in self.hello.versions else 0",
    ),
    kills=("3.1-2/offer-S7-*", "3.1-2/offer-with-255", "3.1-2/offer-most", "3.1-2/highest-common-version"),
)
fault(
    "3.1-2/own-highest-or-nothing",
    "Who does not know the server's highest version is sent away.",
    (Negotiation.respond, _CHOSEN, "max(self.hello.versions) if max(self.hello.versions) in request.versions else 0"),
    kills=("3.1-2/offer-only-1", "3.1-2/offer-with-0", "3.1-2/offer-with-255", "3.1-2/offer-most"),
)
fault(
    "3.1-2/version-1-is-a-must",
    "Who does not know version 1 is sent away.",
    (Negotiation.respond, _CHOSEN, f"{_CHOSEN} if 1 in request.versions else 0"),
    kills=("3.1-2/offer-only-2",),
)
fault(
    "3.1-3/answer-in-version-2",
    "VERSION_RESPONSE is in an envelope of version 2.",
    (
        writing.payload,
        "version=version or pdu.SPEC.since",
        'version=2 if pdu.SPEC.name == "VERSION_RESPONSE" else version or pdu.SPEC.since',
    ),
    kills=("3.1-3/*",),
)


@mutant("3.1-4/another-code")
def other_code() -> None:
    """Who shares no version is sent away with VERSION."""
    swap(connection, "NO_VERSION", lambda _: closing.closed(Code.VERSION, "no common version"))


fault(
    "3.1-6/second-request-ignored",
    "Another VERSION_REQUEST is passed over.",
    (
        judgement.judge,
        _STRANGER,
        f"if state is not State.START and isinstance(pdu, VersionRequest):\n        return Ignored()\n    {_STRANGER}",
    ),
    kills=("3.1-6/*", "3.7-1/S4-*", "10.1-2/text-names-state-and-pdu"),
)
fault(
    "3.1-8/no-least",
    "A limit of a client counts however small it is.",
    (Limits.agree, "max(least, min(ours, theirs.get(limit, ours)))", "min(ours, theirs.get(limit, ours))"),
    kills=("3.1-8/less-than-the-least",),
)
fault(
    "3.1-8/limits-of-the-client",
    "The limits of the client count, be they larger.",
    (Limits.agree, "min(ours, theirs.get(limit, ours))", "theirs.get(limit, ours)"),
    kills=("3.1-8/more-than-the-servers",),
)
fault(
    "3.1-10/of-the-request-as-understood",
    "The login is bound to the negotiation as the server would have written it.",
    (
        Connection._take,
        "self.negotiation.witness(payload)",
        "self.negotiation.witness(codec.encode(pdu, version=1, id=envelope.id))",
    ),
    kills=("3.1-10/*",),
)

# 3.2 Health


@mutant("3.2-1/another-nonce", "3.2-1/pong-of-the-same-nonce")
def another_nonce() -> None:
    """PONG carries the last 48 bits of the nonce."""

    def wrong(made: Any) -> Any:
        return lambda **fields: made(**{**fields, "nonce": fields["nonce"] % 2**48})

    swap(health, "Pong", wrong)


_PONG = "self._outlet.send(self._connection.health.pong(pdu, now, digest), request)"
fault(
    "3.2-1/pongs-in-no-order",
    "Every third PING is answered late.",
    (
        Session._received,
        _PONG,
        "self._loop.call_later(pdu.nonce % 3 / 100, self._outlet.send, "
        "self._connection.health.pong(pdu, now, digest), request)",
    ),
    kills=("3.2-1/in-the-order-of-the-pings", "8.3-7/*"),
)
fault(
    "3.2-1/pongs-answer-nothing",
    "PONG does not say which request it answers.",
    (Session._received, _PONG, _PONG.replace("request)", "UNASKED)")),
    kills=("3.2-1/pong-of-the-same-nonce", "2.3-2/legal-id-0", "2.3-2/legal-id-2-to-64"),
)
fault(
    "3.2-1/overtaking",
    "Answers overtake what was pushed before.",
    (
        Session.push,
        "if not self._outlet.push(pdu, encoded):\n        self._watch()",
        "self._loop.call_later(0.05, self._outlet.push, pdu, encoded)",
    ),
    kills=("3.2-1/behind-what-was-written",),
)
fault(
    "3.2-1/no-ping-in-a-login",
    "A PING has no place between challenge and response.",
    (
        judgement.judge,
        "spec = pdu.SPEC\n",
        'spec = pdu.SPEC\n    if spec.name == "PING" and state is State.CHALLENGED:\n'
        '        raise RemoteProtocolError(Code.STATE, "PING in CHALLENGED")\n',
    ),
    kills=("3.2-1/while-a-login-goes-on", "10.1-1/CHALLENGED.PING.accepted"),
)
fault(
    "3.2-1/unasked-pongs-are-fatal",
    "A PONG that answers nothing ends the connection.",
    (
        Session._received,
        "case Pong():\n",
        "case Pong() if self.version > 1:\n            self._driver.fail(Code.STATE)\n        case Pong():\n",
    ),
    kills=("3.2-1/R3.10-in-draining",),
)
fault(
    "3.2-5/last-bytes",
    "The digest is the end of the hash, not its beginning.",
    (digest.digest, ".digest()[:SIZE]", ".digest()[-SIZE:]"),
    kills=("3.2-5/digest",),
)
fault(
    "3.2-5/digest-of-what-was-not-sent",
    "There is a digest while events are held back.",
    (Session._received, "and not behind and", "and"),
    kills=("3.2-5/none-while-events-are-held-back",),
)
fault(
    "3.2-5/digest-in-version-1",
    "A PONG of version 1 has a digest.",
    (Session._received, "self.version > 1 and", ""),
    (
        codec._plan,
        "each.type.pack, each.optional) for each in fields)",
        "each.type.pack, each.optional) for each in spec.fields)",
    ),
    kills=("3.2-5/none-in-version-1",),
)

# 3.3 ERROR

fault(
    "3.3-1/goes-on-after-the-end",
    "A PING follows the ERROR that is fatal.",
    (
        Connection.fail,
        "self._move(State.CLOSED)",
        "if (control := self._channels.control) is not None:\n"
        "        last = codec.encode(Ping(nonce=0), version=self.version or 1)\n"
        "        self._output.append(Bytes(control.sid, frame.wrap(last)))\n    self._move(State.CLOSED)",
    ),
    kills=("3.3-1/*",),
)
fault(
    "3.3-1/another-close",
    "Whatever ERROR said, the close is NO_ERROR.",
    (Connection._write, "self.close(pdu.code, ", "self.close(Code.NO_ERROR, "),
    kills=("3.3-1/*",),
)
fault(
    "3.3-2/one-login-only",
    "A login that is refused ends the connection.",
    (
        Session._serve,
        "if pdu is self._settling:\n            self",
        'if type(pdu).__name__ == "AuthStart":\n            self',
    ),
    kills=("3.3-2/*",),
)
fault(
    "3.3-3/fatal-means-nothing",
    "Whether an ERROR of the client is fatal is not looked at.",
    (Connection._act, "case Error(fatal=True):", "case Error(fatal=True) if False:"),
    (Connection._take, "self._move(to)", "self._move(self.state if isinstance(pdu, Error) else to)"),
    kills=("3.3-3/*",),
)
fault(
    "3.3-4/no-room-no-connection",
    "Who asks for a room that there is not is thrown out.",
    (
        Outlet.refuse,
        "if not request.silent:",
        "if refusal.code is Code.NO_SUCH_ROOM:\n        self._driver.fail(refusal.code)\n    elif not request.silent:",
    ),
    kills=("3.3-4/requests-*",),
)
fault(
    "3.3-5/misuses-are-free",
    "Nobody counts what is not allowed.",
    (Conduct.misuse, "self.misuses > self._limits.misuses", "False"),
    kills=("3.3-5/misuses-are-counted",),
)
fault(
    "3.3-5/a-misuse-less",
    "The last misuse that is allowed is one too many.",
    (Conduct.misuse, "self.misuses > self._limits.misuses", "self.misuses >= self._limits.misuses"),
    kills=("3.3-5/misuses-are-counted",),
)
fault(
    "3.3-5/refusals-are-misuses",
    "Every refusal is counted as a misuse.",
    (
        Outlet.refuse,
        "if not request.silent:",
        "conduct = self._connection.conduct\n    conduct.misuses += 1\n"
        "    if conduct.misuses > self._connection.limits.misuses:\n"
        "        self._driver.fail(Code.LIMIT)\n    elif not request.silent:",
    ),
    kills=("3.3-5/ordinary-refusals-are-not",),
)

# 3.5, 3.6 Leaving, ECHO

fault(
    "3.5-1/goes-on-listening",
    "What follows BYE is judged like everything else.",
    (
        Connection._act,
        "self._deadline, self._peer_left = self._now + DRAIN, True\n",
        "self._deadline = self._now + DRAIN\n",
    ),
    (Connection._act, "channel.reader.discard()\n", "pass\n"),
    kills=("3.5-1/S10-*", "3.5-1/DRAINING.[!E]*"),
)
fault(
    "3.5-2/closes-at-once",
    "BYE is followed by the close, whatever is still being served.",
    (
        Connection._act,
        "self._deadline, self._peer_left = self._now + DRAIN, True\n",
        "self._deadline, self._peer_left = self._now + DRAIN, True\n"
        '            self._end(closed(Code.NO_ERROR, "bye"))\n            return\n',
    ),
    kills=("3.5-2/requests-before-it-are-answered", "3.5-2/version-1"),
)
fault(
    "3.5-2/no-bye-before-the-login",
    "BYE has no place before the login.",
    (
        judgement.judge,
        "spec = pdu.SPEC\n",
        'spec = pdu.SPEC\n    if spec.name == "BYE" and state not in FORGIVING:\n'
        '        raise RemoteProtocolError(Code.STATE, "BYE before the login")\n',
    ),
    kills=("3.5-2/before-login", "3.5-2/while-a-login-goes-on"),
)
fault(
    "3.5-4/control-may-end",
    "The end of the control stream ends nothing.",
    (Connection._receive_end, "self._end(replace(", "_ = (replace("),
    kills=("3.5-4/*",),
)


@mutant("3.6-1/echo-is-trimmed")
def trimmed() -> None:
    """ECHO comes back without the blanks and controls around it."""
    edit(Sessions.echo, ("[Reply(pdu)]", '[Reply(Echo(data=pdu.data.strip("\\ufeff\\u200f\\0 ")))]'))
