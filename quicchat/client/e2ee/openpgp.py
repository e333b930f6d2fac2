"""OpenPGP for the rest of the client: certificates, keys, messages. The one module that knows pysequoia. (spec 15-keys)

pysequoia judges certificates, makes messages and checks signatures. What stands between, from the packets of a
message to the signed data in it, is opened here, for no more may be in it than we would have put there. (decision 0027)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from enum import Enum
from functools import lru_cache
from typing import Final

import pysequoia

from quicchat.client.e2ee import making, packets, pkesk, seipd
from quicchat.client.e2ee.faults import BadKey, Forged, SealError, Unreadable
from quicchat.client.e2ee.packets import Packet, Tag
from quicchat.values import dataclass
from quicchat.wire.chapters.keys import CERTIFICATE
from quicchat.wire.chapters.messages import SEALED_BYTES
from quicchat.wire.sealed import RECIPIENTS

#: What a certificate is made of, and a key with its secrets.
_AROUND: Final = frozenset((Tag.USER_ID, Tag.USER_ATTRIBUTE, Tag.SIGNATURE))
_PUBLIC: Final = _AROUND | {Tag.PUBLIC_KEY, Tag.PUBLIC_SUBKEY}
_SECRET: Final = _AROUND | {Tag.SECRET_KEY, Tag.SECRET_SUBKEY}
#: Bytes of a session key packet: as many as an entry of a sealed body may have (wire/sealed.py).
_ENTRY: Final = 512
#: Certificates kept as they were found: judging one takes longer than encrypting to it.
_KNOWN: Final = 1_024
_SUBKEY_BINDING: Final = 0x18
_BINARY: Final = 0x00
_LIFE: Final = 9


class Armor(Enum):
    """What armored bytes say of themselves."""

    MESSAGE = pysequoia.ArmorKind.Message
    PUBLIC = pysequoia.ArmorKind.PublicKey
    SECRET = pysequoia.ArmorKind.SecretKey
    SIGNATURE = pysequoia.ArmorKind.Signature


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key of somebody: of a device, or the identity of an account."""

    data: bytes = field(repr=False)
    fingerprint: bytes
    #: Key id of the subkey that one encrypts to.
    handle: int
    #: What is wrong with it at any time, if anything is: see `flaw`.
    fault: str | None
    #: What signatures are checked with, and what is encrypted to: the same, with one key to encrypt to.
    _cert: pysequoia.Cert = field(repr=False, compare=False)
    _target: pysequoia.Cert = field(repr=False, compare=False)
    #: When it ends, in Unix ms.
    _ends: int | None = field(repr=False, compare=False)

    @staticmethod
    def of(data: bytes) -> Certificate:
        """From bytes, armored or not. Raises BadKey."""
        return _certificate(bytes(data))

    def flaw(self, now_ms: int) -> str | None:
        """Why nothing may be encrypted to it, if so: nobody else looks."""
        if self.fault is None and self._ends is not None and now_ms >= self._ends:
            return "it has expired"
        return self.fault


