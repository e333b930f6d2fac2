"""Tickets for coming back without waiting: those a server gave, and how a client keeps his. (spec 13-transport)"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import cbor2
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.packet import pull_quic_transport_parameters
from aioquic.tls import CipherSuite, ExtensionType, SessionTicket

from quicchat.errors import RemoteProtocolError
from quicchat.values import dataclass
from quicchat.wire import codec

#: Tickets that a server remembers; a new one pushes out the oldest, whose client then shakes hands in full.
KEPT: Final = 10_000
#: QUIC's only value for how much early data a ticket allows (RFC 9001 section 4.6.1).
EARLY_DATA: Final = 0xFFFF_FFFF
#: The form of a kept ticket; another one is not read.
_FORM: Final = 1


@dataclass(kw_only=True)
class Ticket(SessionTicket):
    """A TLS ticket, and what the resumed handshake will not say again.

    `certificate_hash` and `certificate_until` are of the leaf that the server showed in full, once: no chain of
    resumptions outlives it. `owner` is who logged in where the server gave the ticket; `host` is the address that
    answered the client.
    """

    alpn: str
    certificate_hash: bytes
    certificate_until: datetime
    owner: str = ""
    host: str = ""


class Tickets:
    """What a server has given out: each is good once, for the ALPN it was given under."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._kept: dict[bytes, Ticket] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, ticket: Ticket) -> None:
        """Keep a ticket until it is taken, revoked, or pushed out."""
        self._kept[ticket.ticket] = ticket
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def take(self, name: bytes, alpn: str | None) -> Ticket | None:
        """The ticket of that name, which nobody gets a second time; None where it is no good."""
        ticket = self._kept.pop(name, None)
        return ticket if ticket is not None and ticket.alpn == alpn and ticket.is_valid else None

    def claim(self, name: bytes, owner: str) -> None:
        """Note whose ticket it is, once that is known."""
        ticket = self._kept.get(name)
        if ticket is not None:
            ticket.owner = owner

    def clear(self) -> None:
        """Forget them all."""
        self._kept.clear()

    def drop(self, owner: str) -> None:
        """Forget every ticket of an owner."""
        for name in [name for name, ticket in self._kept.items() if ticket.owner == owner]:
            del self._kept[name]


def sealed(ticket: Ticket) -> bytes:
    """A client's ticket as bytes, for `opened`. They are as secret as a key."""
    return cbor2.dumps(
        {
            0: _FORM,
            1: ticket.age_add,
            2: int(ticket.cipher_suite),
            3: _ms(ticket.not_valid_before),
            4: _ms(ticket.not_valid_after),
            5: ticket.resumption_secret,
            6: ticket.server_name,
            7: ticket.ticket,
            8: [[int(kind), data] for kind, data in ticket.other_extensions],
            9: ticket.alpn,
            10: ticket.certificate_hash,
            11: _ms(ticket.certificate_until),
            12: ticket.host,
        }
    )


def opened(blob: bytes, *, server_name: str, alpn: str) -> Ticket | None:
    """The ticket in bytes of `sealed`; None where it is damaged, out of date, or for something else."""
    try:
        ticket = _read(codec.parse(blob))
    except (RemoteProtocolError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    fits = ticket.server_name == server_name and ticket.alpn == alpn
    return ticket if fits and ticket.is_valid else None


def _read(item: Mapping[int, Any]) -> Ticket:
    """Raises KeyError, TypeError, ValueError, OverflowError and OSError for what `sealed` never wrote."""
    if item[0] != _FORM:
        raise ValueError("another form")
    extensions = [(int(kind), _bytes(data)) for kind, data in item[8]]
    for kind, data in extensions:
        if kind == ExtensionType.QUIC_TRANSPORT_PARAMETERS:
            # aioquic would raise where nobody expects it.
            pull_quic_transport_parameters(Buffer(data=data))
    return Ticket(
        age_add=int(item[1]) & 0xFFFF_FFFF,
        cipher_suite=CipherSuite(item[2]),
        not_valid_before=_time(item[3]),
        not_valid_after=_time(item[4]),
        resumption_secret=_bytes(item[5]),
        server_name=_text(item[6]),
        ticket=_bytes(item[7]),
        max_early_data_size=EARLY_DATA,
        other_extensions=extensions,
        alpn=_text(item[9]),
        certificate_hash=_bytes(item[10]),
        certificate_until=_time(item[11]),
        host=_text(item[12]),
    )


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("not bytes")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _time(value: Any) -> datetime:
    return datetime.fromtimestamp(value / 1000, UTC)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
