"""The streams and datagrams of the simulated link on a good line: what the port promises, call by call."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.errors import Code, Refused
from quicchat.protocol.events import Bytes, Datagram, LinkEvent, Reset, Stopped
from quicchat.transport.memory.streams import Chunk
from tests.transport.ears import HOP, LATENCY, connected, line, now, virtually


@virtually
async def test_streams_have_the_ids_of_quic() -> None:
    """RFC 9000 section 2.1: the client's 0, 4, 8 and 2, 6, the server's 1, 5, 9 and 3, 7."""
    client, server, *_ = await connected(line())
    assert [client.open() for _ in range(3)] == [0, 4, 8]
    assert [client.open(uni=True) for _ in range(2)] == [2, 6]
    assert [server.open() for _ in range(3)] == [1, 5, 9]
    assert [server.open(uni=True) for _ in range(2)] == [3, 7]


@virtually
async def test_bytes_arrive_after_the_latency_and_in_order() -> None:
    """Link.send: what is sent on a stream arrives as it was sent, and its end once; either way, on any stream."""
    client, server, at_client, at_server = await connected(line())
    began = now()
    sid = client.open()
    client.send(sid, b"one ")
    client.send(sid, b"two")
    await asyncio.sleep(HOP)
    assert at_server.heard == [(began + LATENCY, Bytes(sid, b"one two"))]
    server.send(sid, b"three", fin=True)
    client.send(sid, b"", fin=True)
    await asyncio.sleep(HOP)
    assert at_server.events[1:] == [Bytes(sid, b"", True)]
    assert at_client.events == [Bytes(sid, b"three", True)]
    big = bytes(range(256)) * 4096
    sid = server.open(uni=True)
    server.send(sid, big, fin=True)
    await asyncio.sleep(10)
    assert at_client.said[sid] == big
    assert list(at_client.finished) == [0, sid]


@virtually
async def test_what_is_sent_leaves_with_the_turn_or_with_flush() -> None:
    """Link.flush: calls buffer, and never block; a turn's worth travels together."""
    network = line()
    client, _, _, at_server = await connected(network)
    sent = len(network.trace)
    for number in range(3):
        client.send(client.open(), bytes((number,)))
    assert len(network.trace) == sent
    await asyncio.sleep(0)
    assert [len(packet.frames) for packet in network.trace[sent:]] == [3]
    client.send(0, b"now")
    client.flush()
    assert len(network.trace) == sent + 2
    client.flush()
    await asyncio.sleep(0)
    assert len(network.trace) == sent + 2
    await asyncio.sleep(HOP)
    assert at_server.said == {0: b"\x00now", 4: b"\x01", 8: b"\x02"}


@virtually
async def test_the_events_of_a_turn_come_together() -> None:
    """Link.on_events: one call for all that arrived at one time, in order."""
    client, _, _, at_server = await connected(line())
    for _ in range(3):
        client.send(client.open(), b"x" * 2000)
    await asyncio.sleep(HOP)
    assert len(at_server.turns) == 1
    assert at_server.said == dict.fromkeys((0, 4, 8), b"x" * 2000)


@virtually
async def test_the_backlog_falls_when_the_peer_acknowledges() -> None:
    """Link.backlog: bytes given to `send` and not acknowledged, of one stream or of all."""
    client, _, _, at_server = await connected(line())
    one, other = client.open(), client.open()
    client.send(one, b"x" * 10)
    client.send(other, b"x" * 5, fin=True)
    assert (client.backlog(), client.backlog(one), client.backlog(other), client.backlog(99)) == (15, 10, 5, 0)
    await asyncio.sleep(LATENCY * 1.9)
    assert at_server.said
    assert client.backlog() == 15
    client.send(one, b"y")
    await asyncio.sleep(LATENCY * 0.2)
    assert (client.backlog(), client.backlog(one), client.backlog(other)) == (1, 1, 0)
    await asyncio.sleep(LATENCY * 2)
    assert client.backlog() == 0


@virtually
async def test_reset() -> None:
    """Link.reset: the peer hears the code once; what was queued is forgotten, what comes later ignored."""
    client, server, at_client, at_server = await connected(line())
    sid = client.open()
    client.send(sid, b"before")
    await asyncio.sleep(1)
    client.send(sid, b"lost")
    client.reset(sid, 0x10A)
    assert client.backlog() == 0
    client.send(sid, b"after", fin=True)
    client.reset(sid, 5)
    server.send(sid, b"the other way", fin=True)
    await asyncio.sleep(5)
    assert at_server.events == [Bytes(sid, b"before"), Reset(sid, 0x10A)]
    assert at_client.events == [Bytes(sid, b"the other way", True)]


