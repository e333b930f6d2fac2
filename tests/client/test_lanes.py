"""Room streams: for rooms that are active, a bounded number, those used last."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from quicchat.client.lanes import ACTIVE, LANES, Lanes
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.session import Purpose, StreamOpen


class Streams:
    """A connection's streams, as `Lanes` asks for them."""

    def __init__(self, *, allowed: int = 64, version: int = 2) -> None:
        self.opened: list[StreamOpen] = []
        self.finished: list[int] = []
        self.version = version
        self.connection = SimpleNamespace(limits=SimpleNamespace(room_streams=allowed))
        self.driver = SimpleNamespace(finish=self.finished.append)
        self.full = False

    def open_stream(self, opening: StreamOpen) -> int:
        if self.full:
            raise Refused(Code.LIMIT)
        self.opened.append(opening)
        return 4 * len(self.opened)


def lanes(streams: Streams) -> Lanes:
    asked: Any = streams
    return Lanes(asked)


def test_a_room_gets_a_stream_when_it_is_active() -> None:
    """Issue item 8: one event is no activity; two within a minute are; `have` tells what is held."""
    streams = Streams()
    each = lanes(streams)
    each.active("a", 0.0, 5)
    each.active("b", 0.0, 1)
    each.active("a", ACTIVE + 1, 6)
    assert streams.opened == []
    each.active("a", ACTIVE + 2, 7)
    assert streams.opened == [StreamOpen(kind=Purpose.ROOM, room="a", have=7)]
    assert (each.get("a"), each.get("b")) == (4, None)
    each.active("a", ACTIVE + 3, 8)
    assert len(streams.opened) == 1


def test_the_number_is_bounded_and_the_least_used_gives_way() -> None:
    """Issue item 8: least recently used; as many as both ends allow."""
    for allowed, most in ((64, LANES), (3, 3), (0, 0)):
        streams = Streams(allowed=allowed)
        each = lanes(streams)
        for number in range(20):
            each.active(f"r{number}", 1.0, 0)
            each.active(f"r{number}", 2.0, 0)
            each.active("r0", 2.0, 0)
        assert sum(each.get(f"r{number}") is not None for number in range(20)) == most
        if most:
            assert each.get("r0") == 4
            assert len(streams.finished) == 20 - most


def test_quiet_rooms_go_back_to_control() -> None:
    """Issue item 8: after a minute without an event the stream is closed."""
    streams = Streams()
    each = lanes(streams)
    each.active("a", 0.0, 0)
    each.active("a", 1.0, 0)
    each.rest(ACTIVE)
    assert streams.finished == []
    each.rest(1.0 + ACTIVE)
    assert (streams.finished, each.get("a")) == ([4], None)


def test_a_stream_that_the_server_ends_is_no_loss() -> None:
    """Issue item 8: the room goes on on control, and may have another stream later; left rooms have none."""
    streams = Streams()
    each = lanes(streams)
    for now in (0.0, 1.0):
        each.active("a", now, 0)
    each.ended(4)
    assert each.get("a") is None
    each.active("a", 2.0, 0)
    assert each.get("a") == 8
    each.leave("a")
    assert each.get("a") is None
    each.active("a", 3.0, 0)
    assert each.get("a") is None


def test_without_streams_there_is_control() -> None:
    """[1.2-1]: version 1 has no room streams; and a link may have none free."""
    for streams in (Streams(version=1), Streams()):
        streams.full = True
        each = lanes(streams)
        for now in (0.0, 1.0):
            each.active("a", now, 0)
        assert each.get("a") is None
