"""Raw bytes on the streams of files: announced, counted, and never mistaken for frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code, LocalProtocolError
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection
from quicchat.protocol.events import Bytes, Datagram, Writable
from quicchat.protocol.news import RawReceived, Received
from quicchat.wire.chapters.files import FileAck, FileChunk, FileEnd, FileHeader, GetFile, Mode, Part
from quicchat.wire.chapters.session import Ping, Purpose, StreamOpen
from quicchat.wire.registry import Role
from tests.protocol.line import OTHER, POST, QUERY, Line, given_up, hear, read, ready, received, write

ASIDE = StreamOpen(kind=Purpose.FILE)
GET = GetFile(file=bytes(32), mode=Mode.RELIABLE, handle=1, credit=1 << 30, leaves=False)
END = FileEnd(status=0, carried=0)


def header(size: int, part: Part = Part.DATA) -> FileHeader:
    return FileHeader(file=bytes(32), size=1 << 30, chunk=4096, range=(0, size), part=part)


def serving() -> Connection:
    """A server that was asked for a file on `QUERY`."""
    end = ready()
    hear(end, ASIDE, sid=QUERY)
    hear(end, GET, sid=QUERY)
    end.events()
    return end


def receiving(size: int) -> Connection:
    """A server that was told of raw bytes on `QUERY`."""
    end = ready()
    hear(end, ASIDE, sid=QUERY)
    hear(end, header(size), sid=QUERY)
    end.events()
    return end


@given(
    st.lists(st.sampled_from([0, 1, 5, 100, 5_000, 70_000]), min_size=1, max_size=4),
    st.lists(st.integers(1, 40_000), min_size=1, max_size=20),
)
def test_what_was_announced_arrives_as_it_was_sent(sizes: list[int], cuts: list[int]) -> None:
    """R2.38, [2.6-1], [2.6-2]: headers, raw bytes and PDUs of one stream, in order, however it is cut; others go on."""
    line = Line().log_in()
    line.client.open(QUERY, ASIDE)
    line.client.send(GET, sid=QUERY)
    line.run()
    for number, size in enumerate(sizes):
        line.server.send(header(size), sid=QUERY)
        for at in range(0, size, 30_000):
            line.server.raw(QUERY, bytes([number]) * min(30_000, size - at))
        line.server.send(Ping(nonce=number))
    line.server.send(END, sid=QUERY)
    line.server.finish(QUERY)
    turns = [0]

    def cut(ways: list[tuple[Role, int | None]]) -> tuple[tuple[Role, int | None], int]:
        turns[0] += 1
        return ways[turns[0] % len(ways)], cuts[turns[0] % len(cuts)]

    line.forget()
    line.run(cut)
    told = [each for each in line.told[Role.CLIENT] if getattr(each, "sid", None) == QUERY]
    runs: list[object] = []
    for each in told:
        if isinstance(each, RawReceived) and runs and isinstance(runs[-1], bytes):
            runs[-1] += each.data
        else:
            runs.append(each.data if isinstance(each, RawReceived) else each)
    expected: list[object] = []
    for number, size in enumerate(sizes):
        expected += [header(size), bytes([number]) * size] if size else [header(size)]
    pdus = [each.envelope.pdu if isinstance(each, Received) else each for each in runs]
    assert pdus == [*expected, END, Ended(QUERY)]
    assert len([pdu for pdu in line.pdus(Role.CLIENT) if isinstance(pdu, FileHeader)]) == len(sizes)


def test_no_raw_bytes_but_those_announced() -> None:
    """[2.6-2]: too many, or any without a header, are STREAM_MISUSE here, and nothing is sent."""
    end = serving()
    for size in (1, 11):
        with pytest.raises(LocalProtocolError) as caught:
            end.raw(QUERY, bytes(size))
        assert caught.value.code is Code.STREAM_MISUSE
        assert end.output() == []
        if size == 1:
            end.send(header(10), sid=QUERY)
            end.output()
    end.raw(QUERY, bytes(10))
    assert end.output() == [Bytes(QUERY, bytes(10))]
    end.raw(OTHER, b"on a stream that is not there")
    assert end.output() == []


def test_no_pdu_while_raw_bytes_are_due() -> None:
    """[2.6-2]: it would be read as part of the file; after the last raw byte it may be sent."""
    end = serving()
    end.send(header(10), sid=QUERY)
    end.raw(QUERY, bytes(9))
    end.output()
    for pdu in (END, header(1)):
        with pytest.raises(LocalProtocolError) as caught:
            end.send(pdu, sid=QUERY)
        assert caught.value.code is Code.STREAM_MISUSE
    assert end.output() == []
    end.raw(QUERY, b"x")
    end.send(END, sid=QUERY)
    end.send(header(0), sid=QUERY)
    end.send(header(50, Part.PIECES), sid=QUERY)
    end.send(END, sid=QUERY)
    assert len(end.output()) == 5


def test_a_word_on_a_stream_that_owes_raw_bytes_costs_the_stream() -> None:
    """[2.6-5]: there is no place for an ERROR within a file."""
    end = serving()
    end.send(header(10), sid=QUERY)
    end.output()
    hear(end, POST, sid=QUERY)
    assert end.output() == given_up(QUERY, Code.STREAM_MISUSE)
    assert end.events() == [Ended(QUERY, Code.STREAM_MISUSE)]


@pytest.mark.parametrize("more", [b"\x00", b"\xff" * 8, write(END)[:1] + b"\xff", b"\x90\x00\x00\x00"])
def test_x4_too_many_bytes_cost_the_stream(more: bytes) -> None:
    """X4, [2.6-3]: FRAME_TOO_LARGE for that stream, for whatever is no PDU behind the last raw byte."""
    end = receiving(10)
    end.receive(Bytes(QUERY, bytes(10) + more, True), 0.0)
    assert end.output() == given_up(QUERY, Code.FRAME_TOO_LARGE)
    assert end.events() == [RawReceived(QUERY, bytes(10)), Ended(QUERY, Code.FRAME_TOO_LARGE)]
    hear(end, Ping(nonce=1))
    assert len(read(end.output())) == 1


@pytest.mark.parametrize("missing", [1, 10])
def test_x4_too_few_bytes_cost_the_stream(missing: int) -> None:
    """X4, [2.6-4]: DIGEST for a stream that ends before its last raw byte."""
    end = receiving(10)
    end.receive(Bytes(QUERY, bytes(10 - missing), True), 0.0)
    assert end.output() == given_up(QUERY, Code.DIGEST)
    assert end.events()[-1] == Ended(QUERY, Code.DIGEST)


def test_raw_bytes_may_take_their_time() -> None:
    """[2.1-5]: a deadline is for frames; how long a file may take is not the connection's business."""
    end = receiving(10)
    for second in range(1, 10):
        end.receive(Bytes(QUERY, b"x"), 20.0 * second)
        hear(end, Ping(nonce=second), now=20.0 * second)
    assert Ended(QUERY, Code.LIMIT) not in end.events()
    end.output()
    end.handle_timer(185.0)
    assert [each for each in end.output() if not isinstance(each, Bytes)] == []


