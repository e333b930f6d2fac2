"""OpenPGP keys that every tool reads, made of nothing but Ed25519, X25519 and hashes. (spec 15-keys)

What libraries make today says of itself that it can read what Debian's gpg cannot write or read (SEIPD version 2),
and there is no switch for it. (decision 0027)
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from quicchat.client.e2ee.packets import CURVE25519, ECDH, Tag, number, subpacket, written
from quicchat.values import dataclass

#: Ed25519 as keys name it, behind the length of that (draft-koch-eddsa-for-openpgp).
_ED25519: Final = bytes.fromhex("092b06010401da470f01")
#: How the key that wraps a session key is derived: SHA-256, AES-128 (RFC 6637 section 8).
_DERIVATION: Final = bytes((3, 1, 8, 7))
_EDDSA: Final = 22
_SHA512: Final = 10
#: Signatures: of a user id by its owner, and of a subkey.
_CERTIFIES: Final = 0x13
_BINDS: Final = 0x18
_CREATED: Final = 2
_EXPIRES: Final = 9
_ISSUER: Final = 16
_KEY_FLAGS: Final = 27
_ISSUER_FINGERPRINT: Final = 33
#: AES-256, SHA-512, uncompressed; SEIPD version 1 and nothing newer.
_PREFERENCES: Final = subpacket(11, b"\x09") + subpacket(21, b"\x0a") + subpacket(22, b"\x00") + subpacket(30, b"\x01")
_CERTIFY_AND_SIGN: Final = b"\x03"
_ENCRYPT: Final = b"\x0c"
#: When all of our keys say that they were made, in Unix seconds (2024-01-01). To a tool whose clock is behind that of
#: the device that made it, a key would be one of the future, and refused; when it was made, its device list says.
_MADE: Final = 1_704_067_200


@dataclass(frozen=True, slots=True)
class _Primary:
    """The key that signs, and the body of its public packet."""

    secret: Ed25519PrivateKey
    public: bytes

    @property
    def fingerprint(self) -> bytes:
        return fingerprint(self.public)


def secret_key(name: str, ends: int | None = None) -> bytes:
    """A transferable secret key (RFC 4880 section 11.2), not protected; with `ends`, good until then (Unix seconds)."""
    signing, reading = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    primary = _Primary(signing, _public(_EDDSA, _ED25519, signing.public_key().public_bytes_raw()))
    subkey = _public(ECDH, CURVE25519, reading.public_key().public_bytes_raw()) + _DERIVATION
    life = subpacket(_EXPIRES, (ends - _MADE).to_bytes(4, "big")) if ends is not None else b""
    user = name.encode()
    about = subpacket(_KEY_FLAGS, _CERTIFY_AND_SIGN) + _PREFERENCES + life
    certifies = _signature(primary, _CERTIFIES, about, b"\xb4" + len(user).to_bytes(4, "big") + user)
    binds = _signature(primary, _BINDS, subpacket(_KEY_FLAGS, _ENCRYPT) + life, _hashed(subkey))
    return b"".join(
        (
            written(Tag.SECRET_KEY, primary.public + _unprotected(signing.private_bytes_raw())),
            written(Tag.USER_ID, user),
            certifies,
            written(Tag.SECRET_SUBKEY, subkey + _unprotected(_clamped(reading.private_bytes_raw())[::-1])),
            binds,
        )
    )


def fingerprint(public: bytes) -> bytes:
    """Of a version-4 key, from the body of its public packet (RFC 4880 section 12.2)."""
    return hashlib.sha1(_hashed(public), usedforsecurity=False).digest()


def _public(algorithm: int, curve: bytes, point: bytes) -> bytes:
    return b"\x04" + _MADE.to_bytes(4, "big") + bytes((algorithm,)) + curve + number(b"\x40" + point)


def _clamped(scalar: bytes) -> bytes:
    """As X25519 uses it (RFC 7748 section 5): gpg takes no other."""
    return bytes((scalar[0] & 0xF8,)) + scalar[1:-1] + bytes((scalar[-1] & 0x7F | 0x40,))


def _unprotected(secret: bytes) -> bytes:
    """The secret part of a key packet, behind how it is protected: not at all, but for a checksum."""
    value = number(secret)
    return b"\x00" + value + (sum(value) & 0xFFFF).to_bytes(2, "big")


def _hashed(public: bytes) -> bytes:
    """A key as signatures and fingerprints hash it."""
    return b"\x99" + len(public).to_bytes(2, "big") + public


def _signature(by: _Primary, kind: int, about: bytes, over: bytes) -> bytes:
    """A version-4 signature packet over the primary key and what comes behind it (RFC 4880 section 5.2.4)."""
    told = subpacket(_CREATED, _MADE.to_bytes(4, "big")) + subpacket(_ISSUER_FINGERPRINT, b"\x04" + by.fingerprint)
    head = bytes((4, kind, _EDDSA, _SHA512)) + _area(told + about)
    digest = hashlib.sha512(_hashed(by.public) + over + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
    made = by.secret.sign(digest)
    issuer = _area(subpacket(_ISSUER, by.fingerprint[-8:]))
    return written(Tag.SIGNATURE, head + issuer + digest[:2] + number(made[:32]) + number(made[32:]))


def _area(subs: bytes) -> bytes:
    return len(subs).to_bytes(2, "big") + subs
