"""Session keys encrypted to a key of ours: RSA, or ECDH over Curve25519. (spec 15-keys)"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from quicchat.client.e2ee.faults import BadKey, Unreadable
from quicchat.client.e2ee.packets import CURVE25519, ECDH, Packet, Tag, cut
from quicchat.client.e2ee.seipd import CIPHERS
from quicchat.values import dataclass

_RSA: Final = (1, 2, 3)
#: ECDH, ECDSA, EdDSA: a curve and a point.
_CURVES: Final = (ECDH, 19, 22)
#: SHA-256, SHA-384 and SHA-512 (RFC 4880 section 9.4).
_HASHES: Final = {8: "sha256", 9: "sha384", 10: "sha512"}
_ANONYMOUS: Final = b"Anonymous Sender    "
#: Where a version-4 key packet says which algorithm, behind version and time.
_ALGORITHM: Final = 5


@dataclass(frozen=True, slots=True)
class Reader:
    """A secret key that session keys are encrypted to."""

    handle: int
    _key: X25519PrivateKey | rsa.RSAPrivateKey
    #: For ECDH: hash and cipher of the key that wraps, and what else goes into it (RFC 6637 section 8).
    _derivation: tuple[int, int, bytes] = (0, 0, b"")

    def session_key(self, packet: Packet) -> bytes:
        """The key of the data, whose length names its cipher. Raises Unreadable."""
        body = packet.body
        if packet.tag != Tag.PKESK or body[:1] != b"\x03" or len(body) < 10:
            raise Unreadable("it holds no session key that we can read")
        if int.from_bytes(body[1:9], "big") != self.handle:
            raise Unreadable("it is encrypted to another device")
        try:
            if isinstance(self._key, X25519PrivateKey):
                return _checked(_unpadded(self._unwrapped(self._key, body)))
            if body[9] not in _RSA:
                raise Unreadable("its session key is of another kind than our key")
            sent, at = mpi(body, 10)
            if at != len(body):
                raise Unreadable("its session key has something behind it")
            return _checked(self._key.decrypt(sent.rjust(self._key.key_size // 8, b"\0"), padding.PKCS1v15()))
        except (ValueError, keywrap.InvalidUnwrap):
            raise Unreadable("its session key does not open") from None

    def _unwrapped(self, key: X25519PrivateKey, body: bytes) -> bytes:
        point, at = mpi(body, 10)
        if body[9] != ECDH or len(point) != 33 or point[0] != 0x40 or body[at : at + 1] != bytes((len(body) - at - 1,)):
            raise Unreadable("its session key is of another kind than our key")
        shared = key.exchange(X25519PublicKey.from_public_bytes(point[1:]))
        digest, cipher, about = self._derivation
        wrapping = hashlib.new(_HASHES[digest], b"\0\0\0\x01" + shared + about).digest()[: CIPHERS[cipher]]
        return keywrap.aes_key_unwrap(wrapping, body[at + 1 :])


def reader(public: bytes, secret: bytes, fingerprint: bytes) -> Reader:
    """Of the two parts of a secret key packet's body. Raises BadKey."""
    handle = int.from_bytes(fingerprint[-8:], "big")
    try:
        if public[_ALGORITHM] in _RSA:
            return Reader(handle, _rsa(public, secret))
        if public[_ALGORITHM] != ECDH or public[6 : 6 + len(CURVE25519)] != CURVE25519:
            raise BadKey("its encryption key is neither Curve25519 nor RSA")
        tail = public[-4:]
        if tail[:2] != b"\x03\x01" or tail[2] not in _HASHES or tail[3] not in CIPHERS:
            raise BadKey("its encryption key derives keys in a way that we do not know")
        about = CURVE25519 + bytes((ECDH,)) + tail + _ANONYMOUS + fingerprint
        scalar = mpi(secret, 1)[0].rjust(32, b"\0")[::-1]
        return Reader(handle, X25519PrivateKey.from_private_bytes(scalar), (tail[2], tail[3], about))
    except (ValueError, IndexError, Unreadable):
        raise BadKey("its secret part is damaged") from None


def check(secret: bytes) -> None:
    """The secret part of a key packet must stand open, and be whole. Raises BadKey."""
    if secret[:1] != b"\0":
        raise BadKey("it is protected by a passphrase, or lacks a part: gpg --passwd takes it away")
    if (sum(secret[1:-2]) & 0xFFFF).to_bytes(2, "big") != secret[-2:]:
        raise BadKey("its secret part is damaged")


def public_size(body: bytes) -> int:
    """How many bytes of a version-4 secret key packet are its public part. Raises BadKey."""
    try:
        if body[_ALGORITHM] in _RSA:
            return mpi(body, mpi(body, 6)[1])[1]
        if body[_ALGORITHM] in _CURVES:
            end = mpi(body, 7 + body[6])[1]
            return end + 1 + body[end] if body[_ALGORITHM] == ECDH else end
    except (IndexError, Unreadable):
        raise BadKey("it holds a damaged key") from None
    raise BadKey(f"it holds a key of an algorithm that is not read here ({body[_ALGORITHM]})")


def mpi(data: bytes, at: int) -> tuple[bytes, int]:
    """The multiprecision integer that stands there, and where it ends. Raises Unreadable."""
    end = at + 2 + (int.from_bytes(cut(data, at, 2), "big") + 7) // 8
    return cut(data, at + 2, end - at - 2), end


def _rsa(public: bytes, secret: bytes) -> rsa.RSAPrivateKey:
    numbers = []
    for data, at, count in ((public, 6, 2), (secret, 1, 3)):
        for _ in range(count):
            value, at = mpi(data, at)
            numbers.append(int.from_bytes(value, "big"))
    modulus, exponent, private, p, q = numbers
    return rsa.RSAPrivateNumbers(
        p, q, private, rsa.rsa_crt_dmp1(private, p), rsa.rsa_crt_dmq1(private, q), rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(exponent, modulus),
    ).private_key()  # fmt: skip


def _unpadded(data: bytes) -> bytes:
    """Without the padding of RFC 6637 section 8 (the last byte says how many there are)."""
    if not data or not 1 <= data[-1] < len(data) or data[-data[-1] :] != data[-1:] * data[-1]:
        raise Unreadable("its session key is damaged")
    return data[: -data[-1]]


def _checked(data: bytes) -> bytes:
    """The key between the number of its cipher and its checksum (RFC 4880 section 5.1)."""
    key = data[1:-2]
    if CIPHERS.get(data[0] if data else 0) != len(key) or (sum(key) & 0xFFFF).to_bytes(2, "big") != data[-2:]:
        raise Unreadable("its session key is damaged, or of a cipher that is not AES")
    return key
