"""When and what a connection sends."""

from __future__ import annotations

import hashlib
import random

import pytest

from quicchat.protocol.events import Bytes, Closed, Datagram, LinkEvent
from quicchat.transport.options import Options
from quicchat.transport.pace import DATAGRAM_LIMIT, DATAGRAM_QUEUE
from tests.transport.pair import CLIENT, End, Pair

MIB = 1_048_576


def received(end: End, sid: int) -> bytes:
    """All that came on a stream."""
    return b"".join(event.data for event in end.events if isinstance(event, Bytes) and event.sid == sid)


def ready(**options: object) -> Pair:
    """A pair at rest, with stream 0 used in both directions."""
    pair = Pair(**options)  # type: ignore[arg-type]
    pair.client.link.send(pair.client.link.open(), b"hello")
    pair.run(1)
    pair.server.link.send(0, b"hello")
    pair.run(1)
    return pair


def test_a_lone_packet_is_acknowledged_late() -> None:
    """A small packet is acknowledged after `ack_delay`, once, and never later than the 25 ms announced."""
    pair = ready()
    pair.client.link.send(0, b"x")
    pair.run(0.011)
    before = pair.sent["server"]
    pair.run(0.015)
    assert pair.sent["server"] == before
    assert pair.client.link.backlog() == 1
    pair.run(0.010)
    assert pair.sent["server"] == before + 1
    pair.run(1)
    assert pair.sent["server"] == before + 1
    assert pair.client.link.backlog() == 0


def test_two_full_packets_are_acknowledged_at_once() -> None:
    """RFC 9000 section 13.2.2: the second full packet is acknowledged without delay."""
    pair = ready()
    before = pair.sent["server"]
    pair.client.link.send(0, bytes(2200))
    assert pair.run_until(lambda: pair.client.link.backlog() == 0, 0.021)
    assert pair.sent["server"] == before + 1


def test_a_gap_is_told_at_once() -> None:
    """RFC 9000 section 13.2.1: a packet that shows that another is missing is acknowledged without delay."""
    pair = ready()
    pair.loss = 1.0
    pair.client.link.send(0, b"lost")
    pair.transmit()
    pair.loss = 0.0
    before = pair.sent["server"]
    pair.client.link.send(0, b"comes")
    pair.run(0.0101)
    assert pair.sent["server"] == before + 1


def test_acknowledgements_ride_on_answers() -> None:
    """A question and its answer take three packets: the answer acknowledges the question."""
    pair = ready()
    before = dict(pair.sent)
    for _ in range(10):
        pair.client.link.send(0, b"question")
        pair.run(0.011)
        pair.server.link.send(0, b"answer")
        pair.run(0.011)
    pair.run(1)
    assert pair.sent["client"] - before["client"] == 11
    assert pair.sent["server"] - before["server"] == 10


def test_quiet_streams_cost_nothing() -> None:
    """A stream whose bytes are all acknowledged leaves aioquic's queue, and comes back when it is used."""
    pair = Pair()
    sids = [pair.client.link.open() for _ in range(16)]
    for sid in sids:
        pair.client.link.send(sid, b"open")
    pair.run(1)
    assert not pair.client.quic._streams_queue
    assert not pair.server.quic._streams_queue
    pair.server.link.send(sids[3], b"news")
    pair.client.link.send(sids[5], b"", fin=True)
    pair.client.link.reset(sids[6], 9)
    pair.client.link.stop(sids[7], 9)
    pair.run(1)
    assert received(pair.client, sids[3]) == b"news"
    assert Bytes(sids[5], b"", fin=True) in pair.server.events
    pair.server.link.send(sids[5], b"last", fin=True)
    pair.server.link.send(sids[6], b"last", fin=True)
    pair.client.link.send(sids[7], b"last", fin=True)
    pair.run(1)
    assert received(pair.client, sids[5]) == b"last"
    for end in (pair.client, pair.server):
        assert not end.quic._streams_queue
        assert sorted(end.quic._streams) == [sid for sid in sids if sid not in sids[5:8]]


