"""The packets that OpenPGP is made of: read strictly, and written. (spec 15-keys)"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import field
from enum import IntEnum
from typing import Final

from quicchat.client.e2ee.faults import Unreadable
from quicchat.values import dataclass

#: Packets of one message or certificate: whoever sends more wants to keep us busy.
MOST: Final = 128
#: ECDH among public-key algorithms, and Curve25519 as its keys name it, behind the length of that (RFC 6637 section 9).
ECDH: Final = 18
CURVE25519: Final = bytes.fromhex("0a2b060104019755010501")
#: Of a packet whose length stands in pieces, the first has at least so many bytes (RFC 4880 section 4.2.2.4).
_FIRST_PIECE: Final = 512


class Tag(IntEnum):
    """What a packet is (RFC 4880 section 4.3)."""

    PKESK = 1
    SIGNATURE = 2
    SKESK = 3
    ONE_PASS = 4
    SECRET_KEY = 5
    PUBLIC_KEY = 6
    SECRET_SUBKEY = 7
    #: Known so that it can be refused by its name.
    COMPRESSED = 8
    LITERAL = 11
    USER_ID = 13
    PUBLIC_SUBKEY = 14
    USER_ATTRIBUTE = 17
    SEIPD = 18
    MDC = 19


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: what it is, what is in it, and the bytes it came as."""

    tag: int
    body: bytes
    raw: bytes = field(repr=False)


def written(tag: Tag, body: bytes) -> bytes:
    """A packet with a header of the new format."""
    size = len(body)
    if size < 192:
        length = bytes((size,))
    elif size < 8_384:
        length = bytes(((size - 192 >> 8) + 192, size - 192 & 0xFF))
    else:
        length = b"\xff" + size.to_bytes(4, "big")
    return bytes((0xC0 | tag,)) + length + body


def bare(data: bytes) -> bytes:
    """Without the armor that it may have (RFC 4880 section 6.2). Raises Unreadable."""
    if not data.lstrip().startswith(b"-----BEGIN PGP "):
        return data
    _, _, rest = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    inside, end, _ = rest.partition(b"-----END PGP ")
    lines = inside.split()
    if lines and len(lines[-1]) == 5 and lines[-1].startswith(b"="):
        lines.pop()
    try:
        if end:
            return base64.b64decode(b"".join(lines), validate=True)
    except binascii.Error:
        pass
    raise Unreadable("its armor is damaged")


def read(data: bytes, most: int = MOST) -> tuple[Packet, ...]:
    """All packets that the bytes are, none left over. Raises Unreadable."""
    found: list[Packet] = []
    at = 0
    while at < len(data):
        if len(found) == most:
            raise Unreadable(f"it is made of more than {most} packets")
        packet, at = _packet(data, at)
        found.append(packet)
    return tuple(found)


def _packet(data: bytes, at: int) -> tuple[Packet, int]:
    """The packet that begins there, and where the next one does."""
    head = data[at]
    if not head & 0x80:
        raise Unreadable("it is not made of OpenPGP packets")
    if head & 0x40:
        pieces, end = _pieces(data, at + 1, head & 0x3F)
        return Packet(head & 0x3F, b"".join(pieces), data[at:end]), end
    kind = head & 0x03
    if kind == 3:
        if head >> 2 & 0x0F != Tag.COMPRESSED:
            raise Unreadable("it holds a packet of unknown length")
        return Packet(Tag.COMPRESSED, data[at + 1 :], data[at:]), len(data)
    begin = at + 1 + (1 << kind)
    end = begin + int.from_bytes(cut(data, at + 1, 1 << kind), "big")
    return Packet(head >> 2 & 0x0F, cut(data, begin, end - begin), data[at:end]), end


def _pieces(data: bytes, at: int, tag: int) -> tuple[list[bytes], int]:
    """The body behind a length of the new format: one piece, or several where only encrypted data may have them."""
    pieces: list[bytes] = []
    while True:
        first = cut(data, at, 1)[0]
        at += 1
        if first < 192:
            size = first
        elif first < 224:
            size = (first - 192 << 8) + 192 + cut(data, at, 1)[0]
            at += 1
        elif first == 255:
            size = int.from_bytes(cut(data, at, 4), "big")
            at += 4
        else:
            size = 1 << (first & 0x1F)
            if tag not in (Tag.SEIPD, Tag.LITERAL) or (not pieces and size < _FIRST_PIECE):
                raise Unreadable("it holds a packet in pieces that must not be in pieces")
        pieces.append(cut(data, at, size))
        at += size
        if not 224 <= first < 255:
            return pieces, at


def cut(data: bytes, at: int, size: int) -> bytes:
    """So many bytes from there. Raises Unreadable."""
    if at + size > len(data):
        raise Unreadable("it ends in the middle of a packet")
    return data[at : at + size]


def number(value: bytes) -> bytes:
    """A multiprecision integer (RFC 4880 section 3.2) from its big-endian bytes."""
    short = value.lstrip(b"\0")
    return int.from_bytes(short, "big").bit_length().to_bytes(2, "big") + short


def subpacket(kind: int, body: bytes) -> bytes:
    """A subpacket of a signature; all of ours are short (RFC 4880 section 5.2.3.1)."""
    return bytes((len(body) + 1, kind)) + body


def subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind without its critical bit, body) of each. Raises Unreadable."""
    at = 0
    while at < len(area):
        (_, end), body = _subpacket(area, at)
        at = end
        yield body[0] & 0x7F, body[1:]


def _subpacket(area: bytes, at: int) -> tuple[tuple[int, int], bytes]:
    first = area[at]
    if first < 192:
        begin, size = at + 1, first
    elif first < 255:
        begin, size = at + 2, (first - 192 << 8) + 192 + cut(area, at + 1, 1)[0]
    else:
        begin, size = at + 5, int.from_bytes(cut(area, at + 1, 4), "big")
    if not size:
        raise Unreadable("it holds an empty subpacket")
    return (begin, begin + size), cut(area, begin, size)
