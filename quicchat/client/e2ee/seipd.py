"""Symmetrically encrypted packets with integrity protection, and the passwords that open them. (spec 15-keys)

Written here because libraries hash 65 MB for a password, a twentieth of a second that nothing else can run in,
and because they unpack what is compressed before anybody has said how large it may be. (decision 0027)
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from quicchat.client.e2ee.faults import Unreadable
from quicchat.client.e2ee.packets import Packet, Tag, bare, read, written

#: AES-128, AES-192 and AES-256 (RFC 4880 section 9.2), and the bytes of their keys.
CIPHERS: Final = {7: 16, 8: 24, 9: 32}
AES_256: Final = 9
_SHA256: Final = 8
_BLOCK: Final = 16
#: How a password becomes a key: iterated and salted SHA-256 over 65,536 bytes (RFC 4880 section 3.7.1.3). That is
#: little, and enough: recovery codes are made by us and cannot be guessed, however fast one tries.
_S2K: Final = bytes((3, _SHA256))
_COUNT: Final = 0x60
_ROUNDS: Final = (16 + (_COUNT & 15)) << ((_COUNT >> 4) + 6)
_MDC: Final = bytes((0xC0 | Tag.MDC, 20))


def closed(plain: bytes, key: bytes, chance: bytes) -> bytes:
    """A SEIPD packet, version 1, of packets; `chance` is 16 random bytes (RFC 4880 section 5.13)."""
    inner = chance + chance[-2:] + plain + _MDC
    inner += hashlib.sha1(inner, usedforsecurity=False).digest()
    sealing = Cipher(AES(key), CFB(bytes(_BLOCK))).encryptor()
    return written(Tag.SEIPD, b"\x01" + sealing.update(inner) + sealing.finalize())


def opened(packet: Packet, key: bytes) -> bytes:
    """The packets in a SEIPD packet. Raises Unreadable."""
    if packet.tag != Tag.SEIPD or packet.body[:1] != b"\x01":
        raise Unreadable("it is not encrypted with integrity protection, version 1")
    opening = Cipher(AES(key), CFB(bytes(_BLOCK))).decryptor()
    inner = opening.update(packet.body[1:]) + opening.finalize()
    plain, mark, said = inner[:-22], inner[-22:-20], inner[-20:]
    told = hashlib.sha1(plain + mark, usedforsecurity=False).digest()
    if len(plain) < _BLOCK + 2 or not hmac.compare_digest(mark + said, _MDC + told):
        raise Unreadable("the key does not open it, or it has been altered")
    return plain[_BLOCK + 2 :]


def locked(data: bytes, password: str, chance: bytes) -> bytes:
    """A message of one file without a name, encrypted with a password; `chance` is 24 random bytes."""
    salt = chance[_BLOCK:]
    head = bytes((4, AES_256)) + _S2K + salt + bytes((_COUNT,))
    literal = written(Tag.LITERAL, b"b\x00" + bytes(4) + data)
    return written(Tag.SKESK, head) + closed(literal, _stretched(password, salt), chance[:_BLOCK])


def unlocked(message: bytes, password: str) -> bytes:
    """What was locked as above: whatever else a password may open is not looked at. Raises Unreadable."""
    packets = read(bare(message), 2)
    head = bytes((4, AES_256)) + _S2K
    if [each.tag for each in packets] != [Tag.SKESK, Tag.SEIPD]:
        raise Unreadable("it is not locked with a code")
    body = packets[0].body
    if len(body) != len(head) + 9 or body[: len(head)] != head or body[-1] != _COUNT:
        raise Unreadable("it is locked in another way than ours")
    try:
        (inner,) = read(opened(packets[1], _stretched(password, body[len(head) : -1])), 1)
    except (Unreadable, ValueError):
        raise Unreadable("the code is wrong, or it is damaged") from None
    return literal(inner)


def literal(packet: Packet) -> bytes:
    """The data of a literal packet (RFC 4880 section 5.9). Raises Unreadable."""
    body = packet.body
    begin = 6 + body[1] if len(body) > 1 else len(body) + 1
    if packet.tag != Tag.LITERAL or len(body) < begin:
        raise Unreadable("what is inside is compressed, or not plain data")
    return body[begin:]


def _stretched(password: str, salt: bytes) -> bytes:
    once = salt + password.encode()
    return hashlib.sha256((once * (_ROUNDS // len(once) + 1))[: max(_ROUNDS, len(once))]).digest()