class Traffic:
    """Random writes, ends, resets and stops on streams of a pair, and what must come of them."""

    def __init__(self, pair: Pair, chance: random.Random) -> None:
        self.pair, self.chance = pair, chance
        self.written: dict[tuple[str, int], bytearray] = {}
        #: Halves that were finished, and streams that were reset or stopped.
        self.whole: set[tuple[str, int]] = set()
        self.spoilt: set[int] = set()
        self.sids: list[int] = []

    def act(self) -> None:
        """Do one thing, at either end."""
        name = self.chance.choice(("client", "server"))
        end = self.pair.client if name == "client" else self.pair.server
        if not self.sids or (len(self.sids) < 40 and self.chance.random() < 0.2):
            self.open()
        sid = self.chance.choice(self.sids)
        if (name, sid) in self.whole or sid in self.spoilt or sid not in end.quic._streams:
            return
        match self.chance.randrange(12):
            case 0:
                end.link.reset(sid, 1)
                self.spoilt.add(sid)
            case 1:
                end.link.stop(sid, 1)
                self.spoilt.add(sid)
            case 2:
                end.link.send(sid, b"", fin=True)
                self.whole.add((name, sid))
            case size:
                data = self.chance.randbytes(self.chance.choice((1, 100, 5000)) * size)
                end.link.send(sid, data)
                self.written[name, sid] += data

    def open(self) -> None:
        sid = self.pair.client.link.open()
        self.pair.client.link.send(sid, b"open")
        self.sids.append(sid)
        self.written["client", sid], self.written["server", sid] = bytearray(b"open"), bytearray()

    def check(self) -> None:
        """What was written on streams that nobody spoilt has arrived, and so have their ends."""
        for (name, sid), data in self.written.items():
            if sid not in self.spoilt:
                end = self.pair.server if name == "client" else self.pair.client
                assert received(end, sid) == data, (name, sid)
                assert (sid in fins(end)) == ((name, sid) in self.whole)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_lost_by_doing_less(seed: int) -> None:
    """Whatever is written, reset and stopped, under loss and reordering, what arrives is what was sent.

    The pair checks besides, at every step, that what `is_idle` leaves out would have been nothing.
    """
    chance = random.Random(seed)
    loss = chance.choice((0.0, 0.03, 0.12))
    pair = Pair(seed=seed, loss=loss, jitter=0.02, options=Options(key_update_after=150))
    pair.server.link.authenticated()
    pair.run(0.2)
    traffic = Traffic(pair, chance)
    for _ in range(250):
        traffic.act()
        pair.run(chance.choice((0.0, 0.003, 0.05)))
    assert pair.run_until(lambda: pair.client.link.backlog() == pair.server.link.backlog() == 0, 200)
    pair.run(1)
    assert pair.client.link.closed is None
    traffic.check()


def fins(end: End) -> set[int]:
    """The streams that were finished by the peer."""
    return {event.sid for event in end.events if isinstance(event, Bytes) and event.fin}


@pytest.mark.parametrize("latency", [0.0005, 0.010])
def test_an_upload_fills_its_window(latency: float) -> None:
    """P7: 20 MiB on one stream arrive whole, at no less than 80 % of a 256 KiB window per round trip."""
    pair = Pair(latency=latency)
    pair.server.link.authenticated()
    pair.run(0.2)
    digest, size = hashlib.sha256(), 0

    def take(events: list[LinkEvent]) -> None:
        nonlocal size
        for event in events:
            assert isinstance(event, Bytes)
            digest.update(event.data)
            size += len(event.data)

    pair.server.link.on_events = take
    data = random.Random(1).randbytes(MIB) * 20
    started = pair.now
    pair.client.link.send(pair.client.link.open(), data, fin=True)
    assert pair.run_until(lambda: size == len(data), 30)
    assert digest.digest() == hashlib.sha256(data).digest()
    assert pair.now - started <= 80 * 2 * latency / 0.8 + 0.2


def test_datagrams_have_a_limit() -> None:
    """[13.4-1] Q17: 1100 bytes pass, one more is dropped here; and those behind it are not held up."""
    pair = Pair()
    link = pair.client.link
    assert link.datagram(bytes(DATAGRAM_LIMIT))
    assert not link.datagram(bytes(DATAGRAM_LIMIT + 1))
    assert link.datagram(b"small")
    pair.run(0.1)
    assert [event for event in pair.server.events if isinstance(event, Datagram)] == [
        Datagram(bytes(DATAGRAM_LIMIT)),
        Datagram(b"small"),
    ]


