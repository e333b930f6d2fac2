"""The reader of packets: every form of header that is allowed, and none that is not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.e2ee.faults import Unreadable
from quicchat.client.e2ee.packets import Packet, Tag, bare, number, read, subpacket, subpackets, written

BODY = st.binary(max_size=300) | st.sampled_from([bytes(191), bytes(192), bytes(8_383), bytes(8_384), bytes(70_000)])


def old(tag: int, body: bytes, size: int) -> bytes:
    """A packet with a header of the old format, its length in so many bytes."""
    return bytes((0x80 | tag << 2 | {1: 0, 2: 1, 4: 2}[size],)) + len(body).to_bytes(size, "big") + body


def partial(tag: int, body: bytes, power: int) -> bytes:
    """A packet in pieces of 2**power bytes."""
    piece = 1 << power
    whole = len(body) // piece
    parts = b"".join(bytes((224 + power,)) + body[at * piece : (at + 1) * piece] for at in range(whole))
    return bytes((0xC0 | tag,)) + parts + written(Tag(tag), body[whole * piece :])[1:]


@given(tag=st.sampled_from(list(Tag)), bodies=st.lists(BODY, max_size=4))
def test_what_is_written_is_read(tag: Tag, bodies: list[bytes]) -> None:
    """[15.10-5]: with every length there is."""
    data = b"".join(written(tag, each) for each in bodies)
    assert [(each.tag, each.body) for each in read(data)] == [(tag, each) for each in bodies]
    assert b"".join(each.raw for each in read(data)) == data


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_old_format(size: int) -> None:
    """[15.10-5]: gpg writes it."""
    for body in (b"", b"abc", bytes(255)):
        data = old(Tag.USER_ID, body, size)
        assert read(data + data) == (Packet(Tag.USER_ID, body, data),) * 2


@pytest.mark.parametrize("power", [9, 10, 13])
def test_pieces(power: int) -> None:
    """[15.10-5]: of data only, and the first not small (RFC 4880 section 4.2.2.4)."""
    for size in (1 << power, (1 << power) + 1, 3 << power, 70_000):
        (found,) = read(partial(Tag.SEIPD, bytes(size), power))
        assert found.body == bytes(size)
    with pytest.raises(Unreadable, match="in pieces"):
        read(partial(Tag.SIGNATURE, bytes(9_000), power))


def test_small_pieces() -> None:
    """[15.10-5]: a packet of a thousand pieces of one byte would be one more way to keep us busy."""
    with pytest.raises(Unreadable, match="in pieces"):
        read(partial(Tag.SEIPD, bytes(1_000), 0))


def test_ends() -> None:
    """[15.10-5]: no byte is missing, and none is left."""
    data = written(Tag.USER_ID, b"carol") + old(Tag.SIGNATURE, bytes(300), 2) + partial(Tag.SEIPD, bytes(2_000), 9)
    assert len(read(data)) == 3
    ends = {0, 7, 7 + 303}
    for end in range(len(data)):
        if end in ends:
            assert len(read(data[:end])) == sorted(ends).index(end)
        else:
            with pytest.raises(Unreadable):
                read(data[:end])
    with pytest.raises(Unreadable, match="not made of OpenPGP"):
        read(data + b"\0")


def test_unknown_length() -> None:
    """[15.10-5]: only compressed data has one, and that is refused by its name."""
    assert read(b"\xa3\x01xyz") == (Packet(Tag.COMPRESSED, b"\x01xyz", b"\xa3\x01xyz"),)
    with pytest.raises(Unreadable, match="unknown length"):
        read(b"\xaf\x01xyz")


@given(data=st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """[15.10-5]: they are packets, to the byte, or Unreadable."""
    try:
        found = read(data)
    except Unreadable:
        return
    assert b"".join(each.raw for each in found) == data


def test_numbers() -> None:
    """[15.10-5]: a number has as many bits as it says (RFC 4880 section 3.2)."""
    assert [number(value) for value in (b"", b"\0\0", b"\x01", b"\0\x01\xff")] == [
        b"\0\0", b"\0\0", b"\0\x01\x01", b"\0\x09\x01\xff",
    ]  # fmt: skip


@given(bodies=st.lists(st.tuples(st.integers(0, 127), st.binary(max_size=180)), max_size=5))
def test_subpackets(bodies: list[tuple[int, bytes]]) -> None:
    """[15.10-6]: kind and body of each, critical or not."""
    area = b"".join(subpacket(kind, body) for kind, body in bodies)
    assert list(subpackets(area)) == bodies
    for end in range(len(area)):
        try:
            assert list(subpackets(area[:end])) == bodies[: len(list(subpackets(area[:end])))]
        except Unreadable:
            continue


def test_long_subpackets() -> None:
    """[15.10-6]: the longer forms of a length, and an empty one."""
    for size, head in ((200, b"\xc0\x09"), (70_000, b"\xff\x00\x01\x11\x71")):
        assert list(subpackets(head + b"\x82" + bytes(size))) == [(2, bytes(size))]
    with pytest.raises(Unreadable, match="empty subpacket"):
        list(subpackets(b"\0"))


def test_armor() -> None:
    """[15.10-5]: headers, a checksum or none, either end of line; what is not armored stays as it is."""
    inside = base64.encodebytes(bytes(range(200))).decode()
    for head in ("", "Version: x\nComment: y\n"):
        for tail in ("", "=AbCd\n"):
            text = f"-----BEGIN PGP MESSAGE-----\n{head}\n{inside}{tail}-----END PGP MESSAGE-----\n"
            assert bare(text.encode()) == bare(text.replace("\n", "\r\n").encode()) == bytes(range(200))
    assert bare(b"\x99rest") == b"\x99rest"
