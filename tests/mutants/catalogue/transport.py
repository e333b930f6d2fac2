"""Mutants of chapter 13, and of what else happens on the level of QUIC."""

from __future__ import annotations

from typing import Any

from aioquic import tls
from aioquic.quic.events import StopSendingReceived

from quicchat.protocol import conduct
from quicchat.protocol.limits import Limits
from quicchat.transport import endpoint
from quicchat.transport.carrier import Carrier
from quicchat.transport.endpoint import Endpoint
from quicchat.transport.guards import GuardedConnection, StreamTable
from quicchat.transport.options import Options
from quicchat.transport.pace import PacedConnection
from quicchat.transport.quic import QuicLink
from tests.mutants.mutant import mutant, swap


def _options(**wishes: Any) -> None:
    """Have a server listen with other options."""
    swap(endpoint, "Options", lambda _: lambda: Options(**wishes))


# Negotiation


@mutant("13.1-1/whatever-is-spoken", "13.1-1/another-alpn", "13.1-1/no-alpn")
def any_alpn() -> None:
    """Who speaks another protocol, or does not say which, is not turned away."""

    def make(negotiate: Any) -> Any:
        def found(supported: Any, offered: Any, exc: Any = None) -> Any:
            return negotiate(supported, offered, None if isinstance(supported[0], str) else exc)

        return found

    swap(tls, "negotiate", make)


@mutant("13.1-1/the-first-of-several", "13.1-1/among-others")
def first_alpn() -> None:
    """Of several ALPNs only the first is looked at."""

    def make(negotiate: Any) -> Any:
        def found(supported: Any, offered: Any, exc: Any = None) -> Any:
            is_alpn = offered and isinstance(offered[0], str)
            return negotiate(supported, offered[:1] if is_alpn else offered, exc)

        return found

    swap(tls, "negotiate", make)


# Windows and streams


@mutant("13.2-1/holes-count")
def holes_count() -> None:
    """Windows follow the highest byte that came, whatever is missing before it."""

    def make(handle: Any) -> Any:
        def found(self: GuardedConnection, context: Any, frame_type: int, buf: Any) -> None:
            start = buf.tell()
            sid = buf.pull_uint_var()
            buf.seek(start)
            handle(self, context, frame_type, buf)
            if (stream := self._streams.get(sid)) is not None:
                stream.max_stream_data_local = stream.receiver.highest_offset + self._stream_window
                streams: StreamTable = self._streams
                streams.widened[sid] = stream

        return found

    swap(GuardedConnection, "_handle_stream_frame", make)


@mutant("13.2-2/any-gaps", "13.2-2/many-gaps")
def any_gaps() -> None:
    """A stream may have any number of gaps."""
    _options(gaps=1 << 30)


@mutant("13.2-2/no-gaps", "13.2-2/some-gaps")
def no_gaps() -> None:
    """A stream that has three gaps ends the connection."""
    _options(gaps=2)


@mutant("13.2-3/windows-for-strangers", "13.2-3/limits-*")
def early_window() -> None:
    """Who has not logged in may send as much as who has."""
    _options(early_window=Options().connection_window)


@mutant("13.2-3/streams-for-strangers", "13.2-3/limits-*")
def early_streams() -> None:
    """Who has not logged in may open as many streams as who has."""
    _options(early_streams=Options().bidi_streams)


# Handshakes


@mutant("13.3-1/endless-handshakes", only="slow")
def endless_handshakes() -> None:
    """A handshake may take as long as it likes."""
    _options(handshake_timeout=60.0)


@mutant("13.3-2/no-retry")
def no_retry() -> None:
    """Nobody has to prove his address."""
    _options(retry_above=1 << 30, half_open=1 << 30)


# Datagrams


@mutant("13.4-1/to-all")
def datagrams_to_all() -> None:
    """Datagrams are sent to those, too, who take none."""

    def make(offer: Any) -> Any:
        def found(self: Any, data: bytes, *, bulk: bool = False) -> bool:
            if self._remote_max_datagram_frame_size is None:
                self._datagrams.append(data)
                return True
            taken: bool = offer(self, data, bulk=bulk)
            return taken

        return found

    swap(PacedConnection, "offer_datagram", make)


@mutant("1.3-2/a-few-are-a-flood", "1.3-2/flood-of-datagrams")
def early_flood() -> None:
    """Fifty datagrams that come to nothing end the connection."""
    swap(conduct, "FLOOD", lambda _: 50)


@mutant("1.3-2/nothing-is-a-flood", "1.3-2/too-many-datagrams")
def no_flood() -> None:
    """Any number of datagrams may come to nothing."""
    swap(conduct, "FLOOD", lambda _: 1 << 30)


# Paths


@mutant("13.5-2/one-address", "13.5-2/*")
def one_address() -> None:
    """Packets that come from elsewhere are dropped."""

    def make(receive: Any) -> Any:
        def found(self: Carrier, data: bytes, address: Any, now: float) -> None:
            peers = self.quic._network_paths
            if not peers or peers[0].addr == address:
                receive(self, data, address, now)

        return found

    swap(Carrier, "receive", make)


@mutant("13.5-2/one-id", "13.5-2/another-address")
def one_id() -> None:
    """Only the first id of a connection is known, though others were given out."""

    def make(issued: Any) -> Any:
        def found(self: Endpoint, carrier: Carrier, cid: bytes) -> None:
            if len(carrier.cids) < 2:
                issued(self, carrier, cid)

        return found

    swap(Endpoint, "issued", make)


@mutant("13.5-2/four-moves", "13.5-2/many-ports")
def four_moves() -> None:
    """Who moves for the fifth time is put out."""
    seen: dict[Carrier, set[Any]] = {}

    def make(receive: Any) -> Any:
        def found(self: Carrier, data: bytes, address: Any, now: float) -> None:
            receive(self, data, address, now)
            ports = seen.setdefault(self, set())
            ports.add(address)
            if len(ports) > 5 and self.link is not None:
                self.link.close(0x100)

        return found

    swap(Carrier, "receive", make)


# Ends


@mutant("3.3-4/stopped-for-good", "3.3-4/stop-sending-on-all")
def stopped_for_good() -> None:
    """Who wants no more of a stream is put out."""

    def make(report: Any) -> Any:
        def found(self: QuicLink, events: Any) -> None:
            report(self, events)
            if any(isinstance(each, StopSendingReceived) for each in events):
                self.close(0x100)

        return found

    swap(QuicLink, "report", make)


@mutant("3.2-4/patience", only="slow", limits=Limits(silence=300.0))
def patience() -> None:
    """Who is silent is taken to be there for minutes."""
    _options(idle_timeout=300.0)