def test_datagrams_need_a_peer_who_wants_them() -> None:
    """Without an offer a datagram is dropped here, where aioquic would close the connection."""
    pair = Pair()
    for offer in (None, 0, 4):
        pair.client.quic._remote_max_datagram_frame_size = offer
        assert not pair.client.link.datagram(b"hi")
    pair.run(1)
    assert pair.client.link.closed is None


def test_the_newest_datagrams_win() -> None:
    """Of more datagrams than fit, the oldest that aioquic was not yet handed are dropped; then all flows again."""
    pair = Pair()
    pair.client.quic._loss._cc.congestion_window = 0
    for number in range(200):
        assert pair.client.link.datagram(b"%d" % number)
        pair.transmit()
    pair.client.quic._loss._cc.congestion_window = 12_000
    pair.run(1)
    numbers = [int(event.data) for event in pair.server.events if isinstance(event, Datagram)]
    assert numbers[-DATAGRAM_QUEUE:] == list(range(200 - DATAGRAM_QUEUE, 200))
    assert len(numbers) <= DATAGRAM_QUEUE + 8
    pair.client.link.datagram(b"201")
    pair.run(0.1)
    assert pair.server.events[-1] == Datagram(b"201")


def test_chat_leaves_before_bulk() -> None:
    """[13.7-1]: of a long text on one stream no packet waits for those of a bulk stream that began before it."""
    pair = ready()
    pair.server.link.authenticated()
    pair.run(0.2)
    link = pair.client.link
    bulk, chat = link.open(), link.open()
    link.send(bulk, bytes(MIB))
    link.watch(bulk, 1)
    pair.run(0.05)
    link.send(chat, bytes(40_000), fin=True)
    before, under_way = len(received(pair.server, bulk)), pair.client.quic._loss.bytes_in_flight
    assert link.unsent(bulk) > 500_000
    assert pair.run_until(lambda: chat in fins(pair.server), 5)
    # Only what was under way already may be faster than it, and what fills the packet that ends it.
    assert len(received(pair.server, bulk)) - before <= under_way + 1200
    assert pair.run_until(lambda: len(received(pair.server, bulk)) == MIB, 30)


def test_bulk_is_not_starved() -> None:
    """[13.7-2]: bulk datagrams go on, more slowly, while chat never ends; and chat goes on meanwhile."""
    pair = ready()
    pair.server.link.authenticated()
    pair.run(0.2)
    link = pair.client.link
    chat = link.open()
    link.send(chat, bytes(4 * MIB))
    for number in range(100):
        assert link.datagram(number.to_bytes(2, "big") + bytes(1000), bulk=True)
    assert pair.run_until(lambda: link.unsent(None) == 0, 60)
    assert link.unsent(chat) > MIB
    pair.run(0.1)
    assert [event.data[0] << 8 | event.data[1] for event in pair.server.events if isinstance(event, Datagram)] == [
        *range(100)
    ]


def test_a_burst_is_followed_by_a_pause() -> None:
    """RFC 9002 section 7.7: a window that is full of credit does not leave at once, yet leaves within a round trip."""
    pair = Pair(latency=0.05, options=Options(stream_window=4 * MIB, connection_window=8 * MIB))
    pair.server.link.authenticated()
    pair.run(1)
    sid = pair.client.link.open()
    pair.client.link.send(sid, bytes(MIB))
    assert pair.run_until(lambda: pair.client.link.backlog() == 0, 30)
    quic = pair.client.quic
    window, before = quic._loss.congestion_window, pair.sent["client"]
    pair.run(1)
    pair.client.link.send(sid, bytes(window))
    pair.transmit()
    burst = pair.sent["client"] - before
    assert 8 <= burst <= window / 1200 / 3
    pair.run(0.1)
    assert pair.sent["client"] - before > window / 1200 * 0.9


def test_a_lost_goodbye_is_repeated() -> None:
    """Q25: a close that was lost is sent again when the peer goes on talking, ever more rarely."""
    pair = ready()
    pair.loss = 1.0
    pair.server.link.close(0x100, "bye")
    pair.transmit()
    pair.loss = 0.0
    before = pair.sent["server"]
    pair.client.link.send(0, b"are you there?")
    pair.run(1)
    assert pair.client.events[-1] == Closed(0x100, "bye", remote=True)
    assert pair.sent["server"] == before + 1
    for _ in range(100):
        pair.arrive("server", b"\x41" + bytes(30), CLIENT)
        pair.transmit()
    assert pair.sent["server"] <= before + 8
