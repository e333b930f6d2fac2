"""The turn and the timer, on a loop whose time stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from quicchat.protocol.events import Bytes, LinkEvent
from quicchat.transport.carrier import Carrier, Turn
from quicchat.transport.quic import QuicLink
from quicchat.transport.udp import Address, Udp
from tests.transport.pair import CLIENT, Pair, rude, stream_frame


class Handle:
    """A timer that was set."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.cancelled = at, call, False

    def cancel(self) -> None:
        self.cancelled = True


class StillLoop:
    """What a Turn asks of a loop."""

    def __init__(self) -> None:
        self.now = 1001.0
        self.timers: list[Handle] = []
        self.calls: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> Handle:
        self.timers.append(Handle(at, call))
        return self.timers[-1]

    def call_soon(self, call: Callable[[], None]) -> None:
        self.calls.append(call)


class Wire:
    """A socket that keeps what is sent."""

    stranded = False

    def __init__(self) -> None:
        self.batches: list[list[tuple[bytes, Address]]] = []

    def send(self, batch: list[tuple[bytes, Address]]) -> None:
        self.batches.append(batch)


class Nobody:
    """An owner who does not care."""

    def issued(self, *_: Any) -> None: ...
    def retired(self, *_: Any) -> None: ...
    def opened(self, *_: Any) -> None: ...
    def established(self, *_: Any) -> None: ...
    def migrate(self, *_: Any) -> None: ...
    def stranded(self, *_: Any) -> None: ...
    def ended(self, *_: Any) -> None: ...


class Rig:
    """A server's connection in the care of a carrier, and the pair it comes from."""

    def __init__(self, loop: StillLoop, turn: Turn) -> None:
        self.pair = Pair()
        self.wire = Wire()
        self.pair.server.quic.drain()
        self.carrier = Carrier(self.pair.server.quic, cast("Udp", self.wire), turn, Nobody())
        self.link = self.carrier.link = QuicLink(self.pair.server.quic, self.carrier)
        self.heard: list[list[LinkEvent]] = []
        self.link.on_events = self.heard.append
        self.loop = loop

    def receive(self, frames: bytes) -> None:
        self.carrier.receive(rude(self.pair.client, frames), CLIENT, self.loop.now)


def rigs(count: int) -> tuple[StillLoop, Turn, list[Rig]]:
    loop = StillLoop()
    turn = Turn(cast("Any", loop))
    return loop, turn, [Rig(loop, turn) for _ in range(count)]


def test_all_events_come_before_any_flush() -> None:
    """A batch is served in two rounds: everybody's events, then one flush each, with what others gave them to send."""
    loop, turn, (one, two, three) = rigs(3)
    for rig in (one, two, three):
        rig.receive(stream_frame(0, 0, b"open"))
    turn.run()
    order: list[str] = []
    for name, rig in (("one", one), ("two", two)):

        def fan_out(events: list[LinkEvent], name: str = name) -> None:
            order.append(name)
            assert not any(rig.wire.batches for rig in (one, two, three))
            for rig in (one, two, three):
                rig.link.send(0, b"news")

        rig.link.on_events = fan_out
    for rig in (one, two, three):
        rig.wire.batches.clear()
    one.receive(stream_frame(0, 4, b"a"))
    two.receive(stream_frame(0, 4, b"b"))
    one.receive(stream_frame(0, 5, b"c"))
    turn.run()
    assert order == ["one", "two"]
    assert [len(rig.wire.batches) for rig in (one, two, three)] == [1, 1, 1]
    assert loop.calls == []


def test_what_is_sent_outside_a_batch_leaves_in_the_same_loop_turn() -> None:
    """Whatever the number of sends and links, one call is asked of the loop."""
    loop, turn, (one, two) = rigs(2)
    for rig in (one, two):
        rig.receive(stream_frame(0, 0, b"open"))
    turn.run()
    for rig in (one, two):
        rig.wire.batches.clear()
    for _ in range(10):
        one.link.send(0, b"x")
        two.link.send(0, b"y")
    assert loop.calls == [turn.run]
    assert not one.wire.batches
    loop.calls.pop()()
    assert [len(rig.wire.batches) for rig in (one, two)] == [1, 1]


def test_a_flush_is_now() -> None:
    """Link contract: `flush` sends what is queued at once."""
    _, turn, (rig,) = rigs(1)
    rig.receive(stream_frame(0, 0, b"open"))
    turn.run()
    rig.wire.batches.clear()
    rig.link.send(0, b"now")
    rig.link.flush()
    assert len(rig.wire.batches) == 1
    turn.run()
    assert len(rig.wire.batches) == 1


def test_packets_of_one_batch_are_one_list() -> None:
    """Link contract: the events of one loop turn come as one list, however many packets brought them."""
    _, turn, (rig,) = rigs(1)
    for number in range(5):
        rig.receive(stream_frame(0, number, b"x"))
    rig.receive(stream_frame(4, 0, b"y"))
    rig.receive(stream_frame(0, 5, b"z", fin=True))
    turn.run()
    # Bytes of a stream are one event; streams are not ordered among each other.
    assert rig.heard[-1] == [Bytes(0, b"xxxxxz", fin=True), Bytes(4, b"y")]


def test_the_timer_is_lazy() -> None:
    """A timer is set only when the next one would come too late; one that comes too early looks again."""
    loop, turn, (rig,) = rigs(1)
    rig.receive(stream_frame(0, 0, b"open"))
    turn.run()
    assert len(loop.timers) == 1
    for _ in range(20):
        loop.now += 0.0005
        rig.link.send(0, b"x")
        rig.link.flush()
    sooner = [timer for timer in loop.timers if not timer.cancelled]
    assert len(loop.timers) <= 3
    assert len(sooner) == 1
    loop.now = sooner[0].at
    before = len(rig.wire.batches)
    due = rig.carrier.quic.get_timer()
    assert due is not None
    assert due > loop.now
    sooner[0].call()
    assert len(rig.wire.batches) == before
    assert loop.timers[-1].at == due


def test_a_connection_that_is_over_has_no_timer() -> None:
    """Nothing of a connection that ended is left in the loop."""
    loop, turn, (rig,) = rigs(1)
    rig.receive(stream_frame(0, 0, b"open"))
    turn.run()
    rig.carrier.abandon(0, "")
    assert all(timer.cancelled for timer in loop.timers)
    assert rig.link.closed is not None
