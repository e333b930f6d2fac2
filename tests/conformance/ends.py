"""Connections in memory, put into any state, and what they said: the subjects of the cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quicchat.errors import Code
from quicchat.protocol.connection import Connection
from quicchat.protocol.events import Bytes, Closed, LinkEvent, Reset, Stopped
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.wire import codec, frame
from quicchat.wire.chapters.session import Bye, Error, Ping, Pong, VersionRequest
from quicchat.wire.codec import Envelope
from quicchat.wire.machine import Machine
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Pdu, Role, Via
from quicchat.wire.states import State
from tests.conformance.cases import path, sensible
from tests.frames import frames

#: Stream ids as QUIC numbers them: the client's first three bidirectional streams, the server's first.
CONTROL, SECOND, THIRD, FROM_SERVER = 0, 4, 8, 1
MECHANISMS = ("SCRAM-SHA-256",)


def fresh(role: Role, *, versions: tuple[int, ...] = (1, 2), limits: Limits | None = None, seed: int = 0) -> Connection:
    """An end before its first PDU; the time is 0."""
    mechanisms = MECHANISMS if role is Role.SERVER else ()
    hello = Hello(versions=versions, mechanisms=mechanisms)
    return Connection(role, hello, now=0.0, wall=1000.0, limits=limits, seed=seed)


def at(
    role: Role,
    state: State,
    *,
    version: int = 2,
    limits: Limits | None = None,
    machine: Machine[State] = CONNECTION,
) -> Connection:
    """An end in a state, by the shortest way on which its peer does not take leave; with nothing left to drain."""
    end = fresh(role, versions=(version,), limits=limits)
    if state is State.START:
        # Nobody has a stream to speak on yet; to judge what would be said, there must be one.
        end._channels.add(CONTROL, Via.CONTROL, 0.0)
    rows = [
        row
        for row in machine.rows
        if row.letter.pdu.SPEC.since <= version
        and not (row.letter.pdu is Bye and row.by is not role)
        and not (row.to is machine.final and row.by is role)
    ]
    for row in path(machine, state, rows):
        if row.by is not role:
            hear(end, sensible(row.letter, version))
        elif row.letter.pdu is VersionRequest:
            end.start(CONTROL)
        elif end.state is not row.to:
            end.send(sensible(row.letter, version))
    if role is Role.SERVER and state in (State.NEGOTIATING, State.EARLY):
        end.state, end.version = state, None  # a server passes through them before anybody can speak
    assert end.state is state
    end.events()
    end.output()
    return end


def payload(pdu: Pdu, *, version: int, id: int | None = None) -> bytes:
    """A PDU as a rude peer writes it: in a version in which it exists, whatever was negotiated."""
    return codec.encode(pdu, version=max(version, pdu.SPEC.since), id=id)


def hear(end: Connection, pdu: Pdu, *, sid: int = CONTROL, id: int | None = None, now: float = 0.0) -> None:
    """Let an end receive a PDU, legal or not."""
    hear_bytes(end, frame.wrap(payload(pdu, version=end.version or 1, id=id)), sid=sid, now=now)


def hear_bytes(end: Connection, data: bytes, *, sid: int = CONTROL, fin: bool = False, now: float = 0.0) -> None:
    """Let an end receive bytes."""
    end.receive(Bytes(sid, data, fin), now)


def spoken(output: Iterable[LinkEvent]) -> list[Envelope]:
    """The PDUs in what an end put out."""
    return [
        codec.decode(data) for event in output if isinstance(event, Bytes) and event.data for data in frames(event.data)
    ]


def exchange(one: Connection, other: Connection, now: float = 0.0) -> None:
    """Carry what two ends put out to each other, until both are silent."""
    while (first := one.output()) or (second := other.output()):
        for event in first:
            other.receive(as_heard(event), now)
        if not first:
            for event in second:
                one.receive(as_heard(event), now)


def as_heard(event: LinkEvent) -> LinkEvent:
    """What an end put out, as the other's link reports it."""
    return Closed(event.code, event.reason, remote=True) if isinstance(event, Closed) else event


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an end did about something: its ERROR, the close, and the streams it gave up."""

    error: Error | None
    re: int | None
    closed: int | None
    given_up: dict[int, int]


def outcome(end: Connection, now: float = 0.0) -> Outcome:
    """Drain an end; a close that waits for an acknowledgement gets it."""
    output = end.output()
    end.settle(0, now)
    output += end.output()
    errors = [envelope for envelope in spoken(output) if isinstance(envelope.pdu, Error)]
    assert len(errors) <= 1, errors
    closes = [event.code for event in output if isinstance(event, Closed)]
    assert len(closes) <= 1, closes
    resets = {event.sid: event.code for event in output if isinstance(event, Reset)}
    stops = {event.sid: event.code for event in output if isinstance(event, Stopped)}
    assert resets == stops
    error = errors[0].pdu if errors else None
    assert error is None or isinstance(error, Error)
    return Outcome(error, errors[0].re if errors else None, closes[0] if closes else None, resets)


def is_fatal(found: Outcome, code: Code) -> bool:
    """Whether the end announced the code and closed with it."""
    return found.error is not None and bool(found.error.fatal) and found.error.code == code == found.closed


def is_refusal(found: Outcome, code: Code, *, re: int | None) -> bool:
    """Whether the end refused one request and nothing else happened."""
    error = found.error
    return error is not None and not error.fatal and error.code == code and found.re == re and found.closed is None


def is_alive(end: Connection, now: float = 0.0) -> bool:
    """Whether an end still answers, in the state in which it is."""
    end.output()
    state = end.state
    hear(end, Ping(nonce=4711), now=now)
    answers = [envelope.pdu for envelope in spoken(end.output())]
    return [answer.nonce for answer in answers if isinstance(answer, Pong)] == [4711] and end.state is state
