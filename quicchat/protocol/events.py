"""What a link may report: the alphabet between the transport below and the connection above. (spec 02-framing)

Stream ids are the link's own numbers; they never appear in the protocol.
"""

from __future__ import annotations

from dataclasses import field

from quicchat.values import dataclass


@dataclass(frozen=True, slots=True)
class Bytes:
    """The next bytes of a stream, in order; `fin` when they are the last."""

    sid: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The peer gave up sending on a stream (RESET_STREAM)."""

    sid: int
    code: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The peer will not read a stream any further (STOP_SENDING)."""

    sid: int
    code: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram: unordered, perhaps doubled, perhaps the only one that arrives; `bulk` where we send many."""

    data: bytes
    bulk: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Writable:
    """Few enough bytes of a stream wait to be sent (`Link.watch`), or it takes no more; None: of bulk datagrams."""

    sid: int | None


@dataclass(frozen=True, slots=True)
class Established:
    """The handshake is complete. Nothing may be applied before it, since early data can be replayed."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection ended; nothing follows.

    Without `application` the code is the transport's (RFC 9000 section 20.1), whose alerts of TLS have numbers
    from 0x100 up, as ours have.
    """

    code: int
    reason: str = ""
    remote: bool = True
    application: bool = field(default=True, compare=False)


LinkEvent = Bytes | Reset | Stopped | Datagram | Writable | Established | Closed
