"""SCRAM-SHA-256, bound to certificate and negotiation, so that an edited version list breaks it. (spec 04-accounts)

The messages are those of RFC 5802 section 7 with the hash of RFC 7677. The channel binding, announced as
`p=quicchat`, is SHA-256 of the server's leaf certificate (or nothing, where the client cannot see it) followed
by the transcript hash of the negotiation. Salts and nonces are arguments: nothing here is random by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import unicodedata
from dataclasses import field

from quicchat.errors import Code, Refused
from quicchat.values import dataclass

_GS2 = b"p=quicchat,,"
_MOST_ITERATIONS = 10_000_000
#: A client's nonce may be so long in base64 that the challenge, which repeats it, still fits its field.
_LONGEST_NONCE = 256
PASSWORD_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the server keeps of a password (RFC 5802 section 3): nothing that logs in elsewhere."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def prepare(password: str) -> bytes:
    """The OpaqueString profile (RFC 8265 section 4.2): Unicode spaces become U+0020, then NFC.

    Raises Refused(SCHEMA) for an empty password, one above 1024 bytes, or one with control characters.
    """
    if len(password) > 4 * PASSWORD_BYTES:
        # NFC makes a text shorter, but not by so much.
        raise _unfit()
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password)
    text = unicodedata.normalize("NFC", spaced)
    data = text.encode("utf-8", errors="replace")
    if not 0 < len(data) <= PASSWORD_BYTES:
        raise _unfit()
    if any(unicodedata.category(char) in ("Cc", "Cs", "Cn") for char in text):
        raise Refused(Code.SCHEMA, "A password has no control characters.")
    return data


def _unfit() -> Refused:
    return Refused(Code.SCHEMA, f"A password has 1 to {PASSWORD_BYTES} bytes.")


def salted(password: str, salt: bytes, iterations: int) -> bytes:
    """SaltedPassword: the one costly step, a tenth of a second or more; run it off the event loop."""
    return hashlib.pbkdf2_hmac("sha256", prepare(password), salt, iterations)


def credentials_from(salted_password: bytes, salt: bytes, iterations: int) -> Credentials:
    """What to store for a salted password."""
    return Credentials(
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.sha256(_client_key(salted_password)).digest(),
        server_key=_hmac(salted_password, b"Server Key"),
    )


def demand(iterations: int, least: int) -> None:
    """Raises Refused(AUTH_FAILED), which tells programs how many are wanted, where these are fewer. (spec 4.1)"""
    if iterations < least:
        raise Refused(Code.AUTH_FAILED, f"At least {least} iterations are wanted.", detail=least.to_bytes(4))


def decoy(secret: bytes, user: str, iterations: int) -> Credentials:
    """Credentials for a user who does not exist: the same salt at every attempt, and no password fits."""
    salt = _hmac(secret, b"salt:" + user.encode())[:16]
    return Credentials(
        salt=salt,
        iterations=iterations,
        stored_key=_hmac(secret, b"stored:" + user.encode()),
        server_key=_hmac(secret, b"server:" + user.encode()),
    )


class ClientLogin:
    """The client's side: `first`, then `final(challenge, ...)`, then `verify(server final)`."""

    def __init__(self, user: str, nonce: bytes) -> None:
        self._bare = b"n=" + user.encode() + b",r=" + base64.b64encode(nonce)
        self._expected = b""

    @property
    def first(self) -> bytes:
        """client-first-message."""
        return _GS2 + self._bare

    @staticmethod
    def parameters(challenge: bytes) -> tuple[bytes, int]:
        """Salt and iterations of a server-first-message. Raises Refused(AUTH_FAILED) for a broken one."""
        fields = _fields(challenge)
        salt = _unbase64(fields.get("s", ""))
        if not salt:
            raise Refused(Code.AUTH_FAILED, "The server's challenge is broken.")
        return salt, _count(fields.get("i", ""))

    def final(self, challenge: bytes, salted_password: bytes, binding: bytes) -> bytes:
        """client-final-message. Raises Refused(AUTH_FAILED) when the challenge does not continue our nonce."""
        nonce = _fields(challenge).get("r", "").encode()
        ours = self._bare.partition(b",r=")[2]
        if not nonce.startswith(ours) or len(nonce) <= len(ours):
            raise Refused(Code.AUTH_FAILED, "The server did not continue our nonce.")
        without_proof = b"c=" + base64.b64encode(_GS2 + binding) + b",r=" + nonce
        message = b",".join((self._bare, challenge, without_proof))
        client_key = _client_key(salted_password)
        signature = _hmac(hashlib.sha256(client_key).digest(), message)
        self._expected = _hmac(_hmac(salted_password, b"Server Key"), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)

    def verify(self, server_final: bytes) -> None:
        """Raises Refused(AUTH_FAILED) when the server does not know the account's keys."""
        proof = _unbase64(_fields(server_final).get("v", ""))
        if not self._expected or not hmac.compare_digest(proof, self._expected):
            raise Refused(Code.AUTH_FAILED, "The server could not prove that it knows this account.")


