"""Frames: lengths, limits, and every way in which the bytes of a stream may arrive."""

from __future__ import annotations

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code, RemoteProtocolError
from quicchat.wire.frame import DEFAULT_LIMIT, HARD_LIMIT, FrameReader, Raw, varint, wrap

PAYLOADS = [b"x", b"y" * 63, b"z" * 64, b"a" * 1025, b"b" * 16_383, b"c" * 16_384, b"d" * DEFAULT_LIMIT]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (37, "25"),
        (63, "3f"),
        (64, "4040"),
        (15293, "7bbd"),
        (16_383, "7fff"),
        (16_384, "80004000"),
        (494_878_333, "9d7f3e7d"),
        (2**30 - 1, "bfffffff"),
        (2**30, "c000000040000000"),
        (151_288_809_941_952_652, "c2197c5eff14e88c"),
        (2**62 - 1, "ffffffffffffffff"),
    ],
)
def test_varint(value: int, encoded: str) -> None:
    """spec 02-framing: RFC 9000 appendix A.1, its examples and the edges of each length."""
    assert varint(value).hex() == encoded


def test_frames_come_out_as_they_went_in() -> None:
    """R0.3, R0.16: one frame by itself, and many in one piece, in order."""
    for payload in PAYLOADS:
        reader = FrameReader()
        assert list(reader.feed(wrap(payload))) == [payload]
        assert reader.pending == 0
    reader = FrameReader()
    assert list(reader.feed(b"".join(map(wrap, PAYLOADS)))) == PAYLOADS
    assert all(type(payload) is bytes for payload in reader.feed(wrap(b"x") * 2))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 20_000])
def test_pieces_of_any_size_give_the_same_frames(size: int) -> None:
    """R0.3: a decoder fed one byte at a time gives the same PDUs."""
    stream = b"".join(map(wrap, PAYLOADS))
    reader = FrameReader()
    got = [payload for piece in pieces(stream, size) for payload in reader.feed(piece)]
    assert got == PAYLOADS
    assert reader.pending == 0


def test_pending_counts_what_is_held() -> None:
    """W4, W5: whoever sets the deadline of a frame, or sees the stream end, knows whether one was begun."""
    reader = FrameReader()
    data = wrap(b"x" * 100)
    assert list(reader.feed(b"")) == []
    assert reader.pending == 0
    assert list(reader.feed(data[:1])) == []
    assert reader.pending == 1
    assert list(reader.feed(data[1:50])) == []
    assert reader.pending == 50
    assert list(reader.feed(data[50:] + data[:3])) == [b"x" * 100]
    assert reader.pending == 3
    assert list(reader.feed(data[3:])) == [b"x" * 100]
    assert reader.pending == 0


def test_lengths_need_not_be_the_shortest() -> None:
    """spec 02-framing: as in RFC 9000 section 16, any of the four lengths may be used."""
    for prefix in ("03", "4003", "80000003", "c000000000000003"):
        reader = FrameReader()
        assert list(reader.feed(bytes.fromhex(prefix) + b"abc")) == [b"abc"]


def test_w1_a_length_beyond_the_limit() -> None:
    """W1: 64 KiB + 1 is refused with the four bytes of the length, before any of the body."""
    assert varint(DEFAULT_LIMIT) == bytes.fromhex("80010000")
    prefix = varint(DEFAULT_LIMIT + 1)
    reader = FrameReader()
    for byte in prefix[:3]:
        assert list(reader.feed(bytes((byte,)))) == []
    with pytest.raises(RemoteProtocolError, match="65537 bytes; the limit is 65536") as caught:
        list(reader.feed(prefix[3:]))
    assert caught.value.code is Code.FRAME_TOO_LARGE