@dataclass(frozen=True, slots=True)
class Secret:
    """A key of one's own, with its secrets."""

    data: bytes = field(repr=False)
    certificate: Certificate
    _tsk: pysequoia.Tsk = field(repr=False, compare=False)
    _reader: pkesk.Reader | None = field(repr=False, compare=False)

    @staticmethod
    def make(name: str, now_ms: int, life: int | None = None) -> Secret:
        """A new one, that lives so many seconds from now, or without end."""
        return Secret.of(making.secret_key(name, None if life is None else now_ms // 1_000 + life))

    @staticmethod
    def of(data: bytes) -> Secret:
        """From a transferable secret key, armored or not, that no passphrase protects. Raises BadKey."""
        raw = _made_of(data, _SECRET)
        halves = _halves(raw)
        with _mapped(BadKey, "this is no OpenPGP secret key"):
            tsk = pysequoia.Tsk.from_bytes(raw)
            public = bytes(tsk.extract_certificate())
        certificate = Certificate.of(public)
        return Secret(bytes(tsk), certificate, tsk, _reader(halves, certificate))

    def sign(self, data: bytes) -> bytes:
        """A detached signature, binary. Raises BadKey where the key has expired."""
        with _mapped(BadKey, "this key cannot sign"):
            mode = pysequoia.SignatureMode.DETACHED
            return bytes(pysequoia.sign(self._tsk.signer(), data, mode=mode, armor=False))

    def revoked(self) -> Certificate:
        """The certificate with a signature that it is not to be used any more, nor anything it has signed believed."""
        with _mapped(BadKey, "this key cannot be revoked"):
            said = bytes(self.certificate._cert.revoke(self._tsk.certifier()))
        primary, *rest = packets.read(self.certificate.data)
        return Certificate.of(primary.raw + said + b"".join(each.raw for each in rest))


def verify(data: bytes, signature: bytes, certificate: Certificate) -> bool:
    """Whether it is one detached binary signature of the data by that key."""
    try:
        (packet,) = packets.read(signature, 1)
        if packet.tag != Tag.SIGNATURE or packet.body[:2] != bytes((4, _BINARY)):
            return False
        with _mapped(Forged, "the signature is not good"):
            sig = pysequoia.Sig.from_bytes(signature)
            found = pysequoia.verify(bytes=data, store=lambda _: [certificate._cert], signature=sig)
            return _by(found, certificate)
    except (SealError, ValueError):
        return False


def encrypt(data: bytes, to: Sequence[Certificate], signer: Secret) -> tuple[bytes, dict[int, bytes]]:
    """Signs and encrypts: (SEIPD packet, by handle a PKESK packet). It holds up the loop: 60 µs for each recipient.

    Raises BadKey where one of them has a flaw that does not depend on the time.
    """
    if len(to) > RECIPIENTS:
        raise ValueError(f"{len(to)} recipients at once")
    for each in to:
        if each.fault is not None:
            raise BadKey(f"key {each.fingerprint.hex().upper()}: {each.fault}")
    with _mapped(BadKey, "it cannot be encrypted"):
        certs = [each._target for each in to]
        made = pysequoia.encrypt(bytes=data, recipients=certs, signer=signer._tsk.signer(), armor=False)
    *keys, packet = packets.read(made, 1 + packets.MOST)
    entries = {_handle(each): each.raw for each in keys}
    return packet.raw, {each.handle: entries[each.handle] for each in to}


def decrypt(packet: bytes, entry: bytes, own: Secret, signer: Certificate) -> bytes:
    """What is in a SEIPD packet, by its one PKESK packet, if that device signed it. Raises Unreadable, Forged."""
    if len(packet) > SEALED_BYTES:
        raise Unreadable("it is too long")
    keys, data = packets.read(entry, 1), packets.read(packet, 1)
    if not keys or not data:
        raise Unreadable("it is empty")
    if own._reader is None:
        raise Unreadable("this key has no part to decrypt with")
    inner = seipd.opened(data[0], own._reader.session_key(keys[0]))
    parts = packets.read(inner, 3)
    tags = [each.tag for each in parts]
    if tags[:1] == [Tag.COMPRESSED]:
        raise Unreadable("it is compressed, and that is not unpacked here: gpg --compress-algo none")
    if tags == [Tag.LITERAL]:
        raise Forged("it is not signed")
    if tags != [Tag.ONE_PASS, Tag.LITERAL, Tag.SIGNATURE] or parts[2].body[:2] != bytes((4, _BINARY)):
        raise Unreadable("it is not one piece of data with one signature")
    with _mapped(Forged, "it is not signed by whom it claims to be, or a clock is wrong"):
        found = pysequoia.verify(bytes=inner, store=lambda _: [signer._cert])
        if not _by(found, signer) or found.bytes is None:
            raise Forged("it is not signed by whom it claims to be, or a clock is wrong")
        return bytes(found.bytes)


def message(packet: bytes, entries: Mapping[int, bytes]) -> bytes:
    """An OpenPGP message, as gpg reads it."""
    return b"".join(entries.values()) + packet


def armored(data: bytes, kind: Armor) -> str:
    """As text that survives mail and clipboards."""
    return str(pysequoia.armor(data, kind.value))


def lock(data: bytes, code: str) -> bytes:
    """An OpenPGP message that the code opens, here and in gpg."""
    return seipd.locked(data, code, secrets.token_bytes(24))


def unlock(data: bytes, code: str) -> bytes:
    """What was locked with this code. Raises Unreadable."""
    return seipd.unlocked(data, code)


@lru_cache(_KNOWN)
def _certificate(data: bytes) -> Certificate:
    given = _made_of(data, _PUBLIC)
    if len(given) > CERTIFICATE.most:
        raise BadKey(f"it has more than {CERTIFICATE.most} bytes: gpg --export-options export-minimal")
    with _mapped(BadKey, "this is no OpenPGP certificate that is good now"):
        cert = pysequoia.Cert.from_bytes(given)
        if len(cert.fingerprint) != 40:
            raise BadKey("it is a key of another version than 4, which gpg and others do not read")
        raw, ends = bytes(cert), cert.expiration
        parts = packets.read(raw)
        keys, taken = _keys(parts), _handles(cert)
        handle = next((each for each in keys if each in taken), next(iter(keys)))
        target = cert if len(taken) < 2 else pysequoia.Cert.from_bytes(_with_one(parts, handle))
    limits = [end for end in (keys[handle], int(ends.timestamp() * 1_000) if ends else None) if end is not None]
    fault = _fault(cert, taken, handle)
    return Certificate(raw, bytes.fromhex(cert.fingerprint), handle, fault, cert, target, min(limits, default=None))


def _made_of(data: bytes, tags: frozenset[Tag]) -> bytes:
    """The bytes without armor, made of such packets only. Raises BadKey."""
    try:
        raw = packets.bare(data)
        if tags.issuperset(each.tag for each in packets.read(raw)):
            return raw
    except Unreadable as error:
        raise BadKey(f"this is no OpenPGP key: {error.text}") from None
    raise BadKey("this is a public key, not a secret one" if tags is _SECRET else "this holds more than a public key")


def _handles(cert: pysequoia.Cert) -> dict[int, int]:
    """The keys that are encrypted to, and the bytes of a session key for each: found by encrypting to them."""
    try:
        with _mapped(BadKey, "it has no key to encrypt to"):
            made = packets.read(pysequoia.encrypt(bytes=b"", recipients=[cert], armor=False))
    except SealError:
        return {}
    return {_handle(each): len(each.raw) for each in made[:-1]}


def _fault(cert: pysequoia.Cert, handles: Mapping[int, int], handle: int) -> str | None:
    """What is wrong with a certificate at any time: pysequoia encrypts to keys that were revoked."""
    if cert.is_revoked:
        return "it was revoked"
    if handle not in handles:
        return "it has no key that one can encrypt to"
    return "its RSA key is too long" if handles[handle] > _ENTRY else None


def _with_one(parts: Sequence[Packet], handle: int) -> bytes:
    """A certificate without the subkeys that have another handle: each would cost whoever encrypts to it."""
    kept, keeping = b"", True
    for each in parts:
        if each.tag == Tag.PUBLIC_SUBKEY:
            keeping = _key_id(each.body) == handle
        if keeping:
            kept += each.raw
    return kept


def _keys(parts: Sequence[Packet]) -> dict[int, int | None]:
    """By handle, when it ends in Unix ms: subkeys, the newest first, and last the primary key."""
    found: list[tuple[int, int, int | None]] = []
    for at, each in enumerate(parts):
        if each.tag == Tag.PUBLIC_SUBKEY and each.body[:1] == b"\x04":
            created, life = int.from_bytes(each.body[1:5], "big"), _life(parts[at + 1 :])
            found.append((created, _key_id(each.body), (created + life) * 1_000 if life else None))
    found.sort(key=lambda row: -row[0])
    return {**{handle: ends for _, handle, ends in found}, _key_id(parts[0].body): None}


def _life(parts: Sequence[Packet]) -> int | None:
    """Seconds that a subkey lives, by the newest of the binding signatures behind it."""
    newest: tuple[int, int | None] = (-1, None)
    for each in parts:
        if each.tag != Tag.SIGNATURE:
            break
        if each.body[:2] == bytes((4, _SUBKEY_BINDING)):
            size = int.from_bytes(each.body[4:6], "big")
            said = dict(packets.subpackets(each.body[6 : 6 + size]))
            life = int.from_bytes(said.get(_LIFE, b""), "big") or None
            newest = max(newest, (int.from_bytes(said.get(2, b""), "big"), life), key=lambda row: row[0])
    return newest[1]


def _halves(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The public and the secret parts of secret keys, which must all be whole and stand open. Raises BadKey.

    A subkey whose secret part is damaged would be one that pysequoia does not know, and leaves in the certificate.
    """
    found = []
    for each in packets.read(raw):
        if each.tag in (Tag.SECRET_SUBKEY, Tag.SECRET_KEY):
            size = pkesk.public_size(each.body)
            found.append((each.body[:size], each.body[size:]))
            pkesk.check(each.body[size:])
    return found


def _reader(halves: Sequence[tuple[bytes, bytes]], own: Certificate) -> pkesk.Reader | None:
    """What opens session keys for that certificate, if there is a key for that. Raises BadKey."""
    public, secret = next(each for each in halves if _key_id(each[0]) == own.handle)
    try:
        return pkesk.reader(public, secret, making.fingerprint(public))
    except BadKey:
        if own.fault is None:
            raise
        return None


def _key_id(public: bytes) -> int:
    return int.from_bytes(making.fingerprint(public)[-8:], "big")


def _handle(packet: Packet) -> int:
    return int.from_bytes(packet.body[1:9], "big")


def _by(found: pysequoia.Decrypted, certificate: Certificate) -> bool:
    """Whether there is one good signature, by that key."""
    return [each.certificate for each in found.valid_sigs] == [certificate.fingerprint.hex()]


@contextmanager
def _mapped(fault: type[SealError], about: str) -> Iterator[None]:
    """pysequoia says what is wrong in the first line, and behind that where in its insides; a bug in it is a panic."""
    try:
        yield
    except (RuntimeError, ValueError, OSError, Unreadable) as error:
        raise fault(f"{about}: {str(error).partition(chr(10))[0]}") from None
    except BaseException as error:  # a panic is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise fault(f"{about}: it breaks the library") from None
