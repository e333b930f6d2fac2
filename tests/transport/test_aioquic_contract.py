"""What quicchat takes for granted in aioquic beyond its public names; a release that moves one fails here by name.

Design section 2 and facts section 1: private names move between releases, so each that is used has a test.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections import deque
from pathlib import Path
from types import MethodType

import pytest
from aioquic import tls
from aioquic.quic import connection as connection_module
from aioquic.quic import recovery as recovery_module
from aioquic.quic.congestion.reno import RenoCongestionControl
from aioquic.quic.connection import Limit, QuicConnection, QuicConnectionId, QuicConnectionState, QuicNetworkPath
from aioquic.quic.packet_builder import QuicPacketBuilder, QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketPacer, QuicPacketRecovery, QuicPacketSpace
from aioquic.quic.stream import QuicStream, QuicStreamReceiver, QuicStreamSender

import quicchat.transport
from quicchat.transport.guards import GuardedConnection
from tests.transport.pair import Pair, Stock

#: Attributes of a connection, and the type each has while one is established.
CONNECTION: dict[str, type] = {
    "_ack_delay": float,
    "_close_event": type(None),
    "_close_pending": bool,
    "_crypto_streams": dict,
    "_datagrams_pending": deque,
    "_events": deque,
    "_handshake_complete": bool,
    "_handshake_confirmed": bool,
    "_handshake_done_pending": bool,
    "_host_cids": list,
    "_is_client": bool,
    "_local_max_data": Limit,
    "_local_max_streams_bidi": Limit,
    "_local_max_streams_uni": Limit,
    "_loss": QuicPacketRecovery,
    "_max_datagram_size": int,
    "_network_paths": list,
    "_packet_number": int,
    "_pacing_at": type(None),
    "_ping_pending": list,
    "_probe_pending": bool,
    "_quic_logger": type(None),
    "_peer_cid": QuicConnectionId,
    "_remote_max_data": int,
    "_remote_max_data_used": int,
    "_remote_max_datagram_frame_size": int,
    "_remote_max_streams_bidi": int,
    "_remote_max_streams_uni": int,
    "_remote_preferred_address": type(None),
    "_retire_connection_ids": list,
    "_cryptos": dict,
    "_spin_bit": bool,
    "_version": int,
    "_spaces": dict,
    "_state": QuicConnectionState,
    "_streams": dict,
    "_streams_blocked_pending": bool,
    "_streams_queue": list,
}
#: Methods of a connection that are overridden or called, and their parameters.
METHODS = {
    "_close_begin": ["self", "is_initiator", "now"],
    "_close_end": ["self"],
    "_flush_builder": ["self", "builder", "network_path", "peer_cid", "now"],
    "_handle_path_challenge_frame": ["self", "context", "frame_type", "buf"],
    "_parse_transport_parameters": ["self", "data", "from_session_ticket"],
    "_send_probe": ["self"],
    "_send_probing_frames": ["self", "network_path", "now"],
    "_handle_ack_frame": ["self", "context", "frame_type", "buf"],
    "_handle_crypto_frame": ["self", "context", "frame_type", "buf"],
    "_handle_reset_stream_frame": ["self", "context", "frame_type", "buf"],
    "_connect": ["self", "now"],
    "_handle_stream_frame": ["self", "context", "frame_type", "buf"],
    "_initialize": ["self", "peer_cid"],
    "_on_connection_limit_delivery": ["self", "delivery", "limit"],
    "_on_max_stream_data_delivery": ["self", "delivery", "stream"],
    "_on_ping_delivery": ["self", "delivery", "uids"],
    "_write_application": ["self", "builder", "network_path", "now"],
    "_write_connection_limits": ["self", "builder", "space"],
    "_write_stream_limits": ["self", "builder", "space", "stream"],
}
RECEIVER: dict[str, type] = {
    "_buffer": bytearray,
    "_buffer_start": int,
    "_final_size": type(None),
    "_ranges": RangeSet,
    "_stop_error_code": type(None),
}
SENDER: dict[str, type] = {
    "_buffer": bytearray,
    "_buffer_fin": type(None),
    "_buffer_start": int,
    "_buffer_stop": int,
    "_pending": RangeSet,
    "_pending_eof": bool,
    "_reset_error_code": type(None),
}
TLS: dict[str, type] = {"_peer_certificate": object, "_peer_certificate_chain": list}
RECOVERY: dict[str, type] = {
    "_cc": RenoCongestionControl,
    "_on_packets_lost": MethodType,
    "_pacer": QuicPacketPacer,
    "_pto_count": int,
}
SOURCE = inspect.getsource(connection_module)


@pytest.fixture(scope="module")
def plain() -> QuicConnection:
    """A server's connection, established, without anything of ours."""
    quic: QuicConnection = Pair(stock=True).server.quic
    assert type(quic) is Stock
    return quic


