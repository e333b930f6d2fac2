"""The driver and files: raw bytes and pieces leave at once, and are counted apart from the chat."""

from __future__ import annotations

from quicchat.protocol.events import Bytes, Datagram, Writable
from quicchat.wire.chapters.files import FileChunk, FileHeader, Part
from quicchat.wire.chapters.session import Purpose, StreamOpen
from tests.protocol.line import QUERY
from tests.transport.driving import Bench, play


def test_raw_bytes_leave_at_once_and_are_counted_apart() -> None:
    """[8.4-3], [14.5-3]: `unsent` knows of them without a loop turn; `backlog` is what is left without them."""

    async def scenario() -> None:
        bench = Bench()
        bench.hear(StreamOpen(kind=Purpose.FILE), sid=QUERY)
        header = FileHeader(file=bytes(32), size=10, chunk=4096, range=(0, 10), part=Part.DATA)
        bench.driver.send(header, sid=QUERY)
        bench.driver.raw(QUERY, b"0123456789")
        sent = [each for each in bench.link.done if isinstance(each, Bytes)]
        assert b"".join(each.data for each in sent).endswith(b"0123456789")
        bench.link.unread, bench.link.of_streams[QUERY] = 5_000, 4_000
        assert (bench.driver.backlog(), bench.driver.unread(), bench.driver.unread(QUERY)) == (1_000, 4_000, 4_000)
        bench.link.unread, bench.link.of_streams[QUERY] = 300, 0
        assert (bench.driver.backlog(), bench.driver.unread()) == (300, 0)

    play(scenario)


def test_pieces_leave_at_once() -> None:
    """[14.6-1]: as bulk, so that `unsent` knows of them without a loop turn."""

    async def scenario() -> None:
        bench = Bench()
        bench.driver.bulk([FileChunk(handle=1, index=index, data=b"x") for index in range(3)])
        assert [each.bulk for each in bench.link.done if isinstance(each, Datagram)] == [True] * 3
        bench.driver.watch(None, 5)
        assert bench.link.watched == [(None, 5)]
        bench.link.on_events([Writable(None)])
        assert Writable(None) in bench.told

    play(scenario)
