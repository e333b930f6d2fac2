"""Judging what came: may this PDU come from this end, in this state, on this stream? Pure. (spec 10-states)"""

from __future__ import annotations

from typing import Final

from quicchat.errors import Code, RemoteProtocolError
from quicchat.values import dataclass
from quicchat.wire import codec
from quicchat.wire.chapters.session import Error, Purpose, StreamOpen, VersionRequest
from quicchat.wire.codec import Envelope, Unknown
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import REGISTRY, Pdu, Role, Via
from quicchat.wire.states import State

#: Where a request that is not allowed is refused; before these states it is fatal.
FORGIVING: Final = frozenset({State.READY, State.DRAINING})
_VIA: Final = {Purpose.ROOM: Via.ROOM, Purpose.QUERY: Via.QUERY, Purpose.FILE: Via.FILE}

#: What travels in datagrams only.
DATAGRAMS: Final = frozenset(cls for cls in REGISTRY if cls.SPEC.via is Via.DATAGRAM)
#: What each end may send on control or as a datagram in each state without moving the automaton: all that is encoded
#: once for many.
PUSHABLE: Final = {
    (role, state): frozenset(
        row.letter.pdu
        for row in CONNECTION.rows
        if row.state is state is row.to and row.by is role and row.letter.pdu.SPEC.via & (Via.CONTROL | Via.DATAGRAM)
        if row.letter.outcome is None
    )
    for role in Role
    for state in State
}


@dataclass(frozen=True, slots=True)
class Legal:
    """The PDU goes on, the connection moves to `to`, and the stream is for `via`."""

    pdu: Pdu
    to: State
    via: Via


@dataclass(frozen=True, slots=True)
class Ignored:
    """An extension that may be passed over."""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """The request is answered with ERROR; nothing else happens."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Nameless:
    """The stream does not begin by saying what it is for: it is given up."""


Judgement = Legal | Ignored | Misplaced | Nameless


def judge(pdu: Pdu | Unknown, *, sender: Role, state: State, via: Via | None) -> Judgement:
    """The judgement on `pdu` from `sender`, on a stream that is for `via` (None: its first PDU).

    Raises RemoteProtocolError(STATE or STREAM_MISUSE) where the sender cannot be trusted any more.
    """
    if isinstance(pdu, Unknown):
        if pdu.ignorable:
            return Ignored()
        if state not in FORGIVING:
            raise RemoteProtocolError(Code.STATE, f"{pdu.what} in {state.name}")
        return Misplaced(Code.UNSUPPORTED, f"{pdu.what} is not understood") if via else Nameless()
    spec = pdu.SPEC
    if sender not in spec.by:
        raise RemoteProtocolError(Code.STATE, f"{spec.name} is never sent by the {sender.value}")
    purpose = via or purpose_of(pdu)
    if purpose is None and state in FORGIVING:
        return Nameless()
    to = CONNECTION.after(state, sender, pdu)
    again = via is not None and isinstance(pdu, StreamOpen)
    if to is not None and purpose is not None and purpose in spec.via and not again:
        return Legal(pdu, to, purpose)
    if to is None or purpose is None:
        fault = Misplaced(Code.STATE, f"{spec.name} in {state.name}")
    else:
        fault = Misplaced(Code.STREAM_MISUSE, f"{spec.name} does not belong on this stream")
    if state not in FORGIVING:
        raise RemoteProtocolError(fault.code, fault.text)
    return fault


def purpose_of(pdu: Pdu) -> Via | None:
    """What the first PDU of a stream makes of it, or None where it says nothing of the kind.

    Who declares the connection dead need not say more: a fatal ERROR may come first.
    """
    if isinstance(pdu, VersionRequest) or (isinstance(pdu, Error) and pdu.fatal):
        return Via.CONTROL
    return _VIA[pdu.kind] if isinstance(pdu, StreamOpen) else None


def ephemeral(data: bytes, *, sender: Role, state: State, version: int | None) -> Envelope | None:
    """The PDU in a datagram from `sender`, or None where there is none that may come in one, or not yet."""
    if state not in FORGIVING or len(data) > codec.MAX_DATAGRAM:
        return None
    try:
        envelope = codec.decode(data, version=version)
    except RemoteProtocolError:
        return None
    pdu = envelope.pdu
    legal = isinstance(pdu, Pdu) and Via.DATAGRAM in pdu.SPEC.via and sender in pdu.SPEC.by
    return envelope if legal else None
