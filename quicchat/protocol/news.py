"""What a connection tells whoever drives it: the alphabet between it and the layer above. (spec 03-session)"""

from __future__ import annotations

from dataclasses import field

from quicchat.protocol.channels import Ended
from quicchat.protocol.events import Established, Writable
from quicchat.values import dataclass
from quicchat.wire.codec import Envelope


@dataclass(frozen=True, slots=True)
class Received:
    """A PDU that came and is legal; `sid` is None for a datagram."""

    sid: int | None
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RawReceived:
    """Raw bytes that a FILE_HEADER announced."""

    sid: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is over; nothing follows. `code`, `reason` and `application` are the close's."""

    code: int
    reason: str
    remote: bool
    application: bool = field(default=True, compare=False)


Event = Received | RawReceived | Ended | Writable | Established | Lost
