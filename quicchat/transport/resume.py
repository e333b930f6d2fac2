"""aioquic with tickets that are good once, and with early data that survives a refusal. (spec 13-transport)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicReceiveContext
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.tls import Epoch, SessionTicket
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from quicchat.transport.tickets import Ticket, Tickets


class ResumableConnection(QuicConnection):
    """A QuicConnection that knows which certificate vouched for it, also where none was shown.

    A server is given `tickets`, its store; a client's configuration holds its Ticket, and `on_ticket` gets new ones.
    """

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        tickets: Tickets | None = None,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
    ) -> None:
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
            session_ticket_fetcher=None if tickets is None else self._take_ticket,
            session_ticket_handler=self._keep_ticket if tickets is not None or configuration.is_client else None,
        )
        #: What a client does with the ticket it is given.
        self.on_ticket: Callable[[Ticket], None] | None = None
        self._tickets = tickets
        offered = configuration.session_ticket
        self._used = offered if isinstance(offered, Ticket) else None
        self._given = b""
        self._owner = ""

    @property
    def certificate_hash(self) -> bytes:
        """SHA-256 of the leaf certificate (DER) that the server showed here, or where this connection stems from."""
        if self._used is not None and self.tls.session_resumed:
            return self._used.certificate_hash
        leaf = self._leaf
        return b"" if leaf is None else leaf.fingerprint(hashes.SHA256())

    def claim(self, owner: str) -> None:
        """Tickets given here belong to `owner`; until then to the owner of the one that was used."""
        self._owner = owner or self._owner
        if self._tickets is not None:
            self._tickets.claim(self._given, self._owner)

    def disown(self) -> None:
        """No ticket of this connection's owner is good any more, wherever it was given."""
        if self._tickets is not None and self._owner:
            self._tickets.drop(self._owner)

    @property
    def _leaf(self) -> x509.Certificate | None:
        return self.tls._peer_certificate if self._is_client else self.configuration.certificate

    def _take_ticket(self, name: bytes) -> Ticket | None:
        """What a client offers. Whatever becomes of the handshake, nobody can offer it again."""
        assert self._tickets is not None
        self._used = self._tickets.take(name, self.tls.alpn_negotiated)
        return self._used

    def _keep_ticket(self, session: SessionTicket) -> None:
        """What was given, or got, at the end of the handshake."""
        facts: dict[str, Any] = dict(vars(session))
        if self._used is not None and self.tls.session_resumed:
            until = self._used.certificate_until
            self._owner = self._owner or self._used.owner
        else:
            assert self._leaf is not None
            until = self._leaf.not_valid_after_utc
        facts["not_valid_after"] = min(session.not_valid_after, until)
        if not self._is_client:
            # What a client has to remember of the server's limits.
            facts["other_extensions"] = []
        ticket = Ticket(
            **facts,
            alpn=self.tls.alpn_negotiated or "",
            certificate_hash=self.certificate_hash,
            certificate_until=until,
            owner=self._owner,
        )
        self._given = ticket.ticket
        if self._tickets is not None:
            self._tickets.put(ticket)
        if self.on_ticket is not None:
            self.on_ticket(ticket)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        if self._is_client and self.on_ticket is None:
            # Then the server need not remember any.
            self.tls.new_session_ticket_cb = None

    # Early data that was refused

    def _connect(self, now: float) -> None:
        # After a Retry aioquic begins with empty packet spaces, and would forget what early data was in the old ones.
        for space in self._spaces.values():
            self._lose(space, now)
        super()._connect(now)

    def _handle_crypto_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        before = self._handshake_complete
        super()._handle_crypto_frame(context, frame_type, buf)
        if self._is_client and self._handshake_complete and not before and not self.tls.early_data_accepted:
            # The server threw it away; waiting until that shows would cost a time-out.
            self._lose(self._spaces[Epoch.ONE_RTT], context.time)

    def _lose(self, space: QuicPacketSpace, now: float) -> None:
        """Have everything sent again that is under way in a packet space."""
        packets = list(space.sent_packets.values())
        if packets:
            self._loss._on_packets_lost(congestion_event=False, now=now, packets=packets, space=space)
