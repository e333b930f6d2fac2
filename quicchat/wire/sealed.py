"""What is sealed from end to end: records that only clients read, and the body that carries them. (spec 15-keys)

A record is like a PDU without a number: it travels as a byte string inside something else. What is signed or
decrypted is judged strictly: its bytes must be the ones that we would write.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeVar

from quicchat.errors import Code, RemoteProtocolError
from quicchat.wire import codec
from quicchat.wire.chapters.keys import DEVICES, FINGERPRINT, HANDLE, PART, PARTS, SERIAL
from quicchat.wire.chapters.messages import SEALED_BYTES, Kind
from quicchat.wire.fields import ATTACHED_NAME, BODY, CID, FILE, FILE_SIZE, MILLISECONDS, ROOM, SEQ, SHORT, USER, USERS
from quicchat.wire.registry import Pdu, key, record
from quicchat.wire.types import Array, Bool, Bytes, Choice, Text, Tuple, Uint, UintMap

#: Recipients of one KEY event: encrypting for more would hold up everything else.
RECIPIENTS: Final = 50
#: A session ends after so many messages, or so many ms; no index skips further ahead than the window.
SESSION_MESSAGES: Final = 100
SESSION_LIFE: Final = 7 * 86_400_000
SKIP: Final = 2_000

_SID: Final = Bytes(16, 16)
_KEY: Final = Bytes(32, 32)
_INDEX: Final = Uint(2**32 - 1)
_ATTACHMENTS: Final = Array(Tuple((FILE, FILE_SIZE, SHORT, ATTACHED_NAME, MILLISECONDS, _KEY, FILE_SIZE, FILE)), 16)

#: Rows [file as the server has it, its bytes there, media type, name, modified, key, plain bytes, plain root].
SealedAttachments = tuple[tuple[bytes, int, str, str, int, bytes, int, bytes], ...]


class Scheme(IntEnum):
    """How a body is sealed; 3 is reserved for MLS (RFC 9420)."""

    OPENPGP = 1
    SENDER_KEY = 2


@record("sealed-body", section="15.6")
class Sealed(Pdu):
    """The `sealed` of a message. The server reads the last field only, and forwards to each device its own entry."""

    scheme: Scheme = key(1, Choice(Scheme), "1 OpenPGP, 2 sender key")
    sid: bytes | None = key(2, _SID, "which session", default=None)
    index: int | None = key(3, _INDEX, "which message of it, from 0", default=None)
    ciphertext: bytes = key(4, Bytes(SEALED_BYTES, 1), "scheme 1: a SEIPD packet (RFC 4880 section 5.13)")
    signature: bytes | None = key(5, Bytes(64, 64), "scheme 2: Ed25519 over a `signed-part`", default=None)
    entries: dict[int, bytes] | None = key(
        6, UintMap(Bytes(512, 1)), "scheme 1: by handle, a PKESK packet (RFC 4880 section 5.1)", default=None
    )


@record("content", section="15.6")
class Content(Pdu):
    """What a message says, and where and by whom it was said. In scheme 2 it is padded (15.6-1)."""

    conversation: str = key(1, ROOM, "room or `@a,b`")
    sender: str = key(2, USER, "who says it")
    device: int = key(3, HANDLE, "with which device")
    cid: bytes = key(4, CID, "as outside")
    kind: Kind = key(5, Choice(Kind), "what it is; outside, what only says something is TEXT")
    text: str = key(6, BODY, "what is said")
    topic: str | None = key(7, Text(128), "thread within the room", default=None)
    reply: int | None = key(8, SEQ, "place of the message answered", default=None)
    refs: tuple[int, ...] | None = key(9, Array(SEQ, 32), "as outside", default=None)
    mentions: tuple[str, ...] | None = key(10, USERS, "who is named", default=None)
    attachments: SealedAttachments | None = key(
        11,
        _ATTACHMENTS,
        "[file as the server has it, its bytes there, media type, name, modified, key, plain bytes, plain root]",
        default=None,
    )


@record("signed-part", section="15.7")
class SignedPart(Pdu):
    """What the signature of scheme 2 is over."""

    conversation: str = key(1, ROOM, "as in the content")
    sid: bytes = key(2, _SID, "as outside")
    index: int = key(3, _INDEX, "as outside")
    cid: bytes = key(4, CID, "as outside")
    ciphertext: bytes = key(5, Bytes(SEALED_BYTES, 1), "as outside")


@record("session-key", section="15.7")
class SessionKey(Pdu):
    """What opens a session from an index on: the content of a KEY event, and a row of a backup."""

    conversation: str = key(1, ROOM, "room or `@a,b`")
    sender: str = key(2, USER, "whose session it is")
    device: int = key(3, HANDLE, "of which device of his")
    sid: bytes = key(4, _SID, "which session, random")
    index: int = key(5, _INDEX, "the first message that the chain key opens")
    chain: bytes = key(6, _KEY, "chain key at that index")
    public: bytes = key(7, _KEY, "Ed25519 public key of the session (RFC 8032)")
    created: int = key(8, MILLISECONDS, "when it began, Unix ms")


@record("device-list", section="15.2")
class DeviceList(Pdu):
    """The devices of an account, signed by its identity key."""

    version: int = key(1, Uint(255, 1), "of this format: 1")
    account: str = key(2, USER, "whose")
    serial: int = key(3, SERIAL, "higher than that of the list before")
    time: int = key(4, MILLISECONDS, "when it was made, Unix ms")
    devices: tuple[tuple[bytes, str], ...] = key(
        5, Array(Tuple((FINGERPRINT, Text(64))), DEVICES), "[fingerprint, name]"
    )


@record("backup-part", section="15.9")
class BackupPart(Pdu):
    """A part of a backup, before it is encrypted with the recovery code; the identity stands in part 0."""

    version: int = key(1, Uint(255, 1), "of this format: 1")
    account: str = key(2, USER, "whose")
    time: int = key(3, MILLISECONDS, "when it was made, Unix ms")
    identity: bytes | None = key(4, Bytes(16_384, 1), "transferable secret key (RFC 4880 section 11.2)", default=None)
    sessions: tuple[bytes, ...] = key(5, Array(Bytes(512, 1), 1_024), "`session-key` records")
    trusted: tuple[tuple[str, bytes, bool], ...] | None = key(
        6,
        Array(Tuple((USER, FINGERPRINT, Bool())), 1_024),
        "[user, identity fingerprint, whether verified]",
        default=None,
    )
    files: tuple[bytes, ...] | None = key(7, Array(Bytes(512, 1), 1_024), "`file-key` records", default=None)


@record("recovery", section="15.9")
class Recovery(Pdu):
    """What an account's own devices are told of its backup, encrypted for each of them and signed by one: part 1."""

    version: int = key(1, Uint(255, 1), "of this format: 1")
    account: str = key(2, USER, "whose")
    generation: int = key(3, Uint(2**53, 1), "of the backup that the code opens")
    code: str = key(4, Text(36, 36), "the recovery code, digits")


