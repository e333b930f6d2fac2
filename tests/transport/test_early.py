"""Early data, packet by packet: what it may take, and that it holds nobody up."""

from __future__ import annotations

from aioquic.quic.packet import QuicErrorCode

from quicchat.protocol.events import Bytes
from quicchat.transport.tickets import Tickets
from tests.transport.pair import CLIENT, SERVER, Pair, rude, stream_frame

MIB = 1_048_576


def resumed(pair: Pair) -> Pair:
    """The next connection of a pair's client, before its first packet."""
    return Pair(tickets=pair.tickets, ticket=pair.given[0], connect=False)


def test_early_data_has_one_window() -> None:
    """[13.6-7] P7: until the handshake is complete nobody sends more than 64 KiB in all, though it is delivered."""
    pair = resumed(Pair(tickets=Tickets()))
    pair.client.quic.connect(SERVER, pair.now)
    for data, _ in pair.client.quic.datagrams_to_send(pair.now):
        pair.arrive("server", data, CLIENT)
    for number in range(80):
        assert pair.server.quic._close_event is None or number > 64
        frame = stream_frame(number % 4 * 4, number // 4 * 1000, bytes(1000))
        pair.arrive("server", rude(pair.client, frame, early=True), CLIENT)
        pair.server.quic.datagrams_to_send(pair.now)
    assert pair.server.quic._close_event is not None
    assert pair.server.quic._close_event.error_code == QuicErrorCode.FLOW_CONTROL_ERROR
    assert sum(len(event.data) for event in pair.server.events if isinstance(event, Bytes)) == 65_000
    assert not pair.server.link.established


def test_a_full_early_window_is_opened_when_the_handshake_is_complete() -> None:
    """[13.2-1] P7: who used up his first window early can go on, on every stream."""
    pair = resumed(Pair(tickets=Tickets()))
    pair.client.quic._loss._cc.congestion_window = MIB
    pair.client.quic.connect(SERVER, pair.now)
    for _ in range(2):
        pair.client.link.send(pair.client.link.open(), bytes(200_000), fin=True)
    pair.run(0.011)
    early = sum(len(event.data) for event in pair.server.events if isinstance(event, Bytes))
    assert 60_000 < early <= 65_536
    assert not pair.server.link.established
    assert pair.run_until(lambda: sum(isinstance(e, Bytes) and e.fin for e in pair.server.events) == 2, 10)
    assert pair.server.quic._delivered == 400_000
