"""What a driver hands to its link: in fewer pieces, but the same."""

from __future__ import annotations

from quicchat.protocol.connection import Event
from quicchat.protocol.events import Bytes, Datagram, Reset
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.session import Goaway, Ok
from tests.protocol.line import write
from tests.transport.driving import MESSAGE, Bench, play, turn


def test_only_what_follows_on_one_stream_is_joined() -> None:
    """Driver: the same bytes in the same order, and every end of a stream by itself."""

    async def scenario() -> None:
        bench = Bench()
        await turn()
        queue = bench.connection._channels.output
        queue += [Bytes(0, b"a"), Bytes(0, b"b"), Bytes(4, b"c"), Bytes(4, b"d", True), Bytes(4, b"", True)]
        queue += [Bytes(0, b"e"), Reset(8, 1), Reset(12, 1), Bytes(0, b"f"), Bytes(0, b"g"), Datagram(b"h")]
        bench.driver.touch()
        await turn()
        assert bench.link.done == [
            Bytes(0, b"ab"),
            Bytes(4, b"c"),
            Bytes(4, b"d", True),
            Bytes(4, b"", True),
            Bytes(0, b"e"),
            Reset(8, 1),
            Reset(12, 1),
            Bytes(0, b"fg"),
            Datagram(b"h"),
        ]

    play(scenario)


def test_what_is_pushed_while_events_are_handled_leaves_with_the_turn() -> None:
    """Driver: a push from within `on_events` does not wait for another turn, and is carried once."""

    async def scenario() -> None:
        bench = Bench()
        await turn()

        def answer(event: Event) -> None:
            assert bench.driver.push(write(MESSAGE), Message)

        bench.answer = answer
        bench.hear(Ok(), Ok())
        assert bench.said() == [MESSAGE, MESSAGE]
        bench.driver.send(Goaway(code=1))
        await turn()
        assert bench.said() == [MESSAGE, MESSAGE, Goaway(code=1)]
        assert bench.driver.backlog() == 0

    play(scenario)
