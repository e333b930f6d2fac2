"""The port between a connection and whatever carries it: native QUIC, WebTransport, or memory. (spec 02-framing)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from quicchat.protocol.events import LinkEvent


class Link(Protocol):
    """One end of an established or establishing connection with streams and datagrams.

    A client may send early, before Established, where it has been here before; a server then hears those bytes before
    Established, which for a replay never comes.

    Calls buffer and never block; what was sent leaves at the end of the loop turn, or with `flush`. Calls on a
    stream that is finished, reset or unknown do nothing, and so does everything after the link has closed: the
    peer may have closed it first.
    """

    #: Called with the events of one loop turn, in order; set by whoever drives the link.
    on_events: Callable[[list[LinkEvent]], None]

    @property
    def peer(self) -> str:
        """The peer's present address, `192.0.2.1:4433` or `[2001:db8::1]:4433`; it changes when he migrates."""

    @property
    def certificate_hash(self) -> bytes:
        """SHA-256 of the server's leaf certificate (DER) in this connection, or b"" where it is not visible."""

    @property
    def established(self) -> bool:
        """Whether the handshake is complete. What comes before may be replayed: nothing of it may be applied."""

    def authenticated(self, owner: str = "") -> None:
        """The peer logged in: from now on it may have more streams open and more bytes under way.

        What lets it come back sooner belongs to `owner` from now on.
        """

    def disown(self) -> None:
        """Nothing that lets the owner of this link come back sooner is good any more, whichever link gave it."""

    def migrate(self, local_port: int = 0) -> None:
        """A client goes on from another local address or port, 0 for any; on a server's link it does nothing.

        Raises UsageError where the port cannot be had; the connection then stays where it was.
        """

    def open(self, *, uni: bool = False) -> int:
        """A new stream's id. Raises Refused(LIMIT) when the peer allows no more at present."""

    def send(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        """Queue bytes on a stream."""

    def reset(self, sid: int, code: int) -> None:
        """Give up sending on a stream."""

    def stop(self, sid: int, code: int) -> None:
        """Ask the peer to give up sending on a stream; bytes that still come are dropped."""

    def datagram(self, data: bytes, *, bulk: bool = False) -> bool:
        """Queue a datagram of at most 1100 bytes; False when it was dropped here (too large, or not offered).

        Where too many wait, the oldest is dropped. A `bulk` one waits behind all others and pushes none out; it is
        dropped here only where 512 KiB of them wait, which whoever heeds `unsent` does not see.
        """

    def backlog(self, sid: int | None = None) -> int:
        """Bytes given to `send` and not yet acknowledged by the peer: of one stream, or of all."""

    def unsent(self, sid: int | None) -> int:
        """Bytes given to `send` that have not left for the first time: of a stream, or for None in bulk datagrams."""

    def watch(self, sid: int | None, below: int) -> None:
        """Report `Writable(sid)`, once, as soon as `unsent` is less than `below`, or the stream takes no more.

        It comes in a later loop turn, also where that is so already; for all who still watch, right before `Closed`.
        From now on the stream carries bulk data: it leaves when no stream that was never watched has any.
        """

    def close(self, code: int, reason: str = "") -> None:
        """End the connection now; what is queued is lost. `Closed` is still reported."""

    def flush(self) -> None:
        """Send what is queued, without waiting for the end of the loop turn."""