def check(owner: object, name: str, kind: type) -> None:
    where = f"{type(owner).__module__}.{type(owner).__qualname__}.{name}"
    assert hasattr(owner, name), f"aioquic has no {where} any more: find what took its place, then lift the pin"
    assert isinstance(getattr(owner, name), kind), f"{where} is now a {type(getattr(owner, name)).__name__}"


@pytest.mark.parametrize("name", CONNECTION)
def test_connection(plain: QuicConnection, name: str) -> None:
    """Contract: this attribute of a connection exists, and is of this type."""
    check(plain, name, CONNECTION[name])


@pytest.mark.parametrize("name", METHODS)
def test_method(name: str) -> None:
    """Contract: this method of a connection exists, with these parameters."""
    method = getattr(QuicConnection, name, None)
    assert method is not None, f"aioquic has no QuicConnection.{name} any more"
    assert list(inspect.signature(method).parameters) == METHODS[name], f"QuicConnection.{name} has other parameters"


@pytest.mark.parametrize("name", RECEIVER)
def test_receiver(name: str) -> None:
    """Contract: this attribute of a stream's receiving half exists, and is of this type."""
    check(QuicStreamReceiver(0, True), name, RECEIVER[name])


@pytest.mark.parametrize("name", SENDER)
def test_sender(name: str) -> None:
    """Contract: this attribute of a stream's sending half exists, and is of this type."""
    check(QuicStreamSender(0, True), name, SENDER[name])


@pytest.mark.parametrize("name", TLS)
def test_tls(name: str) -> None:
    """Contract: this attribute of the handshake exists, and is of this type."""
    check(tls.Context(is_client=True), name, TLS[name])


@pytest.mark.parametrize("name", RECOVERY)
def test_recovery(plain: QuicConnection, name: str) -> None:
    """Contract: this attribute of loss recovery exists, and is of this type."""
    check(plain._loss, name, RECOVERY[name])