@virtually
async def test_reset_of_a_stream_that_said_nothing() -> None:
    """Link.reset: the peer learns of it all the same."""
    client, _, _, at_server = await connected(line())
    client.reset(client.open(), 7)
    await asyncio.sleep(1)
    assert at_server.events == [Reset(0, 7)]


@virtually
async def test_reset_after_the_end_arrived_is_nothing() -> None:
    """RFC 9000 section 3.1: all data is received; there is nothing left to give up."""
    client, _, _, at_server = await connected(line())
    sid = client.open()
    client.send(sid, b"all", fin=True)
    await asyncio.sleep(5)
    client.reset(sid, 7)
    await asyncio.sleep(5)
    assert at_server.events == [Bytes(sid, b"all", True)]


@virtually
async def test_stop() -> None:
    """Link.stop: the peer is told once and sends no more; here nothing more is heard of the stream, not its end."""
    client, server, at_client, at_server = await connected(line())
    sid = client.open()
    client.send(sid, b"a request")
    await asyncio.sleep(1)
    server.send(sid, b"x" * 5000)
    client.stop(sid, 0x102)
    client.stop(sid, 0x103)
    await asyncio.sleep(HOP)
    assert at_server.events == [Bytes(sid, b"a request"), Stopped(sid, 0x102)]
    assert server.backlog(sid) == 0
    server.send(sid, b"more", fin=True)
    client.send(sid, b"still heard", fin=True)
    await asyncio.sleep(5)
    assert at_client.events == []
    assert at_server.events[2:] == [Bytes(sid, b"still heard", True)]
    assert client.backlog() == server.backlog() == 0


@virtually
async def test_calls_on_streams_that_are_not_there_do_nothing() -> None:
    """Link: calls on a stream that is finished, reset or unknown do nothing: the peer may have been first."""
    network = line()
    client, server, at_client, at_server = await connected(network)
    sid, uni = client.open(), client.open(uni=True)
    client.send(sid, b"x", fin=True)
    client.send(uni, b"y", fin=True)
    await asyncio.sleep(1)
    sent = len(network.trace)
    for link in (client, server):
        for unknown in (400, 401, 402, 403):
            link.send(unknown, b"x")
            link.reset(unknown, 1)
            link.stop(unknown, 1)
    client.send(sid, b"behind the end")
    client.stop(uni, 1)
    server.send(uni, b"the wrong way", fin=True)
    server.reset(uni, 1)
    server.stop(sid, 1)
    await asyncio.sleep(5)
    assert network.trace[sent:] == []
    assert at_server.said == {sid: b"x", uni: b"y"}
    assert at_client.events == []


@virtually
async def test_datagrams() -> None:
    """Link.datagram: up to 1100 bytes, where offered; after the streams' round, never acknowledged by `backlog`."""
    network = line()
    client, server, at_client, at_server = await connected(network)
    began = now()
    assert client.datagram(b"x" * 1100)
    assert not client.datagram(b"x" * 1101)
    assert server.datagram(b"")
    assert client.backlog() == 0
    await asyncio.sleep(5)
    assert at_server.heard == [(began + LATENCY, Datagram(b"x" * 1100))]
    assert at_client.datagrams == [b""]
    network.datagrams = False
    assert not client.datagram(b"x")


@virtually
async def test_of_too_many_datagrams_the_newest_win() -> None:
    """facts §1: a bounded queue; what is late anyway is what is dropped."""
    client, _, _, at_server = await connected(line())
    for number in range(100):
        assert client.datagram(bytes((number,)))
    await asyncio.sleep(1)
    assert at_server.datagrams == [bytes((number,)) for number in range(36, 100)]


@virtually
async def test_streams_are_limited_until_the_peer_is_known() -> None:
    """Q3: 16 before login, 96 after; beyond that a refusal, not a queue; for each kind by itself."""
    client, server, *_ = await connected(line())
    for uni in (False, True):
        for _ in range(16):
            client.open(uni=uni)
        with pytest.raises(Refused) as caught:
            client.open(uni=uni)
        assert caught.value.code is Code.LIMIT
    server.authenticated()
    await asyncio.sleep(1)
    for _ in range(80):
        client.open()
        client.open(uni=True)
    with pytest.raises(Refused):
        client.open()
    client.authenticated()
    for _ in range(96):
        server.open()
    with pytest.raises(Refused):
        server.open()


