"""The native link, over a connection without sockets."""

from __future__ import annotations

import pytest
from aioquic.quic.packet import QuicErrorCode

from quicchat.errors import Code
from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent, Reset, Stopped
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.transport.udp import show
from tests.transport.pair import CLIENT, SERVER, Pair, rude, stream_frame


def test_it_is_a_link() -> None:
    """Link contract: what quicchat asks of a link is what it gets."""
    link: Link = Pair().client.link
    assert link.peer == show(SERVER)


def test_both_ends_hear_that_the_handshake_is_over() -> None:
    """[13.1-2] Link contract: Established comes first, once."""
    pair = Pair()
    assert pair.client.events == pair.server.events == [Established()]


def test_a_turn_is_one_list() -> None:
    """Link contract: the events of one turn come as one list, in order."""
    pair = Pair()
    payload = stream_frame(0, 0, b"a") + stream_frame(4, 0, b"b", fin=True) + b"\x31\x01c" + stream_frame(0, 1, b"d")
    pair.arrive("server", rude(pair.client, payload), CLIENT)
    assert pair.server.turns[-1] == [Bytes(0, b"a"), Bytes(4, b"b", fin=True), Datagram(b"c"), Bytes(0, b"d")]


def test_streams_carry_bytes_both_ways() -> None:
    """Link contract: bytes arrive in order, and the end with the last of them or alone."""
    pair = Pair()
    client, server = pair.client.link, pair.server.link
    sid = client.open()
    client.send(sid, b"ques")
    client.send(sid, b"tion", fin=True)
    pair.run(0.1)
    server.send(sid, b"answer")
    pair.run(0.1)
    server.send(sid, b"", fin=True)
    one_way = server.open(uni=True)
    server.send(one_way, b"news", fin=True)
    pair.run(0.1)
    assert pair.server.events == [Established(), Bytes(sid, b"question", fin=True)]
    assert pair.client.events == [
        Established(),
        Bytes(sid, b"answer"),
        Bytes(sid, b"", fin=True),
        Bytes(one_way, b"news", fin=True),
    ]


def test_reset_and_stop_are_told() -> None:
    """Link contract: RESET_STREAM comes as Reset, STOP_SENDING as Stopped, with their codes."""
    pair = Pair()
    client = pair.client.link
    first, second = client.open(), client.open()
    for sid in (first, second):
        client.send(sid, b"x")
    pair.run(0.1)
    client.reset(first, 0x10A)
    pair.server.link.stop(second, 0x107)
    pair.run(0.1)
    assert pair.server.events[-1] == Reset(first, 0x10A)
    assert pair.client.events[-1] == Stopped(second, 0x107)


def test_after_stop_nothing_more_is_told() -> None:
    """Link contract: bytes that still come after `stop` are dropped, and so is their end."""
    pair = Pair()
    client = pair.client.link
    sids = [client.open() for _ in range(3)]
    for sid in sids:
        client.send(sid, b"x")
    pair.run(0.1)
    told = len(pair.server.events)
    for sid in sids:
        pair.server.link.stop(sid, 7)
    client.send(sids[0], b"more")
    client.send(sids[1], b"last", fin=True)
    client.reset(sids[2], 8)
    pair.run(0.5)
    assert pair.server.events[told:] == []
    assert not pair.server.link._stopped


def test_what_no_longer_makes_sense_does_nothing() -> None:
    """Link contract: calls on streams that are finished, reset or unknown do nothing."""
    pair = Pair()
    client = pair.client.link
    finished, reset, one_way = client.open(), client.open(), pair.server.link.open(uni=True)
    client.send(finished, b"x", fin=True)
    client.send(reset, b"x")
    client.reset(reset, 1)
    pair.server.link.send(one_way, b"x")
    pair.run(0.1)
    pair.server.link.send(finished, b"y", fin=True)
    pair.run(0.1)
    told = len(pair.client.events), len(pair.server.events)
    for sid in (finished, reset, one_way, 400, 401, 402, 403):
        client.send(sid, b"again", fin=True)
        client.reset(sid, 2)
        if sid != one_way:
            client.stop(sid, 2)
    pair.run(0.5)
    assert [event for event in pair.server.events[told[1] :] if not isinstance(event, Stopped)] == []
    assert pair.client.link.closed is None
    assert client.backlog() == client.backlog(400) == 0
    assert client.open() == 8


def test_nothing_is_done_after_the_end() -> None:
    """Link contract: after the link has closed every call does nothing; Closed is told once, and is the last."""
    pair = Pair()
    link = pair.client.link
    sid = link.open()
    link.close(Code.NO_ERROR, "bye")
    link.close(Code.INTERNAL, "again")
    for _ in range(2):
        link.send(sid, b"x")
        link.reset(sid, 1)
        link.stop(sid, 1)
        assert not link.datagram(b"x")
        link.authenticated()
        link.flush()
        pair.run(2)
    assert pair.client.events == [Established(), Closed(Code.NO_ERROR, "bye", remote=False)]
    assert pair.server.events == [Established(), Closed(Code.NO_ERROR, "bye", remote=True)]
    assert link.backlog() == 0