def test_room_on_the_link_is_told() -> None:
    """[14.5-4]: whoever fills a stream to its measure hears when there is room again."""
    end = serving()
    for sid in (QUERY, None):
        end.receive(Writable(sid), 0.0)
        assert end.events() == [Writable(sid)]


def test_pieces_wait_behind_other_datagrams() -> None:
    """[14.6-1]: a FILE_CHUNK is bulk, and nothing else is; both fit a datagram."""
    end = serving()
    end.datagram(FileChunk(handle=2**32 - 1, index=2**32 - 1, data=bytes(1_024)))
    (piece,) = end.output()
    assert isinstance(piece, Datagram)
    assert piece.bulk
    assert len(piece.data) <= 1_100


def test_credit_travels_on_control() -> None:
    """[14.5-2]: FILE_ACK is legal on control and on the stream of an upload."""
    end = receiving(0)
    ack = FileAck(credit=5, handle=1)
    hear(end, ack)
    hear(end, ack, sid=QUERY)
    assert received(end) == [(0, ack), (QUERY, ack)]


def test_nothing_is_carried_after_the_end() -> None:
    """[3.3-1]: raw bytes that were announced stay where they are once the connection has failed."""
    end = serving()
    end.send(header(10), sid=QUERY)
    end.fail(Code.INTERNAL, "", 0.0)
    end.output()
    end.raw(QUERY, bytes(10))
    assert end.output() == []


def test_what_follows_a_stream_that_was_given_up_is_nobodys() -> None:
    """[2.6-5], X4: what comes in one piece behind the PDU that cost the stream is not told."""
    end = serving()
    end.send(header(10), sid=QUERY)
    end.output()
    hear(end, write(POST) + write(header(3)) + b"abc", sid=QUERY)
    assert end.output() == given_up(QUERY, Code.STREAM_MISUSE)
    assert end.events() == [Ended(QUERY, Code.STREAM_MISUSE)]
