"""The account that the proofs about files rest on: it counts what passes, however it is cut, and sees what is wrong."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.protocol.events import Bytes, Datagram, LinkEvent
from quicchat.wire import codec, frame
from quicchat.wire.chapters.files import FileAck, FileChunk, FileEnd, FileHeader, GetFile, Grant, Mode, Part
from quicchat.wire.registry import Pdu
from tests.meter import Ledger, Meter

FILE, SIZE, CHUNK = b"f" * 32, 10_000, 4_096


class Silent:
    """A link that sends nothing."""

    def __init__(self) -> None:
        self.on_events: Any = None

    def send(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        """Drop it."""


def header(at: int, size: int, part: Part = Part.DATA) -> FileHeader:
    return FileHeader(file=FILE, size=SIZE, chunk=CHUNK, range=(at, size), part=part)


def framed(*items: Pdu | bytes) -> bytes:
    return b"".join(each if isinstance(each, bytes) else frame.wrap(codec.encode(each, version=2)) for each in items)


def metered() -> tuple[Ledger, Any, list[LinkEvent]]:
    ledger = Ledger()
    heard: list[LinkEvent] = []
    link: Any = Meter(Silent(), ledger)  # type: ignore[arg-type]
    link.on_events = heard.extend
    return ledger, link, heard


@given(cuts=st.lists(st.integers(0, SIZE), max_size=8))
def test_what_comes_is_counted_however_it_is_cut(cuts: list[int]) -> None:
    """Bytes of the file, chunks that came whole and how often; leaves are no bytes of a file; all is passed on."""
    leaves, rest = header(0, 96, Part.LEAVES), header(CHUNK, SIZE - CHUNK)
    end = FileEnd(status=0, carried=SIZE)
    data = framed(leaves, bytes(96), header(0, CHUNK), bytes(CHUNK), rest, bytes(SIZE - CHUNK), end)
    ledger, link, heard = metered()
    edges = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    events = [Bytes(4, data[a:b], fin=b == len(data)) for a, b in pairwise(edges)]
    for event in events:
        link._link.on_events([event])
    assert heard == events
    assert ledger.down.raw == SIZE
    assert dict(ledger.down.whole) == {(FILE, 0): 1, (FILE, 1): 1, (FILE, 2): 1}
    assert ledger.down.twice == []


def test_a_chunk_that_comes_twice_is_seen() -> None:
    """But not one of which only a part came before."""
    ledger, link, _ = metered()
    for sid, sizes in ((4, CHUNK + 100), (8, 2 * CHUNK)):
        link._link.on_events([Bytes(sid, framed(header(0, 2 * CHUNK), bytes(sizes)))])
    assert ledger.down.twice == [0]
    assert ledger.down.raw == 3 * CHUNK + 100


@pytest.mark.parametrize(("at", "seen"), [(0, [(0, CHUNK)]), (CHUNK, [])])
def test_what_need_not_be_sent_is_seen(at: int, seen: list[tuple[int, int]]) -> None:
    """A range that the last FILE_GRANT said was there."""
    ledger, link, _ = metered()
    grant = Grant(file=FILE, have=((0, CHUNK),), credit=SIZE, whole=False)
    link._link.on_events([Bytes(0, framed(grant))])
    link.send(4, framed(header(at, CHUNK), bytes(CHUNK)))
    assert ledger.needless == seen
    assert ledger.up.raw == CHUNK


def test_what_is_allowed_and_not_here() -> None:
    """Credit of all downloads, less what came; raw bytes, leaves and datagrams alike; what has ended allows nothing."""
    ledger, link, _ = metered()

    def get(handle: int, credit: int, mode: Mode = Mode.RELIABLE) -> bytes:
        return framed(GetFile(file=FILE, mode=mode, handle=handle, credit=credit, leaves=False))

    link.send(4, get(1, 5_000), fin=True)
    assert ledger.allowed == 5_000
    link._link.on_events([Bytes(4, framed(header(0, 3_000), bytes(3_000)))])
    link.send(8, get(2, 1_500, Mode.FAST), fin=True)
    assert ledger.allowed == 5_000
    link.send(0, framed(FileAck(handle=1, credit=7_000)))
    assert ledger.allowed == 5_500
    link._link.on_events([Datagram(codec.encode(FileChunk(handle=2, index=0, data=bytes(1_024)), version=2))])
    link._link.on_events([Bytes(4, framed(FileEnd(status=0, carried=3_000)), fin=True)])
    link.send(0, framed(FileAck(handle=2, credit=6_000)))
    assert ledger.allowed == 5_500
    link.send(0, framed(FileAck(handle=2, credit=6_600)))
    assert ledger.allowed == 5_576
    assert ledger.pieces == 1
    assert [each.handle for each in ledger.asked] == [1, 2]