@virtually
async def test_a_stream_that_is_over_makes_room_for_another() -> None:
    """facts §1: one more for each that is over at both ends: finished, reset or stopped."""
    client, server, _, at_server = await connected(line(streams=(3, 3)))
    done, half, broken = (client.open() for _ in range(3))
    for sid in (done, half, broken):
        client.send(sid, b"x", fin=sid == done)
    await asyncio.sleep(1)
    server.send(done, b"y", fin=True)
    server.send(half, b"y", fin=True)
    client.reset(broken, 1)
    client.stop(broken, 1)
    with pytest.raises(Refused):
        client.open()
    await asyncio.sleep(2)
    assert [client.open(), client.open()] == [12, 16]
    with pytest.raises(Refused):
        client.open()
    for _ in range(100):
        client.send(16, b"z", fin=True)
        server.reset(16, 0)
    await asyncio.sleep(2)
    server.send(half, b"late")
    assert at_server.finished.keys() == {done, 16}


@virtually
async def test_many_streams_one_after_the_other() -> None:
    """facts §1: 2,000 sequential streams are fine, and leave nothing behind."""
    client, server, at_client, _ = await connected(line(streams=(16, 16)))

    def echo(events: list[LinkEvent]) -> None:
        for event in events:
            if isinstance(event, Bytes):
                server.send(event.sid, event.data, fin=event.fin)

    server.on_events = echo
    for number in range(2000):
        client.send(client.open(), b"%d" % number, fin=True)
        if number % 8 == 7:
            await asyncio.sleep(4 * LATENCY)
    assert [at_client.said[4 * number] for number in range(2000)] == [b"%d" % number for number in range(2000)]
    assert len(at_client.finished) == 2000


@virtually
async def test_streams_take_turns() -> None:
    """facts §1: round robin: a word on one stream does not wait for the megabyte on another."""
    client, _, _, at_server = await connected(line())
    began = now()
    big, small = client.open(), client.open()
    client.send(big, bytes(1_000_000), fin=True)
    client.send(small, b"a word", fin=True)
    await asyncio.sleep(30)
    assert at_server.finished[small] == began + LATENCY
    assert at_server.finished[big] > began + 5 * LATENCY
    assert at_server.said[big] == bytes(1_000_000)


@virtually
async def test_a_stream_may_be_cut_anywhere() -> None:
    """R0.3: with `split` receivers see partial frames; the bytes stay the same."""
    client, _, _, at_server = await connected(line(split=1.0, seed=3))
    sid = client.open()
    text = bytes(range(256)) * 40
    client.send(sid, text, fin=True)
    await asyncio.sleep(30)
    sizes = {len(event.data) for event in at_server.events if isinstance(event, Bytes)}
    assert at_server.said[sid] == text
    assert len(sizes) > 10
    assert min(sizes) < 100 < max(sizes)


@virtually
async def test_what_comes_twice_is_told_once() -> None:
    """RFC 9000 section 13.3: a packet that the line doubled changes nothing, whatever it carried."""
    client, server, at_client, at_server = await connected(line(duplication=1.0, seed=2))
    given_up, stopped, finished = (client.open() for _ in range(3))
    for sid in (given_up, stopped, finished):
        client.send(sid, b"x", fin=sid == finished)
    await asyncio.sleep(3)
    client.reset(given_up, 5)
    server.stop(stopped, 6)
    server.send(finished, b"y", fin=True)
    await asyncio.sleep(3)
    for sid in (given_up, stopped):
        server.send(sid, b"the end", fin=True)
    await asyncio.sleep(3)
    assert at_server.events[3:] == [Reset(given_up, 5)]
    assert at_client.events == [
        Stopped(stopped, 6),
        Bytes(finished, b"y", True),
        Bytes(given_up, b"the end", True),
        Bytes(stopped, b"the end", True),
    ]
    assert client.backlog() == server.backlog() == 0


@virtually
async def test_what_was_given_up_is_not_sent_again() -> None:
    """RFC 9000 section 3.1: after a reset the stream's lost data is forgotten; an acknowledgement that is late, too."""
    network = line()
    client, server, *_ = await connected(network)
    lost, late = client.open(), client.open(uni=True)
    network.loss = 1.0
    client.send(lost, b"lost")
    client.flush()
    network.loss = 0.0
    client.send(late, b"late")
    client.flush()
    for sid in (lost, late):
        client.reset(sid, 1)
    sent = len(network.trace)
    await asyncio.sleep(5)
    frames = [frame for packet in network.trace[sent:] for frame in packet.frames]
    assert Reset(lost, 1) in frames
    assert not [frame for frame in frames if isinstance(frame, Chunk)]
    assert client.backlog() == server.backlog() == 0