def test_silence_is_the_end() -> None:
    """R3.11: when nothing is heard for the idle timeout the link is closed; the peer did not do it."""
    pair = Pair(options=Options(idle_timeout=5))
    pair.loss = 1.0
    pair.client.link.send(pair.client.link.open(), b"anybody?")
    started = pair.now
    assert pair.run_until(lambda: pair.client.link.closed is not None, 60)
    assert pair.client.link.closed == Closed(QuicErrorCode.INTERNAL_ERROR, "Idle timeout", remote=False)
    assert pair.now - started == pytest.approx(5.0, abs=0.1)


def test_reasons_are_cut() -> None:
    """Protocol section 1: a close reason is at most 1024 bytes, cut between characters; a longer one is no bug."""
    pair = Pair()
    pair.server.link.close(Code.INTERNAL, "ä" * 2000)
    pair.run(2)
    assert pair.client.events[-1] == Closed(Code.INTERNAL, "ä" * 512, remote=True)


def test_a_close_in_mid_handshake_is_no_bug() -> None:
    """A long reason beside the packets of a handshake does not fit; aioquic would raise."""
    pair = Pair(connect=False)
    pair.client.quic.connect(SERVER, pair.now)
    pair.run(0.011)
    pair.server.link.close(Code.DRAINING, "x" * 2000)
    pair.transmit()
    pair.run(2)
    assert pair.client.link.closed is not None
    assert pair.client.link.closed.remote


def test_backlog_is_what_is_not_acknowledged() -> None:
    """Link contract: backlog counts bytes given to `send` until the peer acknowledged them, of one stream or of all."""
    pair = Pair()
    link = pair.server.link
    pair.client.link.send(pair.client.link.open(), b"x")
    pair.client.link.send(pair.client.link.open(), b"x")
    pair.run(0.1)
    link.send(0, bytes(1000))
    link.send(4, bytes(500))
    link.send(0, bytes(10))
    assert (link.backlog(0), link.backlog(4), link.backlog()) == (1010, 500, 1510)
    link.reset(4, 1)
    assert (link.backlog(4), link.backlog()) == (0, 1010)
    pair.transmit()
    assert link.backlog() == 1010
    pair.run(0.1)
    assert (link.backlog(0), link.backlog()) == (0, 0)
    link.send(0, bytes(100_000))
    seen = {link.backlog()}
    while link.backlog():
        assert link.backlog() == link.backlog(0) == len(pair.server.quic._streams[0].sender._buffer)
        seen.add(link.backlog())
        pair.run(0.01)
    assert len(seen) > 4


def test_what_the_peer_stopped_is_forgotten() -> None:
    """Q5: STOP_SENDING frees what was queued on the stream, even when its reset is never acknowledged."""
    pair = Pair()
    sids = [pair.client.link.open() for _ in range(16)]
    for sid in sids:
        pair.client.link.send(sid, b"x")
    pair.run(0.1)
    for sid in sids:
        pair.server.link.send(sid, bytes(200_000))
        pair.client.link.stop(sid, 1)
    pair.run(0.1)
    assert pair.server.link.backlog() == 0
    assert sum(len(stream.sender._buffer) for stream in dict(pair.server.quic._streams.items()).values()) == 0
    assert [event.sid for event in pair.server.events if isinstance(event, Stopped)] == sids
    for sid in sids:
        pair.client.link.send(sid, b"", fin=True)
    pair.run(1)
    assert len(pair.server.quic._streams) == 0


def test_events_wait_for_their_reader() -> None:
    """What is reported before `on_events` is set is kept, in order."""
    pair = Pair(connect=False)
    pair.client.link._on_events = None
    pair.client.quic.connect(SERVER, pair.now)
    pair.run(0.5)
    sid = pair.server.link.open()
    pair.server.link.send(sid, b"early")
    pair.run(0.1)
    heard: list[LinkEvent] = []
    pair.client.link.on_events = heard.extend
    assert heard == [Established(), Bytes(sid, b"early")]


def test_the_peer_may_move() -> None:
    """[13.5-2] R0.13, Q19: a client whose address changes in mid-upload goes on; the server sees the new address."""
    pair = Pair()
    pair.server.link.authenticated()
    pair.run(0.1)
    data = bytes(range(256)) * 4000
    assert pair.server.link.peer == "198.51.100.7:40000"
    pair.client.link.send(pair.client.link.open(), data, fin=True)
    pair.run(0.1)
    pair.client_address = ("203.0.113.9", 50_000)
    pair.run(5)
    assert pair.server.link.peer == "203.0.113.9:50000"
    assert b"".join(event.data for event in pair.server.events if isinstance(event, Bytes)) == data


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (None, ""),
        (("192.0.2.1", 4433), "192.0.2.1:4433"),
        (("2001:db8::1", 4433, 0, 0), "[2001:db8::1]:4433"),
    ],
)
def test_addresses_as_people_write_them(address: object, text: str) -> None:
    """R2.8: IP and port of the peer."""
    assert show(address) == text
