"""What a transport may be told: limits of a connection and of an endpoint, with defaults. (spec 13-transport)"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from aioquic.quic.configuration import QuicConfiguration

from quicchat.transport.identity import Identity, Trust
from quicchat.transport.qlog import Qlog
from quicchat.transport.udp import Address, Udp
from quicchat.values import dataclass

#: The native protocol, spoken on QUIC streams without anything in between.
NATIVE: Final = "quicchat"
#: Length of the connection ids we give out; the short headers that carry them do not tell it.
CID_LENGTH: Final = 8
#: Our congestion control, registered by `congestion`.
CONGESTION_CONTROL: Final = "quicchat"
#: What both ends offer as the largest DATAGRAM frame they take (RFC 9221 recommends 65535 and above).
DATAGRAM_FRAME: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Limits of a transport. Times are in seconds, sizes in bytes.

    `retry_above` unfinished handshakes new clients have to prove their address; above `half_open` they are
    ignored. Windows are bytes a peer may send beyond what was delivered; the early ones hold before login. `udp`
    makes the sockets: family, local address, and for a client the remote one. With `jumbo` bulk data goes in datagrams
    as large as the path bears. In the directory `qlog` each connection leaves a file, if that is given.
    """

    idle_timeout: float = 30.0
    handshake_timeout: float = 5.0
    hole_timeout: float = 10.0
    ack_delay: float = 0.020
    retry_above: int = 64
    half_open: int = 512
    early_window: int = 65_536
    stream_window: int = 524_288
    connection_window: int = 1_048_576
    early_streams: int = 16
    bidi_streams: int = 96
    uni_streams: int = 128
    gaps: int = 256
    key_update_after: int = 100_000
    jumbo: bool = True
    qlog: Path | None = None
    udp: Callable[[int, Address, Address | None], Udp] = Udp


def serving(identity: Identity, options: Options) -> QuicConfiguration:
    """The configuration of a server that shows `identity`. Raises UsageError where that cannot be used."""
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=[NATIVE],
        congestion_control_algorithm=CONGESTION_CONTROL,
        connection_id_length=CID_LENGTH,
        idle_timeout=options.idle_timeout,
        max_data=options.early_window,
        max_stream_data=options.early_window,
        max_datagram_frame_size=DATAGRAM_FRAME,
        quic_logger=Qlog(options.qlog) if options.qlog is not None else None,
    )
    identity.load(configuration)
    return configuration


def dialing(
    trust: Trust | None, server_name: str, options: Options, protocols: Sequence[str] = (NATIVE,)
) -> QuicConfiguration:
    """The configuration of a client that believes in `trust`; with None it looks, but must not be talked over.

    `protocols` are those of which the server may choose one (ALPN).
    """
    return QuicConfiguration(
        is_client=True,
        alpn_protocols=[*protocols],
        congestion_control_algorithm=CONGESTION_CONTROL,
        connection_id_length=CID_LENGTH,
        idle_timeout=options.idle_timeout,
        max_data=options.connection_window,
        max_stream_data=options.stream_window,
        max_datagram_frame_size=DATAGRAM_FRAME,
        quic_logger=Qlog(options.qlog) if options.qlog is not None else None,
        server_name=server_name,
        cadata=trust.ca_pem if trust is not None else None,
        verify_mode=ssl.CERT_REQUIRED if trust is not None else ssl.CERT_NONE,
    )
