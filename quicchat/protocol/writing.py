"""Writing: what a PDU must fit before a byte of it is sent. Pure. (spec 02-framing)"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from quicchat.errors import Code, LocalProtocolError
from quicchat.protocol.events import Datagram
from quicchat.wire import codec
from quicchat.wire.chapters.files import FileChunk
from quicchat.wire.grease import Grease
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Pdu, Role, Via
from quicchat.wire.states import State

#: Longest payload that takes a reserved key along: one that is nearly too long must not become too long.
_SMALL: Final = 1024


def following(state: State, role: Role, pdu: Pdu) -> State:
    """The state after `role` has sent a PDU. Raises LocalProtocolError(STATE) where the automaton forbids it."""
    to = CONNECTION.after(state, role, pdu)
    if to is None:
        raise LocalProtocolError(Code.STATE, f"{pdu.SPEC.name} in {state.name}")
    return to


def payload(
    pdu: Pdu, *, version: int | None, via: Via | None, limit: int, id: int | None = None, re: int | None = None
) -> bytes:
    """A PDU in one frame of at most `limit` bytes, for a stream that is for `via`.

    Before the negotiation is over (`version` None) a PDU is written in the first version that has it: so the
    negotiation itself is in version 1, and what may precede its end in the version that it needs.
    Raises LocalProtocolError(SCHEMA, UNSUPPORTED, STREAM_MISUSE, FRAME_TOO_LARGE).
    """
    data = codec.encode(pdu, version=version or pdu.SPEC.since, id=id, re=re)
    if via is not None and via not in pdu.SPEC.via:
        raise LocalProtocolError(Code.STREAM_MISUSE, f"{pdu.SPEC.name} does not belong on this stream")
    if len(data) > limit:
        raise LocalProtocolError(Code.FRAME_TOO_LARGE, f"{pdu.SPEC.name} of {len(data)} bytes")
    return data


def greased(
    payload: bytes, pdu: Pdu, grease: Grease, *, version: int | None, id: int | None = None, re: int | None = None
) -> bytes:
    """A payload with a key that nobody knows, where there is room for one."""
    if pdu.extra is not None or len(payload) >= _SMALL:
        return payload
    extra = {grease.key(): grease.capability()}
    return codec.encode(replace(pdu, extra=extra), version=version or pdu.SPEC.since, id=id, re=re)


def datagram(pdu: Pdu, *, version: int | None) -> Datagram:
    """A PDU in one datagram. Raises LocalProtocolError as `payload`."""
    data = payload(pdu, version=version, via=Via.DATAGRAM, limit=codec.MAX_DATAGRAM)
    return Datagram(data, bulk=isinstance(pdu, FileChunk))