@record("backup-file", section="15.9")
class Archive(Pdu):
    """A backup in a file, before it is encrypted with the recovery code."""

    version: int = key(1, Uint(255, 1), "of this format: 1")
    account: str = key(2, USER, "whose")
    time: int = key(3, MILLISECONDS, "when it was made, Unix ms")
    parts: tuple[bytes, ...] = key(
        4, Array(Bytes(PART, 1), PARTS), "`backup-part` records, that with the identity first"
    )


@record("file-key", section="15.8")
class FileKey(Pdu):
    """What opens a file that the server has sealed."""

    file: bytes = key(1, FILE, "id of the file as the server has it")
    secret: bytes = key(2, _KEY, "AES-256-GCM")
    size: int = key(3, FILE_SIZE, "plain bytes")
    root: bytes = key(4, FILE, "id of the plain file, as if it were cut as 15.8 says")
    name: str = key(5, ATTACHED_NAME, "as its sender named it")
    media_type: str = key(6, SHORT, "what it is")
    modified: int = key(7, MILLISECONDS, "0 where unknown")


R = TypeVar("R", bound=Pdu)
#: Version of the vocabulary that records belong to.
_VERSION: Final = 2


def packed(item: Pdu) -> bytes:
    """The bytes of a record. Raises LocalProtocolError."""
    return codec.encode_body(item, version=_VERSION)


def unpacked(cls: type[R], data: bytes) -> R:
    """A record from bytes that must be the ones we would write. Raises RemoteProtocolError."""
    found = codec.decode_body(cls, data, version=_VERSION)
    if packed(found) != data:
        raise RemoteProtocolError(Code.SCHEMA, f"{cls.SPEC.name} is not deterministic")
    return found


def padded(data: bytes) -> bytes:
    """Content behind its length (4 bytes, big-endian), filled with zeros up to a step: see `step`."""
    return (len(data).to_bytes(4, "big") + data).ljust(step(len(data) + 4), b"\0")


def unpadded(data: bytes) -> bytes:
    """The content again. Raises RemoteProtocolError."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 or size > len(data) - 4 or len(data) != step(size + 4) or any(data[4 + size :]):
        raise RemoteProtocolError(Code.SCHEMA, "the padding is wrong")
    return data[4 : 4 + size]


def step(size: int) -> int:
    """The length that so many bytes are padded to: the next power of two from 64 to 4096, then multiples of 4096."""
    return max(64, 1 << (size - 1).bit_length()) if size <= 4_096 else -(-size // 4_096) * 4_096