def test_every_private_name_is_in_the_contract(plain: QuicConnection) -> None:
    """Contract: every private name of aioquic that occurs in the transport is listed here, and no other is."""
    private: set[str] = set()
    for path in sorted(Path(quicchat.transport.__path__[0]).glob("*.py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "aioquic" in text else ():
            name = getattr(node, "attr", None) or getattr(node, "name", None)
            if isinstance(name, str) and name.startswith("_") and not name.startswith("__"):
                private.add(name)
    theirs = (plain, plain._loss, QuicStreamReceiver(0, True), QuicStreamSender(0, True), tls.Context(is_client=True))
    used = {name for name in private if any(hasattr(owner, name) for owner in theirs)}
    assert used == {*CONNECTION, *METHODS, *RECEIVER, *SENDER, *TLS, *RECOVERY}


def test_streams_are_walked_for_their_limits_only() -> None:
    """Contract: `_streams.values()` is asked once, so that `StreamTable` may leave out what has not changed."""
    assert SOURCE.count("_streams.values()") == 1
    assert "for stream in self._streams.values():\n                self._write_stream_limits(" in SOURCE
    assert not {".items()", ".keys()"} & {SOURCE[at + 13 :][:8] for at in _places("self._streams")}


def test_the_queue_of_streams_is_for_sending_only() -> None:
    """Contract: aioquic appends new streams to `_streams_queue` and serves it; nothing else reads it."""
    assert SOURCE.count("_streams_queue.append(stream)") == 2
    assert SOURCE.count("_streams_queue") == 7


def test_the_pacer_is_asked_before_each_packet() -> None:
    """Contract: the pacer's time to come stops a flight, and its being late is what `_pacing_at` then says."""
    assert SOURCE.count("_loss._pacer.next_send_time(now=now)") == 1
    loop = SOURCE[SOURCE.index("_loss._pacer.next_send_time(now=now)") :]
    assert loop.index("builder.start_packet(") < loop.index("_write_ack_frame(") < loop.index("_write_stream_limits(")
    assert list(inspect.signature(QuicPacketPacer.next_send_time).parameters) == ["self", "now"]


def test_the_announced_delay() -> None:
    """Contract: 25 ms are announced as `max_ack_delay`; we acknowledge earlier than that."""
    assert "max_ack_delay=25," in SOURCE
    assert Pair(connect=False).options.ack_delay < 0.025


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (QuicStream(0), ["max_stream_data_local", "max_stream_data_local_sent", "receiver", "sender", "stream_id"]),
        (QuicStreamReceiver(0, True), ["highest_offset", "is_finished", "stop_pending", "starting_offset", "stop"]),
        (QuicStreamSender(0, True), ["buffer_is_empty", "is_finished", "reset_pending", "reset", "write"]),
        (QuicPacketSpace(), ["ack_at", "largest_received_packet"]),
        (QuicNetworkPath(("192.0.2.1", 1)), ["is_validated", "local_challenge_sent", "remote_challenges"]),
        (Limit(0, "", 1), ["frame_type", "sent", "used", "value"]),
        (tls.Context(is_client=True), ["alpn_negotiated", "early_data_accepted", "session_resumed"]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)
def test_undocumented_names(owner: object, names: list[str]) -> None:
    """Contract: these have no underscore, but no documentation either."""
    for name in names:
        check(owner, name, object)


def test_a_ticket_is_asked_for_when_the_alpn_is_known() -> None:
    """Contract: so that the store can refuse one of another ALPN; and what it gave is checked for its date."""
    source = inspect.getsource(tls.Context._server_handle_hello)
    ask = source.index("session_ticket = self.get_session_ticket_cb(identity[0])")
    assert source.index("self.alpn_negotiated = negotiate(") < ask < source.index("and session_ticket.is_valid")
    assert {field.name for field in dataclasses.fields(tls.SessionTicket)} == {
        "age_add",
        "cipher_suite",
        "max_early_data_size",
        "not_valid_after",
        "not_valid_before",
        "other_extensions",
        "resumption_secret",
        "server_name",
        "ticket",
    }
    assert "ticket_lifetime=86400," in inspect.getsource(tls)


def test_a_builder_makes_packets_without_a_connection() -> None:
    """Contract: what the stateless answers are made with."""
    assert set(inspect.signature(QuicPacketBuilder.__init__).parameters) >= {
        "host_cid",
        "is_client",
        "max_datagram_size",
        "peer_cid",
        "version",
    }


def test_a_flight_is_put_into_a_builder() -> None:
    """Contract: what our own packets have to leave behind in the builder, and what is known of each packet."""
    builder = QuicPacketBuilder(host_cid=b"", peer_cid=b"", version=1, is_client=False, max_datagram_size=1200)
    kinds = {"_datagrams": list, "_packets": list, "_packet_number": int, "_flight_bytes": int, "_total_bytes": int}
    for name, kind in kinds.items():
        check(builder, name, kind)
    assert builder._packet is None
    assert callable(builder._end_packet)
    assert [field.name for field in dataclasses.fields(QuicSentPacket)] == [
        "epoch",
        "in_flight",
        "is_ack_eliciting",
        "is_crypto_packet",
        "packet_number",
        "packet_type",
        "sent_time",
        "sent_bytes",
        "delivery_handlers",
        "quic_logger_frames",
    ]


def test_epochs_are_their_own_keys() -> None:
    """Contract: nothing that aioquic makes when it is imported is found by an epoch, whose hash is another later."""
    for module in (connection_module, tls, recovery_module):
        for name, value in vars(module).items():
            if isinstance(value, (dict, set, frozenset)) and not name.startswith("__"):
                assert not any(isinstance(each, tls.Epoch) for each in value), name
    assert hash(tls.Epoch.ONE_RTT) == object.__hash__(tls.Epoch.ONE_RTT)


def test_handlers_are_looked_up_on_the_instance() -> None:
    """Contract: frames are handled by the overridden methods, since the table is made of bound methods."""
    handlers = Pair().server.quic._QuicConnection__frame_handlers  # type: ignore[attr-defined]
    assert handlers[0x08][0].__func__ is GuardedConnection._handle_stream_frame
    assert handlers[0x02][0].__func__ is GuardedConnection._handle_ack_frame


def _places(text: str) -> list[int]:
    return [at for at in range(len(SOURCE)) if SOURCE.startswith(text, at)]