def test_w1_the_limit_is_what_was_agreed() -> None:
    """W1, spec 03-session: the limit counts that holds when the length is read, up to the hard one."""
    reader = FrameReader(100)
    assert list(reader.feed(wrap(b"x" * 100))) == [b"x" * 100]
    with pytest.raises(RemoteProtocolError, match="101 bytes"):
        list(FrameReader(100).feed(wrap(b"x" * 101)))
    reader.limit = HARD_LIMIT
    assert list(reader.feed(wrap(bytes(HARD_LIMIT)))) == [bytes(HARD_LIMIT)]


@pytest.mark.parametrize("length", [2**30, 2**32 - 1, 2**62 - 1])
def test_w2_a_huge_length_takes_no_memory(length: int) -> None:
    """W2: refused, and nothing allocated for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader = FrameReader()
    with pytest.raises(RemoteProtocolError) as caught:
        list(reader.feed(varint(length) + b"x"))
    assert caught.value.code is Code.FRAME_TOO_LARGE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


@pytest.mark.parametrize("zero", ["00", "4000", "80000000", "c000000000000000"])
def test_w3_a_length_of_0(zero: str) -> None:
    """W3: an empty frame is no PDU, however its length is written."""
    with pytest.raises(RemoteProtocolError, match="length 0") as caught:
        list(FrameReader().feed(bytes.fromhex(zero)))
    assert caught.value.code is Code.DECODE


def test_a_broken_stream_stays_broken() -> None:
    """W1, W3: what follows a bad length cannot be told apart from its body, so nothing of it is taken."""
    reader = FrameReader(10)
    with pytest.raises(RemoteProtocolError):
        list(reader.feed(wrap(b"good") + wrap(b"x" * 11)))
    with pytest.raises(RemoteProtocolError):
        list(reader.feed(wrap(b"good")))


def test_a_frame_in_small_pieces_costs_no_more_than_its_size() -> None:
    """W4: 64 KiB byte by byte is held once, not once per piece."""
    reader = FrameReader()
    data = wrap(bytes(DEFAULT_LIMIT))
    frames: list[bytes | Raw] = []
    for piece in pieces(data, 1):
        frames += reader.feed(piece)
        assert reader.pending <= len(data)
    assert frames == [bytes(DEFAULT_LIMIT)]


def taken(data: bytes, sizes: list[int]) -> list[bytes | int]:
    """Frames as they are and raw bytes by their number, of a stream in which a payload says how many are raw."""
    reader = FrameReader()
    found: list[bytes | int] = []
    at = 0
    for size in [*sizes, len(data)]:
        for item in reader.feed(data[at : at + size]):
            if isinstance(item, Raw):
                assert set(item.data) == {0xFF}, "what is in a frame is not raw"
                found[-1:] = [found[-1] + len(item.data)] if isinstance(found[-1], int) else [found[-1], len(item.data)]
            else:
                found.append(item)
                reader.raw = int(item)
        at += size
    assert reader.raw == 0
    assert reader.pending == 0
    return found


@given(
    st.lists(st.sampled_from([0, 0, 1, 2, 63, 64, 700, 70_000]), min_size=1, max_size=6),
    st.lists(st.integers(0, 900), max_size=40),
)
def test_raw_bytes_come_out_however_they_are_split(raws: list[int], sizes: list[int]) -> None:
    """[2.6-1]: frames and raw bytes are told apart by their number alone, wherever they are cut."""
    stream = b"".join(wrap(str(raw).encode()) + b"\xff" * raw for raw in raws)
    expected: list[bytes | int] = []
    for raw in raws:
        expected += [str(raw).encode(), raw] if raw else [str(raw).encode()]
    assert taken(stream, sizes) == expected


def test_raw_bytes_are_not_held() -> None:
    """[2.6-1]: they go on as they come, without a copy where a piece has nothing else."""
    reader = FrameReader()
    reader.raw = 100_000
    piece = bytes(65_536)
    (item,) = reader.feed(piece)
    assert isinstance(item, Raw)
    assert item.data is piece
    assert (reader.pending, reader.raw) == (0, 34_464)
    assert list(reader.feed(b"")) == []
    assert list(reader.feed(bytes(34_464) + wrap(b"x"))) == [Raw(bytes(34_464)), b"x"]
