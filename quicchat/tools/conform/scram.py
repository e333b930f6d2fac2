"""The kit's own SCRAM-SHA-256, as chapter 4 binds it to certificate and negotiation. (spec 04-accounts)"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import cache
from typing import Final

GS2: Final = b"p=quicchat,,"


@cache
def salted(password: str, salt: bytes, iterations: int) -> bytes:
    """SaltedPassword (4.1-2), of a password that needs no preparation."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def stored(salted_password: bytes) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey (4.1-2)."""
    return hashlib.sha256(client_key(salted_password)).digest(), _hmac(salted_password, b"Server Key")


def client_key(salted_password: bytes) -> bytes:
    """ClientKey (4.1-2)."""
    return _hmac(salted_password, b"Client Key")


def first(user: str, nonce: bytes) -> bytes:
    """client-first-message."""
    return GS2 + b"n=" + user.encode() + b",r=" + base64.b64encode(nonce)


def attributes(message: bytes) -> dict[str, str]:
    """`a=…,b=…` by letter."""
    return {part[0]: part[2:] for part in message.decode("ascii").split(",") if part[1:2] == "="}


def final(
    first: bytes, challenge: bytes, password: str, binding: bytes, *, nonce: str | None = None
) -> tuple[bytes, bytes]:
    """client-final-message, and the server-final-message that answers it. Raises KeyError for a broken challenge.

    With `nonce`, as if the challenge had had that one.
    """
    found = attributes(challenge)
    nonce = found["r"] if nonce is None else nonce
    key = salted(password, base64.b64decode(found["s"]), int(found["i"]))
    without = b"c=" + base64.b64encode(GS2 + binding) + b",r=" + nonce.encode()
    message = b",".join((first.removeprefix(GS2), challenge, without))
    stored_key, server_key = stored(key)
    signature = _hmac(stored_key, message)
    proof = bytes(a ^ b for a, b in zip(client_key(key), signature, strict=True))
    return without + b",p=" + base64.b64encode(proof), b"v=" + base64.b64encode(_hmac(server_key, message))


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