class ServerLogin:
    """The server's side: made from client-first-message, then `challenge`, then `verify(client final)`.

    Raises Refused(AUTH_FAILED) for messages that are not SCRAM or name another user than `user`.
    """

    def __init__(self, user: str, first: bytes, keys: Credentials, nonce: bytes) -> None:
        if not first.startswith(_GS2):
            raise Refused(Code.AUTH_FAILED, "The login is not bound to this connection.")
        self._bare = first.removeprefix(_GS2)
        fields = _fields(self._bare)
        if fields.get("n") != user or not 0 < len(fields.get("r", "")) <= _LONGEST_NONCE:
            raise Refused(Code.AUTH_FAILED)
        self._keys = keys
        self._nonce = fields["r"].encode() + base64.b64encode(nonce)
        salt, count = base64.b64encode(keys.salt), str(keys.iterations).encode()
        self.challenge = b"r=" + self._nonce + b",s=" + salt + b",i=" + count

    def verify(self, final: bytes, binding: bytes, *, blind: bool = False) -> bytes:
        """server-final-message for a good proof.

        `binding` is what this end saw: certificate hash, then the 32 bytes of the transcript hash. With `blind`, a
        client that cannot see the certificate may leave the first part out, never the second. Raises
        Refused(DOWNGRADE) when the two ends saw different negotiations, Refused(AUTH_FAILED) for a wrong proof.
        """
        fields = _fields(final)
        without_proof, _, _ = final.rpartition(b",p=")
        message = b",".join((self._bare, self.challenge, without_proof))
        signature = _hmac(self._keys.stored_key, message)
        proof = _unbase64(fields.get("p", ""))
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=False))
        good = hmac.compare_digest(hashlib.sha256(client_key).digest(), self._keys.stored_key)
        if fields.get("r", "").encode() != self._nonce or not good or len(proof) != 32:
            raise Refused(Code.AUTH_FAILED)
        seen = _unbase64(fields.get("c", ""))
        if seen != _GS2 + binding and not (blind and seen == _GS2 + binding[-32:]):
            raise Refused(Code.DOWNGRADE)
        return b"v=" + base64.b64encode(_hmac(self._keys.server_key, message))


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _client_key(salted_password: bytes) -> bytes:
    return _hmac(salted_password, b"Client Key")


def _fields(message: bytes) -> dict[str, str]:
    """`a=..,b=..` as a dict; broken parts are simply absent."""
    try:
        parts = message.decode("ascii").split(",")
    except UnicodeDecodeError:
        return {}
    return {part[0]: part[2:] for part in parts if part[1:2] == "="}


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Code.AUTH_FAILED) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_ITERATIONS):
        raise Refused(Code.AUTH_FAILED, "The server's challenge is broken.")
    return int(text)
