"""The bounds that a hostile peer runs into."""

from __future__ import annotations

import tracemalloc

import pytest
from aioquic.quic.events import ConnectionTerminated, StopSendingReceived
from aioquic.quic.packet import QuicErrorCode, QuicFrameType
from aioquic.tls import Epoch

from quicchat.errors import Code, Refused
from quicchat.protocol.events import Bytes, Closed, Established, Reset
from quicchat.transport.congestion import CONGESTION_WINDOW_LIMIT
from quicchat.transport.guards import CRYPTO_LIMIT, GuardedConnection
from quicchat.transport.options import Options
from quicchat.wire.frame import varint
from tests.transport.pair import CLIENT, IDENTITY, End, Pair, rude, stream_frame

MIB = 1_048_576


def closed(end: End) -> Closed:
    """How a connection ended; fails where it lives."""
    assert end.link.closed is not None, end.events
    return end.link.closed


def attack(pair: Pair, payload: bytes) -> None:
    """Give the server one packet with these frames, and time to answer."""
    pair.arrive("server", rude(pair.client, payload), CLIENT)
    pair.run(0.03)


def test_a_hole_costs_no_more_than_the_window() -> None:
    """[13.2-1] Q1: a hole at offset 0 and single bytes at the window's edge, again and again, take less than 1 MiB."""
    pair = Pair()
    pair.client.link.open()
    pair.server.link.authenticated()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(14):
        edge = pair.server.quic._streams[0].max_stream_data_local if pair.server.quic._streams else 65_536
        attack(pair, stream_frame(0, edge - 1, b"x"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pair.server.link.closed is None
    assert peak - before < MIB
    assert pair.server.quic._streams[0].max_stream_data_local == 65_536


def test_aioquic_alone_gives_in_to_the_hole() -> None:
    """Q1: without the guards windows double with the highest offset seen, so that the test above can fail."""
    pair = Pair(stock=True)
    pair.client.link.open()
    for _ in range(8):
        streams = pair.server.quic._streams
        edge = streams[0].max_stream_data_local if streams else 65_536
        attack(pair, stream_frame(0, edge - 1, b"x"))
    assert len(pair.server.quic._streams[0].receiver._buffer) > MIB


def test_a_hole_that_stays_ends_its_stream() -> None:
    """Q1: a stream with a hole ends after 10 s with LIMIT, in both directions; the connection lives."""
    pair = Pair()
    pair.client.link.send(pair.client.link.open(), b"hello")
    pair.run(0.1)
    attack(pair, stream_frame(0, 40_000, b"x"))
    pair.client.quic._streams[0].sender.highest_offset = 40_001
    pair.run(9.8)
    assert not any(isinstance(event, Reset) for event in pair.server.events)
    pair.run(1.0)
    assert pair.server.events[-1] == Reset(0, Code.LIMIT)
    assert StopSendingReceived(error_code=Code.LIMIT, stream_id=0) in pair.client.raw
    assert Reset(0, Code.LIMIT) in pair.client.events
    assert pair.anomalies["stream with a hole"] == 1
    assert 0 not in pair.server.quic._streams
    assert pair.server.link.closed is None


def test_a_hole_that_is_filled_in_time_harms_nobody() -> None:
    """Q1: late bytes are delivered in order, and the deadline starts anew with each that came."""
    pair = Pair()
    pair.client.link.open()
    attack(pair, stream_frame(0, 2, b"c"))
    pair.run(8)
    attack(pair, stream_frame(0, 0, b"a"))
    pair.run(8)
    attack(pair, stream_frame(0, 1, b"b"))
    pair.run(8)
    assert pair.server.events == [Established(), Bytes(0, b"a"), Bytes(0, b"bc")]


@pytest.mark.parametrize("kind", ["stream", "crypto"])
def test_many_gaps_close_the_connection(kind: str) -> None:
    """[13.2-2] Q2: 30,000 one-byte fragments: closed with INTERNAL "too many gaps" within three packets."""
    pair = Pair()
    packets = 0
    offsets = iter(range(1, 60_000, 2))
    while pair.server.quic._close_event is None:
        frames = b""
        while len(frames) < 1100:
            if kind == "stream":
                frames += stream_frame(0, next(offsets), b"x")
            else:
                frames += b"\x06" + varint(next(offsets)) + varint(1) + b"x"
        attack(pair, frames)
        packets += 1
    assert packets <= 3
    pair.run(2)
    assert closed(pair.client) == Closed(QuicErrorCode.INTERNAL_ERROR, "too many gaps", remote=True)
    assert closed(pair.server) == Closed(QuicErrorCode.INTERNAL_ERROR, "too many gaps", remote=False)
    assert pair.anomalies["too many gaps"] == 1


def test_a_handshake_has_an_end() -> None:
    """Q21: a CRYPTO flood closes with CRYPTO_BUFFER_EXCEEDED (0xd) before more than 64 KiB are held."""
    pair = Pair()
    attack(pair, b"\x06" + varint(CRYPTO_LIMIT) + varint(1) + b"x")
    pair.run(2)
    assert closed(pair.client).code == QuicErrorCode.CRYPTO_BUFFER_EXCEEDED


def test_streams_before_and_after_login() -> None:
    """[13.2-3] Q3: 16 streams of each kind before login, 96 and 128 after; one more is refused, and fatal."""
    pair = Pair()
    link = pair.client.link

    def open_all(*, uni: bool) -> int:
        before = len(link._unacked)

        def without_end() -> None:
            while True:
                link.send(link.open(uni=uni), b"x")

        with pytest.raises(Refused, match="LIMIT: "):
            without_end()
        return len(link._unacked) - before

    assert (open_all(uni=False), open_all(uni=True)) == (16, 16)
    pair.run(0.5)
    assert link.backlog() == 0
    assert (open_all(uni=False), open_all(uni=True)) == (0, 0)
    for end in (pair.server, pair.server, pair.client):
        end.link.authenticated()
    pair.run(0.5)
    assert (open_all(uni=False), open_all(uni=True)) == (96 - 16, 128 - 16)
    pair.run(0.5)
    assert len({event.sid for event in pair.server.events if isinstance(event, Bytes)}) == 96 + 128
    attack(pair, stream_frame(96 * 4, 0, b"x"))
    pair.run(2)
    assert closed(pair.client).code == QuicErrorCode.STREAM_LIMIT_ERROR


def test_finished_streams_make_room() -> None:
    """Q3: the limit is of streams that are open, not of all there ever were."""
    pair = Pair()
    for _ in range(100):
        sid = pair.client.link.open()
        pair.client.link.send(sid, b"question", fin=True)
        pair.run(0.05)
        pair.server.link.send(sid, b"answer", fin=True)
        pair.run(0.05)
    assert sum(isinstance(event, Bytes) and event.fin for event in pair.client.events) == 100
    assert not pair.server.quic._streams
    assert not pair.server.quic._asleep
    assert not pair.server.quic._streams_queue


@pytest.mark.parametrize("authenticated", [False, True])
def test_windows_follow_what_was_delivered(authenticated: bool) -> None:
    """P7: a peer may send 64 KiB before login, then 512 KiB a stream and 1 MiB in all, beyond what was delivered."""
    pair = Pair()
    if authenticated:
        pair.server.link.authenticated()
        pair.run(0.1)
    most = 0
    sids = [pair.client.link.open() for _ in range(8)]
    for sid in sids:
        pair.client.link.send(sid, bytes(800_000), fin=True)

    def done() -> bool:
        nonlocal most
        ahead = pair.client.quic._remote_max_data_used - pair.server.quic._delivered
        most = max(most, ahead)
        for stream in pair.server.quic._streams.copy().values():
            limit = 524_288 if authenticated else 65_536
            assert stream.max_stream_data_local - stream.receiver.starting_offset() <= limit
        return sum(isinstance(event, Bytes) and event.fin for event in pair.server.events) == 8

    assert pair.run_until(done, 60)
    assert most <= (MIB if authenticated else 65_536)
    assert pair.server.quic._delivered == 8 * 800_000


def test_a_reset_gives_the_credit_back() -> None:
    """P7: bytes that were announced by a reset and never came do not shrink the connection's window."""
    pair = Pair()
    for _ in range(12):
        sid = pair.client.link.open()
        attack(pair, stream_frame(sid, 50_000, b"x"))
        attack(pair, b"\x04" + varint(sid) + varint(7) + varint(50_001))
        assert not pair.server.quic._streams[sid].receiver._buffer
        pair.client.quic._remote_max_data_used += 50_001
        pair.run(0.1)
        pair.server.link.reset(sid, 0)
        pair.run(0.1)
    assert pair.server.link.closed is None
    assert pair.client.quic._remote_max_data - pair.client.quic._remote_max_data_used >= 32_768


def test_the_congestion_window_has_an_end() -> None:
    """Q8: acknowledgements never raise the congestion window above its limit."""
    pair = Pair(latency=0.0005, options=Options(early_window=1 << 26))
    cc = pair.server.quic._loss._cc
    cc.congestion_window = CONGESTION_WINDOW_LIMIT - 1000
    cc.ssthresh = None
    pair.client.link.send(pair.client.link.open(), b"x")
    pair.run(0.1)
    pair.server.link.send(0, bytes(500_000))
    pair.run(2)
    assert cc.congestion_window == CONGESTION_WINDOW_LIMIT
    assert sum(len(event.data) for event in pair.client.events if isinstance(event, Bytes)) == 500_000


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    """Q8: an ACK of packet 10^6 closes with PROTOCOL_VIOLATION, where aioquic takes all later packets for lost."""
    pair = Pair()
    window = pair.server.quic._loss.congestion_window
    attack(pair, b"\x02" + varint(1_000_000) + varint(0) + varint(0) + varint(0))
    pair.run(2)
    assert closed(pair.client).code == QuicErrorCode.PROTOCOL_VIOLATION
    assert pair.server.quic._loss.congestion_window == window
    assert pair.anomalies["acknowledged what was never sent"] == 1


def test_an_unfinished_handshake_is_dropped() -> None:
    """[13.3-1] Q11: a client that falls silent in mid-handshake is forgotten after 5 s, without a packet more."""
    pair = Pair(connect=False)
    pair.client.quic.connect(("192.0.2.1", 55_667), pair.now)
    for data, _ in pair.client.quic.datagrams_to_send(pair.now):
        pair.arrive("server", data, CLIENT)
    silent, server = pair.client, pair.server
    silent.quic.abandon(0, "")
    started = pair.now
    assert pair.run_until(lambda: server.link.closed is not None, 30)
    assert pair.now - started == pytest.approx(5.0, abs=0.01)
    assert pair.anomalies["unfinished handshake"] == 1
    assert server.quic.get_timer() is None
    assert not any(isinstance(event, Established) for event in server.events)


def test_a_client_does_not_wait_for_ever_either() -> None:
    """R1.4: where nobody answers, a client gives up after the handshake's deadline."""
    pair = Pair(loss=1.0)
    pair.run(10)
    assert closed(pair.client).remote is False
    assert pair.now > 1005


@pytest.mark.parametrize("alpn", [["parrot"], []])
def test_another_protocol_is_refused(alpn: list[str]) -> None:
    """[13.1-1] Q12: a wrong ALPN, or none, closes with 0x178 (no_application_protocol)."""
    pair = Pair(alpn=alpn)
    pair.run(2)
    assert closed(pair.client).code == 0x178
    assert closed(pair.client).remote
    assert not any(isinstance(event, Established) for event in pair.server.events)


def test_keys_change_only_after_the_peer_followed() -> None:
    """[13.5-1] Q23: keys are updated by the server alone, each time only when the last update was acknowledged."""
    pair = Pair(options=Options(key_update_after=40), loss=0.05, jitter=0.01, seed=4)
    server = pair.server.quic
    phases = [server._cryptos[Epoch.ONE_RTT].key_phase]
    asked: list[float] = []
    request = server.request_key_update

    def spy() -> None:
        asked.append(pair.now)
        request()

    server.request_key_update = spy  # type: ignore[method-assign]
    sid = pair.client.link.open()
    pair.client.link.send(sid, b"hello")
    pair.run(0.5)
    for _ in range(150):
        pair.server.link.send(sid, bytes(3000))
        pair.client.link.send(sid, bytes(3000))
        pair.run(0.1)
        phase = server._cryptos[Epoch.ONE_RTT].key_phase
        if phase != phases[-1]:
            phases.append(phase)
    pair.run(10)
    assert len(asked) >= 10
    assert len(phases) >= 8
    assert sum(len(event.data) for event in pair.client.events if isinstance(event, Bytes)) == 450_000
    assert sum(len(event.data) for event in pair.server.events if isinstance(event, Bytes)) == 450_005


def test_no_update_while_one_is_unanswered() -> None:
    """Q23: while the peer is out of reach no second update is begun, whatever is sent."""
    pair = Pair(options=Options(key_update_after=10))
    pair.client.link.send(pair.client.link.open(), b"x")
    pair.run(0.5)
    pair.loss = 1.0
    for _ in range(30):
        pair.server.link.send(0, bytes(1000))
        pair.run(0.2)
    server = pair.server.quic
    assert server._rekey_at == float("inf")
    assert server._packet_number > 20
    pair.loss = 0.0
    pair.run(30)
    assert sum(len(event.data) for event in pair.client.events if isinstance(event, Bytes)) == 30_000
    assert server._rekey_at < float("inf")


def test_a_bug_below_ends_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Q26: an exception inside aioquic is logged once, counted, and closes that connection with INTERNAL_ERROR."""
    pair = Pair()

    def broken(*_: object) -> None:
        raise KeyError("planted")

    handlers = pair.server.quic._QuicConnection__frame_handlers  # type: ignore[attr-defined]
    handlers[QuicFrameType.PING] = (broken, handlers[QuicFrameType.PING][1])
    attack(pair, b"\x01")
    pair.run(2)
    assert closed(pair.client) == Closed(QuicErrorCode.INTERNAL_ERROR, "internal error", remote=True)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert pair.anomalies["exception"] == 1


def test_a_connection_can_be_abandoned() -> None:
    """Abandoning reports the end at once and sends nothing."""
    pair = Pair()
    sent = pair.sent["server"]
    pair.server.quic.abandon(QuicErrorCode.INTERNAL_ERROR, "gone")
    pair.server.deliver()
    assert closed(pair.server) == Closed(QuicErrorCode.INTERNAL_ERROR, "gone", remote=False)
    pair.run(1)
    assert pair.sent["server"] == sent
    assert isinstance(pair.server.raw[-1], ConnectionTerminated)


def test_a_flood_of_connection_ids() -> None:
    """Q21: more connection ids than agreed close with CONNECTION_ID_LIMIT_ERROR (0x9)."""
    pair = Pair()
    frames = b""
    for number in range(10, 30):
        frames += b"\x18" + varint(number) + varint(0) + b"\x08" + bytes(7) + bytes((number,)) + bytes(16)
    attack(pair, frames)
    pair.run(2)
    assert closed(pair.client).code == QuicErrorCode.CONNECTION_ID_LIMIT_ERROR
    assert pair.anomalies["closed with 0x9"] == 1


def test_a_flood_of_challenges_and_paths() -> None:
    """Q20, Q21: PATH_CHALLENGE floods and 1,000 source ports leave at most 8 paths with 32 challenges each."""
    pair = Pair()
    for port in range(1000):
        pair.arrive("server", rude(pair.client, b"\x1a12345678" * 40), ("203.0.113.7", 1024 + port))
    server = pair.server.quic
    assert len(server._network_paths) <= 8
    assert all(len(path.remote_challenges) <= 32 for path in server._network_paths)
    pair.run(0.5)
    pair.client.link.send(pair.client.link.open(), b"still here")
    pair.run(5)
    assert pair.server.events[-1] == Bytes(0, b"still here")


def test_client_and_server_are_guarded_alike() -> None:
    """The client trusts its server with full windows from the start, and is bounded as well."""
    pair = Pair()
    assert isinstance(pair.client.quic, GuardedConnection)
    assert pair.server.quic._remote_max_data == MIB
    assert pair.client.quic._remote_max_data == 65_536
    assert pair.server.quic.configuration.certificate is not None
    assert pair.client.link.certificate_hash == pair.server.link.certificate_hash == IDENTITY.leaf_hash
